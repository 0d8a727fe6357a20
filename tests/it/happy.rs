//! What is granted arrives, masked, over both versions of HTTP, and on record.

use http::Method;
use pinegate::journal::read;

use crate::city::{Call, Http, Plan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_list_over_both_versions() {
    let city = Plan::new().start().await;
    for http in [Http::One, Http::Two] {
        let reply = city.call(Call::aid("/population/residents?area=3410&size=3").over(http)).await;
        reply.assert_data();
        let list = reply.json();
        assert_eq!(list["data"].as_array().unwrap().len(), 3, "{list}");
        let record = city.record_of(&reply).await;
        assert_eq!(record.status, Some(200));
        assert_eq!(record.records, Some(3));
        assert_eq!(city.last_received().method, Method::GET);
    }
    assert!(read::verify(&city.files().audit()).unwrap().is_intact());
}
