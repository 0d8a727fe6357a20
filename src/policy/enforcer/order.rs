//! The order in which lines speak: that of the file, or by an explicit priority, or by subject.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// Why subjects have no order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoOrder {
    /// Roles in a circle.
    Circle(String),
    /// A name that is at two depths below two roots: Go's order then changes from run to run.
    Ambiguous(String),
}

/// How deep below its root each subject stands, by domain and name, as Go Casbin counts.
pub(super) fn depths(
    links: &[(String, String, String)],
) -> Result<HashMap<(String, String), usize>, NoOrder> {
    type Name = (String, String);
    let mut below: HashMap<Name, Vec<Name>> = HashMap::new();
    let mut all: HashSet<Name> = HashSet::new();
    let mut children: HashSet<Name> = HashSet::new();
    for (child, parent, domain) in links {
        let (child, parent) = ((domain.clone(), child.clone()), (domain.clone(), parent.clone()));
        below.entry(parent.clone()).or_default().push(child.clone());
        all.extend([child.clone(), parent]);
        children.insert(child);
    }
    let mut depths: HashMap<Name, usize> = HashMap::new();
    for root in all.iter().filter(|name| !children.contains(*name)) {
        // The last visit counts, which is that by the longest way.
        let mut of_root: HashMap<Name, usize> = HashMap::new();
        let mut level: HashSet<Name> = HashSet::from([root.clone()]);
        let mut depth = 0;
        while !level.is_empty() {
            if depth > all.len() {
                return Err(NoOrder::Circle(root.1.clone()));
            }
            of_root.extend(level.iter().map(|name| (name.clone(), depth)));
            level = level.iter().filter_map(|name| below.get(name)).flatten().cloned().collect();
            depth += 1;
        }
        for (name, depth) in of_root {
            if depths.insert(name.clone(), depth).is_some_and(|other| other != depth) {
                return Err(NoOrder::Ambiguous(name.1));
            }
        }
    }
    match all.into_iter().find(|name| !depths.contains_key(name)) {
        Some(name) => Err(NoOrder::Circle(name.1)),
        None => Ok(depths),
    }
}

/// Sorts `items` so that the deepest subjects speak first; those of one depth keep their order.
pub(super) fn by_subject<T>(
    items: &mut [T],
    depths: &HashMap<(String, String), usize>,
    name: impl Fn(&T) -> (String, String),
) {
    items.sort_by_cached_key(|item| Reverse(depths.get(&name(item)).copied().unwrap_or(0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(pairs: &[(&str, &str)]) -> Vec<(String, String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned(), String::new())).collect()
    }

    #[test]
    fn depths_are_counted_from_the_root() {
        let depths = depths(&links(&[("admin", "root"), ("editor", "admin"), ("jane", "editor")])).unwrap();
        let depth = |name: &str| depths[&(String::new(), name.to_owned())];
        assert_eq!((depth("root"), depth("admin"), depth("editor"), depth("jane")), (0, 1, 2, 3));
    }

    #[test]
    fn what_has_no_order_is_refused() {
        let circle = depths(&links(&[("a", "b"), ("b", "a")]));
        assert!(matches!(circle, Err(NoOrder::Circle(_))), "{circle:?}");
        let two = depths(&links(&[("a", "b"), ("b", "c"), ("a", "d")]));
        assert_eq!(two, Err(NoOrder::Ambiguous("a".to_owned())));
    }
}
