//! The commands: what people type, what they read, and the exit code they get.
//!
//! The only module that prints. Every command writes through a [`Screen`] and returns an [`Exit`];
//! nothing below it knows of either. `docs/commands.md` says the same for people.

mod demo;

mod audit;
mod check;
mod diff;
mod doctor;
mod enforce;
mod explain;
mod failure;
mod findings;
mod fmt;
mod gate;
mod init;
mod levels;
mod logs;
mod man;
mod mask;
mod pki;
mod progress;
mod reload;
mod replay;
mod run;
mod screen;
mod source;
mod table;
mod test;
mod token;
mod top;
mod verdict;
mod when;
mod witness;

use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Effects};
use clap::{CommandFactory, Parser, Subcommand};

use crate::kernel::time::{Clock, SystemClock};
pub(crate) use failure::CommandError;
pub(crate) use screen::{Exit, Screen};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

/// The gate between a city's department systems and its data exchange platform.
///
/// Every call passes it: it knows who calls (client certificate), why (signed purpose), what may
/// leave (grants, scopes, masks), when and how much, and it keeps a record of each access.
#[derive(Debug, Parser)]
#[command(name = "pinegate", version, styles = STYLES, after_help = EXAMPLES, after_long_help = LONG_AFTER)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

macro_rules! examples {
    () => {
        "\
Examples:
  pinegate demo                        everything on one machine, with invented data
  pinegate init DIR                    a directory to run a gate of your own from
  pinegate check                       is what I edited right?
  pinegate fmt                         repair what a spreadsheet did to it
  pinegate diff HEAD policies          who gains what, who loses what by it?
  pinegate run                         serve
  pinegate reload                      swap what I edited into the running gate
  pinegate log debug --for 10m         see more of what the gate does, for a while
  pinegate doctor                      is the installation sound?
  pinegate top                         what is going through it just now?
  pinegate explain --help              why is this request refused?
  pinegate test                        does the policy decide what its tests say?
  pinegate mask --help                 what would leave of this body?
  pinegate replay --help               what would have been refused under another policy?
"
    };
}

const EXAMPLES: &str = concat!(examples!(), "\n`pinegate help COMMAND` tells more of each.");

const LONG_AFTER: &str = concat!(
    examples!(),
    "
Exit codes:
  0   done; for `check` nothing is wrong, for `explain` and `casbin enforce` the request is allowed
  1   errors were found, the request is refused, a change is there that `--fail-on` names, or a file
      given is not what it should be
  2   the command line is not right
  64  the configuration or policy does not load, so that nothing was started
  69  the running gate cannot be reached
  70  something else failed: the output, a listener, a defect

Colour is used on a terminal; NO_COLOR=1 switches it off. With --json a command prints one JSON
object on standard output, and nothing else there; `mask` on standard error, since what would leave
is on standard output.

`pinegate help COMMAND` tells more of each."
);

/// What can be asked for.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Diff(diff::DiffArgs),
    Explain(Box<explain::ExplainArgs>),
    Test(test::TestArgs),
    Fmt(fmt::FmtArgs),
    Mask(mask::MaskArgs),
    Replay(Box<replay::ReplayArgs>),
    Reload(reload::ReloadArgs),
    Log(levels::LogArgs),
    Doctor(doctor::DoctorArgs),
    Top(top::TopArgs),
    Audit(audit::AuditArgs),
    Witness(witness::WitnessArgs),
    Token(token::TokenArgs),
    Pki(pki::PkiArgs),
    Casbin(enforce::CasbinArgs),
    Demo(demo::DemoArgs),
    Completions(CompletionsArgs),
    Man(man::ManArgs),
}

/// Print a completion script for a shell
///
/// Source it, or put it where your shell looks for completions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pinegate completions bash > /etc/bash_completion.d/pinegate
  pinegate completions zsh > ~/.zfunc/_pinegate
  pinegate completions fish > ~/.config/fish/completions/pinegate.fish")]
struct CompletionsArgs {
    /// The shell to complete for
    shell: clap_complete::Shell,
}

/// Runs the program: reads the command line, does what it says, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Fine };
            // Help into a closed pipe is read as far as its reader wanted.
            return error.print().map_or(exit, |()| exit).into();
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if let Command::Demo(args) = &arguments.command {
        return demo::run(args);
    }
    let mut screen = Screen::standard();
    let exit = match dispatch(&arguments.command, &clock, &mut screen) {
        Ok(exit) => exit,
        Err(error) => screen.fail(&error),
    };
    screen.finish(exit).into()
}

fn dispatch(
    command: &Command,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    match command {
        Command::Init(args) => init::run(args, &**clock, screen),
        Command::Run(args) => run::run(args, clock, screen),
        Command::Check(args) => check::run(args, clock, screen),
        Command::Diff(args) => diff::run(args, &**clock, screen),
        Command::Explain(args) => explain::run(args, &**clock, screen),
        Command::Test(args) => test::run(args, &**clock, screen),
        Command::Fmt(args) => fmt::run(args, screen),
        Command::Mask(args) => mask::run(args, &**clock, screen),
        Command::Replay(args) => replay::run(args, &**clock, screen),
        Command::Reload(args) => reload::run(args, clock, screen),
        Command::Log(args) => levels::run(args, screen),
        Command::Doctor(args) => doctor::run(args, clock, screen),
        Command::Top(args) => top::run(args, clock, screen),
        Command::Audit(args) => audit::run(args, clock, screen),
        Command::Witness(args) => witness::run(args, clock, screen),
        Command::Token(args) => token::run(args, &**clock, screen),
        Command::Pki(args) => pki::run(args, &**clock, screen),
        Command::Casbin(args) => enforce::run(args, &**clock, screen),
        // Served by `main`: it prints for itself.
        Command::Demo(_) => Ok(Exit::Fine),
        Command::Man(args) => man::run(args, screen),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Arguments::command(), "pinegate", &mut script);
            screen.bytes(&script)?;
            Ok(Exit::Fine)
        }
    }
}

#[cfg(test)]
mod tests;
