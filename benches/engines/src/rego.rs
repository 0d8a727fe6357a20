//! regorus with the grants as data, indexed by resource and effect: its interpreter, and its virtual machine
//! for compiled policies.

use std::collections::BTreeMap;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine as Interpreter, Value};
use serde_json::json;

use crate::engine::Engine;
use crate::grants::{Ask, Grants, Terms};

/// The rules; [`CLAUSES`] stand in place of the line `matches`.
const RULES: &str = r#"
package gate

default allow := false

allow if {
    permitted
    not denied
}

permitted if {
    some grant in data.grants[input.resource].allow
    matches
}

denied if {
    some grant in data.grants[input.resource].deny
    matches
}
"#;
/// Written out in both rules: as a function of the grant they take at least a third longer.
const CLAUSES: &str = "grant.purpose == input.purpose
    input.subjects[grant.subject]
    startswith(input.area, grant.area)
    grant.from <= input.second
    input.second < grant.until
    grant.first_day <= input.day
    input.day < grant.last_day
    grant.opens <= input.minute
    input.minute < grant.closes";
const RULE: &str = "data.gate.allow";

fn object(grant: &Terms) -> serde_json::Value {
    let [from, until] = grant.seconds.unwrap_or([0, i64::MAX]);
    let [first_day, last_day] = grant.days.unwrap_or([1, 8]);
    let [opens, closes] = grant.minutes.unwrap_or([0, 24 * 60]);
    json!({
        "subject": grant.subject, "purpose": grant.purpose, "area": grant.area, "from": from, "until": until,
        "first_day": first_day, "last_day": last_day, "opens": opens, "closes": closes,
    })
}

fn data(grants: &Grants) -> String {
    let mut resources: BTreeMap<&str, BTreeMap<&str, Vec<serde_json::Value>>> = BTreeMap::new();
    for grant in &grants.terms {
        let effect = if grant.allows { "allow" } else { "deny" };
        resources.entry(&grant.resource).or_default().entry(effect).or_default().push(object(grant));
    }
    json!({ "grants": resources }).to_string()
}

fn input(ask: &Ask) -> Value {
    let text = json!({
        "subjects": { ask.system.as_str(): true, ask.department.as_str(): true },
        "resource": ask.resource.as_str(), "purpose": ask.purpose.as_str(), "area": ask.area,
        "second": ask.second, "day": ask.day, "minute": ask.minute,
    });
    Value::from_json_str(&text.to_string()).expect("JSON")
}

fn interpreter() -> Interpreter {
    let mut interpreter = Interpreter::new();
    let policy = RULES.replace("matches", CLAUSES);
    interpreter.add_policy("gate.rego".to_owned(), policy).expect("the policy is Rego");
    interpreter
}

pub(crate) struct Interpreted {
    interpreter: Interpreter,
}

impl Engine for Interpreted {
    const NAME: &'static str = "regorus, interpreter";

    type Source = String;
    type Request = Value;

    fn source(grants: &Grants) -> String {
        data(grants)
    }

    fn load(source: &String) -> Self {
        let mut interpreter = interpreter();
        interpreter.add_data_json(source).expect("data");
        // The first evaluation prepares the policy.
        interpreter.set_input(Value::new_object());
        interpreter.eval_rule(RULE.to_owned()).expect("the rule evaluates");
        Self { interpreter }
    }

    fn request(&self, ask: &Ask) -> Value {
        input(ask)
    }

    fn allows(&mut self, request: &Value) -> bool {
        self.interpreter.set_input(request.clone());
        self.interpreter.eval_rule(RULE.to_owned()).expect("the rule evaluates") == Value::from(true)
    }
}

pub(crate) struct Compiled {
    machine: RegoVM,
}

impl Engine for Compiled {
    const NAME: &'static str = "regorus, virtual machine";

    type Source = String;
    type Request = Value;

    fn source(grants: &Grants) -> String {
        data(grants)
    }

    fn load(source: &String) -> Self {
        let policy = interpreter().compile_with_entrypoint(&RULE.into()).expect("the policy compiles");
        let program = Compiler::compile_from_policy(&policy, &[RULE]).expect("the policy compiles");
        let mut machine = RegoVM::new_with_policy(policy);
        machine.load_program(program);
        machine.set_data(Value::from_json_str(source).expect("JSON")).expect("data");
        // Its bound of 25,000 is for policies of strangers.
        machine.set_max_instructions(usize::MAX);
        Self { machine }
    }

    fn request(&self, ask: &Ask) -> Value {
        input(ask)
    }

    fn allows(&mut self, request: &Value) -> bool {
        self.machine.set_input(request.clone());
        self.machine.execute().expect("the rule evaluates") == Value::from(true)
    }
}
