//! Records that are changed, put in, taken out or moved.
#![expect(clippy::too_many_lines, reason = "one table of attacks")]

use super::*;

#[test]
fn records_that_are_changed_are_named() {
    run(&[
        attack("one byte", |audit| edit(&segment(audit, 3, 0), |lines| lines[7][220] ^= 1), Given::Nothing)
            .is(Act::Edit, "`sum` does not match")
            .at(3, 7),
        attack(
            "one byte, compressed",
            |audit| edit(&segment(audit, 1, 1), |lines| forge(&mut lines[5])),
            Given::Nothing,
        )
        .is(Act::Edit, "`sum` does not match"),
        attack(
            "one byte and the checksum",
            |audit| {
                edit(&segment(audit, 1, 0), |lines| {
                    forge(&mut lines[5]);
                    make_sum_right(&mut lines[5]);
                });
            },
            Given::Nothing,
        )
        .is(Act::Edit, "not the one that was published, nor are 0 after it")
        .at(1, 5),
        attack(
            "one byte and the checksum, where no head is",
            |audit| {
                edit(&segment(audit, 3, 0), |lines| {
                    forge(&mut lines[9]);
                    make_sum_right(&mut lines[9]);
                });
            },
            Given::Nothing,
        )
        .is(Act::Edit, "its `sum` made right")
        .at(3, 9),
        attack(
            "the digest of the one before",
            |audit| edit(&segment(audit, 3, 0), |lines| lines[9][60] ^= 1),
            Given::Nothing,
        )
        .is(Act::Edit, "`prev` does not match")
        .at(3, 9),
        attack(
            "the last of a closed generation, and its checksum",
            |audit| {
                edit(&segment(audit, 3, 1), |lines| {
                    let last = lines.last_mut().unwrap();
                    forge(last);
                    make_sum_right(last);
                });
            },
            Given::Nothing,
        )
        .is(Act::Edit, "ends otherwise"),
        attack(
            "a record of another generation",
            |audit| {
                let other = lines_of(&segment(audit, 2, 0))[20].clone();
                edit(&segment(audit, 3, 0), |lines| lines[20] = other);
            },
            Given::Nothing,
        )
        .is(Act::Insertion, "belongs to generation 2")
        .at(3, 20),
        attack(
            "all, chained anew without the key",
            |audit| {
                rewrite(audit, |all| forge(&mut all[0][17]));
            },
            Given::Nothing,
        )
        .is(Act::Edit, "not the one that was published, nor are 733 after it")
        .at(1, 17),
        attack(
            "all, and the tiles",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[0][17]));
                write_tiles(audit, &leaves[..751]);
            },
            Given::Nothing,
        )
        .is(Act::Fork, "another root than the signed head of 751 records"),
        attack(
            "all, the tiles, and a head by another key",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[0][17]));
                let root = write_tiles(audit, &leaves[..751]);
                let head = Checkpoint { origin: "gate-1".to_owned(), size: 751, root };
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(2))).unwrap();
                fs::remove_file(tree(audit).join("witnessed")).unwrap();
            },
            Given::Keys,
        )
        .is(Act::ForeignHead, "not signed by `gate-1`"),
        attack(
            "all, the tiles, and a head by the stolen key: the witness knows",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[0][17]));
                let root = write_tiles(audit, &leaves[..751]);
                let head = Checkpoint { origin: "gate-1".to_owned(), size: 751, root };
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(1))).unwrap();
            },
            Given::Keys,
        )
        .is(Act::Fork, "do not begin with those that were witnessed"),
        attack(
            "after what was witnessed, with the stolen key: an earlier check knows",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[1][17]));
                let root = write_tiles(audit, &leaves[..751]);
                let head = Checkpoint { origin: "gate-1".to_owned(), size: 751, root };
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(1))).unwrap();
            },
            Given::Known,
        )
        .is(Act::Fork, "do not begin with those that were verified before"),
        attack(
            "after what was witnessed, with the stolen key: nobody else knows",
            |audit| {
                let leaves = rewrite(audit, |all| forge(&mut all[1][17]));
                let root = write_tiles(audit, &leaves[..751]);
                let head = Checkpoint { origin: "gate-1".to_owned(), size: 751, root };
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(1))).unwrap();
            },
            Given::Keys,
        ),
    ]);
}

#[test]
fn records_that_are_put_in_taken_out_or_moved_are_named() {
    run(&[
        attack(
            "one taken out",
            |audit| edit(&segment(audit, 3, 0), |lines| drop(lines.remove(7))),
            Given::Nothing,
        )
        .is(Act::Deletion, "gap: record 7")
        .at(3, 7),
        attack(
            "one taken out, and all chained anew",
            |audit| {
                rewrite(audit, |all| drop(all[0].remove(30)));
            },
            Given::Nothing,
        )
        .is(Act::Edit, "not the one that was published"),
        attack("two swapped", |audit| edit(&segment(audit, 3, 0), |lines| lines.swap(7, 9)), Given::Nothing)
            .is(Act::Swap, "record 9 stands here")
            .at(3, 7),
        attack(
            "two swapped, compressed",
            |audit| edit(&segment(audit, 2, 0), |lines| lines.swap(7, 8)),
            Given::Nothing,
        )
        .is(Act::Swap, "record 8 stands here")
        .at(2, 7),
        attack(
            "one doubled",
            |audit| edit(&segment(audit, 3, 0), |lines| lines.insert(7, lines[6].clone())),
            Given::Nothing,
        )
        .is(Act::Insertion, "out of order: record 7")
        .at(3, 7),
        attack(
            "bytes appended",
            |audit| edit(&segment(audit, 3, 1), |lines| lines.push(b"{}\n".to_vec())),
            Given::Nothing,
        )
        .is(Act::Insertion, "3 bytes follow")
        .at(3, THIRD),
        attack(
            "a segment in the middle",
            |audit| fs::remove_file(segment(audit, 1, 1)).unwrap(),
            Given::Nothing,
        )
        .is(Act::Deletion, "the segment ends here"),
        attack("the first segment", |audit| fs::remove_file(segment(audit, 1, 0)).unwrap(), Given::Nothing)
            .is(Act::Deletion, "no `pruned` record says so"),
        attack(
            "the first segment and what is known of it",
            |audit| {
                let path = segment(audit, 1, 0);
                fs::remove_file(&path).unwrap();
                fs::remove_file(path.with_file_name(layout::manifest_name(0))).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Deletion, "are missing"),
        attack(
            "every segment of a generation",
            |audit| {
                for file in layout::segments(&DiskStorage, &generation(audit, 1)).unwrap() {
                    fs::remove_file(file.path).unwrap();
                }
            },
            Given::Nothing,
        )
        .is(Act::Deletion, "the records before 400 are gone"),
        attack(
            "the first generation",
            |audit| fs::remove_dir_all(generation(audit, 1)).unwrap(),
            Given::Nothing,
        )
        .is(Act::Deletion, "generation 1 is missing")
        .at(1, 0),
        attack(
            "one in the middle",
            |audit| fs::remove_dir_all(generation(audit, 2)).unwrap(),
            Given::Nothing,
        )
        .is(Act::Deletion, "generation 2 is missing")
        .at(2, 0),
        attack(
            "the last published, and all after it",
            |audit| {
                fs::remove_dir_all(generation(audit, 2)).unwrap();
                fs::remove_dir_all(generation(audit, 3)).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Deletion, "generation 2 is missing")
        .at(2, 0),
        attack(
            "the last, which no head covers",
            |audit| fs::remove_dir_all(generation(audit, 3)).unwrap(),
            Given::Known,
        )
        .is(Act::Deletion, "generation 3 is missing")
        .at(3, 0),
        attack(
            "the last, which no head covers and nobody has seen",
            |audit| fs::remove_dir_all(generation(audit, 3)).unwrap(),
            Given::Keys,
        ),
    ]);
}
