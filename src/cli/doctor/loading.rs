//! Whether configuration and policy load, and what the lints say.

use std::path::Path;
use std::sync::Arc;

use super::observation::Observation;
use crate::cli::CommandError;
use crate::cli::check::{Checked, Checking, Depth, with_config};
use crate::cli::findings::several;
use crate::cli::source::quoted;
use crate::config::VARIABLE_UNSET;
use crate::kernel::diagnostic::Severity;
use crate::kernel::time::Clock;

/// Checks as `pinegate check` does.
pub(super) fn examine<'p>(
    config: &'p Path,
    clock: &Arc<dyn Clock>,
) -> Result<(Checked<'p>, Vec<Observation>), CommandError> {
    let checked = with_config(config, &Checking { clock, at: None, depth: Depth::Lint })?;
    let report = &checked.report;
    let subject = config.display().to_string();
    let command = format!("`pinegate check --config {}`", quoted(&subject));
    let first = report.sorted().into_iter().find(|finding| finding.severity == Severity::Error);
    let load = match first {
        None => Observation::new("loads", subject, "configuration and policy load"),
        Some(first) => {
            let errors = several(report.count(Severity::Error), "error");
            let line = report.position(first).line;
            let found = format!("{errors}; the first: {}:{line}: {}", first.file, first.message);
            Observation::new("loads", subject, found)
                .bad(format!("{command} shows them in place, with what would be right"))
        }
    };
    let mut seen = vec![load];
    let unset: Vec<_> = report
        .sorted()
        .into_iter()
        .filter(|finding| finding.severity == Severity::Warning && finding.code == VARIABLE_UNSET)
        .collect();
    seen.extend(unset.iter().map(|finding| {
        Observation::new("environment", &*finding.file, finding.message.clone())
            .doubtful(finding.help.clone())
    }));
    let warnings = report.count(Severity::Warning).saturating_sub(unset.len());
    let policy = checked.policy_digest().map(|digest| {
        let digest = digest.to_hex();
        let short = digest.get(..12).unwrap_or(&digest);
        match warnings {
            0 => Observation::new("policy", format!("sha256 {short}…"), "no warnings"),
            warnings => Observation::new("policy", format!("sha256 {short}…"), several(warnings, "warning"))
                .doubtful(format!("{command} shows them; each needs its reason")),
        }
    });
    seen.extend(policy);
    Ok((checked, seen))
}
