//! `pinegate demo`: what its command line says. The story itself is `demo::scenario`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::screen::Exit;
use crate::config::{LogFilter, LogFormat, Telemetry};
use crate::demo::scenario::{DemoSettings, run as demonstrate};
use crate::kernel::diagnostic::chain;

/// What the demonstration logs: only what is worth a look beside what it prints.
const LOGGED: &str = "warn";

/// Show everything on this machine, with invented people
///
/// Makes a development authority, certificates, token keys, a policy directory and a gateway
/// configuration; starts an invented exchange platform and the gate before it; prints ready-made curl
/// lines with their results, the records they left and the metrics. Then it keeps serving, and an
/// edited policy file takes effect at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate demo                      in a new directory that it names; Ctrl-C ends it
  pinegate demo --dir /tmp/pinegate  in this directory: open its files and edit them
  pinegate demo --once               show it and end

Exit codes: 0 everything is as it should be, 1 something is not.")]
pub(super) struct DemoArgs {
    /// Where to put its files [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// End after the demonstration; exit 1 if any result is not as it should be
    #[arg(long)]
    once: bool,
}

/// Tells the story on standard output as it happens, and says on standard error why there is none.
pub(super) fn run(args: &DemoArgs) -> ExitCode {
    let told = LogFilter::parse(LOGGED).map_err(|error| error.to_string()).and_then(|log| {
        let levels = super::logs::begin(&Telemetry { log, format: LogFormat::Pretty });
        let directory = directory(args)?;
        let settings = DemoSettings { directory, once: args.once };
        demonstrate(&settings, levels, &mut io::stdout().lock()).map_err(|error| chain(&error))
    });
    let exit = match told {
        Ok(true) => Exit::Fine,
        Ok(false) => Exit::Refused,
        Err(why) => {
            // A terminal that is gone cannot be told anything.
            let _told = writeln!(io::stderr(), "error: {why}");
            Exit::Refused
        }
    };
    exit.into()
}

/// Where the files go: where it was said, or a new directory that outlives the program.
fn directory(args: &DemoArgs) -> Result<PathBuf, String> {
    match &args.dir {
        Some(directory) => Ok(directory.clone()),
        None => tempfile::Builder::new()
            .prefix("pinegate-demo-")
            .tempdir()
            .map(tempfile::TempDir::keep)
            .map_err(|error| format!("no temporary directory could be made: {error}")),
    }
}
