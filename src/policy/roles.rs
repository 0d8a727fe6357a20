//! Who is in which group, and what in which theme: one graph for subjects, one for resources.
//!
//! A graph never has a cycle, because no link that would close one is taken.

use std::collections::HashMap;
use std::sync::Arc;

/// The longest chain of roles, in links: what casbin-rs follows. Go Casbin follows one more.
pub(crate) const MAX_LINKS: usize = 9;

/// A name in a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Node(pub(crate) u32);

/// Why a link is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLink {
    /// It would close a circle.
    Cycle,
    /// It stands already.
    Repeated,
}

/// Names and what they are members of.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    names: Vec<Arc<str>>,
    nodes: HashMap<Arc<str>, Node>,
    above: Vec<Vec<Node>>,
    below: Vec<Vec<Node>>,
}

impl Roles {
    /// The node called `name`, made if it is new.
    pub(crate) fn node(&mut self, name: &str) -> Node {
        if let Some(&node) = self.nodes.get(name) {
            return node;
        }
        // INVARIANT: `csv::MAX_ROWS` keeps the number of names far below 2^32.
        let node = Node(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.nodes.insert(name, node);
        self.above.push(Vec::new());
        self.below.push(Vec::new());
        node
    }

    pub(crate) fn find(&self, name: &str) -> Option<Node> {
        self.nodes.get(name).copied()
    }

    pub(crate) fn name(&self, node: Node) -> Arc<str> {
        self.names.get(index(node)).cloned().unwrap_or_default()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    fn above(&self, node: Node) -> &[Node] {
        self.above.get(index(node)).map_or(&[], Vec::as_slice)
    }

    fn below(&self, node: Node) -> &[Node] {
        self.below.get(index(node)).map_or(&[], Vec::as_slice)
    }

    /// Makes `member` a member of `group`.
    pub(crate) fn link(&mut self, member: Node, group: Node) -> Result<(), NoLink> {
        if self.above(member).contains(&group) {
            return Err(NoLink::Repeated);
        }
        if self.closure(group).contains(&member) {
            return Err(NoLink::Cycle);
        }
        if let Some(above) = self.above.get_mut(index(member)) {
            above.push(group);
        }
        if let Some(below) = self.below.get_mut(index(group)) {
            below.push(member);
        }
        Ok(())
    }

    /// `node` and everything it is in, each once, in order.
    pub(crate) fn closure(&self, node: Node) -> Vec<Node> {
        let mut found = vec![node];
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            for &group in self.above(at) {
                if !found.contains(&group) {
                    found.push(group);
                }
            }
            next += 1;
        }
        found.sort_unstable();
        found
    }

    /// The links of the longest chain that leads through `member` into `group`.
    pub(crate) fn longest_through(&self, member: Node, group: Node) -> usize {
        self.longest(member, Self::below, MAX_LINKS + 1) + 1 + self.longest(group, Self::above, MAX_LINKS + 1)
    }

    /// The longest way from `node` by `step`; `limit` ends the search where the answer is known
    /// to be too long.
    fn longest(&self, node: Node, step: fn(&Self, Node) -> &[Node], limit: usize) -> usize {
        let mut level = vec![node];
        let mut links = 0;
        while links < limit {
            let mut next: Vec<Node> = level.iter().flat_map(|&at| step(self, at)).copied().collect();
            next.sort_unstable();
            next.dedup();
            if next.is_empty() {
                break;
            }
            level = next;
            links += 1;
        }
        links
    }

    /// Every link, as casbin wants to be told.
    pub(crate) fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().zip(&self.above).flat_map(move |(member, groups)| {
            groups.iter().filter_map(move |&group| Some((&**member, &**self.names.get(index(group))?)))
        })
    }
}

fn index(node: Node) -> usize {
    usize::try_from(node.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closures_cycles_and_depth() {
        let mut roles = Roles::default();
        let nodes: Vec<Node> = (0..12).map(|index| roles.node(&format!("n{index}"))).collect();
        for pair in nodes.windows(2).take(9) {
            assert_eq!(roles.link(pair[0], pair[1]), Ok(()));
        }
        assert_eq!(roles.closure(nodes[7]), nodes[7..=9]);
        assert_eq!(roles.link(nodes[9], nodes[0]), Err(NoLink::Cycle));
        assert_eq!(roles.link(nodes[3], nodes[3]), Err(NoLink::Cycle));
        assert_eq!(roles.link(nodes[3], nodes[4]), Err(NoLink::Repeated));
        assert_eq!(roles.longest_through(nodes[3], nodes[4]), 9);
        assert_eq!(roles.link(nodes[9], nodes[10]), Ok(()));
        assert_eq!(roles.longest_through(nodes[3], nodes[4]), 10);
        assert_eq!(roles.links().count(), 10);
    }
}
