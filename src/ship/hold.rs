//! What retention must leave, since a sink that must have it has not.

use std::path::PathBuf;

use super::store::CursorFile;
use crate::config::Audit;
use crate::kernel::diagnostic::chain;
use crate::kernel::id::NodeId;

/// What mandatory sinks still need. It is asked on disk each time, so that it is true whichever process
/// sends.
#[derive(Debug, Clone)]
pub struct SinksHold {
    directory: PathBuf,
    mandatory: Vec<NodeId>,
}

impl SinksHold {
    /// What the mandatory sinks of a configuration need.
    #[must_use]
    pub fn new(audit: &Audit) -> Self {
        let mandatory = audit.sinks.iter().filter(|sink| sink.is_mandatory);
        Self::of(audit.directory.clone(), mandatory.map(|sink| sink.name.clone()).collect())
    }

    pub(super) const fn of(directory: PathBuf, mandatory: Vec<NodeId>) -> Self {
        Self { directory, mandatory }
    }
}

impl crate::journal::Hold for SinksHold {
    /// A cursor that cannot be read holds everything.
    fn first_needed(&self, node: &NodeId, generation: u32) -> u64 {
        let next = self.mandatory.iter().map(|sink| {
            let read = CursorFile::new(&self.directory, sink.clone()).read();
            read.map_or_else(
                |error| {
                    let error = chain(&error);
                    tracing::error!(%sink, error, "nothing is removed while it is not known what the sink has");
                    0
                },
                |cursor| cursor.unwrap_or_default().next(node, generation),
            )
        });
        next.min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::journal::Hold as _;

    #[test]
    fn what_one_mandatory_sink_needs_stays() {
        let ground = TempDir::new().unwrap();
        let name = |text: &str| NodeId::parse(text).unwrap();
        let node = name("gate-1");
        let file = |sink| CursorFile::new(ground.path(), name(sink));
        let hold = |sinks: &[&str]| SinksHold {
            directory: ground.path().to_owned(),
            mandatory: sinks.iter().map(|sink| name(sink)).collect(),
        };
        file("a").prepare().unwrap();
        for (sink, next) in [("a", 70), ("b", 40)] {
            file(sink).update(|cursor| cursor.advance(&node, 2, next)).unwrap();
        }
        assert_eq!(hold(&[]).first_needed(&node, 2), u64::MAX, "nobody must have it");
        assert_eq!(hold(&["a"]).first_needed(&node, 2), 70);
        assert_eq!(hold(&["a", "b"]).first_needed(&node, 2), 40);
        assert_eq!(hold(&["a"]).first_needed(&node, 3), 0);
        assert_eq!(hold(&["a", "new"]).first_needed(&node, 2), 0, "it has had nothing");
        std::fs::write(file("a").path(), "{").unwrap();
        assert_eq!(hold(&["a"]).first_needed(&node, 2), 0, "nobody knows");
    }
}
