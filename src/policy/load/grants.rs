//! Policy lines: one grant each, column by column.

use std::sync::Arc;

use super::Loader;
use crate::grant::Effect;
use crate::kernel::diagnostic::did_you_mean;
use crate::kernel::id::{Action, GrantId, PurposeCode};
use crate::policy::csv::{Cell, Row};
use crate::policy::roles::Node;
use crate::policy::scope::Scope;
use crate::policy::terms::{Grant, Purposes};
use crate::policy::window::Window;

impl Loader<'_> {
    /// Reads one grant. Every column is looked at, so that all that is wrong is said at once.
    pub(super) fn grant(&mut self, row: &Row) -> Option<Grant> {
        let [id, subject, resource, action, purpose, scope, window, effect] = row.cells.as_slice() else {
            return None;
        };
        let effect = self.effect(effect);
        let id = self.grant_id(id, row.line);
        let subject_node = self.subject(subject);
        let resource_node = self.resource(resource);
        let action = self.action(action, resource_node);
        let purposes = self.purposes(purpose);
        // What a broken line would have meant is checked as if it allowed.
        let as_if = effect.unwrap_or(Effect::Allow);
        let scope = self.scope(scope, resource_node, as_if);
        let window = self.window(window, as_if);
        let (subject_node, resource_node) = (subject_node?, resource_node?);
        Some(Grant {
            id: id?,
            effect: effect?,
            subject: self.vocabulary.subjects.name(subject_node),
            subject_node,
            resource: self.vocabulary.themes.name(resource_node),
            resource_node,
            action: action?,
            purposes: purposes?,
            scope: scope?,
            window: window?,
            line: row.line,
        })
    }

    fn effect(&mut self, cell: &Cell) -> Option<Effect> {
        let effect = [Effect::Allow, Effect::Deny].into_iter().find(|effect| effect.as_str() == cell.text);
        if effect.is_none() {
            let near = did_you_mean(&cell.text.to_lowercase(), ["allow", "deny"]);
            let help = near.map_or_else(
                || "write `allow` or `deny`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.error("unknown-effect", cell.span.clone(), format!("unknown effect `{}`", cell.text), help);
        }
        effect
    }

    fn grant_id(&mut self, cell: &Cell, line: usize) -> Option<GrantId> {
        let id = match GrantId::parse(&cell.text) {
            Ok(id) => id,
            Err(error) => {
                let message = format!("`{}` is not a grant id", cell.text);
                self.error("bad-grant-id", cell.span.clone(), message, error.to_string());
                return None;
            }
        };
        if let Some(first) = self.ids.get(&id) {
            let message = format!("the id `{id}` is used twice");
            let help = format!("it names the grant on line {first}: every approval has a number of its own");
            self.error("duplicate-id", cell.span.clone(), message, help);
            return None;
        }
        self.ids.insert(id.clone(), line);
        Some(id)
    }

    fn subject(&mut self, cell: &Cell) -> Option<Node> {
        let node = self.vocabulary.subjects.find(&cell.text);
        if node.is_none() {
            self.unknown_subject(cell);
        }
        if self.catalog.registry.systems.get(cell.text.as_str()).is_some_and(|system| !system.enabled) {
            let message = format!("`{}` is disabled in the registry", cell.text);
            self.warning(
                "disabled-system",
                cell.span.clone(),
                message,
                "enable it there or remove this grant",
            );
        }
        node
    }

    fn resource(&mut self, cell: &Cell) -> Option<Node> {
        let node = self.vocabulary.themes.find(&cell.text);
        if node.is_none() {
            self.unknown_resource(cell);
        }
        node
    }

    /// The action of a line; `Some(None)` for `*`.
    fn action(&mut self, cell: &Cell, resource: Option<Node>) -> Option<Option<Action>> {
        if cell.text == "*" {
            return Some(None);
        }
        let members = resource.map(|node| self.vocabulary.members(node)).unwrap_or_default();
        let actions: Vec<Action> = if members.is_empty() {
            self.vocabulary.actions().to_vec()
        } else {
            let places = resource.into_iter().flat_map(|node| self.vocabulary.member_places(node));
            places.flat_map(|place| place.resource.actions.iter().cloned()).collect()
        };
        if let Some(action) = actions.iter().find(|action| action.as_str() == cell.text) {
            return Some(Some(action.clone()));
        }
        let help = match did_you_mean(&cell.text, actions.iter().map(Action::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let mut words: Vec<&str> = actions.iter().map(Action::as_str).collect();
                words.sort_unstable();
                words.dedup();
                format!("the catalogue has {}; `*` is all of them", words.join(", "))
            }
        };
        self.error("unknown-action", cell.span.clone(), format!("unknown action `{}`", cell.text), help);
        None
    }

    fn purposes(&mut self, cell: &Cell) -> Option<Purposes> {
        if cell.text == "*" {
            return Some(Purposes::All);
        }
        let purposes = match cell.text.strip_suffix(".*") {
            Some(prefix) => PurposeCode::parse(prefix).ok().map(Purposes::Below),
            // The catalogue's own text serves all its grants.
            None => self
                .catalog
                .purposes
                .get_key_value(cell.text.as_str())
                .map(|(code, _)| Purposes::One(code.clone())),
        };
        if let Some(purposes) = purposes
            && !self.vocabulary.purpose_range(&purposes).is_empty()
        {
            return Some(purposes);
        }
        let word = cell.text.strip_suffix(".*").unwrap_or(&cell.text);
        let codes = self.vocabulary.purposes.iter().map(PurposeCode::as_str);
        let prefixes = codes.clone().filter_map(|code| code.rsplit_once('.')).map(|(prefix, _)| prefix);
        let help = match did_you_mean(word, codes.chain(prefixes)) {
            Some(near) if self.catalog.purposes.contains_key(near) => format!("did you mean `{near}`?"),
            Some(near) => format!("did you mean `{near}.*`?"),
            None => "write a code of purposes.toml, `prefix.*`, or `*`".to_owned(),
        };
        self.error("unknown-purpose", cell.span.clone(), format!("unknown purpose `{}`", cell.text), help);
        None
    }

    fn scope(&mut self, cell: &Cell, resource: Option<Node>, effect: Effect) -> Option<Arc<Scope>> {
        let scope = match self.scopes.get(&cell.text) {
            Some(scope) => Arc::clone(scope),
            None => match Scope::parse(&cell.text) {
                Ok(scope) => {
                    let scope = Arc::new(scope);
                    self.scopes.insert(cell.text.clone(), Arc::clone(&scope));
                    scope
                }
                Err(problems) => {
                    self.problems(cell, problems);
                    return None;
                }
            },
        };
        let Some(resource) = resource else {
            self.maskers_fit(cell, &scope);
            return None;
        };
        self.scope_fits(cell, &scope, resource, effect).then_some(scope)
    }

    fn window(&mut self, cell: &Cell, effect: Effect) -> Option<Arc<Window>> {
        let key = (cell.text.clone(), effect);
        if let Some(window) = self.windows.get(&key) {
            return Some(Arc::clone(window));
        }
        match Window::parse(&cell.text, &self.frame, effect) {
            Ok(window) => {
                let window = Arc::new(window);
                self.windows.insert(key, Arc::clone(&window));
                Some(window)
            }
            Err(problems) => {
                self.problems(cell, problems);
                None
            }
        }
    }
}
