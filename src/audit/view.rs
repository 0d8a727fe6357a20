//! What a record says of a decision, read fast: millions of records are decided again at once.
//!
//! A line as this program writes it is walked once and borrowed from. A line with anything unusual
//! in it (an escape, another order of members, white space) is read by [`ParsedRecord`], whose word
//! is what counts: both readers say the same of every line.

use std::borrow::Cow;

use super::{Kind, ParseError, ParsedRecord, SCHEMA_VERSION};

/// What a record says of who asked for what, and of what was decided. `docs/audit-record.md` says
/// what each member means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the record, described in one place")]
pub struct AccessView<'l> {
    pub seq: u64,
    /// `None` if it is about the gate itself.
    pub kind: Option<Kind>,
    pub at: Cow<'l, str>,
    pub request: Option<Cow<'l, str>>,
    pub system: Option<Cow<'l, str>>,
    pub resource: Option<Cow<'l, str>>,
    pub action: Option<Cow<'l, str>>,
    pub purpose: Option<Cow<'l, str>>,
    pub requested: Listed<Cow<'l, str>>,
    pub parameters: Listed<(Cow<'l, str>, Cow<'l, str>)>,
    pub withheld: Listed<(Cow<'l, str>, u64)>,
    pub narrowed_to: Listed<Cow<'l, str>>,
    pub decision: Option<Cow<'l, str>>,
    pub reason: Option<Cow<'l, str>>,
    pub grants: Listed<Cow<'l, str>>,
    pub released: Listed<Cow<'l, str>>,
    pub policy: Option<Cow<'l, str>>,
}

/// A list of a record, which may have been cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items that are in the record.
    pub items: Vec<T>,
    /// How many are not.
    pub more: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), more: 0 }
    }
}

impl<T> Listed<T> {
    fn new(items: Vec<T>, more: Option<u64>) -> Self {
        Self { items, more: more.unwrap_or(0) }
    }

    /// Whether all that was said is here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.more == 0
    }
}

impl<'l> AccessView<'l> {
    /// Reads one line, without its newline. Whether it stands in its place is not looked at.
    ///
    /// # Errors
    /// When it is not a record of this version.
    pub fn read(line: &'l [u8]) -> Result<Self, ParseError> {
        match Self::borrowed(line) {
            Some(view) => Ok(view),
            None => ParsedRecord::parse(line).map(AccessView::from),
        }
    }

    /// The view of a line as this program writes it, without escapes.
    pub(super) fn borrowed(line: &'l [u8]) -> Option<Self> {
        // Without either, a text ends at the next quote.
        if line.iter().any(|&byte| byte < 0x20 || byte == b'\\') {
            return None;
        }
        let mut walk = Walk { rest: simdutf8::basic::from_utf8(line).ok()? };
        let mut view = Self::default();
        let mut members = MEMBERS.iter();
        let mut needed = 0;
        walk.eat("{")?;
        loop {
            let name = walk.text()?;
            walk.eat(":")?;
            // In order, so that none comes twice.
            let member = members.find(|member| member.name == name)?;
            needed += u8::from(member.needed);
            view.take(member.slot, &mut walk)?;
            if walk.eat(",").is_none() {
                break;
            }
        }
        walk.eat("}")?;
        (walk.rest.is_empty() && needed == NEEDED).then_some(view)
    }

    fn take(&mut self, slot: Slot, walk: &mut Walk<'l>) -> Option<()> {
        match slot {
            Slot::Version => return (walk.number()? == SCHEMA_VERSION).then_some(()),
            Slot::Seq => self.seq = walk.number()?,
            Slot::Kind => self.kind = kind(walk.text()?),
            Slot::At => self.at = walk.text()?.into(),
            Slot::Request => self.request = Some(walk.text()?.into()),
            Slot::System => self.system = Some(walk.text()?.into()),
            Slot::Resource => self.resource = Some(walk.text()?.into()),
            Slot::Action => self.action = Some(walk.text()?.into()),
            Slot::Purpose => self.purpose = Some(walk.text()?.into()),
            Slot::Decision => self.decision = Some(walk.text()?.into()),
            Slot::Reason => self.reason = Some(walk.text()?.into()),
            Slot::Policy => self.policy = Some(walk.text()?.into()),
            Slot::Requested => walk.list(|text| self.requested.items.push(text.into()))?,
            Slot::RequestedMore => self.requested.more = walk.number()?,
            Slot::Parameters => {
                walk.texts(|name, value| self.parameters.items.push((name.into(), value.into())))?;
                sort_names(&mut self.parameters.items)?;
            }
            Slot::ParametersMore => self.parameters.more = walk.number()?,
            Slot::Withheld => {
                walk.numbers(|name, count| self.withheld.items.push((name.into(), count)))?;
                sort_names(&mut self.withheld.items)?;
            }
            Slot::WithheldMore => self.withheld.more = walk.number()?,
            Slot::NarrowedTo => walk.list(|text| self.narrowed_to.items.push(text.into()))?,
            Slot::NarrowedToMore => self.narrowed_to.more = walk.number()?,
            Slot::Grants => walk.list(|text| self.grants.items.push(text.into()))?,
            Slot::GrantsMore => self.grants.more = walk.number()?,
            Slot::Released => walk.list(|text| self.released.items.push(text.into()))?,
            Slot::ReleasedMore => self.released.more = walk.number()?,
            Slot::Text => drop(walk.text()?),
            Slot::Number => drop(walk.number()?),
            Slot::Status => return u16::try_from(walk.number()?).ok().map(drop),
            Slot::List => walk.list(drop)?,
            Slot::Texts => walk.texts(|_, _| ())?,
            Slot::Numbers => walk.numbers(|_, _| ())?,
        }
        Some(())
    }
}

impl From<ParsedRecord> for AccessView<'static> {
    fn from(record: ParsedRecord) -> Self {
        let text = |text: Option<String>| text.map(Cow::Owned);
        let texts = |texts: Vec<String>| texts.into_iter().map(Cow::Owned).collect();
        let parameters = record.parameters.into_iter().map(|(name, value)| (name.into(), value.into()));
        let withheld = record.withheld.into_iter().map(|(name, count)| (name.into(), count));
        Self {
            seq: record.seq,
            kind: kind(&record.kind),
            at: record.at.into(),
            request: text(record.request),
            system: text(record.system),
            resource: text(record.resource),
            action: text(record.action),
            purpose: text(record.purpose),
            requested: Listed::new(texts(record.requested), record.requested_more),
            parameters: Listed::new(parameters.collect(), record.parameters_more),
            withheld: Listed::new(withheld.collect(), record.withheld_more),
            narrowed_to: Listed::new(texts(record.narrowed_to), record.narrowed_to_more),
            decision: text(record.decision),
            reason: text(record.reason),
            grants: Listed::new(texts(record.grants), record.grants_more),
            released: Listed::new(texts(record.released), record.released_more),
            policy: text(record.policy),
        }
    }
}

fn kind(word: &str) -> Option<Kind> {
    [Kind::Access, Kind::Intent, Kind::Outcome].into_iter().find(|kind| kind.as_str() == word)
}

/// Puts members in the order of their names; `None` if one comes twice, since JSON leaves open which
/// is meant.
fn sort_names<T>(members: &mut [(Cow<'_, str>, T)]) -> Option<()> {
    members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    members.is_sorted_by(|(a, _), (b, _)| a < b).then_some(())
}

/// What is done with a member: kept, or passed over as the shape it has.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Version,
    Seq,
    Kind,
    At,
    Request,
    System,
    Resource,
    Action,
    Purpose,
    Requested,
    RequestedMore,
    Parameters,
    ParametersMore,
    Withheld,
    WithheldMore,
    NarrowedTo,
    NarrowedToMore,
    Decision,
    Reason,
    Grants,
    GrantsMore,
    Released,
    ReleasedMore,
    Policy,
    Text,
    Number,
    Status,
    List,
    Texts,
    Numbers,
}

/// What a member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    /// A number as small as those of HTTP.
    Status,
    /// A list of texts.
    List,
    /// An object of texts.
    Texts,
    /// An object of numbers.
    Numbers,
}

impl Slot {
    const fn shape(self) -> Shape {
        match self {
            Self::Version
            | Self::Seq
            | Self::RequestedMore
            | Self::ParametersMore
            | Self::WithheldMore
            | Self::NarrowedToMore
            | Self::GrantsMore
            | Self::ReleasedMore
            | Self::Number => Shape::Number,
            Self::Status => Shape::Status,
            Self::Kind
            | Self::At
            | Self::Request
            | Self::System
            | Self::Resource
            | Self::Action
            | Self::Purpose
            | Self::Decision
            | Self::Reason
            | Self::Policy
            | Self::Text => Shape::Text,
            Self::Requested | Self::NarrowedTo | Self::Grants | Self::Released | Self::List => Shape::List,
            Self::Parameters | Self::Texts => Shape::Texts,
            Self::Withheld | Self::Numbers => Shape::Numbers,
        }
    }
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    slot: Slot,
    pub(super) shape: Shape,
    pub(super) needed: bool,
}

const fn must(name: &'static str, slot: Slot) -> Member {
    Member { name, slot, shape: slot.shape(), needed: true }
}

const fn may(name: &'static str, slot: Slot) -> Member {
    Member { name, slot, shape: slot.shape(), needed: false }
}

/// How many members no record lacks.
pub(super) const NEEDED: u8 = 9;

/// Every member, in the order of a line.
pub(super) const MEMBERS: [Member; 76] = [
    must("v", Slot::Version),
    must("seq", Slot::Seq),
    must("batch", Slot::Number),
    must("prev", Slot::Text),
    must("node", Slot::Text),
    must("generation", Slot::Number),
    must("sum", Slot::Text),
    must("kind", Slot::Kind),
    must("at", Slot::At),
    may("request", Slot::Request),
    may("trace", Slot::Text),
    may("system", Slot::System),
    may("department", Slot::Text),
    may("certificate", Slot::Text),
    may("address", Slot::Text),
    may("method", Slot::Text),
    may("route", Slot::Text),
    may("resource", Slot::Resource),
    may("provider", Slot::Text),
    may("action", Slot::Action),
    may("purpose", Slot::Purpose),
    may("purpose_source", Slot::Text),
    may("token", Slot::Text),
    may("requested", Slot::Requested),
    may("requested_more", Slot::RequestedMore),
    may("parameters", Slot::Parameters),
    may("parameters_more", Slot::ParametersMore),
    may("withheld", Slot::Withheld),
    may("withheld_more", Slot::WithheldMore),
    may("subjects", Slot::List),
    may("subjects_more", Slot::Number),
    may("subjects_key", Slot::Text),
    may("narrowed_to", Slot::NarrowedTo),
    may("narrowed_to_more", Slot::NarrowedToMore),
    may("decision", Slot::Decision),
    may("reason", Slot::Reason),
    may("admitted", Slot::Text),
    may("grants", Slot::Grants),
    may("grants_more", Slot::GrantsMore),
    may("denied_by", Slot::List),
    may("denied_by_more", Slot::Number),
    may("released", Slot::Released),
    may("released_more", Slot::ReleasedMore),
    may("event", Slot::Text),
    may("actor", Slot::Text),
    may("detail", Slot::Texts),
    may("detail_more", Slot::Number),
    may("policy", Slot::Policy),
    may("config", Slot::Text),
    may("shadow", Slot::Text),
    may("shadow_policy", Slot::Text),
    may("status", Slot::Status),
    may("bytes_in", Slot::Number),
    may("bytes_out", Slot::Number),
    may("records", Slot::Number),
    may("masked", Slot::Numbers),
    may("masked_more", Slot::Number),
    may("dropped", Slot::Numbers),
    may("dropped_more", Slot::Number),
    may("egress", Slot::Numbers),
    may("egress_more", Slot::Number),
    may("unclassified", Slot::Number),
    may("submitted", Slot::Number),
    may("submitted_masked", Slot::Numbers),
    may("submitted_masked_more", Slot::Number),
    may("submitted_dropped", Slot::Numbers),
    may("submitted_dropped_more", Slot::Number),
    may("submitted_unclassified", Slot::Number),
    may("received_mac", Slot::Text),
    may("sent_sha256", Slot::Text),
    may("total_us", Slot::Number),
    may("decide_us", Slot::Number),
    may("upstream_us", Slot::Number),
    may("attempts", Slot::Number),
    may("aborted", Slot::Text),
    may("ended_by", Slot::Text),
];

/// What is left of a line. INVARIANT: it has neither escapes nor control characters.
struct Walk<'l> {
    rest: &'l str,
}

impl<'l> Walk<'l> {
    fn eat(&mut self, sign: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(sign)?;
        Some(())
    }

    fn text(&mut self) -> Option<&'l str> {
        self.eat("\"")?;
        let end = memchr::memchr(b'"', self.rest.as_bytes())?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.strip_prefix('"')?;
        Some(text)
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = self.rest.split_at_checked(end)?;
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.rest = rest;
        digits.parse().ok()
    }

    /// Items between `open` and `close`.
    fn items(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.eat(open)?;
        if self.eat(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.eat(",").is_none() {
                return self.eat(close);
            }
        }
    }

    fn list(&mut self, mut take: impl FnMut(&'l str)) -> Option<()> {
        self.items("[", "]", |walk| {
            take(walk.text()?);
            Some(())
        })
    }

    fn texts(&mut self, mut take: impl FnMut(&'l str, &'l str)) -> Option<()> {
        self.items("{", "}", |walk| {
            let name = walk.text()?;
            walk.eat(":")?;
            take(name, walk.text()?);
            Some(())
        })
    }

    fn numbers(&mut self, mut take: impl FnMut(&'l str, u64)) -> Option<()> {
        self.items("{", "}", |walk| {
            let name = walk.text()?;
            walk.eat(":")?;
            take(name, walk.number()?);
            Some(())
        })
    }
}
