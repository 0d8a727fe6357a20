//! What plans release, and what bodies become under them.

use super::*;

const RESIDENT: &str = "name:string:name id_card:string:resident-id sex:string birth_date:date:date-year \
    phone:string:mobile email:string:email address.province:string address.city:string \
    address.district:string address.detail:string:address household_size:number";

fn list() -> BodyShape {
    shape(Some("data"), "code message total page")
}

#[track_caller]
fn check(fields: &str, body: &str, expected: &str) -> Summary {
    let plan = compile(&list(), &released(fields), &catalogue(RESIDENT)).unwrap();
    let (out, summary) = run_all(&plan, Bounds::default(), body.as_bytes()).unwrap();
    assert_eq!(out, expected);
    summary
}

#[test]
fn a_reply_leaves_as_far_as_it_is_released() {
    let summary = check(
        "name:name id_card sex birth_date:date-year phone:mobile address.city",
        r#"{"code":0,"message":"成功","trace":"x","data":[
  {"name":"欧阳修","id_card":"11010519491231002X","sex":"男","birth_date":"1949-12-31","phone":"13800138000",
   "email":"a@b.cn","address":{"province":"安徽省","city":"黄山市","lane":"x"},"household_size":3},
  {"name":"李雷","id_card":null,"extra":{"deep":[1,{"a":2}]}}
], "total":2 , "page":1}"#,
        r#"{"code":0,"message":"成功","data":[
  {"name":"欧阳**","id_card":"11010519491231002X","sex":"男","birth_date":"1949","phone":"138****8000","address":{"city":"黄山市"}},
  {"name":"李**","id_card":null}
], "total":2 , "page":1}"#,
    );
    assert_eq!(summary.records(), 2);
    assert_eq!(summary.unclassified(), 3);
    let counts: Vec<_> =
        summary.fields().map(|count| (count.path.as_str(), count.masked, count.dropped)).collect();
    assert_eq!(
        counts,
        [
            ("address.province", 0, 1),
            ("birth_date", 1, 0),
            ("email", 0, 1),
            ("household_size", 0, 1),
            ("name", 2, 0),
            ("phone", 1, 0),
        ]
    );
}

#[test]
fn separators_go_with_what_is_dropped() {
    for (body, expected) in [
        (r#"{"data":{}}"#, r#"{"data":{}}"#),
        (r#"{"data":{ }}"#, r#"{"data":{ }}"#),
        (r#"{"data":{"x":1}}"#, r#"{"data":{}}"#),
        (r#"{"data":{ "x" : 1 }}"#, r#"{"data":{ }}"#),
        (r#"{"data":{"x":1,"sex":"男"}}"#, r#"{"data":{"sex":"男"}}"#),
        (r#"{"data":{ "x":1 , "sex":"男" }}"#, r#"{"data":{ "sex":"男" }}"#),
        (r#"{"data":{ "sex":"男" , "x":1 }}"#, r#"{"data":{ "sex":"男"  }}"#),
        (r#"{"data":{"sex":"男","x":1,"y":2,"sex":"女"}}"#, r#"{"data":{"sex":"男","sex":"女"}}"#),
        (r#"{"data":{"x":1,"x":2,"sex":"男","x":3}}"#, r#"{"data":{"sex":"男"}}"#),
        ("{\n  \"data\": {\n    \"x\": 1\n  }\n}\n", "{\n  \"data\": {\n  }\n}\n"),
        (
            "{\n  \"data\": {\n    \"sex\": \"男\",\n    \"x\": 1\n  }\n}\n",
            "{\n  \"data\": {\n    \"sex\": \"男\"\n  }\n}\n",
        ),
    ] {
        check("sex", body, expected);
    }
}

#[test]
fn values_of_another_type_never_leave() {
    for (body, expected) in [
        (r#"{"data":{"sex":1,"household_size":"3"}}"#, r#"{"data":{"sex":null,"household_size":null}}"#),
        (
            r#"{"data":{"sex":true,"household_size":[1,"2",[3,{"a":4}]]}}"#,
            r#"{"data":{"sex":null,"household_size":[1,null,[3,null]]}}"#,
        ),
        (r#"{"data":{"sex":{"sex":"男"}}}"#, r#"{"data":{"sex":null}}"#),
        (r#"{"data":{"phone":13800138000}}"#, r#"{"data":{"phone":"138****8000"}}"#),
        (r#"{"data":{"phone":1380013}}"#, r#"{"data":{"phone":null}}"#),
        (r#"{"data":{"phone":true}}"#, r#"{"data":{"phone":null}}"#),
        (
            r#"{"data":{"phone":["13800138000",null,["x"],{"phone":"13800138000"}]}}"#,
            r#"{"data":{"phone":["138****8000",null,["***"],null]}}"#,
        ),
        (r#"{"data":{"address":"黄山市"}}"#, r#"{"data":{"address":null}}"#),
        (
            r#"{"data":{"address":["黄山市",{"city":"黄山市"},3,null]}}"#,
            r#"{"data":{"address":[null,{"city":"黄山市"},null,null]}}"#,
        ),
        (r#"{"data":"secret"}"#, r#"{"data":null}"#),
        (r#"{"data":[["secret",{"sex":"男"}],7]}"#, r#"{"data":[[null,{"sex":"男"}],null]}"#),
        (r#""secret""#, "null"),
        (" 7 ", " null "),
        ("null", "null"),
        (r#"[{"code":1,"x":2}]"#, r#"[{"code":1}]"#),
        (r#"{"code":{"any":["thing"]},"Data":[1]}"#, r#"{"code":{"any":["thing"]}}"#),
    ] {
        check("sex household_size phone:mobile address.city", body, expected);
    }
}

#[test]
fn a_released_object_releases_what_the_catalogue_says_is_in_it() {
    let body = r#"{"data":{"address":{"province":"安徽省","city":"黄山市","lane":"x","detail":"安徽省黄山市屯溪区x路"}}}"#;
    for (fields, expected) in [
        (
            "address",
            r#"{"data":{"address":{"province":"安徽省","city":"黄山市","detail":"安徽省黄山市屯溪区***"}}}"#,
        ),
        ("address:full", r#"{"data":{"address":{"province":"***","city":"***","detail":"***"}}}"#),
        (
            "address:full address.city",
            r#"{"data":{"address":{"province":"***","city":"黄山市","detail":"***"}}}"#,
        ),
        ("address:drop address.city", r#"{"data":{"address":{"city":"黄山市"}}}"#),
        ("address:drop", r#"{"data":{}}"#),
        ("address.city:drop", r#"{"data":{}}"#),
        (
            "address address.detail:null",
            r#"{"data":{"address":{"province":"安徽省","city":"黄山市","detail":null}}}"#,
        ),
    ] {
        check(fields, body, expected);
    }
}

#[test]
fn an_object_that_is_released_makes_nothing_in_it_clearer() {
    let fields =
        catalogue("a:object a.b:object:full a.b.c:string a.b.d:string:mobile a.e:string a.f:object:null");
    let body = r#"{"a":{"b":{"c":"x","d":"13800138000"},"e":"x","f":{"x":1}}}"#;
    for (release, expected) in [
        ("a", r#"{"a":{"b":{"c":"***","d":"138****8000"},"e":"x","f":null}}"#),
        ("a a.b", r#"{"a":{"b":{"c":"x","d":"138****8000"},"e":"x","f":null}}"#),
        ("a a.b.c", r#"{"a":{"b":{"c":"x","d":"138****8000"},"e":"x","f":null}}"#),
        ("a.b:null", r#"{"a":{"b":{"c":null,"d":null}}}"#),
    ] {
        let plan = compile(&shape(None, ""), &released(release), &fields).unwrap();
        assert_eq!(run(&plan, body).unwrap(), expected, "{release}");
    }
}

#[test]
fn an_object_without_declared_members_shows_none() {
    let fields = catalogue("a:object b:string");
    for (release, expected) in [
        ("a", r#"[{"a":{}},{"a":null},{"a":[{},null]}]"#),
        ("a:full", r#"[{"a":null},{"a":null},{"a":[null,null]}]"#),
        ("a:drop b", r#"[{},{},{}]"#),
        ("", r#"[{},{},{}]"#),
    ] {
        let plan = compile(&shape(None, ""), &released(release), &fields).unwrap();
        assert_eq!(run(&plan, r#"[{"a":{"x":1}},{"a":2},{"a":[{"x":1},"y"]}]"#).unwrap(), expected);
    }
}

#[test]
fn envelope_members_may_be_nested_or_stand_in_the_record() {
    let fields = catalogue("name:string");
    let plan = compile(&shape(Some("result.rows"), "result.total meta"), &released("name"), &fields).unwrap();
    assert_eq!(
        run(&plan, r#"{"meta":{"a":[1]},"result":{"total":1,"next":"x","rows":[{"name":"a","b":1}]},"c":2}"#)
            .unwrap(),
        r#"{"meta":{"a":[1]},"result":{"total":1,"rows":[{"name":"a"}]}}"#
    );
    let plan = compile(&shape(None, "code page.total"), &released("name"), &fields).unwrap();
    assert_eq!(
        run(&plan, r#"{"code":0,"name":"a","b":1,"page":{"total":1,"x":2}}"#).unwrap(),
        r#"{"code":0,"name":"a","page":{"total":1}}"#
    );
}

#[test]
fn lines_are_documents_of_their_own() {
    let lines = BodyShape { format: BodyFormat::NdJson, ..shape(None, "") };
    let plan = compile(&lines, &released("name"), &catalogue("name:string b:number")).unwrap();
    for (body, expected) in [
        ("", Ok(("", 0))),
        ("\n \n", Ok(("\n \n", 0))),
        ("{\"name\":\"a\",\"b\":1}\r\n\n{\"b\":1}\n", Ok(("{\"name\":\"a\"}\r\n\n{}\n", 2))),
        ("{\"name\":\"a\"} \n {\"name\":\"b\"}", Ok(("{\"name\":\"a\"} \n {\"name\":\"b\"}", 2))),
        ("1\n\"x\"\nnull", Ok(("null\nnull\nnull", 0))),
        ("{\"name\":\"a\"}{\"name\":\"b\"}\n", Err("trailing")),
        ("{\"name\":\n\"a\"}\n", Err("syntax")),
        ("{\"b\":[1,\n2]}\n", Err("syntax")),
        ("{\"name\":\"a\"}\n{\"name\"", Err("truncated")),
        ("1 2\n", Err("trailing")),
    ] {
        let result = run_all(&plan, Bounds::default(), body.as_bytes());
        let result = result.as_ref().map(|(out, summary)| (out.as_str(), summary.records()));
        assert_eq!(result.map_err(MaskError::reason), expected, "{body:?}");
    }
    // The first bound that is broken is told, whatever comes after it.
    let tight = Bounds { space: 4, ..Bounds::default() };
    for (body, reason) in [("{     \n}", "space-too-long"), ("{   \n  }", "syntax")] {
        let result = run_all(&plan, tight, body.as_bytes()).map(|_| ());
        assert_eq!(result.as_ref().map_err(MaskError::reason), Err(reason), "{body:?}");
    }
}

#[test]
fn plans_that_contradict_themselves_are_refused() {
    let try_compile = |shape: BodyShape, fields: &str, known: &str| {
        compile(&shape, &released(fields), &catalogue(known)).map(|_| ())
    };
    let conflict = |text| Err(PlanError::Conflict { path: path(text) });
    assert_eq!(
        try_compile(BodyShape { format: BodyFormat::Opaque, ..shape(None, "") }, "", ""),
        Err(PlanError::Opaque)
    );
    assert_eq!(try_compile(list(), "", "a:string a:string"), conflict("a"));
    assert_eq!(try_compile(list(), "", "a:object a:object"), conflict("a"));
    assert_eq!(try_compile(list(), "", "a:string a.b:string"), conflict("a.b"));
    assert_eq!(try_compile(list(), "", "a.b:string a:string"), conflict("a"));
    assert_eq!(try_compile(list(), "", "a:object a.b:string"), Ok(()));
    assert_eq!(try_compile(list(), "a a", "a:string"), Ok(()));
    assert_eq!(try_compile(list(), "a a:full", "a:string"), conflict("a"));
    assert_eq!(try_compile(list(), "b", "a:string"), Err(PlanError::UnknownField { path: path("b") }));
    assert_eq!(try_compile(list(), "a.b", "a:string"), Err(PlanError::UnknownField { path: path("a.b") }));
    assert_eq!(
        try_compile(list(), "a:nobody", "a:string"),
        Err(PlanError::UnknownMasker { path: path("a"), masker: MaskerName::parse("nobody").unwrap() })
    );
    for (records, envelope, at) in
        [("data", "data", "data"), ("data.rows", "data", "data.rows"), ("data", "data.total", "data")]
    {
        assert_eq!(try_compile(shape(Some(records), envelope), "", "a:string"), conflict(at));
    }
    assert_eq!(try_compile(shape(None, "a"), "", "a:string"), conflict("a"));
    let maskers = maskers();
    let (shape, fields, known) = (list(), released("a:pseudonym"), catalogue("a:string"));
    let spec = PlanSpec {
        shape: &shape,
        fields: &fields,
        catalogue: &known,
        maskers: &maskers,
        key: None,
        egress: None,
    };
    assert_eq!(Plan::compile(&spec).map(|_| ()), Err(PlanError::NoKey { path: path("a") }));
}

#[test]
fn a_plan_tells_what_it_does() {
    let plan = compile(&list(), &released("name:name sex address"), &catalogue(RESIDENT)).unwrap();
    let names = |paths: &[FieldPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(names(plan.masked_names()), "name address.detail");
    assert_eq!(names(plan.dropped_names()), "id_card birth_date phone email household_size");
    assert!(!plan.is_identity());
    assert!(Plan::identity().is_identity());
}

#[test]
fn pseudonyms_differ_by_department_field_and_secret() {
    let fields = catalogue("a:string b:string");
    let mut maskers = maskers();
    let joined = Masker::parse("pseudonym", &[("join", "person")]).unwrap();
    maskers.insert(MaskerName::parse("person").unwrap(), joined).unwrap();
    let make = |secret: &[u8], department: &str, resource: &str, masker: &str| {
        let (secret, department) = (Secret::new(secret), DepartmentId::parse(department).unwrap());
        let resource = ResourceId::parse(resource).unwrap();
        let label = KeyLabel::default();
        let key =
            PseudonymKey { secret: &secret, label: &label, department: &department, resource: &resource };
        let shape = shape(None, "");
        let fields = catalogue("a:string b:string");
        let released = released(&format!("a:{masker} b:{masker}"));
        let spec = PlanSpec {
            shape: &shape,
            fields: &released,
            catalogue: &fields,
            maskers: &maskers,
            key: Some(key),
            egress: None,
        };
        let plan = Arc::new(Plan::compile(&spec).unwrap());
        let out = run(&plan, r#"{"a":"张三","b":"\u5f20三"}"#).unwrap();
        let out: serde_json::Value = serde_json::from_str(&out).unwrap();
        (out["a"].as_str().unwrap().to_owned(), out["b"].as_str().unwrap().to_owned())
    };
    let secret: &[u8] = b"0123456789abcdef";
    let own = make(secret, "dept:a", "r", "pseudonym");
    assert!(own.0.starts_with("h1:") && own.0.len() == 3 + 26, "{}", own.0);
    assert_ne!(own.0, own.1);
    assert_eq!(own, make(secret, "dept:a", "r", "pseudonym"));
    for other in [
        make(secret, "dept:b", "r", "pseudonym"),
        make(secret, "dept:a", "s", "pseudonym"),
        make(b"0123456789abcdeg", "dept:a", "r", "pseudonym"),
    ] {
        assert_ne!(own.0, other.0);
    }
    let joined = make(secret, "dept:a", "r", "person");
    assert_eq!(joined.0, joined.1);
    assert_eq!(joined, make(secret, "dept:a", "s", "person"));
    assert_ne!(joined, make(secret, "dept:b", "r", "person"));
    assert_eq!(fields.len(), 2);
}

#[test]
fn encryption_differs_by_department_field_and_secret() {
    let mut maskers = maskers();
    for (name, join) in [("own", None), ("person", Some("person"))] {
        let parameters: Vec<_> =
            [("of", "mobile")].into_iter().chain(join.map(|join| ("join", join))).collect();
        let masker = Masker::parse("fpe", &parameters).unwrap();
        maskers.insert(MaskerName::parse(name).unwrap(), masker).unwrap();
    }
    let make = |secret: &[u8], department: &str, resource: &str, masker: &str| {
        let (secret, department) = (Secret::new(secret), DepartmentId::parse(department).unwrap());
        let resource = ResourceId::parse(resource).unwrap();
        let label = KeyLabel::default();
        let key =
            PseudonymKey { secret: &secret, label: &label, department: &department, resource: &resource };
        let (shape, fields) = (shape(None, ""), catalogue("a:string b:number"));
        let released = released(&format!("a:{masker} b:{masker}"));
        let (fields, maskers, key) = (&released[..], &maskers, (fields, Some(key)));
        let spec = PlanSpec { shape: &shape, fields, catalogue: &key.0, maskers, key: key.1, egress: None };
        let plan = Arc::new(Plan::compile(&spec).unwrap());
        let out = run(&plan, r#"{"a":"+86 138-0013-8000","b":13800138000}"#).unwrap();
        let out: serde_json::Value = serde_json::from_str(&out).unwrap();
        let (a, b) = (out["a"].as_str().unwrap(), out["b"].as_str().unwrap());
        assert!(a.starts_with("+86 1") && a.len() == 17 && b.len() == 11, "{a} {b}");
        (a.replace("+86 ", "").replace('-', ""), b.to_owned())
    };
    let secret: &[u8] = b"0123456789abcdef";
    let own = make(secret, "dept:a", "r", "own");
    assert_ne!(own.0, own.1);
    assert_eq!(own, make(secret, "dept:a", "r", "own"));
    for other in [
        make(secret, "dept:b", "r", "own"),
        make(secret, "dept:a", "s", "own"),
        make(b"0123456789abcdeg", "dept:a", "r", "own"),
    ] {
        assert_ne!(own.0, other.0);
    }
    let joined = make(secret, "dept:a", "r", "person");
    assert_eq!(joined.0, joined.1, "however a number is written");
    assert_eq!(joined, make(secret, "dept:a", "s", "person"));
    assert_ne!(joined, make(secret, "dept:b", "r", "person"));
}

#[test]
fn names_match_whatever_their_case_where_the_catalogue_says_so() {
    let fold = BodyShape { names: NameMatching::Fold, ..shape(None, "") };
    let fields = catalogue("phone:string idCard:string remark:string");
    let free = released("phone:mobile idCard:full");
    let maskers = Maskers::builtin();
    let spec = PlanSpec {
        shape: &fold,
        fields: &free,
        catalogue: &fields,
        maskers: &maskers,
        key: None,
        egress: None,
    };
    let plan = Arc::new(Plan::compile(&spec).unwrap());
    let body = r#"{"Phone":"13800138000","ＰＨＯＮＥ":"13800138000","IDCARD":"x","Remark":"y","other":1}"#;
    let (out, summary) = run_all(&plan, Bounds::default(), body.as_bytes()).unwrap();
    assert_eq!(out, r#"{"Phone":"138****8000","ＰＨＯＮＥ":"138****8000","IDCARD":"***"}"#);
    assert_eq!((summary.masked(), summary.dropped(), summary.unclassified()), (3, 1, 1));
}

#[test]
fn a_document_inside_a_text_is_masked_like_any_other() {
    let mut fields = catalogue("detail:object detail.phone:string detail.sex:string");
    fields[0].nested = true;
    let free = released("detail.phone:mobile");
    let maskers = Maskers::builtin();
    let shape = shape(None, "");
    let spec = PlanSpec {
        shape: &shape,
        fields: &free,
        catalogue: &fields,
        maskers: &maskers,
        key: None,
        egress: None,
    };
    let plan = Arc::new(Plan::compile(&spec).unwrap());
    for (body, expected) in [
        (
            r#"{"detail":"{\"phone\":\"13800138000\",\"sex\":\"男\"}"}"#,
            r#"{"detail":"{\"phone\":\"138****8000\"}"}"#,
        ),
        (
            r#"{"detail":"[{\"phone\":\"\\u00313800138000\"}]"}"#,
            r#"{"detail":"[{\"phone\":\"138****8000\"}]"}"#,
        ),
        (r#"{"detail":["{}","{\"sex\":1}"]}"#, r#"{"detail":["{}","{}"]}"#),
        (r#"{"detail":"13800138000"}"#, r#"{"detail":"null"}"#),
        (r#"{"detail":"no document"}"#, r#"{"detail":null}"#),
        (r#"{"detail":{"phone":"13800138000"}}"#, r#"{"detail":null}"#),
        (r#"{"detail":"{\"phone\":\"13800138000\""}"#, r#"{"detail":null}"#),
    ] {
        assert_eq!(run_all(&plan, Bounds::default(), body.as_bytes()).unwrap().0, expected, "{body}");
    }
}
