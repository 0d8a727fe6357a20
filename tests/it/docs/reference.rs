//! The reference pages have what the program has: each key of the configuration, each command, each code in Chinese.

use std::collections::{BTreeMap, BTreeSet};

use pinegate::proxy::problem::{Code, Language};
use serde_json::Value;
use tempfile::TempDir;

use super::{read, root};
use crate::city::{Call, Plan, program};

/// A section of the configuration as the page heads it: `upstream`, and `true`, for `[[upstream]]`.
type Section = (String, bool);

/// Keys that the program knows only beside others.
const BESIDE: [(&str, &str); 1] = [("audit.sink", "url = \"https://siem.city.example\"\n")];

/// The sections of the page in its order, each with the keys of its table.
fn told() -> Vec<(Section, BTreeSet<String>)> {
    let page = read("docs/configuration.md");
    let mut sections: Vec<(Section, BTreeSet<String>)> = Vec::new();
    for line in page.lines() {
        let heading = line.strip_prefix("## ").or_else(|| line.strip_prefix("### "));
        if let Some(heading) = heading {
            let name = heading.trim_matches(['[', ']']);
            let is_section = heading.starts_with('[');
            let name = if is_section { name } else { "" };
            sections.push(((name.to_owned(), heading.starts_with("[[")), BTreeSet::new()));
        } else if let (Some(cells), Some((_, keys))) = (line.strip_prefix("| `"), sections.last_mut()) {
            let first = cells.split(" | ").next().unwrap();
            keys.extend(first.split(", ").map(|key| key.trim_matches('`').to_owned()));
        }
    }
    sections.retain(|((name, _), _)| !name.is_empty());
    sections
}

/// The header of a section, after those of the sections around it.
fn header(name: &str, sections: &BTreeMap<String, bool>) -> String {
    let mut text = String::new();
    let mut path = String::new();
    for part in name.split('.') {
        path = if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
        text += &if sections[&path] { format!("[[{path}]]\n") } else { format!("[{path}]\n") };
    }
    text
}

/// The keys that the program knows where `text` has one that nobody knows.
fn known(directory: &TempDir, text: &str) -> BTreeSet<String> {
    let file = directory.path().join("gateway.toml");
    std::fs::write(&file, format!("{text}nobody_knows = 1\n")).unwrap();
    let output = program().args(["check", "--json", "--config"]).arg(&file).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of_key = |finding: &&Value| {
        finding["code"] == "unknown-key" && finding["message"].as_str().unwrap().contains("nobody_knows")
    };
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(of_key).unwrap_or_else(|| panic!("{text}: {report:#}"));
    let help = finding["help"].as_str().unwrap();
    let list = help.strip_prefix("known here: ").unwrap_or_else(|| panic!("{text}: {help}"));
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_of_the_configuration_is_on_the_page_and_no_other() {
    let directory = TempDir::new().unwrap();
    let told = told();
    let shapes: BTreeMap<String, bool> = told.iter().map(|(section, _)| section.clone()).collect();
    let within = |outer: &str| -> BTreeSet<String> {
        let inner = |name: &String| match name.rsplit_once('.') {
            Some((before, last)) => (before == outer).then(|| last.to_owned()),
            None => outer.is_empty().then(|| name.clone()),
        };
        shapes.keys().filter_map(inner).collect()
    };
    assert_eq!(within(""), known(&directory, ""), "left: the page's sections; right: the program's");
    for ((name, _), keys) in &told {
        let more = BESIDE.iter().find(|(section, _)| section == name).map_or("", |(_, text)| text);
        let program = known(&directory, &(header(name, &shapes) + more));
        let page: BTreeSet<String> = keys.union(&within(name)).cloned().collect();
        assert_eq!(page, program, "[{name}]: left: the page's keys; right: the program's");
    }
}

/// A file of the policy directory, the section of its page, and tables that nobody knows all keys of.
const POLICY: [(&str, &str, &str); 7] = [
    (
        "registry.toml",
        "registry.toml",
        "[[department]]\nnobody_knows = 1\n[[system]]\nnobody_knows = 1\ncertificate = { nobody_knows = 1 }\n",
    ),
    ("purposes.toml", "purposes.toml", "[[purpose]]\nnobody_knows = 1\n"),
    (
        "catalog.toml",
        "catalog.toml",
        "[[resource]]\nnobody_knows = 1\nfields = [{ nobody_knows = 1 }]\nparameters = [{ nobody_knows = 1 }]\n",
    ),
    ("masks.toml", "masks.toml", "nobody_knows = 1\n"),
    ("limits.toml", "limits.toml", "[[limit]]\nnobody_knows = 1\n"),
    ("calendar.toml", "calendar.toml", "[[year]]\nnobody_knows = 1\n"),
    ("tests/more.toml", "tests/*.toml", "[defaults]\nnobody_knows = 1\n[[case]]\nnobody_knows = 1\n"),
];

/// The lists of keys in what a command says of unknown ones.
fn lists(said: &str) -> Vec<BTreeSet<String>> {
    let after = said
        .split("unknown key `")
        .skip(1)
        .filter(|rest| rest.split('`').next().unwrap().contains("nobody_knows"));
    let list = |rest: &str| {
        let (_, help) = rest.split_once("known here: ").unwrap_or_else(|| panic!("{rest}"));
        help.lines().next().unwrap().split(", ").map(str::to_owned).collect()
    };
    after.map(list).collect()
}

#[test]
fn every_key_of_the_policy_files_is_on_the_page() {
    let page = read("docs/policy-files.md");
    for (file, section, text) in POLICY {
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("tests")).unwrap();
        for name in std::fs::read_dir(root().join("policies")).unwrap().map(|entry| entry.unwrap().path()) {
            if name.is_file() {
                std::fs::copy(&name, directory.path().join(name.file_name().unwrap())).unwrap();
            }
        }
        std::fs::write(directory.path().join(file), text).unwrap();
        let command = if file.starts_with("tests") { "test" } else { "check" };
        let output = program().args([command, "--policies"]).arg(directory.path()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let lists = lists(&said);
        assert_eq!(lists.len(), text.matches("nobody_knows").count(), "{file}: {said}");

        let (_, told) = page.split_once(&format!("\n## {section}\n")).unwrap();
        let told = told.split("\n## ").next().unwrap();
        let words: BTreeSet<&str> = told.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let untold: Vec<&String> =
            lists.iter().flatten().filter(|key| !words.contains(key.as_str())).collect();
        assert!(untold.is_empty(), "not under `{section}` of docs/policy-files.md: {untold:?}");
    }
}

/// The subcommands of a command, as its help lists them.
fn subcommands(command: &[String]) -> Vec<String> {
    let output = program().args(command).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// All commands that do something, in full: `audit verify`.
pub(super) fn commands() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let below = subcommands(&command);
        if below.is_empty() {
            all.insert(command.join(" "));
        }
        open.extend(below.into_iter().map(|name| [command.clone(), vec![name]].concat()));
    }
    all
}

#[test]
fn every_command_is_on_the_page_and_no_other() {
    let page = read("docs/commands.md");
    let (_, table) = page.split_once("| command | what for | changes |\n").unwrap();
    let mut told = BTreeSet::new();
    for row in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
        let mut group = String::new();
        for name in row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2) {
            // `audit search`, `tail`: the second is `audit tail`.
            let name = name.trim_end_matches(" SHELL");
            let whole = if group.is_empty() || name.contains(' ') {
                name.to_owned()
            } else {
                format!("{group} {name}")
            };
            if let Some((before, _)) = whole.split_once(' ') {
                before.clone_into(&mut group);
            }
            told.insert(whole);
        }
    }
    // A row may stand for all commands of a group.
    let stands_for = |name: &String| {
        let group = name.split(' ').next().unwrap();
        told.contains(name) || told.contains(&format!("{group} …"))
    };
    let all = commands();
    assert!(all.len() > 20, "{all:?}");
    let untold: Vec<_> = all.iter().filter(|name| !stands_for(name)).collect();
    assert!(untold.is_empty(), "not in the table of docs/commands.md: {untold:?}");
    let gone: Vec<_> =
        told.iter().filter(|name| !name.ends_with('…') && !all.contains(name.as_str())).collect();
    assert!(gone.is_empty(), "in the table of docs/commands.md, and no command: {gone:?}");
}

/// Labels whose values are of the catalogue, the registry, the configuration or the build, codes that have a page of
/// their own, and bounds of buckets.
const OPEN_LABELS: [&str; 11] = [
    "resource",
    "department",
    "system",
    "upstream",
    "sink",
    "witness",
    "version",
    "policy_digest",
    "config_digest",
    "code",
    "le",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_of_a_closed_label_is_on_the_page() {
    let city = Plan::new().start().await;
    city.call(Call::survey("/_test/1k")).await.assert_data();
    let scraped = city.gate.page("/metrics").await.text;
    let page = read("docs/metrics.md");
    let (families, rest) = page.split_once("\n## Label values\n").unwrap();
    let told = format!("{families}{}", rest.split("\n## ").next().unwrap());
    let words: BTreeSet<&str> =
        told.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').collect();
    let mut seen = 0;
    for line in scraped.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else { continue };
        for label in labels.split('}').next().unwrap().split("\",") {
            let (name, value) = label.trim_end_matches('"').split_once("=\"").unwrap();
            if !OPEN_LABELS.contains(&name) {
                seen += 1;
                // A section of the configuration is no word.
                let is_told = words.contains(value) || told.contains(&format!("`{value}`"));
                assert!(is_told, "docs/metrics.md does not tell of {name}=\"{value}\": {line}");
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_code_is_on_the_chinese_page_as_it_is() {
    let page = read("docs/zh/errors.md");
    let rows = page.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        [cells[0].trim_matches('`'), cells[1], cells[2]].map(str::to_owned)
    });
    let all = Code::ALL.iter().map(|code| {
        [code.as_str().to_owned(), code.status().as_u16().to_string(), code.title(Language::Zh).to_owned()]
    });
    assert_eq!(rows.collect::<Vec<_>>(), all.collect::<Vec<_>>());
}

#[test]
fn every_member_of_a_record_is_on_the_chinese_page() {
    let schema: Value = serde_json::from_str(&read("docs/audit-record.schema.json")).unwrap();
    let page = read("docs/zh/audit-record.md");
    let members = schema["properties"].as_object().unwrap().keys();
    // `x_more` is told of once, for all lists.
    for member in members.filter(|name| !name.ends_with("_more")) {
        assert!(page.contains(&format!("`{member}`")), "{member} is not on the page");
    }
}

/// The methods that a page has in its table, each with what it is for and the technique of the standard.
fn methods(page: &str, heading: &str) -> Vec<[String; 3]> {
    let (_, table) = page.split_once(heading).unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| [cells[0], cells[1], cells[4]].map(str::to_owned)).collect()
}

#[test]
fn both_pages_have_the_same_methods() {
    let english = read("docs/masking.md");
    let english = methods(&english, "| method | 对象 | leaves | keys | 技术 |\n");
    let chinese = read("docs/zh/masking.md");
    let chinese = methods(&chinese, "| 方法 | 对象 | 留下什么 | 可设的键 | 技术 |\n");
    assert!(english.len() > 20, "{english:?}");
    assert_eq!(english, chinese, "left: docs/masking.md; right: docs/zh/masking.md");
}

/// The keys that a witness knows where `text` has one that nobody knows.
fn known_to_a_witness(directory: &TempDir, text: &str) -> BTreeSet<String> {
    let file = directory.path().join("witness.toml");
    std::fs::write(&file, format!("{text}nobody_knows = 1\n")).unwrap();
    let output = program().args(["witness", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let lists = lists(&said);
    assert_eq!(lists.len(), 1, "{text}: {said}");
    lists.into_iter().next().unwrap()
}

#[test]
fn every_key_of_a_witness_is_in_its_example_and_no_other() {
    let directory = TempDir::new().unwrap();
    let page = read("docs/transparency.md");
    let (_, example) = page.split_once("```toml\n# witness.toml").unwrap();
    let example = example.split("```").next().unwrap();
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::from([(String::new(), BTreeSet::new())]);
    let mut section = String::new();
    for line in example.lines().skip(1) {
        let line = line.split('#').next().unwrap().trim();
        if line.starts_with('[') {
            section = line.to_owned();
            told.entry(section.clone()).or_default();
            told.entry(String::new()).or_default().insert(section.trim_matches(['[', ']']).to_owned());
        } else if let Some((key, _)) = line.split_once(" = ") {
            told.entry(section.clone()).or_default().insert(key.to_owned());
        }
    }
    assert_eq!(told.len(), 4, "{told:?}");
    // Its section of the log is that of a gate, of which the example shows a part.
    let of_a_gate = known(&directory, "[telemetry]\n");
    for (section, keys) in told {
        let program = known_to_a_witness(&directory, &format!("{section}\n"));
        if section == "[telemetry]" {
            assert_eq!(program, of_a_gate, "as in gateway.toml");
            assert!(keys.is_subset(&program), "{keys:?}");
        } else {
            assert_eq!(keys, program, "{section}: left: the example's keys; right: the program's");
        }
    }
}
