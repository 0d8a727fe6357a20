//! Grants that give more than the catalogue is careful with, and fields that it is not careful with.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::facts::{Facts, Line, Sensitive, Standing, is_conditional};
use super::known::{CLEAR_OF_SENSITIVE, UNMASKED_SENSITIVE, WIDE_GRANT};
use super::places::Column;
use super::{Finding, Findings, first_of};
use crate::grant::{Effect, Treatment};
use crate::kernel::id::FieldPath;
use crate::policy::schema::FieldSet;
use crate::policy::scope::{Item, Scope, Selector};
use crate::policy::terms::Purposes;
use crate::policy::vocabulary::Place;

/// Finds wide grants, clear values of level 4, and sensitive fields without a masker.
pub(super) fn find(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    unmasked(facts, findings);
    // Lines of one scope on one theme or resource are alike.
    let mut known: HashMap<(*const Scope, *const u32), Width> = HashMap::new();
    for line in &facts.lines {
        if line.standing == Standing::Live && line.is(Effect::Allow) {
            let key = (std::sync::Arc::as_ptr(&line.grant.scope), line.resources.as_ptr());
            let width = known.entry(key).or_insert_with(|| Width::of(facts, line));
            say(line, width, findings);
        }
    }
}

/// What is wide about a scope on the resources of a line.
#[derive(Debug, Default)]
struct Width {
    /// The fields of level 4 that leave clear, and the item that lets the first of them.
    clear: BTreeSet<FieldPath>,
    clear_at: Range<usize>,
    /// The fields of level 3 and 4 that `*` gives, and where it stands.
    starred: BTreeSet<FieldPath>,
    starred_at: Range<usize>,
    /// A resource that is shared by grant.
    conditional: Option<String>,
}

impl Width {
    fn of(facts: &Facts<'_>, line: &Line<'_>) -> Self {
        let mut width = Self::default();
        for &number in line.resources.iter() {
            let (Some(place), Some(sensitive)) = (facts.place(number), sensitive(facts, number)) else {
                continue;
            };
            if width.conditional.is_none() && is_conditional(place) {
                width.conditional = Some(place.resource.id.to_string());
            }
            if !sensitive.high.is_empty() {
                line.grant.scope.items.iter().for_each(|item| width.add(item, line, place, sensitive));
            }
        }
        width
    }

    fn add(&mut self, item: &Item, line: &Line<'_>, place: &Place, sensitive: &Sensitive) {
        let Some(fields) = place.schema.named(&item.selector.to_string()) else { return };
        if item.selector == Selector::All && !matches!(item.treatment, Some(Treatment::Masked(_))) {
            if self.starred.is_empty() {
                self.starred_at = item.at.clone();
            }
            self.starred.extend(place.schema.paths(&sensitive.high).cloned());
        }
        if matches!(item.treatment, Some(Treatment::Masked(_))) || !fields.intersects(&sensitive.highest) {
            return;
        }
        let clear = leaving_clear(item, fields, &line.grant.scope, place, sensitive);
        if self.clear.is_empty() && !clear.is_empty() {
            self.clear_at = item.at.clone();
        }
        self.clear.extend(place.schema.paths(&clear).cloned());
    }
}

fn sensitive<'f>(facts: &'f Facts<'_>, number: u32) -> Option<&'f Sensitive> {
    facts.sensitive.get(usize::try_from(number).ok()?)
}

/// The fields of level 4 in `fields` that `item` lets leave clear: it says so, or nobody names a masker.
fn leaving_clear(
    item: &Item,
    fields: &FieldSet,
    scope: &Scope,
    place: &Place,
    sensitive: &Sensitive,
) -> FieldSet {
    let treatments = place.schema.select(&scope.items).treatments;
    let mut clear = place.schema.none();
    for leaf in fields.iter() {
        let is_bare =
            || sensitive.unmasked.contains(leaf) && !treatments.iter().any(|(named, _)| named.contains(leaf));
        if sensitive.highest.contains(leaf) && (item.treatment == Some(Treatment::Clear) || is_bare()) {
            clear.add(leaf);
        }
    }
    clear
}

fn say(line: &Line<'_>, width: &Width, findings: &mut Findings<'_>) {
    let (grant, grants) = (line.grant, findings.places.sources.grants);
    if !width.clear.is_empty() {
        let fields = first_of(width.clear.iter().map(FieldPath::as_str));
        findings.add(&CLEAR_OF_SENSITIVE, grants, |places| Finding {
            span: places.cell(grant.line, Column::Scope, Some(&width.clear_at)),
            message: format!("`{}` lets {fields}, of level 4, leave unmasked", grant.id),
            help: "name a masker, or leave `:clear` out, unless the approval covers the clear value"
                .to_owned(),
        });
    }
    if !width.starred.is_empty() {
        let fields = first_of(width.starred.iter().map(FieldPath::as_str));
        findings.add(&WIDE_GRANT, grants, |places| Finding {
            span: places.cell(grant.line, Column::Scope, Some(&width.starred_at)),
            message: format!("`{}` grants all fields, of them sensitive: {fields}", grant.id),
            help: "name the fields that the approval names".to_owned(),
        });
    }
    if grant.purposes == Purposes::All
        && let Some(resource) = &width.conditional
    {
        findings.add(&WIDE_GRANT, grants, |places| Finding {
            span: places.cell(grant.line, Column::Purpose, None),
            message: format!("`{}` grants `{resource}`, a conditional resource, for every purpose", grant.id),
            help: "name the purpose that the approval names, or a prefix such as `social-aid.*`".to_owned(),
        });
    }
}

/// Fields of level 3 and 4 of shared resources that leave as they are unless a grant says otherwise.
fn unmasked(facts: &Facts<'_>, findings: &mut Findings<'_>) {
    for (place, sensitive) in facts.vocabulary.places.iter().zip(&facts.sensitive) {
        if !place.is_shared || !sensitive.high.intersects(&sensitive.unmasked) {
            continue;
        }
        let unmasked: BTreeSet<&FieldPath> = place.schema.paths(&sensitive.unmasked).collect();
        for path in place.schema.paths(&sensitive.high).filter(|path| unmasked.contains(path)) {
            let (id, catalog) = (&place.resource.id, findings.places.sources.catalog);
            let level = place.resource.field(path.as_str()).map_or(4, |field| field.level.get());
            findings.add(&UNMASKED_SENSITIVE, catalog, |places| Finding {
                span: places.field(id.as_str(), path.as_str()),
                message: format!("`{path}` of `{id}` is of level {level} and has no masker"),
                help: "give it a `mask`; a grant that needs the value says `:clear`".to_owned(),
            });
        }
    }
}
