//! Trust in writing (C2SP `tlog-policy`): which logs are believed, which witnesses count, and how many of
//! them must have cosigned a head.
//!
//! ```text
//! log gate-1+0f6b5d5c+AQ…
//! witness regulator witness.example+530d903a+BA…
//! witness twin gate-2-witness+9c2b1d11+BA…
//! group both all regulator twin
//! quorum both
//! ```

mod read;

use super::checkpoint::Checkpoint;
use super::cosignature::cosigned_at;
use super::note::{Note, NoteError, SignatureKind, VerifierKey};
use crate::kernel::time::Timestamp;

/// The longest policy that is read, in bytes.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;
/// The most logs, and the most witnesses, and the most groups; the specification asks for 32.
const MAX_EACH: usize = 256;

/// Whom to believe about the head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    /// Each refers to witnesses, and to groups before it, alone.
    groups: Vec<Group>,
    /// None where no cosignature is asked for.
    quorum: Option<Member>,
}

/// What has cosigned if so many of its members have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    at_least: usize,
    members: Vec<Member>,
}

/// What can be a member of a group, or the quorum; by its place in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// A line that cannot stand in a policy, or one that is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the policy: {fault}")]
pub struct PolicyError {
    /// Counted from 1; where something is missing, the last.
    pub line: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The whole is too long.
    #[error("it goes on beyond {MAX_POLICY_BYTES} bytes")]
    TooLong,
    /// More logs, witnesses or groups than are read.
    #[error("more than {MAX_EACH} of a kind are not read")]
    TooMany,
    /// A control character, or an end without newline.
    #[error("it has a control character, or no newline at its end")]
    Characters,
    /// Not a kind of line that there is.
    #[error("it begins with none of `log`, `witness`, `group`, `quorum` and `#`")]
    Keyword,
    /// Not the words that a line of its kind has.
    #[error("expected `{0}`")]
    Form(&'static str),
    /// A key that is none, or of the wrong kind.
    #[error("{0}")]
    Key(#[from] NoteError),
    /// The same key for two.
    #[error("its public key is that of another line")]
    DoubleKey,
    /// The same name for two.
    #[error("the name `{0}` is taken")]
    DoubleName(String),
    /// A name that nothing before has.
    #[error("no line before names a witness or group `{0}`")]
    UnknownName(String),
    /// A member of two groups, or of one twice.
    #[error("`{0}` is a member already: it would count twice")]
    DoubleMember(String),
    /// A number of members that cannot be reached, or no number.
    #[error("`{0}` is not `any`, `all` or a number from 1 to that of its members")]
    Threshold(String),
    /// More than one quorum.
    #[error("there is a `quorum` before")]
    DoubleQuorum,
    /// No quorum.
    #[error("there is no `quorum`; where no witness is asked for, say `quorum none`")]
    NoQuorum,
}

/// Why a head is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No signed head, or one with wrong signatures.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// No key for its origin is trusted.
    #[error("the policy trusts no log `{0}`")]
    UnknownLog(String),
    /// Too few witnesses have cosigned.
    #[error("the witnesses that cosigned it are no quorum: {}", if by.is_empty() { "none has" } else { by })]
    NoQuorum {
        /// Which have.
        by: String,
    },
}

/// A head that a policy believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The head.
    pub checkpoint: Checkpoint,
    /// Which key of the log signed it.
    pub log: VerifierKey,
    /// Which of the policy's witnesses cosigned it, and when.
    pub cosigned: Vec<(VerifierKey, Timestamp)>,
}

impl Policy {
    /// Reads a policy. URLs are passed over: what is believed does not depend on where it is fetched.
    ///
    /// # Errors
    /// At the first line that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        read::read(bytes)
    }

    /// Believes what one of `logs` signed and at least so many of `witnesses` cosigned.
    ///
    /// # Errors
    /// When a key is not of the kind that it must be, or there twice, or there are fewer witnesses.
    pub fn new(logs: Vec<VerifierKey>, witnesses: Vec<VerifierKey>, at_least: usize) -> Result<Self, Fault> {
        let mut policy = Self { logs: Vec::new(), witnesses: Vec::new(), groups: Vec::new(), quorum: None };
        logs.into_iter().try_for_each(|key| push_log(&mut policy.logs, key))?;
        witnesses.into_iter().try_for_each(|key| push_witness(&mut policy.witnesses, key))?;
        if at_least > policy.witnesses.len() {
            return Err(Fault::Threshold(at_least.to_string()));
        }
        let members = (0..policy.witnesses.len()).map(Member::Witness).collect();
        policy.groups.push(Group { at_least, members });
        policy.quorum = Some(Member::Group(0));
        Ok(policy)
    }

    /// The logs that are believed.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The witnesses that count.
    #[must_use]
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// Reads and checks a signed head.
    ///
    /// # Errors
    /// As [`Policy::check`], or when the bytes are no note.
    pub fn open(&self, bytes: &[u8]) -> Result<Trusted, Refused> {
        self.check(&Note::parse(bytes)?)
    }

    /// Checks a signed head: a key of its origin must have signed it, a quorum cosigned, and no signature
    /// by a key of this policy may be wrong.
    ///
    /// # Errors
    /// When it is not to be believed.
    pub fn check(&self, note: &Note) -> Result<Trusted, Refused> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let mut signed_by = None;
        for key in &self.logs {
            match note.verify(key) {
                Ok(_) if key.name() == checkpoint.origin => signed_by = signed_by.or(Some(key)),
                // A log may sign another's head; that makes it neither's.
                Ok(_) | Err(NoteError::Unsigned(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(log) = signed_by.cloned() else {
            let is_known = self.logs.iter().any(|key| key.name() == checkpoint.origin);
            let origin = checkpoint.origin;
            return Err(if is_known {
                NoteError::Unsigned(origin).into()
            } else {
                Refused::UnknownLog(origin)
            });
        };
        let mut times = Vec::with_capacity(self.witnesses.len());
        for key in &self.witnesses {
            match cosigned_at(note, key) {
                Ok(at) => times.push(Some(at)),
                Err(NoteError::Unsigned(_)) => times.push(None),
                Err(error) => return Err(error.into()),
            }
        }
        let pairs = self.witnesses.iter().zip(&times);
        let cosigned: Vec<_> = pairs.filter_map(|(key, at)| Some((key.clone(), (*at)?))).collect();
        if !self.is_quorum(&times) {
            let by = cosigned.iter().map(|(key, _)| key.name()).collect::<Vec<_>>().join(", ");
            return Err(Refused::NoQuorum { by });
        }
        Ok(Trusted { checkpoint, log, cosigned })
    }

    /// Whether the witnesses that have a time are enough.
    fn is_quorum(&self, times: &[Option<Timestamp>]) -> bool {
        let mut reached: Vec<bool> = Vec::with_capacity(self.groups.len());
        let has = |member: &Member, reached: &[bool]| match *member {
            Member::Witness(at) => times.get(at).is_some_and(Option::is_some),
            Member::Group(at) => reached.get(at).copied().unwrap_or(false),
        };
        for group in &self.groups {
            let count = group.members.iter().filter(|member| has(member, &reached)).count();
            reached.push(count >= group.at_least);
        }
        self.quorum.as_ref().is_none_or(|quorum| has(quorum, &reached))
    }
}

fn push_log(logs: &mut Vec<VerifierKey>, key: VerifierKey) -> Result<(), Fault> {
    if key.kind() != SignatureKind::Ed25519 {
        return Err(NoteError::Key("it is a witness's, a log signs with type 1 (Ed25519)").into());
    }
    push(logs, key)
}

fn push_witness(witnesses: &mut Vec<VerifierKey>, key: VerifierKey) -> Result<(), Fault> {
    if key.kind() != SignatureKind::Cosignature {
        let fault = "it is a log's, a witness signs with type 4 (Ed25519 cosignature)";
        return Err(NoteError::Key(fault).into());
    }
    push(witnesses, key)
}

/// A key under two names would count twice.
fn push(keys: &mut Vec<VerifierKey>, key: VerifierKey) -> Result<(), Fault> {
    if keys.iter().any(|other| other.bytes() == key.bytes()) {
        return Err(Fault::DoubleKey);
    }
    if keys.len() == MAX_EACH {
        return Err(Fault::TooMany);
    }
    keys.push(key);
    Ok(())
}

#[cfg(test)]
mod tests;
