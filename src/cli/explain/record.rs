//! A request as its record in the audit log tells it.

use std::path::Path;

use super::{ExplainArgs, Explained};
use crate::app::load::LoadedPolicy;
use crate::audit::{AccessView, Kind, ParsedRecord};
use crate::cli::Screen;
use crate::cli::verdict::{policy_codes, refused_with};
use crate::cli::{CommandError, source};
use crate::journal::read;
use crate::kernel::id::{ParameterName, RequestId};
use crate::review::gate::{Gate, Verdict};
use crate::review::replay::{Finding, Recorded, Replay, Unknown};

/// How many records of one request are looked at: an intent, its outcome, and what should not be.
const MAX_RECORDS: usize = 16;

/// What was recorded, and how it compares.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) record: ParsedRecord,
    /// How the answer now differs from the one recorded.
    pub(super) finding: Finding,
    /// The parameters that the answer may hang on and whose values are not known.
    pub(super) unknown: Vec<ParameterName>,
    /// Whether the answer hangs on them, so that there is none.
    pub(super) undetermined: bool,
}

/// Finds the record of a request.
pub(super) fn find(
    id: RequestId,
    args: &ExplainArgs,
    screen: &mut Screen<'_>,
) -> Result<ParsedRecord, CommandError> {
    let directory = match &args.audit {
        Some(directory) => directory.clone(),
        None => source::audit_directory(args.source.config_path(), screen)?,
    };
    let filter = read::Filter { request: Some(id), ..read::Filter::default() };
    let (found, passed) = read::find(&directory, &filter, MAX_RECORDS)?;
    crate::cli::audit::unreadable(&directory, passed.unreadable, screen)?;
    let access =
        |record: &ParsedRecord| [Kind::Access, Kind::Intent].iter().any(|kind| kind.as_str() == record.kind);
    found.into_iter().map(|found| found.record).find(access).ok_or_else(|| missing(id, &directory))
}

fn missing(id: RequestId, directory: &Path) -> CommandError {
    CommandError::Unknown {
        given: id.to_string(),
        what: "the id of a request in the log",
        help: format!("`pinegate audit search {}` shows what is in it", directory.display()),
    }
}

/// The request of a record, decided by the policy of today; `supplied` are values that the record
/// leaves out.
pub(super) fn explained(
    record: ParsedRecord,
    supplied: &[(ParameterName, Vec<String>)],
    loaded: &LoadedPolicy,
) -> Result<Explained, CommandError> {
    let id = record.request.clone().unwrap_or_default();
    let unfit = |what, help: String| CommandError::Unknown { given: id.clone(), what, help };
    let view = AccessView::from(record.clone());
    let access = Recorded::read(&view, &policy_codes())
        .map_err(|source| CommandError::Record { request: id.clone(), source })?;
    let Some(mut access) = access else {
        let reason = record.reason.as_deref().unwrap_or("nothing");
        let help = format!("it was answered with `{reason}`; no policy was asked");
        return Err(unfit("a request that the policy decided", help));
    };
    if let Some(list) = access.cut {
        let help = format!("its `{list}` was too long for the record: give the request as flags");
        return Err(unfit("a request that its record tells whole", help));
    }
    supply(&mut access, supplied)?;
    let gate = Gate { policy: &loaded.policy, catalog: &loaded.vocabulary.catalog };
    let codes = policy_codes();
    let replay = Replay {
        candidate: gate,
        against: None,
        policy_codes: &codes,
        from: None,
        until: None,
        system: None,
        resource: None,
        examples: 0,
    };
    let finding = replay.finding(&access);
    let mut explained = Explained { request: access.request.clone(), at: access.at, told: None };
    let mut told = Told { record, finding, unknown: Vec::new(), undetermined: false };
    if let Some(unknown) = Unknown::of(&access, &[gate]) {
        told.unknown = unknown.names();
        match unknown.requests(&access.request) {
            Some(requests) => {
                let mut answers = requests.iter().map(|request| answer(&gate, request, &access));
                let first = answers.next();
                told.undetermined = answers.any(|answer| Some(answer) != first);
                explained.request = requests.into_iter().next().unwrap_or(explained.request);
            }
            None => told.undetermined = true,
        }
    }
    explained.told = Some(told);
    Ok(explained)
}

/// Takes the values that were given for those that the record does not have.
fn supply(access: &mut Recorded, supplied: &[(ParameterName, Vec<String>)]) -> Result<(), CommandError> {
    for (name, values) in supplied {
        let is_withheld = access.withheld.iter().any(|(known, _)| known == name);
        let is_known = access.request.parameters.iter().any(|(known, _)| known == name);
        if !is_withheld && (is_known || !access.open) {
            return Err(CommandError::Unknown {
                given: name.to_string(),
                what: "a parameter whose value the record leaves out",
                help: "leave out `--param` for what the record says".to_owned(),
            });
        }
        access.withheld.retain(|(known, _)| known != name);
        access.request.parameters.retain(|(known, _)| known != name);
        access.request.parameters.push((name.clone(), values.clone()));
    }
    Ok(())
}

/// What a caller would see of an answer.
fn answer(gate: &Gate<'_>, request: &crate::grant::Request, access: &Recorded) -> String {
    match gate.answer(request, access.at) {
        Verdict::Refused(refusal) => refused_with(refusal).as_str().to_owned(),
        Verdict::Permit(permit) => format!("{:?} {:?}", permit.grants, permit.fields),
    }
}
