//! `masks.toml`: named maskers (脱敏规则). What a method and its parameters mean is decided in
//! `mask`; here they are plain texts with their places.
//!
//! The name of the profile of DB34/T 4631.2, a standard of the province, is reserved: whoever relies on
//! that name relies on the text of the standard, against which no masker was verified.

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

/// The profile that exists by name alone.
const RESERVED_PROFILE: &str = "db34-4631.2";

/// Why it cannot be used.
const NOT_CLAIMED: &str = "it is reserved for DB34/T 4631.2 and not claimed until the maskers are verified against the text of the standard; name the method of each masker instead";

/// Whether `text` is a way to write the name of the reserved profile.
fn is_reserved_profile(text: &str) -> bool {
    let letters: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_lowercase();
    ["db344631", "db34t4631"].iter().any(|name| letters.starts_with(name))
}

/// Reads `masks.toml`.
pub(super) fn read(source: &Source) -> (Vec<MaskerDefinition>, Declared<MaskerName>, Report) {
    let document = Document::parse(source);
    let root = document.root();
    let mut declared = Declared::new("a masker");
    let mut maskers = Vec::new();
    if let Some(profile) = root.text("profile") {
        if is_reserved_profile(profile.value) {
            let message = format!("the profile `{}` cannot be used", profile.value);
            document.error("reserved-name", profile.span, message, NOT_CLAIMED);
        } else {
            let message = format!("there is no profile `{}`", profile.value);
            let help = format!("remove `profile`: there is none yet, `{RESERVED_PROFILE}` is reserved");
            document.error("unknown-profile", profile.span, message, help);
        }
    }
    for table in root.tables("masker") {
        let reserved = table.text("name").filter(|name| is_reserved_profile(name.value));
        if let Some(name) = reserved {
            let message = format!("a masker cannot be called `{}`", name.value);
            document.error("reserved-name", name.span, message, NOT_CLAIMED);
            continue;
        }
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
