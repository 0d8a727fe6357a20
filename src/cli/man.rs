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
    let after = command.get_after_long_help().or(command.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    let has_commands = command.has_subcommands();
    let man = Man::new(command)
        .title(title.to_uppercase())
        .section("1")
        .source(concat!("pinegate ", env!("CARGO_PKG_VERSION")))
        .manual("Pinegate");
    let mut text = Vec::new();
    let mut render = || {
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if has_commands { man.render_subcommands_section(&mut text) } else { Ok(()) }
    };
    render().map_err(CommandError::Output)?;
    text.extend_from_slice(afterwards(&after).as_bytes());
    Ok(Page { name: format!("{title}.1"), text })
}

/// What stands below the options in help: examples, and what exit codes mean. Its lines are as they are meant to
/// be, so that `man` does not fill them anew.
fn afterwards(help: &str) -> String {
    let (examples, codes) = match help.split_once("Exit codes:") {
        Some((examples, codes)) => (examples, codes),
        None => (help, ""),
    };
    let examples = examples.trim_start_matches("Examples:");
    let sections = [("EXAMPLES", examples), ("EXIT STATUS", codes)];
    let sections = sections.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let section = |(heading, text): (&str, &str)| {
        let lines = text.trim_matches('\n').lines().map(|line| format!("{}\n", escaped(line)));
        format!(".SH \"{heading}\"\n.nf\n{}.fi\n", lines.collect::<String>())
    };
    sections.map(section).collect()
}

/// A line of text, none of which `man` takes for a request.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
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
        assert!(
            check.contains(".SH \"EXIT STATUS\"\n.nf\n 0 no errors") && check.contains("\\-\\-sarif"),
            "{check}"
        );
        // Again, over what is there.
        let before = fs::read(place.join("pinegate.1")).unwrap();
        assert_eq!(in_memory(&["man", place.to_str().unwrap()]).0, 0);
        assert_eq!(fs::read(place.join("pinegate.1")).unwrap(), before);
    }

    #[test]
    fn no_line_of_an_example_is_taken_for_a_request() {
        let page = afterwards("Examples:\n.x --all \\\n  y\n\nExit codes: 0 fine");
        assert_eq!(
            page,
            ".SH \"EXAMPLES\"\n.nf\n\\&.x \\-\\-all \\e\n  y\n.fi\n.SH \"EXIT STATUS\"\n.nf\n 0 fine\n.fi\n"
        );
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
