//! Keyed pseudonyms (基于密码技术的标识符派生假名, GB/T 37964-2019 annex A.4).
//!
//! HMAC-SHA-256 (RFC 2104) under a key that is derived for one consuming department and one field,
//! so that departments cannot join what they were given separately. Truncated to 128 bits and
//! written with the label of the secret, so that a rotated secret is seen. Base 32 (RFC 4648), in
//! lower case, survives systems that fold case and needs no escaping anywhere.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;

use crate::kernel::id::{DepartmentId, FieldPath, KeyLabel, ResourceId};
use crate::kernel::secret::Secret;

use super::notation::Notation;

/// How many bytes of the HMAC a pseudonym shows: 128 bits, never fewer.
const SHOWN_BYTES: usize = 16;
/// What [`SHOWN_BYTES`] are in base 32 without padding.
const SHOWN_CHARACTERS: usize = 26;

/// What pseudonyms are derived from: a secret and for whom.
#[derive(Debug, Clone, Copy)]
pub struct PseudonymKey<'a> {
    /// The secret.
    pub secret: &'a Secret,
    /// Which secret it is: what stands before the `:` in every pseudonym.
    pub label: &'a KeyLabel,
    /// The department that will see the pseudonyms.
    pub department: &'a DepartmentId,
    /// The resource whose fields are masked.
    pub resource: &'a ResourceId,
}

impl PseudonymKey<'_> {
    /// The key for the pseudonyms of one field, or for those of all fields of this department that share
    /// the name `join`.
    pub(super) fn fit(&self, field: &FieldPath, join: Option<&str>) -> FittedPseudonym {
        let derived = match join {
            Some(join) => self.derive(["pinegate pseudonym 1 joined", self.department.as_str(), join, ""]),
            None => self.derive([
                "pinegate pseudonym 1 field",
                self.department.as_str(),
                self.resource.as_str(),
                field.as_str(),
            ]),
        };
        FittedPseudonym { key: hmac::Key::new(hmac::HMAC_SHA256, &derived), label: self.label.clone() }
    }

    /// The same for format-preserving encryption of the form that is called `form`.
    pub(super) fn cipher_key(&self, form: &str, field: &FieldPath, join: Option<&str>) -> [u8; 32] {
        let department = self.department.as_str();
        match join {
            Some(join) => self.derive(["pinegate cipher 1 joined", form, department, join]),
            None => self.derive([
                "pinegate cipher 1 field",
                form,
                department,
                self.resource.as_str(),
                field.as_str(),
            ]),
        }
    }

    /// HMAC of the parts under the secret. Each part is preceded by its length, so that no two choices
    /// of parts give one input.
    fn derive<const PARTS: usize>(&self, parts: [&str; PARTS]) -> [u8; 32] {
        let mut input = Vec::new();
        for part in parts {
            input.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            input.extend_from_slice(part.as_bytes());
        }
        let root = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose());
        let mut derived = [0; 32];
        derived.copy_from_slice(hmac::sign(&root, &input).as_ref());
        derived
    }
}

/// Makes the pseudonyms of one field for one department.
#[derive(Debug)]
pub(super) struct FittedPseudonym {
    key: hmac::Key,
    label: KeyLabel,
}

impl FittedPseudonym {
    /// Writes the pseudonym of `value`, such as `h1:k5vp…`.
    pub(super) fn write<N: Notation>(&self, value: &[u8], out: &mut Vec<u8>) {
        let tag = hmac::sign(&self.key, value);
        let mut shown = [0; SHOWN_CHARACTERS];
        let bytes = tag.as_ref().get(..SHOWN_BYTES).unwrap_or_default();
        BASE32_NOPAD.encode_mut(bytes, &mut shown);
        shown.make_ascii_lowercase();
        N::open(out);
        N::plain(self.label.as_str().as_bytes(), out);
        N::text(":", out);
        N::plain(&shown, out);
        N::close(out);
    }
}
