//! The parts of a route: its method, its path template, and where its parameters are found.

use std::fmt;

use http::{HeaderName, Method};

use crate::kernel::bound::BoundError;
use crate::parameters::BodyPath;

/// The methods a route may answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouteMethod(Method);

impl RouteMethod {
    /// Reads one of `GET`, `POST`, `PUT`, `PATCH`, `DELETE`.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, BoundError> {
        let method = match text {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return Err(BoundError { expected: "`GET`, `POST`, `PUT`, `PATCH` or `DELETE`" }),
        };
        Ok(Self(method))
    }

    /// The method.
    #[must_use]
    pub fn as_method(&self) -> &Method {
        &self.0
    }
}

/// Why a text is not a path template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct TemplateError {
    expected: &'static str,
}

/// A path with `{names}` for its variable segments, such as `/population/residents/{id_card}`.
///
/// It is what records and metrics show in place of a path, which may hold personal data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathTemplate {
    text: String,
    names: Vec<String>,
}

impl PathTemplate {
    /// Reads a template: fixed segments of unreserved characters (RFC 3986), variable ones in braces.
    ///
    /// # Errors
    /// When a segment is empty, mixes text and braces, or a name appears twice.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let error = |expected| TemplateError { expected };
        let rest = text.strip_prefix('/').ok_or(error("a path that begins with `/`"))?;
        if rest.starts_with(".well-known/pinegate") {
            return Err(error("a path outside `/.well-known/pinegate`, which is the gate's own"));
        }
        let mut names = Vec::new();
        for segment in rest.split('/') {
            if let Some(name) = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                let is_word = !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
                if !is_word || names.iter().any(|known| known == name) {
                    return Err(error("each `{name}` once, of letters, digits, `-` and `_`"));
                }
                names.push(name.to_owned());
            } else if segment.is_empty() || segment == "." || segment == ".." {
                return Err(error("a path without empty, `.` or `..` segments"));
            } else if !segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
            {
                return Err(error("segments of letters, digits, `-`, `.`, `_` and `~`, or one `{name}`"));
            }
        }
        Ok(Self { text: text.to_owned(), names })
    }

    /// The template as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its variable segments.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where in a request a parameter is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterSource {
    /// A variable segment of the path: `path:id_card`.
    Path(String),
    /// A query parameter: `query:area`.
    Query(String),
    /// A header field: `header:x-area`.
    Header(HeaderName),
    /// A member of the JSON body: `body:query.area`.
    Body(BodyPath),
}

impl ParameterSource {
    /// Reads `path:NAME`, `query:NAME`, `header:NAME` or `body:NAME.NAME`.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, BoundError> {
        const ERROR: BoundError =
            BoundError { expected: "`path:NAME`, `query:NAME`, `header:NAME` or `body:NAME.NAME`" };
        match text.split_once(':') {
            Some((_, "")) | None => Err(ERROR),
            Some(("path", name)) => Ok(Self::Path(name.to_owned())),
            Some(("query", name)) => Ok(Self::Query(name.to_owned())),
            Some(("header", name)) => {
                HeaderName::from_bytes(name.as_bytes()).map(Self::Header).map_err(|_| ERROR)
            }
            Some(("body", path)) => BodyPath::parse(path).map(Self::Body),
            Some(_) => Err(ERROR),
        }
    }
}
