//! `pinegate explain`: why would this request be allowed or refused?

mod show;

pub(super) use show::local;

use clap::Args;

use super::source::SourceArgs;
use super::when::When;
use super::{CommandError, Exit, Screen};
use crate::app::assemble::LoadedPolicy;
use crate::catalog::{Catalog, Sharing, System};
use crate::grant::{Decision, DenyReason, Query};
use crate::kernel::diagnostic::did_you_mean;
use crate::kernel::id::{Action, GrantId, ParameterName, PurposeCode, ResourceId, SystemId};
use crate::kernel::time::{Clock, TimeZone, Timestamp};
use crate::policy::Explanation;
use crate::proxy::denial_code;
use crate::proxy::problem::Code;

/// Say why a request would be allowed or refused
///
/// Decides one request as the gate would with these files, then holds every line of grants.csv that
/// is given to the system about the resource against it, clause by clause. Limits are not counted and
/// nothing is sent. Values of parameters that may not stand in a record are not shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate explain --system sys:minzheng-aid --resource population.resident --action query \\
      --purpose social-aid.review --param area=341002
  … --fields 'name|phone'                only these fields are asked for
  … --at 2026-10-01T09:00                on a holiday, in the configured zone
  … --policies policies                  a policy directory alone
  … --json | jq .code                    the code that a caller would get

Exit codes: 0 allowed, 1 refused.")]
pub(super) struct ExplainArgs {
    /// The system that asks
    #[arg(long, value_parser = SystemId::parse)]
    system: SystemId,
    /// The resource it asks for
    #[arg(long, value_parser = ResourceId::parse)]
    resource: ResourceId,
    /// What it does with the resource
    #[arg(long, value_parser = Action::parse, default_value = "query")]
    action: Action,
    /// Why it asks
    #[arg(long, value_parser = PurposeCode::parse)]
    purpose: PurposeCode,
    /// The fields it asks for, as in a scope [default: all that is granted]
    #[arg(long, value_name = "FIELD|FIELD", value_delimiter = '|')]
    fields: Vec<String>,
    /// A request parameter; given twice it counts as doubled
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(ParameterName, String)>,
    /// A grant that the token names; may be given several times
    #[arg(long = "grant", value_name = "GRANT", value_parser = GrantId::parse)]
    grants: Vec<GrantId>,
    /// When: an instant, or a local time in the configured zone [default: now]
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    at: Option<When>,
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

/// What a request comes to at the gate.
#[derive(Debug)]
struct Answer<'a> {
    args: &'a ExplainArgs,
    at: Timestamp,
    zone: &'a TimeZone,
    catalog: &'a Catalog,
    explanation: Explanation,
    /// The code of the refusal; `None` if it is allowed.
    code: Option<Code>,
    /// What would help, beyond the clauses.
    hints: Vec<String>,
}

pub(super) fn run(
    args: &ExplainArgs,
    clock: &dyn Clock,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let policy = args.source.origin().policy(clock, screen)?;
    let answer = answer(args, &policy, clock)?;
    if args.json {
        show::json(&answer, screen)?;
    } else {
        show::text(&answer, screen)?;
    }
    Ok(if answer.code.is_none() { Exit::Fine } else { Exit::Refused })
}

fn answer<'a>(
    args: &'a ExplainArgs,
    loaded: &'a LoadedPolicy,
    clock: &dyn Clock,
) -> Result<Answer<'a>, CommandError> {
    let catalog = &loaded.vocabulary.catalog;
    let zone = &loaded.policy.frame().zone;
    let at = match args.at {
        Some(at) => at.instant(zone)?,
        None => whole_second(clock.now()),
    };
    let system = system(catalog, &args.system)?;
    let parameters = parameters(&args.parameters);
    let explanation = loaded.policy.explain(
        &Query {
            system: &args.system,
            department: &system.department,
            resource: &args.resource,
            action: &args.action,
            purpose: &args.purpose,
            fields: &args.fields,
            parameters: &parameters,
            narrowed_to: (!args.grants.is_empty()).then_some(args.grants.as_slice()),
        },
        at,
    );
    let code = code(args, catalog, system, &explanation.decision);
    let hints = hints(args, loaded, system);
    Ok(Answer { args, at, zone, catalog, explanation, code, hints })
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

/// The code the gate would answer with. It looks at route, system and purpose before it decides.
fn code(args: &ExplainArgs, catalog: &Catalog, system: &System, decision: &Decision) -> Option<Code> {
    let Decision::Denial(denial) = decision else { return None };
    Some(if denial.reason == DenyReason::ResourceUnknown {
        Code::ResourceUnknown
    } else if !system.enabled {
        Code::IdentityDisabled
    } else if !catalog.purposes.contains_key(&args.purpose) {
        Code::PurposeUnknown
    } else {
        denial_code(denial.reason)
    })
}

fn hints(args: &ExplainArgs, loaded: &LoadedPolicy, system: &System) -> Vec<String> {
    let catalog = &loaded.vocabulary.catalog;
    let mut hints = Vec::new();
    let mut unknown = |given: &str, what: &str, near: Option<&str>| {
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        hints.push(format!("`{given}` is not {what}{near}"));
    };
    let (purposes, resources) = (&catalog.purposes, &catalog.resources);
    if !purposes.contains_key(&args.purpose) {
        let near = did_you_mean(args.purpose.as_str(), purposes.keys().map(PurposeCode::as_str));
        unknown(args.purpose.as_str(), "a purpose of `purposes.toml`", near);
    }
    let resource = resources.get(&args.resource);
    if let Some(resource) = resource {
        if !resource.actions.contains(&args.action) {
            let near = did_you_mean(args.action.as_str(), resource.actions.iter().map(Action::as_str));
            unknown(args.action.as_str(), "an action of this resource", near);
        }
        for (name, _) in &args.parameters {
            if resource.parameter(name.as_str()).is_none() {
                let known = resource.parameters.iter().map(|known| known.name.as_str());
                unknown(name.as_str(), "a parameter of this resource", did_you_mean(name.as_str(), known));
            }
        }
    } else {
        let near = did_you_mean(args.resource.as_str(), resources.keys().map(ResourceId::as_str));
        unknown(args.resource.as_str(), "a resource of `catalog.toml`", near);
    }
    for grant in &args.grants {
        if loaded.policy.grant(grant).is_none() {
            let known = loaded.policy.grants().iter().map(|grant| grant.id().as_str());
            unknown(grant.as_str(), "a grant of `grants.csv`", did_you_mean(grant.as_str(), known));
        }
    }
    if resource.is_some_and(|resource| resource.sharing == Sharing::None) {
        let resource = &args.resource;
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
