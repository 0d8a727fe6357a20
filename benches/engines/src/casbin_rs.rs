//! casbin-rs by itself: one enforcer with all lines. The clauses stand in the order that costs it least, and
//! the area and the window are functions in Rust: one comparison in its script language settles most lines.

use std::fmt::Write as _;

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::rhai::Dynamic;
use casbin::{CoreApi as _, DefaultModel, Enforcer, StringAdapter};
use tokio::runtime::Builder;

use crate::engine::Engine;
use crate::grants::{Ask, Grants};

const MODEL: &str = r#"
[request_definition]
r = sub, res, purpose, area, now

[policy_definition]
p = sub, res, purpose, area, window, eft

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.res == p.res && r.purpose == p.purpose && g(r.sub, p.sub) && in_area(r.area, p.area) && in_window(r.now, p.window)
"#;

pub(crate) struct Casbin {
    enforcer: Enforcer,
}

impl Engine for Casbin {
    const NAME: &'static str = "casbin-rs";

    type Source = String;
    type Request = Vec<String>;

    fn source(grants: &Grants) -> String {
        let mut text = String::new();
        for grant in &grants.terms {
            // A star for what is not narrowed, and behind what an area begins with: no column is empty.
            let window: Vec<String> = [grant.seconds, grant.days, grant.minutes]
                .map(|range| range.map_or("*".to_owned(), |[from, until]| format!("{from}-{until}")))
                .to_vec();
            writeln!(
                text,
                "p, {}, {}, {}, {}*, {}, {}",
                grant.subject,
                grant.resource,
                grant.purpose,
                grant.area,
                window.join(" "),
                if grant.allows { "allow" } else { "deny" }
            )
            .expect("a string takes any text");
        }
        for (system, department) in &grants.members {
            writeln!(text, "g, {system}, {department}").expect("a string takes any text");
        }
        text
    }

    fn load(source: &String) -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let mut enforcer = runtime
            .block_on(async {
                Enforcer::new(DefaultModel::from_str(MODEL).await?, StringAdapter::new(source)).await
            })
            .expect("casbin-rs takes the policy");
        enforcer.add_function("in_area", OperatorFunction::Arg2(in_area));
        enforcer.add_function("in_window", OperatorFunction::Arg2(in_window));
        Self { enforcer }
    }

    fn request(&self, ask: &Ask) -> Vec<String> {
        let now = format!("{} {} {}", ask.second, ask.day, ask.minute);
        let (resource, purpose) = (ask.resource.to_string(), ask.purpose.to_string());
        vec![ask.system.to_string(), resource, purpose, ask.area.to_owned(), now]
    }

    fn allows(&mut self, request: &Vec<String>) -> bool {
        // It wants texts of its own: five copies, next to nothing beside the lines.
        self.enforcer.enforce(request.clone()).expect("casbin-rs evaluates every line")
    }
}

fn in_area(area: Dynamic, granted: Dynamic) -> Dynamic {
    dynamic_to_str(&area).starts_with(dynamic_to_str(&granted).trim_end_matches('*')).into()
}

fn in_window(now: Dynamic, window: Dynamic) -> Dynamic {
    let number = |text: &str| text.parse::<i64>().expect("a number");
    let (now, window) = (dynamic_to_str(&now), dynamic_to_str(&window));
    let is_in = now.split(' ').zip(window.split(' ')).all(|(now, range)| {
        range.split_once('-').is_none_or(|(from, until)| (number(from)..number(until)).contains(&number(now)))
    });
    is_in.into()
}
