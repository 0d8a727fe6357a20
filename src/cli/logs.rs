//! Logs of a process that serves: on standard error, as the configuration says.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, reload};

use crate::app::Levels;
use crate::config::{LogFormat, Telemetry};

/// Begins to log, and says what is logged from then on. Does nothing where logging has begun already.
pub(super) fn begin(telemetry: &Telemetry) -> Levels {
    let (filter, switch) = reload::Layer::new(telemetry.log.targets().clone());
    let choice = anstream::AutoStream::choice(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(choice != anstream::ColorChoice::Never);
    let lines = match telemetry.format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // The filter is below: where it says no, nothing is asked of what is above.
    let begun = tracing_subscriber::registry().with(filter).with(lines).try_init();
    if begun.is_err() {
        tracing::debug!("logging had begun already");
    }
    Levels::new(begun.is_ok().then_some(switch), telemetry.log.clone())
}
