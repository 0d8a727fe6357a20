//! Families of connections that were not taken, and of what was cut off.

use prometheus::IntCounter;

use super::Registrar;

labels! {
    /// Why a connection was closed before anything was asked on it.
    TurnedAway {
        /// All places for connections were taken.
        Connections = "too-many-connections",
        /// Its address had its share of them.
        Address = "address-connections",
        /// Its system had its share of them.
        System = "system-connections",
        /// All places for handshakes were taken.
        Handshakes = "too-many-handshakes",
        /// Its address had its share of them.
        AddressHandshakes = "address-handshakes",
    }
}

labels! {
    /// Why something was cut off.
    Cut {
        /// A client took nothing of what it had asked for.
        Stalled = "stalled",
        /// A client took or sent less than it must.
        TooSlow = "too-slow",
        /// An HTTP/2 client kept its window shut before the end of a reply.
        Withheld = "withheld",
        /// A client asked for nothing in time.
        Silent = "silent",
        /// A client did not let a connection end.
        Lingering = "lingering",
        /// An HTTP/2 client gave up too many requests.
        Resets = "http2-resets",
        /// An HTTP/2 client sent too many frames of no use.
        ControlFrames = "http2-control-frames",
        /// What had been decided held no longer.
        Withdrawn = "withdrawn",
        /// A reply took too long as a whole.
        TooLong = "too-long",
    }
}

/// The figures of connections that were not taken, and of what was cut off.
#[derive(Debug)]
pub struct ConnectionMetrics {
    turned_away: Vec<IntCounter>,
    cut: Vec<IntCounter>,
}

impl ConnectionMetrics {
    pub(super) fn new(f: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let turned_away = f.counters(
            "pinegate_connections_turned_away_total",
            "Client connections that were closed before anything was asked on them.",
            &["reason"],
        )?;
        let cut = f.counters(
            "pinegate_cut_off_total",
            "Connections and replies that were cut off before their end.",
            &["reason"],
        )?;
        Ok(Self {
            turned_away: TurnedAway::ALL
                .iter()
                .map(|reason| turned_away.with_label_values(&[reason.as_str()]))
                .collect(),
            cut: Cut::ALL.iter().map(|reason| cut.with_label_values(&[reason.as_str()])).collect(),
        })
    }

    /// Counts a connection that was not taken.
    pub fn turn_away(&self, reason: TurnedAway) {
        let position = TurnedAway::ALL.iter().position(|known| *known == reason);
        if let Some(counter) = position.and_then(|position| self.turned_away.get(position)) {
            counter.inc();
        }
    }

    /// Counts what was cut off.
    pub fn cut(&self, reason: Cut) {
        let position = Cut::ALL.iter().position(|known| *known == reason);
        if let Some(counter) = position.and_then(|position| self.cut.get(position)) {
            counter.inc();
        }
    }
}
