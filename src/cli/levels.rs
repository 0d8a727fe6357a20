//! `pinegate log`: what the running gate logs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::gate::{self, At};
use super::screen::Tone;
use super::source::default_config;
use super::table::shown;
use super::when::{default_zone, local};
use super::{CommandError, Exit, Screen};
use crate::admin::MAX_WHILE;
use crate::config::{Config, LogFilter};
use crate::kernel::bound::parse_duration;
use crate::kernel::time::Timestamp;

/// The bound on the gate's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Show or change what the running gate logs
///
/// Asks the gate over its `[admin]` socket. A change counts at once, until the gate ends; with `--for`
/// what was logged before comes back by itself. Who changed it is on record. No level writes masked
/// values, tokens, keys or query texts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate log                                      what is logged now
  pinegate log debug --for 10m
  pinegate log info,pinegate::upstream=debug
  pinegate log --reset                              what the configuration says

Exit codes: 0 done, 1 the gate refused, 2 the filter is not right, 69 the gate cannot be reached.")]
pub(super) struct LogArgs {
    /// A level (off, error, warn, info, debug, trace), or levels of modules with commas between them
    #[arg(value_name = "FILTER", value_parser = filter)]
    filter: Option<String>,
    /// For so long, such as 10m; at most 24h
    #[arg(long = "for", value_name = "TIME", value_parser = while_of, requires = "filter")]
    span: Option<Duration>,
    /// Log again what the configuration says, as the gate read it at its start
    #[arg(long, conflicts_with = "filter")]
    reset: bool,
    /// The gateway configuration that the gate runs with [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE", default_value = default_config(), hide_default_value = true)]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn filter(text: &str) -> Result<String, String> {
    LogFilter::parse(text).map(|filter| filter.to_string()).map_err(|error| error.to_string())
}

fn while_of(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    if length.subsec_nanos() != 0 || length > MAX_WHILE {
        return Err(
            "expected whole seconds, minutes or hours, such as `90s`, `10m` or `2h`, up to `24h`".to_owned()
        );
    }
    Ok(length)
}

/// What the gate answers to `GET` and `PUT /log`.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    log: String,
    configured: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    then: Option<String>,
}

/// What it answers where it refuses.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    applied: bool,
    report: String,
}

pub(super) fn run(args: &LogArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let Some((_, admin)) = Config::listeners_in(&args.config) else {
        return Err(CommandError::NoListeners { config: args.config.clone() });
    };
    let is_change = args.reset || args.filter.is_some();
    match ask(&admin.socket, args, is_change)? {
        Ok(answer) if args.json => screen.json(&answer)?,
        Ok(answer) => say(&answer, is_change, screen)?,
        Err(refusal) => {
            if args.json {
                screen.json(&refusal)?;
            } else {
                let kept = screen.paint(Tone::Bad, "not changed");
                screen.line(format!("{kept}: {}", shown(&refusal.report)))?;
            }
            return Ok(Exit::Refused);
        }
    }
    Ok(Exit::Fine)
}

fn say(answer: &Answer, is_change: bool, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let log = screen.paint(if is_change { Tone::Good } else { Tone::Strong }, &shown(&answer.log));
    let about = match (&answer.until, &answer.then) {
        (Some(until), Some(then)) => {
            let until = until
                .parse::<Timestamp>()
                .map_or_else(|_| shown(until), |until| local(&default_zone(), until));
            format!(" until {until}, then {}", shown(then))
        }
        _ if answer.log == answer.configured => ", as the configuration says".to_owned(),
        _ => format!(" until the gate ends; the configuration says {}", shown(&answer.configured)),
    };
    screen.line(format!("{log}{about}"))
}

/// Asks the gate at `socket`.
fn ask(socket: &Path, args: &LogArgs, is_change: bool) -> Result<Result<Answer, Refusal>, CommandError> {
    let (method, body) = if is_change {
        let seconds = args.span.map(|span| span.as_secs());
        let wish = serde_json::json!({ "log": args.filter, "for_seconds": seconds });
        (Method::PUT, Bytes::from(wish.to_string()))
    } else {
        (Method::GET, Bytes::new())
    };
    let asked = gate::send(At::Socket(socket), method, "/log", body, ANSWER_TIMEOUT);
    let page = gate::runtime()?.block_on(asked).map_err(|error| error.at(socket))?;
    let odd = |why: String| CommandError::Answer { socket: socket.to_owned(), why };
    let read = |error: serde_json::Error| odd(error.to_string());
    match page.status {
        StatusCode::OK => serde_json::from_slice(&page.body).map(Ok).map_err(read),
        StatusCode::BAD_REQUEST => serde_json::from_slice(&page.body).map(Err).map_err(read),
        status => Err(odd(format!("status {status}"))),
    }
}
