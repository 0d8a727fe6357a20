//! Any Casbin model, decided as Go Casbin decides.
//!
//! [`Enforcer::load`] reads a model and a policy strictly: what Go Casbin would refuse, misread or
//! decide differently from run to run is refused with its place. [`Enforcer::decide`] answers one
//! request. Three engines answer alike wherever they answer at all:
//!
//! - `native`: the matcher, worked out here, over the lines that an index of its conditions names;
//! - `index`: the same lines, the matcher worked out by casbin-rs;
//! - `casbin`: casbin-rs over all lines.
//!
//! The last two refuse models on which casbin-rs is known to differ from Go (`judge`).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::kernel::diagnostic::{Report, Source};
use crate::kernel::time::Timestamp;

mod definition;
mod effect;
mod expression;
mod function;
pub(super) mod gate;
mod glob;
mod graph;
mod index;
mod judge;
mod lines;
mod load;
mod order;
mod program;
mod syntax;
mod token;
mod types;
mod value;

pub use function::Function;
pub use value::{Fault, Value};

use definition::Definitions;
use effect::{Combining, Effect, Verdict};
use graph::{Graphs, Moment};
use index::{Index, Plan};
use judge::Judge;
use program::{Node, Scene, Slot};
use syntax::Wanted;
use value::Seen;

/// Which definitions of a model decide, as Casbin's `EnforceContext`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// `r`, `r2`, …
    pub request: String,
    /// `p`, `p2`, …
    pub policy: String,
    /// `e`, `e2`, …
    pub effect: String,
    /// `m`, `m2`, …
    pub matcher: String,
}

impl Default for Context {
    fn default() -> Self {
        let own = str::to_owned;
        Self { request: own("r"), policy: own("p"), effect: own("e"), matcher: own("m") }
    }
}

/// What a model's files do not say.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which definitions decide.
    pub context: Context,
    /// Role definitions whose names are patterns, and of which function.
    pub role_matching: Vec<(String, Function)>,
    /// Role definitions whose domains are patterns, and of which function.
    pub domain_matching: Vec<(String, Function)>,
    /// That names and domains of roles are none, even where they look like patterns and no function
    /// is given.
    pub literal_names: bool,
    /// Role definitions whose last two fields are the times from when to when a role is held.
    pub timed_roles: Vec<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether the request is allowed.
    pub allow: bool,
    /// The line that decided, field by field; empty if none did.
    pub explain: Vec<Arc<str>>,
}

/// What works a matcher out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// The fastest that decides the model: that is `native`, which decides every model that loads.
    #[default]
    Auto,
    /// casbin-rs, over the lines that the index names.
    Index,
    /// This program, over the lines that the index names, or all.
    Native,
    /// casbin-rs, over all lines.
    Casbin,
}

/// Why an engine does not decide a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine `{engine}` does not decide this model: {why}")]
pub struct NotDecided {
    /// The engine.
    pub engine: &'static str,
    /// What it cannot do.
    pub why: String,
}

/// How requests are decided, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The engine.
    pub engine: &'static str,
    /// The columns that lines are found by; all lines are worked out if there are none.
    pub columns: Vec<String>,
    /// How many lines there are.
    pub lines: usize,
    /// The most lines under one key; all without an index.
    pub most: usize,
}

/// A policy line.
#[derive(Debug)]
struct Line {
    cells: Box<[Arc<str>]>,
    slots: Box<[Slot]>,
    effect: Effect,
}

/// Files, read.
#[derive(Debug)]
struct Loaded {
    definitions: Definitions,
    root: Node,
    /// What each slot of a line is.
    wanted: Vec<Wanted>,
    objects: BTreeSet<usize>,
    lines: Vec<Line>,
    /// Stands in where Casbin asks the matcher without any line.
    empty: Line,
    graphs: Graphs,
    plan: Plan,
    index: Option<Index>,
}

/// A model and its policy, ready to decide.
#[derive(Debug)]
pub struct Enforcer {
    loaded: Loaded,
    /// casbin-rs, if it decides.
    judge: Option<Judge>,
    engine: Engine,
}

impl Enforcer {
    /// Loads an enforcer of the native engine.
    ///
    /// # Errors
    /// Everything that keeps the files from being decided as Go Casbin decides them.
    pub fn load(model: &Source, policy: &Source, options: &Options) -> Result<Self, Report> {
        let loaded = load::load(model, policy, options)?;
        Ok(Self { loaded, judge: None, engine: Engine::Native })
    }

    /// Decides by `engine` from now on.
    ///
    /// # Errors
    /// When that engine does not decide this model as Go Casbin does.
    pub fn with(mut self, engine: Engine) -> Result<Self, NotDecided> {
        let of = |engine: &'static str| move |why: String| NotDecided { engine, why };
        (self.judge, self.engine) = match engine {
            Engine::Auto | Engine::Native => (None, Engine::Native),
            Engine::Index if self.loaded.index.is_none() => {
                let why = "no condition of the matcher says which lines can match";
                return Err(of("index")(why.to_owned()));
            }
            Engine::Index => (Some(Judge::new(&self.loaded, false).map_err(of("index"))?), engine),
            Engine::Casbin => (Some(Judge::new(&self.loaded, true).map_err(of("casbin"))?), engine),
        };
        Ok(self)
    }

    /// Whether attributes of the request's value `place` are read, so that it should be an object.
    #[must_use]
    pub fn reads_attributes_of(&self, place: usize) -> bool {
        self.loaded.objects.contains(&place)
    }

    /// How requests are decided.
    #[must_use]
    pub fn way(&self) -> Way {
        let lines = self.loaded.lines.len();
        let index = self.loaded.index.as_ref().filter(|_| self.engine != Engine::Casbin);
        let policy = self.loaded.definitions.policies.get(self.loaded.definitions.policy);
        let name = |column: usize| {
            let name = policy.and_then(|policy| policy.columns.get(column))?;
            Some(name.replacen('_', ".", 1))
        };
        let engine = match self.engine {
            Engine::Auto | Engine::Native => "native",
            Engine::Index => "index",
            Engine::Casbin => "casbin",
        };
        let columns = index.map_or(Vec::new(), |_| self.loaded.plan.columns().filter_map(name).collect());
        Way { engine, columns, lines, most: index.map_or(lines, Index::most) }
    }

    /// Decides `request` at `now`.
    ///
    /// # Errors
    /// When something cannot be worked out. That is a refusal.
    pub fn decide(&mut self, request: &[Value], now: Timestamp) -> Result<Answer, Fault> {
        let loaded = &self.loaded;
        if request.len() != loaded.definitions.request.len() {
            return Err(loaded.arity(request.len()));
        }
        let moment = Moment::new(TimeZone::UTC.to_datetime(now));
        let verdict = match &mut self.judge {
            None => loaded.verdict(request, &moment)?,
            Some(judge) => {
                let candidates =
                    if self.engine == Engine::Index { loaded.candidates(request, &moment) } else { None };
                judge.verdict(request, &loaded.lines, candidates.as_deref())?
            }
        };
        Ok(loaded.answer(verdict))
    }
}

impl Loaded {
    /// The column that a slot's pattern comes from.
    fn wanted_column(&self, slot: usize) -> Option<usize> {
        self.wanted.get(slot).map(|wanted| {
            let (Wanted::Pattern(_, column) | Wanted::Rule(column)) = *wanted;
            column
        })
    }

    fn arity(&self, given: usize) -> Fault {
        let names: Vec<&str> = self
            .definitions
            .request
            .iter()
            .map(|name| name.split_once('_').map_or(name.as_str(), |(_, name)| name))
            .collect();
        Fault::Arity { given, wanted: names.len(), names: names.join(", ") }
    }

    fn answer(&self, verdict: Verdict) -> Answer {
        let line = verdict.line.and_then(|line| self.lines.get(line));
        Answer { allow: verdict.allow, explain: line.map_or(Vec::new(), |line| line.cells.to_vec()) }
    }

    fn scene<'s>(&'s self, request: &'s [Value], line: &'s Line, moment: &'s Moment) -> Scene<'s> {
        Scene { request, cells: &line.cells, slots: &line.slots, graphs: &self.graphs, moment }
    }

    fn verdict(&self, request: &[Value], moment: &Moment) -> Result<Verdict, Fault> {
        let combination = self.definitions.combination;
        if self.lines.is_empty() || !self.definitions.speaks_of_lines {
            let matches = self.root.worked_out(self.scene(request, &self.empty, moment))?;
            let matches = matches.truth("the matcher")?;
            return Ok(Verdict { allow: combination.without_lines(matches), line: None });
        }
        let mut combining = Combining::new(combination);
        let candidates = self.candidates(request, moment);
        if let Some(candidates) = candidates {
            for number in candidates {
                let Ok(number) = usize::try_from(number) else { continue };
                let Some(line) = self.lines.get(number) else { continue };
                if self.matches_the_rest(request, line, moment)?
                    && let Some(verdict) = combining.matched(number, line.effect)
                {
                    return Ok(verdict);
                }
            }
            return Ok(combining.end());
        }
        for (number, line) in self.lines.iter().enumerate() {
            let matches = match self.root.worked_out(self.scene(request, line, moment))? {
                Seen::Truth(truth) => truth,
                Seen::Number(number) => number != 0.0,
                other @ (Seen::Text(_) | Seen::Nothing | Seen::List(_) | Seen::Object(_)) => {
                    return Err(Fault::NoVerdict { found: other.kind() });
                }
            };
            if matches && let Some(verdict) = combining.matched(number, line.effect) {
                return Ok(verdict);
            }
        }
        Ok(combining.end())
    }

    /// The lines that may match `request`, where the index tells.
    fn candidates(&self, request: &[Value], moment: &Moment) -> Option<Vec<u32>> {
        let index = self.index.as_ref()?;
        let is_text = |place: &usize| matches!(request.get(*place), Some(Value::Text(_)) | None);
        if !self.plan.assumed.iter().all(is_text) {
            return None;
        }
        index.candidates(request, &self.graphs, moment)
    }

    fn matches_the_rest(&self, request: &[Value], line: &Line, moment: &Moment) -> Result<bool, Fault> {
        for condition in &self.plan.rest {
            if !condition.worked_out(self.scene(request, line, moment))?.truth("&&")? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
