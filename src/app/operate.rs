//! What operators do to a running gate, and what it shows them.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::assemble::{Assembled, assemble};
use super::levels::{Changed, Levels, Shown, While};
use super::overdue::Overdue;
use super::upstreams::Keeper;
use crate::admin::{LogWish, Logged, MAX_WHILE, Operations, Readiness, Reloaded};
use crate::audit::{Entry, Event, Lifecycle};
use crate::config::{Audit, Bounds, CHANGE_OF_FILTER, CheckpointSettings, Config, LogFilter, ReloadTrigger};
use crate::journal::{AppendError, Fault, Observer, Priority};
use crate::kernel::diagnostic::Severity;
use crate::kernel::time::Timestamp;
use crate::proxy::{Gate, Snapshot};
use crate::telemetry::{Metrics, Reload, ShadowState};
use crate::tls::TlsDates;

/// How often figures that change by themselves are shown anew.
const REFRESH: Duration = Duration::from_secs(10);

/// The gate, and what it was told.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) gate: Arc<Gate>,
    /// Written by a reload, which is rare; read by nothing on a request's path.
    config: RwLock<Arc<Config>>,
    /// What it was started with: what a reload cannot change stays as this says, however often one is done.
    started: Arc<Config>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    /// One change of what is logged at a time.
    changing_log: tokio::sync::Mutex<()>,
    keeper: Keeper,
    overdue: Overdue,
    levels: Levels,
}

impl Operator {
    pub(super) fn new(
        gate: Arc<Gate>,
        config: Config,
        keeper: Keeper,
        dates: &TlsDates,
        levels: Levels,
    ) -> Self {
        let started = Arc::new(config);
        let operator = Self {
            gate,
            config: RwLock::new(Arc::clone(&started)),
            started,
            reloading: tokio::sync::Mutex::new(()),
            changing_log: tokio::sync::Mutex::new(()),
            keeper,
            overdue: Overdue::default(),
            levels,
        };
        operator.keeper.keep(&operator.gate.snapshot.load());
        operator.show(dates);
        let pending = differing_at_the_start(&operator.started, &operator.started);
        operator.gate.metrics.show_restart_pending(&pending);
        operator
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A lifecycle record under what is live now.
    pub(super) fn lifecycle(&self, event: Event, actor: &str, detail: &[(&'static str, &str)]) -> Entry {
        let snapshot = self.gate.snapshot.load();
        let (policy, config) = (Some(&*snapshot.policy_digest_hex), Some(&*snapshot.config_digest_hex));
        let mut detail = detail.to_vec();
        detail.extend(snapshot.shadow.as_ref().map(|shadow| ("shadow", &*shadow.digest_hex)));
        Lifecycle { at: self.gate.clock.now(), event, actor, detail: &detail, policy, config }.encode()
    }

    /// The record of the start: the account that the gate has, and the process that started it.
    pub(super) fn started(&self) -> Entry {
        let actor = format!("uid {}", rustix::process::getuid().as_raw());
        let process = std::process::id().to_string();
        let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().to_string());
        let mut detail = vec![("version", env!("CARGO_PKG_VERSION")), ("pid", process.as_str())];
        detail.extend(parent.as_deref().map(|parent| ("parent_pid", parent)));
        self.lifecycle(Event::Start, &actor, &detail)
    }

    async fn rebuild(&self, actor: &str) -> Reloaded {
        let _one_at_a_time = self.reloading.lock().await;
        let (path, gate) = (self.config().path.clone(), Arc::clone(&self.gate));
        let built = tokio::task::spawn_blocking(move || {
            let (config, mut report) = Config::load(&path);
            let previous = gate.snapshot.load_full();
            let assembled = config.as_ref().and_then(|config| {
                let (assembled, found) = assemble(config, Some(&previous), &gate.metrics, &gate.clock);
                report.merge(found);
                assembled
            });
            (config, assembled, report)
        })
        .await;
        let refused = |report: String| {
            self.gate.metrics.reload(Reload::Refused);
            tracing::error!(actor, report, "a reload was refused; what was live stays");
            self.record(Event::ReloadRefused, actor, &[]);
            Reloaded::Refused { report }
        };
        let (config, assembled, report) = match built {
            Ok(built) => built,
            Err(error) => return refused(error.to_string()),
        };
        let (Some(config), Some(assembled)) = (config, assembled) else { return refused(report.to_string()) };
        let restart = self.swap(config, assembled);
        self.record(Event::Reload, actor, &[]);
        let snapshot = self.gate.snapshot.load();
        let warnings = if report.count(Severity::Warning) > 0 { report.to_string() } else { String::new() };
        tracing::info!(actor, revision = snapshot.revision, policy = snapshot.policy_digest_hex, "reloaded");
        Reloaded::Applied {
            revision: snapshot.revision,
            policy: snapshot.policy_digest_hex.clone(),
            shadow: snapshot.shadow.as_ref().map(|shadow| shadow.digest_hex.clone()),
            warnings,
            restart,
        }
    }

    /// Logs by `filter` from now on, for `length` if that is said. First the record of it is durable.
    async fn change_log(
        &self,
        filter: Option<LogFilter>,
        length: Option<Duration>,
        actor: &str,
    ) -> Result<(), String> {
        let _one_at_a_time = self.changing_log.lock().await;
        let wished = self.levels.would_change(filter.as_ref()).map_err(|error| error.to_string())?;
        let seconds = length.map(|length| length.as_secs());
        self.record_log(&wished, seconds, actor)
            .await
            .map_err(|error| format!("the change cannot be put on record: {error}"))?;
        // A while begins when it counts.
        let clock = &self.gate.clock;
        let span = length.map(|length| While { length, monotonic: clock.monotonic(), now: clock.now() });
        let changed = self.levels.change(filter, span).map_err(|error| error.to_string())?;
        tell_log(&changed, seconds, actor);
        Ok(())
    }

    /// Ends what is logged for a while and is over: as its record said, whether or not the end can be recorded.
    async fn end_while(&self) {
        let _one_at_a_time = self.changing_log.lock().await;
        let Some(ending) = self.levels.would_end(self.gate.clock.monotonic()) else { return };
        if let Err(error) = self.record_log(&ending, None, "system").await {
            tracing::error!(%error, event = Event::LogLevel.as_str(), "could not be put on record");
        }
        if let Some(changed) = self.levels.end_if_over(self.gate.clock.monotonic()) {
            tell_log(&changed, None, "system");
        }
    }

    /// Makes a record of a change of what is logged, and waits until it is durable.
    async fn record_log(
        &self,
        changed: &Changed,
        seconds: Option<u64>,
        actor: &str,
    ) -> Result<u64, AppendError> {
        let seconds = seconds.map(|seconds| seconds.to_string());
        let mut detail = vec![("log", changed.to.as_str()), ("was", changed.from.as_str())];
        detail.extend(seconds.as_deref().map(|seconds| ("for_seconds", seconds)));
        self.gate.journal.append(self.lifecycle(Event::LogLevel, actor, &detail)).await
    }

    fn record(&self, event: Event, actor: &str, detail: &[(&'static str, &str)]) {
        if let Err(error) = self.gate.journal.submit(self.lifecycle(event, actor, detail)) {
            tracing::error!(%error, event = event.as_str(), "could not be put on record");
        }
    }

    /// What takes effect at the next start alone.
    fn swap(&self, config: Config, assembled: Assembled) -> Vec<&'static str> {
        let Assembled { snapshot, tls, dates } = assembled;
        let restart = self.warn_of_restart(&config);
        // New connections are verified by the new trust before the new policy judges them; a connection
        // that slips between the two is checked again on its first request.
        self.gate.tls.store(tls);
        self.keeper.keep(&snapshot);
        self.gate.snapshot.store(Arc::new(snapshot));
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.gate.metrics.reload(Reload::Applied);
        self.show(&dates);
        restart
    }

    /// What a reload cannot change is said aloud rather than passed over: once in the log, and by the metric
    /// and the answer until the gate is started anew, or the file says again what it said then.
    fn warn_of_restart(&self, new: &Config) -> Vec<&'static str> {
        for section in changed(&differing_at_the_start(&self.config(), new)) {
            tracing::warn!(section, "has changed and takes effect at the next start");
        }
        let pending = differing_at_the_start(&self.started, new);
        self.gate.metrics.show_restart_pending(&pending);
        changed(&pending).collect()
    }

    fn show(&self, dates: &TlsDates) {
        let metrics = &self.gate.metrics;
        let snapshot = self.gate.snapshot.load();
        metrics.show_digests(snapshot.policy_digest, snapshot.config_digest);
        let is_configured = self.config().policy.shadow.is_some();
        metrics.show_shadow(match &snapshot.shadow {
            Some(shadow) => ShadowState::Loaded(shadow.digest),
            None if is_configured => ShadowState::Broken,
            None => ShadowState::Absent,
        });
        if is_configured && snapshot.shadow.is_none() {
            tracing::warn!(
                "the candidate policy does not load and is not evaluated; `pinegate check` says why"
            );
        }
        metrics.last_reload.set(seconds(self.gate.clock.now()));
        if let Some((_, at)) = &dates.certificate {
            metrics.show_expiry("server", seconds(*at));
        }
        if let Some(at) = dates.authorities.iter().map(|(_, at)| *at).min() {
            metrics.show_expiry("client_ca", seconds(at));
        }
        if let Some(at) = dates.lists.iter().filter_map(|(_, at)| *at).min() {
            metrics.show_expiry("crl", seconds(at));
        }
        self.overdue.watch(&dates.lists);
        self.show_grants(&snapshot);
    }

    fn show_grants(&self, snapshot: &Snapshot) {
        let now = self.gate.clock.now();
        let within = |days: i64| {
            now.checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
        };
        let (mut live, mut ended, mut soon) = (0_i64, 0_i64, [0_i64; 3]);
        let mut next: Option<Timestamp> = None;
        for grant in snapshot.policy.grants() {
            match grant.expires() {
                Some(at) if at <= now => ended += 1,
                Some(at) => {
                    live += 1;
                    next = Some(next.map_or(at, |known| known.min(at)));
                    for (count, days) in soon.iter_mut().zip([30, 7, 1]) {
                        *count += i64::from(at <= within(days));
                    }
                }
                None => live += 1,
            }
        }
        let metrics = &self.gate.metrics;
        metrics.show_grants("live", live);
        metrics.show_grants("ended", ended);
        for (state, count) in ["ends_in_30_days", "ends_in_7_days", "ends_in_1_day"].into_iter().zip(soon) {
            metrics.show_grants(state, count);
        }
        metrics.next_grant_expiry.set(next.map_or(0.0, seconds));
    }
}

/// Says in the log that something else is logged from now on.
fn tell_log(changed: &Changed, seconds: Option<u64>, actor: &str) {
    let (log, was) = (changed.to.as_str(), changed.from.as_str());
    tracing::info!(
        target: CHANGE_OF_FILTER, actor, log, was, for_seconds = seconds, "what is logged was changed"
    );
}

/// A section of the configuration, and whether it has changed.
type Section = (&'static str, bool);

fn changed(sections: &[Section]) -> impl Iterator<Item = &'static str> {
    sections.iter().filter(|(_, is_changed)| *is_changed).map(|(section, _)| *section)
}

/// The sections of which a reload cannot change everything, and whether the two differ in that.
fn differing_at_the_start(old: &Config, new: &Config) -> [Section; 11] {
    let watched = |config: &Config| {
        let policy = &config.policy;
        (policy.reload == ReloadTrigger::Watch).then(|| (policy.directory.clone(), policy.shadow.clone()))
    };
    [
        ("[listen]", old.listen != new.listen || old.proxy_from != new.proxy_from),
        ("[metrics]", old.metrics.address != new.metrics.address),
        ("[admin]", old.admin.socket != new.admin.socket),
        ("[audit]", audit_of_the_start(&old.audit) != audit_of_the_start(&new.audit)),
        (
            "[audit.checkpoint]",
            old.audit.checkpoint.as_ref().map(signing) != new.audit.checkpoint.as_ref().map(signing),
        ),
        ("[[audit.witness]]", old.audit.witnesses != new.audit.witnesses),
        ("[[audit.sink]]", old.audit.sinks != new.audit.sinks),
        ("[traces]", old.traces != new.traces),
        ("[bounds]", of_the_start(&old.bounds) != of_the_start(&new.bounds)),
        ("what [policy] watches", watched(old) != watched(new)),
        (
            "[telemetry]",
            old.telemetry.log != new.telemetry.log || old.telemetry.format != new.telemetry.format,
        ),
    ]
}

/// The bounds that a reload cannot change. Each bound is named, so that none can be forgotten.
fn of_the_start(bounds: &Bounds) -> impl PartialEq + use<> {
    let Bounds {
        connections,
        connections_per_address,
        connections_per_system,
        handshakes,
        handshakes_per_address,
        handshake_timeout,
        header_timeout,
        idle_timeout,
        stall_timeout,
        reply_timeout,
        connection_age,
        min_rate,
        min_rate_grace,
        sessions,
        sessions_per_system,
        session_idle_timeout,
        session_timeout,
        header_bytes,
        header_fields,
        http2_streams,
        http2_resets,
        http2_control_frames,
        drain,
        // These are of the snapshot and take effect with it.
        requests: _,
        whole_reply: _,
        decoded_reply: _,
        decoded_ratio: _,
        decision_body: _,
        whole_request: _,
    } = *bounds;
    let times = [
        handshake_timeout,
        header_timeout,
        idle_timeout,
        stall_timeout,
        reply_timeout,
        connection_age,
        min_rate_grace,
        session_idle_timeout,
        session_timeout,
        drain,
    ];
    let places = [
        connections,
        connections_per_address,
        connections_per_system,
        handshakes,
        handshakes_per_address,
        sessions,
        sessions_per_system,
        header_fields,
    ];
    let of_http2 = (http2_streams, http2_resets, http2_control_frames);
    (times, places, min_rate, header_bytes, of_http2)
}

/// What stands in `[audit]` itself and a reload cannot change. Each setting is named, so that none can be
/// forgotten.
fn audit_of_the_start(audit: &Audit) -> impl PartialEq + use<'_> {
    let Audit {
        directory,
        node,
        segment_bytes,
        retention_days,
        low_space,
        raised_priority,
        // This is of the snapshot and takes effect with it.
        pseudonym_key: _,
        // These are sections of their own.
        checkpoint: _,
        witnesses: _,
        sinks: _,
    } = audit;
    (directory, node, segment_bytes, retention_days, low_space, raised_priority)
}

/// Who signs heads, and when.
fn signing(settings: &CheckpointSettings) -> impl PartialEq + use<'_> {
    let CheckpointSettings { signer, every, records } = settings;
    (signer.key(), every, records)
}

fn seconds(at: Timestamp) -> f64 {
    jiff::SignedDuration::from_millis(at.as_millisecond()).as_secs_f64()
}

impl Operations for Operator {
    fn reload(&self, actor: String) -> Pin<Box<dyn Future<Output = Reloaded> + Send + '_>> {
        Box::pin(async move { self.rebuild(&actor).await })
    }

    fn logged(&self) -> Logged {
        let Shown { filter, configured, until } = self.levels.shown();
        Logged {
            log: filter.to_string(),
            configured: configured.to_string(),
            until: until.map(|(until, then)| (until, then.to_string())),
        }
    }

    fn log(
        &self,
        wish: LogWish,
        actor: String,
    ) -> Pin<Box<dyn Future<Output = Result<Logged, String>> + Send + '_>> {
        Box::pin(async move {
            let LogWish { log, for_seconds } = wish;
            let filter =
                log.as_deref().map(LogFilter::parse).transpose().map_err(|error| error.to_string())?;
            let length = for_seconds.map(Duration::from_secs);
            if length.is_some_and(|length| length.is_zero() || length > MAX_WHILE) {
                return Err(format!("a while is of 1 to {} seconds", MAX_WHILE.as_secs()));
            }
            self.change_log(filter, length, &actor).await?;
            Ok(self.logged())
        })
    }

    fn readiness(&self) -> Readiness {
        if self.gate.draining.is_cancelled() {
            return Readiness::Unready("draining".to_owned());
        }
        let health = self.gate.journal.health();
        if health.durable {
            return Readiness::Ready;
        }
        let why = health.why.map(|why| format!(": {why}")).unwrap_or_default();
        Readiness::Unready(format!("audit records cannot be made durable{why}"))
    }

    fn metrics(&self) -> Result<Vec<u8>, String> {
        self.gate.metrics.encode().map_err(|error| error.to_string())
    }
}

/// Shows anew what changes by itself, until `stop`.
pub(super) async fn refresh(operator: Arc<Operator>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(REFRESH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                operator.show_grants(&operator.gate.snapshot.load());
                operator.overdue.tell(operator.gate.clock.now());
            }
        }
    }
}

/// Ends what is logged for a while when it is over, until `stop`.
pub(super) async fn end_whiles(operator: Arc<Operator>, stop: CancellationToken) {
    let clock = &operator.gate.clock;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = operator.levels.wait(|| clock.monotonic()) => {}
        }
        operator.end_while().await;
    }
}

/// The journal's figures, as metrics, and its turns, as log lines.
#[derive(Debug)]
pub(super) struct AuditMetrics {
    metrics: Arc<Metrics>,
    is_space_low: AtomicBool,
}

impl AuditMetrics {
    pub(super) const fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, is_space_low: AtomicBool::new(false) }
    }
}

impl Observer for AuditMetrics {
    fn committed(&self, records: usize, bytes: usize, took: Duration) {
        self.metrics.audit_records.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        self.metrics.audit_bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.metrics.audit_commit_seconds.observe(took.as_secs_f64());
        // What was found waiting does so no more; the writer alone comes here.
        let waiting =
            self.metrics.audit_queue.get().saturating_sub(i64::try_from(records).unwrap_or(i64::MAX));
        self.metrics.audit_queue.set(waiting.max(0));
    }

    fn durable(&self, fault: Option<&Fault>) {
        match fault {
            None => tracing::info!("audit records are made durable"),
            Some(fault) => tracing::error!(%fault, "no data leaves: audit records cannot be made durable"),
        }
        self.metrics.audit_durable.set(i64::from(fault.is_none()));
    }

    fn queued(&self, records: usize) {
        self.metrics.audit_queue.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    fn priority(&self, found: Priority) {
        tracing::info!(priority = %found, "the audit writer has its priority");
    }

    fn space(&self, free: u64, is_low: bool) {
        self.metrics.audit_free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
        self.metrics.audit_space_low.set(i64::from(is_low));
        match (self.is_space_low.swap(is_low, Ordering::Relaxed), is_low) {
            (false, true) => tracing::warn!(
                free_bytes = free,
                "little space is left for audit records: make room, or no data leaves once there is none"
            ),
            (true, false) => tracing::info!(free_bytes = free, "there is enough space for audit records"),
            (true, true) | (false, false) => {}
        }
    }
}
