//! Whether an answer that is whole can be told from one that broke off.

use http::Version;
use http::header;
use http::response::Parts;

use super::super::failure::{Failure, UpstreamFailure};
use super::super::media::Form;
use super::super::problem::words;
use crate::catalog::BodyFormat;

/// Judges by what an answer ends. HTTP/2 marks each end; HTTP/1.x by a last chunk or a length, or else by
/// the end of the connection, which is also how one breaks (RFC 9112, sections 6.3 and 8). Then the body
/// must have an end of its own.
pub(super) fn check(
    head: &Parts,
    length: Option<u64>,
    format: BodyFormat,
    form: Form,
) -> Result<(), Failure> {
    let mut transfer = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let why = match (transfer.next(), transfer.next()) {
        (None, _) if head.version > Version::HTTP_11 || length.is_some() || has_own_end(format, form) => {
            return Ok(());
        }
        (None, _) => words("nothing marks where it ends", "没有标明应答在何处结束"),
        // A length beside it is a second framing (RFC 9112, section 6.1).
        (Some(coding), None)
            if coding.as_bytes().eq_ignore_ascii_case(b"chunked")
                && !head.headers.contains_key(header::CONTENT_LENGTH) =>
        {
            return Ok(());
        }
        (Some(_), _) => words("its transfer coding is not `chunked` alone", "传输编码不是单独的 `chunked`"),
    };
    Err(UpstreamFailure::Invalid { why }.into())
}

/// Whether whoever reads the body here knows its end from a cut. Nobody here reads a file.
fn has_own_end(format: BodyFormat, form: Form) -> bool {
    match format {
        BodyFormat::Json | BodyFormat::Xml => true,
        BodyFormat::NdJson | BodyFormat::EventStream | BodyFormat::Csv | BodyFormat::Form => {
            form.coding.is_some()
        }
        BodyFormat::Opaque => false,
    }
}

#[cfg(test)]
mod tests {
    use BodyFormat::{Csv, EventStream, Form as Pairs, Json, NdJson, Opaque, Xml};

    use super::*;
    use crate::catalog::Charset;
    use crate::coding::Coding;

    #[track_caller]
    fn is_right(version: Version, fields: &[(&str, &str)], length: Option<u64>, format: BodyFormat) -> bool {
        let mut answer = http::Response::builder().version(version);
        for field in fields {
            answer = answer.header(field.0, field.1);
        }
        let (head, ()) = answer.body(()).unwrap().into_parts();
        let coding = head.headers.get(header::CONTENT_ENCODING).map(|_| Coding::Gzip);
        check(&head, length, format, Form { coding, charset: Charset::Utf8 }).is_ok()
    }

    #[test]
    fn what_ends_with_the_connection_needs_an_end_of_its_own() {
        let chunked = &[("transfer-encoding", "Chunked")][..];
        let coded = &[("content-encoding", "gzip")][..];
        for format in [Json, Xml, NdJson, EventStream, Csv, Pairs, Opaque] {
            for version in [Version::HTTP_10, Version::HTTP_11] {
                assert!(is_right(version, &[], Some(7), format), "{format:?}");
                assert_eq!(is_right(version, &[], None, format), matches!(format, Json | Xml), "{format:?}");
                assert_eq!(is_right(version, coded, None, format), format != Opaque, "{format:?}");
            }
            assert!(is_right(Version::HTTP_11, chunked, None, format), "{format:?}");
            assert!(is_right(Version::HTTP_2, &[], None, format), "{format:?}");
        }
    }

    #[test]
    fn a_transfer_coding_is_chunked_and_nothing_else() {
        let te = |value| ("transfer-encoding", value);
        for fields in [
            &[te("gzip")][..],
            &[te("gzip, chunked")],
            &[te("chunked, chunked")],
            &[te("chunked"), te("chunked")],
            &[te("identity")],
            &[te("")],
            &[te("chunked"), ("content-length", "7")],
        ] {
            for format in [Json, Csv, Opaque] {
                assert!(!is_right(Version::HTTP_11, fields, None, format), "{fields:?}");
                assert!(!is_right(Version::HTTP_11, fields, Some(7), format), "{fields:?}");
            }
        }
    }
}
