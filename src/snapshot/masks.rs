//! `masks.toml`: named maskers (脱敏规则). What a method and its parameters mean is decided in
//! `mask`; here they are plain texts with their places.

use super::reference::Declared;
use crate::document::{At, Document};
use crate::kernel::diagnostic::{Report, Source};
use crate::kernel::id::MaskerName;

/// One masker as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskerDefinition {
    /// Its name, used in the catalogue and in scopes.
    pub name: At<MaskerName>,
    /// Its method.
    pub method: At<String>,
    /// The method's parameters, as texts, in file order.
    pub parameters: Vec<(At<String>, At<String>)>,
}

/// Reads `masks.toml`.
pub(super) fn read(source: &Source) -> (Vec<MaskerDefinition>, Declared<MaskerName>, Report) {
    let document = Document::parse(source);
    let root = document.root();
    let mut declared = Declared::new("a masker");
    let mut maskers = Vec::new();
    for table in root.tables("masker") {
        let name = table.required("name", "such as `mobile`", MaskerName::parse);
        let method = table.required_text("method", "how it masks, such as `mobile` or `keep-last`");
        let parameters = table.other_scalars();
        table.finish();
        let Some(name) = name else { continue };
        if name.value.as_str() == "clear" {
            document.error(
                "reserved-name",
                name.span,
                "a masker cannot be called `clear`",
                "in a scope `:clear` means no masker at all; choose another name",
            );
            continue;
        }
        if declared.declare(&document, &name)
            && let Some(method) = method
        {
            maskers.push(MaskerDefinition { name, method, parameters });
        }
    }
    root.finish();
    (maskers, declared, document.into_report())
}
