//! `pinegate doctor`: is this installation sound, and what mends it where it is not?
//!
//! Looks at what `check` cannot see: who may read the keys, when certificates end, how the disk does, what the
//! system allows, who can be reached, what the running gate says. Changes nothing, and every wait has a bound.

mod certificates;
mod clock;
mod disk;
mod files;
mod limits;
mod listeners;
mod loading;
mod observation;
mod reach;
mod ready;
mod running;
mod show;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use self::observation::Standing;
use super::source::default_config;
use super::{CommandError, Exit, Screen};
use crate::config::Config;
use crate::kernel::time::Clock;

/// Examine an installation, running or about to run, and say what mends it
///
/// Looks at the configuration and policy as `check` does; at who may read keys and change files; at when
/// certificates and revocation lists end; at the clock, the disk of the audit log (by a few real
/// flushes, into a file of which nothing is left), its free space, the limit of open files; at whether the
/// platform, sinks, witnesses and the collector of traces can be reached, TLS included; and asks the
/// running gate how it is. Run it as the gate's account: what counts is what that account may do.
/// Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo -u pinegate pinegate doctor --config /etc/pinegate/gateway.toml
  pinegate doctor --json | jq '.checks[] | select(.standing == \"failure\")'
  pinegate doctor --ready                for a container's health check: prints one line

Exit codes: 0 sound (there may be warnings), 1 something is not; with --ready 0 the gate takes requests,
1 it does not, or cannot be asked.")]
pub(super) struct DoctorArgs {
    /// The gateway configuration [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE", default_value = default_config(), hide_default_value = true)]
    config: PathBuf,
    /// Ask the running gate whether it takes requests, and nothing else
    #[arg(long)]
    ready: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    args: &DoctorArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    if args.ready {
        return ready::run(&args.config, args.json, screen);
    }
    let (checked, mut seen) = loading::examine(&args.config, clock)?;
    if let (Some(config), _) = Config::look(&args.config) {
        seen.extend(files::examine(&config));
        seen.extend(certificates::examine(&config, clock.now()));
        seen.push(clock::examine(&config, clock.now()));
        seen.extend(disk::examine(&config.audit, clock));
        let runtime = super::gate::runtime()?;
        let gate = runtime.block_on(running::ask(&config.admin.socket));
        seen.extend(running::examine(&config, &gate, &checked));
        seen.push(limits::examine(&config, &gate));
        if gate.is_absent() {
            seen.extend(listeners::examine(&config));
        }
        seen.extend(runtime.block_on(reach::examine(&config, clock)));
        // A name that is still being looked up is not waited for.
        runtime.shutdown_background();
    }
    show::show(&seen, args.json, screen)?;
    let is_sound = seen.iter().all(|observation| observation.standing != Standing::Bad);
    Ok(if is_sound { Exit::Fine } else { Exit::Refused })
}

#[cfg(test)]
mod tests;
