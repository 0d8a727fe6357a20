use super::*;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// What the platform answers for two residents.
const BODY: &str = r#"{"code":0,"message":"成功","debug":"x","data":[
  {"name":"张三","id_card":"11010519491231002X","phone":"13800138000","birth_date":"1949-12-31","email":"a@b.cn","address":{"district":"屯溪区","detail":"前园北路12号"},"note":"x"},
  {"name":"欧阳修","id_card":"440524188001010014","phone":"无","birth_date":"1880-01-01","email":null,"address":{"district":"歙县","detail":"x"}}
]}"#;

fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Masks `body` of residents with these flags.
fn mask_in(policies: &str, flags: &[&str], body: &str) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let body = file(directory.path(), "body.json", body);
    let line = ["mask", "--policies", policies, "--resource", "population.resident"];
    pinegate(&[&line[..], flags, &[&body]].concat())
}

fn mask(flags: &[&str], body: &str) -> Ran {
    mask_in(POLICIES, flags, body)
}

#[test]
fn a_body_leaves_as_a_grant_says() {
    let ran = mask(&["--grant", "HS-2026-0117"], BODY);
    assert_eq!(ran.exit, 0, "{ran:?}");
    insta::assert_snapshot!("masked", ran.out);
    insta::assert_snapshot!("masked_summary", ran.err);
    for pieces in ["1", "7", "4096"] {
        let cut = mask(&["--grant", "HS-2026-0117", "--pieces", pieces], BODY);
        assert_eq!((cut.exit, &cut.out, &cut.err), (0, &ran.out, &ran.err), "{pieces}");
    }
}

#[test]
fn a_scope_is_read_as_that_of_a_grant() {
    let grant = mask(&["--grant", "HS-2026-0117"], BODY);
    let scope = "name|id_card:clear|phone|birth_date|address.district;area=3410*";
    assert_eq!(mask(&["--scope", scope], BODY).out, grant.out);
    let basic = mask(&["--scope", " @basic | address.* "], BODY);
    assert!(basic.out.contains("屯溪区") && !basic.out.contains("前园北路12号"), "{}", basic.out);
    let fields = mask(&["--grant", "HS-2026-0117", "--fields", "name,address.*"], BODY);
    assert_eq!((fields.exit, fields.out.as_str()), (2, ""), "{}", fields.err);
    assert!(fields.err.contains("the scope does not give address.*"), "{}", fields.err);
    let fields = mask(&["--grant", "HS-2026-0117", "--fields", "name"], BODY);
    let left: serde_json::Value = serde_json::from_str(&fields.out).unwrap();
    assert_eq!(left["data"][0], serde_json::json!({ "name": "张**" }));
}

#[test]
fn grants_hold_together_as_one_system_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let policies = policies(directory.path());
    let line =
        "p, A-1, dept:minzheng, population.resident, query, *, name|id_card|address.*, always, allow\n";
    let grants = policies.join("grants.csv");
    let text = fs::read_to_string(&grants).unwrap();
    fs::write(&grants, format!("{text}{line}")).unwrap();
    // Together as in a decision: `:clear` in any of them wins.
    let two = mask_in(policies.to_str().unwrap(), &["--grant", "A-1", "--grant", "HS-2026-0117"], BODY);
    let left: serde_json::Value = serde_json::from_str(&two.out).unwrap();
    assert_eq!(left["data"][0]["id_card"], "11010519491231002X");
    assert_eq!(left["data"][1]["address"]["detail"], "***");
    let apart = mask(&["--grant", "WT-2026-0002", "--grant", "HS-2026-0117"], BODY);
    assert_eq!((apart.exit, apart.out.as_str()), (2, ""));
    insta::assert_snapshot!("apart", apart.err);
}

#[test]
fn what_is_not_shared_does_not_leave() {
    let ran =
        pinegate(&["mask", "--policies", POLICIES, "--resource", "population.adoption", "--scope", "*"]);
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""));
    insta::assert_snapshot!("not_shared", ran.err);
}

#[test]
fn a_body_is_read_in_its_charset() {
    let directory = tempfile::tempdir().unwrap();
    let (bytes, _, is_lossy) = encoding_rs::GB18030.encode(BODY);
    assert!(!is_lossy);
    let body = directory.path().join("body.json");
    fs::write(&body, &bytes).unwrap();
    let line =
        ["mask", "--policies", POLICIES, "--resource", "population.resident", "--grant", "HS-2026-0117"];
    let run = |more: &[&str]| pinegate(&[&line[..], more, &[body.to_str().unwrap()]].concat());
    let expected = mask(&["--grant", "HS-2026-0117"], BODY);
    for charset in ["gb18030", "GBK", "gb2312"] {
        for pieces in ["1", "65536"] {
            let ran = run(&["--charset", charset, "--pieces", pieces]);
            assert_eq!((ran.exit, &ran.out), (0, &expected.out), "{charset} {pieces}: {}", ran.err);
        }
    }
    assert!(run(&[]).err.contains("not UTF-8"), "nothing is guessed");
    let wrong = Arguments::try_parse_from([&["pinegate"], &line[..], &["--charset", "utf-16"]].concat());
    assert!(wrong.unwrap_err().to_string().contains("`gb18030`"));
    let policies = policies(directory.path());
    edit(&policies.join("catalog.toml"), "format = \"ndjson\"", "format = \"event-stream\"");
    let line = ["mask", "--policies", policies.to_str().unwrap(), "--resource", "population.deregistration"];
    let ran = pinegate(&[&line[..], &["--scope", "*", "--charset", "gbk"]].concat());
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("`event-stream`, which is UTF-8 alone"), "{}", ran.err);
}

#[test]
fn a_summary_for_machines() {
    let ran = mask(&["--scope", "name|phone:full;rows<=5", "--json"], BODY);
    assert_eq!(ran.exit, 0);
    let summary: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    insta::assert_snapshot!("summary_json", serde_json::to_string_pretty(&summary).unwrap());
    let refused = mask(&["--scope", "name;rows<=1", "--json"], BODY);
    assert_eq!(refused.exit, 1);
    let summary: serde_json::Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!(summary["ok"], false);
    assert_eq!(summary["refused"]["reason"], "too-many-records");
}

#[test]
fn what_is_refused_is_cut_off() {
    let broken = BODY.replace("440524188001010014\"", "440524188001010014\",,");
    let ran = mask(&["--grant", "HS-2026-0117", "--pieces", "16"], &broken);
    assert_eq!(ran.exit, 1);
    assert!(ran.out.starts_with(r#"{"code":0,"message":"成功","data":["#) && !ran.out.ends_with('}'));
    insta::assert_snapshot!("refused", ran.err);
    let ran = mask(&["--grant", "HS-2026-0117"], "<html>");
    assert_eq!((ran.exit, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.contains("malformed at byte 0") && ran.err.contains("nothing was written"),
        "{}",
        ran.err
    );
}

#[test]
fn what_cannot_be_meant_is_said() {
    for (flags, told) in [
        (&["--grant", "HS-2026-0118x"][..], "did you mean `HS-2026-0118`?"),
        (&["--grant", "NONE-0"], "it is a deny line"),
        (&["--grant", "SC-2026-0005"], "it is about another resource"),
        (&["--scope", "nme|phone:moblie"], "did you mean `name`?"),
        (&["--scope", "nme|phone:moblie"], "did you mean `:mobile`?"),
        (&["--scope", "name;aera=3410*"], "did you mean `area`?"),
        (&["--scope", "name;;"], "is neither a constraint nor a duty"),
        (&["--scope", "name", "--department", "dept:minzhen"], "did you mean `dept:minzheng`?"),
    ] {
        let ran = mask(flags, BODY);
        assert_eq!((ran.exit, ran.out.as_str()), (2, ""), "{flags:?} {ran:?}");
        assert!(ran.err.contains(told), "{flags:?}: {}", ran.err);
    }
    insta::assert_snapshot!("scope_unfit", mask(&["--scope", "name|phon:clear"], BODY).err);
    let ran = pinegate(&["mask", "--policies", POLICIES, "--resource", "spatial.imagery", "--scope", "*"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("it passes as it is"), "{}", ran.err);
    let ran =
        pinegate(&["mask", "--policies", POLICIES, "--resource", "population.residents", "--scope", "*"]);
    assert!(ran.err.contains("did you mean `population.resident`?"), "{}", ran.err);
    let ran = mask(&["--scope", "name"], BODY);
    assert_eq!(ran.exit, 0);
    let gone = pinegate(&[
        "mask",
        "--policies",
        POLICIES,
        "--resource",
        "population.resident",
        "--scope",
        "name",
        "no-such-file",
    ]);
    assert_eq!(gone.exit, 1);
    assert!(gone.err.contains("`no-such-file` cannot be read"), "{}", gone.err);
}

#[test]
fn pseudonyms_need_a_key_and_a_department() {
    let directory = tempfile::tempdir().unwrap();
    let config = city(directory.path());
    let body = file(directory.path(), "body.json", BODY);
    let line = ["mask", "--resource", "population.resident", "--scope", "id_card:pseudonym"];
    let alone = pinegate(&[&line[..], &["--policies", POLICIES, &body]].concat());
    assert_eq!((alone.exit, alone.out.as_str()), (64, ""), "never by a key that anybody has");
    assert!(alone.err.contains("`[policy] pseudonym_key`"), "{}", alone.err);
    let key = file(directory.path(), "key", "a secret of enough bytes for it!");
    edit(
        Path::new(&config),
        "zone = \"Asia/Shanghai\"",
        &format!("zone = \"Asia/Shanghai\"\npseudonym_key = \"{key}\""),
    );
    let configured = |more: &[&str]| pinegate(&[&line[..], more, &["--config", &config, &body]].concat());
    let nobody = configured(&[]);
    assert_eq!((nobody.exit, nobody.out.as_str()), (2, ""), "{nobody:?}");
    assert!(nobody.err.contains("`--department dept:…`"), "{}", nobody.err);
    let (one, other) =
        (configured(&["--department", "dept:minzheng"]), configured(&["--department", "dept:gongan"]));
    assert_eq!((one.exit, other.exit), (0, 0), "{one:?} {other:?}");
    assert!(one.out.contains("\"id_card\":\"h1:") && one.out != other.out, "{}", one.out);
}

#[test]
fn findings_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let policies = policies(directory.path());
    let catalog = policies.join("catalog.toml");
    let body = BODY.replace("屯溪区", "屯溪区13800138000").replace("成功", "见11010519491231002X");
    let requirements = "requirements = \"仅用于申请时注明的事项";
    edit(&catalog, requirements, &format!("egress = \"report\"\n{requirements}"));
    let flags = ["--grant", "HS-2026-0117"];
    let reported = mask_in(policies.to_str().unwrap(), &flags, &body);
    assert_eq!(reported.exit, 0);
    insta::assert_snapshot!("reported", reported.err);
    edit(&catalog, "egress = \"report\"", "egress = \"block\"");
    let blocked = mask_in(policies.to_str().unwrap(), &flags, &body);
    assert_eq!((blocked.exit, blocked.out.as_str()), (1, ""));
    insta::assert_snapshot!("blocked", blocked.err);
}

/// A reader that leaves early changes neither the verdict nor the summary.
#[test]
fn a_closed_pipe_changes_no_verdict() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let record = r#",{"name":"张三","x":1}"#;
    // More than is read at once.
    let many = format!(r#"{{"data":[{{}}{}]}}"#, record.repeat(2 * PIECE_BYTES / record.len()));
    for (text, exit) in [(BODY, 0), (&many, 0), (&many.replace("]}", "],}"), 1)] {
        let body = file(directory.path(), "body.json", text);
        let line = ["pinegate", "mask", "--policies", POLICIES, "--resource", "population.resident"];
        let line = [&line[..], &["--scope", "name", &body]].concat();
        let arguments = Arguments::try_parse_from(&line).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
        let mut err = Vec::new();
        let mut screen = Screen::new(Box::new(Gone), Box::new(&mut err));
        let ended =
            dispatch(&arguments.command, &clock, &mut screen).unwrap_or_else(|error| screen.fail(&error));
        assert_eq!(screen.finish(ended).code(), exit);
        drop(screen);
        let read = mask(&["--scope", "name"], text);
        assert_eq!((read.exit, read.err), (exit, String::from_utf8(err).unwrap()));
    }
}
