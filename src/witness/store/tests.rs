use super::*;
use crate::tlog::note::{Note, SignatureKind, new_private_key};
use crate::tlog::proof::prove_consistency;
use crate::tlog::{Checkpoint, NoteSigner, TileNodes, TilePath, Tree, leaf_hash};

struct Case {
    directory: tempfile::TempDir,
    log: NoteSigner,
    key: crate::kernel::secret::Secret,
}

impl Case {
    fn new() -> Self {
        let log = NoteSigner::from_pkcs8("gate-1", SignatureKind::Ed25519, &new_private_key().unwrap());
        let case = Self {
            directory: tempfile::tempdir().unwrap(),
            log: log.unwrap(),
            key: new_private_key().unwrap(),
        };
        create(&case.state()).unwrap();
        case
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn witness(&self) -> Witness {
        let signer = NoteSigner::from_pkcs8("witness", SignatureKind::Cosignature, &self.key).unwrap();
        Witness::new(signer, [self.log.key().clone()]).unwrap()
    }

    fn open(&self) -> Result<Store, WitnessError> {
        Store::open(&self.state(), &self.witness())
    }

    fn cosign(&self, store: &Store, request: &Request) -> Result<Cosigned, NotCosigned> {
        store.cosign(&self.witness(), request, Timestamp::from_second(1_700_000_000).unwrap())
    }

    /// From the head of `old` leaves to that of `new`, in a log of up to 256 leaves called `branch`.
    fn request(&self, branch: &str, old: u64, new: u64) -> Request {
        let leaves: Vec<Digest> = (0..new).map(|at| leaf_hash(format!("{branch} {at}").as_bytes())).collect();
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        let tile = |_: TilePath| Ok::<_, io::Error>(leaves.iter().flat_map(|leaf| leaf.0).collect());
        let proof = prove_consistency(&mut TileNodes::new(new, tile), old, new).unwrap();
        let head = Checkpoint { origin: "gate-1".to_owned(), size: new, root: tree.root() };
        Request::new(old, proof, Note::parse(head.sign(&self.log).as_bytes()).unwrap()).unwrap()
    }
}

fn hash() -> String {
    Digest::of(b"gate-1").to_hex()
}

#[test]
fn what_was_cosigned_is_known_after_a_restart() {
    let case = Case::new();
    let store = case.open().unwrap();
    assert_eq!(store.latest(&hash()), None);
    let first = case.cosign(&store, &case.request("a", 0, 5)).unwrap();
    assert_eq!(store.latest(&hash()).unwrap().as_str(), first.note);
    drop(store);
    let store = case.open().unwrap();
    assert_eq!(store.latest(&hash()).unwrap().as_str(), first.note);
    let forked = case.cosign(&store, &case.request("b", 5, 9));
    assert!(matches!(forked, Err(NotCosigned::Forked { refusal: Refusal::Forked { at: 5, new: 9 }, .. })));
    let anew = case.cosign(&store, &case.request("b", 0, 9));
    assert!(matches!(anew, Err(NotCosigned::Refused(Refusal::Conflict { latest: 5, .. }))));
    case.cosign(&store, &case.request("a", 5, 9)).unwrap();
}

#[test]
fn requests_at_once_are_decided_one_after_the_other() {
    let case = Case::new();
    let (store, requests) = (case.open().unwrap(), [case.request("a", 0, 7), case.request("b", 0, 8)]);
    let granted: usize = std::thread::scope(|scope| {
        let (case, store) = (&case, &store);
        let ask = |request| scope.spawn(move || case.cosign(store, request).is_ok());
        let asked: Vec<_> = requests.iter().map(ask).collect();
        asked.into_iter().map(|asked| usize::from(asked.join().unwrap())).sum()
    });
    assert_eq!(granted, 1, "two heads that contradict each other");
}

#[test]
fn one_process_works_on_state_that_was_made_before() {
    let case = Case::new();
    let store = case.open().unwrap();
    assert!(matches!(case.open(), Err(WitnessError::Locked { .. })));
    drop(store);
    assert!(case.open().is_ok());
    assert!(matches!(create(&case.state()), Err(WitnessError::Exists { .. })));
    fs::remove_dir_all(case.state()).unwrap();
    assert!(matches!(case.open(), Err(WitnessError::NoState { .. })));
    // Such as the mount point of a volume that is not there.
    fs::create_dir(case.state()).unwrap();
    assert!(matches!(case.open(), Err(WitnessError::NoState { .. })));
}

#[test]
fn a_head_that_cannot_be_kept_is_not_cosigned_and_damage_is_told() {
    let case = Case::new();
    let store = case.open().unwrap();
    case.cosign(&store, &case.request("a", 0, 5)).unwrap();
    // A directory in the way of the new file: nothing is written, and nothing changes.
    let way = case.state().join(format!("{}.new", hash()));
    fs::create_dir(&way).unwrap();
    assert!(matches!(case.cosign(&store, &case.request("a", 5, 6)), Err(NotCosigned::Unkept(_))));
    fs::remove_dir(&way).unwrap();
    case.cosign(&store, &case.request("a", 5, 7)).unwrap();
    drop(store);

    let path = checkpoint_path(&case.state(), &hash());
    let kept = fs::read(&path).unwrap();
    for bad in [kept[..kept.len() - 9].to_vec(), Vec::new(), {
        let mut other = kept.clone();
        other[8] ^= 1;
        other
    }] {
        fs::write(&path, bad).unwrap();
        assert!(matches!(case.open(), Err(WitnessError::Damaged { .. } | WitnessError::File { .. })));
    }
    fs::write(&path, kept).unwrap();
    assert!(case.open().is_ok());
}

#[test]
fn after_a_directory_that_cannot_be_synced_nothing_is_cosigned() {
    let case = Case::new();
    let store = case.open().unwrap();
    store.is_uncertain.store(true, Ordering::SeqCst);
    assert!(matches!(case.cosign(&store, &case.request("a", 0, 5)), Err(NotCosigned::Uncertain)));
}

fn evidence(case: &Case) -> PathBuf {
    case.state().join(format!("{}.fork", hash()))
}

#[test]
fn evidence_of_a_fork_is_kept_once_and_shows_both_histories() {
    let case = Case::new();
    let store = case.open().unwrap();
    let kept = case.cosign(&store, &case.request("a", 0, 5)).unwrap().note;
    let (first, second) = (case.request("b", 5, 9), case.request("c", 5, 5));
    let refused = case.cosign(&store, &first);
    let Err(NotCosigned::Forked { refusal: Refusal::Forked { at: 5, new: 9 }, evidence: Ok(Some(path)) }) =
        refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(path, evidence(&case));
    let again = case.cosign(&store, &second);
    assert!(matches!(again, Err(NotCosigned::Forked { evidence: Ok(None), .. })), "{again:?}");
    // Each half is what it was: a note that the log and the witness signed, and a request.
    let text = fs::read_to_string(path).unwrap();
    let (cosigned, refused) = text.split_at(kept.len());
    assert_eq!((cosigned, refused), (kept.as_str(), format!("\n{first}").as_str()));
    assert_eq!(Request::parse(refused.trim_start().as_bytes()).unwrap(), first);
}

#[test]
fn what_anyone_can_send_is_no_evidence() {
    let case = Case::new();
    let store = case.open().unwrap();
    case.cosign(&store, &case.request("a", 0, 5)).unwrap();
    let junk = vec![Digest::of(b"junk")];
    for genuine in [case.request("a", 5, 5), case.request("a", 5, 9)] {
        let made_up = Request::new(5, junk.clone(), genuine.note).unwrap();
        let refused = case.cosign(&store, &made_up);
        assert!(
            matches!(refused, Err(NotCosigned::Refused(Refusal::Inconsistent { old: 5, .. }))),
            "{refused:?}"
        );
    }
    assert!(!evidence(&case).exists());
}

#[test]
fn a_head_that_is_sent_again_costs_the_disk_nothing() {
    let case = Case::new();
    let store = case.open().unwrap();
    let first = case.cosign(&store, &case.request("a", 0, 5)).unwrap();
    // Whatever is written would fail.
    let way = case.state().join(format!("{}.new", hash()));
    fs::create_dir(&way).unwrap();
    let again = case.cosign(&store, &case.request("a", 5, 5)).unwrap();
    assert_eq!((&again.checkpoint, &again.line), (&first.checkpoint, &first.line));
    assert!(matches!(case.cosign(&store, &case.request("a", 5, 6)), Err(NotCosigned::Unkept(_))));
    fs::remove_dir(&way).unwrap();
    drop(store);

    // Signed by a key that was replaced since, it is kept anew, once.
    let case = Case { key: new_private_key().unwrap(), ..case };
    let store = case.open().unwrap();
    let anew = case.cosign(&store, &case.request("a", 5, 5)).unwrap();
    assert_eq!(store.latest(&hash()).unwrap().as_str(), anew.note);
    fs::create_dir(&way).unwrap();
    case.cosign(&store, &case.request("a", 5, 5)).unwrap();
}

#[test]
fn a_log_whose_file_is_gone_is_not_one_that_is_new() {
    let case = Case::new();
    let store = case.open().unwrap();
    case.cosign(&store, &case.request("a", 0, 5)).unwrap();
    drop(store);
    let path = checkpoint_path(&case.state(), &hash());
    let kept = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(case.open(), Err(WitnessError::Forgotten { .. })));
    // A process that ends before the list is written has answered nobody; the next one lists it.
    fs::write(&path, &kept).unwrap();
    fs::write(case.state().join(ORIGINS), "").unwrap();
    assert!(case.open().is_ok());
    assert_eq!(fs::read_to_string(case.state().join(ORIGINS)).unwrap(), "gate-1\n");
    fs::remove_file(&path).unwrap();
    assert!(matches!(case.open(), Err(WitnessError::Forgotten { .. })));
    // Without the list nobody knows.
    fs::write(&path, &kept).unwrap();
    fs::remove_file(case.state().join(ORIGINS)).unwrap();
    assert!(matches!(case.open(), Err(WitnessError::File { .. })));
}

#[test]
fn a_log_that_cannot_be_listed_is_not_cosigned() {
    let case = Case::new();
    let store = case.open().unwrap();
    let way = case.state().join("origins.new");
    fs::create_dir(&way).unwrap();
    assert!(matches!(case.cosign(&store, &case.request("a", 0, 5)), Err(NotCosigned::Unkept(_))));
    assert_eq!(store.latest(&hash()), None);
    fs::remove_dir(&way).unwrap();
    case.cosign(&store, &case.request("a", 0, 5)).unwrap();
}
