//! Bounds with units: sizes in bytes and lengths of time, read from texts such as `"16KiB"` and
//! `"250ms"`.

use std::fmt;
use std::time::Duration;

/// A size bound in bytes, never zero: zero is not a way to say "off".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteLimit(std::num::NonZeroU64);

/// Why a text is not a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct BoundError {
    /// What would be right.
    pub expected: &'static str,
}

impl ByteLimit {
    /// `n` bytes; at least one.
    #[must_use]
    pub const fn bytes(n: u64) -> Self {
        match std::num::NonZeroU64::new(n) {
            Some(n) => Self(n),
            None => Self(std::num::NonZeroU64::MIN),
        }
    }

    /// Reads `"1024"`, `"16KiB"`, `"1MiB"` or `"2GiB"`.
    ///
    /// # Errors
    /// When `text` is anything else, zero, or beyond 64 bits.
    pub fn parse(text: &str) -> Result<Self, BoundError> {
        const ERROR: BoundError =
            BoundError { expected: "a size such as `64KiB`, `1MiB` or `2GiB`, above zero" };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(ERROR)?;
        let unit: u64 = match unit.trim_start() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(ERROR),
        };
        let number: u64 = number.parse().map_err(|_| ERROR)?;
        number.checked_mul(unit).and_then(std::num::NonZeroU64::new).map(Self).ok_or(ERROR)
    }

    /// The bound in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The bound in bytes as a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0.get()).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.get();
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if n.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", n >> shift);
            }
        }
        write!(f, "{n}B")
    }
}

/// Reads a length of time: `"250ms"`, `"30s"`, `"5m"`, `"24h"` or `"1095d"`; above zero.
///
/// # Errors
/// When `text` is anything else.
pub fn parse_duration(text: &str) -> Result<Duration, BoundError> {
    const ERROR: BoundError =
        BoundError { expected: "a length of time such as `250ms`, `30s`, `5m`, `24h` or `180d`, above zero" };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(ERROR)?;
    let unit_ms: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(ERROR),
    };
    let number: u64 = number.parse().map_err(|_| ERROR)?;
    match number.checked_mul(unit_ms) {
        Some(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(ERROR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(ByteLimit::parse("64KiB").map(ByteLimit::get), Ok(65_536));
        assert_eq!(ByteLimit::parse("1 MiB").map(|limit| limit.to_string()), Ok("1MiB".to_owned()));
        for bad in ["", "0", "0KiB", "-1", "1KB", "1.5MiB", "KiB", "99999999999999999999"] {
            assert!(ByteLimit::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("180d"), Ok(Duration::from_secs(180 * 86_400)));
        for bad in ["", "0s", "5", "s", "1.5s", "-1s", "1w"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }
}
