//! What is logged: which lines of which module, by level.
//!
//! Lines of other crates never go below `info`: those that they keep for their own developers print what
//! clients sent, and what clients sent has no place in a log.

use std::fmt;

use tracing_subscriber::filter::{LevelFilter, Targets};

/// The longest filter, in bytes.
pub const MAX_LOG_FILTER_BYTES: usize = 512;

/// The crate whose lines may be debugged.
const OWN: &str = "pinegate";

/// The target of the line that something else is logged from now on. No filter hides it: who reads a log that fell
/// silent finds why.
pub const CHANGE_OF_FILTER: &str = "pinegate::app::change_of_filter";

/// The words for levels, from none to all.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// The modules that `pinegate::` may be followed by.
const MODULES: [&str; 29] = [
    "admin",
    "app",
    "audit",
    "catalog",
    "cli",
    "coding",
    "config",
    "demo",
    "document",
    "grant",
    "identity",
    "journal",
    "kernel",
    "listening",
    "mask",
    "parameters",
    "pki",
    "policy",
    "proxy",
    "quota",
    "review",
    "ship",
    "snapshot",
    "telemetry",
    "tlog",
    "tls",
    "upstream",
    "wire",
    "witness",
];

/// Which lines are logged: `info`, or `info,pinegate::upstream=debug`.
#[derive(Clone, PartialEq)]
pub struct LogFilter {
    text: String,
    targets: Targets,
}

/// Why a text is no [`LogFilter`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFilterError {
    /// Nothing is said.
    #[error("it is empty: expected a level such as `info`, or `info,pinegate::upstream=debug`")]
    Empty,
    /// More than a person writes.
    #[error("it is longer than {MAX_LOG_FILTER_BYTES} bytes")]
    Long,
    /// Not a level.
    #[error("`{0}` is no level: expected `off`, `error`, `warn`, `info`, `debug` or `trace`")]
    Level(String),
    /// Not a path of modules.
    #[error("`{0}` is no module: expected one such as `pinegate::upstream`")]
    Target(String),
    /// A module that there is not.
    #[error("pinegate has no module `{0}`: it has {modules}", modules = MODULES.join(", "))]
    Module(String),
    /// Said twice.
    #[error("it says twice what is logged of {0}")]
    Twice(String),
    /// What other crates print below `info` may be what clients sent.
    #[error(
        "`{0}` is another crate, and logs nothing below `info`: what it would print may be what clients sent"
    )]
    Foreign(String),
}

impl LogFilter {
    /// Reads a level, or levels of modules, with commas between them.
    ///
    /// # Errors
    /// When `text` is anything else, or says something twice.
    pub fn parse(text: &str) -> Result<Self, LogFilterError> {
        if text.len() > MAX_LOG_FILTER_BYTES {
            return Err(LogFilterError::Long);
        }
        if text.trim().is_empty() {
            return Err(LogFilterError::Empty);
        }
        let (mut all, mut of_modules) = (None, Vec::new());
        for part in text.split(',').map(str::trim) {
            let Some((target, word)) = part.split_once('=') else {
                if all.replace(level(part)?).is_some() {
                    return Err(LogFilterError::Twice("everything".to_owned()));
                }
                continue;
            };
            let level = level(word)?;
            if !is_own(target)? && level > LevelFilter::INFO {
                return Err(LogFilterError::Foreign(target.to_owned()));
            }
            if of_modules.iter().any(|(known, _)| *known == target) {
                return Err(LogFilterError::Twice(format!("`{target}`")));
            }
            of_modules.push((target, level));
        }
        let all = all.unwrap_or(LevelFilter::OFF);
        let targets = Targets::new()
            .with_default(all.min(LevelFilter::INFO))
            .with_target(OWN, all)
            .with_targets(of_modules)
            .with_target(CHANGE_OF_FILTER, LevelFilter::INFO);
        Ok(Self { text: text.to_owned(), targets })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the subscriber is told.
    #[must_use]
    pub const fn targets(&self) -> &Targets {
        &self.targets
    }
}

impl Default for LogFilter {
    /// `info`.
    fn default() -> Self {
        let targets =
            Targets::new().with_default(LevelFilter::INFO).with_target(CHANGE_OF_FILTER, LevelFilter::INFO);
        Self { text: "info".to_owned(), targets }
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogFilter({:?})", self.text)
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn level(word: &str) -> Result<LevelFilter, LogFilterError> {
    let known = LEVELS.iter().find(|(name, _)| *name == word);
    known.map(|(_, level)| *level).ok_or_else(|| LogFilterError::Level(word.to_owned()))
}

/// Whether a target is of this crate. One that is written as no path is refused, as is a module of this crate
/// that there is not.
fn is_own(target: &str) -> Result<bool, LogFilterError> {
    let is_name = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
    };
    if !target.split("::").all(is_name) {
        return Err(LogFilterError::Target(target.to_owned()));
    }
    let mut names = target.split("::");
    if names.next() != Some(OWN) {
        return Ok(false);
    }
    match names.next() {
        Some(module) if !MODULES.contains(&module) => Err(LogFilterError::Module(module.to_owned())),
        Some(_) | None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_filter_lets_through_what_it_says() {
        let lets = |filter: &str, target: &str| {
            let filter = LogFilter::parse(filter).unwrap();
            let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
            levels.into_iter().find(|level| filter.targets().would_enable(target, level))
        };
        assert_eq!(lets("info", "pinegate::proxy"), Some(Level::INFO));
        assert_eq!(lets("info,pinegate::upstream=debug", "pinegate::upstream::keep"), Some(Level::DEBUG));
        assert_eq!(lets("info, pinegate::upstream=debug", "pinegate::proxy"), Some(Level::INFO));
        assert_eq!(lets("pinegate::upstream=debug", "pinegate::proxy"), None);
        assert_eq!(lets("off", "pinegate::proxy"), None);
        // That something else is logged is told whatever is.
        for any in ["off", "error", "pinegate::app=off", "pinegate::app::change_of_filter=off"] {
            assert_eq!(lets(any, CHANGE_OF_FILTER), Some(Level::INFO), "{any}");
        }
        assert_eq!(lets("warn,hyper=info", "hyper::client"), Some(Level::INFO));
        assert_eq!(lets("warn,hyper=info", "pinegate::proxy"), Some(Level::WARN));
        assert_eq!(lets("pinegate=trace,h2=warn", "pinegate::proxy"), Some(Level::TRACE));
        // What other crates print below that may be what clients sent.
        for all in ["debug", "trace", "trace,pinegate::proxy=debug"] {
            assert_eq!(lets(all, "h2::server"), Some(Level::INFO), "{all}");
        }
        assert_eq!(lets("trace", "pinegate::proxy"), Some(Level::TRACE));
        assert_eq!(LogFilter::default().as_str(), "info");
        assert_eq!(
            LogFilter::default().targets().would_enable("pinegate", &Level::DEBUG),
            LogFilter::parse("info").unwrap().targets().would_enable("pinegate", &Level::DEBUG),
        );
    }

    #[test]
    fn a_bad_filter_says_what_is_wrong_with_it() {
        let long = "a".repeat(MAX_LOG_FILTER_BYTES + 1);
        for (text, said) in [
            ("", "is empty"),
            (" ", "is empty"),
            ("loud", "`loud` is no level"),
            ("INFO", "`INFO` is no level"),
            ("info,", "`` is no level"),
            ("pinegate::upstream", "`pinegate::upstream` is no level"),
            ("pinegate::upstream=", "`` is no level"),
            ("pinegate::upstream=5", "`5` is no level"),
            ("=debug", "`` is no module"),
            ("pinegate::=debug", "`pinegate::` is no module"),
            ("pinegate[{x=.*}]=debug", "is no level"),
            ("pinegate::up\u{1b}=debug", "is no module"),
            ("pinegate::upstraem=debug", "pinegate has no module `upstraem`: it has admin, app"),
            ("info,debug", "says twice what is logged of everything"),
            ("pinegate::tls=debug,pinegate::tls=info", "says twice what is logged of `pinegate::tls`"),
            ("h2=debug", "`h2` is another crate"),
            ("pinegateway=trace", "`pinegateway` is another crate"),
            (&long, "is longer than 512 bytes"),
        ] {
            let error = LogFilter::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    #[test]
    fn every_module_is_known() {
        let declared = include_str!("../lib.rs").lines();
        let mut modules: Vec<_> =
            declared.filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
        modules.sort_unstable();
        assert_eq!(modules, MODULES);
    }
}
