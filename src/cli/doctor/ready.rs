//! `pinegate doctor --ready`: whether the running gate takes requests, for whoever restarts what does not.

use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Serialize;

use crate::cli::gate::{self, AskError, At, Page};
use crate::cli::table::shown;
use crate::cli::{CommandError, Exit, Screen};
use crate::config::Config;

/// The bound on the gate's answer.
const WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
struct ReadyJson<'r> {
    ready: bool,
    why: &'r str,
}

/// Asks over the admin socket, and over the metrics listener where that cannot be opened.
pub(super) fn run(config: &Path, json: bool, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (is_ready, why) = match Config::listeners_in(config) {
        None => {
            (false, format!("`{}` does not say where to ask: `[admin]` and `[metrics]`", config.display()))
        }
        Some((metrics, admin)) => {
            let runtime = gate::runtime()?;
            let asked = runtime.block_on(async {
                let ask = async |at| gate::ask(at, Method::GET, "/readyz", WITHIN).await;
                match ask(At::Socket(&admin.socket)).await {
                    Err(AskError::Connect(_)) => ask(At::Address(metrics.address)).await,
                    asked => asked,
                }
            });
            verdict(asked)
        }
    };
    if json {
        screen.json(&ReadyJson { ready: is_ready, why: &why })?;
    } else {
        screen.line(shown(&why))?;
    }
    Ok(if is_ready { Exit::Fine } else { Exit::Refused })
}

fn verdict(asked: Result<Page, AskError>) -> (bool, String) {
    match asked {
        Ok(page) => {
            let why = String::from_utf8_lossy(&page.body).trim().to_owned();
            (page.status == StatusCode::OK, why)
        }
        Err(error) => (false, format!("the gate cannot be asked: {error}")),
    }
}
