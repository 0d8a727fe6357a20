//! `pinegate man`: a manual page for every command, from what the command line itself says.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::screen::Tone;
use super::{Arguments, CommandError, Exit, Screen};

/// Write the manual pages, one for each command
///
/// Into a directory such as /usr/local/share/man/man1; pages that are there are replaced. The same
/// program writes the same pages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate man /usr/local/share/man/man1      then: man pinegate, man pinegate-audit-verify")]
pub(super) struct ManArgs {
    /// Where to write them; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(args: &ManArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let directory = args.directory.as_path();
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::Unwritable { path, source }
    };
    fs::create_dir_all(directory).map_err(unwritable(directory))?;
    let pages = pages()?;
    for Page { name, text } in &pages {
        let path = directory.join(name);
        fs::write(&path, text).map_err(unwritable(&path))?;
    }
    let wrote = screen.paint(Tone::Strong, "wrote");
    screen.line(format!("{wrote} {} pages to {}", pages.len(), directory.display()))?;
    Ok(Exit::Fine)
}

/// One manual page.
struct Page {
    /// Its file name.
    name: String,
    /// As `man` reads it.
    text: Vec<u8>,
}

/// The pages of the program and of every command in it that help shows.
fn pages() -> Result<Vec<Page>, CommandError> {
    // Nobody looks up the help of help.
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    let mut left = vec![program];
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        pages.push(page(command)?);
    }
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(pages)
}

fn page(command: Command) -> Result<Page, CommandError> {
    let title = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let man = Man::new(command)
        .title(title.to_uppercase())
        .section("1")
        .source(concat!("pinegate ", env!("CARGO_PKG_VERSION")))
        .manual("Pinegate");
    let mut text = Vec::new();
    man.render(&mut text).map_err(CommandError::Output)?;
    Ok(Page { name: format!("{title}.1"), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of a command and of all below it, as they are typed, with dashes.
    fn names(command: &Command, above: &[&str]) -> Vec<String> {
        let own = [above, &[command.get_name()]].concat();
        let below =
            command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set());
        below.flat_map(|below| names(below, &own)).chain([own.join("-")]).collect()
    }

    fn in_memory(line: &[&str]) -> (u8, String) {
        use clap::Parser as _;
        let arguments = Arguments::try_parse_from(std::iter::once(&"pinegate").chain(line)).unwrap();
        let clock: std::sync::Arc<dyn crate::kernel::time::Clock> =
            std::sync::Arc::new(crate::kernel::time::SystemClock);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen::plain(&mut out, &mut err);
        let exit = super::super::dispatch(&arguments.command, &clock, &mut screen);
        let exit = exit.unwrap_or_else(|error| screen.fail(&error)).code();
        drop(screen);
        (exit, String::from_utf8([out, err].concat()).unwrap())
    }

    #[test]
    fn every_command_has_a_page_that_says_what_help_says() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("man1");
        let (exit, said) = in_memory(&["man", place.to_str().unwrap()]);
        assert_eq!(exit, 0, "{said}");
        let mut expected: Vec<String> =
            names(&Arguments::command(), &[]).into_iter().map(|name| format!("{name}.1")).collect();
        expected.sort();
        assert!(expected.contains(&"pinegate-audit-verify.1".to_owned()), "{expected:?}");
        let written =
            fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut written: Vec<String> = written.collect();
        written.sort();
        assert_eq!(written, expected);
        for name in written {
            let text = fs::read_to_string(place.join(&name)).unwrap();
            let title = name.trim_end_matches(".1");
            for part in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
                assert!(text.contains(part), "{name} has no {part}");
            }
            assert!(text.contains(&format!(".TH {} 1", title.to_uppercase())), "{name}: {text}");
            assert!(text.contains(&title.replace('-', "\\-")), "{name}");
        }
        let check = fs::read_to_string(place.join("pinegate-check.1")).unwrap();
        assert!(check.contains("Exit codes: 0 no errors") && check.contains("\\-\\-sarif"), "{check}");
        // Again, over what is there.
        let before = fs::read(place.join("pinegate.1")).unwrap();
        assert_eq!(in_memory(&["man", place.to_str().unwrap()]).0, 0);
        assert_eq!(fs::read(place.join("pinegate.1")).unwrap(), before);
    }

    #[test]
    fn every_shell_completes_every_command() {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let (exit, script) = in_memory(&["completions", shell]);
            assert_eq!(exit, 0);
            for command in Arguments::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell} does not know {}", command.get_name());
            }
        }
    }
}
