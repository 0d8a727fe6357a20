//! Systems that no grant reaches, resources and actions that nobody has.

use std::collections::{BTreeSet, HashSet};

use super::facts::{Facts, Line, Standing, Systems};
use super::known::{
    ACTION_WITHOUT_GRANTS, RESOURCE_WITHOUT_GRANTS, SYSTEM_WITHOUT_GRANTS, SYSTEM_WITHOUT_OWN_GRANTS,
};
use super::{Finding, Findings};
use crate::catalog::Catalog;
use crate::grant::Effect;
use crate::policy::vocabulary::EVERYONE;

/// Finds what no grant reaches that holds, or will hold, and that is not always refused.
pub(super) fn find(
    facts: &Facts<'_>,
    overruled: &BTreeSet<usize>,
    catalog: &Catalog,
    findings: &mut Findings<'_>,
) {
    let holds = |line: &&Line<'_>| {
        line.standing == Standing::Live && line.is(Effect::Allow) && !overruled.contains(&line.order)
    };
    systems(facts, facts.lines.iter().filter(holds), catalog, findings);
    resources(facts, facts.lines.iter().filter(holds), findings);
}

fn systems<'f, 'p: 'f>(
    facts: &'f Facts<'p>,
    lines: impl Iterator<Item = &'f Line<'p>>,
    catalog: &Catalog,
    findings: &mut Findings<'_>,
) {
    let (mut reached, mut own) = (Systems::default(), Systems::default());
    let mut seen = HashSet::new();
    for line in lines.filter(|line| seen.insert(line.grant.subject_node)) {
        let Some(systems) = facts.systems_of(line) else { continue };
        reached.extend(systems);
        if *line.grant.subject != *EVERYONE {
            own.extend(systems);
        }
    }
    let registry = findings.places.sources.registry;
    for (number, id) in facts.systems.iter().enumerate() {
        let department = catalog.registry.systems.get(*id).map(|system| system.department.as_str());
        let department = department.unwrap_or_default();
        if !reached.contains(number) {
            findings.add(&SYSTEM_WITHOUT_GRANTS, registry, |places| Finding {
                span: places.system(id.as_str()),
                message: format!(
                    "no grant reaches `{id}`, neither by itself nor through `{department}` or a group"
                ),
                help: "add its grants, or set `enabled = false`".to_owned(),
            });
        } else if !own.contains(number) {
            findings.add(&SYSTEM_WITHOUT_OWN_GRANTS, registry, |places| Finding {
                span: places.system(id.as_str()),
                message: format!("`{id}` has only what every system has"),
                help: "if that is not meant so, add its grants, or set `enabled = false`".to_owned(),
            });
        }
    }
}

fn resources<'f, 'p: 'f>(
    facts: &'f Facts<'p>,
    lines: impl Iterator<Item = &'f Line<'p>>,
    findings: &mut Findings<'_>,
) {
    let mut used: HashSet<(u32, u16)> = HashSet::new();
    let mut seen = HashSet::new();
    // Lines that reach the same resources by the same action share the list of them.
    for line in lines.filter(|line| seen.insert(line.resources.as_ptr())) {
        let action = line.grant.action.as_ref().and_then(|action| facts.vocabulary.action(action));
        for &number in line.resources.iter() {
            match (action, facts.place(number)) {
                (Some(action), _) => _ = used.insert((number, action)),
                (None, Some(place)) => used.extend(place.actions.iter().map(|&action| (number, action))),
                (None, None) => {}
            }
        }
    }
    let catalog = findings.places.sources.catalog;
    for (number, place) in (0..).zip(&facts.vocabulary.places) {
        if !place.is_shared || place.actions.is_empty() {
            continue;
        }
        let id = &place.resource.id;
        let unused: Vec<&str> = place
            .resource
            .actions
            .iter()
            .filter(|action| facts.vocabulary.action(action).is_some_and(|it| !used.contains(&(number, it))))
            .map(crate::kernel::id::Action::as_str)
            .collect();
        if unused.len() == place.resource.actions.len() {
            findings.add(&RESOURCE_WITHOUT_GRANTS, catalog, |places| Finding {
                span: places.resource(id.as_str()),
                message: format!("no enabled system may use `{id}`"),
                help: "add its grants, or set `sharing = \"none\"`".to_owned(),
            });
        } else if !unused.is_empty() {
            let words = unused.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            findings.add(&ACTION_WITHOUT_GRANTS, catalog, |places| Finding {
                span: places.resource(id.as_str()),
                message: format!("no enabled system may {words} `{id}`"),
                help: "if somebody should, add the grants; else leave the word out of `mode`".to_owned(),
            });
        }
    }
}
