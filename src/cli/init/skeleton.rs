//! The files that `pinegate init` writes, with what stands in them.

use std::path::Path;

use crate::kernel::time::Timestamp;

/// A file whose content is known beforehand, but for dates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    /// Where it goes.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    /// What it is for.
    pub(super) what: &'static str,
}

/// Directories, with their modes: what is secret in them only their owner finds.
pub(super) fn directories() -> [(&'static str, u32); 6] {
    [
        ("", 0o755),
        ("policies/tests", 0o755),
        ("certs/clients", 0o755),
        ("certs/tokens", 0o755),
        ("keys", 0o700),
        ("audit", 0o700),
    ]
}

macro_rules! text {
    ($name:literal, $what:literal) => {
        text!($name, concat!("skeleton/", $name), $what)
    };
    ($name:literal, $from:expr, $what:literal) => {
        Text { name: $name, text: include_str!($from), what: $what }
    };
}

/// All of them, in the order in which they are read.
pub(super) fn texts() -> impl Iterator<Item = Text> {
    [
        text!("README.md", "what is where, and how to change it"),
        text!("gateway.toml", "the configuration: read it first"),
        text!("policies/registry.toml", "departments and their systems"),
        text!("policies/purposes.toml", "what data may be asked for"),
        text!("policies/catalog.toml", "resources and their fields"),
        text!("policies/grants.csv", "who may do what, a line each"),
        text!("policies/masks.toml", "how fields are masked"),
        text!("policies/limits.toml", "rates and quotas"),
        text!("policies/calendar.toml", "../../../policies/calendar.toml", "holidays and make-up workdays"),
        text!("policies/model.conf", "../../../policies/model.conf", "the Casbin model; leave it as it is"),
        text!("policies/tests/first.toml", "tests of the grants"),
        text!("certs/README.md", "which certificates belong here"),
        text!(".gitignore", "skeleton/gitignore", "keeps secrets out of git"),
    ]
    .into_iter()
}

/// What is filled in, and where it goes.
#[derive(Debug)]
pub(super) struct Skeleton<'r> {
    pub(super) root: &'r Path,
    /// From when on the grants of the skeleton hold, to the last day, and the day after.
    from: String,
    to: String,
    after: String,
}

impl<'r> Skeleton<'r> {
    /// Grants hold from the day of `now` to the end of the next year.
    pub(super) fn new(root: &'r Path, now: Timestamp) -> Self {
        let zone = super::super::when::default_zone();
        let today = zone.to_datetime(now).date();
        let year = today.year();
        Self {
            root,
            from: today.to_string(),
            to: format!("{:04}-12-31", year.saturating_add(1)),
            after: format!("{:04}-01-01", year.saturating_add(2)),
        }
    }

    pub(super) fn filled(&self, text: &str) -> String {
        text.replace("{{from}}", &self.from).replace("{{to}}", &self.to).replace("{{after}}", &self.after)
    }
}
