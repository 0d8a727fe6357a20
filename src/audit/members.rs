//! A line as it stands, member by member: what searching, counting and exporting read.
//!
//! A line is walked once and borrowed from, escapes and all, so that a value can be handed on in the
//! very form that the encoder made harmless. Taken is only what [`super::Entry`] can have written:
//! members in their order, none twice, each of the shape it has. So whatever is taken here is a
//! [`super::ParsedRecord`] too.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::view::{MEMBERS, NEEDED, Shape};
use super::{MAX_LINE_BYTES, SCHEMA_VERSION};

/// Which member of a record. `docs/audit-record.md` says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(usize);

/// How many members there are.
const COUNT: usize = MEMBERS.len();

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    match (a, b) {
        ([], []) => true,
        ([x, a @ ..], [y, b @ ..]) => *x == *y && is_same(a, b),
        _ => false,
    }
}

macro_rules! names {
    ($($name:ident $text:literal)*) => {
        #[expect(missing_docs, reason = "the members are described in one place")]
        impl Name {
            $(pub const $name: Self = Self::of($text);)*
            /// Those that have a constant.
            #[cfg(test)]
            const NAMED: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),*];
        }
    };
}

names! {
    V "v"
    SEQ "seq"
    NODE "node"
    GENERATION "generation"
    KIND "kind"
    AT "at"
    REQUEST "request"
    TRACE "trace"
    SYSTEM "system"
    DEPARTMENT "department"
    CERTIFICATE "certificate"
    ADDRESS "address"
    METHOD "method"
    ROUTE "route"
    RESOURCE "resource"
    PROVIDER "provider"
    ACTION "action"
    PURPOSE "purpose"
    TOKEN "token"
    DECISION "decision"
    REASON "reason"
    GRANTS "grants"
    DENIED_BY "denied_by"
    EVENT "event"
    ACTOR "actor"
    DETAIL "detail"
    SHADOW "shadow"
    STATUS "status"
    BYTES_IN "bytes_in"
    BYTES_OUT "bytes_out"
    RECORDS "records"
    MASKED "masked"
    DROPPED "dropped"
    TOTAL_US "total_us"
    ABORTED "aborted"
}

impl Name {
    /// The place of `name` among [`MEMBERS`]; a test holds that no constant lies beyond.
    const fn of(name: &str) -> Self {
        let mut rest: &[_] = &MEMBERS;
        let mut place = 0;
        while let [member, after @ ..] = rest {
            if is_same(member.name.as_bytes(), name.as_bytes()) {
                break;
            }
            rest = after;
            place += 1;
        }
        Self(place)
    }

    /// Every member, in the order of a line.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT).map(Self)
    }

    /// Its name in the line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        MEMBERS.get(self.0).map_or("", |member| member.name)
    }
}

/// The members of one line, each as the JSON that stands there.
#[derive(Debug, Clone)]
pub struct Members<'l> {
    /// By the place of the name; empty where the line has none.
    raw: [&'l str; COUNT],
}

impl<'l> Members<'l> {
    /// Reads one line, without its newline; `None` if it is no record as this program writes it.
    /// Whether it stands in its place is not looked at.
    #[must_use]
    pub fn read(line: &'l [u8]) -> Option<Self> {
        if line.len() > MAX_LINE_BYTES || line.iter().any(|&byte| byte < 0x20) {
            return None;
        }
        let mut walk = Walk { rest: simdutf8::basic::from_utf8(line).ok()? };
        let mut raw = [""; COUNT];
        let mut slots = raw.iter_mut().zip(&MEMBERS);
        let mut needed = 0;
        walk.eat(b'{')?;
        loop {
            let name = walk.text()?;
            walk.eat(b':')?;
            // In order, so that none comes twice.
            let (slot, member) = slots.find(|(_, member)| member.name == name)?;
            needed += u8::from(member.needed);
            *slot = walk.value(member.shape)?;
            if walk.eat(b',').is_none() {
                break;
            }
        }
        walk.eat(b'}')?;
        let members = Self { raw };
        let is_ours =
            walk.rest.is_empty() && needed == NEEDED && members.number(Name::V) == Some(SCHEMA_VERSION);
        is_ours.then_some(members)
    }

    /// The JSON of a member, as it stands in the line.
    #[must_use]
    pub fn raw(&self, name: Name) -> Option<&'l str> {
        self.raw.get(name.0).copied().filter(|raw| !raw.is_empty())
    }

    /// A text.
    #[must_use]
    pub fn text(&self, name: Name) -> Option<Cow<'l, str>> {
        plain(inner(self.raw(name)?)?)
    }

    /// A text that is always there, such as the kind.
    #[must_use]
    pub fn word(&self, name: Name) -> Cow<'l, str> {
        self.text(name).unwrap_or_default()
    }

    /// Whether a text is there and is `wanted`.
    #[must_use]
    pub fn is(&self, name: Name, wanted: &str) -> bool {
        match self.raw(name).and_then(inner) {
            Some(raw) if !raw.contains('\\') => raw == wanted,
            Some(raw) => plain(raw).is_some_and(|text| text == wanted),
            None => false,
        }
    }

    /// A number.
    #[must_use]
    pub fn number(&self, name: Name) -> Option<u64> {
        self.raw(name)?.parse().ok()
    }

    /// The items of a list, or the names of an object.
    pub fn items(&self, name: Name) -> impl Iterator<Item = Cow<'l, str>> + use<'l> {
        self.entries(name).filter_map(|(item, _)| plain(item))
    }

    /// The sum of an object's numbers.
    #[must_use]
    pub fn total(&self, name: Name) -> u64 {
        self.entries(name).fold(0, |sum, (_, value)| sum.saturating_add(value.parse().unwrap_or(0)))
    }

    /// The names of an object, each with its value: a text without its quotes, or a number.
    pub fn pairs(&self, name: Name) -> impl Iterator<Item = (Cow<'l, str>, Cow<'l, str>)> + use<'l> {
        self.entries(name).filter_map(|(name, value)| Some((plain(name)?, plain(inner(value)?)?)))
    }

    /// What stands in a list or object: the text without its quotes, and what follows the colon.
    fn entries(&self, name: Name) -> impl Iterator<Item = (&'l str, &'l str)> + use<'l> {
        let mut walk = Walk { rest: self.raw(name).and_then(|raw| raw.get(1..)).unwrap_or_default() };
        std::iter::from_fn(move || {
            let text = walk.text()?;
            let value = if walk.eat(b':').is_some() { walk.scalar()? } else { "" };
            // Between two, or before the end, at which no text begins.
            walk.eat(b',');
            Some((text, value))
        })
    }
}

/// A text without its quotes; what is no text stays as it is.
fn inner(raw: &str) -> Option<&str> {
    match raw.strip_prefix('"') {
        Some(raw) => raw.strip_suffix('"'),
        None => Some(raw),
    }
}

/// What an escaped text says.
fn plain(raw: &str) -> Option<Cow<'_, str>> {
    if raw.contains('\\') {
        return serde_json::from_str(&format!("\"{raw}\"")).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(raw))
}

/// What is left of a line. INVARIANT: it has no control characters.
struct Walk<'l> {
    rest: &'l str,
}

impl<'l> Walk<'l> {
    fn eat(&mut self, sign: u8) -> Option<()> {
        let (first, _) = self.rest.as_bytes().split_first()?;
        if *first != sign {
            return None;
        }
        self.rest = self.rest.get(1..)?;
        Some(())
    }

    /// What stands between two quotes, escapes included.
    fn text(&mut self) -> Option<&'l str> {
        self.eat(b'"')?;
        let bytes = self.rest.as_bytes();
        let mut end = 0;
        loop {
            end += memchr::memchr2(b'"', b'\\', bytes.get(end..)?)?;
            if bytes.get(end) == Some(&b'"') {
                break;
            }
            end += escape(bytes.get(end..)?)?;
        }
        let text = self.rest.get(..end)?;
        self.rest = self.rest.get(end + 1..)?;
        Some(text)
    }

    /// A whole number.
    fn number(&mut self) -> Option<&'l str> {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = self.rest.split_at_checked(end)?;
        let fits = match digits.len() {
            1 => true,
            2..20 => !digits.starts_with('0'),
            // As long as the greatest.
            20 => !digits.starts_with('0') && digits.parse::<u64>().is_ok(),
            _ => false,
        };
        if !fits {
            return None;
        }
        self.rest = rest;
        Some(digits)
    }

    /// A text with its quotes, or a number.
    fn scalar(&mut self) -> Option<&'l str> {
        let before = self.rest;
        if before.starts_with('"') {
            self.text()?;
            return before.get(..before.len() - self.rest.len());
        }
        self.number()
    }

    /// A value of this shape.
    fn value(&mut self, shape: Shape) -> Option<&'l str> {
        let before = self.rest;
        match shape {
            Shape::Text => drop(self.text()?),
            Shape::Number => drop(self.number()?),
            Shape::Status => drop(self.number()?.parse::<u16>().ok()?),
            Shape::List => self.items(b'[', b']', |walk| walk.text().map(drop))?,
            Shape::Texts => self.object(Self::text)?,
            Shape::Numbers => self.object(Self::number)?,
        }
        before.get(..before.len() - self.rest.len())
    }

    /// Items between `open` and `close`.
    fn items(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.eat(open)?;
        if self.eat(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.eat(b',').is_none() {
                return self.eat(close);
            }
        }
    }

    /// An object, none of whose names comes twice.
    fn object(&mut self, value: fn(&mut Self) -> Option<&'l str>) -> Option<()> {
        let mut seen = Seen::default();
        self.items(b'{', b'}', |walk| {
            seen.take(walk.text()?)?;
            walk.eat(b':')?;
            value(walk).map(drop)
        })
    }
}

/// The names of one object. Of a few, as is usual, none is put on the heap.
#[derive(Default)]
struct Seen<'l> {
    first: [&'l str; 8],
    count: usize,
    more: BTreeSet<&'l str>,
}

impl<'l> Seen<'l> {
    /// Takes one more name, as it stands; `None` if it is there already.
    fn take(&mut self, name: &'l str) -> Option<()> {
        if self.first.iter().take(self.count).any(|known| *known == name) {
            return None;
        }
        match self.first.get_mut(self.count) {
            Some(place) => {
                *place = name;
                self.count += 1;
                Some(())
            }
            None => self.more.insert(name).then_some(()),
        }
    }
}

/// The length of the escape at the beginning of `bytes`, if it is one that the encoder writes.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\\', b'"' | b'\\' | b'n' | b'r' | b't' | b'b' | b'f', ..] => Some(2),
        [b'\\', b'u', a, b, c, d, ..] => {
            let is_hex = [a, b, c, d].iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
            // Half of a pair: no character that the encoder escapes needs one.
            let is_half = *a == b'd' && matches!(b, b'8'..=b'9' | b'a'..=b'f');
            (is_hex && !is_half).then_some(6)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Chain, Event, Lifecycle};
    use crate::kernel::id::NodeId;
    use crate::kernel::time::Timestamp;

    fn event(actor: &str, detail: &[(&'static str, &str)]) -> Vec<u8> {
        let at = Timestamp::UNIX_EPOCH;
        let entry =
            Lifecycle { at, event: Event::Reload, actor, detail, policy: Some("aa"), config: None }.encode();
        let mut line = Vec::new();
        Chain::new(NodeId::parse("gate-1").unwrap(), 7).seal(&entry, &mut line);
        line.pop();
        line
    }

    #[test]
    fn every_constant_names_a_member() {
        for (name, text) in Name::NAMED {
            assert_eq!(name.as_str(), *text);
        }
        assert_eq!(Name::all().count(), COUNT);
    }

    #[test]
    fn a_line_is_read_as_it_stands() {
        let line = event("a\"\\\n\u{1}\u{202e}民政", &[("a", "1\"]}"), ("b", "")]);
        let members = Members::read(&line).unwrap();
        assert_eq!(members.raw(Name::ACTOR), Some(r#""a\"\\\n\u0001\u202e民政""#));
        assert_eq!(members.word(Name::ACTOR), "a\"\\\n\u{1}\u{202e}民政");
        assert!(members.is(Name::ACTOR, "a\"\\\n\u{1}\u{202e}民政"));
        assert_eq!(members.number(Name::GENERATION), Some(7));
        assert_eq!(members.text(Name::SYSTEM), None);
        let detail: Vec<_> = members.pairs(Name::DETAIL).collect();
        assert_eq!(detail, [("a".into(), "1\"]}".into()), ("b".into(), "".into())]);
    }

    #[test]
    fn what_no_encoder_wrote_is_no_record() {
        let line = String::from_utf8(event("x\u{7f}", &[("a", "b")])).unwrap();
        assert!(Members::read(line.as_bytes()).is_some());
        for (from, to) in [
            ("{\"v\":1", "{\"v\":2"),
            ("{\"v\":1", "{ \"v\":1"),
            ("\"seq\":0", "\"seq\":00"),
            ("\"seq\":0", "\"seq\":\"0\""),
            ("\"kind\":\"lifecycle\",", ""),
            ("\"event\":\"reload\"", "\"event\":\"reload\",\"event\":\"stop\""),
            ("\"event\":\"reload\"", "\"unheard\":\"of\""),
            ("\\u007f", "\\u007F"),
            ("\\u007f", "\\ud800"),
            ("\\u007f", "\\x7f"),
            ("\\u007f", "\u{1}"),
            ("{\"a\":\"b\"}", "{\"a\":{}}"),
            ("{\"a\":\"b\"}", "{\"a\"}"),
            ("{\"a\":\"b\"}", "{\"a\":1}"),
            ("{\"a\":\"b\"}", "{\"a\":\"b\",\"a\":\"c\"}"),
            ("{\"a\":\"b\"}", "[]"),
            ("\"lifecycle\"", "7"),
            ("\"generation\":7", "\"generation\":18446744073709551616"),
            ("\"generation\":7", "\"generation\":\"7\""),
            ("\"policy\":\"aa\"}", "\"policy\":\"aa\",\"status\":\"200\"}"),
            ("\"policy\":\"aa\"}", "\"policy\":\"aa\",\"status\":65536}"),
            ("\"policy\":\"aa\"}", "\"policy\":\"aa\",\"masked\":{\"a\":\"b\"}}"),
            ("\"event\":\"reload\"", "\"grants\":{},\"event\":\"reload\""),
            ("{\"a\":\"b\"}", "{\"a\":\"b\",}"),
            ("\"policy\":\"aa\"}", "\"policy\":\"aa\"}}"),
        ] {
            assert!(line.contains(from), "{from}");
            assert!(Members::read(line.replacen(from, to, 1).as_bytes()).is_none(), "{from} → {to}");
        }
        let names = |last: usize| {
            let names: Vec<_> = (0..20).chain([last]).map(|n| format!("\"a{n}\":\"\"")).collect();
            line.replacen("{\"a\":\"b\"}", &format!("{{{}}}", names.join(",")), 1)
        };
        assert!(Members::read(names(20).as_bytes()).is_some());
        for last in [0, 7, 8, 19] {
            assert!(Members::read(names(last).as_bytes()).is_none(), "a{last} comes twice");
        }
        for end in 0..line.len() {
            assert!(Members::read(&line.as_bytes()[..end]).is_none(), "cut at {end}");
        }
    }
}
