//! `--deny`, `--warn` and `--allow`, in the order in which they were given.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::review::lint::known::Level;
use crate::review::lint::level::{Levels, Which};

/// The levels that were asked for. Not derived: the order matters across the three flags, and a
/// derived reader keeps it only within one.
#[derive(Debug, Clone, Default)]
pub(super) struct LevelArgs(Vec<(Level, Which)>);

const FLAGS: [(&str, char, Level, &str); 3] = [
    ("deny", 'D', Level::Deny, "Make a lint an error; `warnings` is all that are warnings, `all` is all"),
    ("warn", 'W', Level::Warn, "Make a lint a warning"),
    ("allow", 'A', Level::Allow, "Do not show a lint. Of several of these flags the last holds"),
];

impl LevelArgs {
    pub(super) fn levels(&self) -> Levels {
        Levels::chosen(self.0.iter().copied())
    }
}

impl clap::Args for LevelArgs {
    fn augment_args(command: Command) -> Command {
        FLAGS.into_iter().fold(command, |command, (name, short, _, help)| {
            command.arg(
                Arg::new(name)
                    .long(name)
                    .short(short)
                    .value_name("LINT")
                    .help(help)
                    .action(ArgAction::Append)
                    .value_parser(Which::parse),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for LevelArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut placed: Vec<(usize, Level, Which)> = Vec::new();
        for (name, _, level, _) in FLAGS {
            let values = matches.get_many::<Which>(name).into_iter().flatten();
            let places = matches.indices_of(name).into_iter().flatten();
            placed.extend(places.zip(values).map(|(place, which)| (place, level, *which)));
        }
        placed.sort_by_key(|&(place, ..)| place);
        Ok(Self(placed.into_iter().map(|(_, level, which)| (level, which)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
