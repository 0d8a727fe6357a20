//! What searching finds, held against reading every record whole.

use std::io::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::audit::{Chain, Outcome, ParsedRecord};
use crate::journal::read::{Filter, Follower, Order, Records, Search, Step, find, tail};
use crate::kernel::id::{FieldPath, GrantId, ParameterName, ResourceId, SystemId};

/// What a record is made of, by small numbers.
#[derive(Debug, Clone, Copy)]
struct Made {
    system: u8,
    resource: u8,
    grant: u8,
    permitted: bool,
    second: u8,
    address: u8,
}

fn system(n: u8) -> SystemId {
    SystemId::parse(&format!("sys:s{n}")).unwrap()
}

fn resource(n: u8) -> ResourceId {
    ResourceId::parse(&format!("r.n{n}")).unwrap()
}

fn grant(n: u8) -> GrantId {
    GrantId::parse(&format!("G-{n}")).unwrap()
}

fn instant(second: u8) -> Timestamp {
    Timestamp::from_second(i64::from(second)).unwrap()
}

/// How a permitted access ended, but for those that had not.
fn outcome<'a>(made: Made, masked: &'a [(&'a FieldPath, u64)]) -> Option<Outcome<'a>> {
    let status = [200, 403, 404, 502].get(usize::from(made.second)).filter(|_| made.permitted)?;
    Some(Outcome {
        status: *status,
        bytes_in: 0,
        bytes_out: 0,
        records: None,
        masked,
        dropped: &[],
        egress: &[],
        unclassified: 0,
        submitted: None,
        received_mac: None,
        sent_sha256: None,
        total_us: 0,
        decide_us: 0,
        upstream_us: 0,
        attempts: 1,
        aborted: None,
        ended_by: None,
    })
}

fn entry(made: Made) -> Entry {
    let (system, resource, grants) = (system(made.system), resource(made.resource), [grant(made.grant)]);
    // A parameter and a field that look like what is searched for.
    let bait = [(ParameterName::parse("system").unwrap(), "sys:s1".to_owned())];
    let field = FieldPath::parse("status").unwrap();
    let masked = [(&field, 403)];
    Access {
        kind: if made.permitted { Kind::Access } else { Kind::Intent },
        at: instant(made.second),
        request_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        trace_id: None,
        system: (made.system > 0).then_some(&system),
        department: None,
        certificate: &Digest([made.address; 32]),
        address: [192, 0, 2, made.address].into(),
        method: "GET\"\\\n",
        route: None,
        resource: Some(&resource),
        provider: None,
        action: None,
        purpose: None,
        purpose_source: None,
        token_id: None,
        requested: &[],
        parameters: &bait,
        withheld: &[],
        subjects: None,
        narrowed_to: None,
        decision: if made.permitted { "permit" } else { "deny" },
        reason: (!made.permitted).then_some("scope-exceeded"),
        admitted: None,
        grants: if made.permitted { &grants } else { &[] },
        denied_by: if made.permitted { &[] } else { &grants },
        released: &[],
        policy: "aa",
        config: "bb",
        shadow: (made.second == 3).then_some(crate::audit::Shadow { change: "extent", policy: "cc" }),
        outcome: outcome(made, &masked),
    }
    .encode()
}

/// A log of one generation for each list of segments.
fn write(directory: &Path, generations: &[Vec<Vec<Made>>]) {
    for (number, segments) in (1..).zip(generations) {
        let place = directory.join(format!("gate-1.{number:06}"));
        std::fs::create_dir_all(&place).unwrap();
        let mut chain = Chain::new(NodeId::parse("gate-1").unwrap(), number);
        for segment in segments {
            let path = place.join(format!("{:020}.jsonl", chain.next()));
            let mut lines = Vec::new();
            segment.iter().for_each(|made| chain.seal(&entry(*made), &mut lines));
            lines.extend_from_slice(&[0; 100]);
            std::fs::write(path, lines).unwrap();
        }
    }
}

fn all(directory: &Path) -> Vec<ParsedRecord> {
    let mut records = Records::open(directory).unwrap();
    let mut all = Vec::new();
    while let Some(line) = records.next_line().unwrap() {
        all.push(ParsedRecord::parse(line).unwrap());
    }
    all
}

/// Whether a filter holds, by the plain reading of its words.
fn holds(filter: &Filter, record: &ParsedRecord) -> bool {
    let same = |wanted: Option<String>, found: &Option<String>| {
        wanted.is_none_or(|wanted| Some(&wanted) == found.as_ref())
    };
    let at = record.instant().unwrap();
    filter.from.is_none_or(|from| at >= from)
        && filter.until.is_none_or(|until| at < until)
        && same(filter.system.as_ref().map(ToString::to_string), &record.system)
        && same(filter.resource.as_ref().map(ToString::to_string), &record.resource)
        && same(filter.decision.clone(), &record.decision)
        && same(filter.reason.clone(), &record.reason)
        && same(filter.certificate.map(Digest::to_hex), &record.certificate)
        && filter.kind.as_ref().is_none_or(|kind| *kind == record.kind)
        && filter
            .address
            .is_none_or(|network| network.contains(record.address.as_ref().unwrap().parse().unwrap()))
        && filter
            .grant
            .as_ref()
            .is_none_or(|grant| record.grants.iter().chain(&record.denied_by).any(|it| it == grant.as_str()))
        && filter.status.is_none_or(|statuses| record.status.is_some_and(|it| statuses.contains(it.into())))
        && filter
            .shadow
            .as_ref()
            .is_none_or(|shadow| record.shadow.as_ref().is_some_and(|it| shadow == "any" || shadow == it))
}

fn run(directory: &Path, filter: &Filter, order: Order) -> Vec<(u64, u64)> {
    let mut search = Search::begin(directory, filter, order).unwrap();
    let mut found = Vec::new();
    while let Some(step) = search.step().unwrap() {
        if let Step::Found(hit) = step {
            let record = ParsedRecord::parse(hit.line).unwrap();
            found.push((record.generation, record.seq));
        }
    }
    assert_eq!(search.passed().unreadable, 0);
    found
}

fn made() -> impl Strategy<Value = Made> {
    (0..3_u8, 0..3_u8, 0..3_u8, any::<bool>(), 0..5_u8, 0..4_u8).prop_map(
        |(system, resource, grant, permitted, second, address)| Made {
            system,
            resource,
            grant,
            permitted,
            second,
            address,
        },
    )
}

fn filters() -> impl Strategy<Value = Filter> {
    use prop::option::weighted;
    let words = (
        weighted(0.3, 0..5_u8),
        weighted(0.3, 0..5_u8),
        weighted(0.3, 1..3_u8),
        weighted(0.3, 0..3_u8),
        weighted(0.3, 0..3_u8),
    );
    let rest = (
        weighted(0.3, any::<bool>()),
        weighted(0.2, Just("scope-exceeded")),
        weighted(0.2, prop_oneof![Just("any"), Just("extent"), Just("refused")]),
        weighted(0.2, prop_oneof![Just("192.0.2.1"), Just("192.0.2.2/31")]),
        weighted(0.2, 0..4_u8),
        weighted(0.2, prop_oneof![Just("intent"), Just("access")]),
        weighted(0.2, prop_oneof![Just("200"), Just("403"), Just("4xx")]),
    );
    (words, rest).prop_map(
        |((from, until, of, on, by), (permitted, reason, shadow, address, certificate, kind, status))| {
            Filter {
                from: from.map(instant),
                until: until.map(instant),
                system: of.map(system),
                resource: on.map(resource),
                grant: by.map(grant),
                decision: permitted.map(|yes| if yes { "permit" } else { "deny" }.to_owned()),
                reason: reason.map(str::to_owned),
                shadow: shadow.map(str::to_owned),
                address: address.map(|text| text.parse().unwrap()),
                certificate: certificate.map(|byte| Digest([byte; 32])),
                kind: kind.map(str::to_owned),
                status: status.map(|text| text.parse().unwrap()),
                ..Filter::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_found_is_what_matches(
        generations in prop::collection::vec(prop::collection::vec(prop::collection::vec(made(), 0..20), 1..4), 1..3),
        filter in filters(),
        most in 1..20_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &generations);
        let wanted: Vec<_> = all(dir.path()).into_iter().filter(|record| holds(&filter, record)).map(|record| (record.generation, record.seq)).collect();
        prop_assert_eq!(&run(dir.path(), &filter, Order::OldestFirst), &wanted);
        let mut newest = run(dir.path(), &filter, Order::NewestFirst { most: 1000 });
        newest.reverse();
        prop_assert_eq!(&newest, &wanted);
        let names = |found: Vec<read::Found>| -> Vec<_> {
            found.into_iter().map(|found| (found.record.generation, found.record.seq)).collect()
        };
        let first = names(find(dir.path(), &filter, most).unwrap().0);
        prop_assert_eq!(first.as_slice(), &wanted[..most.min(wanted.len())]);
        let last = names(tail(dir.path(), &filter, most).unwrap().0);
        prop_assert_eq!(last.as_slice(), &wanted[wanted.len().saturating_sub(most)..]);
    }
}

const PLAIN: Made = Made { system: 1, resource: 1, grant: 1, permitted: true, second: 1, address: 1 };

#[test]
fn a_segment_that_is_longer_than_what_is_read_at_once_is_searched_whole() {
    let dir = tempfile::tempdir().unwrap();
    let many: Vec<_> = (0..2_000).map(|n| Made { second: u8::try_from(n % 7).unwrap(), ..PLAIN }).collect();
    write(dir.path(), &[vec![many]]);
    let filter = Filter { from: Some(instant(6)), ..Filter::default() };
    assert_eq!(run(dir.path(), &filter, Order::OldestFirst).len(), 285);
    let mut search = Search::begin(dir.path(), &filter, Order::OldestFirst).unwrap();
    while !matches!(search.step().unwrap().unwrap(), Step::Found(_)) {}
    assert_eq!(search.passed().lines, 7, "what was looked through is what lies before the record");
    while search.step().unwrap().is_some() {}
    assert_eq!(search.passed().lines, 2_000);
}

#[test]
fn what_a_failed_write_left_behind_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[vec![vec![PLAIN; 5]]]);
    let first = dir.path().join("gate-1.000001/00000000000000000000.jsonl");
    // The log goes on with record 3: what the first segment has beyond was never acknowledged.
    std::fs::copy(&first, dir.path().join("gate-1.000001/00000000000000000003.jsonl")).unwrap();
    let found = run(dir.path(), &Filter::default(), Order::OldestFirst);
    assert_eq!(found.len(), 3 + 5);
    assert_eq!(tail(dir.path(), &Filter::default(), 7).unwrap().0.len(), 7);
}

#[test]
fn a_line_that_is_no_record_is_counted_where_it_may_match() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[vec![vec![PLAIN; 3]]]);
    let path = dir.path().join("gate-1.000001/00000000000000000000.jsonl");
    let text = std::fs::read_to_string(&path).unwrap().replacen("\"kind\":\"access\"", "\"kind\":access", 1);
    std::fs::write(&path, text).unwrap();
    for (system_number, unreadable, found) in [(1, 1, 2), (2, 0, 0)] {
        let filter = Filter { system: Some(system(system_number)), ..Filter::default() };
        let mut search = Search::begin(dir.path(), &filter, Order::OldestFirst).unwrap();
        let mut hits = 0;
        while let Some(step) = search.step().unwrap() {
            hits += usize::from(matches!(step, Step::Found(_)));
        }
        assert_eq!((search.passed().unreadable, search.passed().lines, hits), (unreadable, 3, found));
    }
}

#[test]
fn who_follows_sees_a_new_generation_beside_the_old_and_leaves_closed_ones() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let open =
        || Journal::open(config.clone(), Arc::new(DiskStorage), Arc::new(SystemClock), Arc::new(Quiet));
    let (old, _) = open().unwrap();
    old.submit(event("before")).unwrap();
    until_actors(&config.directory, &["before"]);
    let mut follower = Follower::from_end(&config.directory).unwrap();
    let (new, recovery) = open().unwrap();
    new.submit(event("new")).unwrap();
    old.submit(event("old")).unwrap();
    old.close().unwrap();
    new.close().unwrap();
    let actors = |follower: &mut Follower, most| -> Vec<_> {
        follower.poll(most).unwrap().into_iter().map(|found| found.record.actor.unwrap()).collect()
    };
    assert_eq!(actors(&mut follower, 1), ["old"]);
    assert_eq!(actors(&mut follower, 100), ["new"]);
    assert_eq!(actors(&mut follower, 100), [""; 0]);
    // Both are closed and read: nobody looks into them again.
    std::fs::remove_file(recovery.directory.join("00000000000000000000.jsonl")).unwrap();
    std::fs::write(recovery.directory.join("00000000000000000000.jsonl"), "{}\n").unwrap();
    assert_eq!(actors(&mut follower, 100), [""; 0]);
    let mut late = Follower::from_end(&config.directory).unwrap();
    assert_eq!(actors(&mut late, 100), [""; 0]);
}

#[test]
fn who_follows_goes_on_past_what_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("gate-1.000001");
    std::fs::create_dir_all(&place).unwrap();
    let mut chain = Chain::new(NodeId::parse("gate-1").unwrap(), 1);
    let mut record = |actor: &str| {
        let mut line = Vec::new();
        chain.seal(&event(actor), &mut line);
        line
    };
    let (first, second) =
        (place.join("00000000000000000000.jsonl"), place.join("00000000000000000006.jsonl"));
    let add = |path: &Path, lines: &[&[u8]]| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.unwrap().write_all(&lines.concat()).unwrap();
    };
    let mut follower = Follower::from_beginning(dir.path());
    let mut poll = |most| {
        let found = follower.poll(most).unwrap();
        let actors: Vec<_> = found.into_iter().map(|found| found.record.actor.unwrap()).collect();
        (actors.concat(), follower.take_unreadable())
    };
    add(&first, &[&record("a"), b"bad\n"]);
    assert_eq!(poll(9), ("a".to_owned(), 0), "it may be half there");
    add(&first, &[b"bad\n"]);
    assert_eq!(poll(9), (String::new(), 0));
    add(&first, &[&record("b"), &record("c")]);
    assert_eq!(poll(1), ("b".to_owned(), 2), "a record follows");
    assert_eq!(poll(9), ("c".to_owned(), 0));
    add(&first, &[b"bad\n"]);
    assert_eq!(poll(9), (String::new(), 0));
    // The next segment begins at 6, and the first is one line short of that.
    let lost = std::fs::read(&first).unwrap();
    std::fs::write(&first, &lost[..lost.len() - 4]).unwrap();
    add(&second, &[&record("d"), b"bad\n"]);
    assert_eq!(poll(9), ("d".to_owned(), 1), "nothing comes to a segment that another follows");
    let mark = r#"{"v":1,"records":8,"head":"00"}"#;
    std::fs::write(place.join("CLOSED"), mark).unwrap();
    assert_eq!(poll(9), (String::new(), 1), "nothing comes to a generation that is closed");
    assert_eq!(poll(9), (String::new(), 0));
}

/// Waits until these actors are on disk.
fn until_actors(directory: &Path, wanted: &[&str]) {
    for _ in 0..100_000 {
        let found = find(directory, &Filter::default(), 100).unwrap().0;
        if found.iter().map(|found| found.record.actor.as_deref().unwrap()).eq(wanted.iter().copied()) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{wanted:?} never came");
}
