//! `pinegate top`: the live traffic of a gate, from its page of metrics.

mod figures;
mod frame;
mod gate;
mod page;
mod terminal;
mod view;
mod words;

#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::runtime::Runtime;

use self::frame::{Body, Look, draw, text};
pub(crate) use self::gate::ReadingError;
use self::gate::Source;
use self::terminal::Show;
use self::view::{Sort, Watch};
use super::source::default_config;
use super::{CommandError, Exit, Screen};
use crate::config::Config;
use crate::kernel::bound::parse_duration;
use crate::kernel::time::{Clock, Timestamp};

/// How large the one frame is that no terminal shows. What it has no lines for is cut off at the bottom.
const PLAIN: Rect = Rect { x: 0, y: 0, width: 100, height: 120 };

/// Watch the live traffic of a gate
///
/// Reads the gate's page of metrics again and again and shows what changed: requests and refusals, the
/// busiest systems and resources, how long requests and their records take, and what is about to end. The
/// page is that of the `[metrics]` listener, so that any gate can be watched that Prometheus can scrape.
#[derive(Debug, Args)]
#[command(after_help = "\
Keys: q leaves, p pauses, s sorts, ? helps.

Examples:
  pinegate top
  pinegate top --url http://gate-2.example:9464 --interval 5s
  pinegate top --once >> /var/log/gate-traffic.txt

Exit codes: 0 shown, 64 the configuration names no metrics, 69 the metrics cannot be read (without
`--once` the gate is waited for).")]
pub(super) struct TopArgs {
    /// The gateway configuration whose `[metrics] address` is read [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE", default_value = default_config(), hide_default_value = true, conflicts_with = "url")]
    config: PathBuf,
    /// The metrics of another gate, such as `http://gate.example:9464`
    #[arg(long, value_name = "URL", value_parser = Source::parse)]
    url: Option<Source>,
    /// How often the page is read
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// Print one frame as plain text, after two readings
    #[arg(long)]
    once: bool,
}

fn interval(text: &str) -> Result<Duration, &'static str> {
    let fits = |every: &Duration| (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(every);
    parse_duration(text).ok().filter(fits).ok_or("expected a time such as `500ms` or `2s`, from 100ms to 1h")
}

pub(super) fn run(
    args: &TopArgs,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let source = match &args.url {
        Some(url) => url.clone(),
        None => Source::local(
            Config::listeners_in(&args.config)
                .ok_or_else(|| CommandError::NoMetrics { config: args.config.clone() })?
                .0
                .address,
        ),
    };
    let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if !is_terminal && !args.once {
        return Err(CommandError::NoTerminal);
    }
    // Two threads: a page is read while keys are heeded.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(CommandError::Runtime)?;
    if args.once {
        once(&source, args.interval, &runtime, clock, screen)?;
    } else {
        let coloured = screen.is_coloured();
        let show = Show { source: &source, every: args.interval, coloured, clock };
        show.run(&runtime).map_err(CommandError::Terminal)?;
    }
    runtime.shutdown_background();
    Ok(Exit::Fine)
}

/// How many readings `--once` takes, where another process answers each time.
const MAX_READINGS: u32 = 10;

/// Prints what two readings of one process come to.
fn once(
    source: &Source,
    every: Duration,
    runtime: &Runtime,
    clock: &Arc<dyn Clock>,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let unread = |error: ReadingError| CommandError::NoPage { url: source.shown(), source: Box::new(error) };
    let mut watch = Watch::default();
    runtime.block_on(async {
        let mut ticks = tokio::time::interval(every);
        for _ in 0..MAX_READINGS {
            if watch.is_told() {
                break;
            }
            ticks.tick().await;
            let figures = source.figures().await.map_err(unread)?;
            watch.take(clock.monotonic(), Ok(figures));
        }
        Ok::<(), CommandError>(())
    })?;
    let at = (clock.monotonic(), seconds(clock.now()));
    let view = watch.view(&source.shown(), every, Sort::Rate, at);
    let mut buffer = Buffer::empty(PLAIN);
    draw(&view, Look { coloured: false, body: Body::Figures }, PLAIN, &mut buffer);
    screen.bytes(text(&buffer).as_bytes())
}

/// An instant in seconds since 1970, as metrics tell instants.
fn seconds(at: Timestamp) -> f64 {
    at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}
