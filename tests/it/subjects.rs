//! Who asked for this person? Found by whoever holds the key, and by nobody else.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pinegate::audit::ParsedRecord;

use crate::city::{Call, City, Http, Plan, assert_intact, data, whole};

/// A person of nowhere, whose number ends in an `X`.
const NUMBER: &str = "11010519491231002X";
/// The same number before 1999.
const OLDER: &str = "110105491231002";

/// A city where the number may come in a query and in a body, too.
async fn city() -> City {
    Plan::new()
        .config(
            r#"parameters = { area = "query:area", year = "query:year" }"#,
            r#"parameters = { area = "query:area", year = "query:year", id_card = "query:id_card" }"#,
        )
        .config(
            r#"max_request_body = "32MiB""#,
            "max_request_body = \"32MiB\"\nparameters = { id_card = \"body:person.id_card\", phone = \"body:phone\" }",
        )
        .more_policy(
            "catalog.toml",
            "parameters = [\n  { name = \"id_card\", label = \"居民身份号码\", subject = \"resident-id\" },\n  \
             { name = \"phone\", label = \"手机号码\", subject = \"mobile\" },\n]\n",
        )
        .start()
        .await
}

/// What `pinegate audit subject` prints, on both streams, when `number` is on its standard input.
fn found(city: &City, number: &str, arguments: &[&str]) -> (Vec<ParsedRecord>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pinegate"))
        .args(["audit", "subject", "--json", "--config"])
        .arg(city.files().config_path())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(number.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let records = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    (records.map(|line| ParsedRecord::parse(line).unwrap()).collect(), said)
}

fn requests(records: &[ParsedRecord]) -> Vec<&str> {
    let mut requests: Vec<_> = records.iter().map(|record| record.request.as_deref().unwrap()).collect();
    requests.dedup();
    requests
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let below = |entry: std::fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() { files_below(&path) } else { vec![path] }
    };
    std::fs::read_dir(directory).unwrap().flat_map(|entry| below(entry.unwrap())).collect()
}

/// Fails if the number, in any of its forms, stands in a file of the log or in what the gate tells.
async fn assert_nowhere(city: &City) {
    let files = files_below(&city.files().audit());
    assert!(files.len() > 1, "{files:?}");
    let mut texts: Vec<(String, Vec<u8>)> =
        files.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    texts.push(("the log on standard error".to_owned(), city.gate.log_text().into_bytes()));
    texts.push(("/metrics".to_owned(), city.gate.page("/metrics").await.text.into_bytes()));
    for (name, text) in texts {
        for secret in
            [NUMBER, "19491231", "491231", "１１０１０５", "%EF%BC%91", "13800138000", crate::city::AUDIT_KEY]
        {
            assert!(memchr::memmem::find(&text, secret.as_bytes()).is_none(), "{secret} in {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_access_to_a_person_is_found_by_who_holds_the_key() {
    let city = city().await;
    let by_path = format!("/population/residents/{NUMBER}?area=3410");
    let wide: String = NUMBER.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
    let wide: String = wide.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let body = |text: &str| whole(text.to_owned());
    let post = |text: &str| {
        Call::post("ziran-map", "planning.survey", "/_test/upload", body(text))
            .header("content-type", "application/json")
    };
    let mut expected = Vec::new();
    for (call, status) in [
        // The platform has no such person; who asked is on record all the same.
        (Call::aid(&by_path), 404),
        (Call::aid(&by_path).over(Http::Two), 404),
        (Call::aid(&by_path).no_token(), 401),
        (Call::aid(&by_path).header("data-purpose", "tax.assessment"), 400),
        (Call::get("shichang-credit", "enterprise.credit", &by_path), 403),
        (Call::aid(&format!("/population/residents?area=3410&id_card={OLDER}")), 200),
        (Call::aid("/population/residents?area=3410&id_card=1&id_card=110105+19491231-002x&id_card=2"), 200),
        (Call::aid(&format!("/population/residents?area=9999&id_card={wide}")), 403),
        (post(&format!(r#"{{"person":{{"id_card":["{NUMBER}","x"]}},"phone":"+86 138-0013-8000"}}"#)), 200),
        (post(&format!(r#"{{"person":{{"id_card":"{NUMBER}"}},"n":01}}"#)), 400),
    ] {
        let reply = city.call(call).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
        let records = city.records_of(&reply.request_id()).await;
        let is_named = reply.json()["code"] != "request-body";
        for record in &records {
            assert_eq!(record.subjects_key.is_some(), is_named, "{record:#?}");
        }
        if is_named {
            expected.push(reply.request_id());
        }
    }
    // Somebody else, and nobody.
    city.call(Call::aid("/population/residents?area=3410&id_card=11010519491231003")).await.assert_data();
    let reply = city.call(Call::aid("/population/residents?area=3410&size=1")).await;
    assert_eq!(city.record_of(&reply).await.subjects, [""; 0]);

    let (records, said) = found(&city, NUMBER, &[]);
    assert_eq!(requests(&records), expected, "{said}");
    assert!(said.contains("9 requests by 3 systems"), "{said}");
    assert_eq!(records.iter().filter(|record| record.kind == "intent").count(), 1);
    for spelled in [OLDER, " 110105 19491231 002x\n", "１１０１０５１９４９１２３１００２ｘ"]
    {
        assert_eq!(requests(&found(&city, spelled, &[]).0), expected, "{spelled}");
    }
    let (records, _) = found(&city, "13800138000", &["--kind", "mobile"]);
    assert_eq!(requests(&records), [expected[8].as_str()]);
    assert_eq!(records[0].subjects.len(), 3, "{:?}", records[0].subjects);
    assert_eq!(found(&city, "13800138000", &[]).0, [], "another kind is another person");
    assert_eq!(found(&city, NUMBER, &["--until", "2020-01-01"]).0, []);
    let others = data().residents.records()[0].id_card.clone();
    assert_eq!(found(&city, &others, &[]).0, []);
    assert_nowhere(&city).await;
    assert_intact(&city.files().audit());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_follow_each_other_and_without_one_nobody_is_found() {
    let city = city().await;
    let call = || Call::aid(&format!("/population/residents?area=3410&id_card={NUMBER}"));
    let first = city.call(call()).await;
    let audit_key = city.files().read("audit.key");
    city.files().write("old.key", &audit_key);
    city.files().write("audit.key", "another key, which follows the first one");
    city.gate.reloaded().await;
    let second = city.call(call()).await;
    let ids = [first.request_id(), second.request_id()];
    let keys: Vec<_> = [city.record_of(&first).await, city.record_of(&second).await]
        .map(|record| record.subjects_key.unwrap())
        .into();
    assert_ne!(keys[0], keys[1]);

    let (records, said) = found(&city, NUMBER, &[]);
    assert_eq!(requests(&records), [&ids[1]]);
    assert!(said.contains(&format!("1 records name people under the key {}", keys[0])), "{said}");
    let (old, new) = (city.files().at("old.key"), city.files().at("audit.key"));
    let both = ["--key", old.to_str().unwrap(), "--key", new.to_str().unwrap()];
    let (records, said) = found(&city, NUMBER, &both);
    assert_eq!(requests(&records), ids);
    assert!(!said.contains("warning"), "{said}");
    city.files().write("wrong.key", &"w".repeat(32));
    let wrong = city.files().at("wrong.key");
    assert_eq!(found(&city, NUMBER, &["--key", wrong.to_str().unwrap()]).0, []);

    // Without a key the catalogue does not load.
    city.files().edit("gateway.toml", "pseudonym_key = \"audit.key\"\n", "");
    let refused = city.gate.reload().await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("audit-key-missing"), "{}", refused.text);
}

/// A program behind the gate may read a list in one text as its values, as the policy takes it to. Whoever is in it was
/// asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_in_one_value_hides_nobody() {
    let city = city().await;
    let other = data().residents.records()[0].id_card.clone();
    let mut expected = Vec::new();
    for list in [
        format!("{NUMBER},{other}"),
        format!("{other},{NUMBER}"),
        format!("{other}%7C{NUMBER}"),
        format!("{other}%EF%BC%8C{NUMBER}"),
        format!("{other}%3B{NUMBER}"),
        format!("{other}+{NUMBER}"),
    ] {
        let reply = city.call(Call::aid(&format!("/population/residents?area=3410&id_card={list}"))).await;
        assert_eq!(reply.status.as_u16(), 200, "{}", reply.text());
        expected.push((list, reply.request_id()));
    }
    for number in [NUMBER, &other] {
        let (records, _) = found(&city, number, &[]);
        let found = requests(&records);
        let missing: Vec<_> = expected
            .iter()
            .filter(|(_, request)| !found.contains(&request.as_str()))
            .map(|(list, _)| list)
            .collect();
        assert!(missing.is_empty(), "{number} was asked for, and nobody finds it: {missing:?}");
    }
}
