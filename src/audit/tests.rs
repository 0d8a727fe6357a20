mod naughty;
mod schema;

use proptest::prelude::*;

use super::*;
use crate::catalog::{Identifier, Subject};
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::*;
use crate::kernel::secret::Secret;
use crate::kernel::time::Timestamp;

/// The longest kind of subject that there can be.
const KIND: &str = "resident-id-or-another-long-word";

/// Everything an access can hold, owned.
#[derive(Debug, Clone)]
struct Texts {
    method: String,
    route: String,
    requested: Vec<String>,
    parameters: Vec<(ParameterName, String)>,
    fields: Vec<FieldPath>,
    grants: Vec<GrantId>,
}

fn released(texts: &Texts) -> Vec<ReleasedField> {
    let masker = MaskerName::parse("mobile").unwrap();
    let treatments = [Treatment::Clear, Treatment::Masked(masker)].into_iter().cycle();
    let fields = texts.fields.iter().cloned().zip(treatments);
    fields.map(|(path, treatment)| ReleasedField { path, treatment }).collect()
}

fn with_access<T>(texts: &Texts, then: impl FnOnce(&Access<'_>) -> T) -> T {
    let system = SystemId::parse("sys:minzheng-aid").unwrap();
    let department = DepartmentId::parse("dept:minzheng").unwrap();
    let resource = ResourceId::parse("population.resident").unwrap();
    let purpose = PurposeCode::parse("social-aid.eligibility").unwrap();
    let (action, token) = (Action::parse("query").unwrap(), TokenId::parse("t-1").unwrap());
    let released = released(texts);
    let counts: Vec<_> = texts.fields.iter().zip(1..).collect();
    let found: Vec<_> = texts
        .fields
        .iter()
        .zip(Identifier::ALL.into_iter().cycle())
        .map(|(path, kind)| (path, kind, 1))
        .collect();
    let digest = Digest::of(b"");
    let key = DigestKey::new(&Secret::new([1; 32]));
    let digests = subjects(&key, texts);
    then(&Access {
        kind: Kind::Access,
        at: "2026-11-23T09:30:00.123456789Z".parse().unwrap(),
        request_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        system: Some(&system),
        department: Some(&department),
        certificate: &digest,
        address: "2001:db8::1".parse().unwrap(),
        method: &texts.method,
        route: Some(&texts.route),
        resource: Some(&resource),
        provider: Some(&department),
        action: Some(&action),
        purpose: Some(&purpose),
        purpose_source: Some("token"),
        token_id: Some(&token),
        requested: &texts.requested,
        parameters: &texts.parameters,
        withheld: &withheld(texts),
        subjects: Some(Subjects { key: key.id(), digests: &digests }),
        narrowed_to: Some(&texts.grants),
        decision: "permit",
        reason: None,
        admitted: Some(Admitted::Grants),
        grants: &texts.grants,
        denied_by: &texts.grants,
        released: &released,
        policy: &digest.to_hex(),
        config: &digest.to_hex(),
        shadow: Some(Shadow { change: "extent", policy: &digest.to_hex() }),
        outcome: Some(Outcome {
            status: 200,
            bytes_in: 0,
            bytes_out: u64::MAX,
            records: Some(10),
            masked: &counts,
            dropped: &counts,
            egress: &found,
            unclassified: 3,
            submitted: Some(Submitted { records: 4, masked: &counts, dropped: &counts, unclassified: 5 }),
            received_mac: Some(digest),
            sent_sha256: Some(digest),
            total_us: 1234,
            decide_us: 56,
            upstream_us: 789,
            attempts: 2,
            aborted: None,
            ended_by: None,
        }),
    })
}

/// A subject for each parameter, and one that is always there.
fn subjects(key: &DigestKey, texts: &Texts) -> Vec<SubjectDigest> {
    let kind = SubjectKind::parse(KIND).unwrap();
    let numbers = (0..=texts.parameters.len()).map(|number| format!("11010519491231{number:03}X"));
    numbers.map(|number| key.subject(&Subject::new(&kind, &number).unwrap())).collect()
}

/// Each name once, as an access promises.
fn withheld(texts: &Texts) -> Vec<(ParameterName, u64)> {
    let names: std::collections::BTreeSet<_> = texts.parameters.iter().map(|(name, _)| name).collect();
    names.into_iter().map(|name| (name.clone(), 2)).collect()
}

fn plain() -> Texts {
    let path = |text| FieldPath::parse(text).unwrap();
    Texts {
        method: "GET".to_owned(),
        route: "/population/residents".to_owned(),
        requested: vec!["name".to_owned(), "@basic".to_owned()],
        parameters: vec![(ParameterName::parse("area").unwrap(), "330100".to_owned())],
        fields: vec![path("name"), path("phone"), path("地址.市")],
        grants: vec![GrantId::parse("HS-2026-0117").unwrap()],
    }
}

fn start(actor: &str) -> Entry {
    let at = Timestamp::UNIX_EPOCH;
    Lifecycle { at, event: Event::Start, actor, detail: &[], policy: None, config: None }.encode()
}

fn chain() -> Chain {
    Chain::new(NodeId::parse("gate-1").unwrap(), 1)
}

/// One sealed line without its newline.
fn sealed(texts: &Texts) -> Vec<u8> {
    let mut out = Vec::new();
    chain().seal(&with_access(texts, |access| access.encode()), &mut out);
    assert_eq!(out.pop(), Some(b'\n'));
    out
}

#[test]
fn the_bytes_of_a_record_are_fixed() {
    let zeros = Digest::of(b"").to_hex();
    let genesis = Digest::of(b"pinegate audit log\nversion 1\nnode gate-1\ngeneration 1\n").to_hex();
    let key = DigestKey::new(&Secret::new([1; 32]));
    let subjects = subjects(&key, &plain());
    let rest = format!(
        concat!(
            r#""kind":"access","at":"2026-11-23T09:30:00.123456Z","#,
            r#""request":"01890a5d-ac96-774b-bcce-b302099a8057","trace":"4bf92f3577b34da6a3ce929d0e0e4736","#,
            r#""system":"sys:minzheng-aid","department":"dept:minzheng","certificate":"{0}","#,
            r#""address":"2001:db8::1","method":"GET","route":"/population/residents","#,
            r#""resource":"population.resident","provider":"dept:minzheng","action":"query","#,
            r#""purpose":"social-aid.eligibility","purpose_source":"token","token":"t-1","#,
            r#""requested":["name","@basic"],"parameters":{{"area":"330100"}},"withheld":{{"area":2}},"#,
            r#""subjects":["{1}","{2}"],"subjects_key":"{3}","#,
            r#""narrowed_to":["HS-2026-0117"],"decision":"permit","admitted":"grants","#,
            r#""grants":["HS-2026-0117"],"denied_by":["HS-2026-0117"],"#,
            r#""released":["name","phone:mobile","地址.市"],"policy":"{0}","config":"{0}","#,
            r#""shadow":"extent","shadow_policy":"{0}","#,
            r#""status":200,"bytes_in":0,"bytes_out":18446744073709551615,"records":10,"#,
            r#""masked":{{"name":1,"phone":2,"地址.市":3}},"dropped":{{"name":1,"phone":2,"地址.市":3}},"#,
            r#""egress":{{"name:resident-id":1,"phone:mobile":1,"地址.市:bank-card":1}},"#,
            r#""unclassified":3,"submitted":4,"submitted_masked":{{"name":1,"phone":2,"地址.市":3}},"#,
            r#""submitted_dropped":{{"name":1,"phone":2,"地址.市":3}},"submitted_unclassified":5,"#,
            r#""received_mac":"{0}","sent_sha256":"{0}","total_us":1234,"decide_us":56,"upstream_us":789,"attempts":2}}"#
        ),
        zeros,
        subjects[0],
        subjects[1],
        key.id()
    );
    let sum = format!("{:08x}", crc32fast::hash(rest.as_bytes()));
    let line = format!(
        r#"{{"v":1,"seq":0,"batch":0,"prev":"{genesis}","node":"gate-1","generation":1,"sum":"{sum}",{rest}"#
    );
    assert_eq!(String::from_utf8(sealed(&plain())).unwrap(), line);
}

#[test]
fn what_does_not_fit_is_counted() {
    let mut texts = plain();
    texts.requested = (0..1000).map(|n| format!("field-{n:04}")).collect();
    let record = ParsedRecord::parse(&sealed(&texts)).unwrap();
    let kept = record.requested.len();
    assert!(kept > 50);
    assert_eq!(record.requested_more, Some(1000 - u64::try_from(kept).unwrap()));
    texts.requested = vec!["长".repeat(4000)];
    let record = ParsedRecord::parse(&sealed(&texts)).unwrap();
    assert!(record.requested[0].len() <= 648 && record.requested[0].ends_with("长…"));
}

#[test]
fn a_record_in_which_everything_is_too_long_fits_on_a_line() {
    // Long items leave room at the end of a list that short ones fill.
    assert_fits(100, [128, 512], &"\u{202e}".repeat(4000));
    assert_fits(2000, [1, 1], "x");
    assert_fits(2000, [20, 20], "value");
}

fn assert_fits(count: usize, [id, path]: [usize; 2], item: &str) {
    let long = "\u{202e}".repeat(4000);
    let texts = Texts {
        method: long.clone(),
        route: long.clone(),
        requested: vec![item.to_owned(); count],
        parameters: (0..count)
            .map(|n| (ParameterName::parse(&format!("{n:0>id$}")).unwrap(), item.to_owned()))
            .collect(),
        fields: (0..count).map(|n| FieldPath::parse(&format!("{n:0>path$}")).unwrap()).collect(),
        grants: (0..count).map(|n| GrantId::parse(&format!("{n:0>id$}")).unwrap()).collect(),
    };
    let whole = |prefix: &str| format!("{prefix}{}", "x".repeat(128 - prefix.len()));
    let (system, department) =
        (SystemId::parse(&whole("sys:")).unwrap(), DepartmentId::parse(&whole("dept:")).unwrap());
    let (resource, action) = (ResourceId::parse(&whole("r")).unwrap(), Action::parse(&whole("a")).unwrap());
    let (purpose, token) = (PurposeCode::parse(&whole("p")).unwrap(), TokenId::parse(&whole("t")).unwrap());
    let node = NodeId::parse(&whole("n")).unwrap();
    let entry = with_access(&texts, |access| {
        Access {
            trace_id: Some(&long),
            system: Some(&system),
            department: Some(&department),
            resource: Some(&resource),
            provider: Some(&department),
            action: Some(&action),
            purpose: Some(&purpose),
            token_id: Some(&token),
            reason: Some("an-outcome-that-nobody-has-seen-yet-but-that-could-be-as-long-as-so"),
            policy: &long,
            config: &long,
            outcome: access.outcome.clone().map(|outcome| Outcome {
                status: u16::MAX,
                bytes_in: u64::MAX,
                records: Some(u64::MAX),
                unclassified: u64::MAX,
                total_us: u64::MAX,
                decide_us: u64::MAX,
                upstream_us: u64::MAX,
                attempts: u64::MAX,
                aborted: Some("a-reason-that-nobody-has-seen-yet-but-that-could-be-as-long-as-so"),
                ended_by: Some("platform"),
                ..outcome
            }),
            ..access.clone()
        }
        .encode()
    });
    let chain = Chain::new(node, u32::MAX);
    assert!(chain.sealed_bytes(&entry) <= MAX_LINE_BYTES, "{}", chain.sealed_bytes(&entry));
}

#[test]
fn a_usual_record_is_borrowed_from_its_line() {
    let mut texts = plain();
    let parameter = |name| (ParameterName::parse(name).unwrap(), "330100".to_owned());
    texts.parameters = ["year", "area", "year"].map(parameter).into();
    let view = sealed(&texts);
    let view = AccessView::borrowed(&view).unwrap();
    assert_eq!(view, ParsedRecord::parse(&sealed(&texts)).unwrap().into(), "names in order");
    let line = sealed(&plain());
    let view = AccessView::borrowed(&line).unwrap();
    assert_eq!(view, ParsedRecord::parse(&line).unwrap().into());
    assert_eq!((view.kind, view.seq, &*view.at), (Some(Kind::Access), 0, "2026-11-23T09:30:00.123456Z"));
    assert_eq!(view.released.items, ["name", "phone:mobile", "地址.市"]);
    assert_eq!(view.withheld.items, [("area".into(), 2)]);
    let mut start = Vec::new();
    let event = Lifecycle {
        at: Timestamp::UNIX_EPOCH,
        event: Event::Start,
        actor: "system",
        detail: &[("a", "b")],
        policy: Some("aa"),
        config: Some("bb"),
    };
    chain().seal(&event.encode(), &mut start);
    start.pop();
    assert_eq!(AccessView::borrowed(&start).unwrap(), ParsedRecord::parse(&start).unwrap().into());
    let line = String::from_utf8(line).unwrap();
    for (from, to) in [
        ("\"kind\"", "\"kinds\""),
        ("\"v\":1", "\"v\":2"),
        ("\"v\":1", "\"v\":01"),
        ("\"status\":200", "\"status\":70000"),
        ("\"bytes_in\":0", "\"bytes_in\":-1"),
        ("\"unclassified\":3", "\"unclassified\":3,\"unclassified\":3"),
        ("\"system\":\"sys:minzheng-aid\"", "\"system\":null"),
        ("\"sum\"", "\"batch\""),
        ("\"action\":\"query\",", "\"action\":\"query\",\"route\":\"/\","),
        ("}", "} "),
        ("{\"area\":\"330100\"}", "{\"area\":\"1\",\"area\":\"2\"}"),
    ] {
        assert!(line.contains(from), "{from}");
        let changed = line.replacen(from, to, 1);
        assert_eq!(AccessView::borrowed(changed.as_bytes()), None, "{to} is unusual");
        let parsed = ParsedRecord::parse(changed.as_bytes()).map(AccessView::from).ok();
        assert_eq!(AccessView::read(changed.as_bytes()).ok(), parsed, "{to}");
    }
}

#[test]
fn doubled_parameters_keep_both_values() {
    let mut texts = plain();
    let area = ParameterName::parse("area").unwrap();
    texts.parameters =
        vec![(area.clone(), "1".to_owned()), (area.clone(), "2".to_owned()), (area, "3".to_owned())];
    let record = ParsedRecord::parse(&sealed(&texts)).unwrap();
    let found: Vec<_> = record.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(found, [("area", "1"), ("area#2", "2"), ("area#3", "3")]);
}

#[test]
fn an_unknown_outcome_repeats_who_and_what() {
    let intent = ParsedRecord::parse(&sealed(&plain())).unwrap();
    let entry = intent.unknown_outcome(Timestamp::UNIX_EPOCH);
    let mut line = Vec::new();
    chain().seal(&entry, &mut line);
    let record = ParsedRecord::parse(&line).unwrap();
    assert_eq!((&*record.kind, record.decision.as_deref()), ("outcome", Some("unknown")));
    assert_eq!(
        (record.request, record.system, record.grants),
        (intent.request, intent.system, intent.grants)
    );
    assert_eq!(peek_kind(&line), Some(Kind::Outcome));
    assert_eq!(peek_instant(&line), Some(&b"1970-01-01T00:00:00.000000Z"[..]));
}

#[test]
fn every_flipped_bit_of_every_record_is_found() {
    let mut chain = chain();
    let mut log = Vec::new();
    for n in 0..3 {
        chain.begin_batch();
        let actor = format!("operator {n}");
        let record = Lifecycle {
            at: Timestamp::UNIX_EPOCH,
            event: Event::Reload,
            actor: &actor,
            detail: &[("a", "b")],
            policy: None,
            config: None,
        };
        chain.seal(&record.encode(), &mut log);
    }
    let verify = |log: &[u8]| {
        let mut chain = self::chain();
        let whole = log.ends_with(b"\n");
        let right = log
            .split_inclusive(|byte| *byte == b'\n')
            .all(|line| chain.check(&line[..line.len() - 1]).is_ok());
        whole && right && chain.next() == 3
    };
    assert!(verify(&log));
    for at in 0..log.len() {
        for bit in 0..8 {
            let mut bad = log.clone();
            bad[at] ^= 1 << bit;
            assert!(!verify(&bad), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_chain_goes_on_in_the_middle_of_a_batch() {
    let mut writer = chain();
    let (mut heads, mut lines) = (vec![writer.head()], Vec::new());
    for size in [2, 3, 1] {
        writer.begin_batch();
        for _ in 0..size {
            let mut line = Vec::new();
            writer.seal(&start("a"), &mut line);
            line.pop();
            lines.push(line);
            heads.push(writer.head());
        }
    }
    for (begin, seq) in (0..lines.len()).zip(0..) {
        let resumed = || Chain::resume(chain().node().clone(), 1, seq, heads[begin]);
        let mut chain = resumed();
        for line in &lines[begin..] {
            assert_eq!(chain.check(line), Ok(()), "from {begin}");
        }
        let line = String::from_utf8(lines[begin].clone()).unwrap();
        let batch = line.split(',').nth(2).unwrap();
        let ahead = line.replacen(batch, "\"batch\":9", 1);
        let found = resumed().check(ahead.as_bytes());
        assert_eq!(found, Err(Broken::Batch { before: seq, found: 9 }));
    }
}

#[test]
fn a_damaged_line_is_named_for_what_it_is() {
    let mut writer = chain();
    let mut lines = Vec::new();
    for actor in ["a", "b", "c"] {
        let mut line = Vec::new();
        let record = Lifecycle {
            at: Timestamp::UNIX_EPOCH,
            event: Event::Start,
            actor,
            detail: &[],
            policy: None,
            config: None,
        };
        writer.begin_batch();
        writer.seal(&record.encode(), &mut line);
        line.pop();
        lines.push(line);
    }
    let after_first = || {
        let mut chain = chain();
        chain.check(&lines[0]).unwrap();
        chain
    };
    let edited = String::from_utf8(lines[1].clone()).unwrap().replace("\"b\"", "\"x\"");
    let mut forged = chain();
    let mut other = Vec::new();
    let record = Lifecycle {
        at: Timestamp::UNIX_EPOCH,
        event: Event::Start,
        actor: "z",
        detail: &[],
        policy: None,
        config: None,
    };
    forged.seal(&record.encode(), &mut Vec::new());
    forged.begin_batch();
    forged.seal(&record.encode(), &mut other);
    other.pop();
    let cases: [(&[u8], Broken); 6] = [
        (&lines[2], Broken::Gap { expected: 1, found: 2 }),
        (&lines[0], Broken::Order { expected: 1, found: 0 }),
        (edited.as_bytes(), Broken::Sum),
        (&other, Broken::Previous),
        (b"{}", Broken::Head),
        (&[b'x'; MAX_LINE_BYTES + 1], Broken::TooLong),
    ];
    for (line, why) in cases {
        let mut chain = after_first();
        assert_eq!(chain.check(line), Err(why));
        assert_eq!(chain.check(&lines[1]), Ok(()), "a failed check moves nothing");
    }
}

#[test]
fn a_tail_is_torn_only_while_nothing_later_follows() {
    let mut writer = chain();
    let mut batches = Vec::new();
    for sizes in [1, 3, 1] {
        let mut bytes = Vec::new();
        writer.begin_batch();
        for _ in 0..sizes {
            let record = Lifecycle {
                at: Timestamp::UNIX_EPOCH,
                event: Event::Start,
                actor: "a",
                detail: &[],
                policy: None,
                config: None,
            };
            writer.seal(&record.encode(), &mut bytes);
        }
        batches.push(bytes);
    }
    let mut before = chain();
    before.check(batches[0].trim_ascii_end()).unwrap();
    let hole = |bytes: &[u8]| [&[0; 40][..], &bytes[40..]].concat();
    assert_eq!(judge_tail(&before, b"\0\0\0"), Tail::Clean);
    // The first of three records of one commit is damaged, the other two are whole: torn.
    let torn = hole(&batches[1]);
    assert!(matches!(judge_tail(&before, &torn), Tail::Torn { bytes, .. } if bytes == torn.len()));
    // The same damage with a later commit behind it was durable once.
    let damaged = [torn, batches[2].clone()].concat();
    assert!(matches!(judge_tail(&before, &damaged), Tail::Damaged { later: 4, .. }));
    for length in 1..batches[1].len() {
        let cut = &batches[1][..length];
        let first = batches[1].iter().position(|byte| *byte == b'\n').unwrap();
        if length <= first {
            assert!(matches!(judge_tail(&before, cut), Tail::Torn { .. }), "cut at {length}");
        }
    }
}

fn texts() -> impl Strategy<Value = Texts> {
    let hostile = prop_oneof![
        ".*",
        "[\\x00-\\x1f\"\\\\\u{7f}-\u{9f}\u{2028}\u{2029}\u{202e}\u{2066}]{0,3000}",
        Just("\"},\n{\"v\":1,\"seq\":0".to_owned()),
        "\u{4e2d}{0,6000}",
    ];
    let list = || prop::collection::vec(hostile.clone(), 0..40);
    let path =
        "[^.|;:*@\",\\[\\]\\p{Cc}\\s]{1,150}".prop_filter_map("no path", |text| FieldPath::parse(&text).ok());
    let grant = "[A-Z]{1,128}".prop_map(|text| GrantId::parse(&text).unwrap());
    let name = "[a-z]{1,128}".prop_map(|text| ParameterName::parse(&text).unwrap());
    (
        hostile.clone(),
        hostile.clone(),
        list(),
        prop::collection::vec((name, hostile), 0..30),
        prop::collection::hash_set(path, 0..60),
        prop::collection::vec(grant, 0..40),
    )
        .prop_map(|(method, route, requested, parameters, fields, grants)| Texts {
            method,
            route,
            requested,
            parameters,
            fields: fields.into_iter().collect(),
            grants,
        })
}

/// Whether `found` is `wanted`, or `wanted` cut.
fn is_or_is_cut(found: &str, wanted: &str) -> bool {
    found == wanted || found.strip_suffix('…').is_some_and(|found| wanted.starts_with(found))
}

proptest! {
    #[test]
    fn hostile_texts_stay_on_one_bounded_line(texts in texts()) {
        let line = sealed(&texts);
        prop_assert!(line.len() <= MAX_LINE_BYTES);
        let text = std::str::from_utf8(&line).unwrap();
        let obeyed = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
        prop_assert!(!text.chars().any(obeyed));
        prop_assert_eq!(chain().check(&line), Ok(()));
    }

    #[test]
    fn what_is_read_back_is_what_was_written(texts in texts()) {
        let record = ParsedRecord::parse(&sealed(&texts)).unwrap();
        prop_assert!(is_or_is_cut(record.method.as_deref().unwrap(), &texts.method));
        prop_assert!(is_or_is_cut(record.route.as_deref().unwrap(), &texts.route));
        let more = |n: Option<u64>| usize::try_from(n.unwrap_or(0)).unwrap();
        prop_assert_eq!(record.requested.len() + more(record.requested_more), texts.requested.len());
        for (found, wanted) in record.requested.iter().zip(&texts.requested) {
            prop_assert!(is_or_is_cut(found, wanted));
        }
        prop_assert_eq!(record.parameters.len() + more(record.parameters_more), texts.parameters.len());
        prop_assert_eq!(record.masked.len() + more(record.masked_more), texts.fields.len());
        prop_assert_eq!(record.egress.len() + more(record.egress_more), texts.fields.len());
        prop_assert_eq!(record.released.len() + more(record.released_more), texts.fields.len());
        let grants: Vec<_> = texts.grants.iter().map(GrantId::as_str).collect();
        prop_assert_eq!(&record.grants, &grants[..record.grants.len()]);
        prop_assert_eq!(record.grants.len() + more(record.grants_more), grants.len());
    }

    #[test]
    fn whom_a_record_is_about_is_seen_without_reading_it(texts in texts()) {
        let line = sealed(&texts);
        let record = ParsedRecord::parse(&line).unwrap();
        let seen = peek_subjects(&line).unwrap();
        prop_assert_eq!(Some(seen.key), record.subjects_key.as_deref().map(str::as_bytes));
        prop_assert_eq!(seen.is_cut, record.subjects_more.is_some());
        prop_assert!(record.subjects.iter().all(|digest| seen.name(digest)));
        let first = record.subjects[0].clone();
        let cut: String = first.chars().skip(1).collect();
        prop_assert!(!seen.name("") && !seen.name(&cut));
    }

    #[test]
    fn a_record_looks_the_same_to_both_readers(texts in texts(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let line = sealed(&texts);
        let mut damaged = line.clone();
        let at = at.index(line.len());
        damaged[at] = byte;
        let mut cut = line.clone();
        cut.truncate(at);
        for line in [line, damaged, cut] {
            let parsed = ParsedRecord::parse(&line).map(AccessView::from).ok();
            prop_assert_eq!(AccessView::read(&line).ok(), parsed.clone());
            prop_assert!(AccessView::borrowed(&line).is_none_or(|view| Some(view) == parsed));
        }
    }

    #[test]
    fn the_checker_never_panics(line in prop::collection::vec(any::<u8>(), 0..300), cut in 0..400_usize) {
        prop_assert!(chain().check(&line).is_err());
        let mut real = sealed(&plain());
        real.truncate(cut);
        prop_assert!(chain().check(&real).is_err());
        let damaged = matches!(judge_tail(&chain(), &line), Tail::Damaged { .. });
        prop_assert!(!damaged);
    }

    #[test]
    fn members_are_what_stands_in_the_line(texts in texts(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let line = sealed(&texts);
        let mut damaged = line.clone();
        damaged[at.index(line.len())] = byte;
        if Members::read(&damaged).is_some() {
            prop_assert!(ParsedRecord::parse(&damaged).is_ok());
        }
        let members = Members::read(&line).unwrap();
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&line).unwrap();
        for name in Name::all() {
            let raw = members.raw(name).map(|raw| serde_json::from_str(raw).unwrap());
            prop_assert_eq!(raw.as_ref(), json.get(name.as_str()), "{}", name.as_str());
        }
        let record = ParsedRecord::parse(&line).unwrap();
        prop_assert_eq!(members.word(Name::METHOD), record.method.unwrap());
        prop_assert_eq!(members.items(Name::GRANTS).collect::<Vec<_>>(), record.grants);
        prop_assert_eq!(members.total(Name::MASKED), record.masked.values().sum::<u64>());
    }
}
