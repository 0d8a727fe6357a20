use std::collections::BTreeMap;

use super::*;
use crate::document::Document;
use crate::kernel::diagnostic::Source;

/// What a section with these lines comes to, and what is wrong with it.
fn bounds_of(lines: &str) -> (Bounds, String) {
    let source = Source::new("gateway.toml", format!("[bounds]\n{lines}"));
    let document = Document::parse(&source);
    let bounds = read(document.root().table("bounds"));
    (bounds, document.into_report().to_string())
}

/// Every bound with its value, as shown to people who debug.
fn fields(bounds: &Bounds) -> BTreeMap<String, String> {
    let shown = format!("{bounds:#?}");
    let mut fields = BTreeMap::new();
    let mut last = String::new();
    for line in shown.lines() {
        match line.strip_prefix("    ").filter(|line| !line.starts_with([' ', ')'])) {
            Some(line) => {
                let (name, value) = line.split_once(": ").unwrap();
                last = name.to_owned();
                fields.insert(last.clone(), value.to_owned());
            }
            None => fields.entry(last.clone()).or_default().push_str(line.trim()),
        }
    }
    fields.remove("");
    fields
}

#[test]
fn the_reference_page_and_the_example_say_the_defaults() {
    let page = include_str!("../../../docs/configuration.md");
    let (_, section) = page.split_once("## [bounds]").unwrap();
    let (section, _) = section.split_once("## ").unwrap();
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split("` | `");
        Some((cells.next()?, cells.next()?.split("` |").next()?))
    });
    let example = include_str!("../../../config/gateway.toml");
    let (_, example) = example.split_once("\n[bounds]\n").unwrap();
    let (example, _) = example.split_once("\n\n").unwrap();
    let lines = example.lines().map(|line| {
        let (key, value) = line.strip_prefix("# ").unwrap().split_once(" = ").unwrap();
        (key, value.split('#').next().unwrap().trim())
    });
    let default = fields(&Bounds::default());
    for named in [rows.collect::<BTreeMap<_, _>>(), lines.collect()] {
        assert_eq!(named.keys().copied().collect::<Vec<_>>(), default.keys().collect::<Vec<_>>());
        let text: String = named.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let (bounds, wrong) = bounds_of(&text);
        assert_eq!(wrong, "", "{text}");
        assert_eq!(fields(&bounds), default);
    }
}

#[test]
fn a_bound_out_of_range_is_said() {
    let (_, wrong) = bounds_of(
        "header_bytes = \"4KiB\"\nwhole_reply = \"17MiB\"\nmin_rate = \"2MiB\"\nhandshakes = 0\n\
         http2_resets = 0\nhttp2_control_frames = 10\nidle_timeout = 5\n",
    );
    for right in [
        "`bounds.header_bytes` has a value that cannot be used; a size from `8KiB` to `1MiB`",
        "`bounds.whole_reply` has a value that cannot be used; a size of at most `16MiB`",
        "`bounds.min_rate` has a value that cannot be used; a size of at most `1MiB`",
        "`bounds.handshakes` has a value that cannot be used; a whole number from 1 to 10000000",
        "`bounds.http2_resets` has a value that cannot be used; a whole number from 1 to 1000000",
        "`bounds.http2_control_frames` has a value that cannot be used; a whole number from 100 to 1000000",
        "`bounds.idle_timeout` is of the wrong type",
    ] {
        assert!(wrong.contains(right), "{right}\n{wrong}");
    }
    assert_eq!(wrong.lines().count(), 7, "{wrong}");
}
