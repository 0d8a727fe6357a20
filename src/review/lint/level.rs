//! What comes of findings: the lints' own levels, and what the person who runs `check` says instead.

use super::known::{ALL, Level, Lint};
use crate::kernel::diagnostic::{Report, Severity};

/// Which lints a choice of level is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One.
    One(&'static Lint),
    /// Every one.
    All,
    /// Those that are warnings at that point.
    Warnings,
}

impl Which {
    /// The words that stand for several lints.
    pub const GROUPS: [&'static str; 2] = ["all", "warnings"];

    /// Reads the name of a lint, `all` or `warnings`.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "warnings" => Ok(Self::Warnings),
            name => Lint::named(name).map(Self::One).map_err(|near| match near {
                Some(near) => format!("there is no such lint; did you mean `{near}`?"),
                None => "there is no such lint; `pinegate check --lints` shows all".to_owned(),
            }),
        }
    }
}

/// The level of every lint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(Vec<(&'static Lint, Level)>);

impl Default for Levels {
    fn default() -> Self {
        Self(ALL.iter().map(|lint| (*lint, lint.default)).collect())
    }
}

impl Levels {
    /// The lints' own levels, changed by `choices` in their order: where two are about the same lint,
    /// the later one holds.
    #[must_use]
    pub fn chosen(choices: impl IntoIterator<Item = (Level, Which)>) -> Self {
        let mut levels = Self::default();
        for (chosen, which) in choices {
            for (lint, level) in &mut levels.0 {
                let is_meant = match which {
                    Which::One(one) => one == *lint,
                    Which::All => true,
                    Which::Warnings => *level == Level::Warn,
                };
                if is_meant {
                    *level = chosen;
                }
            }
        }
        levels
    }

    /// The level of `lint`.
    #[must_use]
    pub fn of(&self, lint: &Lint) -> Level {
        self.0.iter().find(|(known, _)| *known == lint).map_or(lint.default, |&(_, level)| level)
    }

    /// Gives every finding of a lint the severity that its level asks for, and takes out those that
    /// are allowed. Errors that are no lint's stay.
    pub fn apply(&self, report: &mut Report) {
        report.revise(|finding| {
            if finding.severity == Severity::Error {
                return true;
            }
            let Ok(lint) = Lint::named(finding.code) else { return true };
            let severity = self.of(lint).severity();
            finding.severity = severity.unwrap_or(finding.severity);
            severity.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::diagnostic::{Diagnostic, Source};
    use crate::review::lint::known::{SHADOWED_GRANT, UNUSED_MASKER, WIDE_GRANT};

    #[test]
    fn the_last_choice_holds() {
        let which = |text| Which::parse(text).unwrap();
        for (choices, shadowed, wide, unused) in [
            (vec![], Level::Warn, Level::Warn, Level::Note),
            (vec![(Level::Deny, "warnings")], Level::Deny, Level::Deny, Level::Note),
            (vec![(Level::Deny, "all")], Level::Deny, Level::Deny, Level::Deny),
            (
                vec![(Level::Deny, "warnings"), (Level::Warn, "wide-grant")],
                Level::Deny,
                Level::Warn,
                Level::Note,
            ),
            (
                vec![(Level::Warn, "wide-grant"), (Level::Deny, "warnings")],
                Level::Deny,
                Level::Deny,
                Level::Note,
            ),
            (
                vec![(Level::Allow, "wide-grant"), (Level::Deny, "warnings")],
                Level::Deny,
                Level::Allow,
                Level::Note,
            ),
            (
                vec![(Level::Warn, "unused-masker"), (Level::Deny, "warnings")],
                Level::Deny,
                Level::Deny,
                Level::Deny,
            ),
            (vec![(Level::Deny, "all"), (Level::Allow, "all")], Level::Allow, Level::Allow, Level::Allow),
        ] {
            let levels = Levels::chosen(choices.iter().map(|&(level, text)| (level, which(text))));
            let found = [&SHADOWED_GRANT, &WIDE_GRANT, &UNUSED_MASKER].map(|lint| levels.of(lint));
            assert_eq!(found, [shadowed, wide, unused], "{choices:?}");
        }
        assert_eq!(
            Which::parse("wide-grants"),
            Err("there is no such lint; did you mean `wide-grant`?".to_owned())
        );
    }

    #[test]
    fn levels_turn_lints_and_nothing_else() {
        let source = Source::new("a", "x");
        let mut report = Report::new();
        report.push(Diagnostic::warning("wide-grant", &source, 0..1, "w"));
        report.push(Diagnostic::warning("grant-expired", &source, 0..1, "e"));
        report.push(Diagnostic::warning("checked-in-part", &source, 0..1, "no lint"));
        report.push(Diagnostic::error("unknown-system", &source, 0..1, "no lint"));
        Levels::chosen([(Level::Allow, Which::All), (Level::Deny, Which::One(&WIDE_GRANT))])
            .apply(&mut report);
        let found: Vec<_> = report.sorted().iter().map(|it| (it.code, it.severity)).collect();
        assert_eq!(
            found,
            [
                ("wide-grant", Severity::Error),
                ("unknown-system", Severity::Error),
                ("checked-in-part", Severity::Warning)
            ]
        );
    }
}
