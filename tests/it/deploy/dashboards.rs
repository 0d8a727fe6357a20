//! The dashboards of `deploy/grafana` show metrics that there are, by labels that they have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use pinegate::proxy::problem::Code;
use regex::Regex;
use serde_json::{Value, json};

use super::{files, text};
use crate::skip::skip;

/// Labels that Prometheus sets itself.
const OWN_LABELS: [&str; 3] = ["instance", "job", "le"];
/// How wide Grafana's grid is.
const COLUMNS: u64 = 24;

/// The metrics of the page, with their labels.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let page = text("docs/metrics.md");
    let (reference, _) = page.split_once("## Label values").unwrap();
    let rows = reference.lines().filter(|line| line.starts_with("| `"));
    let mut metrics = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let name = quoted(cells[0]).remove(0);
        let labels: BTreeSet<String> = quoted(cells[2]).into_iter().collect();
        if cells[1] == "histogram" {
            for end in ["_bucket", "_sum", "_count"] {
                metrics.insert(format!("{name}{end}"), labels.clone());
            }
        } else {
            metrics.insert(name, labels);
        }
    }
    assert!(metrics.len() > 60, "{metrics:?}");
    metrics
}

/// Words that may be the value of a label: those of the page, and the problem codes.
fn label_values() -> BTreeSet<String> {
    let page = text("docs/metrics.md");
    let (reference, _) = page.split_once("## What to watch").unwrap();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words = reference.split(|c| !is_word(c)).map(str::to_owned);
    let codes = Code::ALL.iter().map(|code| code.as_str().to_owned());
    // The scrape's job, of which the page says that it is called so.
    words.chain(codes).chain(["pinegate".to_owned()]).collect()
}

struct Board {
    name: String,
    json: Value,
}

fn boards() -> Vec<Board> {
    let read = |path: std::path::PathBuf| Board {
        name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        json: serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap(),
    };
    let boards: Vec<Board> = files("deploy/grafana/dashboards", ".json").into_iter().map(read).collect();
    let names: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
    assert_eq!(names, ["audit.json", "department.json", "overview.json", "resource.json", "security.json"]);
    boards
}

impl Board {
    fn panels(&self) -> impl Iterator<Item = &Value> {
        self.json["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
    }

    /// Its variables, but for the data source.
    fn variables(&self) -> BTreeSet<&str> {
        let list = self.json["templating"]["list"].as_array().unwrap().iter();
        list.filter(|variable| variable["type"] == "query")
            .map(|variable| variable["name"].as_str().unwrap())
            .collect()
    }

    /// Every expression, where it stands, and its legend.
    fn expressions(&self) -> Vec<(String, &str, &str)> {
        let mut all = Vec::new();
        for panel in self.panels() {
            for target in panel["targets"].as_array().unwrap() {
                let place = format!("{}: {}", self.name, panel["title"]);
                all.push((place, target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap()));
            }
        }
        for annotation in self.json["annotations"]["list"].as_array().unwrap() {
            all.push((format!("{}: annotation", self.name), annotation["expr"].as_str().unwrap(), ""));
        }
        all
    }
}

#[test]
fn panels_are_told_apart_and_say_what_they_show() {
    let mut uids = BTreeSet::new();
    for board in boards() {
        let uid = board.json["uid"].as_str().unwrap();
        assert!(uid.starts_with("pinegate-") && uids.insert(uid.to_owned()), "{}: {uid}", board.name);
        assert_eq!(board.json["tags"], json!(["pinegate"]), "{}", board.name);
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        let mut section = "";
        for panel in board.json["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            let place = format!("{}: {title}", board.name);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{place}");
            if panel["type"] == "row" {
                section = title;
                continue;
            }
            assert!(!title.is_empty() && titles.insert((section, title)), "{place} stands twice");
            // A short panel's title is cut off where a window is 1,360 pixels wide.
            let width = panel["gridPos"]["w"].as_u64().unwrap();
            assert!(
                u64::try_from(title.len()).unwrap() <= 8 * width - 6,
                "{place} is longer than its panel is wide"
            );
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{place}");
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].as_str().is_some_and(|unit| !unit.is_empty()),
                "{place}"
            );
        }
    }
}

#[test]
fn the_data_source_is_a_variable_everywhere() {
    fn walk(value: &Value, place: &str, seen: &mut usize) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if name == "datasource" {
                        assert_eq!(member, &json!({"type": "prometheus", "uid": "${datasource}"}), "{place}");
                        *seen += 1;
                    }
                    walk(member, place, seen);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, place, seen)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for board in boards() {
        let first = &board.json["templating"]["list"][0];
        assert_eq!(
            (&first["name"], &first["type"], &first["query"]),
            (&json!("datasource"), &json!("datasource"), &json!("prometheus"))
        );
        let mut seen = 0;
        walk(&board.json, &board.name, &mut seen);
        // Each panel, and each of its targets.
        assert!(seen > 2 * board.panels().count(), "{}: {seen}", board.name);
    }
}

#[test]
fn panels_lie_side_by_side() {
    for board in boards() {
        let mut taken = BTreeSet::new();
        for panel in board.json["panels"].as_array().unwrap() {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= COLUMNS, "{}: {}", board.name, panel["title"]);
            for (x, y) in
                (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
            {
                assert!(taken.insert((x, y)), "{}: {} lies on another", board.name, panel["title"]);
            }
        }
    }
}

#[test]
fn what_is_shown_is_on_the_page() {
    let (metrics, values) = (documented(), label_values());
    let name = Regex::new(r"\b(?:pinegate|process)_[a-z0-9_]+").unwrap();
    let selector = Regex::new(r"\b((?:pinegate|process)_[a-z0-9_]+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)(=~|!~|!=|=)"([^"]*)""#).unwrap();
    let grouping = Regex::new(r"\b(?:by|on|without|group_right|group_left|ignoring) ?\(([^)]*)\)").unwrap();
    let shown = Regex::new(r"\{\{([^}]*)\}\}").unwrap();
    let mut used = BTreeSet::new();
    for board in boards() {
        let variables = board.variables();
        for (place, expression, legend) in board.expressions() {
            let mut labels: BTreeSet<&str> = OWN_LABELS.into();
            assert!(name.is_match(expression), "{place}: {expression}");
            for found in selector.captures_iter(expression) {
                let metric = &found[1];
                let own = metrics.get(metric).unwrap_or_else(|| panic!("{place}: no metric {metric}"));
                used.insert(metric.to_owned());
                labels.extend(own.iter().map(String::as_str));
                // Every selector is of the gates that were chosen.
                let matchers = found.get(2).map_or("", |inner| inner.as_str());
                assert!(matchers.contains(r#"instance=~"$instance""#), "{place}: {metric}{{{matchers}}}");
                for found in matcher.captures_iter(matchers) {
                    let (label, value) = (&found[1], &found[3]);
                    assert!(
                        own.contains(label) || OWN_LABELS.contains(&label),
                        "{place}: {metric} has no {label}"
                    );
                    match value.strip_prefix('$') {
                        Some(variable) => assert!(variables.contains(variable), "{place}: {value}"),
                        None => {
                            for word in value.split('|') {
                                let pattern = Regex::new(&format!("^(?:{word})$")).unwrap();
                                assert!(
                                    values.iter().any(|value| pattern.is_match(value)),
                                    "{place}: {label} {word}"
                                );
                            }
                        }
                    }
                }
            }
            let grouped = grouping.captures_iter(expression).map(|found| found.get(1).unwrap().as_str());
            let told = shown.captures_iter(legend).map(|found| found.get(1).unwrap().as_str());
            for label in grouped.flat_map(|list| list.split(',')).map(str::trim).chain(told) {
                assert!(label.is_empty() || labels.contains(label), "{place}: no label {label}");
            }
        }
        for variable in board.json["templating"]["list"].as_array().unwrap() {
            if let Some(definition) = variable["definition"].as_str() {
                let inner = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
                let (metric, label) = inner.unwrap().split_once(", ").unwrap();
                assert!(
                    label == "instance" || metrics[metric].contains(label),
                    "{}: {definition}",
                    board.name
                );
            }
        }
    }
    // What the gate counts is shown somewhere; of the process what says something.
    for (metric, _) in metrics.iter().filter(|(metric, _)| *metric != "process_virtual_memory_bytes") {
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| metric.strip_suffix(part)).unwrap_or(metric);
        assert!(used.iter().any(|name| name.starts_with(base)), "{metric} is on no dashboard");
    }
}

/// Prometheus reads every expression.
#[test]
fn every_expression_is_one() {
    let mut rules = Vec::new();
    for board in boards() {
        for (_, expression, _) in board.expressions() {
            let mut expression = expression.to_owned();
            let intervals = [("$__rate_interval", "5m"), ("$__range", "1h"), ("$__interval", "1m")];
            for (variable, value) in intervals {
                expression = expression.replace(variable, value);
            }
            rules.push(
                json!({"record": format!("dashboards:expression:{}", rules.len()), "expr": expression}),
            );
        }
    }
    let directory = tempfile::tempdir().unwrap();
    // JSON is YAML.
    let file = directory.path().join("rules.yml");
    fs::write(&file, json!({"groups": [{"name": "dashboards", "rules": rules}]}).to_string()).unwrap();
    match Command::new("promtool").args(["check", "rules"]).arg(&file).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && said.contains(&format!("{} rules found", rules.len())),
                "{said}"
            );
        }
        Err(error) => skip("promtool", &error.to_string()),
    }
}
