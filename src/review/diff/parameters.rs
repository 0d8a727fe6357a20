//! The values of a request parameter, sorted into classes that no line tells apart.
//!
//! Whether a constraint holds depends on which of its patterns match the value. Take any value that
//! comes once. If some pattern names it exactly, it is that pattern's class alone. Else only
//! prefixes match, and of those that do, each is a beginning of the longest: so the value is told
//! apart by the longest prefix that it begins with, or by having none. One class for each exact
//! value, one for each prefix, one for no prefix, and one for a parameter that does not come or
//! comes more than once, which lines treat alike: these are all. A value that is a list is allowed where one is
//! that no pattern is about, or by its own name, and denied where one of its values is: it tells no more.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::id::ParameterName;
use crate::policy::scope::{Constraint, Pattern};

/// Requests that no line tells apart by one parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Class {
    /// It does not come, or comes more than once.
    Absent,
    /// A value that begins so, and no further as any pattern does. The empty text is the class of
    /// values that no pattern is about.
    Prefix(String),
    /// This value.
    Exact(String),
}

/// One parameter and the classes of its values.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) name: ParameterName,
    pub(super) classes: Vec<Class>,
    /// The values of a request of each class.
    pub(super) samples: Vec<Vec<String>>,
}

/// Which values of one parameter something is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterRange {
    /// Which parameter.
    pub parameter: ParameterName,
    /// Whether also requests that lack it or bring it more than once.
    pub absent: bool,
    /// The values, as in a scope, each with those that are left out of it.
    pub values: Vec<Values>,
}

/// A pattern without some others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Values {
    /// The values, such as `34*`; `*` is all of them.
    pub pattern: String,
    /// Those of them that are not meant, such as `3410*`.
    pub except: Vec<String>,
}

/// The axes of all parameters that `constraints` are about, by name.
pub(super) fn axes<'c>(constraints: impl Iterator<Item = &'c Constraint>) -> Vec<Axis> {
    let mut patterns: BTreeMap<&ParameterName, BTreeSet<Class>> = BTreeMap::new();
    for constraint in constraints {
        let known = patterns.entry(&constraint.parameter).or_default();
        known.extend(constraint.patterns.iter().map(|pattern| match pattern {
            Pattern::Exact(value) => Class::Exact(value.clone()),
            Pattern::Prefix(prefix) => Class::Prefix(prefix.clone()),
        }));
    }
    let axis = |(name, mut classes): (&ParameterName, BTreeSet<Class>)| {
        classes.insert(Class::Absent);
        classes.insert(Class::Prefix(String::new()));
        let samples = classes.iter().map(|class| sample(class, &classes)).collect();
        Axis { name: name.clone(), classes: classes.into_iter().collect(), samples }
    };
    patterns.into_iter().map(axis).collect()
}

/// The values of a request of `class`.
fn sample(class: &Class, all: &BTreeSet<Class>) -> Vec<String> {
    match class {
        Class::Absent => Vec::new(),
        Class::Exact(value) => vec![value.clone()],
        // One more character, with which no pattern goes on.
        Class::Prefix(prefix) => {
            let taken: BTreeSet<char> = all
                .iter()
                .filter_map(|other| match other {
                    Class::Absent => None,
                    Class::Prefix(text) | Class::Exact(text) => text.strip_prefix(prefix.as_str()),
                })
                .filter_map(|rest| rest.chars().next())
                .collect();
            let free = ('0'..='9').chain('a'..=char::MAX).find(|next| !taken.contains(next));
            vec![format!("{prefix}{}", free.unwrap_or('0'))]
        }
    }
}

impl Axis {
    /// The classes `of` in words; `None` if that is all of them.
    pub(super) fn range(&self, of: &BTreeSet<u32>) -> Option<ParameterRange> {
        if of.len() == self.classes.len() {
            return None;
        }
        let is_meant = |at: usize| u32::try_from(at).is_ok_and(|at| of.contains(&at));
        let mut absent = false;
        let mut values = Vec::new();
        for (at, class) in self.classes.iter().enumerate().filter(|&(at, _)| is_meant(at)) {
            match class {
                Class::Absent => absent = true,
                // Said by the class that it is part of.
                Class::Prefix(_) | Class::Exact(_) if self.above(class).is_some_and(is_meant) => {}
                Class::Prefix(_) | Class::Exact(_) => {
                    let except = self.below(class, at).filter(|&(other, within)| {
                        !is_meant(other) && self.above(within).is_some_and(is_meant)
                    });
                    let except = except.map(|(_, within)| within.to_string()).collect();
                    values.push(Values { pattern: class.to_string(), except });
                }
            }
        }
        Some(ParameterRange { parameter: self.name.clone(), absent, values })
    }

    /// The class that the values of `class` would be in without it.
    fn above(&self, class: &Class) -> Option<usize> {
        let begins = |(_, other): &(usize, &Class)| other.is_beginning_of(class);
        let length = |(_, other): &(usize, &Class)| other.text().map_or(0, str::len);
        self.classes.iter().enumerate().filter(begins).max_by_key(length).map(|(at, _)| at)
    }

    /// The classes that values of `class` would be in if they went on, those left out with one of
    /// theirs included.
    fn below<'a>(&'a self, class: &'a Class, at: usize) -> impl Iterator<Item = (usize, &'a Class)> {
        self.classes
            .iter()
            .enumerate()
            .filter(move |&(other, within)| other != at && class.is_beginning_of(within))
    }
}

impl Class {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Absent => None,
            Self::Prefix(text) | Self::Exact(text) => Some(text),
        }
    }

    fn is_beginning_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefix(a), Self::Prefix(b)) => a != b && b.starts_with(a.as_str()),
            (Self::Prefix(a), Self::Exact(b)) => b.starts_with(a.as_str()),
            _ => false,
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Prefix(text) => write!(f, "{text}*"),
            Self::Exact(text) => f.write_str(text),
        }
    }
}

/// The range as people write it, such as `area=34* but not 3410*, 3411`.
impl std::fmt::Display for ParameterRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.values.is_empty() {
            return write!(f, "{} absent or doubled", self.parameter);
        }
        write!(f, "{}=", self.parameter)?;
        for (index, Values { pattern, except }) in self.values.iter().enumerate() {
            if index > 0 {
                f.write_str("|")?;
            }
            f.write_str(pattern)?;
            if !except.is_empty() {
                write!(f, " but not {}", except.join("|"))?;
            }
        }
        if self.absent {
            f.write_str(", or absent or doubled")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::scope::Scope;
    use proptest::prelude::*;

    fn axis(patterns: &str) -> Axis {
        let scope = Scope::parse(&format!("*;area={patterns}")).unwrap();
        axes(scope.constraints.iter()).remove(0)
    }

    #[track_caller]
    fn check(patterns: &str, meant: &[&str], expected: &str) {
        let axis = axis(patterns);
        let of: BTreeSet<u32> = (0..)
            .zip(&axis.classes)
            .filter(|(_, class)| meant.contains(&class.to_string().as_str()))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(of.len(), meant.len(), "{:?}", axis.classes);
        assert_eq!(axis.range(&of).map(|range| range.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn ranges_in_words() {
        check("34*|3410*|3411", &["34*"], "area=34* but not 3410*|3411");
        check("34*|3410*|3411", &["34*", "3410*", "3411"], "area=34*");
        check("34*|3410*|3411", &["3410*", "3411"], "area=3410*|3411");
        check("34*|3410*|341001", &["34*", "341001"], "area=34* but not 3410*|341001");
        check("34*", &["*"], "area=* but not 34*");
        check("34*", &["*", "34*"], "area=*");
        check("34*", &["absent"], "area absent or doubled");
        check("34*", &["absent", "*"], "area=* but not 34*, or absent or doubled");
        check("34*", &["absent", "*", "34*"], "");
        check("*", &["*"], "area=*");
    }

    #[test]
    fn samples_lie_in_their_class() {
        let axis = axis("34*|3410*|3411|3*");
        let samples: Vec<String> = axis.samples.iter().flatten().cloned().collect();
        assert_eq!(samples, ["0", "30", "340", "34100", "3411"]);
    }

    proptest! {
        /// Every value is told apart by the patterns as the sample of some class is.
        #[test]
        fn every_value_is_in_a_class(
            patterns in prop::collection::btree_set("[ab]{0,3}\\*|[ab]{1,3}", 1..6),
            value in "[abc]{0,4}",
        ) {
            let scope = Scope::parse(&format!("*;area={}", patterns.into_iter().collect::<Vec<_>>().join("|"))).unwrap();
            let told = |value: &str| -> Vec<(bool, bool)> {
                let patterns = scope.constraints[0].patterns.iter();
                patterns.map(|pattern| (pattern.allows(value), pattern.denies(value))).collect()
            };
            let axis = &axes(scope.constraints.iter())[0];
            prop_assert!(axis.samples.iter().flatten().any(|sample| told(sample) == told(&value)));
        }
    }
}
