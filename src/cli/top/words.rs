//! Numbers as people read them.

use std::time::Duration;

use super::figures::Quantile;

/// What stands where nothing is known.
const UNKNOWN: &str = "–";

/// So many each second.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => UNKNOWN.to_owned(),
        Some(rate) if rate <= 0.0 => "0".to_owned(),
        Some(rate) if rate < 0.01 => "<0.01".to_owned(),
        Some(rate) if rate < 10.0 => format!("{rate:.2}"),
        Some(rate) if rate < 100.0 => format!("{rate:.1}"),
        Some(rate) => count(rate),
    }
}

/// A number of things: with its thousands apart, in short from a hundred million on.
pub(super) fn count(count: f64) -> String {
    if count >= 1e14 {
        return format!("{count:.1e}");
    }
    if count >= 1e8 {
        return format!("{:.1} M", count / 1e6);
    }
    let digits = format!("{:.0}", count.max(0.0));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time that something took.
pub(super) fn took(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.01 => format!("{:.2} ms", s * 1e3),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.2} s"),
        s => format!("{s:.0} s"),
    }
}

/// Where a share of observations lies.
pub(super) fn quantile(quantile: Option<Quantile>) -> String {
    match quantile {
        None => UNKNOWN.to_owned(),
        Some(Quantile::At(seconds)) => took(seconds),
        Some(Quantile::Beyond(seconds)) => format!(">{}", took(seconds)),
    }
}

/// A length of time of days, hours or minutes, rounded down.
pub(super) fn span(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    match seconds.max(0.0) {
        s if s >= 2.0 * DAY => format!("{:.0} d", (s / DAY).floor()),
        s if s >= HOUR => format!("{:.0} h {:02.0} min", (s / HOUR).floor(), (s % HOUR / MINUTE).floor()),
        s if s >= MINUTE => format!("{:.0} min", (s / MINUTE).floor()),
        s => format!("{:.0} s", s.floor()),
    }
}

/// An interval that somebody has given.
pub(super) fn interval(interval: Duration) -> String {
    if interval.subsec_millis() == 0 {
        return format!("{} s", interval.as_secs());
    }
    format!("{:.1} s", interval.as_secs_f64())
}

/// A number of bytes.
pub(super) fn bytes(bytes: f64) -> String {
    let mut scaled = bytes.max(0.0);
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1024.0 {
            return if unit == "B" { format!("{scaled:.0} B") } else { format!("{scaled:.1} {unit}") };
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (given, shown) in [(0.0, "0"), (999.4, "999"), (1_234_567.0, "1,234,567"), (2.5e9, "2500.0 M")] {
            assert_eq!(count(given), shown);
        }
        for (given, shown) in [
            (None, "–"),
            (Some(0.001), "<0.01"),
            (Some(0.5), "0.50"),
            (Some(12.34), "12.3"),
            (Some(1e4), "10,000"),
        ] {
            assert_eq!(rate(given), shown);
        }
        for (given, shown) in [
            (0.000_05, "50 µs"),
            (0.001_5, "1.50 ms"),
            (0.025, "25.0 ms"),
            (0.25, "250 ms"),
            (2.5, "2.50 s"),
            (30.0, "30 s"),
        ] {
            assert_eq!(took(given), shown);
        }
        assert_eq!(quantile(Some(Quantile::Beyond(30.0))), ">30 s");
        for (given, shown) in [
            (-5.0, "0 s"),
            (59.9, "59 s"),
            (3_599.0, "59 min"),
            (100_000.0, "27 h 46 min"),
            (172_800.0, "2 d"),
        ] {
            assert_eq!(span(given), shown);
        }
        assert_eq!(
            (bytes(512.0), bytes(1536.0), bytes(1.1e12)),
            ("512 B".into(), "1.5 KiB".into(), "1.0 TiB".into())
        );
    }
}
