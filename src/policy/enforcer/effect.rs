//! From the lines that match to one answer.

/// What a line says of requests that match it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    Allow,
    Deny,
    /// Nothing: Casbin passes over the line.
    Indeterminate,
}

impl Effect {
    pub(super) fn read(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            "indeterminate" => Some(Self::Indeterminate),
            _ => None,
        }
    }
}

/// How the effects of several lines become one: the policy effect of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Combination {
    /// Allowed if a line allows.
    AllowOverride,
    /// Allowed unless a line denies.
    DenyOverride,
    /// Allowed if a line allows and none denies.
    AllowAndDeny,
    /// The first line that says something.
    Priority,
    /// As `Priority`, the lines of the lowest subject in the hierarchy first.
    SubjectPriority,
}

impl Combination {
    pub(super) const ALL: [Self; 5] =
        [Self::AllowOverride, Self::DenyOverride, Self::AllowAndDeny, Self::Priority, Self::SubjectPriority];

    /// The expression in a model, as Casbin compares it: to the letter.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AllowOverride => "some(where (p_eft == allow))",
            Self::DenyOverride => "!some(where (p_eft == deny))",
            Self::AllowAndDeny => "some(where (p_eft == allow)) && !some(where (p_eft == deny))",
            Self::Priority => "priority(p_eft) || deny",
            Self::SubjectPriority => "subjectPriority(p_eft) || deny",
        }
    }

    /// The combination of a model's expression.
    pub(super) fn read(expression: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|combination| combination.as_str() == expression.replace("p.eft", "p_eft"))
    }

    /// The answer if the matcher speaks of no line: Casbin then asks it once.
    pub(super) fn without_lines(self, matches: bool) -> bool {
        matches || self == Self::DenyOverride
    }
}

/// An answer, and the line that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) allow: bool,
    pub(super) line: Option<usize>,
}

/// Lines being combined, in their order.
#[derive(Debug)]
pub(super) struct Combining {
    combination: Combination,
    first_allow: Option<usize>,
}

impl Combining {
    pub(super) fn new(combination: Combination) -> Self {
        Self { combination, first_allow: None }
    }

    /// Takes the next line that matches; the answer if no later line can change it.
    pub(super) fn matched(&mut self, line: usize, effect: Effect) -> Option<Verdict> {
        let verdict = |allow| Some(Verdict { allow, line: Some(line) });
        match (self.combination, effect) {
            (_, Effect::Indeterminate) => None,
            (Combination::Priority | Combination::SubjectPriority, effect) => {
                verdict(effect == Effect::Allow)
            }
            (Combination::AllowOverride, Effect::Allow) => verdict(true),
            (Combination::AllowOverride, Effect::Deny) | (Combination::DenyOverride, Effect::Allow) => None,
            (Combination::DenyOverride | Combination::AllowAndDeny, Effect::Deny) => verdict(false),
            (Combination::AllowAndDeny, Effect::Allow) => {
                self.first_allow.get_or_insert(line);
                None
            }
        }
    }

    /// The answer after the last line.
    pub(super) fn end(self) -> Verdict {
        let allow = self.first_allow.is_some() || self.combination == Combination::DenyOverride;
        Verdict { allow, line: self.first_allow }
    }
}
