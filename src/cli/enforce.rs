//! `pinegate casbin enforce`: what does any Casbin model decide?

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::Value as Json;

use super::findings::{self, To};
use super::{CommandError, Exit, Screen};
use crate::kernel::diagnostic::Source;
use crate::kernel::time::{Clock, Timestamp};
use crate::policy::enforcer::{Answer, Context, Enforcer, Engine, Fault, Function, Options, Value};

/// The longest line of a batch, in bytes.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// The largest policy file, in bytes.
const MAX_POLICY_BYTES: u64 = 256 << 20;

/// Try out any Casbin model
///
/// These commands take Casbin's own files and need neither a configuration nor a policy directory.
#[derive(Debug, Args)]
pub(super) struct CasbinArgs {
    #[command(subcommand)]
    command: CasbinCommand,
}

#[derive(Debug, Subcommand)]
enum CasbinCommand {
    Enforce(EnforceArgs),
}

/// Decide requests by a Casbin model and policy, as Go Casbin does
///
/// Prints one JSON object a request: `allow`, and in `explain` the policy line that decided, field by
/// field. A model or policy that would not be decided as Go Casbin decides it is refused, with the
/// place and the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate casbin enforce -m model.conf -p policy.csv alice data1 read
  pinegate casbin enforce -m abac.conf '{\"Age\": 30}' /data1 read      attributes as a JSON object
  pinegate casbin enforce -m model.conf -p policy.csv --batch requests.jsonl
  printf '%s\\n' '[\"alice\", \"data1\", \"read\"]' | pinegate casbin enforce -m model.conf -p policy.csv --batch -
  pinegate casbin enforce -m model.conf -p policy.csv --engine casbin -v alice data1 read

Every argument is a text, as in Casbin's own command-line tools. One that begins with `{` is a JSON
object where the model reads attributes of it. In a batch numbers are numbers.

Exit codes: 0 allowed, or a batch answered; 1 refused; 64 the model or policy does not load.")]
pub(super) struct EnforceArgs {
    /// The model
    #[arg(short, long, value_name = "FILE")]
    model: PathBuf,
    /// The policy [default: no lines]
    #[arg(short, long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// What works the matcher out
    #[arg(long, value_enum, default_value_t)]
    engine: EngineName,
    /// Answer one JSON array of arguments a line, from this file or from standard input (`-`)
    #[arg(long, value_name = "FILE")]
    batch: Option<PathBuf>,
    /// The definitions that decide: `2` for r2, p2, e2 and m2, or all four, as `r,p2,e,m2`
    #[arg(long, value_name = "SUFFIX", value_parser = context, default_value = "r,p,e,m")]
    context: Context,
    /// Names in a role definition are patterns, as in `g2=keyMatch2`
    #[arg(long, value_name = "ROLE=FUNCTION", value_parser = matching)]
    role_matching: Vec<(String, Function)>,
    /// Domains in a role definition are patterns, as in `g=keyMatch`
    #[arg(long, value_name = "ROLE=FUNCTION", value_parser = matching)]
    domain_matching: Vec<(String, Function)>,
    /// Names and domains of roles are no patterns, even where they look like some
    #[arg(long)]
    literal_names: bool,
    /// The last two fields of a role definition say from when to when a role is held: `g=TimeMatch`
    #[arg(long, value_name = "ROLE=TimeMatch", value_parser = link_condition)]
    link_condition: Vec<String>,
    /// The instant to decide at, for roles with times [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Say on standard error how requests are decided
    #[arg(short, long)]
    verbose: bool,
    /// The request, in the order of the request definition
    #[arg(value_name = "ARGS", trailing_var_arg = true)]
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    arguments: Vec<String>,
}

/// What works the matcher out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum EngineName {
    /// The fastest that decides the model
    #[default]
    Auto,
    /// casbin-rs, over the lines that an index names
    Index,
    /// This program
    Native,
    /// casbin-rs, over all lines
    Casbin,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Auto => Self::Auto,
            EngineName::Index => Self::Index,
            EngineName::Native => Self::Native,
            EngineName::Casbin => Self::Casbin,
        }
    }
}

fn context(text: &str) -> Result<Context, String> {
    let suffix = |suffix: &str| suffix.bytes().all(|byte| byte.is_ascii_digit());
    if !text.is_empty() && suffix(text) {
        let of = |letter: &str| format!("{letter}{text}");
        return Ok(Context { request: of("r"), policy: of("p"), effect: of("e"), matcher: of("m") });
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let is = |part: &str, letter: char| part.strip_prefix(letter).is_some_and(suffix);
    match parts.as_slice() {
        [request, policy, effect, matcher]
            if is(request, 'r') && is(policy, 'p') && is(effect, 'e') && is(matcher, 'm') =>
        {
            let own = |part: &&str| (*part).to_owned();
            Ok(Context {
                request: own(request),
                policy: own(policy),
                effect: own(effect),
                matcher: own(matcher),
            })
        }
        _ => Err("expected a number, as `2`, or four names, as `r,p2,e,m2`".to_owned()),
    }
}

fn matching(text: &str) -> Result<(String, Function), String> {
    let known = || {
        let names = Function::ALL.into_iter().filter(|function| function.matches_names());
        names.map(Function::as_str).collect::<Vec<_>>().join(", ")
    };
    let (role, name) = text.split_once('=').ok_or("expected `g=keyMatch2`")?;
    let function = Function::named(name).filter(|function| function.matches_names());
    Ok((role.to_owned(), function.ok_or_else(|| format!("functions that match names are {}", known()))?))
}

fn link_condition(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((role, "TimeMatch")) => Ok(role.to_owned()),
        _ => Err("expected `g=TimeMatch`".to_owned()),
    }
}

pub(super) fn run(
    args: &CasbinArgs,
    clock: &dyn Clock,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    match &args.command {
        CasbinCommand::Enforce(args) => enforce(args, clock, screen),
    }
}

fn enforce(args: &EnforceArgs, clock: &dyn Clock, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let mut enforcer = load(args, screen)?;
    if args.verbose {
        screen.aside(way(&enforcer))?;
    }
    let now = || args.at.unwrap_or_else(|| clock.now());
    if let Some(batch) = &args.batch {
        let reader: Box<dyn Read> = if batch.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(batch);
            Box::new(file.map_err(|source| CommandError::Unreadable { path: batch.clone(), source })?)
        };
        let asked = answer_batch(&mut enforcer, &mut BufReader::new(reader), &now, screen);
        return asked.map_err(|stop| match stop {
            Stop::Command(error) => error,
            Stop::Read(source) => CommandError::Unreadable { path: batch.clone(), source },
        });
    }
    let request: Result<Vec<Value>, String> =
        (0..).zip(&args.arguments).map(|(place, text)| argument(&enforcer, place, text)).collect();
    let line = match request {
        Ok(request) => AnswerLine::of(enforcer.decide(&request, now())),
        Err(error) => AnswerLine { allow: Some(false), explain: Some(Vec::new()), error: Some(error) },
    };
    screen.json(&line)?;
    Ok(if line.allow == Some(true) { Exit::Fine } else { Exit::Refused })
}

fn load(args: &EnforceArgs, screen: &mut Screen<'_>) -> Result<Enforcer, CommandError> {
    let model = read(&args.model)?;
    let policy = match &args.policy {
        Some(path) => read(path)?,
        None => Source::new("no policy", ""),
    };
    let options = Options {
        context: args.context.clone(),
        role_matching: args.role_matching.clone(),
        domain_matching: args.domain_matching.clone(),
        literal_names: args.literal_names,
        timed_roles: args.link_condition.clone(),
    };
    match Enforcer::load(&model, &policy, &options) {
        Ok(enforcer) => Ok(enforcer.with(args.engine.into())?),
        Err(report) => {
            findings::show(&report, To::Aside, screen)?;
            let of = args.policy.as_ref().map_or(String::new(), |path| format!(" with `{}`", path.display()));
            Err(CommandError::ModelDoesNotLoad { what: format!("`{}`{of}", args.model.display()) })
        }
    }
}

fn read(path: &Path) -> Result<Source, CommandError> {
    let unreadable = |source: io::Error| CommandError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_POLICY_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let unfit = |expected| CommandError::Unfit { path: path.to_owned(), expected };
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_POLICY_BYTES) {
        return Err(unfit("a file of at most 256 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| unfit("UTF-8 text"))?;
    Ok(Source::new(path.display().to_string(), text))
}

/// How requests are decided, for people.
fn way(enforcer: &Enforcer) -> String {
    let way = enforcer.way();
    if way.columns.is_empty() {
        return format!("engine: {}, over all {} lines", way.engine, way.lines);
    }
    let (columns, lines, most) = (way.columns.join(", "), way.lines, way.most);
    format!("engine: {}, over an index by {columns}: {lines} lines, at most {most} under one key", way.engine)
}

/// An answer as it is printed.
#[derive(Debug, Serialize)]
struct AnswerLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Vec<Arc<str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl AnswerLine {
    fn of(answer: Result<Answer, Fault>) -> Self {
        match answer {
            Ok(Answer { allow, explain }) => Self { allow: Some(allow), explain: Some(explain), error: None },
            Err(fault) => {
                Self { allow: Some(false), explain: Some(Vec::new()), error: Some(fault.to_string()) }
            }
        }
    }

    /// For a line that is no request.
    fn none(error: impl Into<String>) -> Self {
        Self { allow: None, explain: None, error: Some(error.into()) }
    }
}

/// An argument of the command line, or a text of a batch.
fn argument(enforcer: &Enforcer, place: usize, text: &str) -> Result<Value, String> {
    if !text.starts_with('{') || !enforcer.reads_attributes_of(place) {
        return Ok(Value::Text(text.to_owned()));
    }
    match serde_json::from_str(text) {
        Ok(json) => Ok(value(json)),
        Err(error) => Err(format!("argument {} is not a JSON object: {error}", place + 1)),
    }
}

fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Nothing,
        Json::Bool(truth) => Value::Truth(truth),
        // What does not fit a double is no number for Go either.
        Json::Number(number) => number.as_f64().map_or(Value::Nothing, Value::Number),
        Json::String(text) => Value::Text(text),
        Json::Array(list) => Value::List(list.into_iter().map(value).collect()),
        Json::Object(object) => {
            Value::Object(object.into_iter().map(|(name, json)| (name, value(json))).collect())
        }
    }
}

/// What ended a batch early.
enum Stop {
    Command(CommandError),
    Read(io::Error),
}

impl From<CommandError> for Stop {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

fn answer_batch(
    enforcer: &mut Enforcer,
    reader: &mut BufReader<Box<dyn Read + '_>>,
    now: &dyn Fn() -> Timestamp,
    screen: &mut Screen<'_>,
) -> Result<Exit, Stop> {
    let mut line = Vec::new();
    while !screen.is_closed() {
        if reader.buffer().is_empty() {
            // Who asks line by line waits for the answer.
            screen.flush()?;
        }
        line.clear();
        let taken =
            reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line).map_err(Stop::Read)?;
        if taken == 0 {
            break;
        }
        let is_long = u64::try_from(taken).is_ok_and(|taken| taken > MAX_LINE_BYTES);
        let answer = if is_long && line.last() != Some(&b'\n') {
            reader.skip_until(b'\n').map_err(Stop::Read)?;
            AnswerLine::none(format!("the line is longer than {MAX_LINE_BYTES} bytes"))
        } else {
            match request(enforcer, &line) {
                Ok(request) => AnswerLine::of(enforcer.decide(&request, now())),
                Err(error) => AnswerLine::none(error),
            }
        };
        screen.json(&answer)?;
    }
    Ok(Exit::Fine)
}

fn request(enforcer: &Enforcer, line: &[u8]) -> Result<Vec<Value>, String> {
    let request: Vec<Json> = serde_json::from_slice(line)
        .map_err(|error| format!("the line is not a JSON array of arguments: {error}"))?;
    (0..)
        .zip(request)
        .map(|(place, json)| match json.as_str() {
            Some(text) => argument(enforcer, place, text),
            None => Ok(value(json)),
        })
        .collect()
}
