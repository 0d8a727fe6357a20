//! No locked dependency has a known vulnerability.
//!
//! `Cargo.lock` is held against the RustSec advisories in `CONFORMANCE_DIR`; without that directory
//! there is nothing to hold it against.

#[cfg(test)]
#[path = "it/skip.rs"]
mod skip;

use semver::{Version, VersionReq};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

/// One crate of a lock file.
struct Locked {
    name: String,
    version: Version,
}

fn locked(lock: &str) -> Result<Vec<Locked>, Failure> {
    let lock: toml::Table = lock.parse()?;
    let packages = lock.get("package").and_then(toml::Value::as_array).ok_or("no `[[package]]`")?;
    let text =
        |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let mut found = Vec::new();
    for package in packages {
        let name = text(package, "name").ok_or("a package without a name")?;
        let version = text(package, "version").ok_or("a package without a version")?.parse()?;
        found.push(Locked { name, version });
    }
    Ok(found)
}

/// The advisories that concern `crates`, as lines to show. Those that only say that a crate has no
/// maintainer, or ask for attention, are none of them.
fn open(crates: &[Locked], advisories: &Value) -> Result<Vec<String>, Failure> {
    let list = advisories.get("advisories").and_then(Value::as_array).ok_or("no `advisories`")?;
    let mut open = Vec::new();
    for advisory in list {
        if matches!(text(advisory, "informational"), Some("unmaintained" | "notice")) {
            continue;
        }
        let name = text(advisory, "crate").ok_or("an advisory without a crate")?;
        for locked in crates.iter().filter(|locked| locked.name == name) {
            let good = [ranges(advisory, "patched")?, ranges(advisory, "unaffected")?].concat();
            if !good.iter().any(|range| range.matches(&locked.version)) {
                let (id, title) = (text(advisory, "id").unwrap_or(""), text(advisory, "title").unwrap_or(""));
                open.push(format!("{id}: {name} {}: {title}", locked.version));
            }
        }
    }
    Ok(open)
}

fn text<'a>(advisory: &'a Value, key: &str) -> Option<&'a str> {
    advisory.get(key).and_then(Value::as_str)
}

fn ranges(advisory: &Value, key: &str) -> Result<Vec<VersionReq>, Failure> {
    let ranges = advisory.get(key).and_then(Value::as_array).ok_or("an advisory without ranges")?;
    let mut found = Vec::new();
    for range in ranges {
        found.push(VersionReq::parse(range.as_str().ok_or("a range that is no text")?)?);
    }
    Ok(found)
}

#[test]
fn no_locked_crate_has_an_open_advisory() -> Result<(), Failure> {
    let Some(directory) = skip::conformance() else { return Ok(()) };
    let advisories = std::fs::read_to_string(directory.join("rustsec/advisories.json"))?;
    let crates = locked(include_str!("../Cargo.lock"))?;
    assert!(crates.len() > 100, "the lock file was not read");
    let open = open(&crates, &serde_json::from_str(&advisories)?)?;
    assert!(open.is_empty(), "{}", open.join("\n"));
    Ok(())
}

#[test]
fn a_vulnerable_version_is_found() -> Result<(), Failure> {
    let advisories = serde_json::json!({ "advisories": [
        { "id": "A", "crate": "gate", "informational": null, "patched": ["^0.3.26", ">= 0.4.4"],
          "unaffected": ["< 0.2"], "title": "opens by itself" },
        { "id": "B", "crate": "gate", "informational": "unmaintained", "patched": [], "unaffected": [], "title": "" },
        { "id": "C", "crate": "fence", "informational": "unsound", "patched": [], "unaffected": [], "title": "leans" },
    ]});
    for (name, version, expected) in [
        ("gate", "0.1.9", None),
        ("gate", "0.2.0", Some("A: gate 0.2.0: opens by itself")),
        ("gate", "0.3.25", Some("A: gate 0.3.25: opens by itself")),
        ("gate", "0.3.26", None),
        ("gate", "0.4.3", Some("A: gate 0.4.3: opens by itself")),
        ("gate", "0.4.4", None),
        ("fence", "9.0.0", Some("C: fence 9.0.0: leans")),
        ("house", "0.2.0", None),
    ] {
        let lock = format!("version = 4\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        let found = open(&locked(&lock)?, &advisories)?;
        assert_eq!(found.first().map(String::as_str), expected, "{name} {version}");
    }
    Ok(())
}
