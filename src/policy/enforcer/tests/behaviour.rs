//! What is decided Go's way and not casbin-rs's, and what is refused.

use super::super::*;

fn model(roles: &str, policy: &str, effect: &str, matcher: &str) -> String {
    let roles = if roles.is_empty() { String::new() } else { format!("[role_definition]\n{roles}\n") };
    format!(
        "[request_definition]\nr = sub, obj, act\n[policy_definition]\n{policy}\n{roles}[policy_effect]\ne = {effect}\n\
         [matchers]\n{matcher}\n"
    )
}

const ALLOW: &str = "some(where (p.eft == allow))";
const PLAIN: &str = "m = r.sub == p.sub && r.obj == p.obj && r.act == p.act";

fn load(model: &str, policy: &str, options: &Options) -> Result<Enforcer, String> {
    Enforcer::load(&Source::new("model.conf", model), &Source::new("policy.csv", policy), options)
        .map_err(|report| report.to_string())
}

fn ask(enforcer: &mut Enforcer, request: &[&str]) -> Result<Answer, Fault> {
    let request: Vec<Value> = request.iter().map(|text| Value::Text((*text).to_owned())).collect();
    enforcer.decide(&request, now())
}

fn now() -> Timestamp {
    "2026-06-01T01:30:00Z".parse().unwrap()
}

fn allows(model: &str, policy: &str, request: &[&str]) -> bool {
    let mut enforcer = load(model, policy, &Options::default()).unwrap();
    ask(&mut enforcer, request).unwrap().allow
}

#[test]
fn a_role_of_a_resource_is_none_of_a_subject() {
    let model = model(
        "g = _, _\ng2 = _, _",
        "p = sub, obj, act",
        ALLOW,
        "m = g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act",
    );
    let policy = "p, admin, data, read\ng2, alice, admin\ng2, data1, data\n";
    assert!(!allows(&model, policy, &["alice", "data1", "read"]));
    assert!(allows(&model, &policy.replace("g2, alice", "g, alice"), &["alice", "data1", "read"]));
}

#[test]
fn the_effect_of_p2_counts() {
    let model = model(
        "",
        "p = sub, obj, act\np2 = sub, obj, act, eft",
        ALLOW,
        &format!("{PLAIN}\nm2 = r2.sub == p2.sub"),
    )
    .replace("r = sub, obj, act\n", "r = sub, obj, act\nr2 = sub\n")
    .replace(&format!("e = {ALLOW}"), &format!("e = {ALLOW}\ne2 = {ALLOW}"));
    let context =
        Context { request: "r2".into(), policy: "p2".into(), effect: "e2".into(), matcher: "m2".into() };
    let options = Options { context, ..Options::default() };
    let mut enforcer =
        load(&model, "p, x, y, z\np2, alice, a, b, deny\np2, bob, a, b, allow\n", &options).unwrap();
    assert!(!ask(&mut enforcer, &["alice"]).unwrap().allow);
    let answer = ask(&mut enforcer, &["bob"]).unwrap();
    assert!(answer.allow);
    assert_eq!(answer.explain.iter().map(|cell| &**cell).collect::<Vec<_>>(), ["bob", "a", "b", "allow"]);
}

#[test]
fn the_lowest_priority_speaks_first() {
    let model = model("", "p = priority, sub, obj, act, eft", "priority(p.eft) || deny", PLAIN);
    let policy = "p, 10, alice, data1, read, allow\np, -1, alice, data1, read, deny\np, +2, alice, data1, read, allow\n";
    assert!(!allows(&model, policy, &["alice", "data1", "read"]));
    let error = load(&model, "p, high, a, b, c, allow\n", &Options::default()).unwrap_err();
    assert!(error.contains("not-a-priority"), "{error}");
}

#[test]
fn roles_are_followed_ten_links_far_and_no_further() {
    let model = model(
        "g = _, _",
        "p = sub, obj, act",
        ALLOW,
        "m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
    );
    let mut policy = String::from("p, n10, data, read\np, n11, data, write\n");
    for link in 0..11 {
        policy.push_str(&format!("g, n{link}, n{}\n", link + 1));
    }
    assert!(allows(&model, &policy, &["n0", "data", "read"]));
    assert!(!allows(&model, &policy, &["n0", "data", "write"]));
    assert!(allows(&model, &policy, &["n1", "data", "write"]));
    // casbin-rs follows nine, and is not asked.
    let refused = load(&model, &policy, &Options::default()).unwrap().with(Engine::Casbin).unwrap_err();
    assert!(refused.why.contains("chains"), "{refused}");
}

#[test]
fn what_cannot_be_worked_out_is_an_error_and_no_answer() {
    let guest = model("", "p = sub, obj, act", ALLOW, "m = r.sub.Role != 'guest' && r.obj == p.obj");
    let mut enforcer = load(&guest, "p, a, data, read\n", &Options::default()).unwrap();
    assert!(enforcer.reads_attributes_of(0) && !enforcer.reads_attributes_of(1));
    assert!(matches!(ask(&mut enforcer, &["alice", "data", "read"]), Err(Fault::NoAttribute { .. })));
    let number = model("", "p = sub, obj, act", ALLOW, "m = r.sub > 18");
    assert!(matches!(
        ask(&mut load(&number, "", &Options::default()).unwrap(), &["19", "x", "y"]),
        Err(Fault::NoOrder { .. })
    ));
    // A line that fails ends it, even though a later one would allow; one that the index passes over
    // would not have been reached by Casbin either.
    let address = model("", "p = sub, obj, act", ALLOW, "m = ipMatch(r.sub, p.sub) && r.obj == p.obj");
    let policy = "p, 10.0.0.0/8, a, x\np, ::1, b, x\n";
    let mut enforcer = load(&address, policy, &Options::default()).unwrap();
    assert!(ask(&mut enforcer, &["10.1.1.1", "a", "x"]).unwrap().allow);
    assert!(matches!(ask(&mut enforcer, &["not an address", "c", "x"]), Err(Fault::NotAnAddress { .. })));
    let turned =
        address.replace("ipMatch(r.sub, p.sub) && r.obj == p.obj", "r.obj == p.obj && ipMatch(r.sub, p.sub)");
    let mut enforcer = load(&turned, policy, &Options::default()).unwrap();
    assert!(!ask(&mut enforcer, &["not an address", "c", "x"]).unwrap().allow);
    assert!(ask(&mut enforcer, &["not an address", "b", "x"]).is_err());
    assert!(matches!(ask(&mut enforcer, &["::1"]), Err(Fault::Arity { given: 1, wanted: 3, .. })));
}

#[test]
fn a_number_in_a_request_does_not_hide_a_failure_behind_the_index() {
    let text = model("", "p = sub, obj, act", ALLOW, "m = keyMatch(r.sub, p.sub) && r.obj == p.obj");
    let mut enforcer = load(&text, "p, a, x, y\np, b, data, y\n", &Options::default()).unwrap();
    assert_eq!(enforcer.way().columns, ["p.obj"]);
    let request = [Value::Number(1.0), Value::Text("nothing".to_owned()), Value::Text("y".to_owned())];
    assert!(matches!(enforcer.decide(&request, now()), Err(Fault::NotAText { of: "keyMatch", .. })));
}

#[test]
fn without_lines_the_matcher_is_asked_once() {
    let lines = "p, bob, data2, write, deny\n";
    for (effect, matches, expected) in [
        (ALLOW, true, true),
        (ALLOW, false, false),
        ("!some(where (p.eft == deny))", false, true),
        ("priority(p.eft) || deny", true, true),
        ("some(where (p.eft == allow)) && !some(where (p.eft == deny))", false, false),
    ] {
        let model = model("", "p = sub, obj, act, eft", effect, "m = r.sub == r.obj");
        let request = ["alice", if matches { "alice" } else { "x" }, "read"];
        // The matcher speaks of no column, so that lines and their effects do not count.
        for policy in ["", lines] {
            assert_eq!(allows(&model, policy, &request), expected, "{effect} {matches}");
        }
    }
}

#[test]
fn links_with_times_hold_from_after_the_first_to_before_the_second() {
    let model =
        model("g = _, _, (_, _)", "p = sub, obj, act", ALLOW, "m = g(r.sub, p.sub) && r.obj == p.obj");
    let options = Options { timed_roles: vec!["g".to_owned()], ..Options::default() };
    let policy = "p, admin, data, read\ng, alice, admin, 2026-01-01 00:00:00, 2026-07-01 00:00:00\n";
    let mut enforcer = load(&model, policy, &options).unwrap();
    for (at, expected) in [
        ("2026-01-01T00:00:00Z", false),
        ("2026-01-01T00:00:00.001Z", true),
        ("2026-06-30T23:59:59.999Z", true),
        ("2026-07-01T00:00:00Z", false),
    ] {
        let request = ["alice", "data", "read"].map(|text| Value::Text(text.to_owned()));
        assert_eq!(enforcer.decide(&request, at.parse().unwrap()).unwrap().allow, expected, "{at}");
    }
    let wrong = load(&model, "g, alice, admin, 2026-02-30 00:00:00, _\n", &options).unwrap_err();
    assert!(wrong.contains("not-a-time"), "{wrong}");
    assert!(load(&model, policy, &Options::default()).unwrap_err().contains("--link-condition g=TimeMatch"));
}

#[test]
fn models_that_are_refused() {
    for (matcher, code) in [
        ("r.sub == p.name", "unknown-name"),
        ("x == p.sub", "unknown-name"),
        ("is(r.sub, p.sub)", "unknown-function"),
        ("keyMatch(r.sub)", "wrong-arguments"),
        ("keyGet2(r.sub, p.sub)", "wrong-arguments"),
        ("g(r.sub, p.sub, r.obj, r.act)", "wrong-arguments"),
        ("regexMatch(p.sub, r.sub)", "pattern-of-request"),
        ("r.sub =~ r.obj", "pattern-of-request"),
        ("globMatch(r.sub, r.obj)", "pattern-of-request"),
        ("regexMatch(r.sub, '(')", "not-a-pattern"),
        ("eval(r.sub)", "wrong-arguments"),
        ("eval (p.sub)", "wrong-arguments"),
        ("r.sub in p.sub", "not-a-list"),
        ("r.sub in (p.sub)", "not-a-list"),
        ("r.sub == p.sub ? true : false", "unknown-sign"),
        ("r.sub == p.sub && ", "unexpected"),
        ("(r.sub == p.sub", "unexpected"),
        ("r.sub == p.sub)", "unexpected"),
        ("! !true", "unexpected"),
        ("r.sub == ['a']", "bracket"),
    ] {
        let model = model("g = _, _", "p = sub, obj, act", ALLOW, &format!("m = {matcher}"));
        let error = load(&model, "p, alice, data1, read\n", &Options::default()).unwrap_err();
        assert!(error.contains(&format!("error[{code}]")), "{matcher}: {error}");
    }
    for (roles, policy, effect, code) in [
        ("", "p = sub, obj, act", "some(where (p.eft == deny))", "unknown-effect"),
        ("", "p = sub, obj, act", "some(where(p.eft == allow))", "unknown-effect"),
        ("", "p = sub, obj, sub", ALLOW, "column-name"),
        ("", "p = sub, obj, a-ct", ALLOW, "column-name"),
        ("", "p = sub, obj, act\np3 = sub", ALLOW, "gap-in-numbers"),
        ("g = _", "p = sub, obj, act", ALLOW, "role-definition"),
        ("g = _, _, _, _", "p = sub, obj, act", ALLOW, "role-definition"),
    ] {
        let model = model(roles, policy, effect, PLAIN);
        let error = load(&model, "", &Options::default()).unwrap_err();
        assert!(error.contains(&format!("error[{code}]")), "{policy} {effect}: {error}");
    }
    let options =
        Options { role_matching: vec![("g3".to_owned(), Function::KeyMatch)], ..Options::default() };
    let error = load(&model("g = _, _", "p = sub, obj, act", ALLOW, PLAIN), "", &options).unwrap_err();
    assert!(error.contains("unknown-role"), "{error}");
}

#[test]
fn expressions_have_bounds_in_every_direction() {
    let first_words = |length: usize| "r.sub + ".repeat(length);
    for (matcher, code) in [
        (format!("{}true{}", "(".repeat(1000), ")".repeat(1000)), "expression-too-deep"),
        // Sums within sums, though nothing stands in parentheses.
        (format!("{}r.sub == p.sub", first_words(1000)), "expression-too-deep"),
        (format!("r.sub == p.sub{}", " == true".repeat(1000)), "expression-too-deep"),
        (format!("g(r.sub, {}p.sub)", first_words(1000)), "expression-too-deep"),
        (format!("true{}", " && true".repeat(1024)), "expression-too-long"),
    ] {
        let model = model("g = _, _", "p = sub, obj, act", ALLOW, &format!("m = {matcher}"));
        let options =
            Options { role_matching: vec![("g".to_owned(), Function::KeyMatch)], ..Options::default() };
        let error = load(&model, "p, alice, data1, read\n", &options).unwrap_err();
        assert!(error.contains(&format!("error[{code}]")), "{matcher}: {error}");
    }
    let by_rule = model("", "p = rule, obj, act", ALLOW, "m = eval(p.rule)");
    let rule = format!("p, {}1 > 2, data1, read\n", "1 + ".repeat(500));
    let error = load(&by_rule, &rule, &Options::default()).unwrap_err();
    assert!(error.contains("error[expression-too-deep]"), "{error}");
    let long = model("", "p = sub, obj, act", ALLOW, &format!("m = true{}", " && true".repeat(500)));
    assert!(load(&long, "", &Options::default()).is_ok(), "conditions in a row are no nesting");
}

#[test]
fn many_roles_load_in_time() {
    // In time that grows with the square of the lines each of these would take minutes.
    const MANY: usize = 50_000;
    let model = model("g = _, _", "p = sub, obj, act", ALLOW, "m = g(r.sub, p.sub) && r.obj == p.obj");
    let lines = |line: &dyn Fn(usize) -> String| (0..MANY).map(line).collect::<String>();
    let fan = lines(&|number| format!("g, alice, role{number}\n"));
    assert!(allows(&model, &format!("p, role7, data1, read\n{fan}"), &["alice", "data1", "read"]));
    let chain = lines(&|number| format!("g, role{number}, role{}\n", number + 1));
    assert!(allows(&model, &format!("p, role7, data1, read\n{chain}"), &["role2", "data1", "read"]));
    let circle = format!("{chain}g, role{MANY}, role{}\n", MANY - 1);
    let error = load(&model, &circle, &Options::default()).unwrap_err();
    let names = format!("go round in a circle: role{}, role{MANY};", MANY - 1);
    assert!(error.contains(&names), "{error}");
}

#[test]
fn policies_that_are_refused() {
    let matcher = "m = g(r.sub, p.sub) && regexMatch(r.obj, p.obj) && r.act == p.act";
    let model = model("g = _, _", "p = sub, obj, act, eft", ALLOW, matcher);
    for (line, code) in [
        ("P, a, b, c, allow", "unknown-section"),
        ("p2, a, b, c, allow", "unknown-section"),
        ("p, a, b, c", "wrong-number-of-fields"),
        ("g, a, b, c", "wrong-number-of-fields"),
        ("p, a, b, c, DENY", "unknown-effect"),
        ("p, a, b, c, ", "unknown-effect"),
        ("p, a, (b, c, allow", "not-a-pattern"),
        ("g, a, a", "role-cycle"),
        ("g, a, b\ng, b, a", "role-cycle"),
        ("\u{feff}p, a, b, c, deny", "control-character"),
        ("p, \"a,b\", c, d, allow\np, a, \"b,c\", d, allow", "look-alike-line"),
    ] {
        let error = load(&model, &format!("{line}\n"), &Options::default()).unwrap_err();
        assert!(error.contains(&format!("error[{code}]")), "{line}: {error}");
    }
    // Said twice is said once, and `indeterminate` says nothing.
    let twice = "p, a, b, c, allow\np, a, b, c, allow\np, a, b, c, indeterminate\ng, x, a\ng, x, a\n";
    assert!(allows(&model, twice, &["x", "b", "c"]));
    let rules = model.replace("regexMatch(r.obj, p.obj)", "eval(p.obj)");
    for (rule, code) in [
        ("r.sub.Age >", "unexpected"),
        ("eval(p.sub)", "wrong-arguments"),
        ("[x] == 1", "bracket"),
        ("r.sub > '2026-01-01'", "time-in-text"),
        ("keyMatch2(r.obj, p.sub)", "not-a-pattern"),
    ] {
        let error = load(&rules, &format!("p, (, \"{rule}\", c, allow\n"), &Options::default()).unwrap_err();
        assert!(error.contains(&format!("error[{code}]")), "{rule}: {error}");
    }
}

#[test]
fn arithmetic_and_lists_as_in_go() {
    let yes = |matcher: &str| {
        let model = model("", "p = sub, obj, act", ALLOW, &format!("m = {matcher}"));
        let mut enforcer = load(&model, "", &Options::default()).unwrap();
        let request = [
            Value::Number(7.0),
            Value::Object([("Tags".to_owned(), Value::List(vec![Value::Text("a".to_owned())]))].into()),
            Value::Text("read".to_owned()),
        ];
        enforcer.decide(&request, now()).unwrap().allow
    };
    for (matcher, expected) in [
        ("r.sub - 1 - 2 == 4", true),
        ("r.sub * 2 + 1 == 15 && r.sub % 4 == 3", true),
        ("-r.sub < 0 && 2147483647 + 1 > 0", true),
        ("r.sub / 2 == 3.5", true),
        ("r.sub == '7'", false),
        ("r.act + '!' == 'read!'", true),
        ("'a' in r.obj.Tags && !('b' in r.obj.Tags)", true),
        ("r.act in ('read', 'write') && r.sub IN (7, 8)", true),
        ("true || false && false", true),
        ("r.act !~ '^w' && r.act =~ 'ea'", true),
        ("r.sub == 0x7", true),
    ] {
        assert_eq!(yes(matcher), expected, "{matcher}");
    }
}

#[test]
fn a_name_that_is_no_pattern_is_an_error_where_names_are_patterns() {
    let model = model("g = _, _", "p = sub, obj, act", ALLOW, "m = g(r.sub, p.sub) && r.obj == p.obj");
    let options =
        Options { role_matching: vec![("g".to_owned(), Function::KeyMatch2)], ..Options::default() };
    let mut enforcer = load(&model, "p, admin, data, read\ng, /user/:id, admin\n", &options).unwrap();
    assert!(ask(&mut enforcer, &["/user/7", "data", "x"]).unwrap().allow);
    assert!(!ask(&mut enforcer, &["/user/7/8", "data", "x"]).unwrap().allow);
    assert!(matches!(ask(&mut enforcer, &["/user/(", "data", "x"]), Err(Fault::NotAPattern { .. })));
    assert!(load(&model, "g, /user/(, admin\n", &options).unwrap_err().contains("not-a-pattern"));
}

#[test]
fn names_that_look_like_patterns_are_not_passed_over() {
    let model = "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = sub, dom, obj, act\n\
                 [role_definition]\ng = _, _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n\
                 [matchers]\nm = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act\n";
    for (line, at) in
        [("g, alice, admin, *", 17..18), ("g, /book/:id, books, d", 3..12), ("g, a, {b}, d", 6..9)]
    {
        let policy = format!("{line}\np, admin, d, data1, read\n");
        let refused = Enforcer::load(
            &Source::new("model.conf", model),
            &Source::new("policy.csv", policy.as_str()),
            &Options::default(),
        );
        let report = refused.unwrap_err();
        let found: Vec<_> = report.sorted().iter().map(|it| (it.code, it.span.clone())).collect();
        assert_eq!(found, [("role-pattern", at)], "{line}");
        let literal = Options { literal_names: true, ..Options::default() };
        assert!(load(model, &policy, &literal).is_ok(), "{line}");
        let matched = Options {
            role_matching: vec![("g".to_owned(), Function::KeyMatch2)],
            domain_matching: vec![("g".to_owned(), Function::KeyMatch)],
            ..Options::default()
        };
        assert!(load(model, &policy, &matched).is_ok(), "{line}");
    }
}
