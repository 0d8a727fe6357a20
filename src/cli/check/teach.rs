//! `check --lints` and `check --why`: the table of lints, and one of them explained.

use serde::Serialize;

use crate::cli::screen::Tone;
use crate::cli::table::{Table, plain, toned};
use crate::cli::{CommandError, Exit, Screen};
use crate::review::lint::known::{ALL, Level, Lint};
use crate::review::lint::level::Levels;

#[derive(Debug, Serialize)]
struct LintJson {
    name: &'static str,
    level: &'static str,
    default_level: &'static str,
    stage: &'static str,
    meaning: &'static str,
    why: &'static str,
    example: &'static str,
    mend: &'static str,
}

impl LintJson {
    fn new(lint: &'static Lint, levels: &Levels) -> Self {
        let Lint { name, default, stage, meaning, why, example, mend } = *lint;
        let (level, default_level) = (levels.of(lint).as_str(), default.as_str());
        Self { name, level, default_level, stage: stage.as_str(), meaning, why, example, mend }
    }
}

#[derive(Debug, Serialize)]
struct LintsJson {
    lints: Vec<LintJson>,
}

/// Reads the name of a lint.
pub(super) fn lint(text: &str) -> Result<&'static Lint, String> {
    Lint::named(text).map_err(|near| match near {
        Some(near) => format!("there is no such lint; did you mean `{near}`?"),
        None => "there is no such lint; `pinegate check --lints` shows all".to_owned(),
    })
}

fn tone(level: Level) -> Tone {
    match level {
        Level::Allow => Tone::Faint,
        Level::Note => Tone::Strong,
        Level::Warn => Tone::Doubtful,
        Level::Deny => Tone::Bad,
    }
}

pub(super) fn list(levels: &Levels, json: bool, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    if json {
        let lints = ALL.iter().map(|lint| LintJson::new(lint, levels)).collect();
        screen.json(&LintsJson { lints })?;
        return Ok(Exit::Fine);
    }
    let mut table = Table::default();
    for lint in ALL {
        let level = levels.of(lint);
        table.row([
            toned(Tone::Strong, lint.name),
            toned(tone(level), level.as_str()),
            toned(Tone::Faint, lint.stage.as_str()),
            plain(lint.meaning),
        ]);
    }
    for line in table.lines(screen, 0) {
        screen.line(line)?;
    }
    screen.line(
        "\n`load`: `run` and `reload` warn of it too. `check --why LINT` says why it matters and what to do.",
    )?;
    Ok(Exit::Fine)
}

pub(super) fn one(
    lint: &'static Lint,
    levels: &Levels,
    json: bool,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    if json {
        screen.json(&LintJson::new(lint, levels))?;
        return Ok(Exit::Fine);
    }
    let level = levels.of(lint);
    let title = screen.paint(Tone::Strong, lint.name);
    screen.line(format!("{title} ({}): {}\n", screen.paint(tone(level), level.as_str()), lint.meaning))?;
    for line in wrapped(lint.why) {
        screen.line(line)?;
    }
    screen.line("")?;
    for line in lint.example.lines() {
        screen.line(format!("    {line}"))?;
    }
    screen.line("")?;
    for line in wrapped(lint.mend) {
        screen.line(line)?;
    }
    Ok(Exit::Fine)
}

/// `text` in lines of at most 100 characters, broken at spaces.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 100;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
