//! `pinegate demo`: what its command line says. The story itself is `demo::scenario`.

use std::path::PathBuf;

use clap::Args;

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
pub struct DemoArgs {
    /// Where to put its files [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// End after the demonstration; exit 1 if any result is not as it should be
    #[arg(long)]
    pub once: bool,
}
