//! What retention must leave, since a sink that must have it has not.

use std::path::PathBuf;

use super::store::CursorFile;
use crate::config::Audit;
use crate::kernel::diagnostic::chain;
use crate::kernel::id::NodeId;

/// What mandatory sinks still need. It is asked on disk each time, so that it is true whichever process
/// sends.
#[derive(Debug, Clone)]
pub struct Hold {
    directory: PathBuf,
    mandatory: Vec<NodeId>,
}

impl Hold {
    /// What the mandatory sinks of a configuration need.
    #[must_use]
    pub fn new(audit: &Audit) -> Self {
        let mandatory = audit.sinks.iter().filter(|sink| sink.is_mandatory);
        Self {
            directory: audit.directory.clone(),
            mandatory: mandatory.map(|sink| sink.name.clone()).collect(),
        }
    }
}

impl crate::journal::Hold for Hold {
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
