//! What can be granted.

use super::line::{self, HIDDEN, LineEdit, Terms};
use super::window::widened;
use super::{Edit, Ground, Suggestion, best};
use crate::grant::{Decision, Effect, Query, Request};
use crate::kernel::id::{GrantId, ParameterName};
use crate::kernel::time::Timestamp;
use crate::policy::csv::Section;
use crate::policy::decide::{Asked, holds};
use crate::policy::explain::Verdict;
use crate::policy::schema::FieldSet;
use crate::policy::scope::{Item, Pattern, Scope, Selector};
use crate::policy::window::Phase;

/// What a line of its own weighs, in edits of lines that are there.
const NEW_LINE_WEIGHS: usize = 3;
/// The most lines that are tried in pairs.
const MAX_PAIRED: usize = 24;
/// The most lines that are called new at once.
const MAX_NEW: usize = 100;

/// A line and what it takes for it to match, but for the fields.
struct Mend<'v> {
    verdict: &'v Verdict<'v>,
    edits: Vec<Edit>,
    /// The line as it is then.
    terms: Terms,
    /// The line as it may be shown.
    shown: Terms,
    /// Whether it comes beside the one it was made from.
    beside: bool,
    /// What it gives of the resource.
    fields: FieldSet,
}

/// Lines that match together.
struct Plan<'m, 'v> {
    mends: Vec<&'m Mend<'v>>,
    /// The line that gets the fields that are missing: one of `mends`, or one that matches already.
    gets: Option<(&'m Mend<'v>, Vec<String>)>,
}

impl Ground<'_> {
    /// The fewest changes of `grants.csv` that let `request` through. `self` has the lines near it and
    /// no others.
    pub(super) fn provider(&self, request: &Request, at: Timestamp) -> Vec<Suggestion> {
        let Some(system) = self.catalog.registry.systems.get(&request.system) else { return Vec::new() };
        let query = request.query(&system.department);
        let Ok(asked) = self.policy.ask(&query) else { return Vec::new() };
        if asked.wants_unknown {
            return Vec::new();
        }
        let verdicts = self.policy.verdicts(&query, &asked, at);
        let denying = verdicts.iter().filter(|verdict| !verdict.allows() && verdict.matches());
        let lifted: Vec<GrantId> = denying.map(|verdict| verdict.grant.id.clone()).collect();
        let named = verdicts.iter().filter(|verdict| verdict.allows() && verdict.token);
        let mut mends: Vec<Mend<'_>> =
            named.filter_map(|verdict| self.mend(verdict, &query, &asked, at)).collect();
        mends.sort_by_key(|mend| (mend.edits.len(), mend.verdict.order));
        let missing = missing(&query, &asked, &mends);
        let plans = plans(&asked, &mends, &missing);
        let mut candidates: Vec<(usize, Suggestion)> = plans
            .iter()
            .map(|plan| {
                let suggestion = self.suggestion(plan, &lifted);
                (suggestion.edits.len(), suggestion)
            })
            .collect();
        if query.narrowed_to.is_none() {
            let suggestion = self.new_line(request, &asked, &lifted, at);
            let weight = NEW_LINE_WEIGHS + lifted.len();
            // It is simpler than whatever weighs as much.
            candidates.retain(|(edits, _)| *edits < weight);
            candidates.push((weight, suggestion));
        }
        best(candidates, |suggestion| self.is_right(suggestion, request, at))
    }

    /// What takes a change of the request too: fields that do not exist are left out, and the token
    /// names what it does not name yet.
    pub(super) fn together(&self, request: &Request, at: Timestamp) -> Vec<Suggestion> {
        let mut changed = request.clone();
        let mut edits = Vec::new();
        let unknown = self.policy.unknown_fields(&request.resource, &request.fields);
        if !unknown.is_empty() {
            changed.fields.retain(|field| !unknown.contains(field));
            edits.push(Edit::LeaveOut { fields: unknown, left: changed.fields.clone() });
        }
        let narrowed = changed.narrowed_to.take();
        let mut suggestions = self.provider(&changed, at);
        suggestions.retain_mut(|suggestion| {
            suggestion.edits.splice(0..0, edits.iter().cloned());
            let Some(named) = &narrowed else { return true };
            let Some(Decision::Permit(permit)) = self.tried(suggestion, &changed, at) else { return false };
            let unnamed = permit.grants.into_iter().filter(|grant| !named.contains(grant));
            let unnamed: Vec<GrantId> = unnamed.collect();
            let named = [named.as_slice(), &unnamed].concat();
            suggestion.edits.extend(unnamed.into_iter().map(Edit::NameGrant));
            self.is_right(suggestion, &Request { narrowed_to: Some(named), ..changed.clone() }, at)
        });
        suggestions
    }

    /// Whether a suggestion lets `request` through.
    fn is_right(&self, suggestion: &Suggestion, request: &Request, at: Timestamp) -> bool {
        matches!(self.tried(suggestion, request, at), Some(Decision::Permit(_)))
    }

    /// What `request` comes to once a suggestion is made true.
    fn tried(&self, suggestion: &Suggestion, request: &Request, at: Timestamp) -> Option<Decision> {
        let goes =
            |grant: &GrantId| suggestion.lines.iter().any(|line| line.replaces.as_ref() == Some(grant));
        let kept = self.policy.grants().iter().filter(|grant| !goes(&grant.id));
        let kept = kept.map(|grant| Terms::of(grant).to_string());
        let added = suggestion.lines.iter().filter_map(|line| line.csv.clone());
        let policy = self.draft(self.catalog, kept.chain(added))?;
        let system = self.catalog.registry.systems.get(&request.system)?;
        Some(policy.decide(&request.query(&system.department), at))
    }

    fn mend<'v>(
        &self,
        verdict: &'v Verdict<'v>,
        query: &Query<'_>,
        asked: &Asked<'_>,
        at: Timestamp,
    ) -> Option<Mend<'v>> {
        let grant = verdict.grant;
        let mut mend = Mend {
            verdict,
            edits: Vec::new(),
            terms: Terms::of(grant),
            shown: Terms::of(grant),
            beside: !verdict.action || !verdict.purpose,
            fields: asked.place.schema.select(&grant.scope.items).fields,
        };
        if !verdict.action {
            let action = query.action.clone();
            mend.change(|terms| terms.action = action.to_string());
            mend.edits.push(Edit::AddAction { grant: grant.id.clone(), action });
        }
        if !verdict.purpose {
            let purpose = query.purpose.clone();
            mend.change(|terms| terms.purpose = purpose.to_string());
            mend.edits.push(Edit::AddPurpose { grant: grant.id.clone(), purpose });
        }
        if verdict.phase != Phase::Inside {
            let to = widened(&grant.window, at, self.policy.frame())?;
            mend.change(|terms| terms.window.clone_from(&to));
            let from = grant.window.text().to_owned();
            mend.edits.push(Edit::Window { grant: grant.id.clone(), from, to });
        }
        for constraint in &grant.scope.constraints {
            if !holds(constraint, query.parameters, Effect::Allow) {
                self.mend_constraint(&mut mend, query, &constraint.parameter)?;
            }
        }
        Some(mend)
    }

    fn mend_constraint(&self, mend: &mut Mend<'_>, query: &Query<'_>, name: &ParameterName) -> Option<()> {
        let grant = mend.verdict.grant.id.clone();
        let given = query.parameters.iter().filter(|(known, _)| known == name);
        let values: Vec<&String> = given.flat_map(|(_, values)| values).collect();
        let parameter = name.clone();
        let [value] = values.as_slice() else {
            mend.change(|terms| terms.scope.constraints.retain(|constraint| constraint.parameter != *name));
            mend.edits.push(Edit::DropConstraint { grant, parameter });
            return Some(());
        };
        if !can_be_written(value) {
            return None;
        }
        let resource = self.catalog.resources.get(query.resource)?;
        let is_shown = resource.parameter(name.as_str()).is_some_and(|known| known.recordable);
        add_value(&mut mend.terms.scope, name, value);
        add_value(&mut mend.shown.scope, name, if is_shown { value } else { HIDDEN });
        let value = is_shown.then(|| (*value).clone());
        mend.edits.push(Edit::AddValue { grant, parameter, value });
        Some(())
    }

    fn suggestion(&self, plan: &Plan<'_, '_>, lifted: &[GrantId]) -> Suggestion {
        let mut suggestion = lift(lifted);
        let mut ids = self.fresh_ids();
        let is_mended = |gets: &Mend<'_>| plan.mends.iter().any(|mend| std::ptr::eq(*mend, gets));
        let beyond = plan.gets.as_ref().map(|(gets, _)| *gets).filter(|gets| !is_mended(gets));
        for mend in plan.mends.iter().copied().chain(beyond) {
            let (mut terms, mut shown) = (mend.terms.clone(), mend.shown.clone());
            suggestion.edits.extend(mend.edits.iter().cloned());
            if let Some((gets, fields)) = &plan.gets
                && std::ptr::eq(*gets, mend)
            {
                add_fields(&mut terms.scope, fields);
                add_fields(&mut shown.scope, fields);
                let (grant, fields) = (mend.verdict.grant.id.clone(), fields.clone());
                suggestion.edits.push(Edit::AddFields { grant, fields });
            }
            if mend.beside
                && let Some(id) = ids.next()
            {
                terms.id.clone_from(&id);
                shown.id = id;
            }
            suggestion.lines.push(LineEdit {
                replaces: (!mend.beside).then(|| mend.verdict.grant.id.clone()),
                csv: Some(terms.to_string()),
                shown: Some(shown.to_string()),
            });
        }
        suggestion
    }

    /// A line that grants the request and nothing more, to the end of the year.
    fn new_line(
        &self,
        request: &Request,
        asked: &Asked<'_>,
        lifted: &[GrantId],
        at: Timestamp,
    ) -> Suggestion {
        let today = self.policy.frame().zone.to_datetime(at).date();
        let fields = match request.fields.as_slice() {
            [] if asked.place.schema.named("@basic").is_some() => "@basic".to_owned(),
            [] => "*".to_owned(),
            some => some.join("|"),
        };
        let (tried, shown) = self.constraints(request);
        let id = self.fresh_ids().next();
        let window = format!("{today}/{}-12-31", today.year());
        let row = |scope: &str| {
            let cells = [
                id.as_ref().map_or("NEW", GrantId::as_str),
                request.system.as_str(),
                request.resource.as_str(),
                request.action.as_str(),
                request.purpose.as_str(),
                scope,
                &window,
                Effect::Allow.as_str(),
            ];
            Some(line::row(Section::P, cells))
        };
        let (csv, shown) = (row(&format!("{fields}{tried}")), row(&format!("{fields}{shown}")));
        let mut suggestion = lift(lifted);
        suggestion.edits.push(Edit::NewLine);
        suggestion.lines.push(LineEdit { replaces: None, shown, csv });
        suggestion
    }

    /// What keeps a line to the parameters of `request`, and the same as it may be shown. One that comes
    /// twice, or whose value no pattern says, cannot be kept to.
    fn constraints(&self, request: &Request) -> (String, String) {
        let (mut tried, mut shown) = (String::new(), String::new());
        let Some(resource) = self.catalog.resources.get(&request.resource) else { return (tried, shown) };
        for (at, (name, _)) in request.parameters.iter().enumerate() {
            if request.parameters.iter().take(at).any(|(other, _)| other == name) {
                continue;
            }
            let given = request.parameters.iter().filter(|(other, _)| other == name);
            let values: Vec<&String> = given.flat_map(|(_, values)| values).collect();
            let Some(known) = resource.parameter(name.as_str()) else { continue };
            if let [value] = values.as_slice()
                && can_be_written(value)
            {
                tried.push_str(&format!(";{name}={value}"));
                shown.push_str(&format!(";{name}={}", if known.recordable { value } else { HIDDEN }));
            }
        }
        (tried, shown)
    }

    /// Ids that no line has.
    fn fresh_ids(&self) -> impl Iterator<Item = GrantId> {
        let more = (2..MAX_NEW).map(|number| format!("NEW-{number}"));
        let ids = std::iter::once("NEW".to_owned()).chain(more);
        ids.filter_map(|name| GrantId::parse(&name).ok()).filter(|id| self.policy.grant(id).is_none())
    }
}

impl Mend<'_> {
    fn change(&mut self, change: impl Fn(&mut Terms)) {
        change(&mut self.terms);
        change(&mut self.shown);
    }

    fn matches(&self) -> bool {
        self.edits.is_empty()
    }

    fn gives(&self, asked: &Asked<'_>) -> bool {
        match &asked.wanted {
            Some(wanted) => self.fields.intersects(wanted),
            None => self.verdict.fields,
        }
    }
}

/// The items asked for that the lines that match do not give.
fn missing(query: &Query<'_>, asked: &Asked<'_>, mends: &[Mend<'_>]) -> Vec<String> {
    let mut granted = asked.place.schema.none();
    for mend in mends.iter().filter(|mend| mend.matches() && mend.gives(asked)) {
        granted.extend(&mend.fields);
    }
    not_within(query.fields, asked, &granted)
}

fn not_within(items: &[String], asked: &Asked<'_>, granted: &FieldSet) -> Vec<String> {
    let is_within =
        |item: &String| asked.place.schema.named(item).is_some_and(|fields| fields.is_within(granted));
    items.iter().filter(|item| !is_within(item)).cloned().collect()
}

/// The ways to lines that match and give all that is missing.
///
/// One edit adds any fields to a line, so that more than two lines never take fewer edits than the
/// nearest one and that.
fn plans<'m, 'v>(asked: &Asked<'_>, mends: &'m [Mend<'v>], missing: &[String]) -> Vec<Plan<'m, 'v>> {
    let give_all = |mends: &[&Mend<'_>]| {
        let mut granted = asked.place.schema.none();
        mends.iter().for_each(|mend| granted.extend(&mend.fields));
        mends.iter().all(|mend| mend.gives(asked)) && not_within(missing, asked, &granted).is_empty()
    };
    let (matching, others): (Vec<_>, Vec<_>) =
        mends.iter().partition(|mend| mend.matches() && mend.gives(asked));
    if !matching.is_empty() && missing.is_empty() {
        // Only deny lines stand in the way.
        return vec![Plan { mends: Vec::new(), gets: None }];
    }
    let mut plans = Vec::new();
    for (index, &mend) in others.iter().enumerate() {
        if give_all(&[mend]) {
            plans.push(Plan { mends: vec![mend], gets: None });
            continue;
        }
        if missing.is_empty() {
            continue;
        }
        if matching.is_empty() {
            let lacking = not_within(missing, asked, &mend.fields);
            plans.push(Plan { mends: vec![mend], gets: Some((mend, lacking)) });
        }
        for &second in others.iter().take(MAX_PAIRED).skip(index + 1) {
            if index < MAX_PAIRED && give_all(&[mend, second]) {
                plans.push(Plan { mends: vec![mend, second], gets: None });
            }
        }
    }
    let add = |mend| Plan { mends: Vec::new(), gets: Some((mend, missing.to_vec())) };
    plans.extend(matching.into_iter().map(add));
    plans
}

/// The deny lines that must go.
fn lift(lifted: &[GrantId]) -> Suggestion {
    let gone = |grant: &GrantId| LineEdit { replaces: Some(grant.clone()), csv: None, shown: None };
    Suggestion {
        edits: lifted.iter().cloned().map(Edit::LiftDeny).collect(),
        lines: lifted.iter().map(gone).collect(),
    }
}

fn add_fields(scope: &mut Scope, fields: &[String]) {
    let selectors = fields.iter().filter_map(|field| Selector::parse(field));
    scope.items.extend(selectors.map(|selector| Item { selector, treatment: None, at: 0..0 }));
}

fn add_value(scope: &mut Scope, name: &ParameterName, value: &str) {
    for constraint in scope.constraints.iter_mut().filter(|constraint| constraint.parameter == *name) {
        constraint.patterns.push(Pattern::Exact(value.to_owned()));
    }
}

/// Whether a value can stand in a scope and mean itself.
fn can_be_written(value: &str) -> bool {
    !value.is_empty()
        && value == value.trim()
        && !value.contains(['|', ';', '*', '\u{feff}'])
        && !value.chars().any(char::is_control)
}
