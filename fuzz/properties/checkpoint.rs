//! What a signed head says.
//!
//! Input: the text of the note.

use pinegate::tlog::Checkpoint;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(checkpoint) = Checkpoint::parse(text) else { return };
    let shown = checkpoint.to_string();
    // Extensions are passed over; all before them is said in one way only.
    let extensions = text.strip_prefix(&shown).expect("it shows as what was read");
    assert!(extensions.is_empty() || extensions.ends_with('\n') && !extensions.starts_with('\n'));
    assert_eq!(Checkpoint::parse(&shown), Ok(checkpoint.clone()));
    // Carriage returns, which the other library strips, are not in a note.
    if text.contains(|c: char| c < ' ' && c != '\n') {
        return;
    }
    let theirs =
        tlog_tiles::Checkpoint::from_reader(&mut text.as_bytes(), false).expect("so does another library");
    assert_eq!((theirs.origin(), theirs.size()), (checkpoint.origin.as_str(), checkpoint.size));
    assert_eq!((theirs.hash().0, theirs.extension()), (checkpoint.root.0, extensions));
}
