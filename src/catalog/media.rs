//! Media types, read strictly, and which of them a body format may come as.

use std::fmt;

use super::BodyFormat;

/// How a text is written as bytes. What is not here is refused, UTF-16 included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Charset {
    /// UTF-8 (RFC 3629).
    #[default]
    Utf8,
    /// GBK, and GB 2312 within it.
    Gbk,
    /// GB 18030.
    Gb18030,
}

impl Charset {
    /// The charset that `label` names, in any case.
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        let known = [
            ("utf-8", Self::Utf8),
            ("utf8", Self::Utf8),
            ("gbk", Self::Gbk),
            ("gb2312", Self::Gbk),
            ("gb18030", Self::Gb18030),
        ];
        known.into_iter().find(|(name, _)| label.eq_ignore_ascii_case(name)).map(|(_, charset)| charset)
    }

    /// Its label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Gbk => "gbk",
            Self::Gb18030 => "gb18030",
        }
    }
}

/// Why a text is not a media type, or not one that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct MediaTypeError {
    expected: &'static str,
}

const fn expected<T>(expected: &'static str) -> Result<T, MediaTypeError> {
    Err(MediaTypeError { expected })
}

/// A media type with its parameters (RFC 9110, section 8.3.1).
///
/// Lists, wildcards, blanks around `=`, and parameters that come twice are none: two programs could
/// read them in two ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    essence: String,
    /// Names in lower case, each once.
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads a media type.
    ///
    /// # Errors
    /// When `text` is anything else.
    pub fn parse(text: &str) -> Result<Self, MediaTypeError> {
        const SHAPE: &str = "a media type such as `text/csv` or `text/csv; charset=gb18030`";
        let (essence, mut rest) =
            text.split_at_checked(text.find(';').unwrap_or(text.len())).unwrap_or((text, ""));
        let essence = essence.trim_end_matches(BLANK);
        match essence.split_once('/') {
            Some((top, sub)) if is_name(top) && is_name(sub) => {}
            Some(_) | None => return expected(SHAPE),
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_start_matches(BLANK);
            if rest.is_empty() || rest.starts_with(';') {
                continue;
            }
            let Some(((name, value), after)) = parameter(rest) else { return expected(SHAPE) };
            if parameters.iter().any(|(known, _)| *known == name) {
                return expected("each parameter of a media type once");
            }
            parameters.push((name, value));
            rest = after.trim_start_matches(BLANK);
        }
        if rest.is_empty() {
            Ok(Self { essence: essence.to_ascii_lowercase(), parameters })
        } else {
            expected(SHAPE)
        }
    }

    /// Type and subtype, in lower case.
    #[must_use]
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// The charset that it names, if it does.
    ///
    /// # Errors
    /// When that is one which is not understood, or is named in a way that lenient programs alone know.
    pub fn charset(&self) -> Result<Option<Charset>, MediaTypeError> {
        const KNOWN: &str = "charset `utf-8`, `gbk`, `gb2312` or `gb18030`";
        let mut charset = None;
        for (name, value) in &self.parameters {
            match name.strip_prefix("charset") {
                Some("") => {
                    charset = Charset::of_label(value).map_or_else(|| expected(KNOWN), |c| Ok(Some(c)))?
                }
                // `charset*` and its like (RFC 8187).
                Some(_) => return expected(KNOWN),
                None => {}
            }
        }
        Ok(charset)
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.parameters.iter().any(|(known, its)| known == name && its.eq_ignore_ascii_case(value))
    }

    /// The middle of `application/<middle><suffix>`.
    fn application(&self, suffix: &str) -> Option<&str> {
        self.essence.strip_prefix("application/")?.strip_suffix(suffix).filter(|middle| !middle.is_empty())
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        match self.charset() {
            Ok(Some(charset)) => write!(f, "; charset={}", charset.as_str()),
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

/// Optional white space (RFC 9110, section 5.6.3).
const BLANK: [char; 2] = [' ', '\t'];

/// A registrable name (RFC 6838, section 4.2).
fn is_name(text: &str) -> bool {
    text.len() <= 127
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

/// Splits `name=value` off the front (RFC 9110, section 5.6.6).
fn parameter(text: &str) -> Option<((String, String), &str)> {
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix('=')?;
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => token(rest).map(|(value, rest)| (value.to_owned(), rest))?,
    };
    Some(((name.to_ascii_lowercase(), value), rest))
}

/// Splits a token off the front (RFC 9110, section 5.6.2).
fn token(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(token, _)| !token.is_empty())
}

/// Reads a quoted string after its opening quote (RFC 9110, section 5.6.4).
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.chars());
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next().filter(|c| !c.is_control())?),
            c if c == '\t' || !c.is_control() => value.push(c),
            _ => return None,
        }
    }
}

impl BodyFormat {
    /// Whether bodies of this format come as `media_type` where nobody says otherwise.
    #[must_use]
    pub fn is_sent_as(self, media_type: &MediaType) -> bool {
        let essence = media_type.essence();
        match self {
            Self::Json => essence == "application/json" || media_type.application("+json").is_some(),
            Self::NdJson => matches!(
                essence,
                "application/x-ndjson"
                    | "application/ndjson"
                    | "application/jsonl"
                    | "application/x-jsonlines"
            ),
            Self::Xml => {
                matches!(essence, "application/xml" | "text/xml") || media_type.application("+xml").is_some()
            }
            Self::Csv => essence == "text/csv" && has_names(media_type),
            Self::EventStream | Self::Form => self.media_type() == Some(essence),
            Self::Opaque => !is_in_parts(essence),
        }
    }

    /// Whether bodies of this format may come as `media_type` where somebody says so: not as another
    /// format, nor as what no text format is.
    #[must_use]
    pub fn may_be_sent_as(self, media_type: &MediaType) -> bool {
        if self == Self::Opaque || self.is_sent_as(media_type) {
            return !is_in_parts(media_type.essence());
        }
        let is_another = Self::ALL
            .into_iter()
            .any(|format| format != Self::Opaque && format != self && format.is_sent_as(media_type));
        let is_text = matches!(media_type.essence().split_once('/'), Some(("application" | "text", _)));
        // Browsers run what is in HTML.
        let is_run = media_type.essence() == "text/html";
        is_text && !is_another && !is_run && (self != Self::Csv || has_names(media_type))
    }

    /// Whether bodies of this format may be written in `charset`. Forms are ASCII that says UTF-8,
    /// and event streams are UTF-8 by definition.
    #[must_use]
    pub fn may_be_in(self, charset: Charset) -> bool {
        charset == Charset::Utf8 || !matches!(self, Self::Form | Self::EventStream)
    }
}

/// Whether records apart by lines have a header (RFC 4180, section 3): without it there are no names to
/// mask by.
fn has_names(media_type: &MediaType) -> bool {
    !media_type.has("header", "absent")
}

/// Whether a body holds parts of something, each with a head of its own.
fn is_in_parts(essence: &str) -> bool {
    essence.starts_with("multipart/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read_strictly() {
        for (text, shown) in [
            ("application/json", "application/json"),
            ("Application/JSON; charset=UTF-8", "application/json; charset=utf-8"),
            ("application/json;charset=\"utf-8\"", "application/json; charset=utf-8"),
            ("application/json ; charset=utf8 ;", "application/json; charset=utf-8"),
            ("application/json;;charset=\"u\\tf-8\"", "application/json; charset=utf-8"),
            ("text/csv; header=present; charset=GB2312", "text/csv; charset=gbk"),
            ("text/csv;charset=gb18030", "text/csv; charset=gb18030"),
            ("application/vnd.a+json; a=\"x; y\"; b=c", "application/vnd.a+json"),
        ] {
            assert_eq!(MediaType::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "",
            "json",
            "/json",
            "application/",
            "*/*",
            "application/*",
            " application/json",
            "application /json",
            "application/json, text/html",
            "application/xml, application/x+json",
            "application/json charset=utf-8",
            "application/json; charset = utf-8",
            "application/json; charset =utf-8",
            "application/json; charset= utf-8",
            "application/json; charset",
            "application/json; charset=",
            "application/json; charset=\"utf-8",
            "application/json; charset=\"utf-8\"x",
            "application/json; charset=\"\u{7f}\"",
            "application/json; charset=utf-8; CHARSET=gbk",
            "application/json; a=1, text/html",
            "application/中文",
        ] {
            assert!(MediaType::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn charsets_are_a_closed_list() {
        for (text, charset) in [
            ("text/csv", Ok(None)),
            ("text/csv; charset=utf-8", Ok(Some(Charset::Utf8))),
            ("text/csv; charset=gbk", Ok(Some(Charset::Gbk))),
            ("text/csv; x=charset", Ok(None)),
        ] {
            assert_eq!(MediaType::parse(text).unwrap().charset(), charset, "{text}");
        }
        for text in [
            "text/csv; charset=utf-16",
            "text/csv; charset=big5",
            "text/csv; charset=\" utf-8\"",
            "text/csv; charset*=utf-8",
            "text/csv; charset*0=utf-8",
            "text/csv; charset=utf-8; charset*=gbk",
        ] {
            assert!(MediaType::parse(text).unwrap().charset().is_err(), "{text}");
        }
    }

    #[test]
    fn formats_have_types_of_their_own() {
        use BodyFormat::{Csv, EventStream, Form, Json, NdJson, Opaque, Xml};
        for (format, text, by_default, if_said) in [
            (Json, "application/json", true, true),
            (Json, "application/hal+json", true, true),
            (Json, "application/+json", false, false),
            (Json, "text/json", false, true),
            (Json, "text/plain", false, true),
            (Json, "application/vnd.city.residents", false, true),
            (Json, "application/x-ndjson", false, false),
            (Json, "text/csv", false, false),
            (Json, "application/soap+xml", false, false),
            (Json, "text/html", false, false),
            (Json, "image/png", false, false),
            (Json, "multipart/byteranges", false, false),
            (NdJson, "application/x-ndjson", true, true),
            (NdJson, "application/jsonl", true, true),
            (NdJson, "application/json", false, false),
            (NdJson, "application/json-seq", false, true),
            (Xml, "application/xml", true, true),
            (Xml, "text/xml", true, true),
            (Xml, "application/soap+xml", true, true),
            (Xml, "application/json", false, false),
            (Csv, "text/csv", true, true),
            (Csv, "text/csv; header=present", true, true),
            (Csv, "text/csv; header=absent", false, false),
            (Csv, "application/vnd.ms-excel", false, true),
            (Form, "application/x-www-form-urlencoded", true, true),
            (Form, "multipart/form-data", false, false),
            (EventStream, "text/event-stream", true, true),
            (Opaque, "application/pdf", true, true),
            (Opaque, "image/png", true, true),
            (Opaque, "multipart/byteranges", false, false),
        ] {
            if let Ok(media_type) = MediaType::parse(text) {
                let found = (format.is_sent_as(&media_type), format.may_be_sent_as(&media_type));
                assert_eq!(found, (by_default, if_said), "{format:?} {text}");
            } else {
                assert_eq!((by_default, if_said), (false, false), "{format:?} {text}");
            }
        }
        assert!(Json.may_be_in(Charset::Gbk) && !Form.may_be_in(Charset::Gbk));
        assert!(EventStream.may_be_in(Charset::Utf8) && !EventStream.may_be_in(Charset::Gb18030));
    }
}
