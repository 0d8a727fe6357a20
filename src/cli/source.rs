//! Where a command takes the policy from: a gateway configuration, or a policy directory alone.

use std::path::{Path, PathBuf};

use clap::Args;

use super::findings::{self, To};
use super::when::{default_zone, zone};
use super::{CommandError, Screen};
use crate::app::load::{LoadedPolicy, PolicyPlace, load_policy};
use crate::config::Config;
use crate::kernel::diagnostic::Report;
use crate::kernel::secret::Secret;
use crate::kernel::time::{Clock, TimeZone};
use crate::mask::PseudonymKeys;

/// Where a configuration is looked for unless one is named: beside what is kept under version control, where `init`
/// writes one, and where an installation has it.
const USUAL_CONFIGS: [&str; 3] = ["config/gateway.toml", "gateway.toml", "/etc/pinegate/gateway.toml"];

/// The configuration that a command reads unless told otherwise: the first of the usual ones that is there. One that
/// cannot be looked at counts: what is wrong with it is said when it is read.
pub(super) fn default_config() -> &'static str {
    first_there(&USUAL_CONFIGS, |path| path.try_exists().unwrap_or(true))
}

fn first_there(usual: &[&'static str; 3], is_there: impl Fn(&Path) -> bool) -> &'static str {
    let [first, ..] = usual;
    usual.iter().find(|path| is_there(Path::new(path))).unwrap_or(first)
}

/// The trust domain of a policy directory that is read without a configuration.
pub(super) const DEFAULT_TRUST_DOMAIN: &str = "city.example";

/// Where the policy comes from.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// The gateway configuration [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A policy directory alone, without a gateway configuration
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    policies: Option<PathBuf>,
    /// With --policies: the SPIFFE trust domain of certificates [default: city.example]
    #[arg(long, value_name = "DOMAIN", conflicts_with = "config", requires = "policies")]
    trust_domain: Option<String>,
    /// With --policies: the zone in which dates and hours are meant [default: Asia/Shanghai]
    #[arg(long, value_name = "ZONE", conflicts_with = "config", requires = "policies", value_parser = zone)]
    zone: Option<TimeZone>,
}

/// What [`SourceArgs`] come to.
#[derive(Debug)]
pub(super) enum PolicyOrigin<'a> {
    /// The configuration in this file, and the policy directory that it names.
    Config(&'a Path),
    /// A policy directory alone.
    Directory(DirectoryAlone<'a>),
}

/// A policy directory and what a configuration would have said about it.
#[derive(Debug)]
pub(super) struct DirectoryAlone<'a> {
    directory: &'a Path,
    trust_domain: &'a str,
    zone: TimeZone,
    /// Stand in for the real keys: commands that take a directory alone mask no value.
    pseudonym_keys: PseudonymKeys,
}

impl<'a> DirectoryAlone<'a> {
    /// A directory, read as a configuration with this zone and trust domain would.
    pub(super) fn new(directory: &'a Path, zone: TimeZone, trust_domain: Option<&'a str>) -> Self {
        let trust_domain = trust_domain.unwrap_or(DEFAULT_TRUST_DOMAIN);
        Self { directory, trust_domain, zone, pseudonym_keys: keys_for_checks() }
    }
}

impl DirectoryAlone<'_> {
    pub(super) fn place(&self) -> PolicyPlace<'_> {
        PolicyPlace {
            directory: self.directory,
            trust_domain: self.trust_domain,
            zone: &self.zone,
            pseudonym_keys: &self.pseudonym_keys,
        }
    }
}

/// A key for checks alone. It masks nothing, so that it need not be secret.
pub(super) fn keys_for_checks() -> PseudonymKeys {
    PseudonymKeys::single(Secret::new([0; PseudonymKeys::MIN_SECRET_BYTES])).unwrap_or_default()
}

impl SourceArgs {
    /// The flags that lead another command to the same policy.
    pub(super) fn flags(&self) -> Vec<String> {
        let zone = self.zone.as_ref().and_then(TimeZone::iana_name).map(ToOwned::to_owned);
        let given = [
            ("--config", self.config.as_ref().map(|path| path.display().to_string())),
            ("--policies", self.policies.as_ref().map(|path| path.display().to_string())),
            ("--trust-domain", self.trust_domain.clone()),
            ("--zone", zone),
        ];
        given.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten().collect()
    }

    /// The configuration that is meant, whether the policy comes from it or not.
    pub(super) fn config_path(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(default_config()))
    }

    pub(super) fn origin(&self) -> PolicyOrigin<'_> {
        match &self.policies {
            None => PolicyOrigin::Config(self.config_path()),
            Some(directory) => PolicyOrigin::Directory(DirectoryAlone::new(
                directory,
                self.zone.clone().unwrap_or_else(default_zone),
                self.trust_domain.as_deref(),
            )),
        }
    }
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl PolicyOrigin<'_> {
    /// Loads the policy, for commands that need one to work with. Findings that keep it from loading
    /// are shown.
    pub(super) fn policy(
        &self,
        clock: &dyn Clock,
        screen: &mut Screen<'_>,
    ) -> Result<LoadedPolicy, CommandError> {
        self.policy_and_config(clock, screen).map(|(policy, _)| policy)
    }

    /// [`PolicyOrigin::policy`] and the configuration, if it is from one.
    pub(super) fn policy_and_config(
        &self,
        clock: &dyn Clock,
        screen: &mut Screen<'_>,
    ) -> Result<(LoadedPolicy, Option<Config>), CommandError> {
        match self {
            Self::Config(path) => {
                let config = config(path, screen)?;
                let (policy, report) = load_policy((&config).into(), clock);
                let name = format!("the policy in `{}`", config.policy.directory.display());
                Ok((or_show(policy, &report, name, screen)?, Some(config)))
            }
            Self::Directory(alone) => {
                let (policy, report) = load_policy(alone.place(), clock);
                let name = format!("the policy in `{}`", alone.directory.display());
                Ok((or_show(policy, &report, name, screen)?, None))
            }
        }
    }
}

/// Loads the configuration in `path`. Findings that keep it from loading are shown.
pub(super) fn config(path: &Path, screen: &mut Screen<'_>) -> Result<Config, CommandError> {
    let (config, report) = Config::load(path);
    or_show(config, &report, format!("the configuration `{}`", path.display()), screen)
}

/// Where the configuration in `path` says that the log is. Nothing else of it is read, but where that is wrong: then
/// the findings are shown.
pub(super) fn audit_directory(path: &Path, screen: &mut Screen<'_>) -> Result<PathBuf, CommandError> {
    match Config::log_in(path) {
        Some(log) => Ok(log.directory),
        None => Ok(config(path, screen)?.audit.directory),
    }
}

/// What was loaded, or the findings that kept it from loading, shown.
pub(super) fn or_show<T>(
    loaded: Option<T>,
    report: &Report,
    what: String,
    screen: &mut Screen<'_>,
) -> Result<T, CommandError> {
    match loaded {
        Some(loaded) => Ok(loaded),
        None => {
            findings::show(report, To::Aside, screen)?;
            Err(CommandError::DoesNotLoad { what })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_usual_configuration_that_is_there_is_read() {
        let among =
            |there: &[&str]| first_there(&USUAL_CONFIGS, |path| there.iter().any(|it| Path::new(it) == path));
        assert_eq!(among(&USUAL_CONFIGS), "config/gateway.toml");
        assert_eq!(among(&["gateway.toml", "/etc/pinegate/gateway.toml"]), "gateway.toml");
        assert_eq!(among(&["/etc/pinegate/gateway.toml"]), "/etc/pinegate/gateway.toml");
        // Where there is none, the finding that it cannot be read names all of them.
        assert_eq!(among(&[]), "config/gateway.toml");
    }
}
