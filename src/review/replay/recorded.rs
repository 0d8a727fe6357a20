//! An access as its record tells it.

use super::LineError;
use crate::audit::{AccessView, Kind};
use crate::grant::{ReleasedField, Request, Treatment};
use crate::kernel::id::{
    Action, FieldPath, GrantId, MaskerName, ParameterName, PurposeCode, ResourceId, SystemId,
};
use crate::kernel::time::Timestamp;

/// What stands at the end of a text that was cut.
const CUT: char = '…';

/// An access that the policy decided.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The id of the request.
    pub id: String,
    /// When it came.
    pub at: Timestamp,
    /// What was asked, as far as the record says.
    pub request: Request,
    /// The parameters that came once, with a value of which the record has no more than the beginning.
    pub withheld: Vec<(ParameterName, String)>,
    /// Whether any parameter may have come beside those, since their list was cut.
    pub open: bool,
    /// The list that was cut without which nothing can be decided.
    pub cut: Option<&'static str>,
    /// What came of it.
    pub past: Past,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// It was refused.
    Refused,
    /// It was permitted.
    Permitted(Released),
}

/// What was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// These fields.
    Whole(Vec<ReleasedField>),
    /// Some, which did not all fit into the record.
    Cut,
}

/// Whether a record is the one of an access that says what was decided.
pub(super) fn is_decision(view: &AccessView<'_>) -> bool {
    matches!(view.kind, Some(Kind::Access | Kind::Intent))
}

impl Recorded {
    /// The access in a record; `None` if the policy did not decide it: one that was refused before
    /// it came to that, with a code that is none of `policy_codes`, or one of the gate's own pages.
    ///
    /// # Errors
    /// When a member is none that a record has.
    pub fn read(view: &AccessView<'_>, policy_codes: &[&'static str]) -> Result<Option<Self>, LineError> {
        let past = match (view.decision.as_deref(), view.reason.as_deref()) {
            (Some("permit"), _) => Past::Permitted(released(view)),
            (Some("deny"), Some(code)) if policy_codes.contains(&code) => Past::Refused,
            _ => return Ok(None),
        };
        let (Some(system), Some(resource), Some(action), Some(purpose), Some(id)) =
            (&view.system, &view.resource, &view.action, &view.purpose, &view.request)
        else {
            return Ok(None);
        };
        let wrong = LineError::Member;
        let mut access = Self {
            id: id.clone().into_owned(),
            at: view.at.parse().map_err(|_| wrong("at"))?,
            request: Request {
                system: SystemId::parse(system).map_err(|_| wrong("system"))?,
                resource: ResourceId::parse(resource).map_err(|_| wrong("resource"))?,
                action: Action::parse(action).map_err(|_| wrong("action"))?,
                purpose: PurposeCode::parse(purpose).map_err(|_| wrong("purpose"))?,
                fields: view.requested.items.iter().map(|item| item.clone().into_owned()).collect(),
                parameters: Vec::new(),
                narrowed_to: None,
            },
            withheld: Vec::new(),
            open: !view.parameters.is_whole() || !view.withheld.is_whole(),
            cut: None,
            past,
        };
        if !view.requested.is_whole() || view.requested.items.iter().any(|item| item.ends_with(CUT)) {
            access.cut = Some("requested");
        }
        if !view.narrowed_to.items.is_empty() {
            let named = view.narrowed_to.items.iter().map(|id| GrantId::parse(id));
            let named = named.collect::<Result<_, _>>().map_err(|_| wrong("narrowed_to"))?;
            access.request.narrowed_to = Some(named);
        }
        if !view.narrowed_to.is_whole() {
            access.cut = Some("narrowed_to");
        }
        access.read_parameters(view)?;
        Ok(Some(access))
    }

    fn read_parameters(&mut self, view: &AccessView<'_>) -> Result<(), LineError> {
        for (name, value) in &view.parameters.items {
            // A name that came before has `#2` after it.
            let name = name.split_once('#').map_or(&**name, |(name, _)| name);
            let name = ParameterName::parse(name).map_err(|_| LineError::Member("parameters"))?;
            self.add(name, value.strip_suffix(CUT), value);
        }
        for (name, count) in &view.withheld.items {
            let name = ParameterName::parse(name).map_err(|_| LineError::Member("withheld"))?;
            for _ in 0..(*count).min(2) {
                self.add(name.clone(), Some(""), "");
            }
        }
        Ok(())
    }

    /// Adds one value; if it is not known, only its beginning.
    fn add(&mut self, name: ParameterName, beginning: Option<&str>, value: &str) {
        let parameters = &mut self.request.parameters;
        if let Some((_, values)) = parameters.iter_mut().find(|(known, _)| *known == name) {
            // Doubled: which values they are makes no difference any more.
            values.push(value.to_owned());
            self.withheld.retain(|(known, _)| *known != name);
            return;
        }
        parameters.push((name.clone(), vec![value.to_owned()]));
        if let Some(beginning) = beginning {
            self.withheld.push((name, beginning.to_owned()));
        }
    }
}

fn released(view: &AccessView<'_>) -> Released {
    match view.released.items.iter().map(|item| field(item)).collect::<Option<Vec<_>>>() {
        Some(fields) if view.released.is_whole() => Released::Whole(fields),
        Some(_) | None => Released::Cut,
    }
}

/// A field as it stands in a record, `path` or `path:masker`; `None` if it was cut.
fn field(text: &str) -> Option<ReleasedField> {
    let (path, treatment) = match text.split_once(':') {
        None => (text, Treatment::Clear),
        Some((path, masker)) => (path, Treatment::Masked(MaskerName::parse(masker).ok()?)),
    };
    let path = FieldPath::parse(path).ok().filter(|_| !path.ends_with(CUT))?;
    Some(ReleasedField { path, treatment })
}
