//! `pinegate check`: is what was edited right?

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::findings::{self, Finding, To, counted, several};
use super::screen::Tone;
use super::source::{PolicyOrigin, SourceArgs, keys_for_checks};
use super::table::{Table, plain, shown, toned};
use super::when::When;
use super::{CommandError, Exit, Screen};
use crate::app::assemble::{Assembled, assemble_with};
use crate::app::load::{LoadedPolicy, PolicyPlace, load_policy};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::grant::Effect;
use crate::kernel::diagnostic::{Report, Severity};
use crate::kernel::id::Digest;
use crate::kernel::time::{Clock, ManualClock, TimeZone, Timestamp};
use crate::policy::Policy;
use crate::review::lint::known::Lint;
use crate::review::lint::{LintInput, PolicySources, lint};
use crate::telemetry::Metrics;
use levels::LevelArgs;

mod levels;
mod sarif;
mod teach;

/// Check the configuration and the policy, and show everything that is wrong
///
/// Does all that `run` does before it serves: reads the gateway configuration and every file it
/// names (certificates, keys, revocation lists, token keys), reads the policy directory, resolves
/// every name, compiles masks and grants, and holds the policy engine against Casbin. Shows all
/// errors of one run, each with file, line, column and what would be right. A secret from an environment
/// variable that is not set here is a warning: the gate may have it in its own. Changes nothing.
///
/// Where the policy loads, lints say what its lines come to: grants that another line gives already
/// or a deny line refuses, lines that no request can match, grants wider than the catalogue is
/// careful, systems without grants, resources that nobody may use, two sources of one element.
/// `--lints` lists them, `--why LINT` teaches one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate check                         config/gateway.toml and all it names
  pinegate check --config /etc/pinegate/gateway.toml
  pinegate check --policies policies     a policy directory alone, as in its repository's CI
  pinegate check -D warnings -A wide-grant
  pinegate check --at 2026-12-01         what will have ended, or be about to, by then
  pinegate check --sarif > check.sarif   for code hosts that show findings beside the lines
  pinegate check --json | jq '.findings[] | select(.severity == \"error\")'
  pinegate check --why shadowed-grant

Exit codes: 0 no errors (there may be warnings), 1 errors, denied lints among them.")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    levels: LevelArgs,
    /// Check as of this time: an instant, or a local time in the configured zone [default: now]
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    at: Option<When>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Print the findings as SARIF 2.1.0, for tools that collect them
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// List all lints with their levels, and check nothing
    #[arg(long, conflicts_with_all = ["config", "policies", "at", "sarif", "why"])]
    lints: bool,
    /// Teach one lint: why it matters, an example, what to do
    #[arg(long, value_name = "LINT", value_parser = teach::lint, conflicts_with_all = ["config", "policies", "at", "sarif"])]
    why: Option<&'static Lint>,
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
    file: Cow<'p, str>,
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
    fn new(loaded: &LoadedPolicy) -> Self {
        Self::of(loaded.files.digest(), &loaded.vocabulary.catalog, &loaded.policy)
    }

    fn of(digest: Digest, catalog: &Catalog, policy: &Policy) -> Self {
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

    fn of_shadow(assembled: &Assembled) -> Option<Self> {
        let shadow = assembled.snapshot.shadow.as_ref()?;
        Some(Self::of(shadow.digest, &shadow.catalog, &shadow.policy))
    }

    fn contents(&self) -> String {
        [
            several(self.departments, "department"),
            several(self.systems, "system"),
            several(self.purposes, "purpose"),
            several(self.resources, "resource"),
            several(self.grants, "grant"),
            several(self.refusals, "refusal"),
        ]
        .join(", ")
    }
}

#[derive(Debug, Serialize)]
struct CheckJson<'c> {
    ok: bool,
    errors: usize,
    warnings: usize,
    notes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'c ConfigSummary<'c>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'c PolicySummary>,
    /// The candidate that decides beside it, if one is configured and loads.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<&'c PolicySummary>,
    findings: Vec<Finding<'c>>,
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What keeps it from loading, and what loading warns of.
    Load,
    /// Lints too. A secret that is not in the environment here is a warning, since the gate may have it in its own.
    Lint,
}

/// When, and how closely.
#[derive(Debug, Clone)]
pub(super) struct Checking<'c> {
    pub(super) clock: &'c Arc<dyn Clock>,
    /// Instead of the clock's time.
    pub(super) at: Option<When>,
    pub(super) depth: Depth,
}

impl Checking<'_> {
    /// The clock to check by, where local times are meant in `zone`.
    fn clock(&self, zone: &TimeZone) -> Result<Arc<dyn Clock>, CommandError> {
        match self.at {
            None => Ok(Arc::clone(self.clock)),
            Some(when) => Ok(Arc::new(ManualClock::new(when.instant(zone)?))),
        }
    }

    /// Loads the policy, and adds what the lints find in it.
    fn policy(&self, place: PolicyPlace<'_>, clock: &dyn Clock) -> (Option<LoadedPolicy>, Report) {
        let (loaded, mut report) = load_policy(place, clock);
        if let Some(loaded) = loaded.as_ref().filter(|_| self.depth == Depth::Lint) {
            report.merge(lints(loaded, clock.now()));
        }
        (loaded, report)
    }
}

fn lints(loaded: &LoadedPolicy, now: Timestamp) -> Report {
    let files = &loaded.files;
    let limits = &loaded.vocabulary.limits;
    lint(&LintInput {
        policy: &loaded.policy,
        catalog: &loaded.vocabulary.catalog,
        sources: PolicySources {
            grants: files.grants(),
            catalog: files.catalog(),
            registry: files.registry(),
            purposes: files.purposes(),
            masks: files.masks(),
        },
        limited: &limits.iter().flat_map(|entry| &entry.grants).map(|grant| grant.value.clone()).collect(),
        now,
    })
}

pub(super) fn run(
    args: &CheckArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let levels = args.levels.levels();
    if args.lints {
        return teach::list(&levels, args.json, screen);
    }
    if let Some(lint) = args.why {
        return teach::one(lint, &levels, args.json, screen);
    }
    let origin = args.source.origin();
    let checking = Checking { clock, at: args.at, depth: Depth::Lint };
    let mut checked = match &origin {
        PolicyOrigin::Config(path) => with_config(path, &checking)?,
        PolicyOrigin::Directory(alone) => directory_alone(alone.place(), &checking)?,
    };
    levels.apply(&mut checked.report);
    if args.json {
        screen.json(&CheckJson {
            ok: !checked.report.has_errors(),
            errors: checked.report.count(Severity::Error),
            warnings: checked.report.count(Severity::Warning),
            notes: checked.report.count(Severity::Note),
            config: checked.config.as_ref(),
            policy: checked.policy.as_ref(),
            shadow: checked.shadow.as_ref(),
            findings: findings::listed(&checked.report),
        })?;
    } else if args.sarif {
        screen.json(&sarif::Log::new(&checked.report))?;
    } else {
        findings::show(&checked.report, To::Output, screen)?;
        summarise(&checked, screen)?;
    }
    Ok(if checked.report.has_errors() { Exit::Refused } else { Exit::Fine })
}

/// Checks a configuration and all that it names.
pub(super) fn with_config<'p>(path: &'p Path, checking: &Checking<'_>) -> Result<Checked<'p>, CommandError> {
    let (config, mut report) = match checking.depth {
        Depth::Load => Config::load(path),
        Depth::Lint => Config::look(path),
    };
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
        let keys = policy.pseudonym_keys;
        let keys = if keys.is_empty() { keys_for_checks() } else { keys };
        let place = PolicyPlace {
            directory: &policy.directory,
            trust_domain: &identity.trust_domain,
            zone: &policy.zone,
            pseudonym_keys: &keys,
        };
        let mut checked = directory_alone(place, checking)?;
        report.merge(checked.report);
        checked.report = report;
        checked.what = both(path, &policy.directory);
        return Ok(checked);
    };
    let metrics = Metrics::new().map_err(CommandError::Metrics)?;
    let clock = checking.clock(&config.policy.zone)?;
    let (loaded, found) = checking.policy((&config).into(), &*clock);
    let policy = loaded.as_ref().map(PolicySummary::new);
    let (assembled, found) = assemble_with(&config, (loaded, found), None, &metrics, &clock);
    let is_sound = !found.has_errors();
    report.merge(found);
    let summary = ConfigSummary {
        file: path.to_string_lossy(),
        digest: Digested(config.digest),
        routes: config.routes.len(),
        upstreams: config.upstreams.len(),
    };
    Ok(Checked {
        what: both(path, &config.policy.directory),
        report,
        policy: policy.filter(|_| is_sound),
        shadow: assembled.as_ref().and_then(PolicySummary::of_shadow),
        config: Some(summary),
        socket: Some(config.admin.socket),
    })
}

fn both(config: &Path, directory: &Path) -> String {
    format!("{} and {}", config.display(), directory.display())
}

fn directory_alone(
    place: PolicyPlace<'_>,
    checking: &Checking<'_>,
) -> Result<Checked<'static>, CommandError> {
    let clock = checking.clock(place.zone)?;
    let (loaded, report) = checking.policy(place, &*clock);
    Ok(Checked {
        what: place.directory.display().to_string(),
        report,
        policy: loaded.as_ref().map(PolicySummary::new),
        shadow: None,
        config: None,
        socket: None,
    })
}

impl Checked<'_> {
    /// The digest of the policy, if it loads.
    pub(super) fn policy_digest(&self) -> Option<Digest> {
        self.policy.as_ref().map(|policy| policy.digest.0)
    }
}

/// What was checked, in a few lines.
pub(super) fn summarise(checked: &Checked<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    screen.line(format!("{}: {}", shown(&checked.what), counted(&checked.report, screen)))?;
    let mut table = Table::default();
    let mut fact = |name: &str, what: String| table.row([toned(Tone::Faint, name), plain(what)]);
    if let Some(config) = &checked.config {
        fact("config", format!("sha256 {}", config.digest.0));
        fact("", format!("{}, {}", several(config.routes, "route"), several(config.upstreams, "upstream")));
    }
    if let Some(policy) = &checked.policy {
        fact("policy", format!("sha256 {}", policy.digest.0));
        fact("", policy.contents());
        fact(
            "engine",
            match policy.engine {
                "native" => "native: the shipped model, decided over an index and held against Casbin",
                _ => "matcher: another model, worked out on the lines that the index names; lints are the shipped one's",
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

#[cfg(test)]
mod tests;
