//! Words that are declared and that nothing names.

use std::collections::HashSet;

use super::facts::Facts;
use super::known::{Lint, UNUSED_GROUP, UNUSED_MASKER, UNUSED_PURPOSE, UNUSED_THEME};
use super::{Finding, Findings};
use crate::catalog::Catalog;
use crate::grant::Treatment;
use crate::policy::csv::Section;
use crate::policy::roles::{Node, Roles};
use crate::policy::scope::Scope;
use crate::policy::terms::Purposes;
use crate::policy::vocabulary::EVERYONE;

/// Finds maskers, purposes, groups and themes that nothing names.
pub(super) fn find(facts: &Facts<'_>, catalog: &Catalog, findings: &mut Findings<'_>) {
    maskers(facts, catalog, findings);
    purposes(facts, findings);
    let subjects: HashSet<Node> = facts.lines.iter().map(|line| line.grant.subject_node).collect();
    let groups = RoleKind { prefix: "group:", section: Section::G, lint: &UNUSED_GROUP, word: "given to" };
    groups.find(&facts.vocabulary.subjects, &subjects, findings);
    let resources: HashSet<Node> = facts.lines.iter().map(|line| line.grant.resource_node).collect();
    let themes = RoleKind { prefix: "theme:", section: Section::G2, lint: &UNUSED_THEME, word: "given of" };
    themes.find(&facts.vocabulary.themes, &resources, findings);
}

fn maskers(facts: &Facts<'_>, catalog: &Catalog, findings: &mut Findings<'_>) {
    let fields = catalog.resources.values().flat_map(|resource| &resource.fields);
    let mut used: HashSet<&str> = fields.filter_map(|field| Some(field.mask.as_ref()?.as_str())).collect();
    let mut seen: HashSet<*const Scope> = HashSet::new();
    for scope in facts.lines.iter().map(|line| &line.grant.scope) {
        if seen.insert(std::sync::Arc::as_ptr(scope)) {
            used.extend(scope.items.iter().filter_map(|item| match &item.treatment {
                Some(Treatment::Masked(masker)) => Some(masker.as_str()),
                Some(Treatment::Clear) | None => None,
            }));
        }
    }
    let source = findings.places.sources.masks;
    let mut maskers: Vec<_> = findings.places.maskers().into_iter().collect();
    maskers.sort_by_key(|(_, span)| span.start);
    for (name, span) in maskers.into_iter().filter(|(name, _)| !used.contains(name.as_str())) {
        findings.add(&UNUSED_MASKER, source, |_| Finding {
            span,
            message: format!("neither the catalogue nor a grant names the masker `{name}`"),
            help: "remove it, or use it".to_owned(),
        });
    }
}

fn purposes(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    let mut named: HashSet<u32> = HashSet::new();
    let mut seen: HashSet<&Purposes> = HashSet::new();
    for line in facts.lines.iter().filter(|line| line.grant.purposes != Purposes::All) {
        if seen.insert(&line.grant.purposes) {
            named.extend(line.purposes.clone());
        }
    }
    let source = findings.places.sources.purposes;
    for (number, code) in (0..).zip(&facts.vocabulary.purposes) {
        if !named.contains(&number) {
            findings.add(&UNUSED_PURPOSE, source, |places| Finding {
                span: places.purpose(code.as_str()),
                message: format!("no grant names the purpose `{code}`, itself or by a prefix"),
                help: "add the grants it is for, or remove it".to_owned(),
            });
        }
    }
}

/// Groups, or themes.
struct RoleKind {
    prefix: &'static str,
    section: Section,
    lint: &'static Lint,
    word: &'static str,
}

impl RoleKind {
    fn find(&self, roles: &Roles, named: &HashSet<Node>, findings: &mut Findings<'_>) {
        let is_own = |name: &&str| name.starts_with(self.prefix) && *name != EVERYONE;
        let everyone = roles.find(EVERYONE);
        for name in roles.names().filter(is_own) {
            let Some(node) = roles.find(name) else { continue };
            let is_named = |role: &Node| Some(*role) != everyone && named.contains(role);
            if !roles.closure(node).iter().any(is_named) {
                let source = findings.places.sources.grants;
                findings.add(self.lint, source, |places| Finding {
                    span: places.role(self.section, name),
                    message: format!("nothing is {} `{name}`", self.word),
                    help: "add the grants it is for, or remove its lines".to_owned(),
                });
            }
        }
    }
}
