//! Media types, and the names of content codings.
//!
//! Input: the value of a header field.

use pinegate::catalog::{BodyFormat, MediaType};
use pinegate::coding::{Accepted, Coding};

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_media_type(text);
    check_codings(text);
}

fn check_media_type(text: &str) {
    let read = MediaType::parse(text);
    // Neither case nor an empty parameter means anything.
    for other in
        [text.to_ascii_uppercase(), text.to_ascii_lowercase(), format!("{text};"), format!("{text} ; ")]
    {
        let other = MediaType::parse(&other);
        assert_eq!(read.is_ok(), other.is_ok());
        if let (Ok(read), Ok(other)) = (&read, other) {
            assert_eq!(read.essence(), other.essence());
            assert_eq!(read.charset(), other.charset());
        }
    }
    let Ok(media_type) = read else { return };
    let essence = media_type.essence();
    assert!(text.to_ascii_lowercase().starts_with(essence) && essence.split('/').count() == 2);
    // Of what is quoted, without what is escaped in it, every other part is a text.
    let plain = text.replace("\\\\", "").replace("\\\"", "");
    assert!(!plain.split('"').step_by(2).any(|bare| bare.contains(',')), "a list was taken for one");
    let again = MediaType::parse(&media_type.to_string()).expect("what was read is read again");
    assert_eq!(again.essence(), essence);
    if let Ok(charset) = media_type.charset() {
        assert_eq!(again.charset(), Ok(charset));
        assert!(charset.is_none() || text.to_ascii_lowercase().contains("charset"));
    }
    check_formats(&media_type);
}

/// No body may be taken for one of two formats.
fn check_formats(media_type: &MediaType) {
    let formats = || BodyFormat::ALL.into_iter().filter(|format| *format != BodyFormat::Opaque);
    let own: Vec<BodyFormat> = formats().filter(|format| format.is_sent_as(media_type)).collect();
    assert!(own.len() <= 1, "{own:?} are sent as `{media_type}`");
    for format in formats() {
        if format.may_be_sent_as(media_type) {
            assert!(own.is_empty() || own.contains(&format), "{format:?} may be sent as that of {own:?}");
            assert!(!media_type.essence().starts_with("multipart/") && media_type.essence() != "text/html");
        }
    }
}

/// A list in one value is the same list in several.
fn check_codings(text: &str) {
    let coding = Coding::of([text]);
    assert_eq!(coding, Coding::of(text.split(',')));
    if let Ok(Some(coding)) = coding {
        assert_eq!(Coding::parse(coding.as_str()), Ok(coding));
        assert!(Coding::of([text, coding.as_str()]).is_err(), "a body has one coding");
    }
    let accepted = Accepted::of([text]);
    assert_eq!(accepted, Accepted::of(text.split(',')));
    assert!(accepted.best().is_none_or(|best| accepted.accepts(best)));
    let none = Accepted::of([text, "*;q=0, gzip;q=0, br;q=0, zstd;q=0"]);
    assert_eq!(none.best(), None, "what is refused is not sent");
}
