//! The policy directory, one of its files replaced.
//!
//! Input: a digit that chooses the file, and its text.

use std::sync::LazyLock;

use pinegate::kernel::diagnostic::{Report, Source};
use pinegate::kernel::time::{TimeZone, Timestamp};
use pinegate::policy::calendar::Calendar;
use pinegate::policy::{Policy, PolicyInput};
use pinegate::snapshot::Vocabulary;
use pinegate::snapshot::files::PolicyFiles;

const FILES: [(&str, &str); 8] = [
    ("calendar.toml", include_str!("../../policies/calendar.toml")),
    ("catalog.toml", include_str!("../../policies/catalog.toml")),
    ("grants.csv", include_str!("../../policies/grants.csv")),
    ("limits.toml", include_str!("../../policies/limits.toml")),
    ("masks.toml", include_str!("../../policies/masks.toml")),
    ("model.conf", include_str!("../../policies/model.conf")),
    ("purposes.toml", include_str!("../../policies/purposes.toml")),
    ("registry.toml", include_str!("../../policies/registry.toml")),
];

static SHIPPED: LazyLock<Vocabulary> = LazyLock::new(|| {
    let files = PolicyFiles::from_texts(FILES).expect("the shipped files are files");
    let (vocabulary, report) = Vocabulary::load(&files, "city.example");
    vocabulary.unwrap_or_else(|| panic!("the shipped files load: {report}"))
});

pub(crate) fn check(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let choice = usize::from(choice.wrapping_sub(b'0')) % FILES.len();
    let mut texts = FILES;
    texts[choice].1 = text;
    let files = match PolicyFiles::from_texts(texts) {
        Ok(files) => files,
        Err(report) => return assert!(report.has_errors()),
    };
    match texts[choice].0 {
        "grants.csv" | "model.conf" => check_policy(&files),
        name => check_vocabulary(&files, name),
    }
}

fn check_vocabulary(files: &PolicyFiles, changed: &str) {
    let (vocabulary, report) = Vocabulary::load(files, "city.example");
    check_report(&report, files);
    assert_eq!(vocabulary.is_none(), report.has_errors(), "{changed}: {report}");
    let Some(vocabulary) = vocabulary else { return };
    for resource in vocabulary.catalog.resources.values() {
        assert!(vocabulary.catalog.registry.departments.contains_key(&resource.provider));
        let maskers = vocabulary.masker_names();
        for field in &resource.fields {
            assert!(field.mask.as_ref().is_none_or(|masker| maskers.contains(masker)));
        }
    }
    for system in vocabulary.catalog.registry.systems.values() {
        assert!(vocabulary.catalog.registry.departments.contains_key(&system.department));
    }
}

fn check_policy(files: &PolicyFiles) {
    let maskers = SHIPPED.masker_names();
    let calendar = Calendar::new([2026], [], []).unwrap();
    let input = PolicyInput {
        model: files.model(),
        grants: files.grants(),
        catalog: &SHIPPED.catalog,
        calendar: &calendar,
        zone: TimeZone::UTC,
        maskers: &maskers,
        now: Timestamp::from_second(1_780_000_000).unwrap(),
    };
    let (policy, report) = Policy::load(input);
    check_report(&report, files);
    assert_eq!(policy.is_none(), report.has_errors(), "{report}");
    assert!(!report.sorted().iter().any(|finding| finding.code == "self-test-failed"), "{report}");
}

/// Every finding stands in its file, on character boundaries.
fn check_report(report: &Report, files: &PolicyFiles) {
    let sources: [&Source; 8] = [
        files.calendar(),
        files.catalog(),
        files.grants(),
        files.limits(),
        files.masks(),
        files.model(),
        files.purposes(),
        files.registry(),
    ];
    for finding in report.sorted() {
        let source = sources.iter().find(|source| source.name == finding.file);
        let source = source.unwrap_or_else(|| panic!("{finding:?} is about no file"));
        assert!(source.text.get(finding.span.clone()).is_some(), "{finding:?} is not in the text");
        assert!(!finding.message.is_empty());
    }
    assert_eq!(report.to_string().is_empty(), report.sorted().is_empty());
}
