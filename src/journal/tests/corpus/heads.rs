//! Heads that are old, foreign or gone, and pasts that others have not.
#![expect(clippy::too_many_lines, reason = "one table of attacks")]

use super::*;

#[test]
fn heads_that_are_old_foreign_or_gone_are_named() {
    run(&[
        attack(
            "an old head, and an earlier check",
            |audit| {
                fs::copy(pristine().join("old"), tree(audit).join("checkpoint")).unwrap();
            },
            Given::Known,
        )
        .is(Act::OldHead, "one of 751 was verified before"),
        attack(
            "an old head, and a witness of the new one",
            |audit| {
                let head = fs::read_to_string(tree(audit).join("checkpoint")).unwrap();
                fs::write(tree(audit).join("witnessed"), witnessed(&head)).unwrap();
                fs::copy(pristine().join("old"), tree(audit).join("checkpoint")).unwrap();
            },
            Given::Keys,
        )
        .is(Act::OldHead, "one of 751 was witnessed"),
        attack(
            "an old copy of everything",
            |audit| {
                fs::remove_dir_all(generation(audit, 2)).unwrap();
                fs::remove_dir_all(generation(audit, 3)).unwrap();
                fs::remove_dir_all(tree(audit).join("tile")).unwrap();
                let leaves: Vec<Digest> = layout::segments(&DiskStorage, &generation(audit, 1))
                    .unwrap()
                    .iter()
                    .flat_map(|file| lines_of(&file.path))
                    .map(|line| leaf_hash(&line[..line.len() - 1]))
                    .collect();
                fs::create_dir(tree(audit).join("tile")).unwrap();
                write_tiles(audit, &leaves);
                fs::write(tree(audit).join("spans"), "{\"generation\":1,\"seq\":0,\"index\":0}\n").unwrap();
                fs::copy(pristine().join("old"), tree(audit).join("checkpoint")).unwrap();
            },
            Given::Known,
        )
        .is(Act::OldHead, "one of 751 was verified before"),
        attack(
            "another key of the same name",
            |audit| {
                let note = fs::read(tree(audit).join("checkpoint")).unwrap();
                let (head, _) = Checkpoint::open(&note, signer(1).key()).unwrap();
                fs::write(tree(audit).join("checkpoint"), head.sign(&signer(2))).unwrap();
            },
            Given::Keys,
        )
        .is(Act::ForeignHead, "not signed by `gate-1`"),
        attack(
            "a signature that is wrong",
            |audit| {
                let path = tree(audit).join("checkpoint");
                let text = fs::read_to_string(&path).unwrap().replacen("751", "752", 1);
                fs::write(path, text).unwrap();
            },
            Given::Keys,
        )
        .is(Act::ForeignHead, "the signature by `gate-1` is wrong"),
        attack("no head", |audit| fs::remove_file(tree(audit).join("checkpoint")).unwrap(), Given::Keys)
            .is(Act::ForeignHead, "there is no signed head"),
        attack("no tree at all", |audit| fs::remove_dir_all(tree(audit)).unwrap(), Given::Keys)
            .is(Act::ForeignHead, "there is no signed head"),
        attack(
            "no tree at all, and an earlier check",
            |audit| fs::remove_dir_all(tree(audit)).unwrap(),
            Given::Known,
        )
        .is(Act::ForeignHead, "there is no signed head"),
        attack(
            "no cosignature",
            |audit| fs::remove_file(tree(audit).join("witnessed")).unwrap(),
            Given::Keys,
        )
        .is(Act::ForeignHead, "are no quorum"),
        attack(
            "a cosignature that is wrong",
            |audit| {
                let path = tree(audit).join("witnessed");
                let head = fs::read_to_string(&path).unwrap();
                let (text, lines) = head.split_once("\n\n").unwrap();
                let other = witnessed(&fs::read_to_string(tree(audit).join("checkpoint")).unwrap());
                let foreign = other.lines().last().unwrap();
                let own = lines.lines().next().unwrap();
                fs::write(path, format!("{text}\n\n{own}\n{foreign}\n")).unwrap();
            },
            Given::Keys,
        )
        .is(Act::ForeignHead, "the signature by `regulator` is wrong"),
    ]);
}

#[test]
fn a_fork_is_seen_by_who_has_seen_the_other_branch() {
    // Two logs with the same first generation.
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (one.path().join("audit"), other.path().join("audit"));
    fs::create_dir_all(&one).unwrap();
    write_generation(&one, 300, "a", true);
    copy(&one, &other);
    write_generation(&one, 60, "b", true);
    write_generation(&other, 90, "c", true);
    assert!(verify(&one).unwrap().is_intact() && verify(&other).unwrap().is_intact());
    let before = verify(&one).unwrap().known;
    let report = verify_against(&other, Against { trust: None, known: Some(&before) }, &mut |_| {}).unwrap();
    assert!(report.damage.iter().any(|found| found.act() == Act::Fork), "{:?}", report.damage);
    // Whoever has only seen what both have sees nothing.
    let mut early = before;
    early.nodes[0].generations.truncate(1);
    let mut growth = Growth::default();
    for file in layout::segments(&DiskStorage, &generation(&one, 1)).unwrap() {
        lines_of(&file.path)
            .iter()
            .for_each(|line| growth.push(leaf_hash(&line[..line.len() - 1]), &mut Vec::new()));
    }
    let known_tree = early.nodes[0].tree.as_mut().unwrap();
    (known_tree.size, known_tree.root) = (300, growth.root().to_hex());
    let report = verify_against(&other, Against { trust: None, known: Some(&early) }, &mut |_| {}).unwrap();
    assert!(report.is_intact(), "{:?}", report.damage);
    // What was known is not read again.
    assert_eq!(report.generations.iter().map(|done| done.is_read).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_has_come_since_is_verified_alone() {
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit");
    copy(&pristine().join("audit"), &audit);
    write_generation(&audit, 500, "d", true);
    let report = check(&audit, Given::Known);
    assert!(report.is_intact(), "{:?}", report.damage);
    let tree = &report.trees[0];
    assert_eq!((tree.size, tree.uncovered), (FIRST + SECOND + THIRD + 503, 0));
    // The third was verified before, but is under a head only now.
    assert_eq!(
        report.generations.iter().map(|done| done.is_read).collect::<Vec<_>>(),
        [false, false, true, true]
    );
    // What is read is held against what was known: another past of the third generation is seen.
    edit(&segment(&audit, 3, 0), |lines| {
        forge(&mut lines[9]);
        make_sum_right(&mut lines[9]);
    });
    let report = check(&audit, Given::Known);
    let places: Vec<_> =
        report.damage.iter().map(|found| (found.act(), found.generation, found.seq)).collect();
    assert_eq!(places, [(Act::Edit, Some(3), 9)]);
}
