//! Hashes that are changed or gone: of the tree, and of segments.

use super::*;

#[test]
fn hashes_that_are_changed_or_gone_are_named() {
    run(&[
        attack("a full tile", |audit| flip(&tree(audit).join("tile/0/001"), 40), Given::Nothing)
            .is(Act::Hashes, "the tile `tile/0/001` is not what the records give"),
        attack("a partial tile", |audit| flip(&tree(audit).join("tile/0/002.p/239"), 40), Given::Nothing)
            .is(Act::Hashes, "the tile `tile/0/002.p/239` is not what"),
        attack("an upper tile", |audit| flip(&tree(audit).join("tile/1/000.p/2"), 40), Given::Nothing)
            .is(Act::Hashes, "the tile `tile/1/000.p/2` is not what"),
        attack("a tile that is cut", |audit| cut(&tree(audit).join("tile/0/001")), Given::Nothing)
            .is(Act::Hashes, "the tile `tile/0/001` is missing or cut off"),
        attack(
            "no full tile",
            |audit| fs::remove_file(tree(audit).join("tile/0/000")).unwrap(),
            Given::Nothing,
        )
        .is(Act::Hashes, "the tile `tile/0/000` is missing or cut off"),
        attack(
            "no upper tile",
            |audit| fs::remove_file(tree(audit).join("tile/1/000.p/2")).unwrap(),
            Given::Nothing,
        )
        .is(Act::Hashes, "the tile `tile/1/000.p/2` is missing or cut off"),
        attack("no tiles", |audit| fs::remove_dir_all(tree(audit).join("tile")).unwrap(), Given::Keys)
            .is(Act::Hashes, "the tile `tile/0/000` is missing or cut off"),
        attack("no spans", |audit| fs::remove_file(tree(audit).join("spans")).unwrap(), Given::Nothing)
            .is(Act::Hashes, "where the generations begin"),
        attack(
            "other spans",
            |audit| {
                let spans =
                    "{\"generation\":1,\"seq\":0,\"index\":0}\n{\"generation\":2,\"seq\":0,\"index\":390}\n";
                fs::write(tree(audit).join("spans"), spans).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Insertion, "records follow that were not there"),
        attack("a manifest", |audit| edit_manifest(audit, "\"records\":", "\"records\":1"), Given::Nothing)
            .is(Act::Hashes, "differ in `records`"),
        attack(
            "the head of a manifest",
            |audit| edit_manifest(audit, "\"head\":\"", "\"head\":\"0"),
            Given::Nothing,
        )
        .is(Act::Hashes, "the manifest cannot be read"),
        attack("the digest of a manifest", |audit| replace_digest(audit, "sha256"), Given::Nothing)
            .is(Act::Hashes, "differ in `sha256`"),
        attack(
            "an instant of a manifest",
            |audit| edit_manifest(audit, "\"last_at\":\"1970", "\"last_at\":\"2970"),
            Given::Nothing,
        )
        .is(Act::Hashes, "differ in `last_at`"),
        attack("the manifest before", |audit| replace_digest(audit, "before"), Given::Nothing)
            .is(Act::Hashes, "does not name the one before it"),
        attack(
            "no manifest",
            |audit| {
                let path = segment(audit, 1, 1);
                fs::remove_file(path.with_file_name(layout::manifest_name(first_of(&path)))).unwrap();
            },
            Given::Nothing,
        )
        .is(Act::Hashes, "there is no manifest"),
        attack("a compressed segment", |audit| flip(&segment(audit, 1, 1), 2_000), Given::Nothing)
            .is(Act::Edit, "cannot be read any further"),
        attack("a compressed segment that is cut", |audit| cut(&segment(audit, 2, 0)), Given::Nothing)
            .is(Act::Edit, "cannot be read any further"),
    ]);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// The last manifest of the first generation, which no later one names.
fn last_manifest(audit: &Path) -> PathBuf {
    let path = layout::segments(&DiskStorage, &generation(audit, 1)).unwrap().pop().unwrap().path;
    path.with_file_name(layout::manifest_name(first_of(&path)))
}

fn edit_manifest(audit: &Path, from: &str, to: &str) {
    let path = last_manifest(audit);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn replace_digest(audit: &Path, member: &str) {
    let path = last_manifest(audit);
    let mut text = fs::read_to_string(&path).unwrap();
    let at = text.find(&format!("\"{member}\":\"")).unwrap() + member.len() + 4;
    text.replace_range(at..at + 64, &"5".repeat(64));
    fs::write(path, text).unwrap();
}
