//! A view as cells of a terminal. Pure: the same view gives the same frame.

mod panels;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Sparkline, Widget as _};

use self::panels::{Panel, audit, delays, due, tables, traffic, wrapped};
use super::view::{Health, View};
use super::words;
use crate::cli::screen::Tone;
use crate::cli::table::shown;

/// From this width on there are two columns.
const WIDE: u16 = 132;
/// Between the two.
const GUTTER: u16 = 4;
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
