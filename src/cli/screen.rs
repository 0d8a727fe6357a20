//! Where commands write: standard output for what was asked for, standard error for what goes wrong.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::{CommandError, table};

/// How a command ended. The numbers are a promise: `docs/commands.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and nothing is wrong.
    Fine,
    /// Errors were found, or what was asked about is refused.
    Refused,
    /// The command line is not right.
    Usage,
    /// The configuration or policy does not load (`EX_USAGE` of sysexits.h, as supervisors know it).
    Configuration,
    /// The running gate cannot be reached (`EX_UNAVAILABLE`).
    Unreachable,
    /// Something else failed (`EX_SOFTWARE`).
    Internal,
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Configuration => 64,
            Self::Unreachable => 69,
            Self::Internal => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// A meaning that text may have, shown by colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// To be looked at.
    Doubtful,
    /// What the eye should find first.
    Strong,
    /// What may be passed over.
    Faint,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Doubtful => AnsiColor::Yellow.on_default().bold(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

/// A text with the escapes that show its tone, or without any.
struct Painted<'t> {
    text: &'t str,
    style: Style,
}

impl Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.style.render(), self.text, self.style.render_reset())
    }
}

/// One of the two streams.
struct Stream<'w> {
    to: Box<dyn Write + 'w>,
    coloured: bool,
    /// Whether its reader has gone, as `head` does. That is no error: what it wanted it has.
    closed: bool,
}

impl Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        self.heed(|to| to.write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        self.heed(|to| to.flush())
    }

    fn heed(&mut self, act: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        match act(&mut *self.to) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            done => done,
        }
    }
}

/// Standard output and standard error, and how text looks on them.
pub(crate) struct Screen<'w> {
    out: Stream<'w>,
    err: Stream<'w>,
    /// Whether `out` is the standard output of the process.
    is_standard: bool,
}

impl<'w> Screen<'w> {
    /// The streams of the process. Colour is used on terminals, and as `NO_COLOR`, `CLICOLOR_FORCE`
    /// and `TERM` say.
    pub(crate) fn standard() -> Self {
        // Locked for each write alone: while `run` serves, other threads log.
        let (out, err) = (io::stdout(), io::stderr());
        let is_coloured = |choice| choice != anstream::ColorChoice::Never;
        let out_coloured = is_coloured(anstream::AutoStream::choice(&out));
        let err_coloured = is_coloured(anstream::AutoStream::choice(&err));
        Self {
            out: Stream { to: Box::new(io::BufWriter::new(out)), coloured: out_coloured, closed: false },
            err: Stream { to: Box::new(err), coloured: err_coloured, closed: false },
            is_standard: true,
        }
    }

    /// Any two streams, without colour.
    #[cfg(test)]
    pub(crate) fn new(out: Box<dyn Write + 'w>, err: Box<dyn Write + 'w>) -> Self {
        let stream = |to| Stream { to, coloured: false, closed: false };
        Self { out: stream(out), err: stream(err), is_standard: false }
    }

    /// Streams into memory, without colour.
    #[cfg(test)]
    pub(crate) fn plain(out: &'w mut Vec<u8>, err: &'w mut Vec<u8>) -> Self {
        Self::new(Box::new(out), Box::new(err))
    }

    /// A line of what was asked for.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), CommandError> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Bytes of what was asked for.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.out.write(bytes).map_err(CommandError::Output)
    }

    /// One JSON object, on one line.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), CommandError> {
        let mut text =
            serde_json::to_vec(value).map_err(|error| CommandError::Output(io::Error::from(error)))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// A line beside what was asked for: progress, warnings, what to do next.
    pub(crate) fn aside(&mut self, text: impl Display) -> Result<(), CommandError> {
        // In the order of their writing where both streams end in one place.
        self.out.flush().map_err(CommandError::Output)?;
        self.err.write(format!("{text}\n").as_bytes()).map_err(CommandError::Output)
    }

    /// One JSON object, on one line, beside what was asked for.
    pub(crate) fn aside_json(&mut self, value: &impl serde::Serialize) -> Result<(), CommandError> {
        let text =
            serde_json::to_string(value).map_err(|error| CommandError::Output(io::Error::from(error)))?;
        self.aside(text)
    }

    /// `text` as it looks on standard output.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.out.coloured, tone, text)
    }

    /// `text` as it looks on standard error.
    pub(crate) fn paint_aside(&self, tone: Tone, text: &str) -> String {
        paint(self.err.coloured, tone, text)
    }

    /// Whether standard output shows colour.
    pub(crate) fn is_coloured(&self) -> bool {
        self.out.coloured
    }

    /// Whether standard error shows colour.
    pub(crate) fn is_aside_coloured(&self) -> bool {
        self.err.coloured
    }

    /// Whether nobody reads standard output any more, so that long work may end.
    pub(crate) fn is_closed(&self) -> bool {
        self.out.closed
    }

    /// The same, found out without writing anything: a reader that has gone is otherwise noticed only when
    /// there is something for it again.
    pub(crate) fn is_abandoned(&mut self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        if self.is_standard && !self.out.closed {
            let out = io::stdout();
            let mut watched = [PollFd::new(&out, PollFlags::empty())];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let is_gone =
                |watched: &PollFd<'_>| watched.revents().intersects(PollFlags::ERR | PollFlags::HUP);
            self.out.closed = poll(&mut watched, Some(&at_once)).is_ok() && watched.iter().any(is_gone);
        }
        self.out.closed
    }

    /// Writes out what is held back, before a pause.
    pub(crate) fn flush(&mut self) -> Result<(), CommandError> {
        self.out.flush().map_err(CommandError::Output)
    }

    /// Says what kept a command from being done: what happened, why, and what to do.
    pub(crate) fn fail(&mut self, error: &CommandError) -> Exit {
        let word = self.paint_aside(Tone::Bad, "error");
        // What was given or read stands in them.
        let shown = |text: &str| text.split('\n').map(table::shown).collect::<Vec<_>>().join("\n");
        let mut text = format!("{word}: {}", shown(&crate::kernel::diagnostic::chain(error)));
        if let Some(help) = error.help() {
            let word = self.paint_aside(Tone::Strong, "help");
            text.push_str(&format!("\n{word}: {}", shown(&help)));
        }
        // Where even this cannot be written, the exit code is all there is.
        self.aside(text).map_or(Exit::Internal, |()| error.exit())
    }

    /// Writes out all that is held back. What cannot be written turns `exit` into a failure.
    pub(crate) fn finish(&mut self, exit: Exit) -> Exit {
        match self.out.flush().and_then(|()| self.err.flush()) {
            Ok(()) => exit,
            Err(error) => self.fail(&CommandError::Output(error)),
        }
    }
}

fn paint(coloured: bool, tone: Tone, text: &str) -> String {
    if coloured { Painted { text, style: tone.style() }.to_string() } else { text.to_owned() }
}
