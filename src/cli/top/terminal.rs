//! The terminal while it shows the gate: taken over, drawn, and given back whatever happens.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::figures::Figures;
use super::frame::{Body, Look, draw};
use super::gate::{Source, why};
use super::view::{Sort, View, Watch};
use crate::cli::Exit;
use crate::kernel::time::Clock;

/// How long a key or a reading may wait to be seen.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a signal waits for the terminal to be given back.
const GRACE: Duration = Duration::from_secs(1);
/// How often the time is told anew while nothing else changes.
const TICK: Duration = Duration::from_secs(1);

/// A reading, and when it was made.
type Reading = (Duration, Result<Figures, String>);

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Leave,
    Pause,
    Sort,
    Help,
}

fn wish(key: &KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.code == KeyCode::Esc {
        return Some(Wish::Leave);
    }
    match (key.code.as_char()?, is_control) {
        ('c' | 'd', true) | ('q', false) => Some(Wish::Leave),
        ('p' | ' ', false) => Some(Wish::Pause),
        ('s', false) => Some(Wish::Sort),
        ('?' | 'h', false) => Some(Wish::Help),
        _ => None,
    }
}

/// Gives the terminal back when it is dropped; what panics gives it back before it says why.
struct Taken(ratatui::DefaultTerminal);

impl Drop for Taken {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows a gate until somebody wants to leave.
pub(super) struct Show<'s> {
    pub(super) source: &'s Source,
    pub(super) every: Duration,
    pub(super) coloured: bool,
    pub(super) clock: &'s Arc<dyn Clock>,
}

/// What stands on the terminal.
#[derive(Default)]
struct State {
    watch: Watch,
    sort: Sort,
    /// The view that stands still.
    paused: Option<View>,
    shows_help: bool,
}

impl Show<'_> {
    /// Takes the terminal over, and gives it back at the end.
    pub(super) fn run(&self, runtime: &Runtime) -> io::Result<()> {
        let stop = CancellationToken::new();
        // Whoever ends the program by a signal wants the terminal back, too.
        for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
            let (mut sent, stop) = (runtime.block_on(async { signal(kind) })?, stop.clone());
            runtime.spawn(async move {
                sent.recv().await;
                stop.cancel();
                // A terminal that is gone says for ever that nothing was typed, and whoever asks it stays there.
                tokio::time::sleep(GRACE).await;
                std::process::exit(Exit::Fine.code().into());
            });
        }
        let readings = self.read(runtime, &stop);
        let mut taken = Taken(ratatui::try_init()?);
        let done = self.show(&mut taken.0, &readings, &stop);
        stop.cancel();
        done
    }

    /// Reads the page again and again.
    fn read(&self, runtime: &Runtime, stop: &CancellationToken) -> Receiver<Reading> {
        let (send, readings) = sync_channel(4);
        let (source, clock, stop, every) =
            (self.source.clone(), Arc::clone(self.clock), stop.clone(), self.every);
        runtime.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                let reading = source.figures().await.map_err(|error| why(&error));
                // A reading that nobody takes is dropped: the next one has its figures too.
                let sent = send.try_send((clock.monotonic(), reading));
                if matches!(sent, Err(std::sync::mpsc::TrySendError::Disconnected(_))) {
                    return;
                }
            }
        });
        readings
    }

    fn show(
        &self,
        terminal: &mut ratatui::DefaultTerminal,
        readings: &Receiver<Reading>,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let mut state = State::default();
        let mut drawn = None;
        while !stop.is_cancelled() {
            let mut is_new = false;
            loop {
                match readings.try_recv() {
                    Ok((at, reading)) => {
                        state.watch.take(at, reading);
                        is_new = true;
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            if crossterm::event::poll(GLANCE)? {
                is_new = true;
                if let Event::Key(key) = crossterm::event::read()?
                    && let Some(wish) = wish(&key)
                {
                    if wish == Wish::Leave {
                        return Ok(());
                    }
                    self.heed(wish, &mut state);
                }
            }
            let now = self.clock.monotonic();
            if is_new || drawn.is_none_or(|drawn| now.saturating_sub(drawn) >= TICK) {
                drawn = Some(now);
                let view = state.paused.clone().unwrap_or_else(|| self.view(&state));
                let body = if state.shows_help { Body::Help } else { Body::Figures };
                let look = Look { coloured: self.coloured, body };
                terminal.draw(|frame| draw(&view, look, frame.area(), frame.buffer_mut()))?;
            }
        }
        Ok(())
    }

    fn heed(&self, wish: Wish, state: &mut State) {
        match wish {
            Wish::Leave => {}
            Wish::Help => state.shows_help = !state.shows_help,
            Wish::Pause => {
                state.paused = match state.paused {
                    Some(_) => None,
                    None => Some(View { is_paused: true, ..self.view(state) }),
                };
            }
            Wish::Sort => {
                state.sort = state.sort.next();
                if let Some(view) = &mut state.paused {
                    view.sort_by(state.sort);
                }
            }
        }
    }

    fn view(&self, state: &State) -> View {
        let now = super::seconds(self.clock.now());
        state.watch.view(&self.source.shown(), self.every, state.sort, (self.clock.monotonic(), now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_wishes() {
        let key = |code, modifiers| wish(&KeyEvent::new(code, modifiers));
        for (code, expected) in [
            (KeyCode::Char('q'), Some(Wish::Leave)),
            (KeyCode::Esc, Some(Wish::Leave)),
            (KeyCode::Char('p'), Some(Wish::Pause)),
            (KeyCode::Char(' '), Some(Wish::Pause)),
            (KeyCode::Char('s'), Some(Wish::Sort)),
            (KeyCode::Char('?'), Some(Wish::Help)),
            (KeyCode::Char('h'), Some(Wish::Help)),
            (KeyCode::Char('x'), None),
            (KeyCode::Up, None),
        ] {
            assert_eq!(key(code, KeyModifiers::NONE), expected, "{code:?}");
        }
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wish::Leave));
        assert_eq!(key(KeyCode::Char('s'), KeyModifiers::CONTROL), None);
    }

    /// Fails once the terminal is taken.
    #[derive(Debug)]
    struct Broken;

    impl Clock for Broken {
        fn now(&self) -> crate::kernel::time::Timestamp {
            panic!("the clock is broken")
        }

        fn monotonic(&self) -> Duration {
            crate::kernel::time::SystemClock.monotonic()
        }
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_says_why() {
        const CHILD: &str = "PINEGATE_TEST_HAS_A_TERMINAL";
        if std::env::var_os(CHILD).is_some() {
            let clock: Arc<dyn Clock> = Arc::new(Broken);
            let source = Source::local("127.0.0.1:1".parse().unwrap());
            let show = Show { source: &source, every: TICK, coloured: false, clock: &clock };
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            return show.run(&runtime.unwrap()).unwrap();
        }
        let test = std::env::current_exe().unwrap();
        let name = "cli::top::terminal::tests::a_panic_gives_the_terminal_back_before_it_says_why";
        let line = format!("stty cols 80 rows 24; exec {} --exact {name} --nocapture", test.display());
        let mut script = std::process::Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).env(CHILD, "1").stdin(std::process::Stdio::piped());
        let mut script = match script.stdout(std::process::Stdio::piped()).spawn() {
            Ok(script) => script,
            Err(error) => return eprintln!("not tried, as there is no `script`: {error}"),
        };
        // With the input the terminal would end, and with the terminal the view, before anything is looked at.
        let input = script.stdin.take();
        let output = script.wait_with_output().unwrap();
        drop(input);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{text}");
        let (before, after) = text.split_once("\u{1b}[?1049l").unwrap_or_else(|| panic!("{text:?}"));
        assert!(before.contains("\u{1b}[?1049h") && !before.contains("the clock is broken"), "{text:?}");
        assert!(after.contains("the clock is broken"), "{text:?}");
    }
}
