//! What the running gate says of itself, if one runs.

use std::io;
use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};

use super::observation::Observation;
use crate::cli::check::Checked;
use crate::cli::gate::{AskError, At, Page, ask as ask_page};
use crate::config::Config;

/// The bound on each of its answers.
const WITHIN: Duration = Duration::from_secs(3);

/// A gate, as its admin socket shows it.
#[derive(Debug)]
pub(super) enum Gate {
    /// It answers.
    Running(Answers),
    /// There is no socket, or nobody behind it any more.
    Absent {
        /// Whether a socket was left.
        is_left: bool,
    },
    /// It cannot be asked.
    Unknown(AskError),
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answers {
    version: String,
    ready: StatusCode,
    why: String,
    metrics: String,
}

impl Gate {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// The value of a series without labels.
    pub(super) fn metric(&self, name: &str) -> Option<u64> {
        let Self::Running(answers) = self else { return None };
        let mut lines = answers.metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.trim().parse().ok()
    }
}

/// Asks whoever listens at `socket`.
pub(super) async fn ask(socket: &Path) -> Gate {
    match answers(socket).await {
        Ok(answers) => Gate::Running(answers),
        Err(AskError::Connect(error)) if error.kind() == io::ErrorKind::NotFound => {
            Gate::Absent { is_left: false }
        }
        Err(AskError::Connect(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Gate::Absent { is_left: true }
        }
        Err(error) => Gate::Unknown(error),
    }
}

async fn answers(socket: &Path) -> Result<Answers, AskError> {
    let page = async |path| ask_page(At::Socket(socket), Method::GET, path, WITHIN).await;
    let text = |page: Page| String::from_utf8_lossy(&page.body).trim().to_owned();
    let version = text(page("/version").await?);
    let ready = page("/readyz").await?;
    let (status, why) = (ready.status, text(ready));
    let metrics = text(page("/metrics").await?);
    Ok(Answers { version, ready: status, why, metrics })
}

pub(super) fn examine(config: &Config, gate: &Gate, checked: &Checked<'_>) -> Vec<Observation> {
    let socket = config.admin.socket.display().to_string();
    let seen = |found: String| Observation::new("gate", &socket, found);
    match gate {
        Gate::Running(answers) => running(config, answers, checked, &socket),
        Gate::Absent { is_left: false } => vec![seen("none runs".to_owned()).unknown("`pinegate run` starts it")],
        Gate::Absent { is_left: true } => vec![
            seen("none runs; one that ended left its socket".to_owned())
                .unknown("`pinegate run` starts it, and replaces the socket; if it should be running, its log says why not"),
        ],
        Gate::Unknown(error) => vec![
            seen(format!("cannot be asked: {error}"))
                .bad("run this as the gate's account, or as root: the socket is for its owner alone"),
        ],
    }
}

fn running(config: &Config, answers: &Answers, checked: &Checked<'_>, socket: &str) -> Vec<Observation> {
    let own = concat!("pinegate ", env!("CARGO_PKG_VERSION"));
    let version = Observation::new("gate", socket, format!("runs {}", answers.version));
    let version = if answers.version == own {
        version
    } else {
        version.doubtful(format!("this program is {own}: restart the gate once you mean it to run that"))
    };
    let ready = match answers.ready {
        StatusCode::OK => Observation::new("ready", socket, "takes requests"),
        _ => Observation::new("ready", socket, format!("takes no requests: {}", answers.why))
            .bad("mend what it says; its log says more, and the audit directory's disk is the usual cause"),
    };
    let mut seen = vec![version, ready];
    let live = answers.metrics.lines().find(|line| line.starts_with("pinegate_policy_info{"));
    if let Some((live, policy)) = live.zip(checked.policy_digest()) {
        let is_live = |digest: String| live.contains(&format!("\"{digest}\""));
        let subject = "policy and configuration";
        let are_those = is_live(policy.to_hex()) && is_live(config.digest.to_hex());
        let pending = pending(&answers.metrics);
        let but = format!("{}: as at the gate's start", pending.join(", "));
        let seen_as = |found: String| Observation::new("live", subject, found);
        seen.push(match (are_those, pending.is_empty()) {
            (true, true) => seen_as("are those that lie here".to_owned()),
            (true, false) => seen_as(format!("are those that lie here, but for {but}"))
                .doubtful("restart the gate when it suits: a reload does not change these"),
            (false, true) => seen_as("are others than those that lie here".to_owned())
                .doubtful("`pinegate reload` swaps in what lies here, and names what takes a restart"),
            (false, false) => seen_as(format!("are others than those that lie here; {but}"))
                .doubtful("`pinegate reload` swaps in what lies here; then restart the gate when it suits"),
        });
    }
    seen
}

/// The sections that the gate says it takes from the file at its next start.
fn pending(metrics: &str) -> Vec<String> {
    let sections = metrics.lines().filter_map(|line| {
        let (section, value) =
            line.strip_prefix("pinegate_restart_pending{section=\"")?.split_once("\"} ")?;
        (value.trim() == "1").then(|| format!("`{section}`"))
    });
    sections.collect()
}
