//! Reads a test file: all errors at once, each in its place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::{Case, Expected, ExpectedDenial, ExpectedMask, ExpectedPermit};
use crate::catalog::{Catalog, Resource};
use crate::document::{At, Document, Table};
use crate::grant::{Effect, Request};
use crate::kernel::diagnostic::{Report, Source, did_you_mean};
use crate::kernel::id::{
    Action, FieldPath, GrantId, MaskerName, ParameterName, PurposeCode, ResourceId, SystemId,
};
use crate::kernel::time::{TimeZone, Timestamp};
use crate::policy::Policy;
use crate::policy::scope::Selector;

/// The most cases of one file, every row of `vary` counted.
pub const MAX_CASES: usize = 10_000;

/// The names that cases may use.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// Systems, purposes, resources.
    pub catalog: &'k Catalog,
    /// Grants, and the zone in which local times are meant.
    pub policy: &'k Policy,
    /// Maskers.
    pub maskers: &'k BTreeSet<MaskerName>,
    /// Problem codes.
    pub codes: &'k [&'static str],
}

/// Reads the cases of `source`, and what is wrong with them. A case with an error is left out.
#[must_use]
pub fn read(source: &Source, known: Known<'_>) -> (Vec<Case>, Report) {
    let document = Document::parse(source);
    let reader = Reader { document: &document, known, told: RefCell::default() };
    let cases = reader.cases();
    (cases, document.into_report())
}

/// What a case is expected to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
}

impl Verdict {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err("write `allow` or `deny`"),
        }
    }
}

/// One expected field, or more of them.
#[derive(Debug, Clone)]
struct Fields {
    selector: Selector,
    masker: Option<MaskerName>,
}

impl Fields {
    fn parse(text: &str) -> Result<Self, String> {
        let form = || "write a field such as `phone`, `address.*`, `@basic` or `*`".to_owned();
        let selector = Selector::parse(text).ok_or_else(form)?;
        Ok(Self { selector, masker: None })
    }

    fn parse_masked(text: &str) -> Result<Self, String> {
        let Some((field, masker)) = text.split_once(':') else { return Self::parse(text) };
        let masker = MaskerName::parse(masker).map_err(|error| error.to_string())?;
        Ok(Self { masker: Some(masker), ..Self::parse(field)? })
    }
}

/// The keys that a case cannot do without.
const NEEDED: [(&str, &str); 6] = [
    ("system", "who asks, such as `\"sys:minzheng-aid\"`"),
    ("resource", "what for, such as `\"population.resident\"`"),
    ("action", "what to do with it, such as `\"query\"`"),
    ("purpose", "why, such as `\"social-aid.review\"`"),
    ("at", "when, such as `\"2026-06-01T09:30\"`"),
    ("expect", "`\"allow\"` or `\"deny\"`"),
];

type List<T> = Option<Vec<At<T>>>;

/// A time as it is written, and the instant it means.
#[derive(Debug, Clone)]
struct Moment {
    text: String,
    instant: Timestamp,
}

/// The keys that one table gives.
#[derive(Debug, Clone, Default)]
struct Keys {
    /// The needed keys that are there, right or wrong.
    given: BTreeSet<&'static str>,
    system: Option<At<SystemId>>,
    resource: Option<At<ResourceId>>,
    action: Option<At<Action>>,
    purpose: Option<At<PurposeCode>>,
    at: Option<At<Moment>>,
    fields: List<String>,
    parameters: Option<Vec<(At<ParameterName>, Vec<String>)>>,
    token_grants: List<GrantId>,
    verdict: Option<At<Verdict>>,
    grants: List<GrantId>,
    denied_by: List<GrantId>,
    clear: List<Fields>,
    masked: List<Fields>,
    dropped: List<Fields>,
    code: Option<At<String>>,
    rows: Option<At<i64>>,
    rows_per_day: Option<At<i64>>,
}

impl Keys {
    fn read(table: &Table<'_, '_>, zone: &TimeZone) -> Self {
        let grants = |key| table.has(key).then(|| table.parsed_list(key, GrantId::parse));
        let fields = |key| table.has(key).then(|| table.parsed_list(key, Fields::parse));
        Self {
            given: NEEDED.into_iter().map(|(key, _)| key).filter(|key| table.has(key)).collect(),
            system: table.parsed("system", SystemId::parse),
            resource: table.parsed("resource", ResourceId::parse),
            action: table.parsed("action", Action::parse),
            purpose: table.parsed("purpose", PurposeCode::parse),
            at: table.parsed("at", |text| moment(text, zone)),
            fields: table.has("fields").then(|| table.parsed_list("fields", item)),
            parameters: table.has("parameters").then(|| parameters(table)),
            token_grants: grants("token_grants"),
            verdict: table.parsed("expect", Verdict::parse),
            grants: grants("grants"),
            denied_by: grants("denied_by"),
            clear: fields("clear"),
            masked: table.has("masked").then(|| table.parsed_list("masked", Fields::parse_masked)),
            dropped: fields("dropped"),
            code: table.text("code").map(|code| code.map(ToOwned::to_owned)),
            rows: table.integer("rows", 1..=i64::MAX),
            rows_per_day: table.integer("rows_per_day", 1..=i64::MAX),
        }
    }

    /// These keys, and those of `base` that they do not override. What `base` expects of another
    /// verdict than theirs is no expectation of theirs.
    fn over(self, base: &Self) -> Self {
        let verdicts = (self.verdict.as_ref(), base.verdict.as_ref());
        let differs = matches!(verdicts, (Some(own), Some(other)) if own.value != other.value);
        let none = Self::default();
        let expected = if differs { &none } else { base };
        let base = base.clone();
        let expected = expected.clone();
        Self {
            given: self.given.into_iter().chain(base.given).collect(),
            system: self.system.or(base.system),
            resource: self.resource.or(base.resource),
            action: self.action.or(base.action),
            purpose: self.purpose.or(base.purpose),
            at: self.at.or(base.at),
            fields: self.fields.or(base.fields),
            parameters: self.parameters.or(base.parameters),
            token_grants: self.token_grants.or(base.token_grants),
            verdict: self.verdict.or(base.verdict),
            grants: self.grants.or(expected.grants),
            denied_by: self.denied_by.or(expected.denied_by),
            clear: self.clear.or(expected.clear),
            masked: self.masked.or(expected.masked),
            dropped: self.dropped.or(expected.dropped),
            code: self.code.or(expected.code),
            rows: self.rows.or(expected.rows),
            rows_per_day: self.rows_per_day.or(expected.rows_per_day),
        }
    }

    fn expects_code(&self, code: &str) -> bool {
        self.code.as_ref().is_some_and(|expected| expected.value == code)
    }
}

fn moment(text: &str, zone: &TimeZone) -> Result<Moment, &'static str> {
    let local = || {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        zone.to_timestamp(local).ok()
    };
    let instant = text.parse().ok().or_else(local);
    let instant = instant.ok_or(
        "write a local time such as `2026-06-01T09:30`, or an instant such as `2026-06-01T09:30:00+08:00`",
    )?;
    Ok(Moment { text: text.to_owned(), instant })
}

fn item(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("name a field") } else { Ok(text.to_owned()) }
}

fn parameters(table: &Table<'_, '_>) -> Vec<(At<ParameterName>, Vec<String>)> {
    let mut parameters = Vec::new();
    for (name, values) in table.named_texts_or_lists("parameters") {
        match ParameterName::parse(name.value) {
            Ok(value) => {
                let values = values.into_iter().map(|value| value.value.to_owned()).collect();
                parameters.push((At { value, span: name.span }, values));
            }
            Err(error) => table.bad_value(&format!("parameters.{}", name.value), name.span, &error),
        }
    }
    parameters
}

/// The line that begins a table, for what is wrong with all of it.
fn head(table: &Table<'_, '_>) -> Range<usize> {
    let span = table.span();
    let text = table.document().source().text.get(span.clone()).unwrap_or("");
    span.start..span.start + text.find('\n').unwrap_or(text.len())
}

struct Reader<'r, 's> {
    document: &'r Document<'s>,
    known: Known<'r>,
    /// What has been reported: rows repeat what is wrong with their case.
    told: RefCell<BTreeSet<(usize, String)>>,
}

impl Reader<'_, '_> {
    fn error(
        &self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let message = message.into();
        if self.told.borrow_mut().insert((span.start, message.clone())) {
            self.document.error(code, span, message, help);
        }
    }

    fn cases(&self) -> Vec<Case> {
        let root = self.document.root();
        let zone = &self.known.policy.frame().zone;
        let defaults = root.table("defaults").map(|table| {
            let keys = Keys::read(&table, zone);
            table.finish();
            keys
        });
        let defaults = defaults.unwrap_or_default();
        let mut cases = Vec::new();
        let mut names = BTreeSet::new();
        let tables = root.tables("case");
        if tables.is_empty() && !root.has("case") {
            self.error("no-cases", 0..0, "this file has no test", "add one that begins with `[[case]]`");
        }
        for table in tables {
            self.table(table, &defaults, &mut names, &mut cases);
            if cases.len() > MAX_CASES {
                let help = format!("a file has at most {MAX_CASES}: split it");
                self.error("too-many", 0..0, "these are too many tests", help);
                break;
            }
        }
        root.finish();
        cases
    }

    /// Reads a case and its rows.
    fn table(
        &self,
        table: Table<'_, '_>,
        defaults: &Keys,
        names: &mut BTreeSet<String>,
        cases: &mut Vec<Case>,
    ) {
        let zone = &self.known.policy.frame().zone;
        let name = table.required_text("name", "what the case shows, in a few words");
        let keys = Keys::read(&table, zone).over(defaults);
        let rows = table.tables("vary");
        if table.has("vary") && rows.is_empty() {
            self.error(
                "no-cases",
                head(&table),
                "`vary` has no rows",
                "add one such as `{ at = \"2026-10-01T10:00\" }`",
            );
        }
        let plain_name = name.as_ref().map_or("", |name| name.value.as_str());
        // A case without `expect` is only what its rows have in common.
        if keys.verdict.is_some() || rows.is_empty() {
            self.declare(plain_name, name.as_ref().map_or_else(|| head(&table), |it| it.span.clone()), names);
            cases.extend(self.case(&table, plain_name.to_owned(), &keys));
        }
        for (number, row) in (1..).zip(rows) {
            let own_name = row.text("name").filter(|name| !name.value.trim().is_empty());
            let row_name = own_name
                .as_ref()
                .map_or_else(|| format!("{plain_name} [{number}]"), |name| name.value.to_owned());
            self.declare(&row_name, own_name.map_or_else(|| head(&row), |name| name.span), names);
            let keys = Keys::read(&row, zone).over(&keys);
            cases.extend(self.case(&row, row_name, &keys));
            row.finish();
        }
        table.finish();
    }

    fn declare(&self, name: &str, span: Range<usize>, names: &mut BTreeSet<String>) {
        if !name.is_empty() && !names.insert(name.to_owned()) {
            let message = format!("`{name}` names two tests");
            self.error("duplicate-id", span, message, "give one another name");
        }
    }

    /// The case that `keys` of `table` come to, unless something is wrong with it.
    fn case(&self, table: &Table<'_, '_>, name: String, keys: &Keys) -> Option<Case> {
        // One that is there and wrong is reported already.
        for (key, expected) in NEEDED.into_iter().filter(|(key, _)| !keys.given.contains(key)) {
            table.missing(key, &format!("{expected}, here or in `[defaults]`"));
        }
        let resource = self.request_names(keys);
        let at = keys.at.clone()?.value;
        let request = Request {
            system: keys.system.clone()?.value,
            resource: keys.resource.clone()?.value,
            action: keys.action.clone()?.value,
            purpose: keys.purpose.clone()?.value,
            fields: keys.fields.iter().flatten().map(|field| field.value.clone()).collect(),
            parameters: self.parameters(keys),
            narrowed_to: keys.token_grants.as_ref().map(|grants| values(grants)),
        };
        let expected = match keys.verdict.as_ref()?.value {
            Verdict::Allow => Expected::Allow(self.permit(keys, resource)),
            Verdict::Deny => Expected::Deny(self.denial(keys)),
        };
        let department = self.known.catalog.registry.systems.get(&request.system)?.department.clone();
        let line = self.document.source().position(table.span().start).line;
        Some(Case {
            file: Arc::clone(&self.document.source().name),
            line,
            name,
            request,
            department,
            at: at.instant,
            at_text: at.text,
            expected,
        })
    }

    fn unknown<'k>(
        &self,
        span: Range<usize>,
        word: &str,
        what: &str,
        known: impl IntoIterator<Item = &'k str>,
        otherwise: &str,
    ) {
        let help = did_you_mean(word, known)
            .map_or_else(|| otherwise.to_owned(), |near| format!("did you mean `{near}`?"));
        self.error("unknown-id", span, format!("`{word}` is not {what}"), help);
    }

    /// Checks the names of the request, apart from those whose being unknown is what is tested.
    fn request_names(&self, keys: &Keys) -> Option<&Resource> {
        let Catalog { registry, purposes, resources } = self.known.catalog;
        if let Some(At { value, span }) = &keys.system
            && !registry.systems.contains_key(value)
        {
            let known = registry.systems.keys().map(SystemId::as_str);
            let otherwise = "name a system of `registry.toml`";
            self.unknown(span.clone(), value.as_str(), "the name of a system", known, otherwise);
        }
        if let Some(At { value, span }) = &keys.purpose
            && !purposes.contains_key(value)
            && !keys.expects_code("purpose-unknown")
        {
            let known = purposes.keys().map(PurposeCode::as_str);
            let otherwise = "name a purpose of `purposes.toml`, or expect `code = \"purpose-unknown\"`";
            self.unknown(span.clone(), value.as_str(), "the code of a purpose", known, otherwise);
        }
        if let Some(grants) = &keys.token_grants {
            self.some("token_grants", grants, keys);
            if !keys.expects_code("grant-none") {
                grants.iter().for_each(|grant| self.grant(grant, None));
            }
        }
        let At { value, span } = keys.resource.as_ref()?;
        let resource = resources.get(value).map(|resource| &**resource);
        if resource.is_none() && !keys.expects_code("resource-unknown") {
            let known = resources.keys().map(ResourceId::as_str);
            let otherwise = "name a resource of `catalog.toml`, or expect `code = \"resource-unknown\"`";
            self.unknown(span.clone(), value.as_str(), "the name of a resource", known, otherwise);
        }
        let resource = resource?;
        if let Some(At { value, span }) = &keys.action
            && !resource.actions.contains(value)
            && !["grant-none", "resource-unknown"].iter().any(|code| keys.expects_code(code))
        {
            let known = resource.actions.iter().map(Action::as_str);
            let otherwise = "name one of its `mode`, or expect `code = \"grant-none\"`";
            self.unknown(span.clone(), value.as_str(), "an action of this resource", known, otherwise);
        }
        for field in keys.fields.iter().flatten().filter(|_| !keys.expects_code("scope-exceeded")) {
            let selected = Selector::parse(&field.value).map(|selector| selected(resource, &selector));
            if field.value != "*" && selected.is_none_or(|selected| selected.is_empty()) {
                let otherwise = "name a field of `catalog.toml`, or expect `code = \"scope-exceeded\"`";
                self.unknown_field(field.span.clone(), &field.value, resource, otherwise);
            }
        }
        Some(resource)
    }

    /// Reports a list that names nothing where that means nothing.
    fn some<T>(&self, key: &str, list: &[At<T>], keys: &Keys) {
        if list.is_empty() {
            let place = keys.verdict.as_ref().map_or(0..0, |verdict| verdict.span.clone());
            let message = format!("`{key}` names nothing in a test that expects this");
            self.error("empty-list", place, message, "name at least one, or leave the key out");
        }
    }

    fn grant(&self, grant: &At<GrantId>, effect: Option<Effect>) {
        let policy = self.known.policy;
        match (policy.grant(&grant.value), effect) {
            (None, _) => {
                let known = policy.grants().iter().map(|grant| grant.id().as_str());
                let otherwise = "name a grant of `grants.csv`";
                let word = grant.value.as_str();
                self.unknown(grant.span.clone(), word, "the name of a grant", known, otherwise);
            }
            (Some(line), Some(effect)) if line.effect() != effect => {
                let (word, line) = (grant.value.as_str(), line.effect().as_str());
                let message = format!("`{word}` is a line that says `{line}`");
                let help = "`grants` names what allows, `denied_by` what refuses";
                self.error("unfit-expectation", grant.span.clone(), message, help);
            }
            (Some(_), _) => {}
        }
    }

    fn parameters(&self, keys: &Keys) -> Vec<(ParameterName, Vec<String>)> {
        let resource = keys.resource.as_ref().and_then(|it| self.known.catalog.resources.get(&it.value));
        let mut parameters = Vec::new();
        for (name, values) in keys.parameters.iter().flatten() {
            if let Some(resource) = resource
                && resource.parameter(name.value.as_str()).is_none()
            {
                let known = resource.parameters.iter().map(|parameter| parameter.name.as_str());
                let otherwise = "name one of its `parameters` in `catalog.toml`";
                let word = name.value.as_str();
                self.unknown(name.span.clone(), word, "a parameter of this resource", known, otherwise);
            }
            if !values.is_empty() {
                parameters.push((name.value.clone(), values.clone()));
            }
        }
        parameters
    }

    fn permit(&self, keys: &Keys, resource: Option<&Resource>) -> ExpectedPermit {
        let refusal = [
            ("code", keys.code.as_ref().map(|code| code.span.clone())),
            ("denied_by", keys.denied_by.as_ref().map(|list| first(list))),
        ];
        self.unfit("allow", "a refusal", refusal);
        if let Some(grants) = &keys.grants {
            self.some("grants", grants, keys);
            grants.iter().for_each(|grant| self.grant(grant, Some(Effect::Allow)));
        }
        if let Some(dropped) = &keys.dropped {
            self.some("dropped", dropped, keys);
        }
        let paths = |list: &List<Fields>| {
            let masks = self.masks(list.as_ref()?, resource);
            Some(masks.into_iter().map(|mask| mask.path).collect())
        };
        let rows = |rows: &Option<At<i64>>| rows.as_ref().and_then(|rows| u64::try_from(rows.value).ok());
        ExpectedPermit {
            grants: keys.grants.as_ref().map(|grants| values(grants)),
            clear: paths(&keys.clear),
            masked: keys.masked.as_ref().map(|masked| self.masks(masked, resource)),
            dropped: paths(&keys.dropped),
            rows: rows(&keys.rows),
            rows_per_day: rows(&keys.rows_per_day),
        }
    }

    fn denial(&self, keys: &Keys) -> ExpectedDenial {
        let permit = [
            ("grants", keys.grants.as_ref().map(|list| first(list))),
            ("clear", keys.clear.as_ref().map(|list| first(list))),
            ("masked", keys.masked.as_ref().map(|list| first(list))),
            ("dropped", keys.dropped.as_ref().map(|list| first(list))),
            ("rows", keys.rows.as_ref().map(|rows| rows.span.clone())),
            ("rows_per_day", keys.rows_per_day.as_ref().map(|rows| rows.span.clone())),
        ];
        self.unfit("deny", "a permit", permit);
        if let Some(denied_by) = &keys.denied_by {
            denied_by.iter().for_each(|grant| self.grant(grant, Some(Effect::Deny)));
        }
        let code = keys.code.as_ref().and_then(|code| {
            let codes = self.known.codes;
            let known = codes.iter().find(|known| **known == code.value).copied();
            if known.is_none() {
                let otherwise = "`docs/errors.md` lists the codes";
                let all = codes.iter().copied();
                self.unknown(code.span.clone(), &code.value, "a problem code", all, otherwise);
            }
            known
        });
        ExpectedDenial { code, denied_by: keys.denied_by.as_ref().map(|grants| values(grants)) }
    }

    /// Reports the keys that say something of the other verdict.
    fn unfit<const N: usize>(
        &self,
        verdict: &str,
        of: &str,
        keys: [(&'static str, Option<Range<usize>>); N],
    ) {
        for (key, span) in keys {
            if let Some(span) = span {
                let message = format!("`{key}` says something of {of}, but `{verdict}` is expected");
                let help = "leave it out, or expect the other";
                self.error("unfit-expectation", span, message, help);
            }
        }
    }

    /// Each field that `list` stands for.
    fn masks(&self, list: &[At<Fields>], resource: Option<&Resource>) -> Vec<ExpectedMask> {
        let Some(resource) = resource else { return Vec::new() };
        let mut masks = Vec::new();
        for At { value: Fields { selector, masker }, span } in list {
            if let Some(masker) = masker
                && !self.known.maskers.contains(masker)
            {
                let known = self.known.maskers.iter().map(MaskerName::as_str);
                let otherwise = "name a masker of `masks.toml`";
                self.unknown(span.clone(), masker.as_str(), "the name of a masker", known, otherwise);
            }
            let paths = selected(resource, selector);
            if paths.is_empty() && *selector != Selector::All {
                let otherwise = "name a field of `catalog.toml`";
                self.unknown_field(span.clone(), &selector.to_string(), resource, otherwise);
            }
            let masks_of = paths.into_iter().map(|path| ExpectedMask { path, masker: masker.clone() });
            masks.extend(masks_of);
        }
        masks
    }

    fn unknown_field(&self, span: Range<usize>, word: &str, resource: &Resource, otherwise: &str) {
        let groups: Vec<String> = resource.groups.keys().map(|group| format!("@{group}")).collect();
        let paths = resource.fields.iter().map(|field| field.path.as_str());
        let known = paths.chain(groups.iter().map(String::as_str));
        self.unknown(span, word, "a field of this resource", known, otherwise);
    }
}

fn values<T: Clone>(list: &[At<T>]) -> Vec<T> {
    list.iter().map(|item| item.value.clone()).collect()
}

/// Where a list begins; an empty one has no place of its own.
fn first<T>(list: &[At<T>]) -> Range<usize> {
    list.first().map_or(0..0, |item| item.span.clone())
}

/// The fields that can leave and that `selector` stands for: fields with others below them leave as
/// those.
fn selected(resource: &Resource, selector: &Selector) -> Vec<FieldPath> {
    let above = |path: &FieldPath| {
        resource.fields.iter().any(|other| other.path != *path && path.covers(&other.path))
    };
    let leaves = resource.fields.iter().map(|field| &field.path).filter(|path| !above(path));
    let is_meant = |leaf: &&FieldPath| match selector {
        Selector::All => true,
        Selector::Group(name) => {
            resource.groups.get(name).is_some_and(|members| members.iter().any(|path| path.covers(leaf)))
        }
        Selector::Below(path) => path != *leaf && path.covers(leaf),
        Selector::Field(path) => path.covers(leaf),
    };
    leaves.filter(is_meant).cloned().collect()
}
