//! The definitions of a model that one enforcer decides by.

use std::collections::HashSet;
use std::ops::Range;

use super::effect::Combination;
use super::function::Function;
use super::graph::Shape;
use super::token::{Place, prepared};
use super::{Context, Options};
use crate::kernel::diagnostic::{Diagnostic, Source, did_you_mean};
use crate::policy::model::{Definition, Model, Section};
use crate::policy::problem::Problem;

/// One of `g`, `g2`, ….
#[derive(Debug)]
pub(super) struct RoleDefinition {
    pub(super) key: String,
    /// How many fields a line has after the section.
    pub(super) columns: usize,
    /// Whether the last two fields of a line say from when to when the link holds.
    pub(super) has_conditions: bool,
    pub(super) shape: Shape,
}

/// One of `p`, `p2`, ….
#[derive(Debug)]
pub(super) struct PolicyDefinition {
    pub(super) key: String,
    /// `p_sub`, `p_obj`, …
    pub(super) columns: Vec<String>,
}

impl PolicyDefinition {
    /// The column called `name`.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        let name = format!("{}_{name}", self.key);
        self.columns.iter().position(|column| *column == name)
    }
}

/// What a model defines, and which of it counts.
#[derive(Debug)]
pub(super) struct Definitions {
    pub(super) request: Vec<String>,
    pub(super) policies: Vec<PolicyDefinition>,
    pub(super) roles: Vec<RoleDefinition>,
    /// Which of `policies` requests are held against.
    pub(super) policy: usize,
    pub(super) combination: Combination,
    /// Whether lines are sorted by the hierarchy of subjects, which `e` alone says.
    pub(super) is_by_subject: bool,
    pub(super) matcher: Definition,
    /// Whether Casbin finds the policy's name in the matcher; else it asks once, without any line.
    pub(super) speaks_of_lines: bool,
}

pub(super) struct Reader<'r> {
    pub(super) model: &'r Model,
    pub(super) source: &'r Source,
    pub(super) options: &'r Options,
    pub(super) findings: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn report(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings.push(Diagnostic::error(code, self.source, at, message).help(help));
    }

    /// Everything that counts; `None` if something is not there. Findings say more.
    pub(super) fn read(&mut self) -> Option<Definitions> {
        self.gaps();
        let Context { request, policy, effect, matcher } = &self.options.context;
        let (request, policy) =
            (self.definition(request, Section::Request), self.definition(policy, Section::Policy));
        let (effect, matcher) =
            (self.definition(effect, Section::Effect), self.definition(matcher, Section::Matcher));
        let (request, policy, effect, matcher) = (request?, policy?, effect?, matcher?);
        let combination = self.combination(&effect);
        let of = |section: Section| {
            let all = self.model.definitions.iter();
            all.filter(move |definition| definition.section == section).cloned().collect::<Vec<Definition>>()
        };
        let (policy_definitions, role_definitions) = (of(Section::Policy), of(Section::Role));
        let policies: Vec<PolicyDefinition> = policy_definitions
            .iter()
            .map(|definition| PolicyDefinition {
                key: definition.key.clone(),
                columns: self.columns(definition),
            })
            .collect();
        let place = policies.iter().position(|other| other.key == policy.key)?;
        let request_columns = self.columns(&request);
        let ready = prepared(&matcher.value, Place::Matcher);
        let by_name = self.domains_by_name(&ready);
        let roles = role_definitions.iter().filter_map(|role| self.role(role, by_name)).collect();
        self.unused_options(&role_definitions);
        let is_by_subject = self
            .model
            .definition("e")
            .is_some_and(|e| Combination::read(&e.value) == Some(Combination::SubjectPriority));
        Some(Definitions {
            request: request_columns,
            speaks_of_lines: ready.contains(&format!("{}_", policy.key)),
            policies,
            roles,
            policy: place,
            combination: combination?,
            is_by_subject,
            matcher,
        })
    }

    /// Casbin reads `p`, `p2`, … up to the first that is missing and passes over the rest.
    fn gaps(&mut self) {
        let numbered = |definition: &Definition| {
            let number = definition.key.strip_prefix(definition.section.letter()).unwrap_or("");
            if number.is_empty() { Some(1) } else { number.parse::<u32>().ok() }
        };
        let mut findings = Vec::new();
        for definition in &self.model.definitions {
            let letter = definition.section.letter();
            let Some(number) = numbered(definition).filter(|&number| number > 1) else { continue };
            let before = if number == 2 { letter.to_owned() } else { format!("{letter}{}", number - 1) };
            if self.model.definition(&before).is_none() {
                let message = format!("`{}` without `{before}`", definition.key);
                let help = "Casbin passes over what comes after a gap: number without gaps";
                findings.push(
                    Diagnostic::error("gap-in-numbers", self.source, definition.span.clone(), message)
                        .help(help),
                );
            }
        }
        self.findings.extend(findings);
    }

    fn definition(&mut self, key: &str, section: Section) -> Option<Definition> {
        let found = self.model.definition(key).filter(|definition| definition.section == section).cloned();
        if found.is_none() {
            let message = format!("the model has no `{key}`");
            let help = format!("define `{key}` in `[{}]`, or choose another context", section.as_str());
            self.report("missing-definition", 0..0, message, help);
        }
        found
    }

    fn combination(&mut self, effect: &Definition) -> Option<Combination> {
        let found = Combination::read(&effect.value);
        if found.is_none() {
            let known =
                Combination::ALL.map(|known| format!("`{}`", known.as_str().replace("p_eft", "p.eft")));
            let message = format!("unknown policy effect `{}`", effect.value);
            let help =
                format!("Casbin compares to the letter, spaces and all; it knows {}", known.join(", "));
            self.report("unknown-effect", effect.span.clone(), message, help);
        }
        found
    }

    fn columns(&mut self, definition: &Definition) -> Vec<String> {
        let mut known = HashSet::new();
        let mut columns = Vec::new();
        for name in definition.value.split(',').map(str::trim) {
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                let message = format!("`{name}` cannot be the name of a column");
                self.report(
                    "column-name",
                    definition.span.clone(),
                    message,
                    "names are of letters, digits and `_`",
                );
            } else if !known.insert(name) {
                let message = format!("two columns called `{name}`");
                self.report("column-name", definition.span.clone(), message, "give each its own name");
            }
            columns.push(format!("{}_{name}", definition.key));
        }
        columns
    }

    /// Casbin matches domains by `keyMatch` where the matcher says so of the second columns.
    fn domains_by_name(&self, matcher: &str) -> bool {
        let second = |key: &str| {
            let definition = self.model.definition(key)?;
            Some(format!("{key}_{}", definition.value.split(',').nth(1)?.trim()))
        };
        let is_main = self.options.context.matcher == "m";
        let main = self.model.definition("m").map(|m| prepared(&m.value, Place::Matcher)).unwrap_or_default();
        let matcher = if is_main { matcher } else { &main };
        match (second("r"), second("p")) {
            (Some(request), Some(policy)) => matcher.contains(&format!("keyMatch({request}, {policy})")),
            _ => false,
        }
    }

    fn role(&mut self, definition: &Definition, domains_by_name: bool) -> Option<RoleDefinition> {
        let value: String = definition.value.chars().filter(|c| !c.is_whitespace()).collect();
        let (columns, has_domains, has_conditions) = match value.as_str() {
            "_,_" => (2, false, false),
            "_,_,_" => (3, true, false),
            "_,_,(_,_)" => (4, false, true),
            "_,_,_,(_,_)" => (5, true, true),
            _ => {
                let message = format!("unknown role definition `{}`", definition.value);
                let help = "role definitions are `_, _`, `_, _, _` and, with times, `_, _, (_, _)` and `_, _, _, (_, _)`";
                self.report("role-definition", definition.span.clone(), message, help);
                return None;
            }
        };
        let key = definition.key.clone();
        let of = |all: &[(String, Function)]| all.iter().find(|(role, _)| *role == key).map(|(_, f)| *f);
        let matching = of(&self.options.role_matching);
        let by_name = (has_domains && domains_by_name).then_some(Function::KeyMatch);
        let domain_matching = of(&self.options.domain_matching).or(by_name);
        if has_conditions && !self.options.timed_roles.contains(&key) {
            let message = format!("`{key}` has roles with times, and nothing says what the times mean");
            let help = format!(
                "`--link-condition {key}=TimeMatch` reads them as from when to when a role is held, in UTC"
            );
            self.report("conditional-roles", definition.span.clone(), message, help);
        }
        if has_conditions && (matching.is_some() || domain_matching.is_some()) {
            let message = format!("`{key}` has roles with times and names that are patterns");
            self.report("conditional-roles", definition.span.clone(), message, "use one or the other");
        }
        if domain_matching.is_some() && !has_domains {
            let message = format!("`{key}` has no domains to match");
            self.report("role-definition", definition.span.clone(), message, "define it as `_, _, _`");
        }
        Some(RoleDefinition {
            key,
            columns,
            has_conditions,
            shape: Shape { has_domains, matching, domain_matching },
        })
    }

    fn unused_options(&mut self, roles: &[Definition]) {
        let matching = self.options.role_matching.iter().chain(&self.options.domain_matching);
        let named: Vec<String> =
            matching.map(|(role, _)| role.clone()).chain(self.options.timed_roles.iter().cloned()).collect();
        for name in named {
            if !roles.iter().any(|role| role.key == name) {
                let near = did_you_mean(&name, roles.iter().map(|role| role.key.as_str()));
                let help = near.map_or_else(
                    || "name a role definition of the model".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                self.report("unknown-role", 0..0, format!("the model has no role definition `{name}`"), help);
            }
        }
    }
}

/// A finding about a part of a definition's value.
pub(super) fn within(source: &Source, definition: &Definition, problem: Problem) -> Diagnostic {
    let Problem { code, at, message, help } = problem;
    // Where the value was put together from several lines its parts are not where they were.
    let written = source.text.get(definition.span.clone()).and_then(|text| text.find(&definition.value));
    let at = match written {
        Some(offset) => {
            let start = definition.span.start + offset;
            start + at.start..start + at.end
        }
        None => definition.span.clone(),
    };
    Diagnostic::error(code, source, at, message).help(help)
}
