//! What a replay came to, on a terminal and as JSON.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Serialize;

use super::ReplayArgs;
use super::stream::Streamed;
use crate::app::load::LoadedPolicy;
use crate::cli::screen::Tone;
use crate::cli::source::quoted;
use crate::cli::table::{self, Table, plain, shown, toned};
use crate::cli::verdict::{changes, refused_with};
use crate::cli::when::local;
use crate::cli::{CommandError, Screen};
use crate::kernel::id::{FieldPath, ParameterName};
use crate::kernel::time::TimeZone;
use crate::proxy::problem::Code;
use crate::review::change::FieldChanges;
use crate::review::gate::Refusal;
use crate::review::replay::{Example, Finding, Group, Kind, Tally, Why};

/// What is shown, and what it is about.
pub(super) struct Shown<'s> {
    pub(super) args: &'s ReplayArgs,
    pub(super) directories: &'s [PathBuf],
    pub(super) candidate: &'s LoadedPolicy,
    pub(super) against: Option<&'s LoadedPolicy>,
    pub(super) streamed: &'s Streamed,
    pub(super) zone: &'s TimeZone,
}

/// The kinds of findings, as examples are kept.
const KINDS: [&str; 4] = ["refused", "allowed", "changed", "undetermined"];

/// The result for people.
pub(super) fn text(shown: &Shown<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    head(shown, screen)?;
    totals(shown, screen)?;
    groups(shown, screen)?;
    details(shown, screen)?;
    examples(shown, screen)
}

/// The command line that explains a record under the candidate: the policy that is live would say
/// again what was recorded.
fn look_further(shown: &Shown<'_>) -> String {
    let policies = shown.args.policies.to_string_lossy();
    let audit = match shown.directories {
        [only] => only.to_string_lossy(),
        // Which of them has it is not known.
        _ => "DIR".into(),
    };
    let line = format!("pinegate explain --policies {} --audit {}", quoted(&policies), quoted(&audit));
    table::shown(&line)
}

fn head(shown: &Shown<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let Shown { args, directories, candidate, against, streamed, zone } = shown;
    let logs: Vec<String> = directories.iter().map(|it| table::shown(&it.to_string_lossy())).collect();
    screen.line(format!("{} records in {}", grouped(streamed.lines), logs.join(", ")))?;
    let short = |loaded: &LoadedPolicy| loaded.files.digest().to_hex().chars().take(12).collect::<String>();
    let mut table = Table::default();
    let name = |text: &str| toned(Tone::Strong, text);
    if let Some((first, last)) = streamed.report.span {
        table.row([name("from"), plain(format!("{} to {}", local(zone, first), local(zone, last)))]);
    }
    let policies = format!("{} ({})", args.policies.display(), short(candidate));
    table.row([name("under"), plain(policies)]);
    let with = match (against, &args.against) {
        (Some(loaded), Some(directory)) => {
            format!("what {} ({}) decides", directory.display(), short(loaded))
        }
        _ => "what was recorded".to_owned(),
    };
    table.row([name("against"), plain(with)]);
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))?;
    screen.line("")
}

fn totals(shown: &Shown<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let report = &shown.streamed.report;
    let tally = report.tally();
    let rows = [
        (Tone::Good, tally.same, "same", "decided as before"),
        (Tone::Bad, tally.refused, "refused", "allowed before, and refused now"),
        (Tone::Doubtful, tally.allowed, "allowed", "refused before, and allowed now"),
        (Tone::Doubtful, tally.changed, "changed", "allowed, with other fields or duties"),
        (Tone::Faint, tally.undetermined, "undetermined", "the record does not say enough"),
        (Tone::Faint, report.not_by_policy, "left out", "not decided by the policy"),
    ];
    let width = rows.iter().map(|(_, count, _, _)| grouped(*count).len()).max().unwrap_or(0);
    let mut table = Table::default();
    for (tone, count, word, what) in rows {
        let tone = if count == 0 { Tone::Faint } else { tone };
        let count = format!("{:>width$}", grouped(count));
        table.row([toned(tone, count), toned(tone, word), toned(Tone::Faint, what)]);
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))
}

/// The groups in which something is not the same.
fn of_interest<'s>(shown: &'s Shown<'_>) -> Vec<(String, &'s Group)> {
    let groups = shown.streamed.report.groups().into_iter();
    let changed = groups.filter(|(_, _, group)| group.tally.same != group.tally.total());
    changed.map(|(system, resource, group)| (format!("{system}  {resource}"), group)).collect()
}

fn groups(shown: &Shown<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let report = &shown.streamed.report;
    let groups = report.groups();
    let changed = groups.iter().filter(|(_, _, group)| group.tally.same != group.tally.total());
    let mut table = Table::default();
    let title = |text: &str| toned(Tone::Faint, text);
    table.row(["system", "resource", "same", "refused", "allowed", "changed", "undetermined"].map(title));
    let mut rows = 0;
    let mut row = |system: &str, resource: &str, tally: &Tally| {
        let Tally { same, refused, allowed, changed, undetermined } = *tally;
        let count = |tone, count| toned(if count == 0 { Tone::Faint } else { tone }, grouped(count));
        table.row([
            plain(system),
            plain(resource),
            plain(grouped(same)),
            count(Tone::Bad, refused),
            count(Tone::Doubtful, allowed),
            count(Tone::Doubtful, changed),
            plain(grouped(undetermined)),
        ]);
        rows += 1;
    };
    for (system, resource, group) in changed {
        row(system.as_str(), resource.as_str(), &group.tally);
    }
    if report.beyond != Tally::default() {
        row("others", "", &report.beyond);
    }
    if rows == 0 {
        return Ok(());
    }
    screen.line("")?;
    table.lines(screen, 0).into_iter().try_for_each(|line| screen.line(line))
}

/// Why, and which fields, by group.
fn details(shown: &Shown<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    for (name, group) in of_interest(shown) {
        let mut table = Table::default();
        for (refusal, count) in &group.refusals {
            let what = toned(Tone::Bad, reason(*refusal));
            table.row([toned(Tone::Bad, "refused"), what, plain(grouped(*count))]);
        }
        for ((kind, path), count) in &group.fields {
            table.row([toned(tone(*kind), kind.as_str()), plain(path.as_str()), plain(grouped(*count))]);
        }
        if group.duties > 0 {
            table.row([toned(Tone::Doubtful, "duties"), plain("rows"), plain(grouped(group.duties))]);
        }
        for (why, count) in &group.unknown {
            table.row([toned(Tone::Faint, "undetermined"), plain(unknown(why)), plain(grouped(*count))]);
        }
        let lines = table.lines(screen, 2);
        if lines.is_empty() {
            continue;
        }
        screen.line(format!("\n{}", screen.paint(Tone::Strong, &name)))?;
        lines.into_iter().try_for_each(|line| screen.line(line))?;
    }
    Ok(())
}

fn tone(kind: Kind) -> Tone {
    match kind {
        Kind::Gained | Kind::Unmasked => Tone::Doubtful,
        Kind::Lost | Kind::Masked | Kind::Remasked => Tone::Bad,
    }
}

fn reason(refusal: Option<Refusal>) -> &'static str {
    refusal.map_or("for one reason or another", |refusal| refused_with(refusal).as_str())
}

fn unknown(why: &Why) -> String {
    match why {
        Why::Parameters(names) => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("the value of {} is not in the record", names.join(", "))
        }
        Why::Cut(list) => format!("`{list}` was too long for the record"),
        Why::TooMany => "more values are possible than can be tried".to_owned(),
    }
}

fn examples(shown: &Shown<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    for (kind, examples) in KINDS.iter().zip(&shown.streamed.report.examples) {
        if examples.is_empty() {
            continue;
        }
        screen.line(format!("\n{}, for example", screen.paint(Tone::Strong, kind)))?;
        let mut table = Table::default();
        for example in examples {
            table.row([
                toned(Tone::Faint, local(shown.zone, example.at)),
                plain(example.system.as_str()),
                plain(example.resource.as_str()),
                plain(in_words(&example.finding)),
                toned(Tone::Faint, example.id.as_str()),
            ]);
        }
        table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))?;
    }
    if shown.streamed.report.examples.iter().any(|examples| !examples.is_empty()) {
        screen.line(format!("\n`{} --record ID` says why, clause by clause.", look_further(shown)))?;
    }
    Ok(())
}

fn in_words(finding: &Finding) -> String {
    match finding {
        Finding::Same => "same".to_owned(),
        Finding::Refused(why) => reason(*why).to_owned(),
        Finding::Allowed => "allowed".to_owned(),
        Finding::Undetermined(why) => unknown(why),
        Finding::Changed { fields, duties: false } => changes(fields),
        Finding::Changed { fields, duties: true } if fields.is_empty() => "other duties".to_owned(),
        Finding::Changed { fields, duties: true } => format!("{}; other duties", changes(fields)),
    }
}

fn listed(fields: &FieldChanges) -> [(Kind, &[FieldPath]); 5] {
    [
        (Kind::Gained, &fields.gained),
        (Kind::Lost, &fields.lost),
        (Kind::Unmasked, &fields.unmasked),
        (Kind::Masked, &fields.masked),
        (Kind::Remasked, &fields.remasked),
    ]
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Names the lines that are no records, beside the result.
pub(super) fn unreadable(streamed: &Streamed, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    if streamed.unreadable == 0 {
        return Ok(());
    }
    let word = screen.paint_aside(Tone::Bad, "error");
    let count = grouped(streamed.unreadable);
    screen.aside(format!("{word}: {count} lines of the log are no records and were left out"))?;
    for line in &streamed.named {
        let why = crate::kernel::diagnostic::chain(&line.why);
        screen.aside(shown(&format!("  {} at byte {}: {why}", line.path.display(), line.offset)))?;
    }
    let word = screen.paint_aside(Tone::Strong, "help");
    screen.aside(format!("{word}: `pinegate audit verify` says what is damaged"))
}

#[derive(Debug, Serialize)]
struct ReplayJson<'s> {
    policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<String>,
    logs: Vec<Cow<'s, str>>,
    records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<String>,
    #[serde(flatten)]
    tally: TallyJson,
    not_by_policy: u64,
    unreadable: u64,
    groups: Vec<GroupJson<'s>>,
    examples: Vec<ExampleJson<'s>>,
    unreadable_lines: Vec<UnreadableJson<'s>>,
}

#[derive(Debug, Serialize)]
struct TallyJson {
    same: u64,
    refused: u64,
    allowed: u64,
    changed: u64,
    undetermined: u64,
}

#[derive(Debug, Serialize)]
struct GroupJson<'s> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'s str>,
    #[serde(flatten)]
    tally: TallyJson,
    refusals: Vec<RefusalJson>,
    fields: Vec<FieldJson<'s>>,
    duties: u64,
    unknown: Vec<UnknownJson<'s>>,
}

#[derive(Debug, Serialize)]
struct RefusalJson {
    /// `None` if it is not the same for every value that the record does not say.
    code: Option<&'static str>,
    count: u64,
}

#[derive(Debug, Serialize)]
struct FieldJson<'s> {
    path: &'s str,
    change: &'static str,
    count: u64,
}

#[derive(Debug, Serialize)]
struct UnknownJson<'s> {
    #[serde(flatten)]
    why: WhyJson<'s>,
    count: u64,
}

#[derive(Debug, Serialize)]
struct WhyJson<'s> {
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Vec<&'s str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct ExampleJson<'s> {
    kind: &'static str,
    request: &'s str,
    at: String,
    system: &'s str,
    resource: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<ChangedJson<'s>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duties: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<WhyJson<'s>>,
}

#[derive(Debug, Serialize)]
struct ChangedJson<'s> {
    path: &'s str,
    change: &'static str,
}

#[derive(Debug, Serialize)]
struct UnreadableJson<'s> {
    file: Cow<'s, str>,
    offset: u64,
    why: String,
}

/// The result for machines.
pub(super) fn json(shown: &Shown<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let Shown { directories, candidate, against, streamed, .. } = shown;
    let report = &streamed.report;
    let mut groups: Vec<GroupJson<'_>> = report
        .groups()
        .into_iter()
        .map(|(system, resource, group)| group_json(Some((system.as_str(), resource.as_str())), group))
        .collect();
    let beyond = Group { tally: report.beyond, ..Group::default() };
    if report.beyond != Tally::default() {
        groups.push(group_json(None, &beyond));
    }
    let examples = KINDS.iter().zip(&report.examples);
    let examples = examples.flat_map(|(kind, examples)| examples.iter().map(|it| example_json(kind, it)));
    let unreadable = streamed.named.iter().map(|line| UnreadableJson {
        file: line.path.to_string_lossy(),
        offset: line.offset,
        why: crate::kernel::diagnostic::chain(&line.why),
    });
    screen.json(&ReplayJson {
        policy: candidate.files.digest().to_hex(),
        against: against.map(|loaded| loaded.files.digest().to_hex()),
        logs: directories.iter().map(|directory| directory.to_string_lossy()).collect(),
        records: streamed.lines,
        first_at: report.span.map(|(first, _)| first.to_string()),
        last_at: report.span.map(|(_, last)| last.to_string()),
        tally: tally_json(&report.tally()),
        not_by_policy: report.not_by_policy,
        unreadable: streamed.unreadable,
        groups,
        examples: examples.collect(),
        unreadable_lines: unreadable.collect(),
    })
}

fn tally_json(tally: &Tally) -> TallyJson {
    let Tally { same, refused, allowed, changed, undetermined } = *tally;
    TallyJson { same, refused, allowed, changed, undetermined }
}

fn group_json<'s>(of: Option<(&'s str, &'s str)>, group: &'s Group) -> GroupJson<'s> {
    let refusals = group.refusals.iter();
    let fields = group.fields.iter();
    let unknown = group.unknown.iter();
    GroupJson {
        system: of.map(|(system, _)| system),
        resource: of.map(|(_, resource)| resource),
        tally: tally_json(&group.tally),
        refusals: refusals
            .map(|(why, count)| RefusalJson { code: why.map(refused_with).map(Code::as_str), count: *count })
            .collect(),
        fields: fields
            .map(|((kind, path), count)| FieldJson {
                path: path.as_str(),
                change: kind.as_str(),
                count: *count,
            })
            .collect(),
        duties: group.duties,
        unknown: unknown.map(|(why, count)| UnknownJson { why: why_json(why), count: *count }).collect(),
    }
}

fn why_json(why: &Why) -> WhyJson<'_> {
    match why {
        Why::Parameters(names) => {
            let names = names.iter().map(ParameterName::as_str).collect();
            WhyJson { why: "parameters", parameters: Some(names), cut: None }
        }
        Why::Cut(list) => WhyJson { why: "cut", parameters: None, cut: Some(list) },
        Why::TooMany => WhyJson { why: "too-many", parameters: None, cut: None },
    }
}

fn example_json<'s>(kind: &'static str, example: &'s Example) -> ExampleJson<'s> {
    let mut json = ExampleJson {
        kind,
        request: &example.id,
        at: example.at.to_string(),
        system: example.system.as_str(),
        resource: example.resource.as_str(),
        code: None,
        fields: Vec::new(),
        duties: false,
        unknown: None,
    };
    match &example.finding {
        Finding::Same | Finding::Allowed => {}
        Finding::Refused(why) => json.code = why.map(refused_with).map(Code::as_str),
        Finding::Undetermined(why) => json.unknown = Some(why_json(why)),
        Finding::Changed { fields, duties } => {
            json.duties = *duties;
            for (kind, paths) in listed(fields) {
                let changed =
                    |path: &'s FieldPath| ChangedJson { path: path.as_str(), change: kind.as_str() };
                json.fields.extend(paths.iter().map(changed));
            }
        }
    }
    json
}
