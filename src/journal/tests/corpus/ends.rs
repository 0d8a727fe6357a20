//! Ends that are cut off.

use super::*;

/// Cuts a closed generation to its first `keep` records, and marks it closed there.
fn cut_and_close(audit: &Path, number: u32, keep: usize) {
    let files = layout::segments(&DiskStorage, &generation(audit, number)).unwrap();
    let mut head = Digest([0; 32]);
    for file in &files {
        let first = usize::try_from(file.first).unwrap();
        let mut lines = lines_of(&file.path);
        lines.truncate(keep.saturating_sub(first));
        fs::remove_file(&file.path).unwrap();
        fs::remove_file(file.path.with_file_name(layout::manifest_name(file.first))).ok();
        if let Some(last) = lines.last() {
            head = leaf_hash(&last[..last.len() - 1]);
            write_lines(&file.path.with_file_name(layout::segment_name(file.first)), &lines);
        }
    }
    let mark = format!("{{\"v\":1,\"records\":{keep},\"head\":\"{head}\"}}\n");
    fs::write(generation(audit, number).join("CLOSED"), mark).unwrap();
}

#[test]
fn an_end_that_is_cut_off_is_named() {
    run(&[
        attack(
            "the last record",
            |audit| edit(&segment(audit, 3, 1), |lines| drop(lines.pop())),
            Given::Nothing,
        )
        .is(Act::Truncation, "ends otherwise")
        .at(3, THIRD - 1),
        attack("a closed end, and its mark", |audit| cut_and_close(audit, 3, 100), Given::Known)
            .is(Act::Truncation, "there were 152 when"),
        attack(
            "a closed end and its mark, which no head covers and nobody has seen",
            |audit| cut_and_close(audit, 3, 100),
            Given::Keys,
        ),
        attack(
            "a published end, its mark, and all after it",
            |audit| {
                cut_and_close(audit, 2, 300);
                fs::remove_dir_all(generation(audit, 3)).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Truncation, "51 records that were published are gone")
        .at(2, 300),
        attack(
            "the mark",
            |audit| fs::write(generation(audit, 3).join("CLOSED"), "{}").unwrap(),
            Given::Nothing,
        )
        .is(Act::Insertion, "ends otherwise"),
    ]);
}
