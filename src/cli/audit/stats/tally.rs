//! Counts of accesses by what they have in common, in one pass and bounded memory.

use std::collections::HashMap;

use clap::ValueEnum;

use super::quantiles::Quantiles;
use crate::audit::{Members, Name};
use crate::cli::audit::csv::unquoted;
use crate::kernel::time::{TimeZone, Timestamp};

/// The most groups that are told apart. Accesses of a group that is met after so many others are counted
/// together.
const MAX_GROUPS: usize = 10_000;

/// Stands where a record does not say: no text of a record is empty.
const NOTHING: &str = "";

/// What accesses are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// The system that asked
    System,
    /// The department of the system
    Department,
    /// The resource asked for
    Resource,
    /// The department that provides it
    Provider,
    /// What was to be done
    Action,
    /// Why
    Purpose,
    /// What was decided
    Decision,
    /// The code of the refusal
    Reason,
    /// Each grant that allowed it, or denied it
    Grant,
    /// The HTTP status
    Status,
    /// Where the connection came from
    Address,
    /// The client certificate
    Certificate,
    /// The gate
    Node,
    /// The hour, with its day
    Hour,
    /// The day
    Day,
    /// The month
    Month,
    /// The hour of the day
    HourOfDay,
    /// The day of the week, 1 being Monday
    Weekday,
}

impl By {
    /// Its name in output.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Department => "department",
            Self::Resource => "resource",
            Self::Provider => "provider",
            Self::Action => "action",
            Self::Purpose => "purpose",
            Self::Decision => "decision",
            Self::Reason => "reason",
            Self::Grant => "grant",
            Self::Status => "status",
            Self::Address => "address",
            Self::Certificate => "certificate",
            Self::Node => "node",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::HourOfDay => "hour_of_day",
            Self::Weekday => "weekday",
        }
    }

    const fn source(self) -> Source {
        match self {
            Self::System => Source::Member(Name::SYSTEM),
            Self::Department => Source::Member(Name::DEPARTMENT),
            Self::Resource => Source::Member(Name::RESOURCE),
            Self::Provider => Source::Member(Name::PROVIDER),
            Self::Action => Source::Member(Name::ACTION),
            Self::Purpose => Source::Member(Name::PURPOSE),
            Self::Decision => Source::Member(Name::DECISION),
            Self::Reason => Source::Member(Name::REASON),
            Self::Status => Source::Member(Name::STATUS),
            Self::Address => Source::Member(Name::ADDRESS),
            Self::Certificate => Source::Member(Name::CERTIFICATE),
            Self::Node => Source::Member(Name::NODE),
            Self::Grant => Source::Grants,
            Self::Hour => Source::Instant("%Y-%m-%d %H:00"),
            Self::Day => Source::Instant("%Y-%m-%d"),
            Self::Month => Source::Instant("%Y-%m"),
            Self::HourOfDay => Source::Instant("%H"),
            Self::Weekday => Source::Instant("%u"),
        }
    }

    /// Whether it has an order of its own.
    pub(super) const fn is_time(self) -> bool {
        matches!(self.source(), Source::Instant(_))
    }
}

/// Where a record says it.
enum Source {
    Member(Name),
    Grants,
    Instant(&'static str),
}

/// What the accesses of a group come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) accesses: u64,
    pub(super) permitted: u64,
    pub(super) denied: u64,
    /// Neither: the gate failed, or it is not known how it ended.
    pub(super) failed: u64,
    /// Data records that left.
    pub(super) records: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Values of fields that were masked, and that were dropped.
    pub(super) masked: u64,
    pub(super) dropped: u64,
    /// How long they took, in microseconds.
    pub(super) times: Quantiles,
}

impl Counts {
    fn add(&mut self, record: &Members<'_>) {
        self.accesses += 1;
        match &*record.word(Name::DECISION) {
            "permit" => self.permitted += 1,
            "deny" => self.denied += 1,
            _ => self.failed += 1,
        }
        let number = |name| record.number(name).unwrap_or(0);
        self.records = self.records.saturating_add(number(Name::RECORDS));
        self.bytes_in = self.bytes_in.saturating_add(number(Name::BYTES_IN));
        self.bytes_out = self.bytes_out.saturating_add(number(Name::BYTES_OUT));
        self.masked = self.masked.saturating_add(record.total(Name::MASKED));
        self.dropped = self.dropped.saturating_add(record.total(Name::DROPPED));
        if let Some(micros) = record.number(Name::TOTAL_US) {
            self.times.add(micros);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.accesses += other.accesses;
        self.permitted += other.permitted;
        self.denied += other.denied;
        self.failed += other.failed;
        self.records = self.records.saturating_add(other.records);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.masked = self.masked.saturating_add(other.masked);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.times.merge(&other.times);
    }
}

/// Groups and the rest.
#[derive(Debug)]
pub(super) struct Tally {
    by: Vec<By>,
    zone: TimeZone,
    /// By the texts of a group, joined by a character that no text of a record has.
    groups: HashMap<Box<str>, Counts>,
    beyond: Counts,
    total: Counts,
    key: String,
}

/// What stands between the texts of a key: control characters are always escaped in a record.
const BETWEEN: char = '\u{1f}';

/// The groups in the order in which they are shown.
pub(super) struct Ranked {
    /// Each with its texts.
    pub(super) groups: Vec<(Vec<String>, Counts)>,
    /// How many groups are not among them, those of `other`; `None` if they were not told apart.
    pub(super) left_out: Option<usize>,
    /// What those come to.
    pub(super) other: Option<Counts>,
    /// What all accesses come to.
    pub(super) total: Counts,
}

impl Tally {
    pub(super) fn new(by: &[By], zone: TimeZone) -> Self {
        let (beyond, total) = (Counts::default(), Counts::default());
        Self { by: by.to_vec(), zone, groups: HashMap::new(), beyond, total, key: String::new() }
    }

    /// Counts an access.
    pub(super) fn add(&mut self, record: &Members<'_>) {
        self.total.add(record);
        if !self.by.contains(&By::Grant) {
            self.count(record, NOTHING);
            return;
        }
        let mut grants: Vec<_> = record.items(Name::GRANTS).chain(record.items(Name::DENIED_BY)).collect();
        grants.sort_unstable();
        grants.dedup();
        if grants.is_empty() {
            self.count(record, NOTHING);
        }
        for grant in &grants {
            self.count(record, grant);
        }
    }

    fn count(&mut self, record: &Members<'_>, grant: &str) {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        for (place, by) in self.by.iter().enumerate() {
            if place > 0 {
                key.push(BETWEEN);
            }
            match by.source() {
                Source::Grants => key.push_str(grant),
                Source::Member(name) => key.push_str(record.raw(name).map_or(NOTHING, unquoted)),
                Source::Instant(form) => key.push_str(&self.moment(record, form)),
            }
        }
        if let Some(counts) = self.groups.get_mut(key.as_str()) {
            counts.add(record);
        } else if self.groups.len() < MAX_GROUPS {
            self.groups.entry(key.as_str().into()).or_default().add(record);
        } else {
            self.beyond.add(record);
        }
        self.key = key;
    }

    fn moment(&self, record: &Members<'_>, form: &str) -> String {
        let at: Option<Timestamp> = record.word(Name::AT).parse().ok();
        at.map_or_else(|| NOTHING.to_owned(), |at| self.zone.to_datetime(at).strftime(form).to_string())
    }

    /// The groups, the largest first, or in their own order if that is one of times; no more than `most`.
    pub(super) fn ranked(self, most: usize) -> Ranked {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        let by_size = |(a_key, a): &(Box<str>, Counts), (b_key, b): &(Box<str>, Counts)| {
            b.accesses.cmp(&a.accesses).then_with(|| a_key.cmp(b_key))
        };
        groups.sort_unstable_by(by_size);
        let rest = groups.split_off(most.min(groups.len()));
        if self.by.first().is_some_and(|by| by.is_time()) {
            groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
        let is_whole = self.beyond.accesses == 0;
        let mut other = self.beyond;
        rest.iter().for_each(|(_, counts)| other.merge(counts));
        let texts = |key: &str| key.split(BETWEEN).map(str::to_owned).collect();
        Ranked {
            groups: groups.into_iter().map(|(key, counts)| (texts(&key), counts)).collect(),
            left_out: is_whole.then_some(rest.len()),
            other: (other.accesses > 0).then_some(other),
            total: self.total,
        }
    }
}
