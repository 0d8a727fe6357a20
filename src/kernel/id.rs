//! Identifiers. Each is checked once, where it enters the program, and trusted from then on.
//!
//! Every id is plain ASCII of bounded length, so it can stand in a header, a Casbin line, a record
//! or a metric label without escaping.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest identifier of any kind, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Why a text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {expected}")]
pub struct IdError {
    /// The kind of identifier, in words for people.
    pub kind: &'static str,
    /// What would be right.
    pub expected: &'static str,
}

fn is_lower_word(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
}

/// A non-empty word of lower-case letters, digits, `-` and `_`, starting with a letter or digit.
fn is_name(text: &str) -> bool {
    text.bytes().all(is_lower_word) && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

fn is_dotted_name(text: &str) -> bool {
    text.split('.').all(is_name)
}

fn is_system(text: &str) -> bool {
    text.strip_prefix("sys:").is_some_and(is_name)
}

fn is_department(text: &str) -> bool {
    text.strip_prefix("dept:").is_some_and(is_name)
}

fn is_grant(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

fn is_identifier(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
}

fn is_dotted_identifier(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

fn is_token_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

fn is_subject_kind(text: &str) -> bool {
    text.len() <= 32 && text.starts_with(|first: char| first.is_ascii_lowercase()) && is_name(text)
}

fn is_key_label(text: &str) -> bool {
    text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $check:path, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and keeps it.
            ///
            /// # Errors
            /// When `text` is empty, longer than [`MAX_ID_BYTES`] or has a character this kind of
            /// identifier may not have.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if !text.is_empty() && text.len() <= MAX_ID_BYTES && $check(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(IdError { kind: $kind, expected: $expected })
                }
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

ids! {
    /// A department (部门), as `dept:minzheng`.
    DepartmentId, "a department id", is_department, "`dept:` and lower-case letters, digits, `-` or `_`, such as `dept:minzheng`";
    /// A department's registered application (部门业务系统), as `sys:minzheng-aid`.
    SystemId, "a system id", is_system, "`sys:` and lower-case letters, digits, `-` or `_`, such as `sys:minzheng-aid`";
    /// An entry of the resource catalogue (政务数据资源目录), as `population.resident`.
    ResourceId, "a resource id", is_dotted_name, "dotted lower-case words, such as `population.resident`";
    /// What is done to a resource, as `query`.
    Action, "an action", is_name, "one lower-case word, such as `query`";
    /// A purpose code (使用用途/应用场景), as `social-aid.eligibility`.
    PurposeCode, "a purpose code", is_dotted_name, "dotted lower-case words, such as `social-aid.eligibility`";
    /// A grant's approval number (授权编号), as `HS-2026-0117`.
    GrantId, "a grant id", is_grant, "letters, digits, `-`, `_` or `.`, such as `HS-2026-0117`";
    /// The name of a masker (脱敏规则).
    MaskerName, "a masker name", is_name, "one lower-case word, such as `mobile`";
    /// The label of a key of pseudonyms, as it stands before each of them.
    KeyLabel, "a key label", is_key_label, "1 to 16 letters and digits, such as `h2`";
    /// What kind of number or name leads to a person or company, as `resident-id`.
    SubjectKind, "a kind of subject", is_subject_kind, "one lower-case word of at most 32 characters, such as `resident-id`";
    /// A field group of a resource, without its `@`.
    GroupName, "a field group", is_name, "one lower-case word, such as `basic`";
    /// A request parameter that grants may constrain.
    ParameterName, "a parameter name", is_dotted_identifier, "letters, digits, `-`, `_` and `.`, such as `area`";
    /// A platform service (上游) named in the gateway configuration.
    UpstreamId, "an upstream id", is_name, "one lower-case word, such as `platform`";
    /// The name of one gate, in records and checkpoints.
    NodeId, "a node name", is_dotted_name, "dotted lower-case words, such as `gate-1`";
    /// The name of a limit in `limits.toml`.
    LimitName, "a limit name", is_name, "one lower-case word, such as `default`";
    /// A token's `jti`.
    TokenId, "a token id", is_token_id, "visible ASCII without quotes or backslashes";
}

impl Default for KeyLabel {
    /// The label of a key that has no other beside it, `h1`.
    fn default() -> Self {
        Self(Arc::from("h1"))
    }
}

impl DepartmentId {
    /// The id without its `dept:` prefix, as it stands in a SPIFFE path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.strip_prefix("dept:").unwrap_or(&self.0)
    }
}

impl SystemId {
    /// The id without its `sys:` prefix, as it stands in a SPIFFE path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.strip_prefix("sys:").unwrap_or(&self.0)
    }
}

/// The path of a field inside a record: member names joined by `.`, arrays crossed silently.
///
/// Names may be any text without `.`, `|`, `;`, `:`, `*`, `@` and control characters, so that
/// catalogues can describe Chinese field names too.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(Arc<str>);

impl FieldPath {
    /// The longest path, in bytes.
    pub const MAX_BYTES: usize = 512;
    /// The deepest path, in names.
    pub const MAX_DEPTH: usize = 32;

    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// When a name is empty or has a character with a meaning in scopes, or the path is too long
    /// or too deep.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let name_is_right = |name: &str| {
            !name.is_empty()
                && name == name.trim()
                && !name.chars().any(|c| {
                    c.is_control() || matches!(c, '|' | ';' | ':' | '*' | '@' | '"' | ',' | '[' | ']')
                })
        };
        if text.len() <= Self::MAX_BYTES
            && text.split('.').count() <= Self::MAX_DEPTH
            && text.split('.').all(name_is_right)
        {
            Ok(Self(Arc::from(text)))
        } else {
            Err(IdError {
                kind: "a field path",
                expected: "member names joined by `.`, such as `address.city`",
            })
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names on the path, outermost first; at least one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether `self` is `other` or lies above it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPath({})", self.0)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for FieldPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The id of one request: a UUID version 7 (RFC 9562), so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(uuid::Uuid);

impl RequestId {
    /// A fresh id.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// The id as a number.
    #[must_use]
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// Its second half, which is random but for its first bit: that is set, as RFC 9562 (section 4.1) has it.
    #[must_use]
    pub fn low_half(self) -> u64 {
        self.0.as_u64_pair().1
    }

    /// The id as 36 ASCII characters written into `buffer`.
    pub fn encode(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl std::str::FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| IdError { kind: "a request id", expected: "a UUID" })
    }
}

/// A SHA-256 digest (FIPS 180-4), shown as 64 lower-case hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Self(out)
    }

    /// Reads 64 hexadecimal characters.
    ///
    /// # Errors
    /// When `text` is anything else.
    pub fn parse_hex(text: &str) -> Result<Self, IdError> {
        let error = IdError { kind: "a digest", expected: "64 lower-case hexadecimal characters" };
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| error.clone())?;
        bytes.try_into().map(Self).map_err(|_| error)
    }

    /// The digest as hexadecimal text.
    #[must_use]
    pub fn to_hex(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_take_only_their_own_shape() {
        assert!(SystemId::parse("sys:minzheng-aid").is_ok());
        for bad in ["", "minzheng", "sys:", "sys:Aid", "sys:a b", "sys:a\n", "sys:-a", "dept:a", "sys:民政"]
        {
            assert!(SystemId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ResourceId::parse("population.resident").is_ok());
        for bad in [".", "a.", ".a", "a..b", "A.b", "a,b"] {
            assert!(ResourceId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(GrantId::parse("HS-2026-0117").is_ok());
        assert!(GrantId::parse("HS 2026").is_err());
    }

    #[test]
    fn field_paths_cover_what_lies_below() {
        let path = |text| FieldPath::parse(text).unwrap();
        assert!(path("a").covers(&path("a")));
        assert!(path("a").covers(&path("a.b")));
        assert!(!path("a").covers(&path("ab")));
        assert!(!path("a.b").covers(&path("a")));
        assert!(FieldPath::parse("地址.市").is_ok());
        for bad in ["", ".", "a..b", "a|b", "a;b", "@a", "a:clear", " a"] {
            assert!(FieldPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digests_round_trip() {
        let digest = Digest::of(b"pinegate");
        assert_eq!(Digest::parse_hex(&digest.to_hex()), Ok(digest));
        assert!(Digest::parse_hex("00").is_err());
    }
}
