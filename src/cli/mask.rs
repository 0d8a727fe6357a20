//! `pinegate mask`: what would leave of a body?

mod show;

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args};

use super::findings::{self, To};
use super::source::SourceArgs;
use super::{CommandError, Exit, Screen};
use crate::app::load::LoadedPolicy;
use crate::catalog::{BodyFormat, Charset, Resource, Sharing};
use crate::grant::{Effect, Treatment};
use crate::kernel::diagnostic::{Diagnostic, Report, Source, did_you_mean};
use crate::kernel::id::{DepartmentId, GrantId, ResourceId};
use crate::kernel::time::{Clock, Timestamp};
use crate::mask::{Bounds, MaskError, Plan, PlanError, PseudonymKeys, Transform};
use crate::policy::Preview;
use crate::policy::problem::Problem;
use crate::policy::scope::{Item, Scope};
use crate::policy::terms::Grant;
use crate::proxy::Plans;

/// How much is read at once, in bytes.
const PIECE_BYTES: NonZeroUsize = NonZeroUsize::new(64 << 10).unwrap();

/// Show what would leave of a body
///
/// Masks a body as the gate would: what would leave goes to standard output, a summary of what was
/// masked and dropped to standard error. The body is what the platform answers for the resource, in
/// the format that catalog.toml declares; it is read from FILE or from standard input, is masked as it
/// comes, and may be of any size. A body that is refused is cut off where the gate would cut it.
///
/// What leaves is said by grants of grants.csv, taken together in the order of the file as one system
/// holds them, or by a scope as it would stand there. Deny lines, windows, actions, purposes and
/// parameters are not asked: `pinegate explain` says whether a request is allowed.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("basis").args(["grants", "scope"]).required(true))]
#[command(after_help = "\
Examples:
  pinegate mask --resource population.resident --grant HS-2026-0117 reply.json
  curl -s https://platform/… | pinegate mask --resource … --grant … | jq .
  … --scope 'name|id_card:clear|address.*;rows<=100'   a scope instead of a grant
  … --fields name,phone                                only these fields are asked for
  … --policies policies                                a policy directory alone
  … --charset gb18030                                  the platform answers in GB 18030
  … --pieces 1                                         cut at every byte: the same leaves
  … --json 2>summary.json >masked.json                 the summary for machines

Exit codes: 0 the body leaves, masked; 1 it is refused, and the output is cut off; 2 the command
line, the grant or the scope is not right; 64 the configuration or policy does not load, or the
masks cannot be built.")]
pub(super) struct MaskArgs {
    /// The resource that the body is of
    #[arg(long, value_parser = ResourceId::parse)]
    resource: ResourceId,
    /// The grant that says what leaves; may be given several times
    #[arg(long = "grant", value_name = "GRANT", value_parser = GrantId::parse)]
    grants: Vec<GrantId>,
    /// The scope that says what leaves, as in grants.csv
    #[arg(long)]
    scope: Option<String>,
    /// The fields that are asked for, as in a scope [default: all that is granted]
    #[arg(long, value_name = "FIELD,FIELD", value_parser = fields)]
    fields: Option<Fields>,
    /// The department that pseudonyms are made for [default: that of the grant]
    #[arg(long, value_name = "DEPARTMENT", value_parser = DepartmentId::parse)]
    department: Option<DepartmentId>,
    /// The charset of the body: utf-8, gbk, gb2312 or gb18030
    #[arg(long, default_value = "utf-8", hide_default_value = true, value_parser = charset)]
    charset: Charset,
    /// Cut the input into pieces of so many bytes at most
    #[arg(long, value_name = "BYTES", default_value_t = PIECE_BYTES, value_parser = pieces)]
    pieces: NonZeroUsize,
    #[command(flatten)]
    source: SourceArgs,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
    /// The body [default: standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Names of fields, as in a scope.
#[derive(Debug, Clone)]
struct Fields(Vec<String>);

fn fields(text: &str) -> Result<Fields, String> {
    let names: Vec<String> = text.split([',', '|']).map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) { Err("a name is missing".to_owned()) } else { Ok(Fields(names)) }
}

fn pieces(text: &str) -> Result<NonZeroUsize, String> {
    /// More is not read at once.
    const MAX: usize = 16 << 20;
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MAX);
    number.ok_or_else(|| format!("write a number of bytes from 1 to {MAX}"))
}

fn charset(text: &str) -> Result<Charset, String> {
    let charset = Charset::of_label(text);
    charset.ok_or_else(|| {
        "write `utf-8`, `gbk`, `gb2312` or `gb18030`, as in the `media_type` of routes".to_owned()
    })
}

/// What says what leaves.
#[derive(Debug)]
enum Basis<'p> {
    Grants(Vec<&'p Grant>),
    Scope(Scope),
}

impl Basis<'_> {
    fn scopes(&self) -> Vec<&Scope> {
        match self {
            Self::Grants(grants) => grants.iter().map(|grant| grant.scope()).collect(),
            Self::Scope(scope) => vec![scope],
        }
    }
}

/// What a body goes through.
#[derive(Debug)]
struct Work<'p> {
    resource: &'p Resource,
    basis: Basis<'p>,
    preview: Preview,
    department: Option<DepartmentId>,
    plan: Arc<Plan>,
}

pub(super) fn run(args: &MaskArgs, clock: &dyn Clock, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (loaded, config) = args.source.origin().policy_and_config(clock, screen)?;
    let keys = config.map(|config| config.policy.pseudonym_keys).unwrap_or_default();
    let work = prepare(args, &loaded, (keys, clock.now()), screen)?;
    let path = args.file.as_deref().filter(|path| *path != Path::new("-"));
    let unreadable = |source| CommandError::Unreadable {
        path: path.unwrap_or(Path::new("standard input")).to_owned(),
        source,
    };
    let input: Box<dyn Read> = match path {
        Some(path) => Box::new(File::open(path).map_err(unreadable)?),
        None => Box::new(io::stdin().lock()),
    };
    let bounds = Bounds { records: work.preview.rows_per_reply, ..Bounds::default() };
    let mut transform = Transform::with_charset(Arc::clone(&work.plan), bounds, args.charset);
    let verdict = match pump(input, args.pieces, &mut transform, screen) {
        Ok(()) => Ok(()),
        Err(Stop::Refused(error)) => Err(error),
        Err(Stop::Read(source)) => return Err(unreadable(source)),
        Err(Stop::Command(error)) => return Err(error),
    };
    let summary = transform.summary();
    if args.json {
        show::json(&work, &summary, verdict, screen)?;
        return Ok(if verdict.is_ok() { Exit::Fine } else { Exit::Refused });
    }
    show::text(&work, &summary, screen)?;
    match verdict {
        Ok(()) => Ok(Exit::Fine),
        Err(source) => Err(CommandError::BodyRefused { written: summary.bytes_out, source }),
    }
}

/// What ended a body early.
enum Stop {
    Refused(MaskError),
    Read(io::Error),
    Command(CommandError),
}

impl From<MaskError> for Stop {
    fn from(error: MaskError) -> Self {
        Self::Refused(error)
    }
}

impl From<CommandError> for Stop {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

/// Masks `input` to its end, piece by piece. Also where nobody reads the output any more: what becomes of
/// the body is not known before its end.
fn pump(
    mut input: Box<dyn Read + '_>,
    pieces: NonZeroUsize,
    transform: &mut Transform,
    screen: &mut Screen<'_>,
) -> Result<(), Stop> {
    let mut buffer = vec![0; PIECE_BYTES.max(pieces).get()];
    let mut out = Vec::new();
    loop {
        let count = match input.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stop::Read(error)),
        };
        if count == 0 {
            break;
        }
        for piece in buffer.get(..count).unwrap_or_default().chunks(pieces.get()) {
            let pushed = transform.push(piece, &mut out);
            screen.bytes(&out)?;
            out.clear();
            pushed?;
        }
        // Who writes in small parts waits for what leaves of each.
        screen.flush()?;
    }
    let finished = transform.finish(&mut out);
    screen.bytes(&out)?;
    finished?;
    Ok(())
}

fn prepare<'p>(
    args: &MaskArgs,
    loaded: &'p LoadedPolicy,
    keys: (PseudonymKeys, Timestamp),
    screen: &mut Screen<'_>,
) -> Result<Work<'p>, CommandError> {
    let catalog = &loaded.vocabulary.catalog;
    let resource = catalog.resources.get(&args.resource).ok_or_else(|| {
        let known = catalog.resources.keys().map(ResourceId::as_str);
        unknown(args.resource.as_str(), "a resource of catalog.toml", known)
    })?;
    if resource.sharing == Sharing::None {
        return Err(CommandError::NotShared { resource: resource.id.clone() });
    }
    let format = resource.body.format;
    if format == BodyFormat::Opaque {
        return Err(CommandError::NothingToMask { resource: resource.id.clone() });
    }
    if !format.may_be_in(args.charset) {
        return Err(CommandError::Utf8Alone { resource: resource.id.clone(), format });
    }
    let basis = match &args.scope {
        Some(text) => Basis::Scope(scope(text, loaded, &resource.id, screen)?),
        None => Basis::Grants(grants(&args.grants, loaded, &resource.id)?),
    };
    let wanted = args.fields.as_ref().map_or(&[][..], |fields| &fields.0);
    let preview = loaded
        .policy
        .preview(&resource.id, &basis.scopes(), wanted)
        .map_err(|fields| CommandError::ScopeExceeded { fields })?;
    let department = match (&args.department, &basis) {
        (Some(department), _) if !catalog.registry.departments.contains_key(department) => {
            let known = catalog.registry.departments.keys().map(DepartmentId::as_str);
            return Err(unknown(department.as_str(), "a department of registry.toml", known));
        }
        (Some(department), _) => Some(department.clone()),
        (None, Basis::Grants(grants)) => department_of(grants, loaded),
        (None, Basis::Scope(_)) => None,
    };
    let plan = plan(loaded, resource, &preview, department.as_ref(), keys)?;
    Ok(Work { resource, basis, preview, department, plan })
}

fn plan(
    loaded: &LoadedPolicy,
    resource: &Resource,
    preview: &Preview,
    department: Option<&DepartmentId>,
    (keys, now): (PseudonymKeys, Timestamp),
) -> Result<Arc<Plan>, CommandError> {
    let cannot = |source| CommandError::Masks { resource: resource.id.clone(), source };
    // Without a key it does not matter for whom: a plan that makes pseudonyms is refused.
    let anyone = &resource.provider;
    let whom = match department {
        Some(department) => department,
        None if keys.is_empty() => anyone,
        None => {
            let without = Plans::new(loaded.maskers.clone(), PseudonymKeys::default());
            let plan = without.plan(resource, anyone, &preview.fields, now);
            return match plan {
                Err(PlanError::NoKey { .. }) => {
                    Err(CommandError::NoDepartment { resource: resource.id.clone() })
                }
                plan => plan.map(|plan| Arc::clone(&plan.plan)).map_err(cannot),
            };
        }
    };
    let plans = Plans::new(loaded.maskers.clone(), keys);
    let plan = plans.plan(resource, whom, &preview.fields, now).map_err(cannot)?;
    Ok(Arc::clone(&plan.plan))
}

fn unknown<'k>(
    given: &str,
    what: &'static str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> CommandError {
    let help = match did_you_mean(given, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("name {what}"),
    };
    CommandError::Unknown { given: given.to_owned(), what, help }
}

/// The grants that are meant, in file order.
fn grants<'p>(
    ids: &[GrantId],
    loaded: &'p LoadedPolicy,
    resource: &ResourceId,
) -> Result<Vec<&'p Grant>, CommandError> {
    let mut grants = Vec::new();
    for id in ids {
        let grant = loaded.policy.grant(id).ok_or_else(|| {
            let known = loaded.policy.grants().iter().map(|grant| grant.id().as_str());
            unknown(id.as_str(), "a grant of grants.csv", known)
        })?;
        let nothing = |why| CommandError::GivesNothing { grant: id.clone(), resource: resource.clone(), why };
        if grant.effect() == Effect::Deny {
            return Err(nothing("it is a deny line"));
        }
        if !loaded.policy.is_about(grant, resource) {
            return Err(nothing("it is about another resource"));
        }
        grants.push(grant);
    }
    grants.sort_by_key(|grant| grant.line());
    grants.dedup_by_key(|grant| grant.line());
    if grants.len() > 1 && loaded.policy.holders(&grants).next().is_none() {
        let given = |grant: &&Grant| (grant.id().clone(), grant.subject().to_owned());
        return Err(CommandError::Apart { grants: grants.iter().map(given).collect() });
    }
    Ok(grants)
}

/// The scope that is meant, held against the resource. What is wrong with it is shown.
fn scope(
    text: &str,
    loaded: &LoadedPolicy,
    resource: &ResourceId,
    screen: &mut Screen<'_>,
) -> Result<Scope, CommandError> {
    let (problems, scope) = match Scope::parse(text) {
        Ok(scope) => {
            let mut problems = loaded.policy.unfit(resource, &scope);
            problems.extend(scope.items.iter().filter_map(|item| unknown_masker(item, loaded)));
            (problems, Some(scope))
        }
        Err(problems) => (problems, None),
    };
    if let (Some(scope), true) = (scope, problems.is_empty()) {
        return Ok(scope);
    }
    let source = Source::new("--scope", text);
    let mut report = Report::new();
    report.add_source(&source);
    for problem in problems {
        report.push(Diagnostic::error(problem.code, &source, problem.at, problem.message).help(problem.help));
    }
    findings::show(&report, To::Aside, screen)?;
    Err(CommandError::ScopeUnfit { resource: resource.clone() })
}

fn unknown_masker(item: &Item, loaded: &LoadedPolicy) -> Option<Problem> {
    let Some(Treatment::Masked(masker)) = &item.treatment else { return None };
    if loaded.maskers.get(masker).is_some() {
        return None;
    }
    let known = loaded.maskers.iter().map(|(name, _)| name.as_str()).chain(["clear"]);
    let help = match did_you_mean(masker.as_str(), known) {
        Some(near) => format!("did you mean `:{near}`?"),
        None => "write `:clear` or a masker of masks.toml".to_owned(),
    };
    let message = format!("unknown masker `{masker}`");
    Some(Problem::new("unknown-masker", item.at.clone(), message, help))
}

/// The one department whose systems hold all of `grants`.
fn department_of(grants: &[&Grant], loaded: &LoadedPolicy) -> Option<DepartmentId> {
    let mut departments = loaded.policy.holders(grants).map(|(_, department)| department);
    let first = departments.next()?;
    departments.all(|other| other == first).then(|| first.clone())
}
