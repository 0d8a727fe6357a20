//! A view as cells of a terminal. Pure: the same view gives the same frame.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Sparkline, Widget as _};

use super::figures::Figures;
use super::view::{Due, Health, Row, View};
use super::words;
use crate::cli::screen::Tone;
use crate::cli::table::shown;

/// From this width on there are two columns.
const WIDE: u16 = 132;
/// Between the two.
const GUTTER: u16 = 4;
/// How wide a column of numbers is.
const NUMBER: usize = 10;
/// How many rows the curve has, where there is room for it.
const CURVE: u16 = 2;
/// From this height on there is.
const TALL: u16 = 30;

/// What a key does, for the help.
const KEYS: [(&str, &str); 4] = [
    ("q, Esc, Ctrl-C", "leave"),
    ("p, space", "pause: the figures stand still, and are read on"),
    ("s", "sort the tables by rate, refused, total or name"),
    ("?, h", "this help"),
];

/// How a frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Whether the terminal shows colour.
    pub(super) coloured: bool,
    /// What stands below the head.
    pub(super) body: Body,
}

/// What stands below the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Figures,
    Help,
}

impl Look {
    fn style(self, tone: Tone) -> Style {
        let coloured = |color: Color| if self.coloured { Style::new().fg(color) } else { Style::new() };
        match tone {
            Tone::Good => coloured(Color::Green),
            Tone::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Doubtful => coloured(Color::Yellow).add_modifier(Modifier::BOLD),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tone::Faint => Style::new().add_modifier(Modifier::DIM),
        }
    }

    fn span(self, tone: Tone, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(tone))
    }
}

/// A titled list. The title is its first line.
struct Panel {
    lines: Vec<Line<'static>>,
    /// With fewer lines it is of no use.
    least: usize,
}

/// Draws `view` over all of `area`.
pub(super) fn draw(view: &View, look: Look, area: Rect, buffer: &mut Buffer) {
    let mut rest = area;
    for line in head(view, look, usize::from(area.width)) {
        rest = put(buffer, rest, &line);
    }
    if look.body == Body::Help {
        rest = put(buffer, rest, &Line::default());
        for (keys, what) in KEYS {
            let key = look.span(Tone::Strong, format!("  {keys:<16}"));
            rest = put(buffer, rest, &Line::from(vec![key, Span::raw(what)]));
        }
        return;
    }
    if area.height >= TALL && !view.history.is_empty() {
        rest = curve(view, look, rest, buffer);
    }
    rest = put(buffer, rest, &Line::default());
    if area.width >= WIDE {
        let width = (rest.width.saturating_sub(GUTTER)) / 2;
        let left = Rect { width, ..rest };
        let x = rest.x.saturating_add(width).saturating_add(GUTTER);
        let right = Rect { x, width: rest.right().saturating_sub(x), ..rest };
        let of = |area: Rect| usize::from(area.width);
        stack(&[delays(view, look, of(left)), audit(view, look), due(view, look)], left, buffer);
        stack(&tables(view, look, of(right)), right, buffer);
    } else {
        let width = usize::from(rest.width);
        let mut panels = tables(view, look, width);
        panels.insert(0, delays(view, look, width));
        panels.extend([audit(view, look), due(view, look)]);
        stack(&panels, rest, buffer);
    }
}

/// Draws a line and gives what is left below it.
fn put(buffer: &mut Buffer, area: Rect, line: &Line<'_>) -> Rect {
    if area.height == 0 {
        return area;
    }
    buffer.set_line(area.x, area.y, line, area.width);
    Rect { y: area.y.saturating_add(1), height: area.height - 1, ..area }
}

fn curve(view: &View, look: Look, area: Rect, buffer: &mut Buffer) -> Rect {
    let height = CURVE.min(area.height);
    let newest = view.history.len().saturating_sub(usize::from(area.width));
    // In hundredths, so that a request in a while shows.
    let data = view.history.iter().skip(newest).map(|rate| hundredths(*rate));
    let sparkline = Sparkline::default().data(data.collect::<Vec<u64>>()).style(look.style(Tone::Good));
    sparkline.render(Rect { height, ..area }, buffer);
    Rect { y: area.y.saturating_add(height), height: area.height - height, ..area }
}

fn hundredths(rate: f64) -> u64 {
    // What is no number is nothing, and rates are far below the bound.
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion that saturates is what a curve needs"
    )]
    let whole = (rate * 100.0).round() as u64;
    whole
}

/// Draws panels below each other, those first that come first where there is no room for all.
fn stack(panels: &[Panel], area: Rect, buffer: &mut Buffer) {
    let heights = heights(panels, usize::from(area.height));
    let mut rest = area;
    for (panel, height) in panels.iter().zip(heights).filter(|(_, height)| *height > 0) {
        for line in panel.lines.iter().take(height) {
            rest = put(buffer, rest, line);
        }
        rest = put(buffer, rest, &Line::default());
    }
}

/// How many lines each panel gets of `room`, with one between two.
fn heights(panels: &[Panel], mut room: usize) -> Vec<usize> {
    let mut heights = Vec::new();
    for panel in panels {
        let least = panel.lines.len().min(panel.least);
        let height = if room >= least { least } else { 0 };
        room = room.saturating_sub(if height > 0 { height + 1 } else { 0 });
        heights.push(height);
    }
    loop {
        let mut given = 0;
        for (height, panel) in heights.iter_mut().zip(panels) {
            if *height > 0 && *height < panel.lines.len() && room > given {
                *height += 1;
                given += 1;
            }
        }
        if given == 0 {
            return heights;
        }
        room -= given;
    }
}

fn head(view: &View, look: Look, width: usize) -> Vec<Line<'static>> {
    let name = view.figures.as_ref().map_or_else(
        || "pinegate".to_owned(),
        |figures| {
            let policy: String = shown(&figures.policy).chars().take(8).collect();
            let up = view.up_seconds.map_or_else(String::new, |up| format!("  up {}", words::span(up)));
            format!("pinegate {}{up}  policy {policy}", shown(&figures.version))
        },
    );
    let how = format!("every {}  by {}  ? help", words::interval(view.every), view.sort.as_str());
    let room =
        |how: &str| width.checked_sub(name.chars().count() + how.chars().count()).filter(|gap| *gap > 1);
    let how = [how.as_str(), "? help"].into_iter().find_map(|how| Some((room(how)?, how.to_owned())));
    let mut first = vec![look.span(Tone::Strong, name.clone())];
    if let Some((gap, how)) = how {
        first.extend([Span::raw(" ".repeat(gap)), look.span(Tone::Faint, how)]);
    }
    let mut lines = vec![Line::from(first), health(view, look)];
    lines.extend(wrapped(look, &traffic(view), width));
    lines
}

fn health(view: &View, look: Look) -> Line<'static> {
    let mut spans = vec![Span::raw(format!("{}  ", shown(&view.source)))];
    if view.is_paused {
        spans.push(look.span(Tone::Strong, "PAUSED  "));
    }
    match &view.health {
        Health::Awaited => spans.push(look.span(Tone::Faint, "waiting for the first answer")),
        Health::Answers => {}
        Health::Restarted => spans
            .push(look.span(Tone::Doubtful, "the gate was restarted: rates follow with the next reading")),
        Health::Silent { since, why } => {
            let since = words::span(since.as_secs_f64());
            spans.push(look.span(Tone::Bad, format!("no answer for {since}: {}", shown(why))));
        }
    }
    Line::from(spans)
}

/// A name, its value, and how that stands out.
type Pair = (&'static str, String, Option<Tone>);

/// What stands between two pairs.
const BETWEEN: &str = "   ";

/// `name value` pairs on a line.
fn pairs(look: Look, pairs: &[(&str, String, Option<Tone>)]) -> Line<'static> {
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
fn wrapped(look: Look, all: &[Pair], width: usize) -> Vec<Line<'static>> {
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

fn traffic(view: &View) -> [Pair; 10] {
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

fn delays(view: &View, look: Look, width: usize) -> Panel {
    let mut lines = vec![title(look, "TIME TAKEN", &["p50", "p90", "p99", "/s"], width)];
    for delay in &view.delays {
        let mut numbers: Vec<String> = delay.quantiles.iter().map(|at| words::quantile(*at)).collect();
        numbers.push(words::rate(delay.rate));
        lines.push(Line::from(columns(delay.name, &numbers, width)));
    }
    Panel { lines, least: 7 }
}

fn tables(view: &View, look: Look, width: usize) -> Vec<Panel> {
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

fn audit(view: &View, look: Look) -> Panel {
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

fn due(view: &View, look: Look) -> Panel {
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

/// The lines of a frame as plain text, without spaces at their ends.
pub(super) fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.top()..area.bottom() {
        let cells = (area.left()..area.right()).filter_map(|x| buffer.cell((x, y)));
        let line: String = cells.map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
