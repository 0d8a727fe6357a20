//! Values that must not be shown.

use std::fmt;

/// A secret: keys, tokens, passwords. It prints as `***` and compares in constant time.
///
/// The bytes are reachable only through [`Secret::expose`], so every use is found by one search.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes ownership of the secret bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(&*self.0, &*other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows() {
        let secret = Secret::new(*b"hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret, Secret::new(*b"hunter2"));
        assert_ne!(secret, Secret::new(*b"hunter3"));
        assert_ne!(secret, Secret::new(*b"hunter"));
    }
}
