//! Records that nobody published, and what they say of others: nothing that is believed.

use std::sync::Mutex;

use super::ends::cut_and_close;
use super::*;
use crate::journal::read::{TreeReport, judge_origins};

#[derive(Debug, Default)]
struct Refusals(Mutex<Vec<String>>);

impl PublishObserver for Refusals {
    fn signed(&self, _: &SignedHead) {}
    fn refused(&self, why: &Refusal) {
        self.0.lock().unwrap().push(why.to_string());
    }
    fn failed(&self, error: &JournalError) {
        panic!("{error}");
    }
}

/// What the next process says that is to publish the log.
fn refusals(audit: &Path) -> Vec<String> {
    let storage: Arc<dyn Storage> = Arc::new(DiskStorage);
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let opened =
        Journal::open(journal_config(audit), Arc::clone(&storage), clock.clone(), Arc::new(Quiet)).unwrap();
    let progress = opened.0.progress();
    opened.0.close().unwrap();
    let (directory, signer, every) = (audit.to_owned(), signer(1), Duration::from_secs(10));
    let settings = PublishSettings { directory, signer, every, records: 1_000 };
    let told = Arc::new(Refusals::default());
    let observer: Arc<dyn PublishObserver> = Arc::<Refusals>::clone(&told);
    Publisher::new(settings, storage, clock, progress, observer).finish();
    std::mem::take(&mut *told.0.lock().unwrap())
}

/// One published generation, cut to its first records.
fn cut() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_generation(&dir.path().join("audit"), 20, "a", true);
    cut_and_close(&dir.path().join("audit"), 1, 3);
    dir
}

#[test]
fn a_repair_that_nobody_published_accounts_for_nothing() {
    let dir = cut();
    let audit = dir.path().join("audit");
    let mark = fs::read_to_string(generation(&audit, 1).join("CLOSED")).unwrap();
    let head = mark.split("\"head\":\"").nth(1).unwrap().split('"').next().unwrap();
    forge_generation(&audit, 2, Event::Repair, &[("generation", "1"), ("records", "3"), ("head", head)]);
    let log_alone = Policy::new(vec![signer(1).key().clone()], vec![], 0).unwrap();
    let against = Against { trust: Some(&log_alone), known: None };
    let report = verify_against(&audit, against, &mut |_| {}).unwrap();
    let [found] = &report.damage[..] else { panic!("{:?}", report.damage) };
    assert_eq!((found.act(), found.generation, found.seq), (Act::Truncation, Some(1), 3));
    // And the gate does not sign over it, however often it is started.
    for _ in 0..2 {
        let said = refusals(&audit);
        assert!(matches!(&said[..], [one] if one.contains("record 3 of generation 1 is gone")), "{said:?}");
    }
}

#[test]
fn a_removal_that_nobody_published_accounts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit");
    copy(&pristine().join("audit"), &audit);
    for file in layout::segments(&DiskStorage, &generation(&audit, 1)).unwrap() {
        fs::remove_file(file.path).unwrap();
    }
    let (last, days) = ("1970-01-01T00:00:00.000000Z", "180");
    let detail = [
        ("generation", "1"),
        ("before", "400"),
        ("records", "400"),
        ("last_at", last),
        ("retention_days", days),
    ];
    forge_generation(&audit, 4, Event::Pruned, &detail);
    let report = check(&audit, Given::Keys);
    let acts: Vec<_> = report.damage.iter().map(|found| (found.act(), found.generation)).collect();
    assert_eq!(acts, [(Act::Deletion, Some(1))], "{:?}", report.damage);
    let said = refusals(&audit);
    assert!(matches!(&said[..], [one] if one.contains("record 0 of generation 1 is gone")), "{said:?}");
}

#[test]
fn a_removal_that_was_too_early_is_named_though_it_was_published() {
    for (last, days, is_in_time) in [
        ("1972-09-27T00:00:00.000000Z", "180", false),
        ("1972-01-01T00:00:00.000000Z", "30", false),
        ("1972-01-01T00:00:00.000000Z", "180", true),
        ("never", "180", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("audit");
        let detail = [
            ("generation", "1"),
            ("before", "0"),
            ("records", "0"),
            ("last_at", last),
            ("retention_days", days),
        ];
        forge_generation(&audit, 1, Event::Pruned, &detail);
        // The next process closes the generation, and publishes it with its own.
        write_generation(&audit, 3, "a", true);
        let report = check_with_log_alone(&audit);
        let acts: Vec<_> = report.damage.iter().map(|found| (found.act(), found.seq)).collect();
        let expected: &[_] = if is_in_time { &[] } else { &[(Act::Deletion, 0)] };
        assert_eq!(acts, expected, "{last} {days}: {:?}", report.damage);
    }
}

fn check_with_log_alone(audit: &Path) -> VerifyReport {
    let log_alone = Policy::new(vec![signer(1).key().clone()], vec![], 0).unwrap();
    verify_against(audit, Against { trust: Some(&log_alone), known: None }, &mut |_| {}).unwrap()
}

#[test]
fn a_log_of_which_only_the_tree_is_left_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit");
    copy(&pristine().join("audit"), &audit);
    copy(&tree(&audit), &audit.join("gate-9.tlog"));
    let report = check(&audit, Given::Nothing);
    let nodes: Vec<_> = report.damage.iter().map(|found| (found.act(), found.node.to_string())).collect();
    assert_eq!(nodes, [(Act::Deletion, "gate-9".to_owned())], "{:?}", report.damage);
}

#[test]
fn a_log_is_signed_under_its_own_name() {
    let key = |name: &str| {
        let secret = crate::tlog::note::new_private_key().unwrap();
        NoteSigner::from_pkcs8(name, SignatureKind::Ed25519, &secret).unwrap().key().clone()
    };
    let trust = Policy::new(vec![key("gate-1"), key("gate-2"), key("city/3")], vec![], 0).unwrap();
    let found = |trees: &[(&str, &str)]| {
        let report = |(node, origin): &(&str, &str)| TreeReport {
            node: NodeId::parse(node).unwrap(),
            origin: (*origin).to_owned(),
            size: 1,
            root: Digest([0; 32]),
            is_signature_checked: true,
            witnessed: None,
            cosigned_by: Vec::new(),
            uncovered: 0,
        };
        let mut all = verify(&pristine().join("audit")).unwrap();
        all.trees = trees.iter().map(report).collect();
        judge_origins(Path::new("audit"), &trust, &mut all);
        all.damage.iter().map(|found| found.node.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(&[("gate-1", "gate-1"), ("gate-2", "gate-2"), ("gate-3", "city/3")]), [""; 0]);
    // Whoever has the key of one log cannot sign another with it.
    assert_eq!(found(&[("gate-1", "gate-2")]), ["gate-1"]);
    assert_eq!(found(&[("gate-3", "gate-2"), ("gate-2", "gate-2")]), ["gate-3"]);
    assert_eq!(found(&[("gate-3", "city/3"), ("gate-4", "city/3")]), ["gate-3", "gate-4"]);
}
