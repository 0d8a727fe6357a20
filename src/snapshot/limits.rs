//! `limits.toml`: how much, how fast, how many at once.

use std::fmt::Display;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;

use super::reference::{Declared, head};
use crate::document::{At, Document, Table};
use crate::kernel::diagnostic::{Report, Source};
use crate::kernel::id::{DepartmentId, GrantId, LimitName, ResourceId, SystemId};
use crate::quota::limit::{Dimension, Limit, MAX_BURST, MAX_CONCURRENCY, MAX_PER_DAY, Pace, Rate, Selection};

/// The most limits: each is looked at on every call.
const MAX_LIMITS: usize = 256;

/// One limit as written.
#[derive(Debug, Clone)]
pub struct LimitEntry {
    /// The limit.
    pub limit: Limit,
    /// Where its name stands.
    pub span: Range<usize>,
    /// Where the grants that it selects stand, in the order of `limit.only.grants`. Whether they exist
    /// can be said once `grants.csv` is read.
    pub grants: Vec<At<GrantId>>,
}

/// The names that limits may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'n> {
    pub(super) departments: &'n Declared<DepartmentId>,
    pub(super) systems: &'n Declared<SystemId>,
    pub(super) resources: &'n Declared<ResourceId>,
}

/// Reads `limits.toml`.
pub(super) fn read(source: &Source, names: Names<'_>) -> (Vec<LimitEntry>, Report) {
    let document = Document::parse(source);
    let root = document.root();
    let mut declared = Declared::new("a limit");
    let mut limits = Vec::new();
    for table in root.tables("limit") {
        limits.extend(read_limit(&table, &mut declared, names));
        table.finish();
    }
    if limits.len() > MAX_LIMITS {
        let message = format!("{} limits are too many", limits.len());
        let help = format!("at most {MAX_LIMITS}; one limit can list many ids and key by them");
        document.error("too-many", 0..0, message, help);
    }
    root.finish();
    (limits, document.into_report())
}

fn read_limit(
    table: &Table<'_, '_>,
    declared: &mut Declared<LimitName>,
    names: Names<'_>,
) -> Option<LimitEntry> {
    let document = table.document();
    let name = table.required("name", "such as `each-system`", LimitName::parse);
    let by = read_by(table);
    let rate = read_rate(table);
    let concurrency = table.integer("concurrency", 1..=i64::from(MAX_CONCURRENCY));
    let per_day = table.integer("per_day", 1..=i64::try_from(MAX_PER_DAY).unwrap_or(i64::MAX));
    let systems = selected(table, "system", SystemId::parse);
    let departments = selected(table, "department", DepartmentId::parse);
    let resources = selected(table, "resource", ResourceId::parse);
    let grants = selected(table, "grant", GrantId::parse);
    systems.iter().for_each(|id| _ = names.systems.check(document, id));
    departments.iter().for_each(|id| _ = names.departments.check(document, id));
    resources.iter().for_each(|id| _ = names.resources.check(document, id));
    if ["rate", "concurrency", "per_day"].iter().all(|key| !table.has(key)) {
        let help = "add `rate`, `concurrency` or `per_day`";
        document.error("limits-nothing", head(table), "this limit sets no bound", help);
    }
    let name = name?;
    if !declared.declare(document, &name) {
        return None;
    }
    Some(LimitEntry {
        limit: Limit {
            name: name.value,
            by: by?,
            only: Selection {
                systems: systems.into_iter().map(|id| id.value).collect(),
                departments: departments.into_iter().map(|id| id.value).collect(),
                resources: resources.into_iter().map(|id| id.value).collect(),
                grants: grants.iter().map(|id| id.value.clone()).collect(),
            },
            rate,
            concurrency: concurrency.and_then(|n| NonZeroU32::new(u32::try_from(n.value).ok()?)),
            per_day: per_day.and_then(|n| NonZeroU64::new(u64::try_from(n.value).ok()?)),
        },
        span: name.span,
        grants,
    })
}

/// The ids of a selection. A list that names nobody is reported: it would read as "nobody" and mean "all".
fn selected<T, E: Display>(
    table: &Table<'_, '_>,
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<At<T>> {
    let ids = table.parsed_list(key, parse);
    if ids.is_empty() && table.has(key) {
        let message = format!("`{}` selects nothing", table.path_of(key));
        let help = "leave the key out to mean all, or name at least one";
        table.document().error("limits-nothing", head(table), message, help);
    }
    ids
}

fn read_by(table: &Table<'_, '_>) -> Option<Vec<Dimension>> {
    const EXPECTED: &str = "a list of `system`, `department`, `resource`, `grant`";
    if !table.has("by") {
        table.missing("by", EXPECTED);
        return None;
    }
    let mut by: Vec<Dimension> = Vec::new();
    let parse = |word: &str| Dimension::parse(word).ok_or_else(|| format!("write {EXPECTED}"));
    for dimension in table.parsed_list("by", parse) {
        if by.contains(&dimension.value) {
            let message = format!("`{}` stands in `by` twice", dimension.value.as_str());
            table.document().error("duplicate-id", dimension.span, message, "remove one");
        } else {
            by.push(dimension.value);
        }
    }
    if by.is_empty() {
        let help = format!("name at least one: {EXPECTED}");
        table.document().error("limits-nothing", head(table), "`by` names no key to count by", help);
        return None;
    }
    Some(by)
}

fn read_rate(table: &Table<'_, '_>) -> Option<Rate> {
    let pace = table.parsed("rate", Pace::parse);
    let burst = table.integer("burst", 1..=i64::from(MAX_BURST));
    if let Some(burst) = &burst
        && !table.has("rate")
    {
        let help = "add `rate = \"100/s\"`, or remove `burst`";
        table.document().error("limits-nothing", burst.span.clone(), "a burst needs a rate", help);
    }
    let pace = pace?.value;
    let burst = burst.and_then(|n| NonZeroU32::new(u32::try_from(n.value).ok()?));
    Some(Rate { pace, burst: burst.unwrap_or_else(|| pace.calls_per_second()) })
}
