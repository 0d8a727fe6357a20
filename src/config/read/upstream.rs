//! Reads `[[upstream]]`.

use std::time::Duration;

use super::{Reader, base_url, codings, count, duration};
use crate::config::FileContent;
use crate::config::upstream::{Breaker, Ejection, Endpoint, HealthCheck, Retry, Upstream};
use crate::document::{At, Table};
use crate::kernel::id::UpstreamId;
use crate::kernel::secret::Secret;

/// The most endpoints that one upstream may name.
const MAX_ENDPOINTS: usize = 32;

/// The largest weight of an endpoint.
const MAX_WEIGHT: i64 = 1_000;

impl<'d, 's> Reader<'d, 's> {
    pub(super) fn upstreams(&self) -> Vec<Upstream> {
        let mut upstreams: Vec<Upstream> = Vec::new();
        if !self.root.has("upstream") {
            self.root.document().error(
                "missing-section",
                0..0,
                "there is no `[[upstream]]`",
                "add `[[upstream]]` with `id` and `url`",
            );
        }
        for table in self.root.tables("upstream") {
            let span = table.span();
            let document = table.document();
            let Some(upstream) = self.upstream(table) else { continue };
            if upstreams.iter().any(|known| known.id == upstream.id) {
                let message = format!("the upstream id `{}` is used twice", upstream.id);
                document.error("duplicate-id", span, message, "give each upstream an id of its own");
            }
            upstreams.push(upstream);
        }
        upstreams
    }

    fn upstream(&self, table: Table<'d, 's>) -> Option<Upstream> {
        let id = table.required("id", "a name for routes to use", UpstreamId::parse);
        let endpoints = endpoints(&table);
        let http2 = table.flag("http2").is_some_and(|at| at.value);
        let accept_encoding = codings(&table);
        let is_tls = endpoints.as_ref().and_then(|all| all.first()).map(|first| is_tls(&first.value.url));
        let (ca, client) = self.upstream_tls(&table, is_tls);
        let max_requests = count(&table, "max_requests", 1..=1_000_000, 1_024);
        let provider_requests =
            table.has("provider_requests").then(|| count(&table, "provider_requests", 1..=1_000_000, 1_024));
        Some(Upstream {
            http2,
            accept_encoding,
            ca,
            client,
            connect_timeout: duration(&table, "connect_timeout", Duration::from_secs(3)),
            response_timeout: duration(&table, "response_timeout", Duration::from_secs(20)),
            idle_timeout: duration(&table, "idle_timeout", Duration::from_secs(60)),
            max_idle: count(&table, "max_idle", 1..=100_000, 512),
            max_connections: count(&table, "max_connections", 1..=100_000, 1_024),
            announces: table.flag("proxy_protocol").is_some_and(|at| at.value),
            max_requests,
            provider_requests,
            max_waiting: count(&table, "max_waiting", 1..=100_000, 128),
            wait_timeout: duration(&table, "wait_timeout", Duration::from_secs(1)),
            resolve_interval: duration(&table, "resolve_interval", Duration::from_secs(30)),
            retry: retry(table.table("retry")),
            ejection: ejection(table.table("ejection")),
            breaker: breaker(table.table("breaker")),
            health: table.table("health").and_then(health),
            // Last, so that everything is looked at before any of it is given up.
            endpoints: {
                table.finish();
                endpoints?.into_iter().map(|at| at.value).collect()
            },
            id: id?.value,
        })
    }

    /// The authorities that vouch for an upstream, and what the gate shows it.
    fn upstream_tls(
        &self,
        table: &Table<'d, 's>,
        is_tls: Option<bool>,
    ) -> (Option<FileContent>, Option<(FileContent, Secret)>) {
        let ca = table.text("ca").and_then(|text| self.file(table, "ca", &text.map(str::to_owned)));
        let certificate = table
            .text("certificate")
            .and_then(|text| self.file(table, "certificate", &text.map(str::to_owned)));
        let key = if table.has("key") { self.secret(table, "key") } else { None };
        if is_tls == Some(true) && !table.has("ca") {
            table.missing("ca", "the authorities that issue the service's certificate, PEM");
        }
        if is_tls == Some(false) && (table.has("ca") || table.has("certificate")) {
            let at = if table.has("url") { "url" } else { "endpoints" };
            table.bad_value(at, table.span_of(at), &"`https://…`, since certificates are configured");
        }
        if table.has("certificate") != table.has("key") {
            table.missing(if table.has("key") { "certificate" } else { "key" }, "the two go together");
        }
        (ca, certificate.zip(key))
    }
}

fn is_tls(url: &http::Uri) -> bool {
    url.scheme_str() == Some("https")
}

/// `url`, or the list `endpoints`.
fn endpoints(table: &Table<'_, '_>) -> Option<Vec<At<Endpoint>>> {
    let expected = "where the service is, such as `https://platform.city.example:9443`";
    if !table.has("endpoints") {
        let url = table.required("url", expected, base_url)?;
        return Some(vec![At { value: Endpoint { url: url.value, weight: 1 }, span: url.span }]);
    }
    if table.has("url") {
        table.bad_value("url", table.span_of("url"), &"either `url`, or `endpoints` with a `url` in each");
    }
    let mut endpoints: Vec<At<Endpoint>> = Vec::new();
    let mut is_whole = true;
    for each in table.tables("endpoints") {
        let url = each.required("url", expected, base_url);
        let weight = count(&each, "weight", 1..=MAX_WEIGHT, 1);
        let Some(url) = url else {
            each.finish();
            is_whole = false;
            continue;
        };
        if endpoints.iter().any(|known| known.value.url == url.value) {
            each.bad_value("url", url.span.clone(), &"a url of its own; `weight` gives one a larger share");
        }
        if endpoints.first().is_some_and(|first| is_tls(&first.value.url) != is_tls(&url.value)) {
            each.bad_value("url", url.span.clone(), &"the scheme of the first: one upstream is one service");
        }
        each.finish();
        let weight = u32::try_from(weight).unwrap_or(1);
        endpoints.push(At { value: Endpoint { url: url.value, weight }, span: url.span });
    }
    if is_whole && (endpoints.is_empty() || endpoints.len() > MAX_ENDPOINTS) {
        let expected =
            format!("from 1 to {MAX_ENDPOINTS} tables such as `{{ url = \"http://10.0.0.7:9080\" }}`");
        table.bad_value("endpoints", table.span_of("endpoints"), &expected);
        return None;
    }
    is_whole.then_some(endpoints)
}

/// A small whole number.
fn number(
    table: &Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<i64>,
    default: u32,
) -> u32 {
    table.integer(key, range).and_then(|at| u32::try_from(at.value).ok()).unwrap_or(default)
}

fn retry(table: Option<Table<'_, '_>>) -> Retry {
    let defaults = Retry::default();
    let Some(table) = table else { return defaults };
    let retry = Retry {
        tries: number(&table, "tries", 1..=5, defaults.tries),
        budget_percent: number(&table, "budget_percent", 1..=100, defaults.budget_percent),
        budget_floor: number(&table, "budget_floor", 1..=10_000, defaults.budget_floor),
    };
    table.finish();
    retry
}

fn ejection(table: Option<Table<'_, '_>>) -> Ejection {
    let defaults = Ejection::default();
    let Some(table) = table else { return defaults };
    let ejection = Ejection {
        failures: number(&table, "failures", 1..=1_000, defaults.failures),
        base: duration(&table, "base", defaults.base),
        longest: duration(&table, "longest", defaults.longest),
        max_percent: number(&table, "max_percent", 1..=100, defaults.max_percent),
    };
    if ejection.longest < ejection.base {
        table.bad_value("longest", table.span_of("longest"), &"no less than `base`");
    }
    table.finish();
    ejection
}

fn breaker(table: Option<Table<'_, '_>>) -> Breaker {
    let defaults = Breaker::default();
    let Some(table) = table else { return defaults };
    let breaker = Breaker {
        requests: number(&table, "requests", 1..=100_000, defaults.requests),
        failure_percent: number(&table, "failure_percent", 1..=100, defaults.failure_percent),
        open: duration(&table, "open", defaults.open),
    };
    table.finish();
    breaker
}

fn health(table: Table<'_, '_>) -> Option<HealthCheck> {
    let path = table.required("path", "what is asked for, such as `/healthz`", |text| {
        let path: Result<http::Uri, _> = text.parse();
        path.ok()
            .filter(|path| text.starts_with('/') && path.authority().is_none())
            .ok_or("a path, such as `/healthz`")
    });
    let interval = duration(&table, "interval", Duration::from_secs(5));
    let timeout = duration(&table, "timeout", Duration::from_secs(2));
    let unhealthy = number(&table, "unhealthy", 1..=100, 3);
    let healthy = number(&table, "healthy", 1..=100, 2);
    table.finish();
    Some(HealthCheck { path: path?.value, interval, timeout, unhealthy, healthy })
}
