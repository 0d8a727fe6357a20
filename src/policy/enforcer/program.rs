//! An expression, ready to be worked out.

use std::borrow::Cow;
use std::sync::Arc;

use super::function::{Function, Pattern};
use super::graph::{Graphs, Moment};
use super::value::{Fault, Seen, Value};

/// A node of an expression. Names are resolved: places in the request, columns of the line, graphs.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(Arc<str>),
    Number(f64),
    Truth(bool),
    Request(usize),
    Policy(usize),
    /// An attribute of a value of the request, by the names on the way to it.
    Attribute(usize, Vec<String>),
    Not(Box<Node>),
    Negated(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Compared(Comparison, Box<[Node; 2]>),
    Computed(Arithmetic, Box<[Node; 2]>),
    /// `in` a list that stands in the expression.
    Among(Box<Node>, Vec<Node>),
    /// `in` a list that the request brings.
    In(Box<[Node; 2]>),
    Called {
        function: Function,
        text: Box<Node>,
        pattern: PatternFrom,
        name: Option<Box<Node>>,
    },
    /// `!~`
    Unmatched {
        text: Box<Node>,
        pattern: PatternFrom,
    },
    Role {
        graph: usize,
        member: Box<Node>,
        role: Box<Node>,
        pattern: Option<PatternFrom>,
        domain: Option<Box<Node>>,
    },
    /// `eval` of a column, compiled into a slot of the line.
    Rule(usize),
}

/// Where a pattern comes from.
#[derive(Debug, Clone)]
pub(super) enum PatternFrom {
    /// Compiled from this text.
    Fixed(Arc<Pattern>, Arc<str>),
    /// A slot of the line.
    Slot(usize),
    /// A text of the request, for functions that take any pattern.
    Node(Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    pub(super) fn is_of_order(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }

    fn holds(self, left: &Seen<'_>, right: &Seen<'_>) -> Result<bool, Fault> {
        if !self.is_of_order() {
            return Ok((left == right) == (self == Self::Equal));
        }
        let order = match (left, right) {
            (Seen::Number(left), Seen::Number(right)) => left.partial_cmp(right),
            (Seen::Text(left), Seen::Text(right)) => Some(left.cmp(right)),
            (left, right) => {
                return Err(Fault::NoOrder { of: self.as_str(), left: left.kind(), right: right.kind() });
            }
        };
        Ok(order.is_some_and(|order| match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Equal | Self::Unequal => false,
        }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    fn of<'v>(self, left: &Seen<'v>, right: &Seen<'v>) -> Result<Seen<'v>, Fault> {
        if let (Self::Add, Seen::Text(left), Seen::Text(right)) = (self, left, right) {
            return Ok(Seen::Text(Cow::Owned(format!("{left}{right}"))));
        }
        let (left, right) = (left.number(self.as_str())?, right.number(self.as_str())?);
        Ok(Seen::Number(match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
        }))
    }
}

/// What a line brings besides its cells.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Pattern(Arc<Pattern>),
    Rule(Arc<Node>),
    /// No pattern, or no rule: there is no line, its cells are empty.
    None,
}

/// One line against one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'s> {
    pub(super) request: &'s [Value],
    pub(super) cells: &'s [Arc<str>],
    pub(super) slots: &'s [Slot],
    pub(super) graphs: &'s Graphs,
    pub(super) moment: &'s Moment,
}

impl Node {
    /// The nodes right below it.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Text(_)
            | Self::Number(_)
            | Self::Truth(_)
            | Self::Request(_)
            | Self::Policy(_)
            | Self::Attribute(..)
            | Self::Rule(_) => Vec::new(),
            Self::Not(inner) | Self::Negated(inner) => vec![inner],
            Self::And(parts) | Self::Or(parts) => parts.iter().collect(),
            Self::Compared(_, sides) | Self::Computed(_, sides) | Self::In(sides) => sides.iter().collect(),
            Self::Among(one, list) => std::iter::once(&**one).chain(list).collect(),
            Self::Called { text, pattern, name, .. } => {
                std::iter::once(&**text).chain(pattern.node()).chain(name.as_deref()).collect()
            }
            Self::Unmatched { text, pattern } => std::iter::once(&**text).chain(pattern.node()).collect(),
            Self::Role { member, role, pattern, domain, .. } => {
                let pattern = pattern.as_ref().and_then(PatternFrom::node);
                [&**member, &**role].into_iter().chain(pattern).chain(domain.as_deref()).collect()
            }
        }
    }

    /// Whether no more than `limit` nodes lie within each other. Does not go further down than that.
    pub(super) fn is_within(&self, limit: usize) -> bool {
        limit > 0 && self.children().into_iter().all(|child| child.is_within(limit - 1))
    }

    pub(super) fn worked_out<'s>(&'s self, scene: Scene<'s>) -> Result<Seen<'s>, Fault> {
        Ok(match self {
            Self::Text(text) => Seen::Text(Cow::Borrowed(text)),
            Self::Number(number) => Seen::Number(*number),
            Self::Truth(truth) => Seen::Truth(*truth),
            // INVARIANT: the request has been counted, and lines have as many cells as the definition.
            Self::Request(place) => scene.request.get(*place).map_or(Seen::Nothing, Value::seen),
            Self::Policy(column) => {
                scene.cells.get(*column).map_or(Seen::Nothing, |cell| Seen::Text(Cow::Borrowed(cell)))
            }
            Self::Attribute(place, path) => attribute(scene.request.get(*place), path)?,
            Self::Not(inner) => Seen::Truth(!inner.worked_out(scene)?.truth("!")?),
            Self::Negated(inner) => Seen::Number(-inner.worked_out(scene)?.number("-")?),
            Self::And(parts) => {
                for part in parts {
                    if !part.worked_out(scene)?.truth("&&")? {
                        return Ok(Seen::Truth(false));
                    }
                }
                Seen::Truth(true)
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.worked_out(scene)?.truth("||")? {
                        return Ok(Seen::Truth(true));
                    }
                }
                Seen::Truth(false)
            }
            Self::Compared(comparison, sides) => {
                let [left, right] = &**sides;
                Seen::Truth(comparison.holds(&left.worked_out(scene)?, &right.worked_out(scene)?)?)
            }
            Self::Computed(arithmetic, sides) => {
                let [left, right] = &**sides;
                arithmetic.of(&left.worked_out(scene)?, &right.worked_out(scene)?)?
            }
            Self::Among(one, list) => among(one, list, scene)?,
            Self::In(sides) => within(sides, scene)?,
            Self::Called { function, text, pattern, name } => {
                let name = name.as_ref().map(|name| name.worked_out(scene)).transpose()?;
                let name = name.as_ref().map(|name| name.text(function.as_str())).transpose()?;
                let text = text.worked_out(scene)?;
                pattern.apply(*function, text.text(function.as_str())?, name.unwrap_or(""), scene)?
            }
            Self::Unmatched { text, pattern } => {
                let text = text.worked_out(scene)?;
                let matches = pattern.apply(Function::RegexMatch, text.text("!~")?, "", scene)?;
                Seen::Truth(!matches.truth("!~")?)
            }
            Self::Role { .. } => Seen::Truth(self.role(scene)?),
            Self::Rule(slot) => match scene.slots.get(*slot) {
                Some(Slot::Rule(rule)) => rule.worked_out(scene)?,
                Some(Slot::Pattern(_) | Slot::None) | None => return Err(Fault::NoRule),
            },
        })
    }

    fn role(&self, scene: Scene<'_>) -> Result<bool, Fault> {
        let Self::Role { graph, member, role, pattern, domain } = self else { return Ok(false) };
        let member = member.worked_out(scene)?;
        let role = role.worked_out(scene)?;
        let domain = domain.as_ref().map(|domain| domain.worked_out(scene)).transpose()?;
        let (member, role) = (member.text("g")?, role.text("g")?);
        let domain = domain.as_ref().map(|domain| domain.text("g")).transpose()?.unwrap_or("");
        let matches = |name: &str| match pattern {
            None => Ok(false),
            Some(pattern) => {
                let function = scene.graphs.matching(*graph).unwrap_or(Function::KeyMatch);
                pattern.apply(function, name, "", scene).map(|seen| seen == Seen::Truth(true))
            }
        };
        scene.graphs.reaches(*graph, (member, role, domain), &matches, scene.moment)
    }
}

impl PatternFrom {
    /// The expression it comes from, if it comes from one.
    pub(super) fn node(&self) -> Option<&Node> {
        match self {
            Self::Node(node) => Some(node),
            Self::Fixed(..) | Self::Slot(_) => None,
        }
    }

    fn apply<'s>(
        &self,
        function: Function,
        text: &str,
        name: &str,
        scene: Scene<'_>,
    ) -> Result<Seen<'s>, Fault> {
        match self {
            Self::Fixed(pattern, _) => pattern.apply(text, name),
            Self::Slot(slot) => match scene.slots.get(*slot) {
                Some(Slot::Pattern(pattern)) => pattern.apply(text, name),
                Some(Slot::Rule(_) | Slot::None) | None => {
                    Err(Fault::NotAPattern { text: String::new(), function: function.as_str() })
                }
            },
            Self::Node(node) => {
                let pattern = node.worked_out(scene)?;
                let pattern = pattern.text(function.as_str())?;
                let compiled = function.pattern(pattern).map_err(|_| Fault::NotAPattern {
                    text: pattern.chars().take(64).collect(),
                    function: function.as_str(),
                })?;
                compiled.apply(text, name)
            }
        }
    }
}

fn attribute<'s>(value: Option<&'s Value>, path: &[String]) -> Result<Seen<'s>, Fault> {
    let mut value = value;
    for name in path {
        value = match value {
            Some(Value::Object(object)) => object.get(name),
            Some(Value::Text(_) | Value::Number(_) | Value::Truth(_) | Value::Nothing | Value::List(_))
            | None => None,
        };
    }
    value.map(Value::seen).ok_or_else(|| Fault::NoAttribute { name: path.join(".") })
}

fn among<'s>(one: &'s Node, list: &'s [Node], scene: Scene<'s>) -> Result<Seen<'s>, Fault> {
    let one = one.worked_out(scene)?;
    let mut found = false;
    for member in list {
        found |= member.worked_out(scene)? == one;
    }
    Ok(Seen::Truth(found))
}

fn within<'s>(sides: &'s [Node; 2], scene: Scene<'s>) -> Result<Seen<'s>, Fault> {
    let [one, list] = sides;
    let one = one.worked_out(scene)?;
    let list = list.worked_out(scene)?;
    let Seen::List(members) = list else { return Err(Fault::NotAList { found: list.kind() }) };
    Ok(Seen::Truth(members.iter().any(|member| member.seen() == one)))
}
