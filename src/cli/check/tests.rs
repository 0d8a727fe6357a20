use std::collections::BTreeSet;

use crate::kernel::diagnostic::Report;
use crate::kernel::time::{TimeZone, Timestamp};
use crate::policy::calendar::Calendar;
use crate::policy::model::SHIPPED;
use crate::policy::{Policy, PolicyInput};
use crate::review::lint::known::{ALL, COMPARED_IN_PART, JWKS_UNUSED, Level, Lint};
use crate::review::lint::{LintInput, MAX_SHOWN, PolicySources, lint};
use crate::snapshot::Vocabulary;
use crate::snapshot::files::PolicyFiles;

const REGISTRY: &str = r#"
[[department]]
id = "dept:gongan"
name = "公安局"
kind = "government"
contact = "0"
[[department]]
id = "dept:minzheng"
name = "民政局"
kind = "government"
contact = "0"
[[department]]
id = "dept:water"
name = "供水集团"
kind = "public-service"
contact = "0"
[[system]]
id = "sys:aid"
name = "救助"
department = "dept:minzheng"
[[system]]
id = "sys:desk"
name = "窗口"
department = "dept:gongan"
"#;
const PURPOSES: &str = r#"
[[purpose]]
code = "aid.check"
label = "核验"
legal_basis = "《办法》"
[[purpose]]
code = "aid.review"
label = "复核"
legal_basis = "《办法》"
"#;
const CATALOG: &str = r#"
[[resource]]
id = "licence.card"
name = "证照"
provider = "dept:minzheng"
class = "证照"
sharing = "conditional"
mode = ["query", "verify"]
fields = [
    { name = "number", label = "编号", level = 3, mask = "full" },
    { name = "match", label = "一致", level = 1 },
    { name = "holder.id_card", label = "身份号码", level = 4, mask = "full" },
]
parameters = [{ name = "kind", label = "类型" }]
[[resource]]
id = "person.adoption"
name = "收养"
provider = "dept:minzheng"
class = "人口"
sharing = "none"
mode = ["query"]
fields = [{ name = "name", label = "姓名", level = 4 }]
[[resource]]
id = "person.resident"
name = "人口"
provider = "dept:gongan"
class = "人口"
sharing = "conditional"
mode = ["query"]
fields = [
    { name = "name", label = "姓名", level = 2, mask = "name" },
    { name = "sex", label = "性别", level = 1 },
    { name = "id_card", label = "身份号码", level = 4, mask = "full", source = "dept:gongan" },
]
parameters = [{ name = "area", label = "区划" }]
"#;
const MASKS: &str = r#"
[[masker]]
name = "full"
method = "full"
[[masker]]
name = "name"
method = "name"
"#;
const CALENDAR: &str = "[[year]]\nyear = 2026\nsource = \"通知\"\nworkdays = []\n[year.holidays]\n\"国庆节\" = \"2026-10-01/2026-10-07\"\n";
/// Without a finding of any lint.
const GRANTS: &str = "\
p, A-1, sys:aid, person.resident, query, aid.*, name|sex, always, allow
p, A-2, dept:gongan, licence.card, query, aid.review, number, always, allow
p, A-3, sys:desk, licence.card, verify, aid.check, match, always, allow
p, NONE-0, group:all, sharing:none, *, *, *, always, deny
";
const LIMIT: &str = "[[limit]]\nname = \"b\"\nby = [\"system\"]\ngrant = [\"B\"]\nrate = \"1/s\"\n";

/// A change to a file: `from` is what is replaced, at the end of the file if it is empty.
type Edit<'e> = (&'e str, &'e str, &'e str);

/// What the loader warns of, and what the lints find, at a Wednesday morning in June 2026.
fn report(edits: &[Edit<'_>]) -> Report {
    let mut texts = [
        ("calendar.toml", CALENDAR.to_owned()),
        ("catalog.toml", CATALOG.to_owned()),
        ("grants.csv", GRANTS.to_owned()),
        ("limits.toml", String::new()),
        ("masks.toml", MASKS.to_owned()),
        ("model.conf", SHIPPED.to_owned()),
        ("purposes.toml", PURPOSES.to_owned()),
        ("registry.toml", REGISTRY.to_owned()),
    ];
    for (file, from, to) in edits {
        let (_, text) = texts.iter_mut().find(|(name, _)| name == file).unwrap();
        if from.is_empty() {
            text.push_str(to);
            text.push('\n');
        } else {
            assert!(text.contains(from), "{from} in {file}");
            *text = text.replacen(from, to, 1);
        }
    }
    let files = PolicyFiles::from_texts(texts.iter().map(|(name, text)| (*name, text.as_str()))).unwrap();
    let (vocabulary, mut report) = Vocabulary::load(&files, "city.example");
    let vocabulary = vocabulary.unwrap_or_else(|| panic!("{report}"));
    let days = &vocabulary.calendar;
    let calendar = Calendar::new(
        days.years.keys().copied(),
        days.holidays.iter().copied(),
        days.workdays.iter().copied(),
    );
    let now: Timestamp = "2026-06-03T02:00:00Z".parse().unwrap();
    let (policy, found) = Policy::load(PolicyInput {
        model: files.model(),
        grants: files.grants(),
        catalog: &vocabulary.catalog,
        calendar: &calendar.unwrap(),
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
        maskers: &vocabulary.masker_names(),
        now,
    });
    report.merge(found);
    let policy = policy.unwrap_or_else(|| panic!("{report}"));
    let limited = vocabulary.limits.iter().flat_map(|entry| &entry.grants);
    report.merge(lint(&LintInput {
        policy: &policy,
        catalog: &vocabulary.catalog,
        sources: PolicySources {
            grants: files.grants(),
            catalog: files.catalog(),
            registry: files.registry(),
            purposes: files.purposes(),
            masks: files.masks(),
        },
        limited: &limited.map(|grant| grant.value.clone()).collect(),
        now,
    }));
    report
}

/// The findings as `lint file:line:column`, by place.
fn found(edits: &[Edit<'_>]) -> Vec<String> {
    let report = report(edits);
    let place = |finding: &&crate::kernel::diagnostic::Diagnostic| {
        let at = report.position(finding);
        format!("{} {}:{}:{}", finding.code, finding.file, at.line, at.column)
    };
    report.sorted().iter().map(place).collect()
}

const G: &str = "grants.csv";
const C: &str = "catalog.toml";

/// Another line at the end of the grants.
macro_rules! line {
    ($line:literal) => {
        (G, "", concat!("p, B, ", $line))
    };
}

/// Changes, and all that they give cause to; a lint, and changes that come near.
const CASES: &[(&[Edit<'static>], &[&str])] = &[
    (&[], &[]),
    // A line and another.
    (
        &[line!("sys:aid, person.resident, query, aid.*, name|sex, always, allow")],
        &["duplicate-grant grants.csv:5:1"],
    ),
    // The smaller row duty holds wherever the line without one does.
    (
        &[line!("sys:aid, person.resident, query, aid.*, name|sex;rows<=5, always, allow")],
        &["shadowed-grant grants.csv:1:1"],
    ),
    (
        &[
            line!("sys:aid, person.resident, query, aid.*, name|sex, always, allow"),
            ("limits.toml", "", LIMIT),
        ],
        &[],
    ),
    (
        &[line!("group:all, sharing:none, *, *, *, always, deny")],
        // Sharing type `none` is refused by the catalogue, however often it is said.
        &[],
    ),
    (
        &[line!("sys:aid, person.resident, query, aid.review, sex;area=34*, 2026-01-01/.. workday, allow")],
        &["shadowed-grant grants.csv:5:1"],
    ),
    // All actions that there are.
    (
        &[line!("sys:aid, person.resident, *, aid.check, sex, always, allow")],
        &["shadowed-grant grants.csv:5:1"],
    ),
    // The wider line comes later.
    (
        &[line!("dept:minzheng, person.resident, query, aid.*, sex|name, always, allow")],
        &["shadowed-grant grants.csv:1:1"],
    ),
    // A field, a system, a masker, a clear value, a duty, a limit more.
    (&[line!("sys:aid, person.resident, query, aid.review, sex|id_card, always, allow")], &[]),
    (&[line!("sys:desk, person.resident, query, aid.review, sex, always, allow")], &[]),
    (&[line!("sys:aid, person.resident, query, aid.review, name:full, always, allow")], &[]),
    (&[line!("sys:aid, person.resident, query, aid.review, name:clear, always, allow")], &[]),
    (&[line!("sys:aid, person.resident, query, aid.review, sex;rows/day<=9, always, allow")], &[]),
    (
        &[
            line!("sys:aid, person.resident, query, aid.review, sex, always, allow"),
            ("limits.toml", "", LIMIT),
        ],
        &[],
    ),
    // The wider line is bounded where the narrower is not.
    (
        &[
            (G, "name|sex, always", "name|sex;area=34*, always"),
            line!("sys:aid, person.resident, query, aid.review, sex;area=3*, always, allow"),
        ],
        &[],
    ),
    (
        &[
            (G, "name|sex, always", "name|sex;area=34*, always"),
            line!("sys:aid, person.resident, query, aid.review, sex;area=3410|3411*, always, allow"),
        ],
        &["shadowed-grant grants.csv:5:1"],
    ),
    (
        &[
            (G, "name|sex, always", "name:full|sex, always"),
            line!("sys:aid, person.resident, query, aid.review, name:name, always, allow"),
        ],
        &["shadowed-grant grants.csv:5:1"],
    ),
    (
        &[
            (G, "name|sex, always", "name|sex, workday"),
            line!("sys:aid, person.resident, query, aid.review, sex, mon-fri, allow"),
        ],
        &[],
    ),
    // The narrower line names its masker first.
    (
        &[
            (G, "name|sex, always", "name:full|sex, always"),
            line!("dept:minzheng, person.resident, query, aid.*, name:name|sex, always, allow"),
        ],
        &[],
    ),
    // Deny lines.
    (
        &[line!("dept:minzheng, person.resident, *, aid.*, *, always, deny")],
        &[
            "resource-without-grants catalog.toml:24:6",
            "overruled-grant grants.csv:1:1",
            "system-without-grants registry.toml:18:6",
        ],
    ),
    (&[line!("dept:minzheng, person.resident, *, aid.review, *, always, deny")], &[]),
    (&[line!("dept:minzheng, person.resident, *, aid.*, *;area=34*, always, deny")], &[]),
    (&[line!("dept:minzheng, person.resident, *, aid.*, *, holiday, deny")], &[]),
    (&[line!("sys:aid, licence.card, *, *, *, always, deny")], &["idle-deny grants.csv:5:1"]),
    (&[line!("sys:desk, licence.card, query, aid.check, *, always, deny")], &["idle-deny grants.csv:5:1"]),
    (
        &[
            (G, "name|sex, always", "name|sex, workday"),
            line!("sys:aid, person.resident, *, *, *, sat 08:00-09:00, deny"),
        ],
        &[],
    ),
    (
        &[
            (G, "name|sex, always", "name|sex, mon-fri"),
            line!("sys:aid, person.resident, *, *, *, sat 08:00-09:00, deny"),
        ],
        &["idle-deny grants.csv:5:1"],
    ),
    (
        &[
            (G, "name|sex, always", "name|sex;area=34*, always"),
            line!("sys:aid, person.resident, *, *, *;area=35*, always, deny"),
        ],
        &["idle-deny grants.csv:5:1"],
    ),
    (
        &[
            line!("dept:minzheng, person.resident, *, aid.review, *, always, deny"),
            (G, "", "p, C, sys:aid, person.resident, query, aid.review, *;area=34*, always, deny"),
        ],
        &["idle-deny grants.csv:6:1"],
    ),
    // Lines that nothing can match.
    (
        &[line!("sys:aid, person.resident, query, aid.*, id_card, 2026-10-01/2026-10-07 workday, allow")],
        &["never-matches grants.csv:5:1"],
    ),
    (&[line!("sys:aid, person.resident, query, aid.*, id_card, 2026-10-01/2026-10-08 workday, allow")], &[]),
    (&[line!("sys:aid, person.resident, query, aid.*, id_card, 2027-10-01/2027-10-07 workday, allow")], &[]),
    (
        &[line!("dept:water, person.resident, query, aid.*, id_card, always, allow")],
        &["never-matches grants.csv:5:1"],
    ),
    (
        &[line!("sys:aid, theme:a, query, aid.*, id_card, always, allow"), (G, "", "g2, theme:b, theme:a")],
        &["never-matches grants.csv:5:1"],
    ),
    (
        &[
            line!("sys:aid, theme:a, verify, aid.*, sex, always, allow"),
            (G, "", "g2, person.resident, theme:a"),
            (G, "", "g2, licence.card, theme:a"),
        ],
        &["never-matches grants.csv:5:1", "partial-scope grants.csv:5:40"],
    ),
    (&[line!("sys:aid, sharing:unconditional, query, aid.*, *, always, allow")], &[]),
    // Wide ones.
    (&[(G, "name|sex", "name|id_card:clear")], &["clear-of-sensitive grants.csv:1:54"]),
    (&[(G, "name|sex", "name:clear|id_card")], &[]),
    (
        &[(G, "name|sex", "id_card"), (C, r#"level = 4, mask = "full", source"#, "level = 4, source")],
        &["unmasked-sensitive catalog.toml:33:14", "clear-of-sensitive grants.csv:1:49"],
    ),
    (
        &[(G, "name|sex", "id_card:full"), (C, r#"level = 4, mask = "full", source"#, "level = 4, source")],
        &["unmasked-sensitive catalog.toml:33:14"],
    ),
    (&[(C, r#"level = 3, mask = "full" }"#, "level = 3 }")], &["unmasked-sensitive catalog.toml:10:14"]),
    (&[(C, r#"level = 3, mask = "full" }"#, "level = 2 }")], &[]),
    (&[(G, "name|sex", "*")], &["wide-grant grants.csv:1:49"]),
    (&[(G, "name|sex", "*:full")], &[]),
    (
        &[
            (G, "name|sex", "*"),
            (C, r#"level = 4, mask = "full", source"#, r#"level = 2, mask = "full", source"#),
        ],
        &[],
    ),
    (&[(G, "aid.*, name|sex", "*, name|sex")], &["wide-grant grants.csv:1:42"]),
    (
        &[
            (G, "aid.*, name|sex", "*, name|sex"),
            (
                C,
                "sharing = \"conditional\"\nmode = [\"query\"]",
                "sharing = \"unconditional\"\nmode = [\"query\"]",
            ),
        ],
        &[],
    ),
    (
        &[line!("sys:aid, person.adoption, query, aid.*, name, always, allow")],
        &["grant-of-unshared grants.csv:5:1"],
    ),
    (
        &[line!("sys:aid, sharing:conditional, query, aid.check, match, always, allow")],
        &["partial-scope grants.csv:5:55"],
    ),
    // Time.
    (
        &[line!("sys:aid, person.resident, query, aid.*, id_card, ../2026-06-01, allow")],
        &["grant-expired grants.csv:5:1"],
    ),
    (
        &[line!("sys:aid, person.resident, query, aid.*, id_card, ../2026-07-02, allow")],
        &["grant-expires-soon grants.csv:5:1"],
    ),
    (&[line!("sys:aid, person.resident, query, aid.*, id_card, ../2026-07-03, allow")], &[]),
    (
        &[
            ("calendar.toml", "2026\n", "2025\n"),
            ("calendar.toml", "2026-10-01/2026-10-07", "2025-10-01/2025-10-07"),
            (G, "name|sex, always", "name|sex, workday"),
        ],
        &["calendar-lacks-year grants.csv:1:1"],
    ),
    // Who and what is reached.
    (
        &[(
            "registry.toml",
            "department = \"dept:minzheng\"",
            "department = \"dept:minzheng\"\nenabled = false",
        )],
        &["resource-without-grants catalog.toml:24:6", "disabled-system grants.csv:1:9"],
    ),
    (
        &[("registry.toml", "", "[[system]]\nid = \"sys:tap\"\nname = \"水\"\ndepartment = \"dept:water\"")],
        &["system-without-grants registry.toml:26:6"],
    ),
    (
        &[
            ("registry.toml", "", "[[system]]\nid = \"sys:tap\"\nname = \"水\"\ndepartment = \"dept:water\""),
            line!("group:all, licence.card, verify, aid.review, match, always, allow"),
        ],
        &["system-without-own-grants registry.toml:26:6"],
    ),
    (
        &[
            ("registry.toml", "", "[[system]]\nid = \"sys:tap\"\nname = \"水\"\ndepartment = \"dept:water\""),
            line!("dept:water, licence.card, verify, aid.review, match, always, allow"),
        ],
        &[],
    ),
    (&[(G, "verify, aid.check", "query, aid.check")], &["action-without-grants catalog.toml:3:6"]),
    (&[(G, "verify, aid.check", "*, aid.check")], &[]),
    // Sources.
    (
        &[(C, "level = 4, mask = \"full\" }", "level = 4, mask = \"full\", source = \"dept:minzheng\" }")],
        &["conflicting-sources catalog.toml:33:14"],
    ),
    (&[(C, "level = 4, mask = \"full\" }", "level = 4, mask = \"full\", source = \"dept:gongan\" }")], &[]),
    (
        &[(
            C,
            "label = \"身份号码\", level = 4, mask = \"full\" }",
            "label = \"持证人身份号码\", level = 4, mask = \"full\", source = \"dept:minzheng\" }",
        )],
        &[],
    ),
    // Words that nothing names.
    (
        &[("masks.toml", "", "[[masker]]\nname = \"null\"\nmethod = \"null\"")],
        &["unused-masker masks.toml:9:8"],
    ),
    (
        &[
            ("masks.toml", "", "[[masker]]\nname = \"null\"\nmethod = \"null\""),
            (G, "name|sex", "name|sex:null"),
        ],
        &[],
    ),
    (
        &[(
            "purposes.toml",
            "",
            "[[purpose]]\ncode = \"plan.survey\"\nlabel = \"调查\"\nlegal_basis = \"《法》\"",
        )],
        &["unused-purpose purposes.toml:11:8"],
    ),
    (
        &[(
            "purposes.toml",
            "",
            "[[purpose]]\ncode = \"aid.survey\"\nlabel = \"调查\"\nlegal_basis = \"《法》\"",
        )],
        &[],
    ),
    (&[(G, "", "g, dept:minzheng, group:a")], &["unused-group grants.csv:5:1"]),
    (
        &[
            (G, "", "g, dept:minzheng, group:a"),
            (G, "", "g, group:a, group:b"),
            (G, "sys:aid, person", "group:b, person"),
        ],
        &[],
    ),
    (&[(G, "", "g2, person.resident, theme:a")], &["unused-theme grants.csv:5:1"]),
    (&[(G, "", "g2, person.resident, theme:a"), (G, "sys:aid, person.resident", "sys:aid, theme:a")], &[]),
    (&[(G, "", "g, sys:aid, dept:minzheng")], &["repeated-role grants.csv:5:1"]),
];

#[test]
fn every_lint_finds_its_own_and_nothing_near() {
    let wrong: Vec<String> = CASES
        .iter()
        .map(|(edits, expected)| (edits, expected, found(edits)))
        .filter(|(_, expected, found)| found != *expected)
        .map(|(edits, expected, found)| format!("{edits:?}\n  expected {expected:?}\n  found    {found:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let tried: BTreeSet<&str> =
        CASES.iter().flat_map(|(_, found)| *found).filter_map(|it| it.split(' ').next()).collect();
    let elsewhere = [&COMPARED_IN_PART, &JWKS_UNUSED];
    for lint in ALL.iter().filter(|lint| !elsewhere.contains(lint)) {
        assert!(tried.contains(lint.name), "{} is tried", lint.name);
    }
}

#[test]
fn findings_have_the_level_of_their_lint_and_say_what_to_do() {
    for (edits, _) in CASES {
        for finding in report(edits).sorted() {
            let lint = Lint::named(finding.code).unwrap();
            assert_eq!(Some(finding.severity), lint.default.severity());
            assert!(!finding.help.is_empty() && lint.default != Level::Allow, "{}", finding.code);
        }
    }
}

#[test]
fn what_is_found_often_is_counted() {
    let line = |number: usize| {
        format!("p, B-{number}, sys:aid, person.resident, query, aid.*, name|sex, always, allow\n")
    };
    let lines: String = (0..MAX_SHOWN + 7).map(line).collect();
    let report = report(&[(G, "", &lines)]);
    assert_eq!(report.sorted().len(), MAX_SHOWN + 1);
    assert_eq!(report.sorted()[0].message, "7 more findings of this lint are not shown");
}

#[test]
fn lines_that_all_meet_end_the_comparison() {
    let line = |number: usize| {
        format!(
            "p, B-{number}, sys:aid, person.resident, query, aid.*, id_card;area={number}, always, allow\n"
        )
    };
    let lines: String = (0..3_000).map(line).collect();
    assert_eq!(found(&[(G, "", &lines)]), ["compared-in-part grants.csv:1:1"]);
}

/// The part of `docs/lints.md` that is the table of lints, and its beginning.
fn documented() -> (&'static str, String) {
    const HEADING: &str = "## All lints\n";
    let mut text = format!("{HEADING}\n| lint | level | looked for | says |\n|---|---|---|---|\n");
    for lint in ALL {
        let Lint { name, default, stage, meaning, .. } = lint;
        let row =
            format!("| [`{name}`](#{name}) | {} | {} | {meaning} |\n", default.as_str(), stage.as_str());
        text.push_str(&row);
    }
    for lint in ALL {
        let Lint { name, why, example, mend, .. } = lint;
        let (first, rest) = lint.meaning.split_at(1);
        let meaning = format!("{}{rest}", first.to_uppercase());
        text.push_str(&format!("\n### {name}\n\n{meaning}. {why}\n\n```\n{example}\n```\n\n{mend}\n"));
    }
    (HEADING, text)
}

#[test]
fn the_documentation_has_every_lint() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lints.md");
    let file = std::fs::read_to_string(path).unwrap();
    let (heading, table) = documented();
    let prose = file.split(heading).next().unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{prose}{table}")).unwrap();
        return;
    }
    assert_eq!(file.strip_prefix(prose).unwrap(), table, "run with UPDATE=1 if the table of lints changed");
}
