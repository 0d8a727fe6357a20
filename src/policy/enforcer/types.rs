//! What an expression yields if every value of the request is a text, and whether it then always
//! yields something.
//!
//! Lines may be passed over only where that hides no error: Casbin answers with an error as soon as
//! a line cannot be worked out, even if another line would allow.

use super::function::Function;
use super::program::{Arithmetic, Node, PatternFrom};

/// A type of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Truth,
}

/// The type of `node`; `None` if it may fail. `rules` says whether every rule of a slot never fails.
pub(super) fn sure(node: &Node, rules: &dyn Fn(usize) -> bool) -> Option<Type> {
    let sure = |node: &Node| sure(node, rules);
    let is = |node: &Node, wanted: Type| sure(node) == Some(wanted);
    match node {
        Node::Text(_) | Node::Request(_) | Node::Policy(_) => Some(Type::Text),
        Node::Number(_) => Some(Type::Number),
        Node::Truth(_) => Some(Type::Truth),
        Node::Attribute(..) | Node::In(_) => None,
        Node::Not(inner) => is(inner, Type::Truth).then_some(Type::Truth),
        Node::Negated(inner) => is(inner, Type::Number).then_some(Type::Number),
        Node::And(parts) | Node::Or(parts) => {
            parts.iter().all(|part| is(part, Type::Truth)).then_some(Type::Truth)
        }
        Node::Compared(comparison, sides) => {
            let [left, right] = &**sides;
            let (left, right) = (sure(left)?, sure(right)?);
            let has_order = left == right && left != Type::Truth;
            (!comparison.is_of_order() || has_order).then_some(Type::Truth)
        }
        Node::Computed(arithmetic, sides) => {
            let [left, right] = &**sides;
            match (arithmetic, sure(left)?, sure(right)?) {
                (_, Type::Number, Type::Number) => Some(Type::Number),
                (Arithmetic::Add, Type::Text, Type::Text) => Some(Type::Text),
                _ => None,
            }
        }
        Node::Among(one, list) => {
            sure(one)?;
            list.iter().all(|member| sure(member).is_some()).then_some(Type::Truth)
        }
        Node::Called { function, text, pattern, name } => {
            let is_sure = is(text, Type::Text)
                && name.as_ref().is_none_or(|name| is(name, Type::Text))
                && match pattern {
                    PatternFrom::Fixed(..) | PatternFrom::Slot(_) => true,
                    PatternFrom::Node(node) => is(node, Type::Text),
                }
                // A text that is no address fails, a long match with many stars may be given up.
                && !matches!(function, Function::IpMatch | Function::GlobMatch);
            let yields = if function.yields_text() { Type::Text } else { Type::Truth };
            is_sure.then_some(yields)
        }
        Node::Unmatched { text, .. } => is(text, Type::Text).then_some(Type::Truth),
        Node::Role { member, role, pattern, domain, .. } => {
            let is_sure = is(member, Type::Text)
                && is(role, Type::Text)
                && domain.as_ref().is_none_or(|domain| is(domain, Type::Text))
                && pattern.is_none();
            is_sure.then_some(Type::Truth)
        }
        Node::Rule(slot) => rules(*slot).then_some(Type::Truth),
    }
}
