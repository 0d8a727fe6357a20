//! The lists of a frame, and the pairs at its head, as lines of text.

use ratatui::text::{Line, Span};

use super::Look;
use crate::cli::screen::Tone;
use crate::cli::table::shown;
use crate::cli::top::figures::Figures;
use crate::cli::top::view::{Due, Row, View};
use crate::cli::top::words;

/// How wide a column of numbers is.
const NUMBER: usize = 10;

/// A titled list. The title is its first line.
pub(super) struct Panel {
    pub(super) lines: Vec<Line<'static>>,
    /// With fewer lines it is of no use.
    pub(super) least: usize,
}

/// A name, its value, and how that stands out.
type Pair = (&'static str, String, Option<Tone>);

/// What stands between two pairs.
const BETWEEN: &str = "   ";

/// `name value` pairs on a line.
pub(super) fn pairs(look: Look, pairs: &[(&str, String, Option<Tone>)]) -> Line<'static> {
    let mut spans = Vec::new();
    for (name, value, tone) in pairs {
        if !spans.is_empty() {
            spans.push(Span::raw(BETWEEN));
        }
        spans.push(look.span(Tone::Faint, format!("{name} ")));
        spans.push(tone.map_or_else(|| Span::raw(value.clone()), |tone| look.span(tone, value.clone())));
    }
    Line::from(spans)
}

/// The same on as many lines as they need.
pub(super) fn wrapped(look: Look, all: &[Pair], width: usize) -> Vec<Line<'static>> {
    let (mut lines, mut line, mut used) = (Vec::new(), Vec::new(), 0);
    for pair in all {
        let own = pair.0.chars().count() + 1 + pair.1.chars().count();
        if !line.is_empty() && used + BETWEEN.len() + own > width {
            lines.push(pairs(look, &std::mem::take(&mut line)));
            used = 0;
        }
        used += own + if line.is_empty() { 0 } else { BETWEEN.len() };
        line.push(pair.clone());
    }
    lines.push(pairs(look, &line));
    lines
}

/// The tone of what should not be.
fn if_any(rate: Option<f64>) -> Option<Tone> {
    rate.filter(|rate| *rate > 0.0).map(|_| Tone::Doubtful)
}

fn per_second(rate: Option<f64>) -> String {
    format!("{}/s", words::rate(rate))
}

pub(super) fn traffic(view: &View) -> [Pair; 10] {
    let rates = &view.rates;
    let gauge = |of: fn(&Figures) -> f64| {
        view.figures.as_ref().map_or_else(|| words::rate(None), |figures| words::count(of(figures)))
    };
    [
        ("requests", per_second(rates.requests), Some(Tone::Strong)),
        ("allowed", per_second(rates.allowed), None),
        ("refused", per_second(rates.refused), if_any(rates.refused)),
        ("aborted", per_second(rates.aborted), if_any(rates.aborted)),
        ("in work", gauge(|figures| figures.in_flight), None),
        ("connections", gauge(|figures| figures.connections), None),
        ("handshakes", per_second(rates.handshakes), None),
        ("failed", per_second(rates.handshakes_failed), if_any(rates.handshakes_failed)),
        ("turned away", per_second(rates.turned_away), if_any(rates.turned_away)),
        ("cut off", per_second(rates.cut_off), if_any(rates.cut_off)),
    ]
}

/// A line of a name and numbers, which are aligned to the right.
fn columns(name: &str, numbers: &[String], width: usize) -> String {
    let room = width.saturating_sub(numbers.len() * NUMBER).max(8);
    let name = shown(name);
    let name = if name.chars().count() > room.saturating_sub(1) {
        name.chars().take(room.saturating_sub(2)).chain(['…']).collect()
    } else {
        name
    };
    let numbers: String = numbers.iter().map(|number| format!("{number:>NUMBER$}")).collect();
    format!("{name:<room$}{numbers}")
}

fn title(look: Look, name: &str, heads: &[&str], width: usize) -> Line<'static> {
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    Line::from(look.span(Tone::Strong, columns(name, &heads, width)))
}

pub(super) fn delays(view: &View, look: Look, width: usize) -> Panel {
    let mut lines = vec![title(look, "TIME TAKEN", &["p50", "p90", "p99", "/s"], width)];
    for delay in &view.delays {
        let mut numbers: Vec<String> = delay.quantiles.iter().map(|at| words::quantile(*at)).collect();
        numbers.push(words::rate(delay.rate));
        lines.push(Line::from(columns(delay.name, &numbers, width)));
    }
    Panel { lines, least: 7 }
}

pub(super) fn tables(view: &View, look: Look, width: usize) -> Vec<Panel> {
    let refusals = table(look, "REFUSALS", &["/s", "total"], &view.refusals, width, |row| {
        vec![words::rate(row.rate), words::count(row.total)]
    });
    let full = |row: &Row| vec![words::rate(row.rate), words::rate(row.refused), words::count(row.total)];
    let heads = ["/s", "refused/s", "total"];
    let systems = table(look, "SYSTEMS", &heads, &view.systems, width, full);
    let resources = table(look, "RESOURCES", &heads, &view.resources, width, full);
    vec![refusals, systems, resources]
}

fn table(
    look: Look,
    name: &str,
    heads: &[&str],
    rows: &[Row],
    width: usize,
    numbers: impl Fn(&Row) -> Vec<String>,
) -> Panel {
    let mut lines = vec![title(look, name, heads, width)];
    for row in rows {
        let text = columns(&row.name, &numbers(row), width);
        let is_refused = row.refused.is_some_and(|rate| rate > 0.0);
        lines.push(Line::from(if is_refused { look.span(Tone::Doubtful, text) } else { Span::raw(text) }));
    }
    if rows.is_empty() {
        lines.push(Line::from(look.span(Tone::Faint, "none yet")));
    }
    Panel { lines, least: 4 }
}

pub(super) fn audit(view: &View, look: Look) -> Panel {
    let mut lines = vec![Line::from(look.span(Tone::Strong, "AUDIT LOG"))];
    if let Some(figures) = &view.figures {
        let durable = if figures.audit_durable {
            ("durable", "yes".to_owned(), Some(Tone::Good))
        } else {
            ("durable", "NO, no data leaves".to_owned(), Some(Tone::Bad))
        };
        let backlog = ("waiting", words::count(figures.audit_queue), None);
        lines.push(pairs(look, &[durable, ("records", per_second(view.rates.records), None), backlog]));
        let low = figures.audit_space_low.then_some(Tone::Bad);
        lines.push(pairs(look, &[("free on disk", words::bytes(figures.audit_free), low)]));
        if figures.signing_refused {
            lines.push(Line::from(look.span(Tone::Bad, "the log is not what was signed: nothing is signed")));
        }
        for sink in &view.sinks {
            let late = (sink.seconds > 300.0).then_some(Tone::Bad);
            let name = format!("sink {} behind by", shown(&sink.name));
            let lag = format!("{}, {}", words::count(sink.records), words::span(sink.seconds));
            lines.push(pairs(look, &[(name.as_str(), lag, late)]));
        }
        let missing = figures.endpoints - figures.endpoints_ready;
        let platform =
            format!("{} of {} asked", words::count(figures.endpoints_ready), words::count(figures.endpoints));
        let mut upstream = vec![("platform endpoints", platform, (missing > 0.0).then_some(Tone::Doubtful))];
        if figures.breakers_open > 0.0 {
            upstream.push(("left alone", words::count(figures.breakers_open), Some(Tone::Bad)));
        }
        lines.push(pairs(look, &upstream));
    }
    Panel { least: 4, lines }
}

pub(super) fn due(view: &View, look: Look) -> Panel {
    let mut lines = vec![Line::from(look.span(Tone::Strong, "ENDING"))];
    for Due { what, seconds } in &view.due {
        const DAY: f64 = 86_400.0;
        let (when, tone) = match *seconds {
            s if s < 0.0 => ("has ended".to_owned(), Some(Tone::Bad)),
            s if s < DAY => (format!("in {}", words::span(s)), Some(Tone::Bad)),
            s if s < 7.0 * DAY => (format!("in {}", words::span(s)), Some(Tone::Doubtful)),
            s => (format!("in {}", words::span(s)), None),
        };
        lines.push(pairs(look, &[(shown(what).as_str(), when, tone)]));
    }
    if let Some(figures) = &view.figures {
        let state = |name: &str| figures.grants.get(name).copied().unwrap_or_default();
        let within = |name: &str| (words::count(state(name)), (state(name) > 0.0).then_some(Tone::Doubtful));
        let (day, week, month) =
            (within("ends_in_1_day"), within("ends_in_7_days"), within("ends_in_30_days"));
        lines.push(pairs(
            look,
            &[
                ("grants live", words::count(state("live")), None),
                ("ending in 1 d", day.0, day.1),
                ("7 d", week.0, week.1),
                ("30 d", month.0, None),
            ],
        ));
    }
    Panel { least: 4, lines }
}
