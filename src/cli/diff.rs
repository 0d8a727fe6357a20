//! `pinegate diff`: what does another policy decide otherwise?

mod json;
mod revision;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::source::{self, DEFAULT_TRUST_DOMAIN, keys_for_checks, or_show};
use super::when::{default_zone, zone};
use super::{CommandError, Exit, Screen};
use crate::app::load::{LoadedPolicy, PolicyPlace, load_files, load_policy};
use crate::kernel::time::{Clock, TimeZone};
use crate::quota::limit::Limit;
use crate::review::diff::{Difference, MaskerText, Side, compare};

/// Say who gains what and who loses what by a change of policy
///
/// Compares two policies by what they decide, not by their text: for every system, resource and
/// action, at every purpose, with all values of parameters, at all times. Shows who is allowed or
/// refused what, which fields leave that did not or no longer, which become clear or are masked,
/// which caps on rows move; for which purposes, with which parameters, when; and the lines of
/// grants.csv that it comes from. What was edited without changing any decision is counted.
///
/// OLD and NEW are policy directories, or git revisions: `REV` for the directory `policies` of the
/// repository, `REV:path` for another. A directory of that name comes first, unless --git is given.
/// Nothing is checked out. Both must load, and be decided by the shipped model.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate diff HEAD policies            what I edited and have not committed
  pinegate diff main HEAD                what this branch changes
  pinegate diff v1.4:city/policies policies
  pinegate diff --fail-on gain main HEAD   in CI: a review is needed if anybody gets more
  pinegate diff --json old new | jq '.changes[] | select(.gain)'

Exit codes: 0 compared, 1 a change is there that --fail-on names, 64 one of them does not load, or is decided by another model.")]
pub(super) struct DiffArgs {
    /// The policy before: a directory, or a git revision
    #[arg(value_name = "OLD")]
    old: String,
    /// The policy after: a directory, or a git revision
    #[arg(value_name = "NEW")]
    new: String,
    /// Exit with 1 if there is such a change; may be given several times
    #[arg(long, value_name = "KIND", value_enum)]
    fail_on: Vec<FailOn>,
    /// Show everything: all systems and changes, and the lines that change no decision
    #[arg(long)]
    all: bool,
    /// Take OLD and NEW for git revisions even where there are such directories
    #[arg(long)]
    git: bool,
    /// The repository of the revisions [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,
    /// Take trust domain and zone from this gateway configuration
    #[arg(long, value_name = "FILE", conflicts_with_all = ["trust_domain", "zone"])]
    config: Option<PathBuf>,
    /// The SPIFFE trust domain of certificates [default: city.example]
    #[arg(long, value_name = "DOMAIN")]
    trust_domain: Option<String>,
    /// The zone in which dates and hours are meant [default: Asia/Shanghai]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<TimeZone>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What a review may want to stop at. Where something could not be compared, all of them hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Somebody may get more: allowed, new fields, clear, another masker, fewer bounds
    Gain,
    /// Somebody may get less
    Loss,
    /// A field leaves clear that was masked or that the catalogue masks
    Clear,
    /// Anything that is decided otherwise or bears on what leaves
    Any,
}

impl FailOn {
    fn is_met(self, found: &Difference) -> bool {
        let weight = found.weight();
        let is_met = match self {
            Self::Gain => weight.gain,
            Self::Loss => weight.loss,
            Self::Clear => weight.clear,
            Self::Any => found.is_any(),
        };
        // What could not be compared may be anything.
        is_met || !found.undetermined.is_empty()
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Gain => "gain",
            Self::Loss => "loss",
            Self::Clear => "clear",
            Self::Any => "any",
        }
    }
}

/// What was compared, and what came of it.
#[derive(Debug)]
struct Compared<'a> {
    args: &'a DiffArgs,
    old: LoadedPolicy,
    new: LoadedPolicy,
    difference: Difference,
}

pub(super) fn run(args: &DiffArgs, clock: &dyn Clock, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let config = args.config.as_deref().map(|path| source::config(path, screen)).transpose()?;
    let keys = keys_for_checks();
    let default = default_zone();
    let place = PolicyPlace {
        directory: Path::new("."),
        trust_domain: match &config {
            Some(config) => &config.identity.trust_domain,
            None => args.trust_domain.as_deref().unwrap_or(DEFAULT_TRUST_DOMAIN),
        },
        zone: match &config {
            Some(config) => &config.policy.zone,
            None => args.zone.as_ref().unwrap_or(&default),
        },
        // Nothing is masked here, so that any key does.
        pseudonym_keys: &keys,
    };
    let old = load(args, &args.old, place, clock, screen)?;
    let new = load(args, &args.new, place, clock, screen)?;
    for (given, loaded) in [(&args.old, &old), (&args.new, &new)] {
        // What it cannot read it would call alike, a refusal that was taken out of the model included.
        if old.files.digest() != new.files.digest() && !loaded.policy.is_shipped() {
            return Err(CommandError::NotCompared { given: given.clone() });
        }
    }
    let difference = if old.files.digest() == new.files.digest() {
        Difference::default()
    } else {
        let (old_limits, new_limits) = (old.vocabulary.limits(), new.vocabulary.limits());
        compare(&side(&old, &old_limits), &side(&new, &new_limits), clock.now())
    };
    let compared = Compared { args, old, new, difference };
    if args.json {
        json::print(&compared, screen)?;
    } else {
        show::text(&compared, screen)?;
    }
    let met: Vec<&str> =
        args.fail_on.iter().filter(|it| it.is_met(&compared.difference)).map(|it| it.as_str()).collect();
    if met.is_empty() {
        return Ok(Exit::Fine);
    }
    screen.aside(format!("there is a change that `--fail-on {}` names", met.join("`, `--fail-on ")))?;
    Ok(Exit::Refused)
}

fn load(
    args: &DiffArgs,
    given: &str,
    place: PolicyPlace<'_>,
    clock: &dyn Clock,
    screen: &mut Screen<'_>,
) -> Result<LoadedPolicy, CommandError> {
    let directory = Path::new(given);
    let (policy, report) = if !args.git && directory.is_dir() {
        load_policy(PolicyPlace { directory, ..place }, clock)
    } else {
        match revision::files(args.repository.as_deref(), given)? {
            Ok(files) => load_files(files, place, clock),
            Err(report) => (None, report),
        }
    };
    or_show(policy, &report, format!("the policy in `{given}`"), screen)
}

fn side<'l>(loaded: &'l LoadedPolicy, limits: &'l [Limit]) -> Side<'l> {
    let maskers = loaded.vocabulary.maskers.iter().map(|masker| {
        let mut parameters: Vec<(String, String)> =
            masker.parameters.iter().map(|(name, value)| (name.value.clone(), value.value.clone())).collect();
        parameters.sort();
        (masker.name.value.clone(), MaskerText { method: masker.method.value.clone(), parameters })
    });
    Side { policy: &loaded.policy, catalog: &loaded.vocabulary.catalog, maskers: maskers.collect(), limits }
}
