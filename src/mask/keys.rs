//! The secrets of keyed maskers, one after another: a rotation is planned by a date and seen by a label.

use crate::kernel::id::KeyLabel;
use crate::kernel::secret::Secret;
use crate::kernel::time::Timestamp;

/// A secret, what it is called, and from when it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedSecret {
    /// What stands before every pseudonym that is made from it.
    pub label: KeyLabel,
    /// The secret.
    pub secret: Secret,
    /// When its time begins; `None` for what was used before all others.
    pub from: Option<Timestamp>,
}

/// Why a secret cannot stand beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// It is too short.
    #[error("a key of at least {} bytes", PseudonymKeys::MIN_SECRET_BYTES)]
    Short,
    /// Its label is another's.
    #[error("a label of its own: pseudonyms of two keys could not be told apart")]
    SameLabel,
    /// Its time begins when another's does.
    #[error("a time of its own from which it is used; one key may have none, and is the first")]
    SameTime,
    /// It is another's secret: nothing would be rotated.
    #[error("a key that is not another one's, or nothing would change with it")]
    SameSecret,
}

/// The secrets of keyed maskers, of which at most one is used at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PseudonymKeys {
    /// INVARIANT: in ascending order of `from`, no two of which are equal.
    keys: Vec<DatedSecret>,
}

impl PseudonymKeys {
    /// The shortest secret, in bytes: the output length of its hash (RFC 2104, section 3).
    pub const MIN_SECRET_BYTES: usize = 32;

    /// One secret that is used at all times.
    ///
    /// # Errors
    /// When it is too short.
    pub fn single(secret: Secret) -> Result<Self, KeysError> {
        let mut keys = Self::default();
        keys.add(DatedSecret { label: KeyLabel::default(), secret, from: None })?;
        Ok(keys)
    }

    /// Adds a secret.
    ///
    /// # Errors
    /// When it is too short, or its label, time or bytes are those of another.
    pub fn add(&mut self, key: DatedSecret) -> Result<(), KeysError> {
        if key.secret.expose().len() < Self::MIN_SECRET_BYTES {
            return Err(KeysError::Short);
        }
        for other in &self.keys {
            if other.label == key.label {
                return Err(KeysError::SameLabel);
            }
            if other.from == key.from {
                return Err(KeysError::SameTime);
            }
            if other.secret == key.secret {
                return Err(KeysError::SameSecret);
            }
        }
        let place = self.keys.partition_point(|known| known.from < key.from);
        self.keys.insert(place, key);
        Ok(())
    }

    /// The secret that is used at `now`, the latest whose time has begun, and its place among all.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Option<(usize, &DatedSecret)> {
        let begun = self.keys.partition_point(|key| key.from.is_none_or(|from| from <= now));
        let place = begun.checked_sub(1)?;
        Some((place, self.keys.get(place)?))
    }

    /// When the first secret is used from, if none is used before.
    #[must_use]
    pub fn begin(&self) -> Option<Timestamp> {
        self.keys.first()?.from
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(label: &str, byte: u8, from: Option<&str>) -> DatedSecret {
        DatedSecret {
            label: KeyLabel::parse(label).unwrap(),
            secret: Secret::new([byte; 32]),
            from: from.map(|from| from.parse().unwrap()),
        }
    }

    #[test]
    fn the_latest_that_has_begun_is_used() {
        let mut keys = PseudonymKeys::default();
        assert_eq!(keys.at(Timestamp::MAX), None);
        for (label, byte, from) in [
            ("h3", 3, Some("2028-01-01T00:00:00Z")),
            ("h1", 1, None),
            ("h2", 2, Some("2027-01-01T00:00:00Z")),
        ] {
            assert_eq!(keys.add(key(label, byte, from)), Ok(()));
        }
        for (now, place, label) in [
            ("2026-12-31T23:59:59.999Z", 0, "h1"),
            ("2027-01-01T00:00:00Z", 1, "h2"),
            ("2027-12-31T23:59:59Z", 1, "h2"),
            ("2028-01-01T00:00:00Z", 2, "h3"),
            ("9999-12-30T00:00:00Z", 2, "h3"),
        ] {
            let (at, used) = keys.at(now.parse().unwrap()).unwrap();
            assert_eq!((at, used.label.as_str()), (place, label), "{now}");
        }
        assert_eq!(keys.begin(), None);
    }

    #[test]
    fn before_the_first_there_is_none() {
        let mut keys = PseudonymKeys::default();
        keys.add(key("h1", 1, Some("2027-01-01T00:00:00Z"))).unwrap();
        assert_eq!(keys.at("2026-12-31T23:59:59Z".parse().unwrap()), None);
        assert_eq!(keys.begin(), Some("2027-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn no_two_are_alike() {
        let mut keys = PseudonymKeys::default();
        keys.add(key("h1", 1, None)).unwrap();
        let later = Some("2027-01-01T00:00:00Z");
        assert_eq!(keys.add(key("h1", 2, later)), Err(KeysError::SameLabel));
        assert_eq!(keys.add(key("h2", 2, None)), Err(KeysError::SameTime));
        assert_eq!(keys.add(key("h2", 1, later)), Err(KeysError::SameSecret));
        let short = DatedSecret { secret: Secret::new([1; 31]), ..key("h2", 2, later) };
        assert_eq!(keys.add(short), Err(KeysError::Short));
        assert_eq!(format!("{keys:?}").matches("***").count(), 1, "a secret is not shown");
    }
}
