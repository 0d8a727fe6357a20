//! Frames of gates that are well, unwell and gone, on terminals of several sizes.

use std::fmt::Write as _;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::figures::Figures;
use super::frame::{Body, Look, draw, text};
use super::page::Page;
use super::view::{Health, Sort, View, Watch};

const EVERY: Duration = Duration::from_secs(2);
const NOW: f64 = 1_764_150_000.0;
const PLAIN: Look = Look { coloured: false, body: Body::Figures };

/// The page of a gate after `n` hundred requests, of a process that began at `started`.
fn page(n: u32, started: f64) -> String {
    let n = f64::from(n);
    let mut page = format!(
        "pinegate_build_info{{version=\"0.1.0\"}} 1\n\
         pinegate_policy_info{{policy_digest=\"12ab34cd56ef\",config_digest=\"00\"}} 1\n\
         process_start_time_seconds {started}\npinegate_requests_in_flight 7\npinegate_connections 42\n\
         pinegate_audit_durable 1\npinegate_audit_queue_records 3\npinegate_audit_free_bytes 53687091200\n\
         pinegate_next_grant_expiry_timestamp_seconds {}\n",
        NOW + 5.5 * 86_400.0
    );
    for (series, value) in [
        ("requests_total{resource=\"population.resident\",outcome=\"allowed\"}", 80.0),
        ("requests_total{resource=\"population.resident\",outcome=\"denied\"}", 10.0),
        ("requests_total{resource=\"planning.survey\",outcome=\"allowed\"}", 5.0),
        ("requests_total{resource=\"none\",outcome=\"invalid\"}", 3.0),
        ("requests_total{resource=\"planning.survey\",outcome=\"aborted\"}", 2.0),
        ("requests_total{resource=\"never.asked\",outcome=\"allowed\"}", 0.0),
        ("system_requests_total{system=\"sys:minzheng-aid\"}", 90.0),
        ("system_requests_total{system=\"sys:ziran-map\"}", 7.0),
        ("system_refusals_total{system=\"sys:minzheng-aid\"}", 10.0),
        ("system_refusals_total{system=\"sys:ziran-map\"}", 0.0),
        ("refusals_total{code=\"grant-missing\"}", 10.0),
        ("refusals_total{code=\"request-path\"}", 3.0),
        ("refusals_total{code=\"overloaded\"}", 0.0),
        ("tls_handshakes_total{result=\"completed\"}", 4.0),
        ("tls_handshakes_total{result=\"expired\"}", 1.0),
        ("connections_turned_away_total{reason=\"too-many-connections\"}", 0.0),
        ("cut_off_total{reason=\"stalled\"}", 0.0),
        ("audit_records_total", 97.0),
    ] {
        writeln!(page, "pinegate_{series} {}", n * value).unwrap();
    }
    for (family, label, counts) in [
        ("request_duration_seconds", "", [50.0, 95.0, 100.0]),
        ("stage_duration_seconds", "stage=\"decide\",", [100.0, 100.0, 100.0]),
        ("stage_duration_seconds", "stage=\"record\",", [0.0, 100.0, 100.0]),
        ("audit_commit_duration_seconds", "", [10.0, 20.0, 20.0]),
    ] {
        for (bound, count) in ["0.001", "0.01", "+Inf"].iter().zip(counts) {
            writeln!(page, "pinegate_{family}_bucket{{{label}le=\"{bound}\"}} {}", n * count).unwrap();
        }
    }
    for (series, value) in [
        ("certificate_expiry_timestamp_seconds{kind=\"server\"}", NOW + 40.0 * 86_400.0),
        ("certificate_expiry_timestamp_seconds{kind=\"crl\"}", NOW + 7_300.0),
        ("grants{state=\"live\"}", 120.0),
        ("grants{state=\"ends_in_1_day\"}", 0.0),
        ("grants{state=\"ends_in_7_days\"}", 4.0),
        ("grants{state=\"ends_in_30_days\"}", 11.0),
        ("audit_sink_lag_records{sink=\"siem\"}", 1_250.0),
        ("audit_sink_lag_seconds{sink=\"siem\"}", 400.0),
        ("upstream_endpoints{upstream=\"platform\",state=\"ready\"}", 2.0),
        ("upstream_endpoints{upstream=\"platform\",state=\"ejected\"}", 1.0),
        ("upstream_breaker_open{upstream=\"platform\"}", 0.0),
    ] {
        writeln!(page, "pinegate_{series} {value}").unwrap();
    }
    page
}

fn figures(page: &str) -> Figures {
    Figures::of(&Page::parse(page.as_bytes()).unwrap()).unwrap()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two readings, two seconds apart, of a gate that has a thousand requests more at the second.
fn watched() -> Watch {
    let mut watch = Watch::default();
    for (n, seconds) in [(100, 0), (110, 2)] {
        watch.take(at(seconds), Ok(figures(&page(n, NOW - 11_000.0))));
    }
    watch
}

fn view(watch: &Watch, seconds: u64) -> View {
    watch.view("http://gate-2.example:9464", EVERY, Sort::Rate, (at(seconds), NOW))
}

fn frame(view: &View, look: Look, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(view, look, frame.area(), frame.buffer_mut())).unwrap();
    text(terminal.backend().buffer())
}

#[test]
fn a_wide_terminal_has_two_columns() {
    insta::assert_snapshot!(frame(&view(&watched(), 2), PLAIN, (140, 40)));
}

#[test]
fn a_narrow_terminal_has_one() {
    insta::assert_snapshot!(frame(&view(&watched(), 2), PLAIN, (72, 48)));
}

#[test]
fn a_short_terminal_has_what_matters_first() {
    insta::assert_snapshot!(frame(&view(&watched(), 2), PLAIN, (80, 24)));
}

#[test]
fn the_help_says_what_keys_do() {
    let look = Look { body: Body::Help, ..PLAIN };
    let paused = View { is_paused: true, ..view(&watched(), 2) };
    insta::assert_snapshot!(frame(&paused, look, (80, 16)));
}

#[test]
fn no_terminal_is_too_small() {
    for size in [(0, 0), (1, 1), (3, 40), (200, 2), (10, 10)] {
        frame(&view(&watched(), 2), PLAIN, size);
        frame(&view(&Watch::default(), 2), Look { body: Body::Help, ..PLAIN }, size);
    }
}

#[test]
fn before_the_second_reading_there_are_no_rates() {
    let mut watch = Watch::default();
    assert_eq!(view(&watch, 0).health, Health::Awaited);
    assert!(frame(&view(&watch, 0), PLAIN, (80, 24)).contains("waiting for the first answer"));
    watch.take(at(0), Ok(figures(&page(100, NOW))));
    let first = view(&watch, 0);
    assert!(!watch.is_told());
    assert_eq!((first.rates.requests, first.refusals[0].rate, first.refusals[0].total), (None, None, 1000.0));
    assert!(first.history.is_empty());
    assert!(first.delays[0].quantiles[0].is_some(), "all requests until now have a median");
}

#[test]
fn rates_are_differences_by_time() {
    let watch = watched();
    assert!(watch.is_told());
    let view = view(&watch, 2);
    assert_eq!(view.rates.requests, Some(500.0));
    assert_eq!(
        (view.rates.allowed, view.rates.refused, view.rates.aborted),
        (Some(425.0), Some(65.0), Some(10.0))
    );
    assert_eq!((view.rates.handshakes, view.rates.handshakes_failed), (Some(20.0), Some(5.0)));
    let names = |rows: &[super::view::Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&view.resources), ["population.resident", "planning.survey", "none"]);
    assert_eq!((view.resources[1].rate, view.resources[1].refused), (Some(35.0), Some(10.0)));
    assert_eq!((view.systems[0].rate, view.systems[0].refused), (Some(450.0), Some(50.0)));
    assert_eq!(view.history, [500.0]);
    assert_eq!(view.up_seconds, Some(11_000.0));
}

#[test]
fn tables_are_sorted() {
    let mut view = view(&watched(), 2);
    let mut sort = Sort::Rate;
    for (word, first) in
        [("refused", "population.resident"), ("total", "population.resident"), ("name", "none")]
    {
        sort = sort.next();
        view.sort_by(sort);
        assert_eq!((view.sort.as_str(), view.resources[0].name.as_str()), (word, first));
    }
    assert_eq!(sort.next(), Sort::Rate);
}

#[test]
fn a_gate_that_is_gone_keeps_its_last_figures() {
    let mut watch = watched();
    watch.take(at(4), Err("no connection: connection refused".to_owned()));
    watch.take(at(6), Err("no connection: connection refused".to_owned()));
    let gone = view(&watch, 16);
    assert_eq!(gone.refusals, view(&watched(), 16).refusals);
    let shown = frame(&gone, PLAIN, (140, 40));
    let banner = "no answer for 12 s: no connection: connection refused";
    assert!(shown.lines().nth(1).unwrap().ends_with(banner), "{shown}");
    // It comes back as it was.
    watch.take(at(18), Ok(figures(&page(190, NOW - 11_000.0))));
    let back = view(&watch, 18);
    assert_eq!((back.health, back.rates.requests), (Health::Answers, Some(500.0)));
}

#[test]
fn counters_of_a_new_process_are_not_compared_with_those_of_the_old_one() {
    // By when it began, and by fewer requests where the system does not tell when.
    for (n, started) in [(500, NOW), (1, NOW - 11_000.0)] {
        let mut watch = watched();
        watch.take(at(4), Ok(figures(&page(n, started))));
        let view = view(&watch, 4);
        assert_eq!(view.health, Health::Restarted);
        assert_eq!((view.rates.requests, view.resources[0].rate, watch.is_told()), (None, None, false));
        assert!(frame(&view, PLAIN, (80, 24)).contains("the gate was restarted"));
        watch.take(at(6), Ok(figures(&page(n + 10, started))));
        assert_eq!(super::tests::view(&watch, 6).rates.requests, Some(500.0));
    }
}

#[test]
fn what_is_wrong_stands_out() {
    let mut broken = page(110, NOW).replace("pinegate_audit_durable 1", "pinegate_audit_durable 0");
    broken
        .push_str("pinegate_audit_signing_refused 1\npinegate_upstream_breaker_open{upstream=\"other\"} 1\n");
    let mut watch = Watch::default();
    watch.take(at(0), Ok(figures(&broken)));
    let shown = frame(&view(&watch, 0), PLAIN, (140, 40));
    for words in ["durable NO, no data leaves", "the log is not what was signed", "left alone 1"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}

#[test]
fn without_colour_there_is_none() {
    let cells = |coloured| {
        let mut terminal = Terminal::new(TestBackend::new(140, 40)).unwrap();
        let look = Look { coloured, ..PLAIN };
        terminal.draw(|frame| draw(&view(&watched(), 2), look, frame.area(), frame.buffer_mut())).unwrap();
        let buffer = terminal.backend().buffer().clone();
        buffer.content.iter().filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
    };
    assert_eq!(cells(false), 0);
    assert!(cells(true) > 0);
}

#[test]
fn labels_cannot_write_on_the_terminal() {
    let hostile = page(1, NOW).replace("sys:ziran-map", "a\u{1b}[2J\u{202e}b").replace("0.1.0", "1\u{9b}2");
    let mut watch = Watch::default();
    watch.take(at(0), Ok(figures(&hostile)));
    let shown = frame(&view(&watch, 0), PLAIN, (140, 40));
    assert!(!shown.contains(['\u{1b}', '\u{9b}', '\u{202e}']) && shown.contains("[2J"), "{shown}");
}
