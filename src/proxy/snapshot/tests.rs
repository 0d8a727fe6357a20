use std::collections::BTreeMap;

use super::*;
use crate::catalog::{BodyFormat, BodyShape, Field, FieldType, Level, NameMatching, Sharing};
use crate::grant::Treatment;
use crate::kernel::id::{KeyLabel, MaskerName};
use crate::kernel::secret::Secret;
use crate::mask::{Bounds, DatedSecret, Masker, Transform};

/// A resource of one field, `phone`.
fn resource() -> Resource {
    Resource {
        id: ResourceId::parse("population.resident").unwrap(),
        name: "人口".to_owned(),
        provider: department("dept:gongan"),
        class: "人口".to_owned(),
        sharing: Sharing::Conditional,
        actions: Vec::new(),
        update_within: None,
        requirements: String::new(),
        body: BodyShape {
            format: BodyFormat::Json,
            delimiter: crate::catalog::Delimiter::Comma,
            xml: crate::catalog::XmlNames::default(),
            names: NameMatching::Exact,
            records: None,
            envelope: Vec::new(),
        },
        fields: vec![Field {
            path: FieldPath::parse("phone").unwrap(),
            label: "电话".to_owned(),
            kind: FieldType::String,
            level: Level::new(3).unwrap(),
            mask: None,
            source: None,
            nested: false,
        }],
        groups: BTreeMap::new(),
        parameters: Vec::new(),
        egress: None,
    }
}

fn department(id: &str) -> DepartmentId {
    DepartmentId::parse(id).unwrap()
}

fn released(masker: &str) -> Arc<[ReleasedField]> {
    let treatment = Treatment::Masked(MaskerName::parse(masker).unwrap());
    Arc::new([ReleasedField { path: FieldPath::parse("phone").unwrap(), treatment }])
}

fn plans(keys: PseudonymKeys) -> Plans {
    let mut maskers = Maskers::builtin();
    let fpe = Masker::parse("fpe", &[("of", "mobile")]).unwrap();
    maskers.insert(MaskerName::parse("other-phone").unwrap(), fpe).unwrap();
    Plans::new(maskers, keys)
}

fn keys() -> PseudonymKeys {
    let mut keys = PseudonymKeys::default();
    for (label, byte, from) in [("h1", 1, None), ("h2", 2, Some("2027-01-01T00:00:00Z".parse().unwrap()))] {
        let secret = Secret::new([byte; 32]);
        keys.add(DatedSecret { label: KeyLabel::parse(label).unwrap(), secret, from }).unwrap();
    }
    keys
}

/// What leaves of one phone number.
fn left(plan: &AnnouncedPlan) -> String {
    let mut transform = Transform::new(Arc::clone(&plan.plan), Bounds::default());
    let mut out = Vec::new();
    transform.push(br#"{"phone":"13800138000"}"#, &mut out).unwrap();
    transform.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn plans_change_with_the_key_and_without_a_reload() {
    let (plans, resource) = (plans(keys()), resource());
    let (before, after): (Timestamp, Timestamp) =
        ("2026-12-31T23:59:59Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
    let at = |fields: &Arc<[ReleasedField]>, now| {
        plans.plan(&resource, &department("dept:minzheng"), fields, now).unwrap()
    };
    let pseudonyms = released("pseudonym");
    let (old, new) = (at(&pseudonyms, before), at(&pseudonyms, after));
    assert!(left(&old).starts_with(r#"{"phone":"h1:"#) && left(&new).starts_with(r#"{"phone":"h2:"#));
    assert!(Arc::ptr_eq(&old, &at(&pseudonyms, before)), "compiled once for each key");
    assert!(Arc::ptr_eq(&new, &at(&pseudonyms, after)));
    // Ciphers have no label: that they change is all that is seen.
    let ciphers = released("other-phone");
    assert_ne!(left(&at(&ciphers, before)), left(&at(&ciphers, after)));
}

#[test]
fn without_a_key_nothing_keyed_leaves() {
    let mut late = PseudonymKeys::default();
    let from = Some("2027-01-01T00:00:00Z".parse().unwrap());
    late.add(DatedSecret { label: KeyLabel::default(), secret: Secret::new([1; 32]), from }).unwrap();
    for keys in [PseudonymKeys::default(), late] {
        let (plans, resource) = (plans(keys), resource());
        for masker in ["pseudonym", "other-phone"] {
            let now = "2026-06-01T00:00:00Z".parse().unwrap();
            let plan = plans.plan(&resource, &department("dept:minzheng"), &released(masker), now);
            assert!(matches!(plan, Err(PlanError::NoKey { .. })));
        }
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        assert!(plans.plan(&resource, &department("dept:minzheng"), &released("mobile"), now).is_ok());
    }
}
