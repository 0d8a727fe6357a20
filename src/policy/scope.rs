//! How much a grant covers (范围): fields, request parameters and row duties.
//!
//! Reads the text of a scope. What its names mean on a resource is decided in `schema`.

use std::fmt;
use std::ops::Range;

use super::problem::{Part, Problem};
use crate::grant::Treatment;
use crate::kernel::id::{FieldPath, GroupName, MaskerName, ParameterName};
use crate::kernel::reading::parts_values;

/// A scope as read: names are well formed but not yet known to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The fields part, in order.
    pub items: Vec<Item>,
    /// The constrained parameters, each once.
    pub constraints: Vec<Constraint>,
    /// The most records one reply may hold.
    pub rows_per_reply: Option<u64>,
    /// The most records one day may bring.
    pub rows_per_day: Option<u64>,
}

/// One item of the fields part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which fields.
    pub selector: Selector,
    /// How they leave; `None` as the catalogue says.
    pub treatment: Option<Treatment>,
    /// The bytes of the text it was read from.
    pub at: Range<usize>,
}

/// A choice of fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// `*`: all of them.
    All,
    /// `@name`: a group of the catalogue.
    Group(GroupName),
    /// `a.*`: all below `a`.
    Below(FieldPath),
    /// `a.b`: one field.
    Field(FieldPath),
}

impl Selector {
    /// Reads one choice.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some(name) = text.strip_prefix('@') {
            return GroupName::parse(name).ok().map(Self::Group);
        }
        if let Some(path) = text.strip_suffix(".*") {
            return FieldPath::parse(path).ok().map(Self::Below);
        }
        FieldPath::parse(text).ok().map(Self::Field)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Group(name) => write!(f, "@{name}"),
            Self::Below(path) => write!(f, "{path}.*"),
            Self::Field(path) => write!(f, "{path}"),
        }
    }
}

/// A request parameter and the values it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Which parameter.
    pub parameter: ParameterName,
    /// The values, at least one.
    pub patterns: Vec<Pattern>,
    /// The bytes of the text that name the parameter.
    pub at: Range<usize>,
}

/// One value, or all values with one beginning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// This value.
    Exact(String),
    /// Every value that begins so.
    Prefix(String),
}

impl Pattern {
    /// Whether an allow line with it means `value`, and nothing else that a program may read there: what follows a
    /// prefix is no list. Behind `*` alone there may be one, since each value of it is meant.
    #[must_use]
    pub fn allows(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => value == exact,
            Self::Prefix(prefix) => value
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| prefix.is_empty() || !rest.contains(parts_values)),
        }
    }

    /// Whether a deny line with it means `value`, or one of those that a program may read there.
    #[must_use]
    pub fn denies(&self, value: &str) -> bool {
        let is_meant = |value: &str| match self {
            Self::Exact(exact) => value == exact,
            Self::Prefix(prefix) => value.starts_with(prefix.as_str()),
        };
        is_meant(value) || value.split(parts_values).any(is_meant)
    }

    /// Whether an allow line with this and a deny line with `deny` may mean one value. No is certain.
    #[must_use]
    pub fn may_meet(&self, deny: &Self) -> bool {
        match (self, deny) {
            (Self::Exact(value), deny) => deny.denies(value),
            (Self::Prefix(prefix), _) if prefix.contains(parts_values) => true,
            (Self::Prefix(prefix), Self::Exact(value)) => value.starts_with(prefix.as_str()),
            (Self::Prefix(prefix), Self::Prefix(other)) => {
                other.starts_with(prefix.as_str()) || prefix.starts_with(other.as_str())
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => f.write_str(value),
            Self::Prefix(value) => write!(f, "{value}*"),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.parameter)?;
        for (index, pattern) in self.patterns.iter().enumerate() {
            if index > 0 {
                f.write_str("|")?;
            }
            write!(f, "{pattern}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.treatment {
            None => write!(f, "{}", self.selector),
            Some(Treatment::Clear) => write!(f, "{}:clear", self.selector),
            Some(Treatment::Masked(masker)) => write!(f, "{}:{masker}", self.selector),
        }
    }
}

/// The scope as people write it, normalised.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fields_text())?;
        for constraint in &self.constraints {
            write!(f, ";{constraint}")?;
        }
        if let Some(rows) = self.rows_per_reply {
            write!(f, ";rows<={rows}")?;
        }
        if let Some(rows) = self.rows_per_day {
            write!(f, ";rows/day<={rows}")?;
        }
        Ok(())
    }
}

impl Scope {
    /// Reads `fields;param=pattern|pattern;rows<=n`.
    ///
    /// # Errors
    /// Everything that is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut scope =
            Self { items: Vec::new(), constraints: Vec::new(), rows_per_reply: None, rows_per_day: None };
        let mut problems = Vec::new();
        let mut parts = Part::whole(text).split(';');
        if let Some(fields) = parts.next() {
            for part in fields.split('|') {
                match item(part) {
                    Ok(item) => scope.items.push(item),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        for part in parts {
            if let Err(problem) = scope.clause(part) {
                problems.push(problem);
            }
        }
        if problems.is_empty() { Ok(scope) } else { Err(problems) }
    }

    /// The fields part, normalised.
    #[must_use]
    pub fn fields_text(&self) -> String {
        self.items.iter().map(Item::to_string).collect::<Vec<_>>().join("|")
    }

    fn clause(&mut self, part: Part<'_>) -> Result<(), Problem> {
        let is_duty = part.text.find('=').is_none_or(|at| at > 0 && part.text.get(at - 1..at) == Some("<"));
        if is_duty && let Some((name, number)) = part.split_once("<=") {
            return self.duty(part, name, number);
        }
        let Some((name, values)) = part.split_once("=") else {
            return Err(Problem::new(
                "bad-scope",
                part.at(),
                format!("`{}` is neither a constraint nor a duty", part.text),
                "write `parameter=value`, `parameter=prefix*`, `rows<=1000` or `rows/day<=50000`",
            ));
        };
        let parameter = ParameterName::parse(name.text).map_err(|error| {
            let help = match name.text {
                "rows/day" => "write `rows/day<=` and a number".to_owned(),
                _ => error.to_string(),
            };
            Problem::new("bad-scope", name.at(), format!("`{}` is not a parameter", name.text), help)
        })?;
        if self.constraints.iter().any(|constraint| constraint.parameter == parameter) {
            return Err(Problem::new(
                "bad-scope",
                name.at(),
                format!("the parameter `{parameter}` is constrained twice"),
                format!("join the values by `|`, as in `{parameter}=a|b`"),
            ));
        }
        let patterns = values.split('|').map(pattern).collect::<Result<_, _>>()?;
        self.constraints.push(Constraint { parameter, patterns, at: name.at() });
        Ok(())
    }

    fn duty(&mut self, part: Part<'_>, name: Part<'_>, number: Part<'_>) -> Result<(), Problem> {
        let slot = match name.text {
            "rows" => &mut self.rows_per_reply,
            "rows/day" => &mut self.rows_per_day,
            other => {
                let message = format!("`{other}` is not a duty");
                return Err(Problem::new(
                    "bad-scope",
                    name.at(),
                    message,
                    "duties are `rows<=n` and `rows/day<=n`",
                ));
            }
        };
        if slot.is_some() {
            let message = format!("the duty `{}` is given twice", name.text);
            return Err(Problem::new("bad-scope", part.at(), message, "keep the smaller one"));
        }
        let digits = !number.text.is_empty() && number.text.bytes().all(|byte| byte.is_ascii_digit());
        match number.text.parse::<u64>() {
            Ok(rows) if digits && rows > 0 => {
                *slot = Some(rows);
                Ok(())
            }
            _ => Err(Problem::new(
                "bad-scope",
                number.at(),
                format!("`{}` is not a number of rows", number.text),
                "write a whole number above zero, in digits alone",
            )),
        }
    }
}

fn item(part: Part<'_>) -> Result<Item, Problem> {
    let (choice, treatment) = match part.split_once(":") {
        None => (part, None),
        Some((choice, word)) if word.text == "clear" => (choice, Some(Treatment::Clear)),
        Some((choice, word)) => {
            let masker = MaskerName::parse(word.text).map_err(|_| {
                let message = format!("`{}` is not a masker", word.text);
                Problem::new(
                    "bad-scope",
                    word.at(),
                    message,
                    "write `:clear` or `:` and the name of a masker",
                )
            })?;
            (choice, Some(Treatment::Masked(masker)))
        }
    };
    match Selector::parse(choice.text) {
        Some(selector) => Ok(Item { selector, treatment, at: part.at() }),
        None if part.text.is_empty() => {
            let help = "write the fields, or `*` for all of them";
            Err(Problem::new("bad-scope", part.at(), "no field is named here", help))
        }
        None => {
            let help = "write `*`, `@group`, `name`, `address.city` or `address.*`";
            Err(Problem::new("bad-scope", choice.at(), format!("`{}` names no field", choice.text), help))
        }
    }
}

fn pattern(part: Part<'_>) -> Result<Pattern, Problem> {
    let (text, prefix) = match part.text.strip_suffix('*') {
        Some(text) => (text, true),
        None => (part.text, false),
    };
    if part.text.is_empty() {
        let help = "write a value, or a beginning and `*`";
        return Err(Problem::new("bad-scope", part.at(), "a value is missing", help));
    }
    if text.contains('*') {
        let message = format!("`{}` has a `*` that is not at its end", part.text);
        return Err(Problem::new(
            "bad-scope",
            part.at(),
            message,
            "a `*` stands at the end and matches a prefix",
        ));
    }
    Ok(if prefix { Pattern::Prefix(text.to_owned()) } else { Pattern::Exact(text.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_normalised() {
        for (text, expected) in [
            ("*", "*"),
            ("@basic", "@basic"),
            (" name | id_card:clear|address ", "name|id_card:clear|address"),
            ("name;area=3410* ; year = 2024 |2025", "name;area=3410*;year=2024|2025"),
            ("address.*:address;rows/day<=50000;rows<=1000", "address.*:address;rows<=1000;rows/day<=50000"),
            ("名称|地址.市", "名称|地址.市"),
            ("*;q=a<=b", "*;q=a<=b"),
            ("*;area=*", "*;area=*"),
        ] {
            let scope = Scope::parse(text).unwrap();
            assert_eq!(scope.to_string(), expected, "{text:?}");
            assert_eq!(Scope::parse(expected).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named_in_place() {
        for (text, place, message) in [
            ("", 0..0, "no field is named here"),
            ("name||sex", 5..5, "no field is named here"),
            ("name;", 5..5, "`` is neither a constraint nor a duty"),
            ("name:Clear", 5..10, "`Clear` is not a masker"),
            ("a*", 0..2, "`a*` names no field"),
            ("*.a", 0..3, "`*.a` names no field"),
            ("@", 0..1, "`@` names no field"),
            ("*;area=", 7..7, "a value is missing"),
            ("*;area=3*0", 7..10, "`3*0` has a `*` that is not at its end"),
            ("*;area=1;area=2", 9..13, "the parameter `area` is constrained twice"),
            ("*;rows<=0", 8..9, "`0` is not a number of rows"),
            ("*;rows<=+5", 8..10, "`+5` is not a number of rows"),
            ("*;row<=5", 2..5, "`row` is not a duty"),
            ("*;rows<=5;rows<=6", 10..17, "the duty `rows` is given twice"),
            ("*;rows/day=5", 2..10, "`rows/day` is not a parameter"),
        ] {
            let problems = Scope::parse(text).unwrap_err();
            let found: Vec<_> =
                problems.iter().map(|problem| (problem.at.clone(), problem.message.as_str())).collect();
            assert_eq!(found, [(place, message)], "{text:?}");
        }
    }

    #[test]
    fn patterns() {
        let scope = Scope::parse("*;area=3410*|350100").unwrap();
        let patterns = &scope.constraints[0].patterns;
        for (value, allows, denies) in [
            ("3410", true, true),
            ("341000", true, true),
            ("3410-9999", true, true),
            ("350100", true, true),
            ("350101", false, false),
            ("341", false, false),
            ("", false, false),
            // As programs read lists that stand in one text.
            ("341002,110105", false, true),
            ("110105,341002", false, true),
            ("110105, 350100", false, true),
            ("341002;", false, true),
            ("3410|1101", false, true),
            ("3410 1101", false, true),
            ("3410\t1101", false, true),
            ("341002，110105", false, true),
            ("341002；110105", false, true),
            ("341002、110105", false, true),
            ("3410｜1101", false, true),
            ("3410\u{3000}1101", false, true),
            ("110105,110106", false, false),
        ] {
            assert_eq!(patterns.iter().any(|pattern| pattern.allows(value)), allows, "{value:?}");
            assert_eq!(patterns.iter().any(|pattern| pattern.denies(value)), denies, "{value:?}");
        }
        let any = Pattern::Prefix(String::new());
        assert!(any.allows("341002, 110105") && any.denies("341002, 110105"));
        let list = Pattern::Exact("a, b".to_owned());
        assert!(list.allows("a, b") && list.denies("a, b"));
    }

    /// What parts values once a program has brought it to a normal form (Unicode, annex 15) parts them here.
    #[test]
    fn signs_that_become_a_comma_or_a_semicolon_part_values() {
        let prefix = Pattern::Prefix("3410".to_owned());
        let other = Pattern::Prefix("1101".to_owned());
        // U+037E is the semicolon in every normal form; the others are comma, semicolon, `、` or `|` in the compatible ones.
        for sign in
            ['\u{37E}', '\u{FE50}', '\u{FE10}', '\u{FE54}', '\u{FE14}', '\u{FF64}', '\u{FE51}', '\u{FE11}']
        {
            let value = format!("341002{sign}110105");
            assert!(!prefix.allows(&value), "{value:?}");
            assert!(other.denies(&value), "{value:?}");
        }
    }
}
