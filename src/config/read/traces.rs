//! `[traces]`.

use std::time::Duration;

use super::audit::{any_url, is_loopback};
use super::{Reader, duration};
use crate::config::traces::TraceSettings;
use crate::document::Table;

/// How much is sampled unless the configuration says otherwise: one request of a hundred.
const SAMPLE: u32 = 10_000;

impl<'d, 's> Reader<'d, 's> {
    pub(super) fn traces(&self, table: Table<'d, 's>) -> Option<TraceSettings> {
        let endpoint = table.required(
            "endpoint",
            "the base URL of a collector, such as `http://127.0.0.1:4318`",
            any_url,
        );
        let ca = self.authorities(&table, endpoint.as_ref(), &["ca", "certificate", "key"]);
        let client = self.own_certificate(&table);
        let token = if table.has("token") { self.secret(&table, "token") } else { None };
        if let Some(url) = &endpoint {
            let expected = match url.value.scheme_str() {
                Some("https") => None,
                Some("http") if table.has("token") && !is_loopback(&url.value) => {
                    Some("`https://…`, since it would send a token in clear text")
                }
                Some("http") => None,
                _ => Some("`https://` or `http://`"),
            };
            if let Some(expected) = expected {
                table.bad_value("endpoint", url.span.clone(), &expected);
            }
        }
        let sample = table.parsed("sample", percentage);
        let follows_parent = table.flag("follow_parent");
        let timeout = duration(&table, "timeout", Duration::from_secs(10));
        table.finish();
        Some(TraceSettings {
            endpoint: endpoint?.value,
            ca,
            client,
            token,
            millionths: sample.map_or(SAMPLE, |at| at.value),
            follows_parent: follows_parent.is_none_or(|at| at.value),
            timeout,
        })
    }
}

/// A share in per cent, such as `0.1%`, as millionths.
fn percentage(text: &str) -> Result<u32, &'static str> {
    const EXPECTED: &str = "a share of the requests such as `1%` or `0.01%`, from 0% to 100%";
    let number = text.strip_suffix('%').ok_or(EXPECTED)?;
    let (whole, part) = match number.split_once('.') {
        Some((whole, part)) if (1..=4).contains(&part.len()) => (whole, part),
        Some(_) => return Err(EXPECTED),
        None => (number, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || !is_digits(whole) || !is_digits(part) {
        return Err(EXPECTED);
    }
    let millionths: u32 = format!("{whole}{part:0<4}").parse().map_err(|_| EXPECTED)?;
    if millionths > 1_000_000 { Err(EXPECTED) } else { Ok(millionths) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_in_per_cent() {
        for (text, millionths) in [
            ("0%", 0),
            ("1%", 10_000),
            ("0.01%", 100),
            ("0.0001%", 1),
            ("12.5%", 125_000),
            ("100%", 1_000_000),
        ] {
            assert_eq!(percentage(text), Ok(millionths), "{text}");
        }
        for bad in
            ["", "%", "1", "0.01", "101%", "100.1%", "-1%", "1.%", ".5%", "0.00001%", "1e1%", "1%%", "+1%"]
        {
            assert!(percentage(bad).is_err(), "{bad}");
        }
    }
}
