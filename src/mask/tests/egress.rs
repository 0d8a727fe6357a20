//! Values that leave as they are and are searched.

use proptest::prelude::*;

use super::*;
use crate::catalog::{Egress, Identifier};

const FIELDS: &str = "name:string:name remark:string count:number born:date flag:boolean tags:string \
                      address:object address.note:string secret:object:full secret.code:string \
                      nested:object nested.note:string";

fn searching(egress: Option<Egress>, grant: &str) -> Arc<Plan> {
    let mut fields = catalogue(FIELDS);
    fields.iter_mut().filter(|field| field.path.as_str() == "nested").for_each(|field| field.nested = true);
    let (shape, grant, maskers) = (shape(Some("data"), "message page"), released(grant), maskers());
    let spec =
        PlanSpec { shape: &shape, fields: &grant, catalogue: &fields, maskers: &maskers, key: None, egress };
    Arc::new(Plan::compile(&spec).unwrap())
}

fn everything(egress: Egress) -> Arc<Plan> {
    searching(Some(egress), "name:name remark count born flag tags address.note secret.code nested.note")
}

/// What was found, by name and kind.
fn findings(summary: &Summary) -> Vec<(String, Identifier, u64)> {
    let mut found: Vec<_> = summary.findings().map(|it| (it.path.to_string(), it.kind, it.count)).collect();
    found.sort();
    found
}

#[track_caller]
fn check(body: &str, expected: &[(&str, Identifier, u64)]) {
    let expected: Vec<_> =
        expected.iter().map(|(path, kind, count)| ((*path).to_owned(), *kind, *count)).collect();
    let (out, summary) = run_all(&everything(Egress::Report), Bounds::default(), body.as_bytes()).unwrap();
    assert_eq!(findings(&summary), expected, "{body}");
    let (plain, _) = run_all(
        &searching(None, "name:name remark count born flag tags address.note secret.code nested.note"),
        Bounds::default(),
        body.as_bytes(),
    )
    .unwrap();
    assert_eq!(out, plain, "what is searched leaves byte for byte");
    let blocked = run_all(&everything(Egress::Block), Bounds::default(), body.as_bytes());
    match expected.is_empty() {
        true => assert_eq!(blocked.unwrap().0, plain),
        false => assert_eq!(blocked.map(|_| ()).map_err(|error| error.reason()), Err("egress"), "{body}"),
    }
}

#[test]
fn fields_without_masker_and_envelopes_are_searched() {
    use Identifier::{BankCard, CreditCode, Mobile, ResidentId};
    check(r#"{"data":{"remark":"无"}}"#, &[]);
    check(
        r#"{"message":"见13800138000","data":[ {"remark" : "\u7535\u8bdd 138\u0030013\/","count":1.50},{"remark":"a\"11010519491231002X\n"}] }"#,
        &[("message", Mobile, 1), ("remark", ResidentId, 1)],
    );
    check(
        r#"{"data":{"remark":"\u0031\u003380\uFF101\u00338000，4111 1111 1111 1111"}}"#,
        &[("remark", Mobile, 1), ("remark", BankCard, 1)],
    );
    check(r#"{"data":{"remark":"1380013\ud83d\ude008000"}}"#, &[]);
    check(r#"{"data":{"remark":"138\t0013\u2009800\u200b0"}}"#, &[("remark", Mobile, 1)]);
    check(r#"{"data":{"remark":"138\n0013\n8000"}}"#, &[]);
    check(
        r#"{"data":{"count":13800138000,"tags":["a","91350100M000100Y43",["13800138000"]],"born":"13800138000"}}"#,
        &[("born", Mobile, 1), ("count", Mobile, 1), ("tags", Mobile, 1), ("tags", CreditCode, 1)],
    );
    check(
        r#"{"page":{"a":[{"b":"13800138000"},13800138001.0,true,null],"c":{}},"message":[],"data":[]}"#,
        &[("page", Mobile, 2)],
    );
    check(
        r#"{"data":{"nested":"{\"note\":\"13800138000\",\"other\":\"13800138000\"}","address":{"note":"13800138000"}}}"#,
        &[("address.note", Mobile, 1), ("nested.note", Mobile, 1)],
    );
    // A value of another type than the declared one becomes `null`, and nothing is left to find.
    check(r#"{"data":{"remark":13800138000,"count":"13800138000","flag":"13800138000"}}"#, &[]);
    // Masked fields, fields below a masked object, and what does not leave at all.
    check(
        r#"{"data":{"name":"13800138000","secret":{"code":"13800138000"},"other":"13800138000"},"x":"13800138000"}"#,
        &[],
    );
}

#[test]
fn without_the_key_nothing_is_searched() {
    let plan = searching(None, "remark count");
    let body = br#"{"message":"13800138000","data":{"remark":"13800138000","count":13800138000}}"#;
    let (out, summary) = run_all(&plan, Bounds::default(), body).unwrap();
    assert_eq!(out.as_bytes(), body);
    assert_eq!(summary.findings().count(), 0);
}

#[test]
fn a_field_that_a_grant_masks_is_not_searched() {
    let plan = searching(Some(Egress::Block), "remark:full");
    let (out, summary) = run_all(&plan, Bounds::default(), br#"{"data":{"remark":"13800138000"}}"#).unwrap();
    assert_eq!((out.as_str(), summary.findings().count()), (r#"{"data":{"remark":"***"}}"#, 0));
}

#[test]
fn the_first_error_counts() {
    let error = |body: &str| {
        run_all(&everything(Egress::Block), Bounds::default(), body.as_bytes()).unwrap_err().reason()
    };
    assert_eq!(error(r#"{"data":{"remark":"13800138000","count":01}}"#), "egress");
    assert_eq!(error(r#"{"data":{"count":01,"remark":"13800138000"}}"#), "syntax");
    assert_eq!(error("{\"data\":{\"remark\":\"13800138000 \u{1}\"}}"), "control-character");
    assert_eq!(error(r#"{"data":{"remark":"13800138000"#), "truncated");
    assert_eq!(error(r#"{"data":{"remark":"13800138000"}} x"#), "egress");
}

/// A body whose remark is longer than any bound on values, with `number` at `at`.
fn long(number: &str, at: usize, escaped: bool) -> String {
    let number: String = match escaped {
        true => number.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        false => number.to_owned(),
    };
    let filler = "备注，无其他事项。\\n";
    let mut remark = filler.repeat(200_000 / filler.len());
    let at = remark
        .char_indices()
        .map(|(place, _)| place)
        .find(|place| *place >= at && !remark.get(..*place).unwrap().ends_with('\\'))
        .unwrap();
    remark.insert_str(at, &number);
    format!(r#"{{"data":[{{"remark":"{remark}","name":"张三"}}]}}"#)
}

#[test]
fn long_values_are_searched_to_the_end_in_little_memory() {
    for at in [0, 65_500, 65_540, 131_072, 190_000] {
        for escaped in [false, true] {
            let body = long("11010519491231002X", at, escaped);
            for size in [1, 1_000, 4_096, 65_536, 1_000_000] {
                for egress in Egress::ALL {
                    let mut transform = Transform::new(everything(egress), Bounds::default());
                    let mut out = Vec::new();
                    let mut result = Ok(());
                    for piece in body.as_bytes().chunks(size) {
                        result = transform.push(piece, &mut out);
                        assert!(transform.footprint() < 8 << 10, "{} bytes", transform.footprint());
                        if result.is_err() {
                            break;
                        }
                    }
                    let expected = vec![("remark".to_owned(), Identifier::ResidentId, 1)];
                    assert_eq!(findings(&transform.summary()), expected, "at {at} by {size}");
                    let out = String::from_utf8_lossy(&out);
                    if egress == Egress::Block {
                        assert_eq!(result, Err(MaskError::Egress { kind: Identifier::ResidentId }));
                        let front = if escaped { r"\u0031\u0031\u0030" } else { "110105" };
                        assert!(!out.contains(front), "at {at} by {size}");
                    } else {
                        assert_eq!(result, Ok(()));
                        assert_eq!(out, body.replace("张三", "张**"));
                    }
                }
            }
        }
    }
}

#[test]
fn what_follows_a_number_does_not_let_it_out() {
    // Letters are of the same word, and it may be a digest until it is too long or has others than `a` to `f`.
    for (number, letters) in [
        ("13800138000", "a"),
        ("13800138000", "b1"),
        ("11010519491231002X", "\\u0061"),
        ("13800138000", "f\u{200b}"),
        ("13800138000", "\\u0061\\u200b"),
    ] {
        for before in ["", "a"] {
            let remark = format!("{before}{number}{}", letters.repeat(300));
            let body = format!(r#"{{"data":{{"remark":"{remark}"}}}}"#);
            for at in (20..body.len()).step_by(7) {
                let (front, back) = body.as_bytes().split_at(at);
                let mut transform = Transform::new(everything(Egress::Block), Bounds::default());
                let mut out = Vec::new();
                let refused = [front, back].iter().any(|piece| transform.push(piece, &mut out).is_err());
                assert!(refused, "{letters} cut at {at}");
                let out = String::from_utf8_lossy(&out);
                assert!(!out.contains(number.split_at(6).0), "{letters} cut at {at} lets out {out}");
            }
        }
    }
}

#[test]
fn long_numbers_are_searched_the_same_however_they_are_cut() {
    use Identifier::Mobile;
    let (zeros, few) = ("0".repeat(100), "0".repeat(40));
    for (number, expected) in [
        (format!("13800138000.{zeros}"), &[Mobile][..]),
        (format!("13800138000.{few}"), &[Mobile]),
        (format!("1.3800138{few}E10"), &[Mobile]),
        ("13800138000.5".to_owned(), &[]),
        // It is too long to be looked at as a whole number.
        (format!("1.3800138{zeros}E10"), &[]),
        (format!("13800138000.{zeros}1"), &[Mobile]),
    ] {
        let body = format!(r#"{{"data":{{"count":{number}}}}}"#);
        for at in 0..body.len() {
            let pieces = || [&body.as_bytes()[..at], &body.as_bytes()[at..]];
            let (out, summary) =
                run_pieces(&everything(Egress::Report), Bounds::default(), pieces()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), body, "cut at {at}");
            let found: Vec<_> = findings(&summary).into_iter().map(|(_, kind, _)| kind).collect();
            assert_eq!(found, expected, "{number} cut at {at}");
            let blocked = run_pieces(&everything(Egress::Block), Bounds::default(), pieces());
            match expected {
                [] => assert_eq!(String::from_utf8(blocked.unwrap().0).unwrap(), body, "cut at {at}"),
                _ => assert_eq!(blocked.map(|_| ()).unwrap_err().reason(), "egress", "{number} cut at {at}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the body is cut, a blocked number does not leave, and a reported one changes nothing.
    #[test]
    fn a_planted_number_is_found_and_blocked(
        before in "(\\PC{0,30}[，。：a])?",
        after in "([，。：]\\PC{0,30}|[a-z]{1,300}[0-9]?|[0-9a-f]{1,14}|a{1,400})?",
        size in 1_usize..400,
    ) {
        let text = format!("{before}11010519491231002X{after}");
        let body = serde_json::json!({ "data": [{ "remark": text, "count": 1 }] }).to_string();
        let pieces = || body.as_bytes().chunks(size);
        let (out, summary) = run_pieces(&everything(Egress::Report), Bounds::default(), pieces()).unwrap();
        prop_assert_eq!(out, body.as_bytes());
        prop_assert!(findings(&summary).contains(&("remark".to_owned(), Identifier::ResidentId, 1)));
        let mut transform = Transform::new(everything(Egress::Block), Bounds::default());
        let mut out = Vec::new();
        let failed = pieces().any(|piece| transform.push(piece, &mut out).is_err());
        prop_assert!(failed);
        prop_assert!(!String::from_utf8_lossy(&out).contains("110105"));
    }
}
