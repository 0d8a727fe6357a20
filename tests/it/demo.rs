//! `pinegate demo --once`: everything is as it should be.

use crate::city::{assert_intact, run_to_end};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_holds() {
    let directory = tempfile::TempDir::new().unwrap();
    let place = directory.path().join("demo");
    let (code, said) =
        run_to_end(&["demo".as_ref(), "--once".as_ref(), "--dir".as_ref(), place.as_ref()]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(assert_intact(&place.join("audit")).records > 0);
    // Again in the same place, with what is there.
    let (code, said) =
        run_to_end(&["demo".as_ref(), "--once".as_ref(), "--dir".as_ref(), place.as_ref()]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_intact(&place.join("audit"));
}
