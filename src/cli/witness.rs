//! `pinegate witness`: cosign the logs of others.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::findings::{self, To};
use super::{CommandError, Exit, Screen};
use crate::config::WitnessConfig;
use crate::kernel::time::Clock;

/// Cosign the audit logs of other gates, as long as they only grow
///
/// A witness (C2SP tlog-witness) signs the head of a log only if the log has grown from the head that
/// it signed before. Whoever asks for its signature cannot be shown another log than everyone else.
/// What it signed last of each log is on disk before it answers. SIGTERM stops it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit key --new --witness witness.example/w1 witness.key
  pinegate witness --config witness.toml --new      the first time
  pinegate witness --config witness.toml

The configuration:
  listen = \"0.0.0.0:7380\"
  directory = \"/var/lib/pinegate/witness\"
  name = \"witness.example/w1\"
  key = \"witness.key\"
  [tls]                                             without it, plain HTTP
  certificate = \"witness.pem\"
  key = \"witness-tls.key\"
  [[log]]
  key = \"gate-1+0f6b5d5c+AQ…\"                       as `pinegate audit key --log gate-1 …` prints it

Exit codes: 0 stopped as told, 64 the configuration does not load, 70 it cannot start.")]
pub(super) struct WitnessArgs {
    /// The configuration of the witness
    #[arg(long, value_name = "FILE", default_value = "config/witness.toml")]
    config: PathBuf,
    /// Make the directory of its state, which must not be there yet: it has cosigned nothing
    #[arg(long)]
    new: bool,
}

pub(super) fn run(
    args: &WitnessArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let (config, report) = WitnessConfig::load(&args.config);
    let Some(config) = config else {
        findings::show(&report, To::Aside, screen)?;
        return Err(CommandError::WitnessDoesNotLoad { config: args.config.clone() });
    };
    // Nobody changes what a witness logs: it listens to no operator.
    drop(super::logs::begin(&config.telemetry));
    if args.new {
        crate::witness::create(&config.directory)?;
    }
    crate::witness::run(config, Arc::clone(clock))?;
    Ok(Exit::Fine)
}
