//! One line of `grants.csv`, checked: the terms of a grant, for people and for the record.

use std::sync::Arc;

use super::roles::Node;
use super::scope::Scope;
use super::window::Window;
use crate::grant::Effect;
use crate::kernel::id::{Action, GrantId, PurposeCode};
use crate::kernel::time::Timestamp;

/// Which purposes a line covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Purposes {
    /// `*`: every purpose.
    All,
    /// `prefix.*`: every purpose below the prefix, which is kept without its `.*`.
    Below(PurposeCode),
    /// One purpose.
    One(PurposeCode),
}

impl std::fmt::Display for Purposes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}.*"),
            Self::One(code) => write!(f, "{code}"),
        }
    }
}

/// One permission, or one refusal, and its terms (授权).
#[derive(Debug)]
pub struct Grant {
    pub(crate) id: GrantId,
    pub(crate) effect: Effect,
    pub(crate) subject: Arc<str>,
    pub(crate) subject_node: Node,
    pub(crate) resource: Arc<str>,
    pub(crate) resource_node: Node,
    pub(crate) action: Option<Action>,
    pub(crate) purposes: Purposes,
    pub(crate) scope: Arc<Scope>,
    pub(crate) window: Arc<Window>,
    pub(crate) line: usize,
}

impl Grant {
    /// What its columns say, but for scope and window, which are rewritten for each resource.
    pub(crate) fn texts(&self) -> Vec<String> {
        let action = self.action.as_ref().map_or("*", |action| action.as_str());
        vec![
            self.id.to_string(),
            self.subject.to_string(),
            self.resource.to_string(),
            action.to_owned(),
            self.purposes.to_string(),
            String::new(),
            String::new(),
            self.effect.as_str().to_owned(),
        ]
    }

    /// Its approval number.
    #[must_use]
    pub fn id(&self) -> &GrantId {
        &self.id
    }

    /// Whether it grants or refuses.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The system, department or group it is given to.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The resource, theme or sharing type it is about.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The action it is about; `None` for all.
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        self.action.as_ref()
    }

    /// The purposes it holds for.
    #[must_use]
    pub fn purposes(&self) -> &Purposes {
        &self.purposes
    }

    /// How much it covers.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When it holds.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The first instant at which it no longer holds, if it ends.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.window.ends()
    }

    /// The line of `grants.csv` it stands on, counted from one.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
}
