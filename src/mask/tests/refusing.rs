//! Bodies that may hold what is released and nothing else.

use super::*;

const LEAD: &str = "name:string:name id_card:string:resident-id age:number poor:boolean seen:date \
    address.city:string address.detail:string:address note:string";

fn plan(shape: &BodyShape, fields: &str) -> Arc<Plan> {
    let (fields, catalogue, maskers) = (released(fields), catalogue(LEAD), maskers());
    let spec = PlanSpec {
        shape,
        fields: &fields,
        catalogue: &catalogue,
        maskers: &maskers,
        key: None,
        egress: None,
    };
    Arc::new(Plan::refusing(&spec).unwrap())
}

/// Why a body is refused, in words: the record, and the field if it has a name.
fn why(plan: &Plan, error: MaskError) -> String {
    let Some(place) = error.place() else { return error.reason().to_owned() };
    let what = if matches!(error, MaskError::Outside { .. }) { "outside" } else { "type" };
    let name = plan.path(place).map_or("?", FieldPath::as_str);
    format!("{what} {} {name}", place.record().map_or("-".to_owned(), |record| record.to_string()))
}

#[track_caller]
fn refused(shape: &BodyShape, fields: &str, body: &str, expected: &str) {
    let plan = plan(shape, fields);
    let error = run(&plan, body).unwrap_err();
    assert_eq!(why(&plan, error), expected, "{body}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn what_is_released_passes_as_it_is_whatever_its_masker() {
    let plan = plan(&shape(None, ""), "name:name id_card:pseudonym age seen:date-year address:address poor");
    for body in [
        "{}",
        "[]",
        "null",
        " [ { \"name\" : \"王云\", \"n\\u0061me\":\"\\u738b\" , \"id_card\":\"1\"},{\"age\":[1.50,-0e7,null]} ]\n",
        r#"{"address":{"city":"黄山市","detail":"屯溪区x路1号"},"poor":true,"seen":"2026-01-01"}"#,
    ] {
        let (out, summary) = run_all(&plan, Bounds::default(), body.as_bytes()).unwrap();
        assert_eq!(out, body);
        assert_eq!((summary.masked(), summary.dropped(), summary.unclassified()), (0, 0, 0));
    }
}

#[test]
fn the_first_member_outside_refuses_all() {
    let flat = shape(None, "");
    for (body, expected) in [
        (r#"{"name":"a","note":"secret"}"#, "outside 1 note"),
        (r#"{"note":"secret","age":"x"}"#, "outside 1 note"),
        (r#"[{"name":"a"},{"name":"b"},{"note":null}]"#, "outside 3 note"),
        (r#"{"secret":1,"note":1}"#, "outside 1 ?"),
        (r#"{"Name":"a"}"#, "outside 1 ?"),
        (r#"{"name ":"a"}"#, "outside 1 ?"),
        (r#"{"name":"a","n\u006fte":"secret"}"#, "outside 1 note"),
        (r#"{"address":{"city":"x","detail":"secret"}}"#, "outside 1 address.detail"),
        (r#"{"address":{"lane":"secret"}}"#, "outside 1 ?"),
        (r#"{"address":[[{"city":"x"},{"detail":"secret"}]]}"#, "outside 1 address.detail"),
        // Before what comes after it, whatever that is.
        (r#"{"note":"secret"} {"#, "outside 1 note"),
        ("{\"note\":\u{1}", "outside 1 note"),
        (r#"{"note""#, "outside 1 note"),
        // And after what comes before it.
        (r#"{"name" "a","note":1}"#, "syntax"),
        (r#"{"age":01,"note":1}"#, "syntax"),
    ] {
        refused(&flat, "name:name age address.city", body, expected);
    }
    let list = shape(Some("items"), "batch");
    for (body, expected) in [
        (r#"{"batch":{"any":1},"items":[{"name":"a"}],"total":1}"#, "outside 1 ?"),
        (r#"{"total":1,"items":[]}"#, "outside - ?"),
        (r#"{"items":[{"name":"a"},{"note":1}]}"#, "outside 2 note"),
        (r#"{"Items":[{"name":"a"}]}"#, "outside - ?"),
    ] {
        refused(&list, "name", body, expected);
    }
}

#[test]
fn a_value_of_another_type_refuses_all() {
    let flat = shape(None, "");
    for (body, expected) in [
        (r#"{"name":1}"#, "type 1 name"),
        (r#"{"name":{"note":"secret"}}"#, "type 1 name"),
        (r#"{"name":["a",true]}"#, "type 1 name"),
        (r#"{"age":"7"}"#, "type 1 age"),
        (r#"{"poor":"true"}"#, "type 1 poor"),
        (r#"{"address":"secret"}"#, "type 1 address"),
        (r#""secret""#, "type - ?"),
        ("[7]", "type - ?"),
        (r#"{"name":1,"note":2}"#, "type 1 name"),
    ] {
        refused(&flat, "name:name age poor address", body, expected);
    }
    refused(&shape(Some("items"), ""), "name", r#"{"items":"secret"}"#, "type - ?");
}

#[test]
fn nothing_is_released_by_a_masker_that_drops() {
    let flat = shape(None, "");
    refused(&flat, "name:drop", r#"{"name":"a"}"#, "outside 1 name");
    refused(
        &flat,
        "address:drop address.city",
        r#"{"address":{"city":"a","detail":"b"}}"#,
        "outside 1 address.detail",
    );
    assert_eq!(
        run(&plan(&flat, "address:drop address.city"), r#"{"address":{"city":"a"}}"#).unwrap(),
        r#"{"address":{"city":"a"}}"#
    );
    refused(&flat, "", r#"{"name":"a"}"#, "outside 1 name");
    assert_eq!(run(&plan(&flat, ""), "{}").unwrap(), "{}");
}

#[test]
fn names_that_fold_are_one_name() {
    let flat = BodyShape { names: NameMatching::Fold, ..shape(None, "") };
    let body = r#"{"NAME":"a","Name":"b"}"#;
    assert_eq!(run(&plan(&flat, "name"), body).unwrap(), body);
    refused(&flat, "name", r#"{"NOTE":"secret"}"#, "outside 1 note");
}

#[test]
fn lines_are_counted() {
    let lines = BodyShape { format: BodyFormat::NdJson, ..shape(None, "") };
    let body = "{\"name\":\"a\"}\n\n{\"name\":\"b\"}\n";
    assert_eq!(run(&plan(&lines, "name"), body).unwrap(), body);
    refused(&lines, "name", "{\"name\":\"a\"}\n{\"name\":\"b\",\"note\":1}\n{", "outside 2 note");
}

#[test]
fn a_document_inside_a_text_is_held_against_the_same_plan() {
    let mut catalogue = catalogue("form:object form.name:string form.note:string");
    catalogue.first_mut().unwrap().nested = true;
    let (fields, maskers, shape) = (released("form.name"), maskers(), shape(None, ""));
    let spec = PlanSpec {
        shape: &shape,
        fields: &fields,
        catalogue: &catalogue,
        maskers: &maskers,
        key: None,
        egress: None,
    };
    let plan = Arc::new(Plan::refusing(&spec).unwrap());
    let body = r#"{"form":"{ \"name\":\"a/b\"}"}"#;
    assert_eq!(run(&plan, body).unwrap(), body);
    for (body, expected) in [
        (r#"{"form":"{\"name\":\"a\",\"note\":\"secret\"}"}"#, "outside 1 form.note"),
        (r#"{"form":"{\"name\":1}"}"#, "type 1 form.name"),
        (r#"{"form":"{\"note\":1"}"#, "type 1 form"),
        (r#"{"form":"secret"}"#, "type 1 form"),
        (r#"{"form":{"name":"a"}}"#, "type 1 form"),
    ] {
        let error = run(&plan, body).unwrap_err();
        assert_eq!(why(&plan, error), expected, "{body}");
    }
}

/// Comments and the like do not leave, so where nothing may stay behind they are refused; also where the
/// length of the body does not tell, since a document inside a text is written anew.
#[test]
fn what_stands_beside_elements_is_outside() {
    let mut catalogue = catalogue("form:object form.name:string name:string");
    let shape = BodyShape { format: BodyFormat::Xml, records: None, ..shape(None, "") };
    let plan = |catalogue: &[Field]| compile_refusing(&shape, "form.name name", catalogue);
    let plain = plan(&catalogue);
    catalogue.first_mut().unwrap().nested = true;
    let nested = plan(&catalogue);
    let body = "<p xmlns=''><form>{\"name\":1}</form></p>";
    assert_eq!(run(&nested, body).unwrap_err().reason(), "wrong-type");
    let body = "<p xmlns=''><form>{ }</form><name>a</name></p>";
    assert!(run(&nested, body).is_ok());
    for body in [
        "<p><!-- --><name>a</name></p>",
        "<!----><p/>",
        "<p/><?x?>",
        "<p><name xmlns:x='urn:x'>a</name></p>",
        "<p><name>a<!--b--></name></p>",
    ] {
        for plan in [&plain, &nested] {
            assert_eq!(run(plan, body).unwrap_err().reason(), "outside", "{body}");
        }
    }
}

#[test]
fn a_failure_takes_back_the_records_that_are_held_back_with_it() {
    let plan = plan(&shape(None, ""), "name");
    let mut transform = Transform::new(Arc::clone(&plan), Bounds::default());
    let mut out = Vec::new();
    transform.push(br#"[{"name":"a"},{"name":"b"},"#, &mut out).unwrap();
    assert_eq!(transform.records(), 2);
    let error = transform.push(br#"{"name":"c"},{"note":"d"}"#, &mut out).unwrap_err();
    assert_eq!(why(&plan, error), "outside 4 note");
    assert_eq!((transform.records(), transform.summary().records()), (2, 2));
    assert_eq!(transform.summary().dropped(), 1, "what it was refused for is counted");
}
