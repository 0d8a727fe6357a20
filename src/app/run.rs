//! Serving until told to stop.

use std::sync::Arc;

use crate::app::assemble::Assembled;
use crate::config::Config;
use crate::kernel::time::Clock;
use crate::telemetry::Metrics;

/// Why the gate stopped, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {}

/// Binds every listener of `config`, serves, and drains when told to stop.
///
/// # Errors
/// When a listener cannot be bound or the gate has to stop.
pub fn run(_: Config, _: Assembled, _: Metrics, _: Arc<dyn Clock>) -> Result<(), RunError> {
    Ok(())
}
