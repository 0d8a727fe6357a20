//! `pinegate run`: serve.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::findings::{self, To};
use super::source::{self, default_config};
use super::{CommandError, Exit, Screen};
use crate::app::assemble::assemble;
use crate::journal::DiskStorage;
use crate::kernel::time::Clock;
use crate::telemetry::Metrics;

/// Serve, until told to stop
///
/// Checks everything first, as `check` does, and opens no port while anything is wrong. SIGHUP or
/// `pinegate reload` swaps in what was edited; SIGTERM stops taking requests, finishes those in work
/// and ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate run
  pinegate run --config /etc/pinegate/gateway.toml

Exit codes: 0 stopped as told, 64 the configuration or policy does not load, 70 it had to stop.")]
pub(super) struct RunArgs {
    /// The gateway configuration [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE", default_value = default_config(), hide_default_value = true)]
    config: PathBuf,
}

/// Loads and assembles everything, then serves. Returns before any port is open where something is
/// wrong.
pub(super) fn run(
    args: &RunArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let config = source::config(&args.config, screen)?;
    let metrics = Metrics::new().map_err(CommandError::Metrics)?;
    let (assembled, report) = assemble(&config, None, &metrics, clock);
    findings::show(&report, To::Aside, screen)?;
    let Some(assembled) = assembled else {
        let what = format!("the configuration `{}` or its policy", args.config.display());
        return Err(CommandError::DoesNotLoad { what });
    };
    let levels = super::logs::begin(&config.telemetry);
    let (metrics, clock, storage) = (Arc::new(metrics), Arc::clone(clock), Arc::new(DiskStorage));
    crate::app::run::run(config, assembled, metrics, clock, storage, levels)?;
    Ok(Exit::Fine)
}
