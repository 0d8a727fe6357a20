//! WebSocket (RFC 6455): the two heads that open a session, held against each other.
//!
//! A session is opened twice: the client offers one to the gate, the gate offers one to the platform, with a key of its
//! own. So no client can have prepared what the platform must answer, and an answer that has the right
//! `Sec-WebSocket-Accept` is from somebody who read the gate's request as what it is. Whatever is doubtful is no
//! handshake.

pub mod frames;

pub(super) mod open;
pub(super) mod places;
pub(super) mod pump;

use aws_lc_rs::{digest, rand};
use data_encoding::BASE64;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, response};

use super::problem::{Words, words};
use crate::wire::length;

/// What is hashed behind a key (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How many bytes a key is of.
const KEY_BYTES: usize = 16;

/// The most protocols, and the most extensions, that may be offered.
const MAX_OFFERED: usize = 16;

/// The parameters of the one extension that there is (RFC 7692, section 7.1).
const PARAMETERS: [&str; 4] = [
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
];

/// The name of the protocol, in `Upgrade` and in the configuration.
const WEBSOCKET: &str = "websocket";

/// What a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What proves to it that its request was read.
    accept: HeaderValue,
    /// The protocols, as they came.
    protocols: Vec<HeaderValue>,
    /// The extensions, as they came.
    extensions: Vec<HeaderValue>,
}

/// What a request with `Upgrade` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A session, soundly.
    Session(Offer),
    /// A session, but not as RFC 6455 has it.
    Unsound(Words),
    /// Something else.
    Other,
}

/// Reads what is asked for by the head of a request that has `Upgrade`.
#[must_use]
pub fn read(method: &Method, headers: &HeaderMap) -> Asked {
    let asks = single(headers, &header::UPGRADE);
    if !asks.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())) {
        return Asked::Other;
    }
    offer(method, headers).map_or_else(Asked::Unsound, Asked::Session)
}

fn offer(method: &Method, headers: &HeaderMap) -> Result<Offer, Words> {
    if *method != Method::GET {
        return Err(words("the method must be `GET`", "请求方法须为 `GET`"));
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter().map(|value| length(value.as_bytes()));
    if headers.contains_key(header::TRANSFER_ENCODING) || lengths.any(|length| length != Some(0)) {
        return Err(words("it must have no content", "不得带有请求体"));
    }
    // What else `Connection` names would be dropped on the way: the key, say.
    if !connection(headers, &["upgrade", "keep-alive"]) {
        return Err(words(
            "`Connection` must be `Upgrade`, beside which there may be `keep-alive` alone",
            "`Connection` 须为 `Upgrade`，此外只可有 `keep-alive`",
        ));
    }
    if single(headers, &header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(words("`Sec-WebSocket-Version` must be `13`", "`Sec-WebSocket-Version` 须为 `13`"));
    }
    let key = single(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes()));
    let key = key.ok_or(words(
        "`Sec-WebSocket-Key` must come once, and be 16 bytes in base64",
        "`Sec-WebSocket-Key` 须出现一次，且为 16 字节的 base64",
    ))?;
    let listed = |name: &HeaderName| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    let offer = Offer {
        accept: accept(key.as_bytes()),
        protocols: listed(&header::SEC_WEBSOCKET_PROTOCOL),
        extensions: listed(&header::SEC_WEBSOCKET_EXTENSIONS),
    };
    names(&offer.protocols, Listed::Protocols).ok_or(words(
        "`Sec-WebSocket-Protocol` must list each protocol once, and 16 at most",
        "`Sec-WebSocket-Protocol` 须列出互不相同的子协议，至多 16 个",
    ))?;
    names(&offer.extensions, Listed::Extensions).ok_or(words(
        "`Sec-WebSocket-Extensions` must list extensions without quoted values, 16 at most",
        "`Sec-WebSocket-Extensions` 须列出扩展，不得带引号，至多 16 个",
    ))?;
    Ok(offer)
}

/// Whether it is the one text that a key's bytes have: the library also takes padding between two pieces.
fn is_key(key: &[u8]) -> bool {
    BASE64.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES && BASE64.encode(&bytes).as_bytes() == key)
}

/// What proves that a request with this key was read.
fn accept(key: &[u8]) -> HeaderValue {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(GUID);
    let text = BASE64.encode(hash.finish().as_ref());
    // Letters, digits, `+`, `/` and `=` make a value.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("-"))
}

/// The gate's own handshake with the platform.
#[derive(Debug)]
pub struct Ours {
    key: HeaderValue,
}

/// The platform's yes: which protocol and which extensions.
#[derive(Debug, PartialEq, Eq)]
pub struct Yes {
    protocol: Option<HeaderValue>,
    extensions: Vec<HeaderValue>,
}

impl Ours {
    /// With a key that nobody can know; none where there is no randomness.
    #[must_use]
    pub fn new() -> Option<Self> {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).ok()?;
        HeaderValue::from_str(&BASE64.encode(&bytes)).ok().map(|key| Self { key })
    }

    /// The fields of the request in which the platform is made the client's `offer`.
    #[must_use]
    pub fn fields(&self, offer: &Offer) -> HeaderMap {
        let mut fields = switching();
        fields.insert(header::SEC_WEBSOCKET_KEY, self.key.clone());
        fields.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        append(&mut fields, &header::SEC_WEBSOCKET_PROTOCOL, &offer.protocols);
        append(&mut fields, &header::SEC_WEBSOCKET_EXTENSIONS, &offer.extensions);
        fields
    }

    /// Reads the platform's answer to that, which must be yes to something that was offered (section 4.1).
    ///
    /// # Errors
    /// Why it is none.
    pub fn judge(&self, head: &response::Parts, offer: &Offer) -> Result<Yes, Words> {
        let headers = &head.headers;
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(words("it did not switch to WebSocket", "未切换到 WebSocket"));
        }
        let switched = single(headers, &header::UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()));
        if !switched || !connection(headers, &["upgrade", "keep-alive"]) {
            return Err(words("it switched to something else", "切换到了其他协议"));
        }
        // RFC 9110, section 8.6, and RFC 9112, section 6.1: it has no content.
        if headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(words("it switched and has content too", "切换协议的应答不得带有内容"));
        }
        if single(headers, &header::SEC_WEBSOCKET_ACCEPT) != Some(&accept(self.key.as_bytes())) {
            return Err(words(
                "`Sec-WebSocket-Accept` is not of the key that was sent",
                "`Sec-WebSocket-Accept` 与所发密钥不符",
            ));
        }
        let listed = |name: &HeaderName| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        let (protocols, extensions) =
            (listed(&header::SEC_WEBSOCKET_PROTOCOL), listed(&header::SEC_WEBSOCKET_EXTENSIONS));
        let is_offered = |chosen: &[HeaderValue], offered: &[HeaderValue], of, most| {
            let (Some(chosen), Some(offered)) = (names(chosen, of), names(offered, of)) else { return false };
            chosen.len() <= most && chosen.iter().all(|name| offered.contains(name))
        };
        if !extensions.iter().all(says_little) {
            return Err(words("an extension has a parameter that is no number", "扩展带有非数字的参数"));
        }
        if !is_offered(&protocols, &offer.protocols, Listed::Protocols, 1) {
            return Err(words("it chose a protocol that was not offered", "选择了未提供的子协议"));
        }
        if !is_offered(&extensions, &offer.extensions, Listed::Extensions, MAX_OFFERED) {
            return Err(words("it chose an extension that was not offered", "选择了未提供的扩展"));
        }
        Ok(Yes { protocol: protocols.into_iter().next(), extensions })
    }
}

impl Yes {
    /// The fields of the answer by which the gate takes the client's `offer`.
    #[must_use]
    pub fn fields(&self, offer: &Offer) -> HeaderMap {
        let mut fields = switching();
        fields.insert(header::SEC_WEBSOCKET_ACCEPT, offer.accept.clone());
        append(&mut fields, &header::SEC_WEBSOCKET_PROTOCOL, self.protocol.as_slice());
        append(&mut fields, &header::SEC_WEBSOCKET_EXTENSIONS, &self.extensions);
        fields
    }

    /// Whether extensions are in use, which give a meaning to bits of frames.
    #[must_use]
    pub fn has_extensions(&self) -> bool {
        !self.extensions.is_empty()
    }
}

fn switching() -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(12);
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
    fields
}

fn append(fields: &mut HeaderMap, name: &HeaderName, values: &[HeaderValue]) {
    for value in values {
        fields.append(name, value.clone());
    }
}

/// The value of a field that comes once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether `Connection` has the first of `options`, and nothing that is not one of them.
fn connection(headers: &HeaderMap, options: &[&str]) -> bool {
    let mut has_first = false;
    for value in headers.get_all(header::CONNECTION) {
        for option in value.as_bytes().split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            let known = options.iter().position(|known| option.eq_ignore_ascii_case(known.as_bytes()));
            match known {
                Some(place) => has_first |= place == 0,
                None => return false,
            }
        }
    }
    has_first
}

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// Names, each once.
    Protocols,
    /// Names that may have parameters behind them, and may come again with others (section 9.1).
    Extensions,
}

/// The names that are listed; `None` where that could be read in two ways.
fn names(values: &[HeaderValue], of: Listed) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for value in values {
        for item in value.to_str().ok()?.split(',') {
            let parted = if of == Listed::Extensions { item.split_once(';') } else { None };
            let (name, parameters) = parted.map_or((item, None), |(name, rest)| (name, Some(rest)));
            let name = name.trim_matches([' ', '\t']);
            let is_new = of == Listed::Extensions || !names.contains(&name);
            let are_plain = parameters.is_none_or(|parameters| parameters.split(';').all(is_parameter));
            if !is_token(name) || !is_new || !are_plain || names.len() == MAX_OFFERED {
                return None;
            }
            names.push(name);
        }
    }
    Some(names)
}

/// `name` or `name=value` (section 9.1), without quotes.
fn is_parameter(text: &str) -> bool {
    let (name, value) = text.split_once('=').unwrap_or((text, "-"));
    [name, value].into_iter().all(|part| is_token(part.trim_matches([' ', '\t'])))
}

/// Whether the parameters of an answer have no other values than the sizes of RFC 7692, section 7.1: any text could be
/// data that leaves by the side.
fn says_little(value: &HeaderValue) -> bool {
    let is_little = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim_matches([' ', '\t']);
        PARAMETERS.contains(&name.trim_matches([' ', '\t']))
            && value.len() <= 2
            && value.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut extensions = value.to_str().unwrap_or("\"").split(',');
    extensions.all(|extension| extension.split(';').skip(1).all(is_little))
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_token)
}

#[cfg(test)]
mod tests;
