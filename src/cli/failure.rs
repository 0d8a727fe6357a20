//! What can keep a command from being done, and what its user can do about it.

use std::io;
use std::path::PathBuf;

use super::Exit;
use super::audit::EvidenceError;
use super::top::ReadingError;
use crate::app::run::RunError;
use crate::catalog::BodyFormat;
use crate::identity::certificate::CertificateError;
use crate::identity::token::MintError;
use crate::journal::JournalError;
use crate::journal::read::ReadError;
use crate::kernel::id::{GrantId, ResourceId};
use crate::mask::{MaskError, PlanError};
use crate::pki::PkiError;
use crate::policy::enforcer::NotDecided;
use crate::review::replay::LineError;
use crate::tlog::NoteError;
use crate::witness::WitnessError;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// Standard output or standard error cannot be written.
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What an earlier verification left cannot be used.
    #[error("the state in `{}` cannot be used", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what the command needs.
    #[error("`{}` is not {expected}", path.display())]
    Unfit {
        /// Which one.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A client certificate cannot be read.
    #[error("the certificate in `{}` cannot be used", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// The configuration or policy does not load; the findings have been shown.
    #[error("{what} does not load")]
    DoesNotLoad {
        /// Which of them.
        what: String,
    },
    /// The configuration of a witness does not load; the findings have been shown.
    #[error("the configuration `{}` does not load", config.display())]
    WitnessDoesNotLoad {
        /// Which one.
        config: PathBuf,
    },
    /// A configuration does not say where its gate listens for operators.
    #[error("`{}` does not say where the gate is to be asked: `[admin]` and `[metrics]`", config.display())]
    NoListeners {
        /// The configuration.
        config: PathBuf,
    },
    /// A Casbin model or policy does not load; the findings have been shown.
    #[error("{what} does not load")]
    ModelDoesNotLoad {
        /// Its files.
        what: String,
    },
    /// An engine does not decide a Casbin model.
    #[error(transparent)]
    NotDecided(#[from] NotDecided),
    /// The policy tests do not load; the findings have been shown.
    #[error("the policy tests do not load")]
    TestsDoNotLoad,
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Unwritable {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is there that would have to be written over.
    #[error("`{}` is there already, and nothing was written", path.display())]
    Taken {
        /// Which one.
        path: PathBuf,
    },
    /// An argument names something that is not there.
    #[error("`{given}` is not {what}")]
    Unknown {
        /// What was given.
        given: String,
        /// What it should have named.
        what: &'static str,
        /// What would be right.
        help: String,
    },
    /// The policy of a git revision cannot be read.
    #[error("the policy of `{given}` cannot be read: {why}")]
    Revision {
        /// As it was given.
        given: String,
        /// What is wrong.
        why: String,
        /// What would be right.
        help: String,
    },
    /// A policy is decided by another model than the shipped one, which `diff` cannot read.
    #[error("`{given}` is decided by another matcher or policy effect than the shipped ones")]
    NotCompared {
        /// As it was given.
        given: String,
    },
    /// The program `git` cannot be run.
    #[error("`git` cannot be run")]
    Git(#[source] io::Error),
    /// A request in a file is not of the form that requests have.
    #[error("`{file}` is not a request")]
    Request {
        /// The file.
        file: String,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A record is none that can be decided again.
    #[error("the record of `{request}` cannot be decided again")]
    Record {
        /// Of which request.
        request: String,
        /// Why.
        #[source]
        source: LineError,
    },
    /// A resource whose bodies are files.
    #[error("the bodies of `{resource}` are files (`format = \"opaque\"`), which have no fields to mask")]
    NothingToMask {
        /// Which resource.
        resource: ResourceId,
    },
    /// A resource of which nothing leaves, whatever a grant says.
    #[error("`{resource}` is not shared (`sharing = \"none\"`): nothing of it leaves")]
    NotShared {
        /// Which resource.
        resource: ResourceId,
    },
    /// A format that has one charset.
    #[error("the bodies of `{resource}` are `{}`, which is UTF-8 alone", format.as_str())]
    Utf8Alone {
        /// Of which resource.
        resource: ResourceId,
        /// Their format.
        format: BodyFormat,
    },
    /// Grants that nobody has together.
    #[error("no system holds all of these grants, so that they never say together what leaves")]
    Apart {
        /// The grants, and to whom each is given.
        grants: Vec<(GrantId, String)>,
    },
    /// A grant that does not say what leaves of the resource.
    #[error("`{grant}` gives nothing of `{resource}`: {why}")]
    GivesNothing {
        /// The grant.
        grant: GrantId,
        /// The resource.
        resource: ResourceId,
        /// Why not.
        why: &'static str,
    },
    /// Fields were asked for that the scope does not give.
    #[error("the scope does not give {}", fields.join(", "))]
    ScopeExceeded {
        /// The fields, as they were given.
        fields: Vec<String>,
    },
    /// A scope that was given cannot be read; the findings have been shown.
    #[error("the scope does not fit `{resource}`")]
    ScopeUnfit {
        /// The resource.
        resource: ResourceId,
    },
    /// The masks cannot be built.
    #[error("the masks of `{resource}` cannot be built")]
    Masks {
        /// Of which resource.
        resource: ResourceId,
        /// Why.
        #[source]
        source: PlanError,
    },
    /// Pseudonyms are made for a department, and it is not known for which.
    #[error("`{resource}` leaves with pseudonyms, which are made for one department")]
    NoDepartment {
        /// The resource.
        resource: ResourceId,
    },
    /// A body cannot be masked.
    #[error("the body is refused")]
    BodyRefused {
        /// How many bytes were written before.
        written: u64,
        /// Why.
        #[source]
        source: MaskError,
    },
    /// The development authority refuses.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A token cannot be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A private key that cannot sign heads of logs, or a name that cannot stand in them.
    #[error("there is no key to print")]
    Key(#[source] NoteError),
    /// The witness does not start.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The gate does not start or had to stop.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The audit log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// There is no key to find people in records with.
    #[error("`{}` names no key of digests", config.display())]
    NoDigestKey {
        /// The configuration.
        config: PathBuf,
    },
    /// Nobody is named to look for.
    #[error("there is nobody to look for: the text is empty")]
    NoSubject,
    /// More than one line says whom to look for.
    #[error("there is more than one line to look for")]
    SeveralSubjects,
    /// What should prove something about the log does not, or cannot be made.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The audit log cannot be repaired.
    #[error("the audit log in {} cannot be repaired", directory.display())]
    Repair {
        /// Where it is.
        directory: PathBuf,
        /// Why.
        #[source]
        source: Box<JournalError>,
    },
    /// The metric families clash.
    #[error("the metrics cannot be set up")]
    Metrics(#[source] prometheus::Error),
    /// The gate's admin socket does not answer.
    #[error("the gate cannot be reached at `{}`: {why}", socket.display())]
    Unreachable {
        /// Its socket.
        socket: PathBuf,
        /// What was tried and what came of it.
        why: String,
    },
    /// The gate answered something that is not an answer.
    #[error("the gate at `{}` gave no answer that this program understands: {why}", socket.display())]
    Answer {
        /// Its socket.
        socket: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The configuration does not say where a gate is asked.
    #[error("`{}` cannot be read, or lacks its sections `[metrics]` and `[admin]`", config.display())]
    NoMetrics {
        /// The configuration.
        config: PathBuf,
    },
    /// A page of metrics cannot be read.
    #[error("the metrics at {url} cannot be read")]
    NoPage {
        /// Where they should be.
        url: String,
        /// Why.
        #[source]
        source: Box<ReadingError>,
    },
    /// Somewhere to show figures that change is missing.
    #[error("standard input and output are no terminal")]
    NoTerminal,
    /// The terminal cannot be drawn on.
    #[error("the terminal cannot be used")]
    Terminal(#[source] io::Error),
    /// The runtime of a client cannot be started.
    #[error("the client cannot be started")]
    Runtime(#[source] io::Error),
}

impl CommandError {
    /// The exit code of a command that failed so.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. }
            | Self::State { .. }
            | Self::Record { .. }
            | Self::Request { .. }
            | Self::Revision { .. }
            | Self::NothingToMask { .. }
            | Self::NotShared { .. }
            | Self::Utf8Alone { .. }
            | Self::Apart { .. }
            | Self::GivesNothing { .. }
            | Self::ScopeExceeded { .. }
            | Self::ScopeUnfit { .. }
            | Self::NoSubject
            | Self::SeveralSubjects
            | Self::NoTerminal
            | Self::NoDepartment { .. } => Exit::Usage,
            Self::DoesNotLoad { .. }
            | Self::WitnessDoesNotLoad { .. }
            | Self::NoListeners { .. }
            | Self::NoDigestKey { .. }
            | Self::NoMetrics { .. }
            | Self::Masks { .. }
            | Self::TestsDoNotLoad
            | Self::ModelDoesNotLoad { .. }
            | Self::NotCompared { .. }
            | Self::NotDecided(_) => Exit::Configuration,
            Self::Unreachable { .. } | Self::NoPage { .. } => Exit::Unreachable,
            Self::Evidence(error) => error.exit(),
            Self::Unreadable { .. }
            | Self::Unfit { .. }
            | Self::Certificate { .. }
            | Self::BodyRefused { .. }
            | Self::Taken { .. }
            | Self::Pki(_)
            | Self::Log(_)
            | Self::Key(_)
            | Self::Repair { .. }
            | Self::Mint(_) => Exit::Refused,
            Self::Output(_)
            | Self::Unwritable { .. }
            | Self::Git(_)
            | Self::Run(_)
            | Self::Witness(_)
            | Self::Metrics(_)
            | Self::Answer { .. }
            | Self::Terminal(_)
            | Self::Runtime(_) => Exit::Internal,
        }
    }

    /// What the user can do about it, if anything is known.
    #[expect(clippy::too_many_lines, reason = "one arm for each error, so that none can be forgotten")]
    pub(crate) fn help(&self) -> Option<String> {
        let help = match self {
            Self::DoesNotLoad { .. } => "mend the findings above; `pinegate check` shows them again",
            Self::WitnessDoesNotLoad { .. } => "mend the findings above, and start the witness again",
            Self::NoListeners { .. } => "name the configuration that the gate runs with: `--config FILE`",
            Self::ModelDoesNotLoad { .. } => "mend the findings above; `docs/casbin.md` says what is decided",
            Self::NotDecided(_) => "leave `--engine` out: the native engine decides every model that loads",
            Self::NotCompared { .. } => {
                "`diff` compares grants by what they mean in the shipped model; `pinegate replay` decides recorded \
                 accesses by any model that gates traffic"
            }
            Self::TestsDoNotLoad => "mend the findings above, and run the tests again",
            Self::Unknown { help, .. } | Self::Revision { help, .. } => return Some(help.clone()),
            Self::Evidence(error) => error.help()?,
            Self::Taken { .. } => "name a new directory, or move the file away",
            Self::Git(_) => "revisions are read by the program `git`: install it, or give directories",
            Self::Pki(PkiError::Exists { .. }) => {
                "add `--overwrite` to replace it, or choose another `--dir`"
            }
            Self::Pki(PkiError::File { action: "read", .. }) => {
                "make the authority first: `pinegate pki init`, with the same `--dir`"
            }
            Self::Pki(PkiError::NotIssued { .. }) => {
                "`index.jsonl` beside the authority lists what it has issued"
            }
            Self::Key(NoteError::PrivateKey) => "make one with `--new`",
            Self::Witness(WitnessError::NoState { .. }) => {
                "give `--new` the first time; if it has cosigned before, bring back its directory: without it, it \
                 would cosign a log that contradicts what it said"
            }
            Self::Witness(WitnessError::Exists { .. }) => "leave `--new` out, or name another `directory`",
            Self::Witness(WitnessError::Damaged { .. }) => {
                "bring back the file as it was; never an older one, nor none"
            }
            Self::Mint(MintError::Key) => "make one: `pinegate pki token-key`",
            Self::Unreachable { .. } => {
                "is the gate running, with this configuration, and may you open its `[admin] socket`?"
            }
            Self::Answer { .. } => "is another version running, or another program listening there?",
            Self::NoMetrics { .. } => {
                "name the configuration of the gate with `--config`, or its metrics: `--url http://HOST:9464`"
            }
            Self::NoPage { .. } => {
                "is the gate running, is this its `[metrics] address`, and may you reach it from here?"
            }
            Self::NoTerminal => "`--once` prints one frame as plain text",
            Self::BodyRefused { written: 0, .. } => "nothing was written",
            Self::BodyRefused { written, .. } => {
                return Some(format!(
                    "{written} bytes were written before; the gate refuses a short reply whole and cuts a long one off"
                ));
            }
            Self::NothingToMask { .. } => "a file is granted whole, or not at all: it passes as it is",
            Self::NotShared { .. } => {
                "no grant gives it out: callers are told that there is no such resource"
            }
            Self::Utf8Alone { .. } => "leave `--charset` out",
            Self::Apart { grants } => {
                let given =
                    grants.iter().map(|(grant, subject)| format!("`{grant}` is given to `{subject}`"));
                return Some(format!("{}: try them one by one", given.collect::<Vec<_>>().join(", ")));
            }
            Self::GivesNothing { .. } => "name another grant, or write the scope with `--scope`",
            Self::ScopeExceeded { .. } => {
                "the gate would answer `scope-exceeded`; leave them out of `--fields`"
            }
            Self::ScopeUnfit { .. } => {
                "it is written as in grants.csv: `name|phone:clear|address.*;rows<=100`"
            }
            Self::Masks { source: PlanError::NoKey { .. }, .. } => {
                "give the configuration that names the key: `--config FILE` with `[policy] pseudonym_key`"
            }
            Self::NoDigestKey { .. } => {
                "name its file: `--key FILE`, or `[audit] pseudonym_key` of the configuration"
            }
            Self::State { .. } => {
                "name what an earlier `--state` wrote, or a new file to begin again: all of the log is read then"
            }
            Self::NoSubject => "give the number or name on standard input, or in a file with `--file`",
            Self::SeveralSubjects => "look for one person or company at a time",
            Self::NoDepartment { .. } => "say for which: `--department dept:…`",
            Self::Record { .. } => "`pinegate audit verify` says whether the log is damaged",
            Self::Request { .. } => "`pinegate explain --help` shows the form of a request as JSON",
            Self::Output(_)
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::Unfit { .. }
            | Self::Certificate { .. }
            | Self::Masks { .. }
            | Self::Pki(_)
            | Self::Mint(_)
            | Self::Run(_)
            | Self::Key(_)
            | Self::Witness(_)
            | Self::Log(_)
            | Self::Repair { .. }
            | Self::Metrics(_)
            | Self::Terminal(_)
            | Self::Runtime(_) => return None,
        };
        Some(help.to_owned())
    }
}
