//! Requests to a witness.
//!
//! Input: the body. Those among the seeds are of the log of `signers.rs`, and of its fork.

use pinegate::kernel::time::Timestamp;
use pinegate::tlog::cosignature::cosigned_at;
use pinegate::tlog::note::Note;
use pinegate::tlog::witness::{Refusal, Request, Witness};

use super::signers;

pub(crate) fn check(data: &[u8]) {
    let request = match Request::parse(data) {
        Ok(request) => request,
        Err(refusal) => return assert_eq!(refusal.status(), 400),
    };
    assert_eq!(request.to_string().as_bytes(), data, "it shows as what was read");
    let [signer, ..] = signers::witnesses();
    let key = signer.key().clone();
    let witness = Witness::new(signer, [signers::log().key().clone()]).expect("the keys fit");
    let at = Timestamp::from_second(1_700_000_000).expect("a time");
    let leaves = signers::leaves(false);
    for latest in [0, 2, 3, 5, 8] {
        let head = signers::head(&leaves, latest);
        let judged = witness.judge(&request, Some(&head), at);
        if latest == 0 {
            // A head of no leaves binds as little as none.
            assert_eq!(judged, witness.judge(&request, None, at));
        }
        match judged {
            Ok(cosigned) => {
                let size = usize::try_from(cosigned.checkpoint.size).expect("it is small");
                let is_on = |is_fork| signers::head(&signers::leaves(is_fork), size) == cosigned.checkpoint;
                // Up to the third leaf the fork is the log itself.
                let is_continued = is_on(false) || (latest <= 3 && is_on(true));
                assert!(is_continued && size >= latest && request.old == head.size, "a fork was cosigned");
                let kept = Note::parse(cosigned.note.as_bytes()).expect("what is kept is a note");
                assert_eq!(cosigned_at(&kept, &key), Ok(at));
                let kept = witness.reopen(cosigned.note.as_bytes());
                assert_eq!(kept.map(|kept| kept.checkpoint), Ok(cosigned.checkpoint));
            }
            Err(Refusal::Conflict { latest, old }) => assert!(latest == head.size && old != latest),
            Err(Refusal::Inconsistent { old, new }) => {
                assert!(old == head.size && new == request.checkpoint().size)
            }
            Err(Refusal::Forked { at, new }) => {
                assert!(at == head.size && at > 3 && new == request.checkpoint().size);
                let size = usize::try_from(new).expect("it is small");
                assert_eq!(signers::head(&signers::leaves(true), size), *request.checkpoint());
            }
            Err(Refusal::UnknownLog(origin)) => assert_ne!(origin, signers::ORIGIN),
            Err(Refusal::Malformed(_)) => assert!(request.old > request.checkpoint().size),
            Err(Refusal::Unsigned(origin)) => assert_eq!(origin, signers::ORIGIN),
            Err(Refusal::Unable(error)) => panic!("{error}"),
        }
    }
}
