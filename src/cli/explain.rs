//! `pinegate explain`: why would this request be allowed or refused?

mod advice;
mod record;
mod request;
mod show;

use std::path::PathBuf;

use clap::Args;

use super::source::SourceArgs;
use super::when::When;
use super::{CommandError, Exit, Screen, verdict};
use crate::app::load::LoadedPolicy;
use crate::catalog::{Catalog, Sharing, System};
use crate::grant::Request;
use crate::kernel::diagnostic::did_you_mean;
use crate::kernel::id::{Action, GrantId, ParameterName, PurposeCode, RequestId, ResourceId, SystemId};
use crate::kernel::time::{Clock, TimeZone, Timestamp};
use crate::policy::Explanation;
use crate::policy::advice::{Advice, Ground};
use crate::proxy::problem::Code;
use record::Told;
use request::Given;
pub(super) use show::line as show_line;

/// Say why a request would be allowed or refused
///
/// Decides one request as the gate would with these files, then holds every line of grants.csv that
/// is given to the system about the resource against it, clause by clause, and for a refusal says what
/// would be the shortest change, on either side. Limits are not counted and nothing is sent. Values of
/// parameters that may not stand in a record are not shown.
///
/// The request is given as flags, as JSON with --request, or with --record as the id of one in the
/// audit log, which is then decided as of the instant it came.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate explain --system sys:minzheng-aid --resource population.resident --action query \\
      --purpose social-aid.review --param area=341002
  … --fields 'name|phone'                only these fields are asked for
  … --at 2026-10-01T09:00                on a holiday, in the configured zone
  … --policies policies                  a policy directory alone
  … --json | jq .code                    the code that a caller would get
  pinegate explain --record 019a2b3c-…   the X-Request-Id of a reply
  pinegate explain --request request.json
  echo '{\"system\": \"sys:minzheng-aid\", \"resource\": \"population.resident\",
      \"purpose\": \"social-aid.review\", \"parameters\": {\"area\": \"341002\"}}' | pinegate explain --request -

A request as JSON has `system`, `resource` and `purpose`, and may have `action`, `fields` (a list),
`parameters` (each a text, or a list if it comes several times), `token_grants` (a list) and `at`.

Exit codes: 0 allowed, 1 refused, or its record does not say enough, 2 the request cannot be read.")]
pub(super) struct ExplainArgs {
    /// The system that asks
    #[arg(long, value_parser = SystemId::parse, required_unless_present_any = ["request", "record"])]
    system: Option<SystemId>,
    /// The resource it asks for
    #[arg(long, value_parser = ResourceId::parse, required_unless_present_any = ["request", "record"])]
    resource: Option<ResourceId>,
    /// What it does with the resource
    #[arg(long, value_parser = Action::parse, default_value = "query")]
    action: Action,
    /// Why it asks
    #[arg(long, value_parser = PurposeCode::parse, required_unless_present_any = ["request", "record"])]
    purpose: Option<PurposeCode>,
    /// The fields it asks for, as in a scope [default: all that is granted]
    #[arg(long, value_name = "FIELD|FIELD", value_delimiter = '|')]
    fields: Vec<String>,
    /// A request parameter; given twice it counts as doubled. With --record, a value that the record
    /// leaves out
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(ParameterName, String)>,
    /// A grant that the token names; may be given several times
    #[arg(long = "grant", value_name = "GRANT", value_parser = GrantId::parse)]
    grants: Vec<GrantId>,
    /// When: an instant, or a local time in the configured zone [default: now]
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    at: Option<When>,
    /// The request as JSON in a file, `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["system", "resource", "action", "purpose", "fields", "parameters", "grants", "at", "record"])]
    request: Option<PathBuf>,
    /// The request of this id in the audit log, as of the instant it came
    #[arg(long, value_name = "ID", conflicts_with_all = ["system", "resource", "action", "purpose", "fields", "grants", "at"])]
    record: Option<RequestId>,
    /// With --record: the directory of the audit log [default: what the configuration says]
    #[arg(long, value_name = "DIR", requires = "record", conflicts_with = "request")]
    audit: Option<PathBuf>,
    /// Show every line that was held against the request, not only those that matter
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    source: SourceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn parameter(text: &str) -> Result<(ParameterName, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected `name=value`")?;
    let name = ParameterName::parse(name).map_err(|error| error.to_string())?;
    Ok((name, value.to_owned()))
}

/// What is to be explained.
#[derive(Debug)]
struct Explained {
    request: Request,
    at: Timestamp,
    /// What its record says, if it comes from one.
    told: Option<Told>,
}

/// What a request comes to at the gate.
#[derive(Debug)]
struct Answer<'a> {
    /// Whether every line is shown.
    all: bool,
    explained: Explained,
    zone: &'a TimeZone,
    catalog: &'a Catalog,
    /// The digest of the policy that answers.
    policy: String,
    explanation: Explanation,
    /// The code of the refusal; `None` if it is allowed.
    code: Option<Code>,
    /// What would help, beyond the clauses.
    hints: Vec<String>,
    advice: Advice,
}

impl Answer<'_> {
    /// The parameters whose values its record does not have.
    fn unknown(&self) -> &[ParameterName] {
        self.explained.told.as_ref().map_or(&[], |told| &told.unknown)
    }

    /// Whether its record does not say enough for an answer.
    fn is_undetermined(&self) -> bool {
        self.explained.told.as_ref().is_some_and(|told| told.undetermined)
    }
}

pub(super) fn run(
    args: &ExplainArgs,
    clock: &dyn Clock,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let policy = args.source.origin().policy(clock, screen)?;
    let explained = explained(args, &policy, clock, screen)?;
    let answer = answer(args, explained, &policy)?;
    if args.json {
        show::json(&answer, screen)?;
    } else {
        show::text(&answer, screen)?;
    }
    let is_allowed = answer.code.is_none() && !answer.is_undetermined();
    Ok(if is_allowed { Exit::Fine } else { Exit::Refused })
}

/// The request that is meant, in whichever way it is given.
fn explained(
    args: &ExplainArgs,
    loaded: &LoadedPolicy,
    clock: &dyn Clock,
    screen: &mut Screen<'_>,
) -> Result<Explained, CommandError> {
    let zone = &loaded.policy.frame().zone;
    let parameters = parameters(&args.parameters);
    let instant = |at: Option<When>| match at {
        Some(at) => at.instant(zone),
        None => Ok(whole_second(clock.now())),
    };
    if let Some(id) = args.record {
        return record::explained(record::find(id, args, screen)?, &parameters, loaded);
    }
    if let Some(path) = &args.request {
        let Given { request, at } = request::read(path)?;
        return Ok(Explained { request, at: instant(at)?, told: None });
    }
    let (Some(system), Some(resource), Some(purpose)) = (&args.system, &args.resource, &args.purpose) else {
        // clap asks for them.
        return Err(CommandError::Unknown {
            given: String::new(),
            what: "a request",
            help: "give `--system`, `--resource` and `--purpose`".to_owned(),
        });
    };
    let request = Request {
        system: system.clone(),
        resource: resource.clone(),
        action: args.action.clone(),
        purpose: purpose.clone(),
        fields: args.fields.clone(),
        parameters,
        narrowed_to: (!args.grants.is_empty()).then(|| args.grants.clone()),
    };
    Ok(Explained { request, at: instant(args.at)?, told: None })
}

fn answer<'a>(
    args: &ExplainArgs,
    explained: Explained,
    loaded: &'a LoadedPolicy,
) -> Result<Answer<'a>, CommandError> {
    let catalog = &loaded.vocabulary.catalog;
    let Explained { request, at, .. } = &explained;
    let system = system(catalog, &request.system)?;
    let explanation = loaded.policy.explain(&request.query(&system.department), *at);
    let code = verdict::code(catalog, request, &explanation.decision);
    let hints = hints(request, loaded, system);
    let ground = Ground {
        policy: &loaded.policy,
        catalog,
        grants: loaded.files.grants(),
        maskers: &loaded.vocabulary.masker_names(),
    };
    let undetermined = explained.told.as_ref().is_some_and(|told| told.undetermined);
    // Of a request that is not known nobody can say what would help.
    let is_known = explained.told.as_ref().is_none_or(|told| told.unknown.is_empty());
    let advice = if code.is_some() && !undetermined && is_known {
        ground.advise(request, *at)
    } else {
        Advice::default()
    };
    let policy = loaded.files.digest().to_hex();
    let zone = &loaded.policy.frame().zone;
    Ok(Answer { all: args.all, explained, zone, catalog, policy, explanation, code, hints, advice })
}

/// Fractions of a second are noise to a reader.
fn whole_second(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

fn system<'c>(catalog: &'c Catalog, id: &SystemId) -> Result<&'c System, CommandError> {
    let systems = &catalog.registry.systems;
    systems.get(id).map(|system| &**system).ok_or_else(|| CommandError::Unknown {
        given: id.to_string(),
        what: "a system of `registry.toml`",
        help: did_you_mean(id.as_str(), systems.keys().map(SystemId::as_str)).map_or_else(
            || "a certificate that names no registered system is refused with `identity-unknown`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        ),
    })
}

/// Every value of each parameter, as a request brings them.
fn parameters(given: &[(ParameterName, String)]) -> Vec<(ParameterName, Vec<String>)> {
    let mut parameters: Vec<(ParameterName, Vec<String>)> = Vec::new();
    for (name, value) in given {
        match parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value.clone()),
            None => parameters.push((name.clone(), vec![value.clone()])),
        }
    }
    parameters
}

fn hints(request: &Request, loaded: &LoadedPolicy, system: &System) -> Vec<String> {
    let catalog = &loaded.vocabulary.catalog;
    let mut hints = Vec::new();
    let mut unknown = |given: &str, what: &str, near: Option<&str>| {
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        hints.push(format!("`{given}` is not {what}{near}"));
    };
    let (purposes, resources) = (&catalog.purposes, &catalog.resources);
    if !purposes.contains_key(&request.purpose) {
        let near = did_you_mean(request.purpose.as_str(), purposes.keys().map(PurposeCode::as_str));
        unknown(request.purpose.as_str(), "a purpose of `purposes.toml`", near);
    }
    let resource = resources.get(&request.resource);
    if let Some(resource) = resource {
        if !resource.actions.contains(&request.action) {
            let near = did_you_mean(request.action.as_str(), resource.actions.iter().map(Action::as_str));
            unknown(request.action.as_str(), "an action of this resource", near);
        }
        for (name, _) in &request.parameters {
            if resource.parameter(name.as_str()).is_none() {
                let known = resource.parameters.iter().map(|known| known.name.as_str());
                unknown(name.as_str(), "a parameter of this resource", did_you_mean(name.as_str(), known));
            }
        }
    } else {
        let near = did_you_mean(request.resource.as_str(), resources.keys().map(ResourceId::as_str));
        unknown(request.resource.as_str(), "a resource of `catalog.toml`", near);
    }
    for grant in request.narrowed_to.iter().flatten() {
        if loaded.policy.grant(grant).is_none() {
            let known = loaded.policy.grants().iter().map(|grant| grant.id().as_str());
            unknown(grant.as_str(), "a grant of `grants.csv`", did_you_mean(grant.as_str(), known));
        }
    }
    if resource.is_some_and(|resource| resource.sharing == Sharing::None) {
        let resource = &request.resource;
        hints.push(format!(
            "`{resource}` is not shared at all: callers are told that there is no such resource"
        ));
    }
    if !system.enabled {
        hints.push(format!(
            "`{}` is disabled in `registry.toml`: the gate refuses its certificate",
            system.id
        ));
    }
    hints
}
