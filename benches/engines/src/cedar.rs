//! Cedar with one policy a grant: all in one set, and sliced, where the host program keeps a set for each
//! resource and chooses before it asks. A clause that a grant does not narrow is not written.

use std::collections::HashMap;
use std::fmt::Write as _;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};

use crate::engine::Engine;
use crate::grants::{Ask, Grants, Terms};

fn uid(kind: &str, id: &str) -> EntityUid {
    format!("{kind}::\"{id}\"").parse().expect("an entity")
}

fn policy(grant: &Terms) -> String {
    let effect = if grant.allows { "permit" } else { "forbid" };
    let subject = &grant.subject;
    let principal = if subject.starts_with("dept:") {
        format!("principal in Department::\"{subject}\"")
    } else {
        format!("principal == System::\"{subject}\"")
    };
    let resource = &grant.resource;
    let mut conditions = vec![format!("context.purpose == \"{}\"", grant.purpose)];
    if !grant.area.is_empty() {
        conditions.push(format!("context.area like \"{}*\"", grant.area));
    }
    for (name, range) in [("second", grant.seconds), ("day", grant.days), ("minute", grant.minutes)] {
        if let Some([from, until]) = range {
            conditions.push(format!("context.{name} >= {from} && context.{name} < {until}"));
        }
    }
    let conditions = conditions.join(" && ");
    format!("{effect}({principal}, action, resource == Resource::\"{resource}\") when {{ {conditions} }};\n")
}

/// Who asks, of whose department, and the authorizer.
struct Host {
    authorizer: Authorizer,
    entities: Entities,
}

impl Host {
    fn new(members: &[(String, String)]) -> Self {
        let mut entities = HashMap::new();
        for (system, department) in members {
            let department = uid("Department", department);
            let system = Entity::new_no_attrs(uid("System", system), [department.clone()].into());
            entities.insert(system.uid(), system);
            entities.insert(department.clone(), Entity::new_no_attrs(department, [].into()));
        }
        let entities = Entities::from_entities(entities.into_values(), None).expect("departments of systems");
        Self { authorizer: Authorizer::new(), entities }
    }

    fn allows(&self, policies: &PolicySet, request: &Request) -> bool {
        let response = self.authorizer.is_authorized(request, policies, &self.entities);
        response.decision() == Decision::Allow
    }
}

fn request(ask: &Ask) -> Request {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let context = Context::from_pairs([
        ("purpose".to_owned(), text(ask.purpose.as_str())),
        ("area".to_owned(), text(ask.area)),
        ("second".to_owned(), RestrictedExpression::new_long(ask.second)),
        ("day".to_owned(), RestrictedExpression::new_long(ask.day)),
        ("minute".to_owned(), RestrictedExpression::new_long(ask.minute)),
    ]);
    let (system, resource) = (uid("System", ask.system.as_str()), uid("Resource", ask.resource.as_str()));
    Request::new(system, uid("Action", "query"), resource, context.expect("a context"), None)
        .expect("a request")
}

pub(crate) struct Naive {
    host: Host,
    policies: PolicySet,
}

impl Engine for Naive {
    const NAME: &'static str = "Cedar, one set";

    type Source = (String, Vec<(String, String)>);
    type Request = Request;

    fn source(grants: &Grants) -> Self::Source {
        (grants.terms.iter().map(policy).collect(), grants.members.clone())
    }

    fn load((policies, members): &Self::Source) -> Self {
        Self { host: Host::new(members), policies: policies.parse().expect("policies") }
    }

    fn request(&self, ask: &Ask) -> Request {
        request(ask)
    }

    fn allows(&mut self, request: &Request) -> bool {
        self.host.allows(&self.policies, request)
    }
}

pub(crate) struct Sliced {
    host: Host,
    slices: HashMap<String, PolicySet>,
    nothing: PolicySet,
}

impl Engine for Sliced {
    const NAME: &'static str = "Cedar, a set for each resource";

    type Source = (HashMap<String, String>, Vec<(String, String)>);
    type Request = (String, Request);

    fn source(grants: &Grants) -> Self::Source {
        let mut slices: HashMap<String, String> = HashMap::new();
        for grant in &grants.terms {
            let slice = slices.entry(grant.resource.clone()).or_default();
            slice.write_str(&policy(grant)).expect("a string takes any text");
        }
        (slices, grants.members.clone())
    }

    fn load((slices, members): &Self::Source) -> Self {
        let slices =
            slices.iter().map(|(resource, text)| (resource.clone(), text.parse().expect("policies")));
        Self { host: Host::new(members), slices: slices.collect(), nothing: PolicySet::new() }
    }

    fn request(&self, ask: &Ask) -> Self::Request {
        (ask.resource.to_string(), request(ask))
    }

    fn allows(&mut self, (resource, request): &Self::Request) -> bool {
        self.host.allows(self.slices.get(resource).unwrap_or(&self.nothing), request)
    }
}
