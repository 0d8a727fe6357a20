//! The policy directory (`policies/`): what security staff edit, read whole and strictly.
//!
//! [`files::PolicyFiles`] reads the files; [`Vocabulary`] is what the TOML files among them say,
//! every reference in it checked. `model.conf` and `grants.csv` are the policy engine's to read.
//! Every reader goes on after an error, so that one run shows all of them. What the files mean is
//! written in `docs/policy-files.md`.
//!
//! Knows nothing of the gateway configuration but the trust domain, and nothing of when or why a
//! snapshot is loaded.

pub mod calendar;
pub mod cases;
pub mod files;
pub mod limits;
pub mod masks;

mod catalog;
mod purposes;
mod reference;
mod registry;

use std::collections::{BTreeSet, HashMap};

use crate::catalog::{Catalog, CertificateRule};
use crate::kernel::diagnostic::{Diagnostic, Report, Source, did_you_mean};
use crate::kernel::id::{GrantId, MaskerName, SystemId};
use crate::quota::limit::Limit;
use crate::quota::population::Population;
use calendar::CalendarDays;
use files::PolicyFiles;
use limits::LimitEntry;
use masks::MaskerDefinition;

/// What the TOML files of one policy directory say. INVARIANT: no error was found in them, so that
/// every id it names is declared in it, but for the grants in `limits`.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Departments, systems, purposes and resources.
    pub catalog: Catalog,
    /// The one system that a certificate leads to, by what recognises it. Disabled systems are in it.
    pub certificates: HashMap<CertificateRule, SystemId>,
    /// Maskers as written, to be compiled by `mask`.
    pub maskers: Vec<MaskerDefinition>,
    /// Limits as written.
    pub limits: Vec<LimitEntry>,
    /// Holidays and make-up workdays.
    pub calendar: CalendarDays,
}

impl Vocabulary {
    /// Reads the six TOML files. `trust_domain` is the SPIFFE trust domain of systems whose certificate
    /// the registry does not describe. The vocabulary is there unless the report has errors.
    #[must_use]
    pub fn load(files: &PolicyFiles, trust_domain: &str) -> (Option<Self>, Report) {
        let (registry, mut report) = registry::read(files.registry(), trust_domain);
        let (purposes, found) = purposes::read(files.purposes());
        report.merge(found);
        let (maskers, masker_names, found) = masks::read(files.masks());
        report.merge(found);
        let names = catalog::Names { departments: &registry.departments, maskers: &masker_names };
        let (catalog, found) = catalog::read(files.catalog(), names);
        report.merge(found);
        let names = limits::Names {
            departments: &registry.departments,
            systems: &registry.systems,
            resources: &catalog.declared,
        };
        let (limits, found) = limits::read(files.limits(), names);
        report.merge(found);
        let (calendar, found) = calendar::read(files.calendar());
        report.merge(found);
        if report.has_errors() {
            return (None, report);
        }
        let vocabulary = Self {
            catalog: Catalog { registry: registry.registry, purposes, resources: catalog.resources },
            certificates: registry.certificates,
            maskers,
            limits,
            calendar,
        };
        (Some(vocabulary), report)
    }

    /// The names of all maskers.
    #[must_use]
    pub fn masker_names(&self) -> BTreeSet<MaskerName> {
        self.maskers.iter().map(|masker| masker.name.value.clone()).collect()
    }

    /// The limits as `quota` takes them.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        self.limits.iter().map(|entry| entry.limit.clone()).collect()
    }

    /// Everyone and everything that limits may count by: the vocabulary's, and `grants` of the policy,
    /// each with its `rows/day` duty.
    #[must_use]
    pub fn population(&self, grants: Vec<(GrantId, Option<u64>)>) -> Population {
        let systems = self.catalog.registry.systems.values();
        Population {
            systems: systems.map(|it| (it.id.clone(), it.department.clone())).collect(),
            resources: self.catalog.resources.keys().cloned().collect(),
            grants,
        }
    }

    /// Finds the grants that `limits.toml`, given as `source`, selects and `grants.csv` does not have.
    #[must_use]
    pub fn check_limit_grants(&self, source: &Source, grants: &BTreeSet<GrantId>) -> Report {
        let mut report = Report::new();
        report.add_source(source);
        for grant in self.limits.iter().flat_map(|entry| &entry.grants) {
            if !grants.contains(&grant.value) {
                let known = grants.iter().map(GrantId::as_str);
                let help = did_you_mean(grant.value.as_str(), known).map_or_else(
                    || "name a grant of `grants.csv`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("`{}` is not the name of a grant", grant.value);
                report.push(Diagnostic::error("unknown-id", source, grant.span.clone(), message).help(help));
            }
        }
        report
    }
}

#[cfg(test)]
mod tests;
