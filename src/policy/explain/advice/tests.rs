use proptest::prelude::*;

use super::*;
use crate::grant::{Effect, Permit};
use crate::kernel::id::ResourceId;
use crate::policy::tests::city::{Asking, at, catalog, load_at};
use crate::policy::tests::differential::{asking, policy_text};

fn maskers() -> BTreeSet<MaskerName> {
    ["name", "resident-id", "mobile", "address", "full", "plate"]
        .map(|name| MaskerName::parse(name).unwrap())
        .into()
}

fn load(text: &str, catalog: &Catalog) -> Policy {
    let (policy, report) = load_at(catalog, SHIPPED, text, at("2026-06-03T02:00:00Z"));
    policy.unwrap_or_else(|| panic!("{text}\n{report}"))
}

fn request(asking: &Asking) -> Request {
    Request {
        system: asking.system.clone(),
        resource: asking.resource.clone(),
        action: asking.action.clone(),
        purpose: asking.purpose.clone(),
        fields: asking.fields.clone(),
        parameters: asking.parameters.clone(),
        narrowed_to: asking.narrowed_to.clone(),
    }
}

fn advise(text: &str, catalog: &Catalog, asking: &Asking) -> Advice {
    let policy = load(text, catalog);
    let grants = Source::new("grants.csv", text);
    let ground = Ground { policy: &policy, catalog, grants: &grants, maskers: &maskers() };
    ground.advise(&request(asking), asking.at)
}

/// `grants.csv` with a suggestion made true, by hand: lines with these ids go, lines come.
fn edited(text: &str, suggestion: &Suggestion) -> String {
    let goes = |line: &str| {
        let id = line.split(", ").nth(1).unwrap_or_default();
        let gone = suggestion.lines.iter().filter_map(|line| line.replaces.as_ref());
        line.starts_with("p, ") && gone.into_iter().any(|gone| gone.as_str() == id)
    };
    let kept = text.lines().filter(|line| !goes(line)).map(str::to_owned);
    let added = suggestion.lines.iter().filter_map(|line| line.csv.clone());
    kept.chain(added).map(|line| line + "\n").collect()
}

/// The city with a suggestion made true.
fn mended(catalog: &Catalog, suggestion: &Suggestion) -> Catalog {
    let mut catalog = catalog.clone();
    for edit in &suggestion.edits {
        if let Edit::Enable(system) = edit {
            let mut enabled = (*catalog.registry.systems[system]).clone();
            enabled.enabled = true;
            catalog.registry.systems.insert(system.clone(), Arc::new(enabled));
        } else if let Edit::Register(code) = edit {
            let label = String::new();
            let purpose = Purpose { code: code.clone(), label, legal_basis: String::new() };
            catalog.purposes.insert(code.clone(), Arc::new(purpose));
        }
    }
    catalog
}

/// Every request that follows a suggestion, and when: one for each purpose that it names.
fn following(asking: &Asking, suggestion: &Suggestion) -> Vec<Asking> {
    let mut asking = asking.clone();
    let mut purposes = vec![asking.purpose.clone()];
    for edit in &suggestion.edits {
        match edit {
            Edit::AskPurpose(codes) => purposes.clone_from(codes),
            Edit::AskAction(action) => asking.action = action.clone(),
            Edit::LeaveOut { fields, left } => {
                let kept = asking.fields.iter().filter(|field| !fields.contains(field));
                assert_eq!(left, &kept.cloned().collect::<Vec<_>>());
                asking.fields.clone_from(left);
            }
            Edit::Send { parameter, values } => {
                asking.parameters.retain(|(name, _)| name != parameter);
                let first = values.split('|').next().unwrap();
                let value = first.strip_suffix('*').map_or(first.to_owned(), |prefix| format!("{prefix}99"));
                asking.parameters.push((parameter.clone(), vec![value]));
            }
            Edit::AskAt(at) => {
                assert!(*at > asking.at, "nobody can ask earlier");
                asking.at = *at;
            }
            Edit::NameGrant(grant) => asking.narrowed_to.as_mut().unwrap().push(grant.clone()),
            Edit::Enable(_)
            | Edit::Register(_)
            | Edit::AddPurpose { .. }
            | Edit::AddAction { .. }
            | Edit::Window { .. }
            | Edit::AddValue { .. }
            | Edit::DropConstraint { .. }
            | Edit::AddFields { .. }
            | Edit::NewLine
            | Edit::LiftDeny(_) => {}
        }
    }
    purposes.into_iter().map(|purpose| Asking { purpose, ..asking.clone() }).collect()
}

fn permit(policy: &Policy, asking: &Asking) -> Option<Permit> {
    match policy.decide(&asking.query(), asking.at) {
        Decision::Permit(permit) => Some(permit),
        Decision::Denial(_) => None,
    }
}

fn is_callers(edit: &Edit) -> bool {
    matches!(
        edit,
        Edit::AskPurpose(_)
            | Edit::AskAction(_)
            | Edit::LeaveOut { .. }
            | Edit::Send { .. }
            | Edit::AskAt(_)
            | Edit::NameGrant(_)
    )
}

fn judge(text: &str, catalog: &Catalog, asking: &Asking) -> Result<(), TestCaseError> {
    let policy = load(text, catalog);
    let advice = advise(text, catalog, asking);
    let decision = policy.decide(&asking.query(), asking.at);
    let denial = match decision {
        Decision::Denial(denial) if denial.reason != DenyReason::ResourceUnknown => denial,
        Decision::Permit(_) | Decision::Denial(_) => {
            prop_assert_eq!(advice, Advice::default());
            return Ok(());
        }
    };
    for (side, suggestions) in [(0, &advice.caller), (1, &advice.provider), (2, &advice.together)] {
        prop_assert!(suggestions.len() <= MAX_SUGGESTIONS);
        for suggestion in suggestions {
            prop_assert!(!suggestion.edits.is_empty());
            prop_assert!(side == 2 || suggestion.edits.iter().all(|edit| is_callers(edit) == (side == 0)));
            let text = edited(text, suggestion);
            let catalog = mended(catalog, suggestion);
            let (policy, report) = load_at(&catalog, SHIPPED, &text, at("2026-06-03T02:00:00Z"));
            prop_assert!(policy.is_some(), "{suggestion:?}\n{text}\n{report}");
            let policy = policy.unwrap();
            let requests = following(asking, suggestion);
            prop_assert!(!requests.is_empty());
            for request in requests {
                prop_assert!(permit(&policy, &request).is_some(), "{suggestion:?}\n{request:?}\n{text}");
            }
        }
    }
    // A line of its own always helps, but for fields that do not exist and tokens that do not name it.
    let fields_exist = policy.unknown_fields(&asking.resource, &asking.fields).is_empty();
    if fields_exist && asking.narrowed_to.is_none() {
        prop_assert!(!advice.provider.is_empty(), "{denial:?}");
    }
    prop_assert!(!advice.provider.is_empty() || !advice.caller.is_empty() || !advice.together.is_empty());
    // A line for another purpose has another name, which the token does not have.
    if asking.narrowed_to.is_none() { fewest(text, catalog, asking, &advice) } else { Ok(()) }
}

/// No single edit is overlooked: taking one deny line away, or widening one column of one line to
/// everything, helps only if a suggestion of one edit was made.
fn fewest(text: &str, catalog: &Catalog, asking: &Asking, advice: &Advice) -> Result<(), TestCaseError> {
    let (policy, grants) = (load(text, catalog), Source::new("grants.csv", text));
    let ground = Ground { policy: &policy, catalog, grants: &grants, maskers: &maskers() };
    let helps = policy.grants().iter().any(|grant| {
        let mut columns = Terms::of(grant);
        let mut tries = vec![];
        if columns.effect == Effect::Deny {
            tries.push(None);
        } else {
            columns.window = "always".to_owned();
            tries.push(Some(columns.to_string()));
            let mut columns = Terms::of(grant);
            columns.purpose = "*".to_owned();
            tries.push(Some(columns.to_string()));
            let mut columns = Terms::of(grant);
            columns.scope.items.clear();
            columns.scope = crate::policy::scope::Scope {
                items: crate::policy::scope::Scope::parse("*").unwrap().items,
                ..columns.scope
            };
            tries.push(Some(columns.to_string()));
        }
        tries.into_iter().any(|csv| {
            let others = policy.grants().iter().filter(|other| other.id() != grant.id());
            let lines = others.map(|other| Terms::of(other).to_string()).chain(csv);
            ground.draft(catalog, lines).is_some_and(|policy| permit(&policy, asking).is_some())
        })
    });
    let shortest = advice.provider.first().map(|suggestion| suggestion.edits.len());
    prop_assert!(!helps || shortest == Some(1), "{:?}", advice.provider);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(4), ..ProptestConfig::default() })]

    #[test]
    fn every_suggestion_lets_the_request_through(text in policy_text(), askings in prop::collection::vec(asking(), 1..4)) {
        for mut asking in askings {
            asking.narrowed_to = asking.narrowed_to.filter(|named| !named.is_empty());
            judge(&text, &catalog(), &asking)?;
        }
    }
}

/// The suggestions of one side, each in one line.
fn shown(suggestions: &[Suggestion]) -> Vec<String> {
    let shown = |suggestion: &Suggestion| {
        let edits: Vec<String> = suggestion.edits.iter().map(|edit| format!("{edit:?}")).collect();
        let lines = suggestion.lines.iter().map(|line| line.shown.clone().unwrap_or_default());
        format!("{} | {}", edits.join(" + "), lines.collect::<Vec<_>>().join(" / "))
    };
    suggestions.iter().map(shown).collect()
}

#[test]
fn a_line_that_lacks_nothing_but_the_fields_gets_them() {
    let text =
        "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, phone, always, allow\n";
    let advice = advise(text, &catalog(), &Asking::new().fields(&["@basic"]));
    let first = advice.provider.first().map(|it| it.edits.as_slice());
    assert!(matches!(first, Some([Edit::AddFields { .. }])), "{:?}", advice.provider);
}

const LINE: &str = "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name|sex;area=3410*, 2026-01-01/2026-12-31 workday 08:30-18:00, allow\n";

#[test]
fn one_thing_that_is_wrong_is_one_edit() {
    let asking = || Asking::new().parameter("area", &["341002"]);
    for (asking, line) in [
        (
            asking().purpose("planning.survey"),
            "p, NEW, sys:minzheng-aid, population.resident, query, planning.survey, name|sex;area=3410*, 2026-01-01/2026-12-31 workday 08:30-18:00, allow",
        ),
        (
            asking().action("verify"),
            "p, NEW, sys:minzheng-aid, population.resident, verify, social-aid.review, name|sex;area=3410*, 2026-01-01/2026-12-31 workday 08:30-18:00, allow",
        ),
        (
            asking().at("2027-01-05T01:00:00Z"),
            "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name|sex;area=3410*, 2026-01-01/2027-01-05 workday|tue 08:30-18:00, allow",
        ),
        (
            asking().at("2025-12-31T08:00:00Z"),
            "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name|sex;area=3410*, 2025-12-31/2026-12-31 workday|wed 08:30-18:00, allow",
        ),
        (
            asking().at("2026-10-01T01:00:00Z"),
            "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name|sex;area=3410*, 2026-01-01/2026-12-31 workday|thu 08:30-18:00, allow",
        ),
        (
            asking().at("2026-06-03T10:20:00Z"),
            "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name|sex;area=3410*, 2026-01-01/2026-12-31 workday 08:30-18:30, allow",
        ),
        (
            asking().at("2026-06-03T00:10:00Z"),
            "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name|sex;area=3410*, 2026-01-01/2026-12-31 workday 08:00-18:00, allow",
        ),
        (
            asking().fields(&["name", "phone"]),
            "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name|sex|phone;area=3410*, 2026-01-01/2026-12-31 workday 08:30-18:00, allow",
        ),
        (
            Asking::new(),
            "p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name|sex, 2026-01-01/2026-12-31 workday 08:30-18:00, allow",
        ),
    ] {
        let advice = advise(LINE, &catalog(), &asking);
        let first = &advice.provider[0];
        assert_eq!((first.edits.len(), first.lines[0].csv.as_deref()), (1, Some(line)), "{advice:?}");
    }
}

#[test]
fn a_value_that_may_not_be_recorded_is_not_shown() {
    let asking = Asking::new().parameter("area", &["330100"]);
    let mut catalog = catalog();
    for resource in catalog.resources.values_mut() {
        let resource = Arc::make_mut(resource);
        resource.parameters.iter_mut().for_each(|parameter| parameter.recordable = false);
    }
    let advice = advise(LINE, &catalog, &asking);
    let line = &advice.provider[0].lines[0];
    assert!(line.csv.as_ref().unwrap().contains("area=3410*|330100,"), "{line:?}");
    assert!(line.shown.as_ref().unwrap().contains("area=3410*|VALUE,"), "{line:?}");
    assert!(matches!(&advice.provider[0].edits[0], Edit::AddValue { value: None, .. }));
    let own = advice.provider.iter().find(|it| it.edits == [Edit::NewLine]).unwrap();
    assert!(own.lines[0].csv.as_ref().unwrap().contains(";area=330100,"), "{own:?}");
    assert!(own.lines[0].shown.as_ref().unwrap().contains(";area=VALUE,"), "{own:?}");
    let asking = Asking::new().parameter("area", &["330100"]).parameter("area", &[]);
    let advice = advise(LINE, &catalog, &asking);
    let own = advice.provider.iter().find(|it| it.edits == [Edit::NewLine]).unwrap();
    assert_eq!(own.lines[0].csv.as_ref().unwrap().matches("area=").count(), 1, "{own:?}");
    // What comes twice, in one list or in two, cannot be kept to: no constraint holds of it.
    for doubled in [
        Asking::new().parameter("area", &["1", "2"]),
        Asking::new().parameter("area", &["1"]).parameter("area", &["1"]),
    ] {
        let advice = advise(LINE, &catalog, &doubled);
        let own = advice.provider.iter().find(|it| it.edits == [Edit::NewLine]).unwrap();
        assert!(!own.lines[0].csv.as_ref().unwrap().contains("area"), "{own:?}");
    }
    for value in ["3*", "a|b", "a;b", "", " 1"] {
        let advice = advise(LINE, &catalog, &Asking::new().parameter("area", &[value]));
        assert!(advice.provider.iter().all(|it| it.edits == [Edit::NewLine]), "{value:?}: {advice:?}");
    }
}

#[test]
fn several_lines_give_all_fields_together() {
    let text = "\
p, A-1, sys:minzheng-aid, population.resident, query, social-aid.review, name, ../2026-01-01, allow
p, A-2, sys:minzheng-aid, population.resident, query, planning.survey, phone, always, allow
p, A-3, sys:minzheng-aid, population.resident, query, social-aid.review, sex, always, allow
p, D-1, group:all, population.resident, query, *, *, always, deny
";
    let advice = advise(text, &catalog(), &Asking::new().fields(&["name", "phone", "sex"]));
    let edits: Vec<usize> = advice.provider.iter().map(|suggestion| suggestion.edits.len()).collect();
    // A line of its own counts as three.
    assert_eq!(edits, [2, 3, 2], "{:#?}", shown(&advice.provider));
    assert_eq!(
        shown(&advice.provider[..1]),
        ["LiftDeny(GrantId(D-1)) + AddFields { grant: GrantId(A-3), fields: [\"name\", \"phone\"] } |  \
          / p, A-3, sys:minzheng-aid, population.resident, query, social-aid.review, sex|name|phone, always, allow"]
    );
    assert_eq!(advice.caller, [], "a deny line without an end is nothing that a caller can mend");
}

#[test]
fn nothing_is_said_of_what_nobody_may_know() {
    for resource in ["population.adoption", "no.such"] {
        let mut asking = Asking::new();
        asking.resource = ResourceId::parse(resource).unwrap();
        assert_eq!(advise(LINE, &catalog(), &asking), Advice::default());
    }
}

#[test]
fn what_a_caller_can_do() {
    let asking = || Asking::new().parameter("area", &["341002"]);
    for (asking, edits) in [
        (asking().purpose("planning.survey"), "AskPurpose([PurposeCode(social-aid.review)])"),
        (asking().action("verify"), "AskAction(Action(query))"),
        (asking().fields(&["name", "phone"]), "LeaveOut { fields: [\"phone\"], left: [\"name\"] }"),
        (asking().fields(&["name", "nothing"]), "LeaveOut { fields: [\"nothing\"], left: [\"name\"] }"),
        (asking().fields(&["phone"]), "LeaveOut { fields: [\"phone\"], left: [] }"),
        (Asking::new(), "Send { parameter: ParameterName(area), values: \"3410*\" }"),
        (asking().at("2026-10-01T01:00:00Z"), "AskAt(2026-10-08T00:30:00Z)"),
        (asking().narrowed_to(&["X-1"]), "NameGrant(GrantId(A-1))"),
    ] {
        let advice = advise(LINE, &catalog(), &asking);
        assert_eq!(shown(&advice.caller), [format!("{edits} | ")], "{asking:?}");
    }
    let ended = asking().at("2027-01-05T01:00:00Z");
    assert_eq!(advise(LINE, &catalog(), &ended).caller, []);
    let denied = format!(
        "{LINE}p, D-1, group:all, population.resident, *, *, *, ../2026-06-03T10:30:00+08:00, deny\n"
    );
    assert_eq!(shown(&advise(&denied, &catalog(), &asking()).caller), ["AskAt(2026-06-03T02:30:00Z) | "]);
}

#[test]
fn what_stands_in_other_files_is_named_too() {
    let disabled = Asking::new().system("sys:minzheng-old", "dept:minzheng").parameter("area", &["341002"]);
    let line = LINE.replace("sys:minzheng-aid", "dept:minzheng");
    let advice = advise(&line, &catalog(), &disabled);
    assert_eq!(advice.provider[0].edits, [Edit::Enable(disabled.system.clone())]);
    assert_eq!(advice.caller, []);
    let unregistered = Asking::new().purpose("social-aid.visit").parameter("area", &["341002"]);
    let advice = advise(LINE, &catalog(), &unregistered);
    let purpose = unregistered.purpose.clone();
    let grant = GrantId::parse("A-1").unwrap();
    assert_eq!(
        advice.provider[0].edits,
        [Edit::Register(purpose.clone()), Edit::AddPurpose { grant, purpose }]
    );
    let wide = LINE.replace("social-aid.review", "*");
    assert_eq!(advise(&wide, &catalog(), &unregistered).provider[0].edits.len(), 1);
}

#[test]
fn both_sides_may_be_needed() {
    let asking = Asking::new().fields(&["nothing", "phone"]).narrowed_to(&["X-1"]);
    let advice = advise("", &catalog(), &asking);
    assert_eq!((advice.caller.as_slice(), advice.provider.as_slice()), (&[][..], &[][..]));
    assert_eq!(
        shown(&advice.together),
        ["LeaveOut { fields: [\"nothing\"], left: [\"phone\"] } + NewLine + NameGrant(GrantId(NEW)) | \
          p, NEW, sys:minzheng-aid, population.resident, query, social-aid.review, phone, 2026-06-03/2026-12-31, allow"]
    );
}

#[test]
fn another_model_is_not_advised_on_as_if_it_were_the_shipped_one() {
    let catalog = catalog();
    // Purposes are compared letter by letter here: what the shipped model would let through is refused.
    let model =
        SHIPPED.replace("purpose_match(r.purpose, p.purpose)", "p.purpose == 'x' && r.purpose == p.purpose");
    assert_ne!(model, SHIPPED);
    let text = "p, A-1, sys:minzheng-aid, population.resident, query, planning.survey, sex, always, allow\n";
    let (policy, report) = load_at(&catalog, &model, text, at("2026-06-03T02:00:00Z"));
    let policy = policy.unwrap_or_else(|| panic!("{report}"));
    let grants = Source::new("grants.csv", text);
    let ground = Ground { policy: &policy, catalog: &catalog, grants: &grants, maskers: &maskers() };
    let asking = Asking::new();
    assert!(matches!(ground.decide(&request(&asking), asking.at), Some(Decision::Denial(_))));
    assert_eq!(ground.advise(&request(&asking), asking.at), Advice::default());
}
