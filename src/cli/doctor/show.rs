//! The table of what was looked at, and the verdict.

use serde::Serialize;

use super::observation::{Observation, Standing};
use crate::cli::findings::several;
use crate::cli::screen::Tone;
use crate::cli::table::{Table, plain, toned};
use crate::cli::{CommandError, Screen};

#[derive(Debug, Serialize)]
struct DoctorJson<'o> {
    ok: bool,
    failures: usize,
    warnings: usize,
    unknown: usize,
    checks: &'o [Observation],
}

pub(super) fn show(seen: &[Observation], json: bool, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let count = |standing| seen.iter().filter(|observation| observation.standing == standing).count();
    let (failures, warnings) = (count(Standing::Bad), count(Standing::Doubtful));
    if json {
        let unknown = count(Standing::Unknown);
        return screen.json(&DoctorJson { ok: failures == 0, failures, warnings, unknown, checks: seen });
    }
    let mut table = Table::default();
    for Observation { check, subject, standing, found, mend } in seen {
        let (tone, mark) = mark(*standing);
        table.row([toned(tone, mark), toned(Tone::Strong, *check), plain(subject), plain(found)]);
        if let Some(mend) = mend {
            let nothing = || plain("");
            table.row([nothing(), nothing(), nothing(), toned(Tone::Faint, format!("→ {mend}"))]);
        }
    }
    table.lines(screen, 0).into_iter().try_for_each(|line| screen.line(line))?;
    screen.line("")?;
    let (tone, word) = if failures == 0 { (Tone::Good, "sound") } else { (Tone::Bad, "not sound") };
    let found = [(failures, "failure"), (warnings, "warning")].into_iter().filter(|(number, _)| *number > 0);
    let mut found: Vec<_> = found.map(|(number, noun)| several(number, noun)).collect();
    found.push(several(seen.len(), "check"));
    let word = screen.paint(tone, word);
    screen.line(format!("{word}: {}", found.join(", ")))
}

fn mark(standing: Standing) -> (Tone, &'static str) {
    match standing {
        Standing::Good => (Tone::Good, "ok"),
        Standing::Doubtful => (Tone::Doubtful, "warn"),
        Standing::Bad => (Tone::Bad, "fail"),
        Standing::Unknown => (Tone::Doubtful, "?"),
    }
}
