//! `pinegate reload`: check, then swap in the running gate.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::check::{Checking, Depth, Digested, summarise, with_config};
use super::findings::{self, Finding, To};
use super::gate::{self, At};
use super::screen::Tone;
use super::source::default_config;
use super::{CommandError, Exit, Screen};
use crate::config::Config;
use crate::kernel::id::Digest;
use crate::kernel::time::Clock;

/// The bound on the gate's answer: it loads everything anew before it answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Check, then swap what was edited into the running gate
///
/// First checks here, as `check` does; with any error the gate is not asked. Then tells the gate over
/// its `[admin]` socket to load everything anew: policy, certificates, keys, revocation lists. The gate
/// swaps all of it at once, or keeps what it has. What only a restart changes, such as `[listen]`, is
/// named.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate reload
  pinegate reload --config /etc/pinegate/gateway.toml --json

Exit codes: 0 the gate now serves what was checked, 1 errors: the gate serves what it served before,
69 the gate cannot be reached.")]
pub(super) struct ReloadArgs {
    /// The gateway configuration that the gate runs with [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE", default_value = default_config(), hide_default_value = true)]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What the gate answers to `POST /reload`.
#[derive(Debug, Deserialize)]
struct Answer {
    applied: bool,
    #[serde(default)]
    revision: Option<u64>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    shadow: Option<String>,
    #[serde(default)]
    report: Option<String>,
    #[serde(default)]
    restart: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ReloadJson<'r> {
    applied: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    /// The digest of the policy that the gate now serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'r str>,
    /// The digest of the candidate that the gate evaluates beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<&'r str>,
    /// The digest of the policy as checked here.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Digested>,
    findings: Vec<Finding<'r>>,
    /// What the gate found, where it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'r str>,
    /// The sections that have changed and take effect at the gate's next start.
    restart: &'r [String],
}

pub(super) fn run(
    args: &ReloadArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let checked = with_config(&args.config, &Checking { clock, at: None, depth: Depth::Load })?;
    if !args.json {
        findings::show(&checked.report, To::Output, screen)?;
        summarise(&checked, screen)?;
    }
    let digest = checked.policy_digest();
    let socket = if Config::lacks_only_variables(&checked.report) {
        screen.aside(
            "the gate is asked all the same: it checks everything itself, and may have the variables that are not set here",
        )?;
        Config::listeners_in(&args.config).map(|(_, admin)| admin.socket)
    } else {
        checked.socket.clone().filter(|_| !checked.report.has_errors())
    };
    let answer = socket.as_deref().map(ask).transpose()?;
    let applied = answer.as_ref().is_some_and(|answer| answer.applied);
    if args.json {
        screen.json(&ReloadJson {
            applied,
            revision: answer.as_ref().and_then(|answer| answer.revision),
            policy: answer.as_ref().and_then(|answer| answer.policy.as_deref()),
            shadow: answer.as_ref().and_then(|answer| answer.shadow.as_deref()),
            checked: digest.map(Digested),
            findings: findings::listed(&checked.report),
            report: answer.as_ref().and_then(|answer| answer.report.as_deref()),
            restart: answer.as_ref().map(|answer| &*answer.restart).unwrap_or_default(),
        })?;
    } else {
        say(answer.as_ref(), digest, screen)?;
    }
    Ok(if applied { Exit::Fine } else { Exit::Refused })
}

fn say(
    answer: Option<&Answer>,
    checked: Option<Digest>,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let Some(answer) = answer else {
        let kept = screen.paint(Tone::Bad, "not reloaded");
        return screen.line(format!("{kept}: the gate was not asked, and serves what it served before"));
    };
    if !answer.applied {
        let kept = screen.paint(Tone::Bad, "not reloaded");
        screen.line(format!("{kept}: the gate refused, and serves what it served before"))?;
        let report = answer.report.as_deref().unwrap_or("it does not say why");
        return report.lines().try_for_each(|line| screen.line(format!("  {}", super::table::shown(line))));
    }
    let revision = answer.revision.map_or_else(String::new, |revision| format!(", revision {revision}"));
    screen.line(format!("{}{revision}", screen.paint(Tone::Good, "reloaded")))?;
    let serving = answer.policy.as_deref().unwrap_or_default();
    if !serving.is_empty() && checked.is_some_and(|checked| checked.to_hex() != serving) {
        let warning = screen.paint(Tone::Doubtful, "warning");
        let serving = super::table::shown(serving);
        screen.line(format!(
            "{warning}: the gate serves policy {serving}, which is not what was checked here: \
             it reads another directory, or a file changed in between"
        ))?;
    }
    for section in &answer.restart {
        let warning = screen.paint(Tone::Doubtful, "warning");
        let section = super::table::shown(section);
        screen.line(format!(
            "{warning}: {section} is not what the gate was started with, and takes effect at its next start"
        ))?;
    }
    Ok(())
}

/// Tells the gate at `socket` to reload.
fn ask(socket: &Path) -> Result<Answer, CommandError> {
    let asked = gate::ask(At::Socket(socket), Method::POST, "/reload", ANSWER_TIMEOUT);
    let page = gate::runtime()?.block_on(asked).map_err(|error| error.at(socket))?;
    let odd = |why: String| CommandError::Answer { socket: socket.to_owned(), why };
    if page.status != StatusCode::OK && page.status != StatusCode::CONFLICT {
        return Err(odd(format!("status {}", page.status)));
    }
    serde_json::from_slice(&page.body).map_err(|error| odd(error.to_string()))
}
