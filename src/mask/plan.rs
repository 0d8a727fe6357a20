//! From what a permit releases to an automaton: [`Plan::compile`].
//!
//! INVARIANT: a field leaves only if [`PlanSpec::fields`] names it or an object above it. What the
//! catalogue does not name has no rule, and a member without a rule is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{BodyFormat, BodyShape, Delimiter, Egress, Field, FieldType, NameMatching, XmlName};
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::{FieldPath, MaskerName};

use super::automaton::{AddError, Automaton, Kind, NAMELESS, Rule, class};
use super::masker::Maskers;
use super::mould::Mould;
use super::place::Place;
use super::pseudonym::PseudonymKey;
use super::xml::key;

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
    /// What pseudonyms and the keys of ciphers are made from; needed only by keyed maskers.
    pub key: Option<PseudonymKey<'a>>,
    /// Whether values that are called harmless are searched for identifiers, and what follows then.
    pub egress: Option<Egress>,
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
    /// A masker is keyed, but there is no secret for it.
    #[error("`{path}` leaves as a pseudonym or encrypted, which needs a key")]
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
    /// Two names that stand for the same thing in an XML document.
    #[error("`{name}` stands for the same element or attribute as another name beside it")]
    SameName {
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
    pub(super) delimiter: Delimiter,
    /// The fields of an event that leave beside its data.
    pub(super) beside: Beside,
    pub(super) moulds: Vec<Mould>,
    /// Whether a body is refused of which anything would be masked or dropped.
    pub(super) refuses: bool,
    /// Whether it is for what clients send: a form in it may not be parted in two ways.
    pub(super) is_of_requests: bool,
    /// The mould that searches, if there is one.
    pub(super) search: Option<u16>,
    egress: Option<Egress>,
    /// The namespaces that names of XML may be in, by their number in [`key`].
    pub(super) namespaces: Vec<Arc<str>>,
    /// The path of each counter after [`NAMELESS`].
    pub(super) paths: Vec<FieldPath>,
    masked: Vec<FieldPath>,
    dropped: Vec<FieldPath>,
}

impl Plan {
    /// The plan that leaves every JSON document as it is, and still refuses everything else.
    #[must_use]
    pub fn identity() -> Self {
        Self::identity_of(BodyFormat::Json)
    }

    /// The plan that leaves every body of `format` as it is, and still refuses everything else. Of an
    /// event stream that is the data of its events.
    #[must_use]
    pub fn identity_of(format: BodyFormat) -> Self {
        Self {
            automaton: Automaton::default(),
            root: Rule::WHOLE,
            format,
            delimiter: Delimiter::Comma,
            beside: Beside { event: Some(Rule::WHOLE), id: Some(Rule::WHOLE) },
            moulds: Vec::new(),
            refuses: false,
            is_of_requests: false,
            search: None,
            egress: None,
            namespaces: Vec::new(),
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

    /// The plan for what clients send: the platform reads it, and may read a form otherwise than it is masked
    /// ([`MaskError::Semicolon`](super::MaskError::Semicolon)). One that refuses is for that already.
    #[must_use]
    pub fn of_requests(self) -> Self {
        Self { is_of_requests: true, ..self }
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
        let names = Names::of(spec.shape)?;
        let mut body = Tree::default();
        let around = if spec.shape.records.is_some() { &mut body } else { &mut record };
        // The envelope of an event is no member of its data.
        if format != BodyFormat::EventStream {
            for member in &spec.shape.envelope {
                around.insert(member, Content::Envelope)?;
            }
        }
        let mut compiler = Compiler {
            spec,
            plan: Self {
                format,
                delimiter: spec.shape.delimiter,
                automaton,
                refuses,
                is_of_requests: refuses,
                egress: spec.egress,
                namespaces: names.namespaces.clone(),
                ..Self::identity()
            },
            names,
            is_nested: false,
            named: true,
            masked: BTreeSet::new(),
            dropped: BTreeSet::new(),
        };
        compiler.beside()?;
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

    /// Whether a body is refused for what is found in it.
    pub(super) fn blocks(&self) -> bool {
        self.egress == Some(Egress::Block)
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

/// The fields of an event (WHATWG HTML, section 9.2.5) that may leave beside its data, and the rules of
/// their values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside {
    pub(super) event: Option<Rule>,
    pub(super) id: Option<Rule>,
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

/// What names stand for in the automaton: in XML a name alone does not say what it is about.
#[derive(Debug)]
struct Names<'a> {
    shape: &'a BodyShape,
    namespaces: Vec<Arc<str>>,
}

impl<'a> Names<'a> {
    fn of(shape: &'a BodyShape) -> Result<Self, PlanError> {
        let written = shape.xml.records.iter().chain(shape.xml.fields.values());
        let all = written.filter_map(XmlName::namespace).chain(&shape.xml.default);
        let namespaces: Vec<Arc<str>> = all.cloned().collect::<BTreeSet<_>>().into_iter().collect();
        if namespaces.len() > key::NAMESPACES_MAX {
            return Err(PlanError::TooLarge);
        }
        Ok(Self { shape, namespaces })
    }

    /// The key of the last name of the path of a field.
    fn of_field(&self, path: &str, name: &str) -> String {
        self.key(self.shape.xml.fields.get(path), name)
    }

    /// The key of the last name of the path of a place around the records.
    fn of_place(&self, path: &str, name: &str) -> String {
        let above = path.split('.').count();
        let is_above = |records: &FieldPath| records.names().take(above).eq(path.split('.'));
        let listed = self.shape.records.as_ref().filter(|records| is_above(records));
        self.key(listed.and_then(|_| self.shape.xml.records.get(above.checked_sub(1)?)), name)
    }

    fn key(&self, listed: Option<&XmlName>, name: &str) -> String {
        let (kind, local, namespace) = match listed {
            None => (key::Kind::Element, name, &self.shape.xml.default),
            Some(XmlName::Element { namespace, local }) => (key::Kind::Element, &**local, namespace),
            Some(XmlName::Attribute { namespace, local }) => (key::Kind::Attribute, &**local, namespace),
            Some(XmlName::Text) => (key::Kind::Element, key::TEXT, &None),
        };
        let number = namespace.as_ref().and_then(|namespace| {
            let at = self.namespaces.iter().position(|other| other == namespace)?;
            u8::try_from(at).ok()
        });
        let mut key = String::new();
        key::write(kind, local, number, &mut key);
        key
    }
}

#[derive(Debug)]
struct Compiler<'p, 'a> {
    spec: &'p PlanSpec<'a>,
    plan: Plan,
    names: Names<'a>,
    /// Whether the places that are compiled now are inside of a text that holds a JSON document.
    is_nested: bool,
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
        let mut members: Vec<(String, Rule)> = Vec::with_capacity(tree.members.len());
        for (name, member) in &tree.members {
            let path = format!("{path}{name}");
            let rule = self.rule(member, &path, above)?;
            let key = if self.plan.format != BodyFormat::Xml || self.is_nested {
                (*name).to_owned()
            } else if self.named {
                self.names.of_field(&path, name)
            } else {
                self.names.of_place(&path, name)
            };
            if members.iter().any(|(other, _)| *other == key) {
                return Err(PlanError::SameName { name: (*name).to_owned() });
            }
            members.push((key, rule));
        }
        let leaves = members.iter().any(|(_, rule)| rule.kind != Kind::Drop);
        let members: Vec<(&str, Rule)> = members.iter().map(|(key, rule)| (&**key, *rule)).collect();
        Ok((self.plan.automaton.add(&members)?, leaves))
    }

    fn rule(&mut self, tree: &Tree<'a>, path: &str, above: Option<Above<'a>>) -> Result<Rule, PlanError> {
        let field = match &tree.content {
            Some(Content::Envelope) => return self.around(path),
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

    /// The rule of an envelope member: all of it leaves, texts and numbers after they were searched.
    fn around(&mut self, path: &str) -> Result<Rule, PlanError> {
        if self.spec.egress.is_none() {
            return Ok(Rule::WHOLE);
        }
        let path = FieldPath::parse(path).map_err(|_| PlanError::TooLarge)?;
        let slot = self.counter(&path)?;
        Ok(Rule::searched(class::ANY, class::TEXT | class::NUMBER, self.search()?, slot))
    }

    /// The envelope of an event is what may leave beside its data.
    fn beside(&mut self) -> Result<(), PlanError> {
        let shape = self.spec.shape;
        let is_event_stream = self.plan.format == BodyFormat::EventStream;
        let has = |name: &str| is_event_stream && shape.envelope.iter().any(|path| path.as_str() == name);
        let mut rule = |name| has(name).then(|| self.around(name)).transpose();
        let (event, id) = (rule("event")?, rule("id")?);
        self.plan.beside = Beside { event, id };
        Ok(())
    }

    fn slot(&mut self, path: &FieldPath) -> Result<u16, PlanError> {
        if self.named { self.counter(path) } else { Ok(NAMELESS) }
    }

    fn counter(&mut self, path: &FieldPath) -> Result<u16, PlanError> {
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
            return self.clear(field, slot);
        };
        self.masked(&field.path, masker, Rule::clear(clear_classes(field.kind), slot))
    }

    /// The rule of a field that leaves as it is. One that the catalogue masks, or an object above it,
    /// is not searched: a grant that clears it means it.
    fn clear(&mut self, field: &Field, slot: u16) -> Result<Rule, PlanError> {
        let classes = clear_classes(field.kind);
        let is_harmless = || {
            let mut fields = self.spec.catalogue.iter();
            !fields.any(|other| other.mask.is_some() && other.path.covers(&field.path))
        };
        match classes & (class::TEXT | class::NUMBER) {
            searched @ 1.. if self.spec.egress.is_some() && is_harmless() => {
                Ok(Rule::searched(classes, searched, self.search()?, slot))
            }
            _ => Ok(Rule::clear(classes, slot)),
        }
    }

    /// The mould that searches; all searched values share it.
    fn search(&mut self) -> Result<u16, PlanError> {
        match self.plan.search {
            Some(index) => Ok(index),
            None => {
                let index = self.mould(Mould::Search)?;
                self.plan.search = Some(index);
                Ok(index)
            }
        }
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
        let inside = self.is_nested || is_nested;
        let around = std::mem::replace(&mut self.is_nested, inside);
        let node = self.node(tree, &format!("{path}."), own);
        self.is_nested = around;
        match node? {
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
        let key = if masker.is_keyed() {
            let fitted = self.spec.key.and_then(|key| masker.fit(&key, path));
            Some(fitted.ok_or_else(|| PlanError::NoKey { path: path.clone() })?)
        } else {
            None
        };
        Ok(Rule::masked(self.mould(Mould::Masker { masker: masker.clone(), key })?, slot))
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
