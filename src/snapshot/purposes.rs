//! `purposes.toml`: the purposes that data may be wanted for (使用用途/应用场景).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reference::Declared;
use crate::catalog::Purpose;
use crate::document::Document;
use crate::kernel::diagnostic::{Report, Source};
use crate::kernel::id::PurposeCode;

/// Reads `purposes.toml`.
pub(super) fn read(source: &Source) -> (BTreeMap<PurposeCode, Arc<Purpose>>, Report) {
    let document = Document::parse(source);
    let root = document.root();
    let mut declared = Declared::new("a purpose");
    let mut purposes = BTreeMap::new();
    for table in root.tables("purpose") {
        let code = table.required("code", "such as `social-aid.eligibility`", PurposeCode::parse);
        let label = table.required_text("label", "the purpose's name for people");
        let legal_basis = table.required_text("legal_basis", "the law or decision it rests on");
        table.finish();
        let Some(code) = code else { continue };
        if !declared.declare(&document, &code) {
            continue;
        }
        if let (Some(label), Some(legal_basis)) = (label, legal_basis) {
            let code = code.value;
            let purpose = Purpose { code: code.clone(), label: label.value, legal_basis: legal_basis.value };
            purposes.insert(code, Arc::new(purpose));
        }
    }
    root.finish();
    (purposes, document.into_report())
}
