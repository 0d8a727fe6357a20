//! What else a policy says: who there is, what there is, how it is masked and limited.
//!
//! What of it changes decisions is found by comparing them. This lists what was edited, and what
//! has a meaning beyond decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use jiff::civil::Date;

use super::{Side, Weight};
use crate::catalog::{Catalog, CertificateRule, Egress, Resource};
use crate::policy::calendar::Calendar;
use crate::policy::reading::Reading;
use crate::quota::limit::{Dimension, Limit};

/// Something beside the grants that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordChange {
    /// The file that says it.
    pub file: &'static str,
    /// What kind of change it is, for machines.
    pub kind: &'static str,
    /// What it is about.
    pub what: String,
    /// How it was, if it was.
    pub old: Option<String>,
    /// How it is, if it is.
    pub new: Option<String>,
    /// What it means by itself, beyond the decisions.
    pub weight: Weight,
}

/// The method of a masker that leaves nothing of a value.
pub(super) const FULL: &str = "full";

#[derive(Debug, Default)]
struct Found(Vec<WordChange>);

/// Kinds of one kind of thing: new, gone.
type Kinds = (&'static str, [&'static str; 2]);

impl Found {
    fn note(
        &mut self,
        (file, kind): (&'static str, &'static str),
        what: impl Display,
        old: Option<String>,
        new: Option<String>,
    ) {
        self.weigh((file, kind), what, (old, new), Weight::default());
    }

    fn weigh(
        &mut self,
        (file, kind): (&'static str, &'static str),
        what: impl Display,
        (old, new): (Option<String>, Option<String>),
        weight: Weight,
    ) {
        if old != new {
            self.0.push(WordChange { file, kind, what: what.to_string(), old, new, weight });
        }
    }

    /// Notes what is in one map alone, and hands on what is in both.
    fn members<'a, K: Ord + Display, V>(
        &mut self,
        (file, [added, removed]): Kinds,
        [old, new]: [&'a BTreeMap<K, V>; 2],
        name: impl Fn(&V) -> String,
    ) -> Vec<(&'a K, &'a V, &'a V)> {
        for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
            self.note((file, removed), key, Some(name(value)), None);
        }
        for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
            self.note((file, added), key, None, Some(name(value)));
        }
        old.iter().filter_map(|(key, value)| Some((key, value, new.get(key)?))).collect()
    }

    fn differ<T: PartialEq>(
        &mut self,
        kind: (&'static str, &'static str),
        what: impl Display,
        [old, new]: [T; 2],
        shown: impl Fn(&T) -> String,
    ) {
        if old != new {
            self.note(kind, what, Some(shown(&old)), Some(shown(&new)));
        }
    }
}

/// Everything beside the grants that is not the same.
pub(super) fn changes(old: &Side<'_>, new: &Side<'_>, readings: [&Reading<'_>; 2]) -> Vec<WordChange> {
    let mut found = Found::default();
    registry(&mut found, [old.catalog, new.catalog]);
    let purposes = [&old.catalog.purposes, &new.catalog.purposes];
    found.members(("purposes.toml", ["purpose-added", "purpose-removed"]), purposes, |purpose| {
        purpose.label.clone()
    });
    catalogue(&mut found, [old.catalog, new.catalog]);
    roles(&mut found, readings);
    maskers(&mut found, old, new);
    limits(&mut found, [old.limits, new.limits]);
    let frames = [old.policy.frame(), new.policy.frame()];
    calendar(&mut found, frames.map(|frame| &*frame.calendar));
    let zones = frames.map(|frame| frame.zone.iana_name().unwrap_or("another zone").to_owned());
    found.differ(("gateway.toml", "zone"), "the zone of dates and hours", zones, String::clone);
    found.0
}

fn registry(found: &mut Found, [old, new]: [&Catalog; 2]) {
    const FILE: &str = "registry.toml";
    let departments = [&old.registry.departments, &new.registry.departments];
    found.members((FILE, ["department-added", "department-removed"]), departments, |it| it.name.clone());
    let systems = [&old.registry.systems, &new.registry.systems];
    let both = found.members((FILE, ["system-added", "system-removed"]), systems, |it| it.name.clone());
    for (id, before, after) in both {
        let departments = [&before.department, &after.department];
        found.differ((FILE, "system-department"), id, departments, ToString::to_string);
        let kind = if after.enabled { "system-enabled" } else { "system-disabled" };
        let word = |enabled: &bool| if *enabled { "enabled" } else { "disabled" }.to_owned();
        found.differ((FILE, kind), id, [before.enabled, after.enabled], word);
        let rules =
            |rules: &[CertificateRule]| -> BTreeSet<CertificateRule> { rules.iter().cloned().collect() };
        let (before, after) = (rules(&before.certificates), rules(&after.certificates));
        // Whoever a rule recognises acts as the system.
        for rule in after.difference(&before) {
            let weight = Weight { gain: true, ..Weight::default() };
            found.weigh((FILE, "certificate-added"), id, (None, Some(certificate(rule))), weight);
        }
        for rule in before.difference(&after) {
            let weight = Weight { loss: true, ..Weight::default() };
            found.weigh((FILE, "certificate-removed"), id, (Some(certificate(rule)), None), weight);
        }
    }
}

fn certificate(rule: &CertificateRule) -> String {
    match rule {
        CertificateRule::SanUri(text) => format!("SAN URI {text}"),
        CertificateRule::SanDns(text) => format!("SAN DNS {text}"),
        CertificateRule::SubjectCn(text) => format!("subject CN {text}"),
        CertificateRule::SubjectCreditCode(text) => format!("credit code {text}"),
    }
}

fn catalogue(found: &mut Found, [old, new]: [&Catalog; 2]) {
    const FILE: &str = "catalog.toml";
    let resources = [&old.resources, &new.resources];
    let both = found.members((FILE, ["resource-added", "resource-removed"]), resources, |it| it.name.clone());
    for (id, before, after) in both {
        found.differ((FILE, "sharing"), id, [before.sharing, after.sharing], |it| it.as_str().to_owned());
        found.differ((FILE, "provider"), id, [&before.provider, &after.provider], ToString::to_string);
        let actions = |it: &Resource| it.actions.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let joined = |it: &BTreeSet<String>| it.iter().cloned().collect::<Vec<_>>().join("|");
        found.differ((FILE, "actions"), id, [actions(before), actions(after)], joined);
        // What stands around the records leaves as it is.
        let weight = Weight { gain: true, loss: true, clear: false };
        found.weigh((FILE, "body"), id, (Some(body(before)), Some(body(after))), weight);
        let blocks = |it: &Resource| it.egress == Some(Egress::Block);
        let weight = Weight { gain: blocks(before), loss: blocks(after), clear: false };
        let egress = |it: &Resource| Some(it.egress.map_or("none", Egress::as_str).to_owned());
        found.weigh((FILE, "egress"), id, (egress(before), egress(after)), weight);
        fields(found, before, after);
        let groups = [&before.groups, &after.groups];
        let members = |paths: &Vec<_>| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join("|");
        for (name, was, is) in
            found.members((FILE, ["field-group-added", "field-group-removed"]), groups, members)
        {
            found.differ((FILE, "field-group"), format!("{id} @{name}"), [was, is], |paths| members(paths));
        }
        let parameters = |it: &Resource| -> BTreeMap<_, _> {
            it.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.clone())).collect()
        };
        let (was, is) = (parameters(before), parameters(after));
        let both = found
            .members((FILE, ["parameter-added", "parameter-removed"]), [&was, &is], |it| it.label.clone());
        for (name, was, is) in both {
            let word =
                |recordable: &bool| if *recordable { "recordable" } else { "not recordable" }.to_owned();
            found.differ(
                (FILE, "parameter-recordable"),
                format!("{id} {name}"),
                [was.recordable, is.recordable],
                word,
            );
        }
    }
}

fn body(resource: &Resource) -> String {
    let format = resource.body.format.as_str();
    let records =
        resource.body.records.as_ref().map_or_else(String::new, |path| format!(", records in {path}"));
    let around: Vec<String> = resource.body.envelope.iter().map(ToString::to_string).collect();
    let around = if around.is_empty() { String::new() } else { format!(", envelope {}", around.join("|")) };
    format!("{format}{records}{around}")
}

fn fields(found: &mut Found, before: &Resource, after: &Resource) {
    const FILE: &str = "catalog.toml";
    let fields = |it: &Resource| -> BTreeMap<_, _> {
        it.fields.iter().map(|field| (field.path.clone(), field.clone())).collect()
    };
    let (was, is) = (fields(before), fields(after));
    let both = found.members((FILE, ["field-added", "field-removed"]), [&was, &is], |it| it.label.clone());
    for (path, was, is) in both {
        let what = format!("{} {path}", before.id);
        found.differ((FILE, "field-level"), &what, [was.level, is.level], |level| {
            format!("level {}", level.get())
        });
        let mask = |mask: &&Option<_>| mask.as_ref().map_or_else(|| "clear".to_owned(), ToString::to_string);
        found.differ((FILE, "field-mask"), &what, [&was.mask, &is.mask], mask);
        let source = |it: &&Option<_>| it.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        found.differ((FILE, "field-source"), &what, [&was.source, &is.source], source);
    }
}

/// Groups and themes, as `g` and `g2` lines make them.
fn roles(found: &mut Found, [old, new]: [&Reading<'_>; 2]) {
    for (old, new) in old.links().into_iter().zip(new.links()) {
        let written = |links: Vec<(&str, &str)>| -> BTreeSet<(String, String)> {
            let links = links.into_iter().filter(|(_, group)| {
                *group != "group:all" && (group.starts_with("group:") || group.starts_with("theme:"))
            });
            links.map(|(member, group)| (member.to_owned(), group.to_owned())).collect()
        };
        let (old, new) = (written(old), written(new));
        for (member, group) in new.difference(&old) {
            found.note(("grants.csv", "role-added"), member, None, Some(group.clone()));
        }
        for (member, group) in old.difference(&new) {
            found.note(("grants.csv", "role-removed"), member, Some(group.clone()), None);
        }
    }
}

fn maskers(found: &mut Found, old: &Side<'_>, new: &Side<'_>) {
    const FILE: &str = "masks.toml";
    let shown = |it: &super::MaskerText| {
        let parameters = it.parameters.iter().map(|(name, value)| format!(" {name}={value}"));
        format!("{}{}", it.method, parameters.collect::<String>())
    };
    let both = found.members((FILE, ["masker-added", "masker-removed"]), [&old.maskers, &new.maskers], shown);
    for (name, before, after) in both {
        // How much another method shows cannot be told, unless it shows nothing.
        let weight = Weight { gain: after.method != FULL, loss: before.method != FULL, clear: false };
        found.weigh((FILE, "masker-redefined"), name, (Some(shown(before)), Some(shown(after))), weight);
    }
}

fn limits(found: &mut Found, [old, new]: [&[Limit]; 2]) {
    const FILE: &str = "limits.toml";
    for limit in old {
        let Some(other) = new.iter().find(|other| other.name == limit.name) else {
            let weight = Weight { gain: true, ..Weight::default() };
            found.weigh((FILE, "limit-removed"), &limit.name, (Some(bounds(limit)), None), weight);
            continue;
        };
        let (looser, tighter) = compared(limit, other);
        let kind = match (looser, tighter) {
            (true, false) => "limit-loosened",
            (false, true) => "limit-tightened",
            _ => "limit-changed",
        };
        let weight = Weight { gain: looser, loss: tighter, clear: false };
        found.weigh((FILE, kind), &limit.name, (Some(bounds(limit)), Some(bounds(other))), weight);
    }
    for limit in new.iter().filter(|limit| !old.iter().any(|other| other.name == limit.name)) {
        let weight = Weight { loss: true, ..Weight::default() };
        found.weigh((FILE, "limit-added"), &limit.name, (None, Some(bounds(limit))), weight);
    }
}

/// Whether `new` lets more through than `old`, and whether it lets less; where they count or select
/// otherwise it may do both.
fn compared(old: &Limit, new: &Limit) -> (bool, bool) {
    if old.only != new.only
        || old.by.iter().collect::<BTreeSet<_>>() != new.by.iter().collect::<BTreeSet<_>>()
    {
        return (true, true);
    }
    let (mut looser, mut tighter) = (false, false);
    // Each as something of which more is looser, and none is most.
    let mut compare = |old: Option<u128>, new: Option<u128>| {
        let (old, new) = (old.unwrap_or(u128::MAX), new.unwrap_or(u128::MAX));
        looser |= old < new;
        tighter |= new < old;
    };
    let pace = |limit: &Limit| limit.rate.map(|rate| u128::MAX / rate.pace.interval().as_nanos().max(1));
    compare(pace(old), pace(new));
    let burst = |limit: &Limit| limit.rate.map(|rate| u128::from(rate.burst.get()));
    compare(burst(old), burst(new));
    let concurrency = |limit: &Limit| limit.concurrency.map(|it| u128::from(it.get()));
    compare(concurrency(old), concurrency(new));
    let per_day = |limit: &Limit| limit.per_day.map(|it| u128::from(it.get()));
    compare(per_day(old), per_day(new));
    (looser, tighter)
}

fn bounds(limit: &Limit) -> String {
    let by: Vec<&str> = limit.by.iter().copied().map(Dimension::as_str).collect();
    let mut text = format!("by {}", by.join("+"));
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value}"));
        }
    };
    add("rate", limit.rate.map(|rate| rate.pace.to_string()));
    add("burst", limit.rate.map(|rate| rate.burst.to_string()));
    add("concurrency", limit.concurrency.map(|it| it.to_string()));
    add("per day", limit.per_day.map(|it| it.to_string()));
    let only = |ids: Vec<String>| (!ids.is_empty()).then(|| ids.join("|"));
    add("only", only(limit.only.systems.iter().map(ToString::to_string).collect()));
    add("only", only(limit.only.departments.iter().map(ToString::to_string).collect()));
    add("only", only(limit.only.resources.iter().map(ToString::to_string).collect()));
    add("only", only(limit.only.grants.iter().map(ToString::to_string).collect()));
    text
}

fn calendar(found: &mut Found, [old, new]: [&Calendar; 2]) {
    const FILE: &str = "calendar.toml";
    let years: BTreeSet<i16> = old.years().chain(new.years()).collect();
    for year in years {
        let word = |calendar: &Calendar| if calendar.covers(year) { "known" } else { "not known" }.to_owned();
        found.differ((FILE, "calendar-year"), year, [word(old), word(new)], String::clone);
    }
    let days: BTreeSet<Date> = old.special_days().chain(new.special_days()).collect();
    for day in days {
        // A year that comes or goes says it of all its days.
        if old.covers(day.year()) != new.covers(day.year()) {
            continue;
        }
        let word =
            |calendar: &Calendar| calendar.day_kind(day).map_or("not known", |kind| kind.as_str()).to_owned();
        found.differ((FILE, "calendar-day"), day, [word(old), word(new)], String::clone);
    }
}
