use super::super::note::NoteSigner;
use super::super::proof::prove_consistency;
use super::super::tests::{leaves, nodes, root, signer, tiles};
use super::*;

struct Case {
    leaves: Vec<Digest>,
    log: NoteSigner,
    witness: Witness,
}

const ORIGIN: &str = "gate-1";

fn case() -> Case {
    let log = signer(ORIGIN, SignatureKind::Ed25519);
    let witness = Witness::new(signer("witness.example", SignatureKind::Cosignature), [log.key().clone()]);
    Case { leaves: leaves(300), log, witness: witness.unwrap() }
}

impl Case {
    fn head(&self, size: u64) -> Checkpoint {
        let root = root(&self.leaves[..usize::try_from(size).unwrap()]);
        Checkpoint { origin: ORIGIN.to_owned(), size, root }
    }

    fn proof(&self, old: u64, new: u64) -> Vec<Digest> {
        prove_consistency(&mut nodes(300, &tiles(&self.leaves)), old, new).unwrap()
    }

    fn request(&self, old: u64, new: u64) -> Request {
        request(old, self.proof(old, new), &self.head(new), &self.log)
    }

    fn judge(&self, request: &Request, latest: Option<u64>) -> Result<Cosigned, Refusal> {
        let latest = latest.map(|size| self.head(size));
        self.witness.judge(request, latest.as_ref(), now())
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn request(old: u64, proof: Vec<Digest>, head: &Checkpoint, log: &NoteSigner) -> Request {
    Request::new(old, proof, Note::parse(head.sign(log).as_bytes()).unwrap()).unwrap()
}

fn status(result: &Result<Cosigned, Refusal>) -> u16 {
    result.as_ref().map_or_else(Refusal::status, |_| 200)
}

#[test]
fn a_log_that_grows_is_cosigned() {
    let case = case();
    for (old, new, latest) in [
        (0, 0, None),
        (0, 5, None),
        (0, 5, Some(0)),
        (5, 5, Some(5)),
        (5, 256, Some(5)),
        (256, 300, Some(256)),
    ] {
        let cosigned = case.judge(&case.request(old, new), latest).unwrap();
        assert_eq!(cosigned.checkpoint, case.head(new));
        let answered = Note::parse(format!("{}{}", case.head(new).sign(&case.log), cosigned.line).as_bytes());
        assert_eq!(cosigned_at(&answered.unwrap(), case.witness.key()), Ok(now()));
        // What is kept has both signatures, and reads back.
        let kept = Note::parse(cosigned.note.as_bytes()).unwrap();
        assert!(kept.verify(case.log.key()).is_ok() && cosigned_at(&kept, case.witness.key()).is_ok());
        let reopened = Reopened { checkpoint: case.head(new), is_current: true };
        assert_eq!(case.witness.reopen(cosigned.note.as_bytes()), Ok(reopened));
    }
}

#[test]
fn a_fork_is_refused_from_wherever_it_starts() {
    let case = case();
    let mut forked = self::case();
    forked.leaves[3] = super::super::leaf_hash(b"another");
    for (old, new) in [(5, 5), (5, 6), (5, 300), (256, 300), (4, 8)] {
        let fork = request(old, forked.proof(old, new), &forked.head(new), &case.log);
        let refused = case.judge(&fork, Some(old));
        // Where the first is a whole subtree, the proof does not say its root, and proves nothing.
        let expected = if old.is_power_of_two() {
            Refusal::Inconsistent { old, new }
        } else {
            Refusal::Forked { at: old, new }
        };
        assert_eq!(refused, Err(expected), "{old} to {new}");
        // The proof of the true log does not help the forked one.
        let fork = request(old, case.proof(old, new), &forked.head(new), &case.log);
        assert_eq!(status(&case.judge(&fork, Some(old))), if old == new { 409 } else { 422 });
    }
    // Another root of one size is one wherever it is offered from.
    let other = request(0, Vec::new(), &forked.head(256), &case.log);
    assert_eq!(case.judge(&other, Some(256)), Err(Refusal::Forked { at: 256, new: 256 }));
    // To say that it starts anew, or from an older head, does not help either.
    let anew = request(0, Vec::new(), &forked.head(300), &case.log);
    assert_eq!(case.judge(&anew, Some(256)), Err(Refusal::Conflict { latest: 256, old: 0 }));
    let older = request(2, forked.proof(2, 300), &forked.head(300), &case.log);
    assert_eq!(case.judge(&older, Some(256)), Err(Refusal::Conflict { latest: 256, old: 2 }));
    // Nor does an older head of the log itself, such as a restored backup has.
    assert_eq!(status(&case.judge(&case.request(5, 256), Some(300))), 409);
    assert_eq!(status(&case.judge(&case.request(256, 256), Some(300))), 409);
}

/// Anyone can take a head that the log has published, and put any proof before it.
#[test]
fn nobody_but_the_log_makes_a_fork() {
    let case = case();
    for (old, new) in [(5, 5), (5, 6), (18, 300), (256, 300)] {
        let proof = case.proof(old, new);
        let mut made_up = vec![vec![Digest::of(b"junk")], vec![Digest::of(b"junk"); proof.len()]];
        for at in 0..proof.len() {
            let mut spoiled = proof.clone();
            spoiled[at].0[7] ^= 1;
            made_up.push(spoiled);
        }
        for proof in made_up.into_iter().filter(|proof| !proof.is_empty()) {
            let refused = case.judge(&request(old, proof, &case.head(new), &case.log), Some(old));
            assert_eq!(refused, Err(Refusal::Inconsistent { old, new }), "{old} to {new}");
        }
    }
}

#[test]
fn answers_are_those_of_the_specification_in_its_order() {
    let case = case();
    let check = |request: &Request, latest, expected| {
        let got = case.judge(request, latest);
        assert_eq!(status(&got), expected, "{got:?}");
    };
    let stranger = signer(ORIGIN, SignatureKind::Ed25519);
    let other = signer("gate-2", SignatureKind::Ed25519);
    let foreign = Checkpoint { origin: "gate-2".to_owned(), ..case.head(5) };
    // 404 before 403: the origin is looked at first.
    check(&request(0, vec![], &foreign, &other), None, 404);
    check(&request(0, vec![], &foreign, &case.log), None, 404);
    check(&request(0, vec![], &case.head(5), &stranger), None, 403);
    // A name and id that are known, and another's signature: the note is malformed, though a good one stands beside.
    let text = case.head(5).to_string();
    let forged = signature_line(case.log.key(), &stranger.sign(text.as_bytes()));
    let note = Note::parse(format!("{text}\n{}{forged}", case.log.line(&text)).as_bytes()).unwrap();
    check(&Request::new(0, vec![], note).unwrap(), None, 403);
    // 400 before 409, 403 before 400.
    check(&request(6, vec![], &case.head(5), &case.log), Some(4), 400);
    check(&request(6, vec![], &case.head(5), &stranger), Some(4), 403);
    // 409 before 422.
    check(&request(5, vec![], &case.head(300), &case.log), Some(6), 409);
    check(&request(5, vec![], &case.head(300), &case.log), None, 409);
    check(&request(0, case.proof(5, 300), &case.head(300), &case.log), Some(5), 409);
    // 422: a proof where none may be, a wrong one, an empty tree with another root.
    check(&request(0, case.proof(5, 300), &case.head(300), &case.log), None, 422);
    check(&request(5, vec![], &case.head(300), &case.log), Some(5), 422);
    check(&request(5, case.proof(5, 300), &case.head(5), &case.log), Some(5), 422);
    let empty = Checkpoint { size: 0, ..case.head(5) };
    check(&request(0, vec![], &empty, &case.log), None, 422);
    // 409: another root of the same size.
    let same = Checkpoint { size: 5, ..case.head(6) };
    check(&request(5, vec![], &same, &case.log), Some(5), 409);
}

#[test]
fn a_log_may_change_its_key_and_signatures_of_strangers_are_not_kept() {
    let case = case();
    let new = signer(ORIGIN, SignatureKind::Ed25519);
    let keys = [case.log.key().clone(), new.key().clone()];
    let witness = Witness::new(signer("w", SignatureKind::Cosignature), keys).unwrap();
    let text = case.head(5).to_string();
    let stranger = signer("stranger", SignatureKind::Ed25519);
    let lines = format!("{}{}{}", stranger.line(&text), new.line(&text), new.line(&text));
    let note = Note::parse(format!("{text}\n{lines}").as_bytes()).unwrap();
    let cosigned = witness.judge(&Request::new(0, vec![], note).unwrap(), None, now()).unwrap();
    assert_eq!(cosigned.note, format!("{text}\n{}{}", new.line(&text), cosigned.line));
    // The log's other key alone, or the witness's, is enough to read back what was kept.
    let next = Witness::new(signer("w", SignatureKind::Cosignature), [new.key().clone()]).unwrap();
    assert_eq!(next.reopen(cosigned.note.as_bytes()).map(|kept| kept.is_current), Ok(false));
    let neither = Witness::new(signer("w", SignatureKind::Cosignature), [case.log.key().clone()]).unwrap();
    assert!(neither.reopen(cosigned.note.as_bytes()).is_err());
    for bit in 0..cosigned.note.len() * 8 {
        let mut bad = cosigned.note.clone().into_bytes();
        bad[bit / 8] ^= 1 << (bit % 8);
        let kept = witness.reopen(&bad);
        // A changed name or id makes a stranger's signature of one of the two, and changes no head.
        assert!(kept.is_err() || kept.map(|kept| kept.checkpoint) == Ok(case.head(5)), "bit {bit}");
    }
}

#[test]
fn requests_are_read_as_they_are_written_and_in_no_other_form() {
    let case = case();
    for request in [case.request(0, 5), case.request(5, 300)] {
        assert_eq!(Request::parse(request.to_string().as_bytes()), Ok(request));
    }
    let text = case.request(5, 300).to_string();
    let hash = text.lines().nth(1).unwrap();
    let bad = [
        String::new(),
        "old 5".to_owned(),
        "old 5\n\n".to_owned(),
        text.replacen("old 5", "old 05", 1),
        text.replacen("old 5", "old  5", 1),
        text.replacen("old 5", "old -5", 1),
        text.replacen("old 5", "old 18446744073709551616", 1),
        text.replacen("old 5", "new 5", 1),
        text.replacen(hash, "AAAA", 1),
        text.replacen(hash, &hash.replace('=', ""), 1),
        text.replacen(hash, &format!("{hash}\n").repeat(64), 1),
        text.replacen("\n\n", "\n", 1),
        text.replacen(ORIGIN, "", 1),
        text.replacen("\n300\n", "\n0300\n", 1),
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("{text}\n"),
        "x".repeat(MAX_REQUEST_BYTES + 1),
    ];
    for bad in bad {
        let refused = Request::parse(bad.as_bytes());
        assert!(matches!(refused, Err(Refusal::Malformed(_))), "{bad}: {refused:?}");
    }
    assert!(Request::parse(b"old 0\n\n\xff\n").is_err());
}

#[test]
fn keys_of_the_wrong_kind_make_no_witness() {
    let (log, witness) = (signer("a", SignatureKind::Ed25519), signer("w", SignatureKind::Cosignature));
    let key = witness.key().clone();
    assert!(Witness::new(log, []).is_err());
    assert!(Witness::new(witness, [key]).is_err());
}
