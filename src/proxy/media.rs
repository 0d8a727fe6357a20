//! What the platform must send: its media type, charset and content coding, judged by the head alone.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderValue};

use super::failure::{Failure, MaskFailure, UpstreamFailure};
use super::problem::words;
use crate::catalog::{BodyFormat, Charset, MediaType};
use crate::coding::Coding;

/// What the platform must send on a route, and as what it leaves.
#[derive(Debug)]
pub(crate) struct Declared {
    format: BodyFormat,
    /// What the route says.
    exactly: Option<MediaType>,
    /// `Content-Type` of what leaves; a file keeps its own.
    leaves_as: Option<HeaderValue>,
}

/// How an answer is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) coding: Option<Coding>,
    pub(crate) charset: Charset,
}

impl Declared {
    /// What a resource of `format` comes as, or `exactly` what the route says.
    #[must_use]
    pub(crate) fn new(format: BodyFormat, exactly: Option<MediaType>) -> Self {
        let leaves_as = match &exactly {
            _ if format == BodyFormat::Opaque => None,
            None => format.media_type().map(HeaderValue::from_static),
            Some(media_type) => {
                let essence = media_type.essence();
                // Whatever it came in, it leaves in UTF-8.
                let names_charset = matches!(media_type.charset(), Ok(Some(_)));
                let text =
                    if names_charset { format!("{essence}; charset=utf-8") } else { essence.to_owned() };
                HeaderValue::from_str(&text).ok()
            }
        };
        Self { format, exactly, leaves_as }
    }

    /// Judges the head of an answer that has a body.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Form, Failure> {
        if headers.contains_key(header::CONTENT_RANGE) {
            let why = words("a part of something was not asked for", "返回了未请求的部分内容");
            return Err(UpstreamFailure::Invalid { why }.into());
        }
        let codings = headers.get_all(header::CONTENT_ENCODING).iter();
        // What is no text names no coding.
        let codings = codings.map(|coding| coding.to_str().unwrap_or("?"));
        let coding = Coding::of(codings).map_err(|_| MaskFailure::Coding)?;
        match self.charset(headers) {
            Some(charset) => Ok(Form { coding, charset }),
            None => Err(MaskFailure::MediaType { declared: self.wanted() }.into()),
        }
    }

    /// The charset of an answer; none if it is not what was declared.
    fn charset(&self, headers: &HeaderMap) -> Option<Charset> {
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let media_type = match (types.next(), types.next()) {
            // A file may come without a type, if nobody says that it has one.
            (None, _) if self.format == BodyFormat::Opaque && self.exactly.is_none() => {
                return Some(Charset::Utf8);
            }
            (Some(only), None) => MediaType::parse(only.to_str().ok()?).ok()?,
            (None | Some(_), _) => return None,
        };
        let is_right = match &self.exactly {
            Some(exactly) => {
                exactly.essence() == media_type.essence() && self.format.may_be_sent_as(&media_type)
            }
            None => self.format.is_sent_as(&media_type),
        };
        let declared = self.exactly.as_ref().map_or(Ok(None), MediaType::charset);
        match (declared, self.format) {
            _ if !is_right => None,
            // Nobody reads a file here.
            (Ok(None), BodyFormat::Opaque) => Some(Charset::Utf8),
            (Ok(declared), _) => {
                let declared = declared.unwrap_or_default();
                let sent = media_type.charset().ok()?.unwrap_or_default();
                (sent == declared).then_some(declared)
            }
            (Err(_), _) => None,
        }
    }

    /// What would have been right, for people.
    fn wanted(&self) -> String {
        match (&self.exactly, self.format.media_type()) {
            (Some(exactly), _) => exactly.to_string(),
            (None, Some(media_type)) => media_type.to_owned(),
            (None, None) => "application/octet-stream".to_owned(),
        }
    }

    /// The media type of what leaves, as far as it is known before there is an answer.
    pub(crate) fn announced(&self) -> Cow<'_, str> {
        match (&self.leaves_as, &self.exactly) {
            (Some(value), _) => value.to_str().unwrap_or("*/*").into(),
            (None, Some(exactly)) => exactly.to_string().into(),
            (None, None) => "*/*".into(),
        }
    }

    /// `Content-Type` of what leaves.
    pub(crate) fn leaves_as(&self, from: &HeaderMap) -> Option<HeaderValue> {
        self.leaves_as.as_ref().or_else(|| from.get(header::CONTENT_TYPE)).cloned()
    }
}

/// Whether `text` is the media type of `format`, in UTF-8.
pub(super) fn is_of_format(format: BodyFormat, text: &str) -> bool {
    MediaType::parse(text).is_ok_and(|media_type| {
        format.is_sent_as(&media_type) && matches!(media_type.charset(), Ok(None | Some(Charset::Utf8)))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::super::problem::Code;
    use super::*;
    use BodyFormat::{Csv, Json, NdJson, Opaque, Xml};

    #[track_caller]
    fn check(
        format: BodyFormat,
        exactly: Option<&str>,
        head: &[(HeaderName, &'static str)],
    ) -> Result<Form, Code> {
        let declared = Declared::new(format, exactly.map(|text| MediaType::parse(text).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in head {
            headers.append(name, HeaderValue::from_static(value));
        }
        declared.check(&headers).map_err(|failure| failure.code())
    }

    #[track_caller]
    fn charset(format: BodyFormat, exactly: Option<&str>, sent: &'static str) -> Option<Charset> {
        check(format, exactly, &[(header::CONTENT_TYPE, sent)]).ok().map(|form| form.charset)
    }

    #[test]
    fn without_a_word_of_the_route() {
        for (format, sent, is_right) in [
            (Json, "application/json", true),
            (Json, "Application/JSON; charset=UTF-8", true),
            (Json, "application/hal+json", true),
            (Json, "application/json; charset = utf-8", false),
            (Json, "application/json; charset=gbk", false),
            (Json, "application/json; charset*=gbk", false),
            (Json, "application/json; charset=utf-16", false),
            (Json, "application/xml, application/x+json", false),
            (Json, "text/json", false),
            (Json, "text/html", false),
            (Json, "application/x-ndjson", false),
            (Json, "multipart/byteranges", false),
            (Json, "", false),
            (NdJson, "application/x-ndjson", true),
            (NdJson, "application/json", false),
            (Xml, "text/xml; charset=utf-8", true),
            (Xml, "application/soap+xml", true),
            (Csv, "text/csv; header=absent", false),
            (Csv, "text/csv; charset=gb2312", false),
            (Opaque, "application/pdf", true),
            (Opaque, "text/plain; charset=big5", true),
            (Opaque, "multipart/byteranges; boundary=x", false),
            (Opaque, "pdf", false),
        ] {
            assert_eq!(charset(format, None, sent).is_some(), is_right, "{format:?} {sent}");
            assert_eq!(
                is_of_format(format, sent) || format == Opaque,
                is_right || format == Opaque,
                "{sent}"
            );
        }
    }

    #[test]
    fn as_the_route_says_and_no_other() {
        for (format, exactly, sent, found) in [
            (Csv, "text/csv; charset=gb18030", "text/csv; charset=GB18030", Some(Charset::Gb18030)),
            (Csv, "text/csv; charset=gb2312", "text/csv; header=present; charset=gbk", Some(Charset::Gbk)),
            (Csv, "text/csv; charset=gb18030", "text/csv; charset=gbk", None),
            (Csv, "text/csv; charset=gb18030", "text/csv", None),
            (Csv, "text/csv; charset=gb18030", "text/csv; charset=utf-8", None),
            (Csv, "text/csv; charset=gb18030", "text/csv; charset=gb18030; header=absent", None),
            (Csv, "text/csv; charset=gbk", "application/csv; charset=gbk", None),
            (Json, "text/json", "text/json; charset=utf-8", Some(Charset::Utf8)),
            (Json, "text/json", "application/json", None),
            (Json, "application/json; charset=gbk", "application/json; charset=gbk", Some(Charset::Gbk)),
            (Opaque, "application/pdf", "application/pdf", Some(Charset::Utf8)),
            (Opaque, "application/pdf", "application/PDF; x=y", Some(Charset::Utf8)),
            (Opaque, "application/pdf", "text/html", None),
            (Opaque, "text/csv", "text/csv; charset=big5", Some(Charset::Utf8)),
            (Opaque, "text/csv; charset=gbk", "text/csv; charset=gbk", Some(Charset::Gbk)),
            (Opaque, "text/csv; charset=gbk", "text/csv", None),
        ] {
            assert_eq!(charset(format, Some(exactly), sent), found, "{exactly} for {sent}");
        }
    }

    #[test]
    fn said_once() {
        use header::{CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE};
        let json = (CONTENT_TYPE, "application/json");
        assert_eq!(check(Json, None, &[]), Err(Code::MaskMediaType), "a missing type");
        assert_eq!(check(Json, None, &[json.clone(), json.clone()]), Err(Code::MaskMediaType));
        assert!(check(Opaque, None, &[]).is_ok());
        assert_eq!(check(Opaque, Some("application/pdf"), &[]), Err(Code::MaskMediaType));
        assert_eq!(check(Opaque, None, &[json.clone(), json.clone()]), Err(Code::MaskMediaType));
        let part = [json.clone(), (CONTENT_RANGE, "bytes 0-1/2")];
        assert_eq!(check(Json, None, &part), Err(Code::UpstreamInvalid));
        for (codings, coding) in [
            (&["gzip"][..], Ok(Some(Coding::Gzip))),
            (&["identity"], Ok(None)),
            (&["gzip", "gzip"], Err(Code::MaskMediaType)),
            (&["deflate"], Err(Code::MaskMediaType)),
        ] {
            for format in [Json, Opaque] {
                let codings = codings.iter().map(|coding| (CONTENT_ENCODING, *coding));
                let head: Vec<_> = codings.chain([json.clone()]).collect();
                assert_eq!(check(format, None, &head).map(|form| form.coding), coding, "{head:?}");
            }
        }
    }

    #[test]
    fn what_leaves_is_utf8_by_its_own_word() {
        for (format, exactly, leaves_as) in [
            (Json, None, "application/json"),
            (Csv, Some("text/csv; charset=gb18030"), "text/csv; charset=utf-8"),
            (Csv, Some("text/csv"), "text/csv"),
            (Json, Some("text/json; charset=utf-8"), "text/json; charset=utf-8"),
            (Opaque, None, "application/json; charset=gbk"),
            (Opaque, Some("application/json"), "application/json; charset=gbk"),
        ] {
            let declared = Declared::new(format, exactly.map(|text| MediaType::parse(text).unwrap()));
            let mut from = HeaderMap::new();
            from.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=gbk"));
            assert_eq!(declared.leaves_as(&from).unwrap(), leaves_as, "{exactly:?}");
        }
    }
}
