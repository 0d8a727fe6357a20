//! From what a permit releases to an automaton: [`Plan::compile`].
//!
//! INVARIANT: a field leaves only if [`PlanSpec::fields`] names it or an object above it. What the
//! catalogue does not name has no rule, and a member without a rule is dropped.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{BodyFormat, BodyShape, Field, FieldType, NameMatching};
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::{FieldPath, MaskerName};

use super::automaton::{AddError, Automaton, Kind, NAMELESS, Rule, class};
use super::context::Mould;
use super::masker::Maskers;
use super::pseudonym::PseudonymKey;
use super::tally::Place;

/// What a plan is compiled from.
#[derive(Debug, Clone, Copy)]
pub struct PlanSpec<'a> {
    /// Where in a body the records lie.
    pub shape: &'a BodyShape,
    /// What the permit releases.
    pub fields: &'a [ReleasedField],
    /// All fields that the resource has.
    pub catalogue: &'a [Field],
    /// The maskers that fields may name.
    pub maskers: &'a Maskers,
    /// What pseudonyms are made from; needed only if a masker makes them.
    pub key: Option<PseudonymKey<'a>>,
}

/// Why a plan cannot be compiled. Then nothing of a body may leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The body is opaque: there is nothing inside that could be masked.
    #[error("an opaque body cannot be masked; it is released whole or not at all")]
    Opaque,
    /// A path that stands twice, or stands both for a value and for what lies above other paths.
    #[error("`{path}` is declared twice, or both as a value and as a place with members")]
    Conflict {
        /// The path.
        path: FieldPath,
    },
    /// A released field that the catalogue does not name.
    #[error("`{path}` is released, but it is not a field of the resource")]
    UnknownField {
        /// The path.
        path: FieldPath,
    },
    /// A field that names a masker that is not there.
    #[error("`{path}` names the masker `{masker}`, which is neither built in nor in `masks.toml`")]
    UnknownMasker {
        /// The field.
        path: FieldPath,
        /// The masker.
        masker: MaskerName,
    },
    /// A pseudonym is asked for, but there is no usable secret to make it from.
    #[error("`{path}` leaves as a pseudonym, which needs a secret of at least 16 bytes and its label")]
    NoKey {
        /// The field.
        path: FieldPath,
    },
    /// Two members of one object whose names differ in case only, where case does not count.
    #[error("`{name}` is declared twice: with `names = \"fold\"` upper and lower case are the same")]
    Alike {
        /// The second name.
        name: String,
    },
    /// More fields than a plan can hold.
    #[error("the resource has too many fields for one plan")]
    TooLarge,
}

impl From<AddError> for PlanError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::TooLarge => Self::TooLarge,
            AddError::Alike(name) => Self::Alike { name },
        }
    }
}

/// What leaves of a body: immutable, made once for equal permits and shared by their requests.
#[derive(Debug)]
pub struct Plan {
    pub(super) automaton: Automaton,
    pub(super) root: Rule,
    pub(super) format: BodyFormat,
    pub(super) moulds: Vec<Mould>,
    /// Whether a body is refused of which anything would be masked or dropped.
    pub(super) refuses: bool,
    /// The path of each counter after [`NAMELESS`].
    pub(super) paths: Vec<FieldPath>,
    masked: Vec<FieldPath>,
    dropped: Vec<FieldPath>,
}

impl Plan {
    /// The plan that leaves every JSON document as it is, and still refuses everything else.
    #[must_use]
    pub fn identity() -> Self {
        Self {
            automaton: Automaton::default(),
            root: Rule::WHOLE,
            format: BodyFormat::Json,
            moulds: Vec::new(),
            refuses: false,
            paths: Vec::new(),
            masked: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Compiles what a permit releases.
    ///
    /// A released object releases every catalogue field below it: under the object's masker if it
    /// has one, otherwise each under its own catalogue masker or that of an object between. A field
    /// that is itself released goes by its own treatment.
    ///
    /// # Errors
    /// When shape, catalogue and released fields contradict each other, or a masker or the secret
    /// it needs is missing.
    pub fn compile(spec: &PlanSpec<'_>) -> Result<Self, PlanError> {
        Self::build(spec, false)
    }

    /// Compiles a plan for bodies that may hold what `spec` releases and nothing else.
    ///
    /// Such a body passes as it is: no masker applies. One with a member that would be dropped
    /// ([`MaskError::Outside`](super::MaskError::Outside)), or a value that would be replaced
    /// ([`MaskError::WrongType`](super::MaskError::WrongType)), is refused. A field whose masker drops it
    /// is not released here either.
    ///
    /// # Errors
    /// As for [`Plan::compile`], but no secret is needed.
    pub fn refusing(spec: &PlanSpec<'_>) -> Result<Self, PlanError> {
        Self::build(spec, true)
    }

    fn build(spec: &PlanSpec<'_>, refuses: bool) -> Result<Self, PlanError> {
        let format = spec.shape.format;
        if format == BodyFormat::Opaque {
            return Err(PlanError::Opaque);
        }
        let automaton = Automaton::new(spec.shape.names == NameMatching::Fold);
        let mut record = Tree::default();
        for field in spec.catalogue {
            record.insert(&field.path, Content::Field(field))?;
        }
        for released in spec.fields {
            record.release(released)?;
        }
        let mut body = Tree::default();
        let around = if spec.shape.records.is_some() { &mut body } else { &mut record };
        for member in &spec.shape.envelope {
            around.insert(member, Content::Envelope)?;
        }
        let mut compiler = Compiler {
            spec,
            plan: Self { format, automaton, refuses, ..Self::identity() },
            named: true,
            masked: BTreeSet::new(),
            dropped: BTreeSet::new(),
        };
        // A permit that releases nothing still has records: empty ones.
        let (node, _) = compiler.node(&record, "", None)?;
        let records = Rule::record(node);
        compiler.plan.root = match &spec.shape.records {
            None => records,
            Some(path) => {
                body.insert(path, Content::Records(records))?;
                compiler.named = false;
                let (node, _) = compiler.node(&body, "", None)?;
                Rule::node(node, NAMELESS)
            }
        };
        Ok(compiler.finish())
    }

    /// Whether bodies leave as they are, if they leave at all.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.root == Rule::WHOLE
    }

    /// Whether a body that is not refused leaves byte for byte: only a document inside a text is
    /// written anew.
    pub(super) fn is_copied(&self) -> bool {
        self.refuses && !self.moulds.iter().any(|mould| matches!(mould, Mould::Nested(_)))
    }

    /// The catalogue field that a place in a body is about, if it has a name there.
    #[must_use]
    pub fn path(&self, place: Place) -> Option<&FieldPath> {
        self.paths.get(place.slot()?.checked_sub(1)?)
    }

    /// The catalogue fields that leave masked, in catalogue order.
    #[must_use]
    pub fn masked_names(&self) -> &[FieldPath] {
        &self.masked
    }

    /// The catalogue fields that do not leave, in catalogue order.
    #[must_use]
    pub fn dropped_names(&self) -> &[FieldPath] {
        &self.dropped
    }
}

/// What stands at a path.
#[derive(Debug)]
enum Content<'a> {
    Field(&'a Field),
    Envelope,
    Records(Rule),
}

/// The members of an object and of the objects in it.
#[derive(Debug, Default)]
struct Tree<'a> {
    content: Option<Content<'a>>,
    released: Option<&'a Treatment>,
    members: BTreeMap<&'a str, Tree<'a>>,
}

impl<'a> Tree<'a> {
    /// Only an object of the catalogue may have both members and content.
    fn is_closed(&self) -> bool {
        match &self.content {
            None => false,
            Some(Content::Field(field)) => field.kind != FieldType::Object,
            Some(Content::Envelope | Content::Records(_)) => true,
        }
    }

    fn insert(&mut self, path: &'a FieldPath, content: Content<'a>) -> Result<(), PlanError> {
        let mut place = self;
        for name in path.names() {
            place = place.members.entry(name).or_default();
            if place.is_closed() {
                return Err(PlanError::Conflict { path: path.clone() });
            }
        }
        let taken = place.content.replace(content).is_some();
        if taken || (place.is_closed() && !place.members.is_empty()) {
            return Err(PlanError::Conflict { path: path.clone() });
        }
        Ok(())
    }

    fn release(&mut self, released: &'a ReleasedField) -> Result<(), PlanError> {
        let mut place = self;
        for name in released.path.names() {
            place = place
                .members
                .get_mut(name)
                .ok_or_else(|| PlanError::UnknownField { path: released.path.clone() })?;
        }
        match place.released.replace(&released.treatment) {
            Some(other) if *other != released.treatment => {
                Err(PlanError::Conflict { path: released.path.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// How a field leaves because an object above it does.
#[derive(Debug, Clone, Copy)]
enum Above<'a> {
    /// Under its own catalogue masker, or else that of the nearest object between: an object that is
    /// released clear makes nothing in it clearer.
    Released(Option<&'a MaskerName>),
    /// Under the object's masker.
    Masked(&'a MaskerName),
}

#[derive(Debug)]
struct Compiler<'p, 'a> {
    spec: &'p PlanSpec<'a>,
    plan: Plan,
    /// Whether the places that are compiled now get counters of their own: those in records do.
    named: bool,
    masked: BTreeSet<FieldPath>,
    dropped: BTreeSet<FieldPath>,
}

impl<'a> Compiler<'_, 'a> {
    /// The node of an object, and whether any of its members leaves. `path` is empty or ends with a `.`.
    fn node(
        &mut self,
        tree: &Tree<'a>,
        path: &str,
        above: Option<Above<'a>>,
    ) -> Result<(u16, bool), PlanError> {
        let mut members = Vec::with_capacity(tree.members.len());
        for (name, member) in &tree.members {
            members.push((*name, self.rule(member, &format!("{path}{name}"), above)?));
        }
        let leaves = members.iter().any(|(_, rule)| rule.kind != Kind::Drop);
        Ok((self.plan.automaton.add(&members)?, leaves))
    }

    fn rule(&mut self, tree: &Tree<'a>, path: &str, above: Option<Above<'a>>) -> Result<Rule, PlanError> {
        let field = match &tree.content {
            Some(Content::Envelope) => return Ok(Rule::WHOLE),
            Some(Content::Records(rule)) => return Ok(*rule),
            Some(Content::Field(field)) => Some(*field),
            None => None,
        };
        let own = match tree.released {
            Some(Treatment::Clear) => Some(Above::Released(None)),
            Some(Treatment::Masked(masker)) => Some(Above::Masked(masker)),
            None => match above {
                Some(Above::Released(masker)) => {
                    Some(Above::Released(field.and_then(|field| field.mask.as_ref()).or(masker)))
                }
                Some(Above::Masked(_)) | None => above,
            },
        };
        let path = FieldPath::parse(path).map_err(|_| PlanError::TooLarge)?;
        let slot = self.slot(&path)?;
        match field {
            Some(field) if field.kind != FieldType::Object => self.leaf(field, tree.released, above, slot),
            _ => self.object(tree, &path, own, slot, field.is_some_and(|field| field.nested)),
        }
    }

    fn slot(&mut self, path: &FieldPath) -> Result<u16, PlanError> {
        if !self.named {
            return Ok(NAMELESS);
        }
        self.plan.paths.push(path.clone());
        u16::try_from(self.plan.paths.len()).map_err(|_| PlanError::TooLarge)
    }

    fn leaf(
        &mut self,
        field: &Field,
        released: Option<&Treatment>,
        above: Option<Above<'_>>,
        slot: u16,
    ) -> Result<Rule, PlanError> {
        let masker = match (released, above) {
            (Some(Treatment::Clear), _) => None,
            (Some(Treatment::Masked(masker)), _) | (None, Some(Above::Masked(masker))) => Some(masker),
            (None, Some(Above::Released(masker))) => field.mask.as_ref().or(masker),
            (None, None) => return Ok(self.drop(&field.path, slot)),
        };
        let Some(masker) = masker else {
            return Ok(Rule::clear(clear_classes(field.kind), slot));
        };
        self.masked(&field.path, masker, Rule::clear(clear_classes(field.kind), slot))
    }

    fn object(
        &mut self,
        tree: &Tree<'a>,
        path: &FieldPath,
        own: Option<Above<'a>>,
        slot: u16,
        is_nested: bool,
    ) -> Result<Rule, PlanError> {
        if tree.members.is_empty() {
            return match own {
                None => Ok(self.drop(path, slot)),
                Some(Above::Released(None)) => Ok(Rule::node(self.plan.automaton.add(&[])?, slot)),
                Some(Above::Masked(masker) | Above::Released(Some(masker))) => {
                    let empty = Rule::node(self.plan.automaton.add(&[])?, slot);
                    match self.masked(path, masker, empty)? {
                        // There is nothing inside that the masker could be applied to.
                        rule if rule.mask != 0 => Ok(Rule::clear(0, slot)),
                        rule => Ok(rule),
                    }
                }
            };
        }
        match self.node(tree, &format!("{path}."), own)? {
            (node, true) if is_nested => {
                let inner = Rule::node(node, slot);
                Ok(Rule::nested(self.mould(Mould::Nested(inner))?, slot))
            }
            (node, true) => Ok(Rule::node(node, slot)),
            (_, false) => Ok(Rule::drop(slot)),
        }
    }

    /// The rule of a field under a masker; `clear` is its rule without one.
    fn masked(&mut self, path: &FieldPath, name: &MaskerName, clear: Rule) -> Result<Rule, PlanError> {
        let slot = clear.slot;
        let masker = self
            .spec
            .maskers
            .get(name)
            .ok_or_else(|| PlanError::UnknownMasker { path: path.clone(), masker: name.clone() })?;
        if masker.drops() {
            return Ok(self.drop(path, slot));
        }
        if self.plan.refuses {
            return Ok(clear);
        }
        self.masked.insert(path.clone());
        let pseudonym = match masker.pseudonym_join() {
            None => None,
            Some(join) => {
                let key = self.spec.key.filter(PseudonymKey::is_fit);
                let key = key.ok_or_else(|| PlanError::NoKey { path: path.clone() })?;
                Some(Box::new(key.fit(path, join)))
            }
        };
        Ok(Rule::masked(self.mould(Mould::Masker { masker: masker.clone(), pseudonym })?, slot))
    }

    fn mould(&mut self, mould: Mould) -> Result<u16, PlanError> {
        let index = u16::try_from(self.plan.moulds.len()).map_err(|_| PlanError::TooLarge)?;
        self.plan.moulds.push(mould);
        Ok(index)
    }

    fn drop(&mut self, path: &FieldPath, slot: u16) -> Rule {
        self.dropped.insert(path.clone());
        Rule::drop(slot)
    }

    /// Lists what the plan does, in catalogue order.
    fn finish(self) -> Plan {
        let listed = |set: &BTreeSet<FieldPath>| {
            let fields = self.spec.catalogue.iter().map(|field| &field.path);
            fields.filter(|path| set.contains(*path)).cloned().collect()
        };
        Plan { masked: listed(&self.masked), dropped: listed(&self.dropped), ..self.plan }
    }
}

/// The classes of values that a clear field of this type may have.
fn clear_classes(kind: FieldType) -> u8 {
    match kind {
        FieldType::String | FieldType::Date => class::TEXT,
        FieldType::Number => class::NUMBER,
        FieldType::Boolean => class::BOOLEAN,
        FieldType::Object => 0,
    }
}
