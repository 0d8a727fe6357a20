//! From a policy directory to the vocabulary, the maskers, the model and the grants in it: loaded, checked,
//! all errors at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::config::Config;
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::diagnostic::{Diagnostic, Report, Source};
use crate::kernel::id::{DepartmentId, GrantId};
use crate::kernel::time::{Clock, TimeZone, Timestamp};
use crate::mask::{Masker, Maskers, PlanError, PseudonymKeys};
use crate::policy::calendar::Calendar;
use crate::policy::model::Model;
use crate::policy::scope::Item;
use crate::policy::{Policy, PolicyInput, csv};
use crate::proxy::Plans;
use crate::snapshot::Vocabulary;
use crate::snapshot::files::PolicyFiles;

/// A policy directory, loaded and checked.
#[derive(Debug)]
pub(crate) struct LoadedPolicy {
    /// The files.
    pub(crate) files: PolicyFiles,
    /// What the TOML files say.
    pub(crate) vocabulary: Vocabulary,
    /// The compiled maskers.
    pub(crate) maskers: Maskers,
    /// The model and the grants.
    pub(crate) policy: Policy,
}

/// A policy directory and what of the gateway configuration bears on its meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PolicyPlace<'p> {
    /// Where it is.
    pub(crate) directory: &'p Path,
    /// The SPIFFE trust domain of systems whose certificate the registry does not describe.
    pub(crate) trust_domain: &'p str,
    /// The zone in which its dates and hours are meant.
    pub(crate) zone: &'p TimeZone,
    /// The keys of keyed maskers.
    pub(crate) pseudonym_keys: &'p PseudonymKeys,
}

impl<'p> From<&'p Config> for PolicyPlace<'p> {
    fn from(config: &'p Config) -> Self {
        Self {
            directory: &config.policy.directory,
            trust_domain: &config.identity.trust_domain,
            zone: &config.policy.zone,
            pseudonym_keys: &config.policy.pseudonym_keys,
        }
    }
}

/// Loads the policy directory at `place`: all errors at once.
#[must_use]
pub(crate) fn load_policy(place: PolicyPlace<'_>, clock: &dyn Clock) -> (Option<LoadedPolicy>, Report) {
    match PolicyFiles::read(place.directory) {
        Ok(files) => load_files(files, place, clock),
        Err(report) => (None, report),
    }
}

/// Loads the policy in `files`, wherever they are from; `place` says what else bears on it.
#[must_use]
pub(crate) fn load_files(
    files: PolicyFiles,
    place: PolicyPlace<'_>,
    clock: &dyn Clock,
) -> (Option<LoadedPolicy>, Report) {
    let (vocabulary, mut report) = Vocabulary::load(&files, place.trust_domain);
    let Some(vocabulary) = vocabulary else {
        report.merge(form_of_policy(&files));
        return (None, report);
    };
    let maskers = maskers(&vocabulary, files.masks(), &mut report);
    let calendar = calendar(&vocabulary, files.calendar(), &mut report);
    let (policy, found) = Policy::load(PolicyInput {
        model: files.model(),
        grants: files.grants(),
        catalog: &vocabulary.catalog,
        calendar: &calendar,
        zone: place.zone.clone(),
        maskers: &vocabulary.masker_names(),
        now: clock.now(),
    });
    report.merge(found);
    let Some(policy) = policy else { return (None, report) };
    let grants: BTreeSet<GrantId> = policy.grants().iter().map(|grant| grant.id().clone()).collect();
    report.merge(vocabulary.check_limit_grants(files.limits(), &grants));
    let (keys, now) = (place.pseudonym_keys, clock.now());
    if keys.at(now).is_none() {
        check_keyed(keys, &maskers, &policy, files.grants(), &mut report);
    }
    check_plans((keys, now), &vocabulary, &maskers, files.catalog(), &mut report);
    let loaded = (!report.has_errors()).then_some(LoadedPolicy { files, vocabulary, maskers, policy });
    (loaded, report)
}

/// What is wrong with the form of the model and the grants. Whether their words exist cannot be said
/// before the files that declare them are right.
fn form_of_policy(files: &PolicyFiles) -> Report {
    let mut report = Report::new();
    report.add_source(files.model());
    report.add_source(files.grants());
    let model = Model::read(files.model()).err().unwrap_or_default();
    let (_, grants) = csv::read(files.grants());
    model.into_iter().chain(grants).for_each(|finding| report.push(finding));
    let message = "only the form of this file was checked, since other files have errors";
    report.push(
        Diagnostic::warning("checked-in-part", files.grants(), 0..0, message)
            .help("mend those, and check again"),
    );
    report
}

fn maskers(vocabulary: &Vocabulary, source: &Source, report: &mut Report) -> Maskers {
    let mut maskers = Maskers::default();
    for definition in &vocabulary.maskers {
        let parameters: Vec<(&str, &str)> = definition
            .parameters
            .iter()
            .map(|(name, value)| (name.value.as_str(), value.value.as_str()))
            .collect();
        let parsed = Masker::parse(&definition.method.value, &parameters);
        let inserted = parsed.and_then(|masker| maskers.insert(definition.name.value.clone(), masker));
        if let Err(error) = inserted {
            let span = definition.method.span.clone();
            report.push(Diagnostic::error("bad-masker", source, span, error.to_string()));
        }
    }
    maskers
}

fn calendar(vocabulary: &Vocabulary, source: &Source, report: &mut Report) -> Calendar {
    let days = &vocabulary.calendar;
    let made = Calendar::new(
        days.years.keys().copied(),
        days.holidays.iter().copied(),
        days.workdays.iter().copied(),
    );
    made.unwrap_or_else(|error| {
        report.push(Diagnostic::error("bad-calendar", source, 0..0, error.to_string()));
        Calendar::default()
    })
}

/// Compiles a plan with every field of every resource, so that no masker or key is found missing when
/// the first request needs it.
fn check_plans(
    (keys, now): (&PseudonymKeys, Timestamp),
    vocabulary: &Vocabulary,
    maskers: &Maskers,
    source: &Source,
    report: &mut Report,
) {
    let plans = Plans::new(maskers.clone(), keys.clone());
    for resource in vocabulary.catalog.resources.values() {
        let Some(department) = anyone(&vocabulary.catalog) else { continue };
        let fields: Arc<[ReleasedField]> = resource
            .fields
            .iter()
            .map(|field| ReleasedField {
                path: field.path.clone(),
                treatment: field.mask.clone().map_or(Treatment::Clear, Treatment::Masked),
            })
            .collect();
        match plans.plan(resource, &department, &fields, now) {
            Ok(_) | Err(PlanError::Opaque) => {}
            Err(error) => {
                let message = format!("the masks of `{}` cannot be built: {error}", resource.id);
                let place = source.text.find(resource.id.as_str()).unwrap_or(0);
                let span = place..place + resource.id.as_str().len();
                let found = Diagnostic::error("bad-masks", source, span, message);
                let lacks_key = matches!(error, PlanError::NoKey { .. });
                report.push(if lacks_key { found.help(lack_of(keys).1) } else { found });
            }
        }
    }
}

/// Finds the grants that let a field leave through a keyed masker, where there is no key for it.
fn check_keyed(
    keys: &PseudonymKeys,
    maskers: &Maskers,
    policy: &Policy,
    source: &Source,
    report: &mut Report,
) {
    let is_keyed = |item: &Item| match &item.treatment {
        Some(Treatment::Masked(name)) => maskers.get(name).is_some_and(Masker::is_keyed),
        Some(Treatment::Clear) | None => false,
    };
    for grant in policy.grants().iter().filter(|grant| grant.scope().items.iter().any(is_keyed)) {
        let before: usize =
            source.text.split_inclusive('\n').take(grant.line().saturating_sub(1)).map(str::len).sum();
        let line = source.text.get(before..).and_then(|rest| rest.lines().next()).unwrap_or("");
        let (why, help) = lack_of(keys);
        let message = format!("`{}` lets a field leave as a pseudonym or encrypted, but {why}", grant.id());
        report.push(
            Diagnostic::error("pseudonym-key-missing", source, before..before + line.len(), message)
                .help(help),
        );
    }
}

/// Why there is no key at hand, and what to do.
fn lack_of(keys: &PseudonymKeys) -> (&'static str, &'static str) {
    match keys.begin() {
        None => (
            "there is no key to make it with",
            "set `pseudonym_key` in `[policy]` of the gateway configuration",
        ),
        Some(_) => (
            "the time of the first key has not begun",
            "give one `pseudonym_key` of the gateway configuration an earlier `from`, or none",
        ),
    }
}

fn anyone(catalog: &Catalog) -> Option<DepartmentId> {
    catalog.registry.departments.keys().next().cloned()
}
