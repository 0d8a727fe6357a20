//! One call of a department's system, and what came of it.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use super::{Body, Files, Http, SURVEY, SURVEYOR, nothing};

/// What goes into `Authorization`.
enum Token {
    /// A good token of the system for this purpose.
    Good(String),
    /// This text after `Bearer `.
    Text(String),
    /// Nothing.
    None,
}

/// A call.
pub(crate) struct Call {
    certificate: String,
    token: Token,
    method: Method,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Body>,
    http: Http,
}

impl Call {
    /// A call of `system` for `purpose`.
    pub(crate) fn new(method: Method, system: &str, purpose: &str, target: &str) -> Self {
        Self {
            certificate: system.to_owned(),
            token: Token::Good(purpose.to_owned()),
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
            http: Http::One,
        }
    }

    pub(crate) fn get(system: &str, purpose: &str, target: &str) -> Self {
        Self::new(Method::GET, system, purpose, target)
    }

    pub(crate) fn post(system: &str, purpose: &str, target: &str, body: Body) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, system, purpose, target) }
    }

    /// A GET of the system whose grants the tests choose.
    pub(crate) fn survey(target: &str) -> Self {
        Self::get(SURVEYOR, SURVEY, target)
    }

    /// A call of the social aid system, which is granted residents of one city.
    pub(crate) fn aid(target: &str) -> Self {
        Self::get("minzheng-aid", "social-aid.eligibility", target)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn english(self) -> Self {
        self.header("accept-language", "en")
    }

    /// With another text for a token.
    pub(crate) fn token(mut self, text: impl Into<String>) -> Self {
        self.token = Token::Text(text.into());
        self
    }

    pub(crate) fn no_token(mut self) -> Self {
        self.token = Token::None;
        self
    }

    pub(crate) fn over(mut self, http: Http) -> Self {
        self.http = http;
        self
    }

    pub(crate) fn with_body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) fn http(&self) -> Http {
        self.http
    }

    /// The request, with a token minted from `files` where one is wanted.
    pub(crate) fn request(self, files: &Files) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(self.target);
        let token = match self.token {
            Token::Good(purpose) => Some(files.token(&self.certificate, &purpose)),
            Token::Text(text) => Some(text),
            Token::None => None,
        };
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(self.body.unwrap_or_else(nothing)).unwrap()
    }
}

/// A reply, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
    /// Why the body ended before its end, if it did.
    pub(crate) broken: Option<String>,
}

impl Reply {
    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let (head, mut incoming) = response.into_parts();
        let (mut body, mut trailers, mut broken) = (Vec::new(), HeaderMap::new(), None);
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => body.extend_from_slice(&data),
                    Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
                },
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        Self { status: head.status, headers: head.headers, body: body.into(), trailers, broken }
    }

    /// The one value of a header field, or nothing.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        assert!(values.next().is_none(), "`{name}` came twice");
        Some(first.to_str().unwrap())
    }

    pub(crate) fn request_id(&self) -> String {
        self.header("x-request-id").expect("a reply without a request id").to_owned()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a problem document.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no problem: {self:?}")).to_owned()
    }

    /// Fails unless this is data, whole.
    pub(crate) fn assert_data(&self) {
        assert!(self.status.is_success() && self.broken.is_none(), "{self:?}");
    }
}
