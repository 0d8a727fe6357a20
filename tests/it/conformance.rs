//! The reference pages say what the code does.

use std::collections::BTreeSet;
use std::io::Write as _;

use pinegate::proxy::problem::{Code, Language};

use crate::city::{Call, Plan};
use crate::skip::skip;
use crate::witness::key_command;

fn page(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_code_is_on_the_page_as_it_is() {
    let page = page("errors.md");
    let mut shown = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`');
        let code = Code::ALL.iter().find(|code| code.as_str() == name);
        let Some(code) = code else { continue };
        assert_eq!(cells[1], code.status().as_u16().to_string(), "{line}");
        assert_eq!(cells[2], code.title(Language::En), "{line}");
        assert_eq!(cells[3], code.title(Language::Zh), "{line}");
        assert!(shown.insert(name.to_owned()), "`{name}` stands twice");
    }
    let all: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(shown, all);
}

/// The names of families in a text: what begins with `pinegate_`.
fn families(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let names = text.split("pinegate_").skip(1).map(|rest| rest.split(|c| !is_name(c)).next().unwrap());
    let base = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    names.filter(|name| !name.is_empty()).map(base).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_on_the_page() {
    // With everything that has families of its own.
    let plan = Plan::new().config("reload = \"signal\"", "reload = \"signal\"\nshadow = \"next\"");
    let plan = plan.more_config("\n[[audit.sink]]\nname = \"siem\"\nurl = \"syslog+tcp://localhost:1\"\n");
    let requirements = "requirements = \"仅用于申请时注明的事项";
    let plan = plan.policy("catalog.toml", requirements, &format!("egress = \"report\"\n{requirements}"));
    plan.files.copy_policies("next");
    let key = |role: &str, file: &str| key_command(&["--new", role, "test"], &plan.files.at(file)).unwrap();
    let (_, witness) = (key("--log", "certs/log.key"), key("--witness", "certs/witness.key"));
    let plan = plan.more_config(&format!(
        "\n[audit.checkpoint]\nkey = \"certs/log.key\"\n\
         \n[[audit.witness]]\nkey = \"{}\"\nurl = \"http://localhost:1\"\n",
        witness.trim()
    ));
    let city = plan.start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    assert_eq!(city.call(Call::survey("/nowhere")).await.status, 404);
    let scraped = city.gate.page("/metrics").await.text;
    let types: String =
        scraped.lines().filter(|line| line.starts_with("# TYPE")).map(|l| l.to_owned() + "\n").collect();
    lint_by_promtool(&scraped);
    let (scraped, told) = (families(&types), families(&page("metrics.md")));
    assert!(!scraped.is_empty());
    assert_eq!(scraped, told, "left: the gate's; right: the page's");
}

/// Prometheus' own lint of names, units and help (`promtool check metrics`).
fn lint_by_promtool(page: &str) {
    let mut command = std::process::Command::new("promtool");
    command.args(["check", "metrics"]).stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    match command.spawn() {
        Ok(mut lint) => {
            lint.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
            let output = lint.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.trim().is_empty(), "{said}");
        }
        Err(error) => skip("promtool", &error.to_string()),
    }
}

/// Codes that were published, with what they mean: one may be added, none changed or taken away.
#[test]
fn published_codes_keep_their_meaning() {
    let codes: Vec<_> = Code::ALL
        .iter()
        .map(|code| {
            serde_json::json!({
                "code": code.as_str(),
                "type": code.type_uri(),
                "status": code.status().as_u16(),
                "outcome": code.outcome().as_str(),
                "title": { "en": code.title(Language::En), "zh": code.title(Language::Zh) },
            })
        })
        .collect();
    let now = serde_json::to_string_pretty(&codes).unwrap() + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/problems.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap();
    assert_eq!(now, published, "run with UPDATE=1 if a code was added");
}

/// The alerts that are shipped are those of the page, and are about metrics that there are.
#[test]
fn the_alerts_of_the_page_are_shipped() {
    let text = page("metrics.md");
    let (reference, watch) = text.split_once("## What to watch").unwrap();
    let conditions = watch.lines().filter(|line| line.starts_with("| ")).flat_map(|line| {
        let last = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        last.split('`').skip(1).step_by(2).collect::<Vec<_>>()
    });
    let told: BTreeSet<&str> = conditions.collect();
    let shipped = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let alerts = shipped("alerts.yml");
    let quoted = |line: &str| line.trim().strip_prefix("expr: '")?.strip_suffix('\'').map(str::to_owned);
    let expressions: BTreeSet<String> = alerts.lines().filter_map(quoted).collect();
    assert!(told.len() > 20, "{told:?}");
    assert_eq!(expressions, told.into_iter().map(str::to_owned).collect());
    let known = families(reference);
    let recorded = shipped("recording.yml");
    for used in [alerts, recorded].iter().flat_map(|text| families(text)) {
        assert!(known.contains(&used), "{used}");
    }
}
