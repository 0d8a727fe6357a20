use super::super::note::SignatureKind;
use super::super::proof::prove_inclusion;
use super::super::tests::{leaves, nodes, root, signer, tiles};
use super::super::{NoteSigner, cosignature};
use super::*;
use crate::kernel::time::Timestamp;

struct Case {
    leaves: Vec<Digest>,
    policy: Policy,
    receipt: Receipt,
}

/// Entry 137 of 300, cosigned by a witness.
fn case() -> Case {
    let leaves = leaves(300);
    let log = signer("gate-1", SignatureKind::Ed25519);
    let witness = signer("witness.example", SignatureKind::Cosignature);
    let checkpoint = note(&leaves, &log, &witness);
    let proof = prove_inclusion(&mut nodes(300, &tiles(&leaves)), 137, 300).unwrap();
    let receipt = Receipt { extra: Some(b"access 137".to_vec()), index: 137, proof, checkpoint };
    let policy = Policy::new(vec![log.key().clone()], vec![witness.key().clone()], 1).unwrap();
    Case { leaves, policy, receipt }
}

fn note(leaves: &[Digest], log: &NoteSigner, witness: &NoteSigner) -> Note {
    let size = u64::try_from(leaves.len()).unwrap();
    let head = Checkpoint { origin: "gate-1".to_owned(), size, root: root(leaves) };
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    let line = cosignature::cosign(&head.to_string(), witness, at).unwrap();
    Note::parse(format!("{}{line}", head.sign(log)).as_bytes()).unwrap()
}

#[test]
fn a_receipt_reads_back_and_proves_its_entry_alone() {
    let Case { leaves, policy, receipt } = case();
    let text = receipt.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra YWNjZXNzIDEzNw==\nindex 137\n"), "{text}");
    let read = Receipt::parse(text.as_bytes()).unwrap();
    assert_eq!(read, receipt);
    let trusted = read.verify(&leaves[137], &policy).unwrap();
    assert_eq!((trusted.checkpoint.size, trusted.cosigned.len()), (300, 1));
    for (at, leaf) in leaves.iter().enumerate().filter(|(at, _)| *at != 137) {
        assert_eq!(read.verify(leaf, &policy), Err(Unproved::Proof(ProofError::Root)), "entry {at}");
    }
    let bare = Receipt { extra: None, ..receipt };
    assert_eq!(Receipt::parse(bare.to_string().as_bytes()), Ok(bare));
}

#[test]
fn every_flipped_bit_is_refused_but_in_the_extra_data() {
    let Case { leaves, policy, receipt } = case();
    let text = receipt.to_string().into_bytes();
    let extra = receipt.to_string().find("YWNj").unwrap();
    let extra = extra..extra + 16;
    for bit in 0..text.len() * 8 {
        let mut bad = text.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let verified =
            Receipt::parse(&bad).is_ok_and(|receipt| receipt.verify(&leaves[137], &policy).is_ok());
        assert!(!verified || extra.contains(&(bit / 8)), "bit {bit}");
    }
}

#[test]
fn anything_else_is_no_receipt() {
    let Case { receipt, .. } = case();
    let text = receipt.to_string();
    let check = |bad: &str, expected: &str| {
        let error = Receipt::parse(bad.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, expected, "{bad:?}");
    };
    check("", "line 1 of the receipt is not ended by a newline");
    check(&text.replace("@v1", "@v2"), "line 1 of the receipt is not `c2sp.org/tlog-proof@v1`");
    check(
        &text.replace("extra ", "extra  "),
        "line 2 of the receipt is not `extra` and at most 64 KiB in base64",
    );
    for bad in
        ["index 0137", "index +137", "index 137 ", "index  137", "Index 137", "index 99999999999999999999"]
    {
        check(&text.replace("index 137", bad), "line 3 of the receipt is not `index` and a decimal number");
    }
    let first = BASE64.encode(&receipt.proof[0].0);
    for bad in [" ", "AAAA", &format!("A{first}"), &format!("{first}\r"), &first.replace('=', "")] {
        check(&text.replace(&first, bad), "line 4 of the receipt is not a hash in base64, or empty");
    }
    check(&text.replace(&first, &format!("{first}\n").repeat(65)), "the receipt has more than 64 hashes");
    check(&text.replace('\n', "\r\n"), "line 1 of the receipt is not `c2sp.org/tlog-proof@v1`");
    check(&text.replace("gate-1\n300", "gate-1\n0300"), "the receipt's checkpoint cannot be read");
    check(text.trim_end(), "the receipt's checkpoint cannot be read");
    check(&"x".repeat(MAX_RECEIPT_BYTES + 1), &ReceiptError::TooLong.to_string());
}
