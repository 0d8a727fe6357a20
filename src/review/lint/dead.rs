//! Lines that no request can match.

use super::Findings;
use super::facts::{Cause, Facts, Standing};
use super::known::NEVER_MATCHES;

/// Finds the lines that no request can match, other than those that the loader warns of.
pub(super) fn find(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    for line in &facts.lines {
        let Standing::Dead(cause) = line.standing else { continue };
        let grant = line.grant;
        let (why, help) = match cause {
            Cause::NoSystem => (
                format!("`{}` has no enabled system", grant.subject),
                "put a system into it, or remove this line",
            ),
            Cause::NoResource => (
                format!("`{}` has no resource", grant.resource),
                "put a resource into it by a `g2` line, or remove this line",
            ),
            Cause::NoDay => (
                format!("its days never come within `{}`", grant.window.text()),
                "mend the dates or the days",
            ),
            Cause::NothingTogether => (
                format!(
                    "no resource of `{}` has its action, one of its fields and its parameters together",
                    grant.resource
                ),
                "name the resource that is meant, and what it has",
            ),
        };
        let message = format!("no request can match `{}`: {why}", grant.id);
        findings.about_line(&NEVER_MATCHES, grant.line, message, help.to_owned());
    }
}
