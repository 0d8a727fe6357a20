//! What loading says about broken files.

use super::city::{at, catalog, load, load_at, now};
use crate::policy::model::SHIPPED;

const BROKEN: &str = "\u{feff}# 授权
p, A-1, sys:minzheng-ad, population.residents, querry, social-ad.*, nam|@basics|addres|sex:mobil;aera=34*, 2026-13-01/.., alow
p, A-1, dept:minzhen, sharing:unconditonal, query, planing.survey, @basic, workdays, DENY
p, A 2, group:livelihod, theme:land, *, *, *, 2026-12-31/2026-01-01, allow
p, A-3, *, *, query, *, *, always, allow
p，A-4，sys:minzheng-aid，population.resident，query，*，name｜sex，always，allow
p, A-5, sys:minzheng-aid, population.resident, query, *, name, always
p, A-6, sys:minzheng-aid, population.resident, query, *, name;rows<=10, always, deny
p, A-7, sys:minzheng-aid, population.resident, query, *, \"name\"|sex, always, allow
P, A-8, sys:minzheng-aid, population.resident, query, *, name, always, allow
p, A-9, sys:minzheng-aid,\tpopulation.resident, query, *, *;area=3*4;rows<=5x, 25:00-08:00, allow
p, A-10, sys:minzheng-aid, population.resident, query, *, nam|@basics|addres|sex:mobil|nothing.*;aera=34*;rows=5, always, allow
p, A-11, sys:minzheng-aid, sharing:conditional, query, *, @nobody;century=20, always, allow
g, sys:minzheng-aid, dept:ziran
g, dept:minzheng, livelihood
g, group:a, group:b
g, group:b, group:a
g, dept:nobody, group:a
g2, spatial.parcel, sharing:none
g2, spatial.parcels, theme:ground
g2, spatial.parcel, ground
";

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let (policy, report) = load(BROKEN);
    assert!(policy.is_none());
    insta::assert_snapshot!(report.to_string(), @r#"
    grants.csv:1:1: error[byte-order-mark]: the file begins with a byte order mark; save it as UTF-8 without BOM
    grants.csv:2:9: error[unknown-system]: unknown system `sys:minzheng-ad`; did you mean `sys:minzheng-aid`?
    grants.csv:2:26: error[unknown-resource]: unknown resource `population.residents`; did you mean `population.resident`?
    grants.csv:2:48: error[unknown-action]: unknown action `querry`; did you mean `query`?
    grants.csv:2:56: error[unknown-purpose]: unknown purpose `social-ad.*`; did you mean `social-aid.*`?
    grants.csv:2:88: error[unknown-masker]: unknown masker `mobil`; did you mean `:mobile`?
    grants.csv:2:108: error[bad-window]: `2026-13-01` is neither a date nor an instant; write a date such as `2026-12-31`, an RFC 3339 instant such as `2026-12-31T18:00:00+08:00`, or `..` for no bound
    grants.csv:2:123: error[unknown-effect]: unknown effect `alow`; did you mean `allow`?
    grants.csv:3:4: error[duplicate-id]: the id `A-1` is used twice; it names the grant on line 2: every approval has a number of its own
    grants.csv:3:9: error[unknown-department]: unknown department `dept:minzhen`; did you mean `dept:minzheng`?
    grants.csv:3:23: error[unknown-sharing-type]: unknown sharing type `sharing:unconditonal`; did you mean `sharing:unconditional`?
    grants.csv:3:52: error[unknown-purpose]: unknown purpose `planing.survey`; did you mean `planning.survey`?
    grants.csv:3:76: error[bad-window]: `workdays` names no days; did you mean `workday`?
    grants.csv:3:86: error[unknown-effect]: unknown effect `DENY`; did you mean `deny`?
    grants.csv:4:4: error[bad-grant-id]: `A 2` is not a grant id; a grant id must be letters, digits, `-`, `_` or `.`, such as `HS-2026-0117`
    grants.csv:4:9: error[unknown-group]: unknown group `group:livelihod`; a group exists where a `g` line puts somebody into it
    grants.csv:4:26: error[unknown-theme]: unknown theme `theme:land`; a theme exists where a `g2` line puts a resource into it
    grants.csv:4:47: error[window-ends-before-it-begins]: the window ends before it begins: it would hold from 2026-12-30T16:00:00Z to 2026-01-01T16:00:00Z; write the earlier end first; an end date is included, an end instant is not
    grants.csv:5:9: error[unknown-subject]: unknown subject `*`; write `group:all` for every system
    grants.csv:5:12: error[unknown-resource]: unknown resource `*`; write `sharing:unconditional` or `sharing:conditional`, a line each
    grants.csv:6:2: error[full-width-character]: full-width or typographic `，`; write `,`
    grants.csv:6:6: error[full-width-character]: full-width or typographic `，`; write `,`
    grants.csv:6:23: error[full-width-character]: full-width or typographic `，`; write `,`
    grants.csv:6:43: error[full-width-character]: full-width or typographic `，`; write `,`
    grants.csv:6:49: error[full-width-character]: full-width or typographic `，`; write `,`
    grants.csv:6:51: error[full-width-character]: full-width or typographic `，`; write `,`
    grants.csv:6:56: error[full-width-character]: full-width or typographic `｜`; write `|`
    grants.csv:6:60: error[full-width-character]: full-width or typographic `，`; write `,`
    grants.csv:6:67: error[full-width-character]: full-width or typographic `，`; write `,`
    grants.csv:7:1: error[wrong-number-of-fields]: a `p` line has 9 fields, this one has 8; write `p, id, subject, resource, action, purpose, scope, window, effect`; a comma inside a field needs quotes
    grants.csv:8:58: error[deny-of-fields]: a deny line refuses the whole request, not fields; write `*`: to keep a field back, leave it out of the grants
    grants.csv:8:58: error[deny-with-duty]: a deny line has no row duties; write row duties on allow lines
    grants.csv:9:64: error[stray-quote]: text after the closing quote; end the field right after its closing quote
    grants.csv:10:1: error[unknown-section]: unknown section `P`; did you mean `p`?
    grants.csv:11:26: error[control-character]: control character U+0009; write a space
    grants.csv:11:65: error[bad-scope]: `3*4` has a `*` that is not at its end; a `*` stands at the end and matches a prefix
    grants.csv:11:75: error[bad-scope]: `5x` is not a number of rows; write a whole number above zero, in digits alone
    grants.csv:11:79: error[bad-window]: `25:00-08:00` is not a span of hours; write `HH:MM-HH:MM` in 24 hours, such as `08:30-18:00` or `22:00-06:00`
    grants.csv:12:59: error[unknown-field]: unknown field `nam`; did you mean `name`?
    grants.csv:12:63: error[unknown-field-group]: unknown field group `@basics`; did you mean `@basic`?
    grants.csv:12:71: error[unknown-field]: unknown field `addres`; did you mean `address`?
    grants.csv:12:78: error[unknown-masker]: unknown masker `mobil`; did you mean `:mobile`?
    grants.csv:12:88: error[unknown-field]: unknown field `nothing.*`; write a field or group of catalog.toml
    grants.csv:12:98: error[unknown-parameter]: unknown parameter `aera`; did you mean `area`?
    grants.csv:12:107: error[unknown-parameter]: unknown parameter `rows`; write `rows<=` and a number for a row duty
    grants.csv:13:59: error[unknown-field-group]: unknown field group `@nobody`; write a field or group of catalog.toml
    grants.csv:13:67: error[unknown-parameter]: unknown parameter `century`; write a parameter of catalog.toml
    grants.csv:14:1: error[contradicts-registry]: `sys:minzheng-aid` is not in `dept:ziran`; the registry says `dept:minzheng`: mend it there, or make a `group:`
    grants.csv:15:19: error[bad-role]: `livelihood` cannot have members; write `group:` and a lower-case word, such as `group:livelihood`; only the registry puts systems into departments
    grants.csv:17:1: error[role-cycle]: `group:b` would be a member of itself; remove one line of the circle
    grants.csv:18:4: error[unknown-department]: unknown department `dept:nobody`; write a `sys:` or `dept:` of registry.toml, or a `group:`
    grants.csv:19:1: error[contradicts-catalogue]: `spatial.parcel` is not in `sharing:none`; the catalogue says `sharing = "unconditional"`: mend it there
    grants.csv:20:5: error[unknown-resource]: unknown resource `spatial.parcels`; did you mean `spatial.parcel`?
    grants.csv:21:1: error[bad-role]: `ground` cannot have members; write `theme:` and a lower-case word, such as `theme:livelihood`
    "#);
}

#[test]
fn what_deserves_a_look_is_said_and_loads() {
    let grants = "\
p, A-1, sys:minzheng-aid, population.resident, query, *, name, ../2026-06-20, allow
p, A-2, sys:minzheng-aid, population.resident, query, *, name, ../2026-06-01, allow
p, A-3, sys:minzheng-old, population.resident, query, *, name, always, allow
p, A-4, sys:minzheng-aid, population.adoption, query, *, name, always, allow
p, A-5, sys:minzheng-aid, sharing:conditional, query, *, name;area=34*, always, allow
p, A-6, sys:minzheng-aid, population.resident, query, *, name, 2025-01-01/2027-12-31 workday, allow
g, sys:minzheng-aid, dept:minzheng
g, sys:minzheng-aid, group:all
g2, spatial.parcel, sharing:unconditional
";
    let (policy, report) = load(grants);
    assert!(policy.is_some(), "{report}");
    insta::assert_snapshot!(report.to_string(), @r#"
    grants.csv:1:1: warning[grant-expires-soon]: `A-1` ends at 2026-06-21T00:00:00, within 30 days; renew it if it is still needed
    grants.csv:2:1: warning[grant-expired]: `A-2` has ended; renew it or remove this line
    grants.csv:3:9: warning[disabled-system]: `sys:minzheng-old` is disabled in the registry; enable it there or remove this grant
    grants.csv:4:1: warning[grant-of-unshared]: `population.adoption` is of sharing type `none`: nothing is granted here; remove this line or mend the catalogue
    grants.csv:5:58: warning[partial-scope]: `name` gives nothing on `licence.electronic`; name the resources that have it, or add it to the others
    grants.csv:5:63: warning[partial-scope]: `area` is no parameter of `licence.electronic`: the grant never holds there; name the resources that have it
    grants.csv:7:1: warning[repeated-role]: the registry says that `sys:minzheng-aid` is in `dept:minzheng`; remove this line
    grants.csv:8:1: warning[repeated-role]: every system and department is in `group:all` already; remove this line
    grants.csv:9:1: warning[repeated-role]: the catalogue says that `spatial.parcel` is in `sharing:unconditional`; remove this line
    "#);
}

#[test]
fn a_year_that_the_calendar_lacks_is_said_in_advance() {
    let grants = "\
p, A-1, sys:minzheng-aid, population.resident, query, *, name, 2026-01-01/2027-12-31 workday, allow
p, A-2, sys:minzheng-aid, population.resident, query, *, name, 2026-01-01/2026-12-31 workday, allow
p, D-1, group:all, sharing:conditional, query, planning.survey, *, holiday, deny
";
    let warnings = |now| {
        let (policy, report) = load_at(&catalog(), SHIPPED, grants, now);
        assert!(policy.is_some());
        report.to_string()
    };
    assert_eq!(warnings(now()), "", "June is too early to ask for next year");
    assert_eq!(
        warnings(at("2026-11-10T00:00:00Z")),
        "grants.csv:1:1: warning[calendar-lacks-year]: this line and 1 more ask for kinds of days, and the calendar lacks 2027; \
         add the year to calendar.toml: until then an allow line fails on its days and a deny line holds\n"
    );
}

#[test]
fn roles_are_no_deeper_than_casbin_follows() {
    let chain = |links: usize| {
        let mut text = "p, A-1, group:n1, population.resident, query, *, name, always, allow\ng, dept:minzheng, group:n1\n".to_owned();
        for link in 1..links {
            text.push_str(&format!("g, group:n{link}, group:n{}\n", link + 1));
        }
        text
    };
    // A system is one link below its department.
    assert!(load(&chain(8)).0.is_some());
    let (policy, report) = load(&chain(9));
    assert!(policy.is_none());
    assert!(report.to_string().contains("error[role-too-deep]"), "{report}");
}

#[test]
fn another_model_does_not_gate() {
    let model = SHIPPED.replace("g2 = _, _", "g2 = _, _, _");
    let (policy, report) = load_at(&catalog(), &model, "", now());
    assert!(policy.is_none());
    assert_eq!(
        report.to_string(),
        "model.conf:11:1: error[model-not-served]: this model cannot gate traffic: its `g2` is not the shipped model's; \
         to gate traffic write `g2 = _, _`\n"
    );
}

#[test]
fn an_empty_policy_loads_and_grants_nothing() {
    let (policy, report) = load("# nothing yet\n");
    assert_eq!(report.to_string(), "");
    let asking = super::city::Asking::new();
    assert_eq!(asking.decide(&policy.unwrap()), "NoGrant query");
}

#[test]
fn findings_are_bounded() {
    let grants = "p, A-1, sys:nobody, nothing, query, *, name, always, allow\n".repeat(2000);
    let (policy, report) = load(&grants);
    assert!(policy.is_none());
    let shown = report.sorted().len();
    assert_eq!(shown, crate::policy::csv::MAX_FINDINGS + 1);
}
