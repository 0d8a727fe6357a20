//! The candidate policy, which is loaded beside the live one and cannot harm it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Section, at_section, place_of};
use crate::app::load::{LoadedPolicy, PolicyPlace, load_policy};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::kernel::diagnostic::{Diagnostic, Report};
use crate::kernel::time::Clock;
use crate::proxy::Shadow;
use crate::telemetry::Metrics;

/// Loads the candidate policy, if one is configured. Nothing that is wrong with it stops the live one.
pub(super) fn candidate(config: &Config, clock: &dyn Clock, report: &mut Report) -> Option<LoadedPolicy> {
    let directory = config.policy.shadow.as_deref()?;
    let (loaded, found) = caught(|| load_policy(PolicyPlace { directory, ..config.into() }, clock));
    report.merge(found.with_errors_as_warnings());
    if loaded.is_none() {
        let heading = at_section(config, Section::first("policy"), "", String::new()).span;
        let span = place_of(&config.source, &heading, "shadow");
        let message =
            format!("the candidate policy in {} does not load and is not evaluated", directory.display());
        let help = "mend what is found in it; the policy that serves is not affected";
        report.push(Diagnostic::warning("shadow-does-not-load", &config.source, span, message).help(help));
    }
    loaded
}

/// To load is total. If it were not, for a candidate that makes casbin panic, the live policy would still
/// be none of it.
fn caught<T>(load: impl FnOnce() -> (Option<T>, Report)) -> (Option<T>, Report) {
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_default()
}

/// The candidate, with counters for the resources that requests can be for.
pub(super) fn shadow(candidate: LoadedPolicy, live: &Catalog, metrics: &Metrics) -> Shadow {
    let LoadedPolicy { files, vocabulary, policy, .. } = candidate;
    Shadow {
        catalog: vocabulary.catalog,
        policy,
        digest: files.digest(),
        digest_hex: files.digest().to_hex(),
        metrics: live.resources.keys().map(|id| (id.clone(), metrics.shadow(id))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_that_panics_is_one_that_does_not_load() {
        let (loaded, report) = caught::<()>(|| panic!("casbin"));
        assert!(loaded.is_none() && !report.has_errors());
        let (loaded, _) = caught(|| (Some(7), Report::new()));
        assert_eq!(loaded, Some(7));
    }
}
