//! casbin-rs as the judge of our own engine.
//!
//! Lines and requests are turned into self-contained text (scopes expanded on the resource,
//! windows as instants in UTC) and put to a casbin enforcer of the same model. The functions that
//! the matcher calls are written here a second time, over that text alone, so that a mistake in
//! the engine is not repeated in its judge.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, Model as _};
use jiff::civil::{DateTime, Weekday};

use super::Policy;
use super::model::Model;
use super::terms::Grant;
use super::vocabulary::Place;
use crate::grant::{Effect, Query};
use crate::kernel::time::Timestamp;

mod sample;

#[cfg(test)]
pub(in crate::policy) use sample::Dice;
pub(crate) use sample::self_test;

/// Why the judge gives no verdict, or not ours.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// casbin refused the model, or failed to evaluate a line.
    #[error("casbin cannot evaluate the policy")]
    Casbin(#[from] casbin::Error),
    /// casbin waits for something, which it never should.
    #[error("casbin did not answer at once")]
    NotReady,
    /// The engine and casbin differ.
    #[error("the engine and casbin differ on {what}: engine {ours}, casbin {theirs}")]
    Mismatch {
        /// The line and request, or the request.
        what: String,
        /// What the engine says.
        ours: bool,
        /// What casbin says.
        theirs: bool,
    },
}

/// A casbin enforcer with the policy's roles and, one question at a time, some of its lines.
pub struct Oracle {
    enforcer: Enforcer,
}

impl fmt::Debug for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oracle").finish_non_exhaustive()
    }
}

impl Oracle {
    /// An enforcer for `model` with the roles of `policy`.
    ///
    /// # Errors
    /// When casbin does not take the model.
    pub fn new(policy: &Policy, model: &Model) -> Result<Self, OracleError> {
        let mut definitions = DefaultModel::default();
        for definition in &model.definitions {
            definitions.add_def(definition.section.letter(), &definition.key, &definition.value);
        }
        let vocabulary = &policy.vocabulary;
        // casbin-rs keeps `g` and `g2` in one graph. Their names differ by prefix, so neither can
        // lend the other a role.
        for (section, roles) in [("g", &vocabulary.subjects), ("g2", &vocabulary.themes)] {
            for (member, group) in roles.links() {
                definitions.add_policy("g", section, vec![member.to_owned(), group.to_owned()]);
            }
        }
        let mut enforcer = ready(Enforcer::new_raw(definitions, MemoryAdapter::default()))??;
        enforcer.build_role_links()?;
        enforcer.add_function("purpose_match", OperatorFunction::Arg2(purpose_match));
        enforcer.add_function("scope_match", OperatorFunction::Arg2(scope_match));
        enforcer.add_function("in_window", OperatorFunction::Arg2(in_window));
        Ok(Self { enforcer })
    }

    /// What casbin decides on `request` with `lines` alone.
    ///
    /// # Errors
    /// When casbin cannot evaluate a line.
    pub fn decides(&mut self, lines: Vec<Vec<String>>, request: &[String]) -> Result<bool, OracleError> {
        if lines.is_empty() {
            // casbin evaluates the matcher once with empty texts if there is no line at all.
            return Ok(false);
        }
        let model = self.enforcer.get_mut_model();
        let section = model.get_mut_model().get_mut("p").and_then(|section| section.get_mut("p"));
        let policy = section.ok_or(OracleError::NotReady)?.get_mut_policy();
        policy.clear();
        for line in lines {
            policy.insert(line);
        }
        Ok(self.enforcer.enforce(request.to_vec())?)
    }

    /// Whether `line` matches `request`, whatever its effect.
    ///
    /// # Errors
    /// When casbin cannot evaluate the line.
    pub fn matches(&mut self, mut line: Vec<String>, request: &[String]) -> Result<bool, OracleError> {
        if let Some(effect) = line.last_mut() {
            Effect::Allow.as_str().clone_into(effect);
        }
        self.decides(vec![line], request)
    }
}

/// The answer of a future that never has to wait.
pub(super) fn ready<F: Future>(future: F) -> Result<F::Output, OracleError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(OracleError::NotReady),
    }
}

impl Policy {
    /// `grant` as casbin is told it when the resource asked for is `place`: `id, sub, res, act,
    /// purpose, scope, window, eft`.
    pub(crate) fn canonical_line(&self, grant: &Grant, place: &Place) -> Vec<String> {
        let scope = &grant.scope;
        let selection = place.schema.select(&scope.items);
        let mut text = if grant.effect == Effect::Deny {
            // Whatever is asked for, even what does not exist.
            "!".to_owned()
        } else if selection.whole {
            "*".to_owned()
        } else {
            place.schema.paths(&selection.fields).map(|path| path.as_str()).collect::<Vec<_>>().join("|")
        };
        let sign = match grant.effect {
            Effect::Allow => "=",
            // `?=`: also true of a parameter that is absent or doubled.
            Effect::Deny => "?=",
        };
        for constraint in &scope.constraints {
            let patterns = constraint.patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join("|");
            text.push_str(&format!(";{}{sign}{patterns}", constraint.parameter));
        }
        let action = grant.action.as_ref().map_or("*", |action| action.as_str());
        vec![
            grant.id.to_string(),
            grant.subject.to_string(),
            grant.resource.to_string(),
            action.to_owned(),
            grant.purposes.to_string(),
            text,
            grant.window.canonical(),
            grant.effect.as_str().to_owned(),
        ]
    }

    /// `query` as casbin is asked it: `sub, res, act, purpose, scope, now`.
    pub(crate) fn canonical_request(&self, query: &Query<'_>, place: &Place, now: Timestamp) -> Vec<String> {
        let mut fields = place.schema.none();
        let mut unknown = false;
        for item in query.fields {
            match place.schema.named(item) {
                Some(set) => fields.extend(set),
                None => unknown = true,
            }
        }
        let paths = place.schema.paths(&fields).map(|path| path.as_str());
        // `?` stands for fields that do not exist: no line has it.
        let mut scope = paths.chain(unknown.then_some("?")).collect::<Vec<_>>().join("|");
        for (name, values) in query.parameters {
            for value in values {
                scope.push_str(&format!(";{name}={}", escaped(value)));
            }
        }
        vec![
            query.system.to_string(),
            query.resource.to_string(),
            query.action.to_string(),
            query.purpose.to_string(),
            scope,
            self.frame.moment(now).canonical(),
        ]
    }
}

/// A value without the signs that part a canonical scope.
fn escaped(value: &str) -> String {
    value.replace('%', "%25").replace(';', "%3B")
}

fn unescaped(value: &str) -> String {
    value.replace("%3B", ";").replace("%25", "%")
}

#[expect(clippy::needless_pass_by_value, reason = "casbin's signature")]
fn purpose_match(requested: Dynamic, granted: Dynamic) -> Dynamic {
    is_purpose_match(&dynamic_to_str(&requested), &dynamic_to_str(&granted)).into()
}

/// Whether a purpose is covered by a code, `prefix.*` or `*`.
pub(super) fn is_purpose_match(requested: &str, granted: &str) -> bool {
    let matches = match granted.strip_suffix('*') {
        Some(prefix) => requested.starts_with(prefix),
        None => requested == granted,
    };
    matches && !requested.is_empty()
}

#[expect(clippy::needless_pass_by_value, reason = "casbin's signature")]
fn scope_match(requested: Dynamic, granted: Dynamic) -> Dynamic {
    is_scope_match(&dynamic_to_str(&requested), &dynamic_to_str(&granted)).into()
}

/// Whether canonical requested fields and parameters are within a canonical scope.
pub(super) fn is_scope_match(requested: &str, granted: &str) -> bool {
    let mut requested = requested.split(';');
    let mut granted = granted.split(';');
    let wanted: Vec<&str> =
        requested.next().unwrap_or("").split('|').filter(|field| !field.is_empty()).collect();
    let parameters: Vec<(&str, String)> = requested
        .filter_map(|parameter| parameter.split_once('='))
        .map(|(name, value)| (name, unescaped(value)))
        .collect();
    let fields: Vec<&str> =
        granted.next().unwrap_or("").split('|').filter(|field| !field.is_empty()).collect();
    let has = |field: &&str| *field != "?" && (fields.contains(field) || fields.contains(&"*"));
    let fields_match = match wanted.as_slice() {
        _ if fields == ["!"] => true,
        [] => !fields.is_empty(),
        some => some.iter().any(has),
    };
    let constraints_match = granted.all(|constraint| {
        let Some((name, patterns)) = constraint.split_once('=') else { return false };
        let (name, if_unclear) = match name.strip_suffix('?') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let values: Vec<&String> =
            parameters.iter().filter(|(given, _)| *given == name).map(|(_, value)| value).collect();
        let [value] = values.as_slice() else { return if_unclear };
        let parts = |sign: char| ",;|，；｜、".contains(sign) || sign.is_whitespace();
        let is_piece = |is_meant: &dyn Fn(&str) -> bool| if_unclear && value.split(parts).any(is_meant);
        patterns.split('|').any(|pattern| match pattern.strip_suffix('*') {
            Some("") => true,
            Some(prefix) => match value.strip_prefix(prefix) {
                Some(rest) if if_unclear || rest.split(parts).count() == 1 => true,
                Some(_) | None => is_piece(&|piece| piece.starts_with(prefix)),
            },
            None => *value == pattern || is_piece(&|piece| piece == pattern),
        })
    });
    fields_match && constraints_match
}

#[expect(clippy::needless_pass_by_value, reason = "casbin's signature")]
fn in_window(now: Dynamic, window: Dynamic) -> Dynamic {
    is_in_window(&dynamic_to_str(&now), &dynamic_to_str(&window)).unwrap_or(false).into()
}

/// `None` if a text is not of the canonical form.
pub(super) fn is_in_window(now: &str, window: &str) -> Option<bool> {
    let [instant, local, today, yesterday] = now.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let instant: Timestamp = instant.parse().ok()?;
    let local: DateTime = local.parse().ok()?;
    let mut parts = window.split(' ');
    let (from, until) = parts.next()?.split_once('/')?;
    if from != ".." && instant < from.parse::<Timestamp>().ok()? {
        return Some(false);
    }
    if until != ".." && instant >= until.parse::<Timestamp>().ok()? {
        return Some(false);
    }
    let Some(days) = parts.next() else { return Some(true) };
    let is_day = |weekday: Weekday, kind: &str| {
        days.split('|').any(|word| word == kind || format!("{weekday:?}").to_lowercase().starts_with(word))
    };
    let is_today = is_day(local.weekday(), today);
    let Some((start, end)) = parts.next().and_then(|hours| hours.split_once('-')) else {
        return Some(is_today);
    };
    // `HH:MM` compares as text.
    let clock = local.time().strftime("%H:%M").to_string();
    let is_yesterday = is_day(local.weekday().previous(), yesterday);
    let (started, not_ended) = (clock.as_str() >= start, clock.as_str() < end);
    Some(if start < end {
        is_today && started && not_ended
    } else {
        is_today && started || is_yesterday && not_ended
    })
}
