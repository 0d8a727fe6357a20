//! The signals by which operators reload and stop a gate, and who sent them.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::exfiltrator::origin::Origin;
use signal_hook::iterator::{Handle, SignalsInfo};
use tokio::sync::mpsc;

/// How many signals may wait to be heeded.
const MAX_WAITING: usize = 16;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGHUP: read everything anew.
    Reload,
    /// SIGTERM or SIGINT: stop; twice: stop at once.
    Stop,
}

/// A signal that came.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) wish: Wish,
    /// Who asked, as far as the system says.
    pub(super) actor: String,
}

/// The signals as they come.
#[derive(Debug)]
pub(super) struct Signals {
    sent: mpsc::Receiver<Sent>,
    handle: Handle,
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let mut signals = SignalsInfo::<WithOrigin>::new([SIGHUP, SIGTERM, SIGINT])?;
        let handle = signals.handle();
        let (send, sent) = mpsc::channel(MAX_WAITING);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for origin in signals.forever() {
                if send.blocking_send(told(&origin)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { sent, handle })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Sent {
        match self.sent.recv().await {
            Some(sent) => sent,
            // The thread is gone: no signal comes any more.
            None => std::future::pending().await,
        }
    }

    /// Who asks for the stop next.
    pub(super) async fn next_stop(&mut self) -> String {
        loop {
            if let Sent { wish: Wish::Stop, actor } = self.next().await {
                return actor;
            }
        }
    }
}

fn told(origin: &Origin) -> Sent {
    let (wish, name) = match origin.signal {
        SIGHUP => (Wish::Reload, "SIGHUP"),
        SIGINT => (Wish::Stop, "SIGINT"),
        _ => (Wish::Stop, "SIGTERM"),
    };
    let actor = match &origin.process {
        Some(process) => format!("signal {name} from uid {} pid {}", process.uid, process.pid),
        // Of a key on the terminal the system names nobody.
        None => format!("signal {name}"),
    };
    Sent { wish, actor }
}
