//! Three engines on models and policies that nobody wrote: equal wherever they answer.

use proptest::prelude::*;

use super::super::*;

/// A model's role definitions, matcher and whether it has domains.
const MATCHERS: &[(&str, &str)] = &[
    ("", "r.sub == p.sub && r.obj == p.obj && r.act == p.act"),
    ("", "r.sub == p.sub && r.obj == p.obj && r.act == p.act || r.sub == 'root'"),
    ("", "(p.act == '*' || r.act == p.act) && r.obj == p.obj && keyMatch(r.sub, p.sub)"),
    ("", "r.obj in ('o1', 'o2') && r.sub != p.sub && r.act == p.act"),
    ("", "!(r.sub == p.sub) && regexMatch(r.act, p.act)"),
    ("", "r.sub < p.sub && r.obj >= p.obj"),
    ("g = _, _", "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act"),
    ("g = _, _", "r.act == p.act && (g(r.sub, p.sub) || r.sub == 'root')"),
    ("g = _, _", "g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act =~ p.act"),
    ("g = _, _", "r.sub == p.sub && g(r.obj, p.obj) && globMatch(r.act, p.act)"),
    ("g = _, _, _", "g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act"),
    ("g = _, _, _", "g(r.sub, p.sub, p.dom) && r.obj == p.obj"),
];

const EFFECTS: &[&str] = &[
    "some(where (p.eft == allow))",
    "!some(where (p.eft == deny))",
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
    "priority(p.eft) || deny",
];

#[derive(Debug, Clone)]
struct City {
    model: String,
    policy: String,
    requests: Vec<Vec<String>>,
}

fn name(kind: char, count: u8) -> impl Strategy<Value = String> {
    (0..count).prop_map(move |number| format!("{kind}{number}"))
}

/// A subject, object, domain or action, sometimes what none is called.
fn cell(kind: char) -> impl Strategy<Value = String> {
    prop_oneof![8 => name(kind, 3), 1 => Just("*".to_owned()), 1 => Just("a.*".to_owned())]
}

fn asked(kind: char) -> impl Strategy<Value = String> {
    prop_oneof![9 => name(kind, 4), 1 => Just("root".to_owned()), 1 => Just(String::new()), 1 => Just("名".to_owned())]
}

fn city() -> impl Strategy<Value = City> {
    let line = (
        0..30_u8,
        prop_oneof![2 => cell('s'), 1 => name('g', 3)],
        name('d', 2),
        prop_oneof![2 => cell('o'), 1 => name('g', 3)],
        prop_oneof![name('a', 2), Just("*".to_owned())],
        prop_oneof![6 => Just("allow"), 3 => Just("deny"), 1 => Just("indeterminate")],
    );
    // Roles go upwards in number, so that there are no circles.
    let link = (prop_oneof![name('s', 3), name('o', 3)], 0..3_u8, name('d', 2));
    let above = (0..3_u8, 0..3_u8, name('d', 2)).prop_filter("upwards", |(low, high, _)| low < high);
    let request = (asked('s'), asked('d'), asked('o'), asked('a'));
    (
        prop::sample::select(MATCHERS),
        prop::sample::select(EFFECTS),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(line, 0..12),
        prop::collection::vec(link, 0..5),
        prop::collection::vec(above, 0..4),
        prop::collection::vec(request, 1..12),
    )
        .prop_map(|((roles, matcher), effect, has_priority, has_effect, lines, links, above, requests)| {
            let priority = if has_priority { "priority, " } else { "" };
            let eft = if has_effect { ", eft" } else { "" };
            let roles_section =
                if roles.is_empty() { String::new() } else { format!("[role_definition]\n{roles}\n") };
            let model = format!(
                "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = {priority}sub, dom, obj, act{eft}\n\
                 {roles_section}[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
            );
            let mut policy = String::new();
            for (number, sub, dom, obj, act, effect) in lines {
                let priority = if has_priority { format!("{number}, ") } else { String::new() };
                let effect = if has_effect { format!(", {effect}") } else { String::new() };
                policy.push_str(&format!("p, {priority}{sub}, {dom}, {obj}, {act}{effect}\n"));
            }
            if !roles.is_empty() {
                let domain = |domain: String| if roles.len() > 8 { format!(", {domain}") } else { String::new() };
                for (member, role, dom) in links {
                    policy.push_str(&format!("g, {member}, g{role}{}\n", domain(dom)));
                }
                for (low, high, dom) in above {
                    policy.push_str(&format!("g, g{low}, g{high}{}\n", domain(dom)));
                }
            }
            let requests = requests.into_iter().map(|(a, b, c, d)| vec![a, b, c, d]).collect();
            City { model, policy, requests }
        })
}

fn now() -> Timestamp {
    "2026-06-01T01:30:00Z".parse().unwrap()
}

fn loaded(city: &City) -> Result<Enforcer, Report> {
    let model = Source::new("model.conf", city.model.as_str());
    let policy = Source::new("policy.csv", city.policy.as_str());
    Enforcer::load(&model, &policy, &Options::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn engines_agree(city in city()) {
        let Ok(mut native) = loaded(&city) else {
            // `*` and `a.*` are no patterns of every function.
            return Ok(());
        };
        let mut scan = loaded(&city).unwrap();
        scan.loaded.index = None;
        let mut others = vec![("native over all lines", scan)];
        for (name, engine) in [("index", Engine::Index), ("casbin", Engine::Casbin)] {
            if let Ok(other) = loaded(&city).unwrap().with(engine) {
                others.push((name, other));
            }
        }
        for request in &city.requests {
            let request: Vec<Value> = request.iter().map(|text| Value::Text(text.clone())).collect();
            let ours = native.decide(&request, now());
            for (name, other) in &mut others {
                let theirs = other.decide(&request, now());
                prop_assert_eq!(ours.is_err(), theirs.is_err(), "{} {:?} {:?}", name, &theirs, &request);
                if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
                    prop_assert_eq!(ours, theirs, "{} {:?}", name, &request);
                }
            }
        }
    }

    #[test]
    fn any_matcher_is_read_without_panic(
        matcher in prop_oneof![
            "[ -~]{0,60}",
            "(r\\.sub|p\\.obj|g|g2|eval|keyMatch2|regexMatch|ipMatch|'a'|\"\\[\"|1\\.5|in| |\\(|\\)|,|&&|\\|\\||==|!|<|=~|\\+|-|名){0,24}",
        ],
        cell in "[ -~]{0,20}",
        asked in "[ -~名]{0,12}",
    ) {
        let quoted = cell.replace('"', "\"\"");
        let city = City {
            model: format!(
                "[request_definition]\nr = sub, obj\n[policy_definition]\np = sub, obj\n[role_definition]\ng = _, _\ng2 = _, _\n\
                 [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {matcher}\n"
            ),
            policy: format!("p, \"{quoted}\", x\n"),
            requests: Vec::new(),
        };
        if let Ok(mut enforcer) = loaded(&city) {
            let request = [Value::Text(asked), Value::Number(1.0)];
            let _either = enforcer.decide(&request, now());
        }
    }
}

#[test]
fn generated_cities_reach_every_engine() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut loads, mut indexed, mut casbin, mut allowed) = (0, 0, 0, 0);
    for _ in 0..200 {
        let city = city().new_tree(&mut runner).unwrap().current();
        let Ok(mut native) = loaded(&city) else { continue };
        loads += 1;
        indexed += usize::from(loaded(&city).unwrap().with(Engine::Index).is_ok());
        casbin += usize::from(loaded(&city).unwrap().with(Engine::Casbin).is_ok());
        for request in &city.requests {
            let request: Vec<Value> = request.iter().map(|text| Value::Text(text.clone())).collect();
            allowed += usize::from(native.decide(&request, now()).is_ok_and(|answer| answer.allow));
        }
    }
    assert!(
        loads > 150 && indexed > 60 && casbin > 120 && allowed > 200,
        "{loads} {indexed} {casbin} {allowed}"
    );
}
