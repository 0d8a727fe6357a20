//! From words to an expression: precedence and types as in Go Casbin's evaluator.
//!
//! Loosest first: `||`, `&&`, comparisons and `in`, `+ -`, `* / %`, `! -`. Operators of one level
//! go from left to right.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::function::Function;
use super::graph::{Graphs, Shape};
use super::program::{Arithmetic, Comparison, Node, PatternFrom};
use super::token::{Place, Token, Word, tokens};
use crate::policy::problem::Problem;

/// The deepest nesting: of parentheses and calls while an expression is read, and of all it is made
/// of when it is worked out, where `a + b + c` is a sum within a sum.
const MAX_DEPTH: usize = 48;
/// The most words of an expression.
const MAX_WORDS: usize = 2048;

/// Columns whose texts the gate rewrites for each resource.
const CANONICAL: [&str; 4] = ["r_scope", "r_now", "p_scope", "p_window"];

/// The names that an expression may speak of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'n> {
    /// `r_sub`, …
    pub(super) request: &'n [String],
    /// `p_sub`, …
    pub(super) policy: &'n [String],
    /// `g`, `g2`, …, in the order of the graphs.
    pub(super) roles: &'n [String],
    pub(super) graphs: &'n Graphs,
    /// Whether the functions of the gate are known, and its canonical columns are theirs alone.
    pub(super) is_gate: bool,
}

/// What each line has to bring for an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A pattern of a function from a column.
    Pattern(Function, usize),
    /// A rule from a column.
    Rule(usize),
}

/// A matcher, read.
#[derive(Debug)]
pub(super) struct Matcher {
    pub(super) root: Node,
    pub(super) wanted: Vec<Wanted>,
    /// The values of the request whose attributes are read.
    pub(super) objects: BTreeSet<usize>,
}

/// Reads the matcher of a model.
pub(super) fn matcher(text: &str, names: Names<'_>) -> Result<Matcher, Problem> {
    let mut parser = Parser::new(text, Place::Matcher, names, None)?;
    let root = parser.whole()?;
    Ok(Matcher { root, wanted: parser.wanted, objects: parser.objects })
}

/// Reads a rule of a line for `eval`: the rule, and the values whose attributes it reads.
pub(super) fn rule(
    text: &str,
    names: Names<'_>,
    cells: &[Arc<str>],
) -> Result<(Node, BTreeSet<usize>), Problem> {
    let mut parser = Parser::new(text, Place::Rule, names, Some(cells))?;
    let root = parser.whole()?;
    Ok((root, parser.objects))
}

struct Parser<'n> {
    text: &'n str,
    names: Names<'n>,
    /// The line of a rule; a matcher is of all lines.
    cells: Option<&'n [Arc<str>]>,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Whether the arguments of a function of the gate are being read.
    is_canonical: bool,
    wanted: Vec<Wanted>,
    objects: BTreeSet<usize>,
}

impl<'n> Parser<'n> {
    fn new(
        text: &'n str,
        place: Place,
        names: Names<'n>,
        cells: Option<&'n [Arc<str>]>,
    ) -> Result<Self, Problem> {
        let tokens = tokens(text, place)?;
        if tokens.len() > MAX_WORDS {
            let message = format!("the expression has {} words", tokens.len());
            let help = format!("an expression has at most {MAX_WORDS} words");
            return Err(Problem::new("expression-too-long", 0..text.len(), message, help));
        }
        Ok(Self {
            text,
            names,
            cells,
            tokens,
            at: 0,
            depth: 0,
            is_canonical: false,
            wanted: Vec::new(),
            objects: BTreeSet::new(),
        })
    }

    fn whole(&mut self) -> Result<Node, Problem> {
        let node = self.either()?;
        match self.tokens.get(self.at) {
            None => self.bounded(node),
            Some(token) => {
                let at = token.at.clone();
                Err(self.problem(
                    "unexpected",
                    at,
                    "nothing may follow here",
                    "join conditions by `&&` or `||`",
                ))
            }
        }
    }

    fn problem(
        &self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem::new(code, at, message, help)
    }

    fn written(&self, at: Range<usize>) -> &'n str {
        self.text.get(at).unwrap_or("")
    }

    fn end(&self) -> Range<usize> {
        self.tokens.last().map_or(0..0, |token| token.at.clone())
    }

    fn sign(&self) -> Option<&'static str> {
        match self.tokens.get(self.at)?.word {
            Word::Sign(sign) => Some(sign),
            Word::Number(_) | Word::Text(_) | Word::Name(_) | Word::Truth(_) => None,
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.sign() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Problem> {
        if self.take(sign) {
            return Ok(());
        }
        let at = self.tokens.get(self.at).map_or_else(|| self.end(), |token| token.at.clone());
        Err(self.problem("unexpected", at, format!("a `{sign}` is missing here"), format!("write `{sign}`")))
    }

    fn too_deep(&self, at: Range<usize>) -> Problem {
        let message = format!("the expression is more than {MAX_DEPTH} deep");
        let help = "use fewer parentheses, and fewer signs of one kind in a row";
        self.problem("expression-too-deep", at, message, help)
    }

    /// `node`, unless it is too deep: what is put together in a loop must not become deeper than the
    /// stack allows, not even to be thrown away.
    fn bounded(&self, node: Node) -> Result<Node, Problem> {
        if node.is_within(MAX_DEPTH) { Ok(node) } else { Err(self.too_deep(0..self.text.len())) }
    }

    fn either(&mut self) -> Result<Node, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let at = self.tokens.get(self.at).map_or_else(|| self.end(), |token| token.at.clone());
            return Err(self.too_deep(at));
        }
        let mut parts = vec![self.all()?];
        while self.take("||") {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        Ok(single(parts, Node::Or))
    }

    fn all(&mut self) -> Result<Node, Problem> {
        let mut parts = vec![self.compared()?];
        while self.take("&&") {
            parts.push(self.compared()?);
        }
        Ok(single(parts, Node::And))
    }

    fn compared(&mut self) -> Result<Node, Problem> {
        let mut left = self.sum()?;
        loop {
            let comparison = match self.sign() {
                Some("==") => Comparison::Equal,
                Some("!=") => Comparison::Unequal,
                Some("<") => Comparison::Less,
                Some("<=") => Comparison::LessOrEqual,
                Some(">") => Comparison::Greater,
                Some(">=") => Comparison::GreaterOrEqual,
                Some("in") => {
                    self.at += 1;
                    let list = self.list(left)?;
                    left = self.bounded(list)?;
                    continue;
                }
                Some(sign @ ("=~" | "!~")) => {
                    self.at += 1;
                    let at = self.at;
                    let right = self.sum()?;
                    let pattern = self.pattern(Function::RegexMatch, right, self.span(at))?;
                    let (function, name, text) = (Function::RegexMatch, None, Box::new(left));
                    left = self.bounded(if sign == "=~" {
                        Node::Called { function, text, pattern, name }
                    } else {
                        Node::Unmatched { text, pattern }
                    })?;
                    continue;
                }
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.sum()?;
            left = self.bounded(Node::Compared(comparison, Box::new([left, right])))?;
        }
    }

    /// The bytes of the words from number `from` up to here.
    fn span(&self, from: usize) -> Range<usize> {
        let start = self.tokens.get(from).map_or(0, |token| token.at.start);
        let end = self.at.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(start, |t| t.at.end);
        start..end.max(start)
    }

    /// The right side of `in`.
    fn list(&mut self, one: Node) -> Result<Node, Problem> {
        let from = self.at;
        if self.sign() != Some("(") {
            let list = self.sum()?;
            let is_attribute = matches!(list, Node::Attribute(..) | Node::Request(_));
            return if is_attribute {
                Ok(Node::In(Box::new([one, list])))
            } else {
                let message = "the right side of `in` is not a list";
                Err(self.problem("not-a-list", self.span(from), message, "write `in ('a', 'b')`"))
            };
        }
        self.at += 1;
        let mut list = vec![self.either()?];
        while self.take(",") {
            list.push(self.either()?);
        }
        self.expect(")")?;
        let is_literal = |node: &Node| matches!(node, Node::Text(_) | Node::Number(_) | Node::Truth(_));
        match list.as_slice() {
            [only] if !is_literal(only) => {
                let message = "a list of one that is not a text in quotes is no list for Casbin";
                Err(self.problem("not-a-list", self.span(from), message, "compare with `==`"))
            }
            _ => Ok(Node::Among(Box::new(one), list)),
        }
    }

    fn sum(&mut self) -> Result<Node, Problem> {
        let mut left = self.product()?;
        loop {
            let arithmetic = match self.sign() {
                Some("+") => Arithmetic::Add,
                Some("-") => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.product()?;
            left = self.bounded(Node::Computed(arithmetic, Box::new([left, right])))?;
        }
    }

    fn product(&mut self) -> Result<Node, Problem> {
        let mut left = self.signed()?;
        loop {
            let arithmetic = match self.sign() {
                Some("*") => Arithmetic::Multiply,
                Some("/") => Arithmetic::Divide,
                Some("%") => Arithmetic::Remainder,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.signed()?;
            left = self.bounded(Node::Computed(arithmetic, Box::new([left, right])))?;
        }
    }

    fn signed(&mut self) -> Result<Node, Problem> {
        let sign = self.sign();
        if !matches!(sign, Some("!" | "-")) {
            return self.value();
        }
        self.at += 1;
        let from = self.at;
        if matches!(self.sign(), Some("!" | "-")) || self.is_text() {
            let at = self.tokens.get(from).map_or_else(|| self.end(), |token| token.at.clone());
            return Err(self.problem("unexpected", at, "a sign cannot stand before this", "use parentheses"));
        }
        let inner = Box::new(self.value()?);
        Ok(if sign == Some("!") { Node::Not(inner) } else { Node::Negated(inner) })
    }

    fn is_text(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|token| matches!(token.word, Word::Text(_)))
    }

    fn value(&mut self) -> Result<Node, Problem> {
        let Some(token) = self.tokens.get(self.at).cloned() else {
            return Err(self.problem("unexpected", self.end(), "the expression ends too early", "finish it"));
        };
        self.at += 1;
        match token.word {
            Word::Number(number) => Ok(Node::Number(number)),
            Word::Text(text) => Ok(Node::Text(text.into())),
            Word::Truth(truth) => Ok(Node::Truth(truth)),
            Word::Sign("(") => {
                let inner = self.either()?;
                self.expect(")")?;
                Ok(inner)
            }
            Word::Sign(sign) => {
                let message = format!("`{sign}` cannot stand here");
                Err(self.problem("unexpected", token.at, message, "write a value, a name or a call"))
            }
            Word::Name(name) => self.named(&name, token.at),
        }
    }

    fn named(&mut self, name: &str, at: Range<usize>) -> Result<Node, Problem> {
        if self.sign() == Some("(") {
            return self.call(name, at);
        }
        let mut path = name.split('.');
        let head = path.next().unwrap_or(name);
        let path: Vec<String> = path.map(str::to_owned).collect();
        if self.names.is_gate && !self.is_canonical && CANONICAL.contains(&head) {
            let message = format!("`{}` is read by the gate's own functions alone", self.written(at.clone()));
            let help = "its text is rewritten before it is compared: use `scope_match` or `in_window`";
            return Err(self.problem("canonical-column", at, message, help));
        }
        let find = |names: &[String]| names.iter().position(|known| known == head);
        if let Some(place) = find(self.names.request) {
            if path.is_empty() {
                return Ok(Node::Request(place));
            }
            if path.iter().any(String::is_empty) {
                return Err(self.problem("unknown-name", at, "an attribute without a name", "name it"));
            }
            self.objects.insert(place);
            return Ok(Node::Attribute(place, path));
        }
        if let (Some(column), true) = (find(self.names.policy), path.is_empty()) {
            return Ok(Node::Policy(column));
        }
        let message = format!("unknown name `{}`", self.written(at.clone()));
        let known: Vec<String> = self
            .names
            .request
            .iter()
            .chain(self.names.policy)
            .map(|name| name.replacen('_', ".", 1))
            .collect();
        Err(self.problem("unknown-name", at, message, format!("names are {}", known.join(", "))))
    }

    fn call(&mut self, name: &str, at: Range<usize>) -> Result<Node, Problem> {
        let from = self.at;
        self.expect("(")?;
        let is_role = self.names.roles.iter().any(|role| role == name);
        if !is_role && name != "eval" && !self.is_function(name) {
            return Err(self.unknown_function(at));
        }
        let of_gate = if self.names.is_gate { Function::of_gate(name) } else { None };
        let was_canonical = std::mem::replace(&mut self.is_canonical, of_gate.is_some());
        let mut arguments: Vec<(Node, Range<usize>)> = Vec::new();
        if self.sign() != Some(")") {
            loop {
                let from = self.at;
                let argument = self.either()?;
                arguments.push((argument, self.span(from)));
                if !self.take(",") {
                    break;
                }
            }
        }
        self.expect(")")?;
        self.is_canonical = was_canonical;
        let whole = at.start..self.span(from).end;
        if name == "eval" {
            return self.eval(&arguments, at, whole);
        }
        if let Some(graph) = self.names.roles.iter().position(|role| role == name) {
            return self.role(graph, arguments, whole);
        }
        let Some(function) = of_gate.or_else(|| Function::named(name)) else {
            return Err(self.unknown_function(at));
        };
        let wrong = self.wrong_number(name, function.arity(), arguments.len(), whole);
        let mut arguments = arguments.into_iter();
        let (Some((text, _)), Some((pattern, pattern_at)), name, None) =
            (arguments.next(), arguments.next(), arguments.next(), arguments.next())
        else {
            return Err(wrong);
        };
        if name.is_some() != (function.arity() == 3) {
            return Err(wrong);
        }
        let pattern = self.pattern(function, pattern, pattern_at)?;
        let name = name.map(|(name, _)| Box::new(name));
        Ok(Node::Called { function, text: Box::new(text), pattern, name })
    }

    fn is_function(&self, name: &str) -> bool {
        Function::named(name).is_some() || (self.names.is_gate && Function::of_gate(name).is_some())
    }

    fn unknown_function(&self, at: Range<usize>) -> Problem {
        let message = format!("unknown function `{}`", self.written(at.clone()));
        let of_gate = Function::OF_GATE.into_iter().filter(|_| self.names.is_gate);
        let functions = Function::ALL.into_iter().chain(of_gate).map(Function::as_str);
        let mut known: Vec<String> = self.names.roles.to_vec();
        known.extend(functions.map(str::to_owned));
        self.problem("unknown-function", at, message, format!("functions are {}", known.join(", ")))
    }

    fn wrong_number(&self, name: &str, wanted: usize, given: usize, at: Range<usize>) -> Problem {
        let message = format!("`{name}` takes {wanted} arguments, this call has {given}");
        self.problem("wrong-arguments", at, message, "give it what it takes")
    }

    /// Where the pattern of a call comes from.
    fn pattern(&mut self, function: Function, node: Node, at: Range<usize>) -> Result<PatternFrom, Problem> {
        let fixed = |parser: &Self, text: &str| match function.pattern(text) {
            Ok(pattern) => Ok(PatternFrom::Fixed(Arc::new(pattern), Arc::from(text))),
            Err(why) => {
                let message = format!("`{text}` is not a pattern of `{}`", function.as_str());
                Err(parser.problem("not-a-pattern", at.clone(), message, why))
            }
        };
        if function.is_of_gate() {
            return Ok(PatternFrom::Node(Box::new(node)));
        }
        match (node, self.cells) {
            (Node::Text(text), _) => fixed(self, &text),
            (Node::Policy(column), Some(cells)) => {
                let cell = cells.get(column).cloned().unwrap_or_default();
                fixed(self, &cell)
            }
            (Node::Policy(column), None) => {
                Ok(PatternFrom::Slot(self.slot(Wanted::Pattern(function, column))))
            }
            (node, _) if function.takes_any_pattern() => Ok(PatternFrom::Node(Box::new(node))),
            _ => {
                let message = format!("the pattern of `{}` comes from the request", function.as_str());
                let help =
                    "a pattern stands in the policy or in the matcher: whoever asks must not choose it";
                Err(self.problem("pattern-of-request", at, message, help))
            }
        }
    }

    fn slot(&mut self, wanted: Wanted) -> usize {
        self.wanted.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            self.wanted.push(wanted);
            self.wanted.len() - 1
        })
    }

    fn eval(
        &mut self,
        arguments: &[(Node, Range<usize>)],
        at: Range<usize>,
        whole: Range<usize>,
    ) -> Result<Node, Problem> {
        // Casbin knows `eval` only where the parenthesis follows at once.
        let is_close = self.text.get(at.end..).is_some_and(|rest| rest.starts_with('('));
        match (arguments, self.cells) {
            ([(Node::Policy(column), _)], None) if is_close => {
                Ok(Node::Rule(self.slot(Wanted::Rule(*column))))
            }
            _ => {
                let message = "`eval` takes one column of the policy, and stands in the model alone";
                Err(self.problem("wrong-arguments", whole, message, "write `eval(p.sub_rule)`"))
            }
        }
    }

    fn role(
        &mut self,
        graph: usize,
        arguments: Vec<(Node, Range<usize>)>,
        whole: Range<usize>,
    ) -> Result<Node, Problem> {
        let Shape { has_domains, matching, .. } = self.names.graphs.shape(graph);
        let given = arguments.len();
        let mut arguments = arguments.into_iter();
        let (Some((member, _)), Some((role, role_at)), domain, None) =
            (arguments.next(), arguments.next(), arguments.next(), arguments.next())
        else {
            let wanted = if has_domains { 3 } else { 2 };
            let name = self.names.roles.get(graph).map_or("g", String::as_str);
            return Err(self.wrong_number(name, wanted, given, whole));
        };
        let pattern = match matching {
            Some(function) => Some(self.pattern(function, role.clone(), role_at)?),
            None => None,
        };
        let domain = domain.map(|(domain, _)| Box::new(domain));
        Ok(Node::Role { graph, member: Box::new(member), role: Box::new(role), pattern, domain })
    }
}

fn single(mut parts: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => Node::Truth(false),
    }
}
