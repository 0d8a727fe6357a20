//! `pinegate check`: is what was edited right?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::findings::{self, Finding, To, counted};
use super::screen::Tone;
use super::source::{PolicyOrigin, SourceArgs, key_for_checks};
use super::table::{Table, plain, toned};
use super::{CommandError, Exit, Screen};
use crate::app::assemble::{Assembled, LoadedPolicy, PolicyPlace, assemble, load_policy};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::grant::Effect;
use crate::kernel::diagnostic::{Report, Severity};
use crate::kernel::id::Digest;
use crate::kernel::time::Clock;
use crate::policy::Policy;
use crate::telemetry::Metrics;

/// Check the configuration and the policy, and show everything that is wrong
///
/// Does all that `run` does before it serves: reads the gateway configuration and every file it
/// names (certificates, keys, revocation lists, token keys), reads the policy directory, resolves
/// every name, compiles masks and grants, and holds the policy engine against Casbin. Shows all
/// errors of one run, each with file, line, column and what would be right; warns of what will soon
/// stop working. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate check                         config/gateway.toml and all it names
  pinegate check --config /etc/pinegate/gateway.toml
  pinegate check --policies policies     a policy directory alone, as in its repository's CI
  pinegate check --json | jq '.findings[] | select(.severity == \"error\")'

Exit codes: 0 no errors (there may be warnings), 1 errors.")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was checked, and what came of it.
#[derive(Debug)]
pub(super) struct Checked<'p> {
    what: String,
    pub(super) report: Report,
    policy: Option<PolicySummary>,
    shadow: Option<PolicySummary>,
    config: Option<ConfigSummary<'p>>,
    /// Where the gate is asked to reload, if the configuration loads.
    pub(super) socket: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
pub(super) struct PolicySummary {
    pub(super) digest: Digested,
    departments: usize,
    systems: usize,
    purposes: usize,
    resources: usize,
    grants: usize,
    refusals: usize,
    engine: &'static str,
}

#[derive(Debug, Serialize)]
struct ConfigSummary<'p> {
    file: &'p Path,
    digest: Digested,
    routes: usize,
    upstreams: usize,
}

/// A digest as it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digested(pub(super) Digest);

impl Serialize for Digested {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PolicySummary {
    fn new(digest: Digest, catalog: &Catalog, policy: &Policy) -> Self {
        let refusals = policy.grants().iter().filter(|grant| grant.effect() == Effect::Deny).count();
        Self {
            digest: Digested(digest),
            departments: catalog.registry.departments.len(),
            systems: catalog.registry.systems.len(),
            purposes: catalog.purposes.len(),
            resources: catalog.resources.len(),
            grants: policy.grants().len() - refusals,
            refusals,
            engine: policy.engine(),
        }
    }

    fn contents(&self) -> String {
        [
            count(self.departments, "department"),
            count(self.systems, "system"),
            count(self.purposes, "purpose"),
            count(self.resources, "resource"),
            count(self.grants, "grant"),
            count(self.refusals, "refusal"),
        ]
        .join(", ")
    }

    fn of_loaded(loaded: &LoadedPolicy) -> Self {
        Self::new(loaded.files.digest(), &loaded.vocabulary.catalog, &loaded.policy)
    }

    fn of_shadow(assembled: &Assembled) -> Option<Self> {
        let shadow = assembled.snapshot.shadow.as_ref()?;
        Some(Self::new(shadow.digest, &shadow.catalog, &shadow.policy))
    }

    fn of_assembled(assembled: &Assembled) -> Self {
        let snapshot = &assembled.snapshot;
        Self::new(snapshot.policy_digest, &snapshot.catalog, &snapshot.policy)
    }
}

#[derive(Debug, Serialize)]
struct CheckJson<'c> {
    ok: bool,
    errors: usize,
    warnings: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'c ConfigSummary<'c>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'c PolicySummary>,
    /// The candidate that decides beside it, if one is configured and loads.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<&'c PolicySummary>,
    findings: Vec<Finding<'c>>,
}

pub(super) fn run(
    args: &CheckArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let origin = args.source.origin();
    let checked = match &origin {
        PolicyOrigin::Config(path) => with_config(path, clock)?,
        PolicyOrigin::Directory(alone) => directory_alone(alone.place(), &**clock),
    };
    if args.json {
        screen.json(&CheckJson {
            ok: !checked.report.has_errors(),
            errors: checked.report.count(Severity::Error),
            warnings: checked.report.count(Severity::Warning),
            config: checked.config.as_ref(),
            policy: checked.policy.as_ref(),
            shadow: checked.shadow.as_ref(),
            findings: findings::listed(&checked.report),
        })?;
    } else {
        findings::show(&checked.report, To::Output, screen)?;
        summarise(&checked, screen)?;
    }
    Ok(if checked.report.has_errors() { Exit::Refused } else { Exit::Fine })
}

/// Checks a configuration and all that it names.
pub(super) fn with_config<'p>(path: &'p Path, clock: &Arc<dyn Clock>) -> Result<Checked<'p>, CommandError> {
    let (config, mut report) = Config::load(path);
    let Some(config) = config else {
        // The policy is checked all the same, as far as the configuration says where it is.
        let Some((policy, identity)) = Config::policy_in(path) else {
            return Ok(Checked {
                what: path.display().to_string(),
                report,
                policy: None,
                shadow: None,
                config: None,
                socket: None,
            });
        };
        let key = policy.pseudonym_key.unwrap_or_else(key_for_checks);
        let place = PolicyPlace {
            directory: &policy.directory,
            trust_domain: &identity.trust_domain,
            zone: &policy.zone,
            pseudonym_key: Some(&key),
        };
        let (loaded, found) = load_policy(place, &**clock);
        report.merge(found);
        let what = both(path, &policy.directory);
        return Ok(Checked {
            what,
            report,
            policy: loaded.as_ref().map(PolicySummary::of_loaded),
            shadow: None,
            config: None,
            socket: None,
        });
    };
    let metrics = Metrics::new().map_err(CommandError::Metrics)?;
    let (assembled, found) = assemble(&config, None, &metrics, clock);
    report.merge(found);
    let summary = ConfigSummary {
        file: path,
        digest: Digested(config.digest),
        routes: config.routes.len(),
        upstreams: config.upstreams.len(),
    };
    Ok(Checked {
        what: both(path, &config.policy.directory),
        report,
        policy: assembled.as_ref().map(PolicySummary::of_assembled),
        shadow: assembled.as_ref().and_then(PolicySummary::of_shadow),
        config: Some(summary),
        socket: Some(config.admin.socket),
    })
}

fn both(config: &Path, directory: &Path) -> String {
    format!("{} and {}", config.display(), directory.display())
}

fn directory_alone(place: PolicyPlace<'_>, clock: &dyn Clock) -> Checked<'static> {
    let (loaded, report) = load_policy(place, clock);
    Checked {
        what: place.directory.display().to_string(),
        report,
        policy: loaded.as_ref().map(PolicySummary::of_loaded),
        shadow: None,
        config: None,
        socket: None,
    }
}

impl Checked<'_> {
    /// The digest of the policy, if it loads.
    pub(super) fn policy_digest(&self) -> Option<Digest> {
        self.policy.as_ref().map(|policy| policy.digest.0)
    }
}

/// What was checked, in a few lines.
pub(super) fn summarise(checked: &Checked<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    screen.line(format!("{}: {}", checked.what, counted(&checked.report, screen)))?;
    let mut table = Table::default();
    let mut fact = |name: &str, what: String| table.row([toned(Tone::Faint, name), plain(what)]);
    if let Some(config) = &checked.config {
        fact("config", format!("sha256 {}", config.digest.0));
        fact("", format!("{}, {}", count(config.routes, "route"), count(config.upstreams, "upstream")));
    }
    if let Some(policy) = &checked.policy {
        fact("policy", format!("sha256 {}", policy.digest.0));
        fact("", policy.contents());
        fact(
            "engine",
            match policy.engine {
                "native" => "native: the shipped model, decided over an index and held against Casbin",
                _ => "matcher: another model; its matcher is worked out on the lines that the index names",
            }
            .to_owned(),
        );
    }
    if let Some(shadow) = &checked.shadow {
        fact("shadow", format!("sha256 {}", shadow.digest.0));
        fact("", shadow.contents());
        fact("", "decides beside the policy, and enforces nothing".to_owned());
    }
    for line in table.lines(screen, 2) {
        screen.line(line)?;
    }
    Ok(())
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
