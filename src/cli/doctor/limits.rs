//! Whether the system allows as many open files as the configuration may need.

use rustix::process::{Resource, getrlimit};

use super::observation::Observation;
use super::running::Gate;
use crate::config::Config;

/// Descriptors that are no connection: the log, its upkeep, sinks, operators, the runtime.
const OTHERS: u64 = 256;

/// How many descriptors there may have to be.
#[derive(Debug, Clone, Copy)]
struct Need {
    /// For client connections alone.
    clients: u64,
    /// For all.
    all: u64,
}

pub(super) fn examine(config: &Config, gate: &Gate) -> Observation {
    let need = need(config);
    match gate.metric("process_max_fds") {
        Some(limit) => of_the_gate(need, limit),
        // Unlimited is told as none.
        None => of_this_process(need, getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)),
    }
}

/// A descriptor for each client connection, and for each to the platform.
fn need(config: &Config) -> Need {
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let upstreams = config.upstreams.iter();
    let outgoing =
        upstreams.map(|upstream| number(upstream.endpoints.len().saturating_mul(upstream.max_connections)));
    let clients = number(config.bounds.connections);
    Need { clients, all: outgoing.fold(clients.saturating_add(OTHERS), u64::saturating_add) }
}

fn seen(need: Need, limit: u64, whose: &str) -> Observation {
    let found = format!("{limit} allowed, up to {} needed", need.all);
    Observation::new("open-files", format!("of {whose}"), found)
}

fn mend(need: Need) -> String {
    let all = need.all;
    format!("`LimitNOFILE={all}` in its unit or `ulimit -n {all}`, or fewer `[bounds] connections`")
}

/// What the gate has is what counts: fewer than its clients may need, and some are refused.
fn of_the_gate(need: Need, limit: u64) -> Observation {
    let seen = seen(need, limit, "the running gate");
    if limit < need.clients {
        seen.bad(mend(need))
    } else if limit < need.all {
        seen.doubtful(mend(need))
    } else {
        seen
    }
}

/// The gate that is to run may be given another limit.
fn of_this_process(need: Need, limit: u64) -> Observation {
    let seen = seen(need, limit, "whoever runs this command");
    if limit < need.all { seen.doubtful(mend(need)) } else { seen }
}

#[cfg(test)]
mod tests {
    use super::super::observation::Standing;
    use super::*;

    #[test]
    fn what_counts_is_the_limit_of_the_gate_itself() {
        let need = Need { clients: 100, all: 150 };
        assert_eq!(of_the_gate(need, 150).standing, Standing::Good);
        assert_eq!(of_the_gate(need, 149).standing, Standing::Doubtful);
        assert_eq!(of_the_gate(need, 99).standing, Standing::Bad);
        assert_eq!(of_this_process(need, 150).standing, Standing::Good);
        assert_eq!(of_this_process(need, 99).standing, Standing::Doubtful);
    }
}
