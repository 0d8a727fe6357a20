//! A scope held against the resources it may apply to.

use std::collections::BTreeSet;

use super::Loader;
use crate::grant::{Effect, Treatment};
use crate::kernel::diagnostic::did_you_mean;
use crate::policy::csv::Cell;
use crate::policy::roles::Node;
use crate::policy::scope::{Constraint, Item, Scope, Selector};
use crate::policy::vocabulary::Place;

impl Loader<'_> {
    /// Whether every name in `scope` is known. On a theme or sharing type, a name that only some
    /// resources have is a warning: on the others it gives nothing.
    pub(super) fn scope_fits(&mut self, cell: &Cell, scope: &Scope, resource: Node, effect: Effect) -> bool {
        let key = (resource, effect, cell.text.clone());
        if self.fitting.contains(&key) {
            return true;
        }
        let errors = self.errors;
        if effect == Effect::Deny {
            self.deny_scope(cell, scope);
        } else {
            for item in &scope.items {
                self.item_fits(cell, item, resource);
            }
        }
        for constraint in &scope.constraints {
            self.constraint_fits(cell, constraint, resource, effect);
        }
        let fits = self.errors == errors;
        if fits {
            // Warned of once is enough.
            self.fitting.insert(key);
        }
        fits
    }

    fn deny_scope(&mut self, cell: &Cell, scope: &Scope) {
        let whole = matches!(scope.items.as_slice(), [Item { selector: Selector::All, treatment: None, .. }]);
        if !whole {
            let at = scope.items.first().map_or(0, |item| item.at.start)
                ..scope.items.last().map_or(0, |item| item.at.end);
            let help = "write `*`: to keep a field back, leave it out of the grants";
            self.error(
                "deny-of-fields",
                cell.place(at),
                "a deny line refuses the whole request, not fields",
                help,
            );
        }
        if scope.rows_per_reply.is_some() || scope.rows_per_day.is_some() {
            let help = "write row duties on allow lines";
            self.error("deny-with-duty", cell.span.clone(), "a deny line has no row duties", help);
        }
    }

    /// Whether the maskers of `scope` are known; all that can be said where the resource is not.
    pub(super) fn maskers_fit(&mut self, cell: &Cell, scope: &Scope) {
        for item in &scope.items {
            self.masker_fits(cell, item);
        }
    }

    fn masker_fits(&mut self, cell: &Cell, item: &Item) {
        if let Some(Treatment::Masked(masker)) = &item.treatment
            && !self.maskers.contains(masker)
        {
            let words = self.maskers.iter().map(|masker| masker.as_str()).chain(["clear"]);
            let help = match did_you_mean(masker.as_str(), words) {
                Some(near) => format!("did you mean `:{near}`?"),
                None => "write `:clear` or a masker of masks.toml".to_owned(),
            };
            self.error(
                "unknown-masker",
                cell.place(item.at.clone()),
                format!("unknown masker `{masker}`"),
                help,
            );
        }
    }

    fn item_fits(&mut self, cell: &Cell, item: &Item, resource: Node) {
        self.masker_fits(cell, item);
        let name = item.selector.to_string();
        let knows = |place: &Place| place.schema.named(&name).is_some();
        let Some(lacking) = self.lacking(resource, knows) else { return };
        let place = cell.place(item.at.clone());
        if let Lacking::Some(resources) = lacking {
            let message = format!("`{name}` gives nothing on {resources}");
            self.warning(
                "partial-scope",
                place,
                message,
                "name the resources that have it, or add it to the others",
            );
            return;
        }
        let names: BTreeSet<&str> =
            self.vocabulary.member_places(resource).flat_map(|place| place.schema.names()).collect();
        let help = match did_you_mean(&name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a field or group of catalog.toml".to_owned(),
        };
        let (code, kind) = match item.selector {
            Selector::Group(_) => ("unknown-field-group", "field group"),
            Selector::All | Selector::Below(_) | Selector::Field(_) => ("unknown-field", "field"),
        };
        self.error(code, place, format!("unknown {kind} `{name}`"), help);
    }

    fn constraint_fits(&mut self, cell: &Cell, constraint: &Constraint, resource: Node, effect: Effect) {
        let name = constraint.parameter.as_str();
        let knows = |place: &Place| place.resource.parameter(name).is_some();
        let Some(lacking) = self.lacking(resource, knows) else { return };
        let place = cell.place(constraint.at.clone());
        if let Lacking::Some(resources) = lacking {
            let (message, help) = match effect {
                Effect::Allow => (
                    format!("`{name}` is no parameter of {resources}: the grant never holds there"),
                    "name the resources that have it",
                ),
                Effect::Deny => (
                    format!("`{name}` is no parameter of {resources}: the line refuses every request there"),
                    "name the resources that have it",
                ),
            };
            self.warning("partial-scope", place, message, help);
            return;
        }
        let places = self.vocabulary.member_places(resource);
        let known: BTreeSet<&str> = places
            .flat_map(|place| &place.resource.parameters)
            .map(|parameter| parameter.name.as_str())
            .collect();
        let help = if name == "rows" {
            "write `rows<=` and a number for a row duty".to_owned()
        } else {
            match did_you_mean(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write a parameter of catalog.toml".to_owned(),
            }
        };
        self.error("unknown-parameter", place, format!("unknown parameter `{name}`"), help);
    }

    /// Which resources of `node` do not know a name; `None` if all do, or if there are none.
    fn lacking(&self, node: Node, knows: impl Fn(&Place) -> bool) -> Option<Lacking> {
        let places = self.vocabulary.members(node).len();
        let lacking: Vec<&str> = self
            .vocabulary
            .member_places(node)
            .filter(|place| !knows(place))
            .map(|place| place.resource.id.as_str())
            .collect();
        match lacking.as_slice() {
            [] => None,
            all if all.len() == places => Some(Lacking::All),
            [first] => Some(Lacking::Some(format!("`{first}`"))),
            [first, rest @ ..] => Some(Lacking::Some(format!("`{first}` and {} more", rest.len()))),
        }
    }
}

/// How many of a theme's resources lack a name.
enum Lacking {
    All,
    Some(String),
}
