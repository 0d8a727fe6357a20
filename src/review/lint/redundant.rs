//! Lines that change no decision: duplicates, grants that another line gives or a deny line refuses,
//! denies that refuse nothing.

use std::collections::{BTreeSet, HashMap};

use super::Findings;
use super::facts::{Facts, Line, Standing};
use super::known::{COMPARED_IN_PART, DUPLICATE_GRANT, IDLE_DENY, OVERRULED_GRANT, SHADOWED_GRANT};
use crate::grant::{Effect, Treatment};
use crate::kernel::id::GrantId;
use crate::policy::roles::Node;
use crate::policy::schema::Selection;
use crate::policy::terms::Grant;

/// What selecting the fields of two lines costs, in comparisons of two lines.
const SELECTING: usize = 10;

/// Finds the lines that change no decision; gives the places of the grants that are always refused.
pub(super) fn find(
    facts: &Facts<'_>,
    limited: &BTreeSet<GrantId>,
    findings: &mut Findings<'_>,
) -> BTreeSet<usize> {
    let mut overruled = BTreeSet::new();
    let mut first: HashMap<Terms<'_>, &Grant> = HashMap::new();
    for line in facts.lines.iter().filter(|line| line.standing == Standing::Live) {
        let grant = line.grant;
        let earlier = *first.entry(terms(grant)).or_insert(grant);
        let is_repeated = earlier.id != grant.id && !limited.contains(&grant.id);
        if is_repeated {
            let message = format!("`{}` says what `{}` on line {} says", grant.id, earlier.id, earlier.line);
            findings.about_line(&DUPLICATE_GRANT, grant.line, message, "keep one of them".to_owned());
        }
        match grant.effect {
            Effect::Allow => {
                if let Some(deny) = covering(facts, line, Effect::Deny) {
                    overruled.insert(line.order);
                    if !is_repeated {
                        overruled_by(grant, deny, findings);
                    }
                } else if !is_repeated && !limited.contains(&grant.id) {
                    shadowed(facts, line, findings);
                }
            }
            Effect::Deny if !is_repeated => idle(facts, line, findings),
            Effect::Deny => {}
        }
    }
    if facts.is_spent() {
        let message = "so many lines can meet that not all were compared".to_owned();
        let grants = findings.places.sources.grants;
        findings.add(&COMPARED_IN_PART, grants, |_| super::Finding {
            span: 0..0,
            message,
            help: "give lines that belong together to a group or a theme".to_owned(),
        });
    }
    overruled
}

/// All that a line says but its id.
type Terms<'g> = (Effect, Node, Node, Option<&'g str>, String, String, &'g str);

fn terms(grant: &Grant) -> Terms<'_> {
    let action = grant.action.as_ref().map(crate::kernel::id::Action::as_str);
    let (purposes, scope) = (grant.purposes.to_string(), grant.scope.to_string());
    (grant.effect, grant.subject_node, grant.resource_node, action, purposes, scope, grant.window.text())
}

/// The first line of `effect` that matches whatever `line` matches, fields aside.
fn covering<'f, 'p>(facts: &'f Facts<'p>, line: &Line<'p>, effect: Effect) -> Option<&'f Line<'p>> {
    for outer in facts.above(line, effect) {
        facts.spend(1)?;
        if facts.covers(outer, line) {
            return Some(outer);
        }
    }
    None
}

fn overruled_by(grant: &Grant, deny: &Line<'_>, findings: &mut Findings<'_>) {
    let deny = deny.grant;
    let message =
        format!("`{}` never holds: `{}` on line {} refuses all that it allows", grant.id, deny.id, deny.line);
    let help = "remove this grant, or narrow the deny line".to_owned();
    findings.about_line(&OVERRULED_GRANT, grant.line, message, help);
}

fn shadowed<'p>(facts: &Facts<'p>, line: &Line<'p>, findings: &mut Findings<'_>) {
    let shadows = |outer: &Line<'p>, inner: &Line<'p>| {
        facts.covers(outer, inner) && keeps_duties(outer.grant, inner.grant) && gives_all(facts, outer, inner)
    };
    for outer in facts.above(line, Effect::Allow) {
        if facts.spend(1).is_none() {
            return;
        }
        // Of two that give the same, the earlier one stays.
        let stays = || outer.order < line.order || !have_same_roles(outer, line) || !shadows(line, outer);
        if shadows(outer, line) && stays() {
            let (grant, outer) = (line.grant, outer.grant);
            let message =
                format!("`{}` on line {} gives all that `{}` gives", outer.id, outer.line, grant.id);
            let help = "remove this line, or narrow the other one".to_owned();
            return findings.about_line(&SHADOWED_GRANT, grant.line, message, help);
        }
    }
}

/// Whether the row duties of `outer` hold down all that those of `inner` do: of all lines that match,
/// the smallest counts.
fn keeps_duties(outer: &Grant, inner: &Grant) -> bool {
    let keeps = |outer: Option<u64>, inner: Option<u64>| {
        inner.is_none_or(|inner| outer.is_some_and(|outer| outer <= inner))
    };
    keeps(outer.scope.rows_per_reply, inner.scope.rows_per_reply)
        && keeps(outer.scope.rows_per_day, inner.scope.rows_per_day)
}

/// Whether `outer`, where both match, gives every field of `inner` so that `inner` changes no treatment,
/// whatever other lines match too.
fn gives_all(facts: &Facts<'_>, outer: &Line<'_>, inner: &Line<'_>) -> bool {
    inner.resources.iter().all(|&number| {
        let Some(place) = facts.spend(SELECTING).and_then(|()| facts.place(number)) else { return false };
        let (out, inn) =
            (place.schema.select(&outer.grant.scope.items), place.schema.select(&inner.grant.scope.items));
        inn.fields.is_within(&out.fields)
            && (out.whole || !inn.fields.is_empty())
            && (inn.treatments.is_empty() || keeps_treatments(&out, &inn, outer.order < inner.order))
    })
}

/// A field leaves clear if any line says so, else by the masker that is named first. So a line's
/// `:clear` is idle beside another one; its masker is idle beside `:clear`, or after another masker.
fn keeps_treatments(outer: &Selection, inner: &Selection, outer_is_first: bool) -> bool {
    inner.fields.iter().all(|leaf| {
        let named = |selection: &Selection, clear: bool| {
            let mut treatments = selection.treatments.iter().filter(|(set, _)| set.contains(leaf));
            treatments.any(|(_, treatment)| !clear || *treatment == Treatment::Clear)
        };
        let (any, clear) = (false, true);
        named(outer, clear)
            || !named(inner, any)
            || (outer_is_first && named(outer, any) && !named(inner, clear))
    })
}

fn idle<'p>(facts: &Facts<'p>, line: &Line<'p>, findings: &mut Findings<'_>) {
    let grant = line.grant;
    let mut wider = None;
    for outer in facts.above(line, Effect::Deny) {
        if facts.spend(1).is_none() {
            return;
        }
        let stays =
            || outer.order < line.order || !have_same_roles(outer, line) || !facts.covers(line, outer);
        if facts.covers(outer, line) && stays() {
            wider = Some(outer);
            break;
        }
    }
    let (message, help) = match wider {
        Some(wider) => {
            let wider = wider.grant;
            let message =
                format!("`{}` on line {} refuses all that `{}` refuses", wider.id, wider.line, grant.id);
            (message, "remove this line, or narrow the other one")
        }
        None => {
            for allow in facts.beside(line) {
                if facts.spend(1).is_none() || facts.meets(line, allow) {
                    return;
                }
            }
            let message = format!("`{}` refuses nothing that any line grants", grant.id);
            (message, "remove this line, or mend it so that it meets the grants it is meant for")
        }
    };
    findings.about_line(&IDLE_DENY, grant.line, message, help.to_owned());
}

/// Whether each of two lines, of which one is above the other, is also above the other way round:
/// roles close no circle.
fn have_same_roles(first: &Line<'_>, second: &Line<'_>) -> bool {
    let (first, second) = (first.grant, second.grant);
    (first.subject_node, first.resource_node) == (second.subject_node, second.resource_node)
}
