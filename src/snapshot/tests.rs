use std::fs;
use std::path::Path;

use governor::clock::FakeRelativeClock;

use super::*;
use crate::catalog::{BodyFormat, Delimiter, Egress, XmlName};
use crate::kernel::id::{Digest, LimitName, ResourceId};
use crate::kernel::time::TimeZone;
use crate::quota::QuotaError;
use crate::quota::limiter::Limiter;

fn example() -> PolicyFiles {
    PolicyFiles::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap()
}

/// The example with some of its files replaced.
fn example_with(replaced: &[(&str, &str)]) -> PolicyFiles {
    let example = example();
    let sources = [
        ("calendar.toml", example.calendar()),
        ("catalog.toml", example.catalog()),
        ("grants.csv", example.grants()),
        ("limits.toml", example.limits()),
        ("masks.toml", example.masks()),
        ("model.conf", example.model()),
        ("purposes.toml", example.purposes()),
        ("registry.toml", example.registry()),
    ];
    PolicyFiles::from_texts(sources.map(|(name, source)| {
        let replacement = replaced.iter().find(|(replaced, _)| *replaced == name);
        (name, replacement.map_or(&*source.text, |(_, text)| text))
    }))
    .unwrap()
}

fn load(files: &PolicyFiles) -> (Option<Vocabulary>, Report) {
    Vocabulary::load(files, "city.example")
}

fn system(name: &str) -> SystemId {
    SystemId::parse(name).unwrap()
}

fn resource(name: &str) -> ResourceId {
    ResourceId::parse(name).unwrap()
}

#[test]
fn the_profile_of_the_province_is_reserved() {
    for (text, expected) in [
        (
            "profile = \"db34-4631.2\"\n",
            "masks.toml:1:11: error[reserved-name]: the profile `db34-4631.2` cannot be used; it is reserved for DB34/T 4631.2 and not claimed",
        ),
        ("profile = \"DB34/T 4631.2—2023\"\n", "error[reserved-name]"),
        (
            "profile = \"strict\"\n",
            "masks.toml:1:11: error[unknown-profile]: there is no profile `strict`; remove `profile`: there is none yet, `db34-4631.2` is reserved",
        ),
        (
            "[[masker]]\nname = \"db34-4631-2\"\nmethod = \"full\"\n",
            "masks.toml:2:8: error[reserved-name]: a masker cannot be called `db34-4631-2`; it is reserved",
        ),
        ("[[masker]]\nname = \"db34-4631.2\"\nmethod = \"full\"\n", "masks.toml:2:8: error[reserved-name]"),
    ] {
        let (vocabulary, report) = load(&example_with(&[("masks.toml", text)]));
        assert!(vocabulary.is_none(), "{text}");
        assert!(report.to_string().contains(expected), "{report}");
    }
}

#[test]
fn the_example_loads_without_a_finding() {
    let (vocabulary, report) = load(&example());
    assert_eq!(report.to_string(), "");
    let vocabulary = vocabulary.unwrap();
    let catalog = &vocabulary.catalog;
    assert_eq!(catalog.registry.departments.len(), 12);
    assert_eq!(catalog.registry.systems.len(), 21);
    assert_eq!(catalog.purposes.len(), 26);
    assert_eq!(catalog.resources.len(), 30);
    assert!(!catalog.registry.systems["sys:minzheng-old"].enabled);

    let resident = &catalog.resources["population.resident"];
    assert_eq!(resident.field("phone").unwrap().mask.as_ref().unwrap().as_str(), "mobile");
    assert_eq!(resident.field("address.district").unwrap().level.get(), 1);
    assert!(resident.parameter("area").unwrap().recordable);
    assert!(!resident.parameter("id_card").unwrap().recordable);
    assert_eq!(resident.groups["basic"].len(), 3);
    assert_eq!(resident.body.records.as_ref().unwrap().as_str(), "data");

    let uri = "spiffe://city.example/dept/minzheng/system/minzheng-aid".to_owned();
    assert_eq!(vocabulary.certificates[&CertificateRule::SanUri(uri)], system("sys:minzheng-aid"));
    let band = vocabulary.maskers.iter().find(|it| it.name.value.as_str() == "capital-band").unwrap();
    assert_eq!(band.method.value, "bucket");
    let parameters: Vec<_> = band.parameters.iter().map(|(n, v)| (&*n.value, &*v.value)).collect();
    assert_eq!(parameters, [("edges", "100,500,1000,5000")]);
    // 28 and 33 days off, by the State Council's notices.
    let days = |year| vocabulary.calendar.holidays.iter().filter(|date| date.year() == year).count();
    assert_eq!((days(2025), days(2026)), (28, 33));
    assert_eq!(vocabulary.calendar.workdays.len(), 11);
    assert!(vocabulary.calendar.years[&2026].contains("国办发明电〔2025〕7号"));
}

#[test]
fn the_example_provokes_a_refusal_after_three_calls() {
    let vocabulary = load(&example()).0.unwrap();
    let population = vocabulary.population(Vec::new());
    let limiter =
        Limiter::new(&vocabulary.limits(), &population, TimeZone::UTC, FakeRelativeClock::default()).unwrap();
    let now = "2026-03-02T02:00:00Z".parse().unwrap();
    let call = |name: &str| limiter.throttle(now, &system(name), &resource("spatial.parcel"));
    for _ in 0..3 {
        call("sys:water-billing").unwrap();
    }
    let Err(QuotaError::Exceeded(exceeded)) = call("sys:water-billing") else { panic!("let through") };
    assert_eq!((&*exceeded.name, exceeded.retry_after_secs()), ("water-parcels", 60));
    assert!(call("sys:ziran-map").is_ok());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one broken directory and what is said of it, to be read together")]
fn all_that_is_wrong_is_shown_at_once() {
    let broken = example_with(&[
        (
            "registry.toml",
            r#"[[department]]
id = "dept:minzheng"
name = "民政局"
kind = "goverment"
credit_code = "11341000MB00000016"
contact = " "

[[department]]
id = "dept:minzheng"
name = "民政局"
kind = "government"
contact = "0559"
telephone = "0559"

[[system]]
id = "minzheng-aid"
name = "社会救助系统"
department = "dept:minzheng"

[[system]]
id = "sys:one"
name = "一"
department = "dept:minzhen"
certificate = { san_dns = "*.city.example", subject_ou = "x" }

[[system]]
id = "sys:two"
name = "二"
department = "dept:minzheng"
enabled = "no"
certificate = {}

[[system]]
id = "sys:three"
name = "三"
department = "dept:minzheng"

[[system]]
id = "sys:four"
name = "四"
department = "dept:minzheng"
certificate = { san_uri = "spiffe://city.example/dept/minzheng/system/three" }
"#,
        ),
        (
            "purposes.toml",
            "[[purpose]]\ncode = \"社会救助\"\nlabel = \"社会救助\"\nlegal_basis = \"《办法》\"\n[[purpose]]\ncode = \"a\"\nlabel = \"甲\"\n",
        ),
        (
            "masks.toml",
            "[[masker]]\nname = \"mobile\"\nmethod = \"mobile\"\nfirst = 3.5\n[[masker]]\nname = \"clear\"\nmethod = \"full\"\n[[masker]]\nname = \"mobile\"\nmethod = \"full\"\n",
        ),
        (
            "catalog.toml",
            r#"[[resource]]
id = "population.resident"
name = "常住人口"
provider = "dept:gongan"
class = "人口"
sharing = "open"
mode = ["query", "query"]
envelope = ["code", "data"]
fields = [
    { name = "phone", label = "电话", level = 5, mask = "moblie" },
    { name = "address", label = "地址", level = 1 },
    { name = "address.city", label = "市", level = 1, type = "text" },
    { name = "phone", label = "电话", level = 3 },
    { name = "a|b", label = "甲" },
]
groups = { basic = ["phone", "phon", "phone"], none = [] }
parameters = [{ name = "rows", label = "行" }, { name = "area", label = "区划", recordable = 1 }]

[[resource]]
id = "files.map"
name = "地图"
provider = "dept:minzheng"
class = "地图"
sharing = "conditional"
mode = []
format = "opaque"
records = "data"
fields = [{ name = "a", label = "甲", level = 1 }]

[[resource]]
id = "list.lines"
name = "行"
provider = "dept:minzheng"
class = "行"
sharing = "conditional"
mode = ["query"]
records = "data.list"
envelope = ["data", "code", "code"]
"#,
        ),
        (
            "limits.toml",
            r#"[[limit]]
name = "a"
by = ["system", "systm", "system"]
rate = "100 per second"
burst = 0

[[limit]]
name = "a"
by = []
system = ["sys:tree"]
resource = []

[[limit]]
name = "b"
burst = 5
per_day = 0
concurrency = 3
"#,
        ),
        (
            "calendar.toml",
            r#"[[year]]
year = 2026
source = "国办发明电〔2025〕7号"
workdays = ["2026-10-10", "2026-10-02", "2026-10-12", "2025-10-11", "10月11日"]
[year.holidays]
"国庆节" = "2026-10-01/2026-10-07"
"中秋节" = "2026-10-07/2026-10-01"
"重阳节" = "2026-10-06"
"冬至" = "2026-12-22/23"

[[year]]
year = 2026
"#,
        ),
    ]);
    let (vocabulary, report) = load(&broken);
    assert!(vocabulary.is_none());
    insta::assert_snapshot!(report.to_string(), @r#"
    calendar.toml:4:27: error[overlapping-days]: 2026-10-02 is a workday and in `国庆节`; a day is worked or off, not both
    calendar.toml:4:41: error[needless-workday]: 2026-10-12 is worked anyway: it is neither Saturday nor Sunday; check the date against the notice
    calendar.toml:4:55: error[bad-value]: 2025-10-11 is not in 2026, nor in the December before; put it under its own `[[year]]`
    calendar.toml:4:69: error[bad-value]: `year[0].workdays` has a value that cannot be used; write a date such as `2026-10-01`
    calendar.toml:7:9: error[bad-value]: `2026-10-07/2026-10-01` is not a range of 1 to 31 days; write the first day, `/`, the last day
    calendar.toml:8:9: error[overlapping-days]: 2026-10-06 is in `重阳节` and in `国庆节`; a day belongs to one holiday
    calendar.toml:9:8: error[bad-value]: `2026-12-22/23` is no day and no range of days; write a date such as `2026-10-01`, or `2026-10-01/2026-10-07`
    calendar.toml:11:1: error[missing-key]: `year[1].source` is missing; add `source = …`: the notice that the dates are from, such as `国办发明电〔2025〕7号`
    calendar.toml:12:8: error[duplicate-id]: the year 2026 stands here twice; put its days into one `[[year]]`
    catalog.toml:4:12: error[unknown-id]: `dept:gongan` is not the name of a department; declare it, or name a department that is declared
    catalog.toml:6:11: error[bad-value]: `resource[0].sharing` has a value that cannot be used; write `unconditional`, `conditional` or `none`
    catalog.toml:7:18: error[duplicate-id]: `query` names a way of sharing twice; it stands on line 7 already: remove one, or give one another name
    catalog.toml:8:13: error[body-shape]: an envelope needs `records`; name the member that holds the records: `records = "data"`
    catalog.toml:10:45: error[bad-value]: `resource[0].fields[0].level` has a value that cannot be used; a whole number from 1 to 4
    catalog.toml:10:55: error[unknown-id]: `moblie` is not the name of a masker; did you mean `mobile`?
    catalog.toml:12:14: error[field-nesting]: `address.city` lies below `address`, which is no object; give `address` on line 11 `type = "object"`, or remove one of them
    catalog.toml:12:61: error[bad-value]: `resource[0].fields[2].type` has a value that cannot be used; write `string`, `number`, `boolean`, `date` or `object`
    catalog.toml:13:14: error[duplicate-id]: `phone` names a field of this resource twice; it stands on line 10 already: remove one, or give one another name
    catalog.toml:14:5: error[missing-key]: `resource[0].fields[4].level` is missing; add `level = …`: how sensitive it is, from 1 (public) to 4
    catalog.toml:14:14: error[bad-value]: `resource[0].fields[4].name` has a value that cannot be used; a field path must be member names joined by `.`, such as `address.city`
    catalog.toml:16:30: error[unknown-id]: `phon` is not the name of a field of this resource; did you mean `phone`?
    catalog.toml:16:38: error[duplicate-id]: `phone` names a member of this group twice; it stands on line 16 already: remove one, or give one another name
    catalog.toml:16:48: error[bad-value]: the group `none` is empty; name at least one field
    catalog.toml:17:24: error[reserved-name]: a parameter cannot be called `rows`; in a scope `rows` caps the records of a reply; choose another name
    catalog.toml:17:91: error[wrong-type]: `resource[0].parameters[1].recordable` is of the wrong type (found integer); write `true` or `false`
    catalog.toml:19:1: error[bad-value]: `mode` names no way to use the resource; name at least one, such as `query`
    catalog.toml:19:1: error[body-shape]: an opaque body has no fields to mask or drop; remove `fields`: a file is granted whole or not at all
    catalog.toml:27:11: error[body-shape]: `records` is about JSON documents, not this format; remove it, or write `format = "json"`
    catalog.toml:30:1: error[missing-key]: `resource[2].fields` is missing; add `fields = …`: what its records hold: no field that is not listed ever leaves
    catalog.toml:38:13: error[body-shape]: `data` overlaps the records at `data.list`; what the envelope names leaves unmasked; remove it
    catalog.toml:38:29: error[duplicate-id]: `code` names a member of the envelope twice; it stands on line 38 already: remove one, or give one another name
    limits.toml:3:17: error[bad-value]: `limit[0].by` has a value that cannot be used; write a list of `system`, `department`, `resource`, `grant`
    limits.toml:3:26: error[duplicate-id]: `system` stands in `by` twice; remove one
    limits.toml:4:8: error[bad-value]: `limit[0].rate` has a value that cannot be used; write calls and a unit of time, such as `100/s`, `6000/m` or `50/h`; at least 1, at most 1000000
    limits.toml:5:9: error[bad-value]: `limit[0].burst` has a value that cannot be used; a whole number from 1 to 1000000
    limits.toml:7:1: error[limits-nothing]: `by` names no key to count by; name at least one: a list of `system`, `department`, `resource`, `grant`
    limits.toml:7:1: error[limits-nothing]: `limit[1].resource` selects nothing; leave the key out to mean all, or name at least one
    limits.toml:7:1: error[limits-nothing]: this limit sets no bound; add `rate`, `concurrency` or `per_day`
    limits.toml:8:8: error[duplicate-id]: `a` names a limit twice; it stands on line 2 already: remove one, or give one another name
    limits.toml:10:11: error[unknown-id]: `sys:tree` is not the name of a system; did you mean `sys:three`?
    limits.toml:13:1: error[missing-key]: `limit[2].by` is missing; add `by = …`: a list of `system`, `department`, `resource`, `grant`
    limits.toml:15:9: error[limits-nothing]: a burst needs a rate; add `rate = "100/s"`, or remove `burst`
    limits.toml:16:11: error[bad-value]: `limit[2].per_day` has a value that cannot be used; a whole number from 1 to 1000000000
    masks.toml:4:9: error[wrong-type]: `masker[0].first` is of the wrong type (found float); write a text, a whole number or a list of these
    masks.toml:6:8: error[reserved-name]: a masker cannot be called `clear`; in a scope `:clear` means no masker at all; choose another name
    masks.toml:9:8: error[duplicate-id]: `mobile` names a masker twice; it stands on line 2 already: remove one, or give one another name
    purposes.toml:2:8: error[bad-value]: `purpose[0].code` has a value that cannot be used; a purpose code must be dotted lower-case words, such as `social-aid.eligibility`
    purposes.toml:5:1: error[missing-key]: `purpose[1].legal_basis` is missing; add `legal_basis = …`: the law or decision it rests on
    registry.toml:4:8: error[bad-value]: `department[0].kind` has a value that cannot be used; write `government`, `public-service` or `contractor`
    registry.toml:5:15: error[bad-value]: `department[0].credit_code` has a value that cannot be used; its check character (GB 32100) would be `5`; compare it with the certificate of registration
    registry.toml:6:11: error[bad-value]: `department[0].contact` has a value that cannot be used; write at least one character
    registry.toml:9:6: error[duplicate-id]: `dept:minzheng` names a department twice; it stands on line 2 already: remove one, or give one another name
    registry.toml:13:1: error[unknown-key]: unknown key `department[1].telephone`; known here: contact, credit_code, id, kind, name
    registry.toml:16:6: error[bad-value]: `system[0].id` has a value that cannot be used; a system id must be `sys:` and lower-case letters, digits, `-` or `_`, such as `sys:minzheng-aid`
    registry.toml:23:14: error[unknown-id]: `dept:minzhen` is not the name of a department; did you mean `dept:minzheng`?
    registry.toml:24:27: error[bad-value]: `system[1].certificate.san_dns` has a value that cannot be used; write a DNS name in lower case, without a wildcard, such as `aid.minzheng.city.example`
    registry.toml:24:45: error[unknown-key]: unknown key `system[1].certificate.subject_ou`; did you mean `subject_cn`?
    registry.toml:30:11: error[wrong-type]: `system[2].enabled` is of the wrong type (found string); write `true` or `false`
    registry.toml:31:15: error[missing-key]: `system[2].certificate` recognises no certificate; leave it out for the SPIFFE URI of the system's id, or add one of san_uri, san_dns, subject_cn, subject_credit_code
    registry.toml:42:27: error[ambiguous-certificate]: a certificate that names `sys:four` would name `sys:three` too; both are recognised by SAN URI `spiffe://city.example/dept/minzheng/system/three`; give each a rule of its own
    "#);
}

/// What is said of the example with one resource more, which looks like this.
fn of_a_body(body: &str) -> (Option<Vocabulary>, Vec<String>) {
    let example = example();
    let known = example.catalog().text.lines().count();
    let more = format!(
        "{}\n[[resource]]\nid = \"population.more\"\nname = \"n\"\nprovider = \"dept:gongan\"\nclass = \"c\"\n\
         sharing = \"none\"\nmode = [\"query\"]\nfields = [{{ name = \"a\", label = \"a\", level = 1 }}]\n{body}\n",
        example.catalog().text,
    );
    let (vocabulary, report) = load(&example_with(&[("catalog.toml", &more)]));
    let said = report.to_string();
    let within = |line: &&str| {
        let place = line.split(':').nth(1).and_then(|number| number.parse::<usize>().ok());
        place.is_none_or(|place| place > known)
    };
    assert_eq!(said.lines().filter(within).count(), said.lines().count(), "{said}");
    (vocabulary, said.lines().filter_map(|line| Some(line.split_once("]: ")?.1.to_owned())).collect())
}

#[test]
fn formats_say_what_belongs_to_them() {
    let shape = |body: &str| {
        let (vocabulary, said) = of_a_body(body);
        assert_eq!(said, [""; 0]);
        vocabulary.unwrap().catalog.resources["population.more"].body.clone()
    };
    for (written, delimiter) in [
        ("", Delimiter::Comma),
        ("delimiter = \",\"", Delimiter::Comma),
        ("delimiter = \";\"", Delimiter::Semicolon),
        ("delimiter = \"\\t\"", Delimiter::Tab),
        ("delimiter = \"|\"", Delimiter::Bar),
    ] {
        let body = shape(&format!("format = \"csv\"\n{written}"));
        assert_eq!((body.format, body.delimiter), (BodyFormat::Csv, delimiter));
    }
    let body = shape("format = \"event-stream\"\nenvelope = [\"id\", \"event\"]");
    assert_eq!(body.envelope.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["id", "event"]);
    let help = "remove it, or write `format = \"json\"`";
    for (written, said) in [
        (
            "format = \"csv\"\ndelimiter = \"tab\"",
            "`resource[30].delimiter` has a value that cannot be used; write `,`, `;`, `\\t` or `|`"
                .to_owned(),
        ),
        (
            "format = \"csv\"\ndelimiter = \":\"",
            "`resource[30].delimiter` has a value that cannot be used; write `,`, `;`, `\\t` or `|`"
                .to_owned(),
        ),
        (
            "delimiter = \",\"",
            "only CSV has a `delimiter`; remove it, or write `format = \"csv\"`".to_owned(),
        ),
        (
            "format = \"csv\"\nrecords = \"data\"",
            format!("`records` is about JSON documents, not this format; {help}"),
        ),
        (
            "format = \"form\"\nenvelope = [\"code\"]",
            format!("`envelope` is about JSON documents, not this format; {help}"),
        ),
        (
            "format = \"event-stream\"\nrecords = \"data\"",
            format!("`records` is about JSON documents, not this format; {help}"),
        ),
        (
            "format = \"event-stream\"\nenvelope = [\"retry\"]",
            "`retry` is no field that an event has beside its data; write `event`, `id` or both".to_owned(),
        ),
        (
            "format = \"event-stream\"\nenvelope = [\"id\", \"id\"]",
            "`id` names a field of the events twice".to_owned(),
        ),
    ] {
        let found = of_a_body(written).1;
        assert_eq!(found.len(), 1, "{written}: {found:?}");
        assert!(found[0].starts_with(&said), "{written}: {found:?}");
    }
}

#[test]
fn what_is_searched_is_said_by_resource() {
    let with = |from: &str, egress: &str| {
        let text = example().catalog().text.replacen(from, &format!("egress = \"{egress}\"\n{from}"), 1);
        load(&example_with(&[("catalog.toml", &text)]))
    };
    let requirements = "requirements = \"仅用于申请时注明的事项";
    for egress in Egress::ALL {
        let (vocabulary, report) = with(requirements, egress.as_str());
        assert_eq!(report.to_string(), "");
        let resources = vocabulary.unwrap().catalog.resources;
        assert_eq!(resources["population.resident"].egress, Some(egress));
        assert_eq!(resources["legal.enterprise"].egress, None);
    }
    let (vocabulary, report) = with(requirements, "blocked");
    assert!(vocabulary.is_none());
    assert!(
        report
            .to_string()
            .ends_with("write `report`, or `block` to refuse bodies with unmasked identifiers\n")
    );
    let (vocabulary, report) = with("format = \"opaque\"", "report");
    assert!(vocabulary.is_none());
    let expected = "an opaque body is not searched; remove `egress`: a file is granted whole, and nobody looks into it\n";
    assert!(report.to_string().ends_with(expected), "{report}");
}

#[test]
fn whom_a_parameter_names_is_said_in_a_word() {
    const AS_IT_IS: &str = r#"label = "居民身份号码", subject = "resident-id" }"#;
    let load = |word: &str| {
        let text = example().catalog().text.replacen(AS_IT_IS, &AS_IT_IS.replace("resident-id", word), 1);
        let (vocabulary, report) = load(&example_with(&[("catalog.toml", &text)]));
        (vocabulary, report.to_string())
    };
    for word in ["mobile", "account", "a2-b"] {
        let (vocabulary, report) = load(word);
        let people = &vocabulary.unwrap_or_else(|| panic!("{report}")).catalog.resources
            [&resource("population.resident")];
        assert_eq!(people.parameter("id_card").unwrap().subject.as_ref().unwrap().as_str(), word);
        assert_eq!(people.parameter("area").unwrap().subject, None);
    }
    for (word, help) in [
        ("resident_id", "did you mean `resident-id`?"),
        ("mobil", "did you mean `mobile`?"),
        ("Account", "one lower-case word"),
        ("2", "one lower-case word"),
        ("", "one lower-case word"),
        ("a-word-of-more-than-thirty-two-letters", "one lower-case word"),
    ] {
        let (vocabulary, report) = load(word);
        assert!(vocabulary.is_none() && report.contains(help), "{word}: {report}");
    }
}

#[test]
fn a_notice_may_begin_in_december() {
    let text = "[[year]]\nyear = 2023\nsource = \"notice\"\nworkdays = [\"2022-12-25\"]\n[year.holidays]\n\"元旦\" = \"2022-12-31/2023-01-02\"\n";
    let (vocabulary, report) = load(&example_with(&[("calendar.toml", text)]));
    assert_eq!(report.to_string(), "");
    assert_eq!(vocabulary.unwrap().calendar.holidays.len(), 3);
}

#[test]
fn syntax_errors_come_with_the_rest() {
    let (vocabulary, report) =
        load(&example_with(&[("purposes.toml", "[[purpose]]\ncode = \n"), ("limits.toml", "[limit")]));
    assert!(vocabulary.is_none());
    insta::assert_snapshot!(report.to_string(), @r#"
    limits.toml:1:1: error[wrong-type]: `limit` is of the wrong type (found table); write tables headed `[[limit]]`
    limits.toml:1:7: error[toml-syntax]: unclosed table, expected `]`
    purposes.toml:1:1: error[missing-key]: `purpose[0].label` is missing; add `label = …`: the purpose's name for people
    purposes.toml:1:1: error[missing-key]: `purpose[0].legal_basis` is missing; add `legal_basis = …`: the law or decision it rests on
    purposes.toml:2:8: error[toml-syntax]: string values must be quoted, expected literal string
    purposes.toml:2:8: error[bad-value]: `purpose[0].code` has a value that cannot be used; a purpose code must be dotted lower-case words, such as `social-aid.eligibility`
    "#);
}

#[test]
fn limits_may_only_select_grants_that_exist() {
    let text = "[[limit]]\nname = \"one\"\nby = [\"grant\"]\ngrant = [\"HS-2026-0117\", \"HS-2026-0711\"]\nper_day = 1\n";
    let files = example_with(&[("limits.toml", text)]);
    let vocabulary = load(&files).0.unwrap();
    let grants = ["HS-2026-0117", "NONE-0"].map(|id| GrantId::parse(id).unwrap()).into();
    let report = vocabulary.check_limit_grants(files.limits(), &grants);
    assert_eq!(
        report.to_string(),
        "limits.toml:4:26: error[unknown-id]: `HS-2026-0711` is not the name of a grant; did you mean `HS-2026-0117`?\n"
    );
    assert_eq!(vocabulary.limits()[0].name, LimitName::parse("one").unwrap());
}

/// A copy of the example directory that a test may spoil.
fn copied() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    dir
}

#[test]
fn directories_hold_policy_files_and_nothing_else() {
    let dir = copied();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("tests")).unwrap();
    for name in ["README", "README.zh", "notes.md", ".grants.csv.swp"] {
        fs::write(path(name), "").unwrap();
    }
    let right = PolicyFiles::read(dir.path()).unwrap();
    assert_eq!(right.digest(), example().digest(), "what is passed over is not in the digest");

    fs::write(path("grant.csv"), "").unwrap();
    fs::write(path("mask.toml"), "").unwrap();
    fs::write(path("registry.toml~"), "").unwrap();
    fs::create_dir(path("old")).unwrap();
    fs::remove_file(path("masks.toml")).unwrap();
    fs::write(path("limits.toml"), "\u{feff}").unwrap();
    fs::write(path("purposes.toml"), b"label = \"\xc9\xe7\xbb\xe1\"").unwrap();
    fs::write(path("calendar.toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    fs::remove_file(path("model.conf")).unwrap();
    fs::create_dir(path("model.conf")).unwrap();
    fs::remove_file(path("catalog.toml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, path("catalog.toml"), rustix::fs::Mode::RUSR).unwrap();
    let report = PolicyFiles::read(dir.path()).unwrap_err();
    let shown = report.to_string().replace(&*dir.path().to_string_lossy(), "policies");
    insta::assert_snapshot!(shown, @r#"
    policies/calendar.toml:1:1: error[file-size]: the file is too large; it may have 1MiB at most
    policies/catalog.toml:1:1: error[file-type]: this is no regular file; put the file itself here, or a link to it
    policies/grant.csv:1:1: error[file-unknown]: `grant.csv` is no policy file; remove it: only policy files, README*, *.md, dot files and `tests` may be here
    policies/limits.toml:1:1: error[file-bom]: the file begins with a byte order mark; save it as UTF-8 without BOM
    policies/mask.toml:1:1: error[file-unknown]: `mask.toml` is no policy file; did you mean `masks.toml`?
    policies/masks.toml:1:1: error[file-missing]: the file is missing; a policy directory has all of: calendar.toml, catalog.toml, grants.csv, limits.toml, masks.toml, model.conf, purposes.toml, registry.toml
    policies/model.conf:1:1: error[file-type]: this is no regular file; put the file itself here, or a link to it
    policies/old:1:1: error[file-unknown]: `old` is no policy file; remove it: only policy files, README*, *.md, dot files and `tests` may be here
    policies/purposes.toml:1:1: error[file-encoding]: the file is not UTF-8: byte 10 is the first that is wrong; save it as UTF-8, not GBK or UTF-16
    policies/registry.toml~:1:1: error[file-unknown]: `registry.toml~` is no policy file; remove it: only policy files, README*, *.md, dot files and `tests` may be here
    "#);

    let report = PolicyFiles::read(&path("nowhere")).unwrap_err();
    assert!(report.to_string().contains("directory-unreadable"), "{report}");
}

#[test]
fn files_may_be_links() {
    let dir = copied();
    let behind = tempfile::tempdir().unwrap();
    fs::rename(dir.path().join("masks.toml"), behind.path().join("masks.toml")).unwrap();
    std::os::unix::fs::symlink(behind.path().join("masks.toml"), dir.path().join("masks.toml")).unwrap();
    assert_eq!(PolicyFiles::read(dir.path()).unwrap().digest(), example().digest());
}

#[test]
fn the_digest_is_as_documented() {
    let names = [
        "calendar.toml",
        "catalog.toml",
        "grants.csv",
        "limits.toml",
        "masks.toml",
        "model.conf",
        "purposes.toml",
        "registry.toml",
    ];
    let mut bytes = Vec::new();
    for name in names {
        bytes.extend_from_slice(&u64::try_from(name.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&3_u64.to_be_bytes());
        bytes.extend_from_slice(b"# x");
    }
    let texts = names.iter().rev().map(|name| (*name, "# x"));
    assert_eq!(PolicyFiles::from_texts(texts).unwrap().digest(), Digest::of(&bytes));
    let other = names.map(|name| (name, if name == "masks.toml" { "# y" } else { "# x" }));
    assert_ne!(PolicyFiles::from_texts(other).unwrap().digest(), Digest::of(&bytes));
    let missing = PolicyFiles::from_texts([("masks.toml", ""), ("other.toml", "")]).unwrap_err();
    assert_eq!(missing.count(crate::kernel::diagnostic::Severity::Error), 8);
}

/// The example with resources in XML: what was read of the first of them, and what is wrong.
fn load_xml(keys: &str, fields: &str) -> (Option<Vocabulary>, String) {
    let added = format!(
        "[[resource]]\nid = \"x.y\"\nname = \"乙\"\nprovider = \"dept:gongan\"\nclass = \"丙\"\n\
         sharing = \"conditional\"\nmode = [\"query\"]\nformat = \"xml\"\n{keys}\nfields = [{fields}]\n"
    );
    let catalog = format!("{}\n{added}", example().catalog().text);
    let (vocabulary, report) = load(&example_with(&[("catalog.toml", &catalog)]));
    let findings = report.to_string();
    let places = findings.lines().map(|line| line.split_once("error").map_or(line, |(_, rest)| rest));
    (vocabulary, places.collect::<Vec<_>>().join("\n"))
}

#[test]
fn names_of_xml_stand_for_what_they_say() {
    let (vocabulary, findings) = load_xml(
        "namespaces = { \"\" = \"urn:p\", soap = \"urn:s\" }\nrecords = \"Envelope.rows.row\"\n\
         xml = \"soap:Envelope/rows/row\"\nenvelope = [\"Envelope.code\"]",
        "{ name = \"id\", label = \"甲\", level = 1, xml = \"@id\" },\n\
         { name = \"lang\", label = \"甲\", level = 1, xml = \"@xml:lang\" },\n\
         { name = \"mail\", label = \"甲\", level = 1, type = \"object\" },\n\
         { name = \"mail.text\", label = \"甲\", level = 1, xml = \".\" },\n\
         { name = \"mail.kind\", label = \"甲\", level = 1, xml = \"@soap:kind\" },\n\
         { name = \"full name\", label = \"甲\", level = 1, xml = \"soap:Name\" }",
    );
    assert_eq!(findings, "");
    let vocabulary = vocabulary.unwrap();
    let names = &vocabulary.catalog.resources["x.y"].body.xml;
    let (p, s) = (|| Some("urn:p".into()), || Some("urn:s".into()));
    assert_eq!(names.default, p());
    let element = |namespace, local: &str| XmlName::Element { namespace, local: local.into() };
    let attribute = |namespace, local: &str| XmlName::Attribute { namespace, local: local.into() };
    assert_eq!(names.records, [element(s(), "Envelope"), element(p(), "rows"), element(p(), "row")]);
    let fields: Vec<(&str, &XmlName)> =
        names.fields.iter().map(|(path, name)| (path.as_str(), name)).collect();
    let xml = Some("http://www.w3.org/XML/1998/namespace".into());
    assert_eq!(
        fields,
        [
            ("full name", &element(s(), "Name")),
            ("id", &attribute(None, "id")),
            ("lang", &attribute(xml, "lang")),
            ("mail.kind", &attribute(s(), "kind")),
            ("mail.text", &XmlName::Text),
        ]
    );
}

#[test]
fn names_that_stand_for_nothing_are_refused() {
    let field = |keys: &str| format!("{{ label = \"甲\", level = 1, {keys} }}");
    let findings = |keys: &str, fields: &[&str]| {
        load_xml(keys, &fields.iter().map(|keys| field(keys)).collect::<Vec<_>>().join(",\n")).1
    };
    assert_eq!(
        findings("", &["name = \"a\""]),
        "[body-shape]: a resource in XML needs `records`; name the elements from the document element to the \
         records, such as `records = \"response.data.resident\"`"
    );
    assert_eq!(
        findings(
            "records = \"a.b c.d\"\nenvelope = [\"a.1\"]\nnamespaces = { xmlns = \"urn:x\", \"a b\" = \"urn:x\", p = \"\" }",
            &[
                "name = \"x y\"",
                "name = \"o\", type = \"object\", xml = \"@o\"",
                "name = \"q\", xml = \"q:q\""
            ]
        ),
        "[body-shape]: `b c` cannot be the name of an element; say what it stands for, such as `xml = \"name\"`, or choose another name\n\
         [body-shape]: `1` cannot be the name of an element; say what it stands for, such as `xml = \"name\"`, or choose another name\n\
         [bad-value]: `xmlns` is not a prefix; write a name that does not begin with `xml`, or `\"\"` for names without a prefix\n\
         [bad-value]: `a b` is not a prefix; write a name that does not begin with `xml`, or `\"\"` for names without a prefix\n\
         [bad-value]: a namespace needs its URI; write the URI that documents declare, letter for letter\n\
         [body-shape]: `x y` cannot be the name of an element; say what it stands for, such as `xml = \"name\"`, or choose another name\n\
         [body-shape]: only an element can be an object; an attribute and a text have no members; give the field another type\n\
         [bad-value]: `q:q` names nothing in an XML document; declare the prefix: `namespaces = { q = \"…\" }`"
    );
    assert_eq!(
        findings(
            "records = \"a.b\"\nxml = \"a/@b/c\"",
            &[
                "name = \"t\", xml = \".\"",
                "name = \"u.v\"",
                "name = \"w\", xml = \"u\"",
                "name = \"z\", xml = \"@xmlns\""
            ]
        ),
        "[bad-value]: `a/@b/c` names nothing in an XML document; write elements only, from the document element down\n\
         [body-shape]: `a/@b/c` has 3 names, `a.b` has 2; write one element for each name of `records`, with `/` between them\n\
         [body-shape]: `u` is an element beside the text `t`; beside a field with `xml = \".\"` there can be attributes only\n\
         [body-shape]: `w` is an element beside the text `t`; beside a field with `xml = \".\"` there can be attributes only\n\
         [body-shape]: `w` and `u` stand for the same part of a document; give one of them another `xml`, or remove it\n\
         [bad-value]: `@xmlns` names nothing in an XML document; declarations of namespaces are no attributes; list them in `namespaces`"
    );
}

#[test]
fn keys_of_xml_are_about_xml() {
    let catalog = example().catalog().text.replacen(
        "fields = [",
        "xml = \"a\"\nnamespaces = { a = \"urn:a\" }\nfields = [",
        1,
    );
    let (_, report) = load(&example_with(&[("catalog.toml", &catalog)]));
    let report = report.to_string();
    for key in ["namespaces", "xml"] {
        assert!(report.contains(&format!("`{key}` is about XML documents, not this format")), "{report}");
    }
}
