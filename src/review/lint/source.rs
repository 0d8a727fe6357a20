//! One element, one source (一数一源).
//!
//! The catalogue has no number for a data element. Two fields are taken for the same one where the
//! last word of their paths and their labels are the same: `holder.name` 持证人姓名 is another thing than
//! `name` 姓名, and `id_card` 居民身份号码 is the same wherever it stands.

use std::collections::BTreeMap;

use super::known::CONFLICTING_SOURCES;
use super::{Finding, Findings};
use crate::catalog::{Catalog, Field, Resource};

/// Finds elements whose fields name different sources.
pub(super) fn find(catalog: &Catalog, findings: &mut Findings<'_>) {
    let mut elements: BTreeMap<(&str, &str), (&Resource, &Field)> = BTreeMap::new();
    let source = findings.places.sources.catalog;
    for resource in catalog.resources.values() {
        for field in resource.fields.iter().filter(|field| field.source.is_some()) {
            let name = field.path.names().last().unwrap_or_default();
            let (other, first) = *elements.entry((name, &field.label)).or_insert((resource, field));
            let (Some(own), Some(named)) = (&field.source, &first.source) else { continue };
            if own != named {
                findings.add(&CONFLICTING_SOURCES, source, |places| Finding {
                    span: places.field(resource.id.as_str(), field.path.as_str()),
                    message: format!(
                        "`{}` {} of `{}` comes from `{own}`, and from `{named}` as `{}` of `{}`",
                        field.path, field.label, resource.id, first.path, other.id
                    ),
                    help: "agree on one authoritative source (一数一源), or label them as the different things they are"
                        .to_owned(),
                });
            }
        }
    }
}
