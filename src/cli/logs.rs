//! Logs of a process that serves: on standard error, as the configuration says.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Telemetry};

/// Begins to log. Does nothing where logging has begun already.
pub(super) fn begin(telemetry: &Telemetry) {
    let filter = EnvFilter::builder().parse_lossy(&telemetry.log);
    let choice = anstream::AutoStream::choice(&std::io::stderr());
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(choice != anstream::ColorChoice::Never);
    let begun = match telemetry.format {
        LogFormat::Pretty => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    if begun.is_err() {
        tracing::debug!("logging had begun already");
    }
}
