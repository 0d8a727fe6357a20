//! The file of a policy, line by line. Names are bytes: nothing here depends on how they are encoded.

use std::collections::{HashMap, HashSet};

use super::{Fault, Group, MAX_EACH, MAX_POLICY_BYTES, Member, Policy, PolicyError, push_log, push_witness};
use crate::tlog::note::{NoteError, VerifierKey};

/// The name that stands for no witness at all.
const NONE: &[u8] = b"none";

const LOG: &str = "log <vkey> [<url>]";
const WITNESS: &str = "witness <name> <vkey> [<url>]";
const GROUP: &str = "group <name> any|all|<number> <name>…";
const QUORUM: &str = "quorum <name>|none";

pub(super) fn read(bytes: &[u8]) -> Result<Policy, PolicyError> {
    let mut reader = Reader::default();
    let mut line = 0;
    for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
        line += 1;
        let is_within = bytes.len() <= MAX_POLICY_BYTES;
        let read = if is_within { reader.line(raw) } else { Err(Fault::TooLong) };
        read.map_err(|fault| PolicyError { line, fault })?;
    }
    let quorum = reader.quorum.ok_or(PolicyError { line: line.max(1), fault: Fault::NoQuorum })?;
    let Reader { logs, witnesses, groups, .. } = reader;
    Ok(Policy { logs, witnesses, groups, quorum })
}

#[derive(Default)]
struct Reader<'p> {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    groups: Vec<Group>,
    names: HashMap<&'p [u8], Member>,
    /// Names that are members: each counts once, so that each witness does.
    members: HashSet<&'p [u8]>,
    quorum: Option<Option<Member>>,
}

impl<'p> Reader<'p> {
    fn line(&mut self, raw: &'p [u8]) -> Result<(), Fault> {
        let line = raw.strip_suffix(b"\n").ok_or(Fault::Characters)?;
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(Fault::Characters);
        }
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let words: Vec<&[u8]> = line.split(is_space).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", rest @ ..] => self.log(rest),
            [b"witness", rest @ ..] => self.witness(rest),
            [b"group", rest @ ..] => self.group(rest),
            [b"quorum", rest @ ..] => self.quorum(rest),
            _ => Err(Fault::Keyword),
        }
    }

    fn log(&mut self, words: &[&[u8]]) -> Result<(), Fault> {
        let ([text] | [text, _]) = words else { return Err(Fault::Form(LOG)) };
        push_log(&mut self.logs, vkey(text)?)
    }

    fn witness(&mut self, words: &[&'p [u8]]) -> Result<(), Fault> {
        let ([name, text] | [name, text, _]) = words else { return Err(Fault::Form(WITNESS)) };
        self.define(name, Member::Witness(self.witnesses.len()))?;
        push_witness(&mut self.witnesses, vkey(text)?)
    }

    fn group(&mut self, words: &[&'p [u8]]) -> Result<(), Fault> {
        let [name, how_many, names @ ..] = words else { return Err(Fault::Form(GROUP)) };
        if names.is_empty() {
            return Err(Fault::Form(GROUP));
        }
        if self.groups.len() == MAX_EACH {
            return Err(Fault::TooMany);
        }
        let at_least = threshold(how_many, names.len())?;
        let mut members = Vec::with_capacity(names.len());
        for member in names {
            members.push(self.find(member)?);
            if !self.members.insert(member) {
                return Err(Fault::DoubleMember(shown(member)));
            }
        }
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { at_least, members });
        Ok(())
    }

    fn quorum(&mut self, words: &[&'p [u8]]) -> Result<(), Fault> {
        let [name] = words else { return Err(Fault::Form(QUORUM)) };
        if self.quorum.is_some() {
            return Err(Fault::DoubleQuorum);
        }
        self.quorum = Some(if *name == NONE { None } else { Some(self.find(name)?) });
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<Member, Fault> {
        self.names.get(name).copied().ok_or_else(|| Fault::UnknownName(shown(name)))
    }

    fn define(&mut self, name: &'p [u8], member: Member) -> Result<(), Fault> {
        if name == NONE || self.names.contains_key(name) {
            return Err(Fault::DoubleName(shown(name)));
        }
        self.names.insert(name, member);
        Ok(())
    }
}

fn vkey(text: &[u8]) -> Result<VerifierKey, NoteError> {
    let text = std::str::from_utf8(text).map_err(|_| NoteError::Key("it is not UTF-8"))?;
    VerifierKey::parse(text)
}

fn threshold(word: &[u8], members: usize) -> Result<usize, Fault> {
    let wrong = || Fault::Threshold(shown(word));
    match word {
        b"any" => Ok(1),
        b"all" => Ok(members),
        _ => {
            let text = std::str::from_utf8(word).map_err(|_| wrong())?;
            let number = crate::tlog::text::number(text).and_then(|number| usize::try_from(number).ok());
            number.filter(|number| (1..=members).contains(number)).ok_or_else(wrong)
        }
    }
}

/// As much of a name as a message needs.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(64).collect()
}
