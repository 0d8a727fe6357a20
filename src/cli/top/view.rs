//! What is shown: the difference of two readings, worked out. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::figures::{FIRST_GRANT, Figures, Histogram, Quantile, Sink, Tally};

/// How many readings the curve of requests goes back.
const HISTORY: usize = 240;

/// The rows of the table of delays: the whole request, its stages, and the commits of the log.
const STAGES: [&str; 4] = ["decide", "upstream", "mask", "record"];

/// By what the tables are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// The busiest first.
    #[default]
    Rate,
    /// Those that are refused most first.
    Refused,
    /// The most since the gate began first.
    Total,
    /// By name.
    Name,
}

impl Sort {
    /// The one after it.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Rate => Self::Refused,
            Self::Refused => Self::Total,
            Self::Total => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    /// Its name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Refused => "refused",
            Self::Total => "total",
            Self::Name => "name",
        }
    }
}

/// How the gate answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Health {
    /// It has not yet.
    Awaited,
    /// It does.
    Answers,
    /// It does, and is another process than at the last reading.
    Restarted,
    /// It has not for so long.
    Silent { since: Duration, why: String },
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    /// Each second; not known before the second reading.
    pub(super) rate: Option<f64>,
    pub(super) refused: Option<f64>,
    /// Since the gate began.
    pub(super) total: f64,
}

/// How long something takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Delay {
    pub(super) name: &'static str,
    /// Of what came since the last reading; of everything before the second.
    pub(super) quantiles: [Option<Quantile>; 3],
    pub(super) rate: Option<f64>,
}

/// What happens each second.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) requests: Option<f64>,
    pub(super) allowed: Option<f64>,
    pub(super) refused: Option<f64>,
    pub(super) aborted: Option<f64>,
    pub(super) handshakes: Option<f64>,
    pub(super) handshakes_failed: Option<f64>,
    pub(super) turned_away: Option<f64>,
    pub(super) cut_off: Option<f64>,
    pub(super) records: Option<f64>,
}

/// Something that ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Due {
    pub(super) what: String,
    /// In so many seconds; below zero, it has ended.
    pub(super) seconds: f64,
}

/// All that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) source: String,
    pub(super) every: Duration,
    pub(super) is_paused: bool,
    pub(super) sort: Sort,
    pub(super) health: Health,
    /// How the gate stood at the last reading, if there was one.
    pub(super) figures: Option<Figures>,
    pub(super) up_seconds: Option<f64>,
    pub(super) rates: Rates,
    /// Requests a second, the oldest first.
    pub(super) history: Vec<f64>,
    pub(super) delays: Vec<Delay>,
    pub(super) refusals: Vec<Row>,
    pub(super) systems: Vec<Row>,
    pub(super) resources: Vec<Row>,
    pub(super) sinks: Vec<Sink>,
    pub(super) due: Vec<Due>,
}

impl View {
    /// Orders the tables otherwise.
    pub(super) fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        for rows in [&mut self.refusals, &mut self.systems, &mut self.resources] {
            order(rows, sort);
        }
    }
}

/// Rows that are alike in what is asked for come by their total, and then by name.
fn order(rows: &mut [Row], sort: Sort) {
    let key = |row: &Row| match sort {
        Sort::Rate => row.rate.unwrap_or_default(),
        Sort::Refused => row.refused.unwrap_or_default(),
        Sort::Total => row.total,
        Sort::Name => 0.0,
    };
    let total = |row: &Row| if sort == Sort::Name { 0.0 } else { row.total };
    rows.sort_by(|one, other| {
        key(other)
            .total_cmp(&key(one))
            .then_with(|| total(other).total_cmp(&total(one)))
            .then_with(|| one.name.cmp(&other.name))
    });
}

/// What the readings came to so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    earlier: Option<(Duration, Figures)>,
    latest: Option<(Duration, Figures)>,
    restarted: bool,
    silent: Option<(Duration, String)>,
    history: VecDeque<f64>,
}

impl Watch {
    /// Takes a reading, or why there is none, of the moment `at`.
    pub(super) fn take(&mut self, at: Duration, reading: Result<Figures, String>) {
        let figures = match reading {
            Ok(figures) => figures,
            Err(why) => {
                let since = self.silent.as_ref().map_or(at, |(since, _)| *since);
                self.silent = Some((since, why));
                return;
            }
        };
        self.silent = None;
        let before = self.latest.take();
        self.restarted = before.as_ref().is_some_and(|(_, before)| figures.is_another_than(before));
        // Nothing can be told of a process from the figures of another.
        self.earlier = before.filter(|_| !self.restarted);
        self.latest = Some((at, figures));
        if let Some(rate) = self.rates().requests {
            self.history.push_back(rate);
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
    }

    /// Whether there are two readings of one process, so that there is something to tell.
    pub(super) fn is_told(&self) -> bool {
        self.earlier.is_some() && self.latest.is_some()
    }

    /// Both readings, and the seconds between them.
    fn span(&self) -> Option<(&Figures, &Figures, f64)> {
        let ((then, earlier), (now, latest)) = (self.earlier.as_ref()?, self.latest.as_ref()?);
        let seconds = now.saturating_sub(*then).as_secs_f64();
        (seconds > 0.0).then_some((earlier, latest, seconds))
    }

    fn rates(&self) -> Rates {
        let Some((then, now, seconds)) = self.span() else { return Rates::default() };
        let rate = |of: fn(&Figures) -> f64| Some((of(now) - of(then)).max(0.0) / seconds);
        let outcome = |figures: &Figures, name: &str| figures.outcomes.get(name).copied().unwrap_or_default();
        let all = |figures: &Figures| figures.outcomes.values().sum::<f64>();
        let (allowed, aborted) = ((outcome(now, "allowed") - outcome(then, "allowed")).max(0.0), {
            (outcome(now, "aborted") - outcome(then, "aborted")).max(0.0)
        });
        let requests = (all(now) - all(then)).max(0.0);
        Rates {
            requests: Some(requests / seconds),
            allowed: Some(allowed / seconds),
            refused: Some((requests - allowed - aborted).max(0.0) / seconds),
            aborted: Some(aborted / seconds),
            handshakes: rate(|figures| figures.handshakes),
            handshakes_failed: rate(|figures| figures.handshakes_failed),
            turned_away: rate(|figures| figures.turned_away),
            cut_off: rate(|figures| figures.cut_off),
            records: rate(|figures| figures.audit_records),
        }
    }

    fn delay(&self, name: &'static str, of: impl Fn(&Figures) -> Histogram) -> Delay {
        let all = self.latest.as_ref().map(|(_, figures)| of(figures)).unwrap_or_default();
        let (shown, rate) = match self.span() {
            Some((then, _, seconds)) => {
                let new = all.since(&of(then));
                let rate = new.count() / seconds;
                (new, Some(rate))
            }
            None => (all, None),
        };
        Delay { name, quantiles: [0.5, 0.9, 0.99].map(|share| shown.quantile(share)), rate }
    }

    fn delays(&self) -> Vec<Delay> {
        let whole = self.delay("whole request", |figures| figures.requests.clone());
        let stages = STAGES
            .map(|stage| self.delay(stage, |figures| figures.stages.get(stage).cloned().unwrap_or_default()));
        let commits = self.delay("audit commit", |figures| figures.commits.clone());
        [whole].into_iter().chain(stages).chain([commits]).collect()
    }

    /// The rows of a table in their order, without those of which there was never anything.
    fn rows(&self, sort: Sort, of: impl Fn(&Figures) -> BTreeMap<String, Tally>) -> Vec<Row> {
        let Some((_, latest)) = &self.latest else { return Vec::new() };
        let span = self.span().map(|(then, _, seconds)| (of(then), seconds));
        let row = |(name, now): (String, Tally)| {
            let rate = |of: fn(&Tally) -> f64| {
                let (then, seconds) = span.as_ref()?;
                let then = then.get(&name).map_or(0.0, of);
                Some((of(&now) - then).max(0.0) / seconds)
            };
            let (rate, refused) = (rate(|tally| tally.requests), rate(|tally| tally.refused));
            Row { name, rate, refused, total: now.requests }
        };
        let mut rows: Vec<Row> = of(latest).into_iter().map(row).filter(|row| row.total > 0.0).collect();
        order(&mut rows, sort);
        rows
    }

    fn due(&self, now: f64) -> Vec<Due> {
        let Some((_, figures)) = &self.latest else { return Vec::new() };
        let word = |kind: &str| match kind {
            "server" => "gate's certificate".to_owned(),
            "client_ca" => "client authorities".to_owned(),
            "crl" => "revocation lists".to_owned(),
            FIRST_GRANT => "first grant".to_owned(),
            other => other.to_owned(),
        };
        let of = |(kind, at): (&String, &f64)| Due { what: word(kind), seconds: at - now };
        let mut due: Vec<Due> = figures.expiries.iter().map(of).collect();
        due.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        due
    }

    /// What is to be shown at `at`, which is `now` in seconds since 1970.
    pub(super) fn view(&self, source: &str, every: Duration, sort: Sort, (at, now): (Duration, f64)) -> View {
        let figures = self.latest.as_ref().map(|(_, figures)| figures.clone());
        let health = match (&self.silent, &figures) {
            (Some((since, why)), _) => Health::Silent { since: at.saturating_sub(*since), why: why.clone() },
            (None, None) => Health::Awaited,
            (None, Some(_)) if self.restarted => Health::Restarted,
            (None, Some(_)) => Health::Answers,
        };
        let counted = |map: &BTreeMap<String, f64>| {
            let tally =
                |(name, count): (&String, &f64)| (name.clone(), Tally { requests: *count, refused: *count });
            map.iter().map(tally).collect()
        };
        View {
            source: source.to_owned(),
            every,
            is_paused: false,
            sort,
            health,
            // Of a gate that does not answer nobody knows whether it is up.
            up_seconds: match &self.silent {
                Some(_) => None,
                None => figures.as_ref().and_then(|figures| Some(now - figures.started?)),
            },
            rates: self.rates(),
            history: self.history.iter().copied().collect(),
            delays: self.delays(),
            refusals: self.rows(sort, |figures| counted(&figures.refusals)),
            systems: self.rows(sort, |figures| figures.systems.clone()),
            resources: self.rows(sort, |figures| figures.resources.clone()),
            sinks: figures.as_ref().map(|figures| figures.sinks.clone()).unwrap_or_default(),
            due: self.due(now),
            figures,
        }
    }
}
