//! What a client accepts: `Accept-Encoding` (RFC 9110, section 12.5.3).

use super::Coding;

/// A quality value in thousandths.
type Quality = u16;

/// The codings that a client accepts, and how much it likes them.
///
/// A field that is malformed anywhere accepts nothing, and so does one that is not there: what is not asked
/// for is not coded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// In the order of [`Coding::ALL`].
    codings: [Quality; 3],
    /// How much it likes a body without a coding, if it says so.
    plain: Quality,
}

impl Accepted {
    /// Reads the values of `Accept-Encoding`.
    pub fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let (mut named, mut any, mut plain) = ([None; 3], None, None);
        for item in values.into_iter().flat_map(|value| value.split(',')).map(trimmed) {
            if item.is_empty() {
                continue;
            }
            let (name, quality) = match item.split_once(';') {
                None => (item, Some(1_000)),
                Some((name, weight)) => (trimmed(name), quality(trimmed(weight))),
            };
            let Some(quality) = quality else { return Self::default() };
            if name.is_empty() || !name.bytes().all(is_token_byte) {
                return Self::default();
            }
            let known = Coding::parse(name).ok();
            let place = match known.and_then(position).and_then(|at| named.get_mut(at)) {
                Some(place) => place,
                None if name == "*" => &mut any,
                None if name.eq_ignore_ascii_case("identity") => &mut plain,
                None => continue,
            };
            // What is said twice counts as the lesser.
            *place = Some(place.map_or(quality, |before: Quality| before.min(quality)));
        }
        let codings = named.map(|quality| quality.or(any).unwrap_or(0));
        Self { codings, plain: plain.unwrap_or(0) }
    }

    /// Whether a body in `coding` is acceptable.
    #[must_use]
    pub fn accepts(&self, coding: Coding) -> bool {
        self.quality(coding) > 0
    }

    /// The coding that the client likes best, and the cheapest of those it likes the same; none if it
    /// likes a plain body better, or accepts none.
    #[must_use]
    pub fn best(&self) -> Option<Coding> {
        let mut best = None;
        for coding in Coding::ALL {
            let quality = self.quality(coding);
            if quality > best.map_or(0, |(_, quality)| quality) {
                best = Some((coding, quality));
            }
        }
        best.filter(|(_, quality)| *quality >= self.plain).map(|(coding, _)| coding)
    }

    fn quality(&self, coding: Coding) -> Quality {
        position(coding).and_then(|at| self.codings.get(at)).copied().unwrap_or(0)
    }
}

fn position(coding: Coding) -> Option<usize> {
    Coding::ALL.iter().position(|known| *known == coding)
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads `q=0.5` (RFC 9110, section 12.4.2).
fn quality(weight: &str) -> Option<Quality> {
    let value = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: Quality = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}
