//! A panic is the loss of one request. No real stage panics on purpose, so one that does stands in for it.

use std::sync::Mutex;

use http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::app::assemble::assemble;
use crate::config::Config;
use crate::identity::Peer;
use crate::identity::token::SignatureAlgorithm;
use crate::kernel::time::{Clock, ManualClock};
use crate::pki::{ClientName, DevelopmentCa, Overwrite, issue_token_key};
use crate::proxy::body::RequestBody;
use crate::proxy::problem::{Code, Language};
use crate::telemetry::Metrics;

/// What is live in a gate of the example's configuration and policies, and its time.
pub(in crate::proxy) fn live() -> (Arc<Snapshot>, Arc<dyn Clock>) {
    let ground = tempfile::tempdir().unwrap();
    let at = |name: &str| ground.path().join(name);
    let now = "2026-06-01T01:30:00Z".parse().unwrap();
    let (replace, certs) = (Overwrite::Replace, at("certs"));
    let ca = DevelopmentCa::create(&certs, "City CA", 30, now, replace).unwrap();
    ca.issue_server("server", &["localhost"], 30, now, replace).unwrap();
    ca.issue_client("gate", ClientName::CommonName("gate"), 30, now, replace).unwrap();
    issue_token_key(&certs, "platform", SignatureAlgorithm::Es256, replace).unwrap();
    std::fs::write(certs.join("audit.key"), [7; 32]).unwrap();
    std::fs::create_dir(at("config")).unwrap();
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let text = include_str!("../../../config/gateway.toml").replace("../policies", policies);
    std::fs::write(at("config/gateway.toml"), text).unwrap();
    let (config, report) = Config::load(&at("config/gateway.toml"));
    let config = config.unwrap_or_else(|| panic!("{report:?}"));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
    let (assembled, report) = assemble(&config, None, &Metrics::new().unwrap(), &clock);
    (Arc::new(assembled.unwrap_or_else(|| panic!("{report:?}")).snapshot), clock)
}

pub(in crate::proxy) fn peer() -> Arc<Peer> {
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
    let somewhere = "192.0.2.1:7".parse().unwrap();
    Arc::new(Peer::new(somewhere, somewhere, vec![leaf]).unwrap())
}

#[tokio::test]
async fn a_panic_costs_its_own_request_alone() {
    let ((snapshot, clock), peer) = (live(), peer());
    let exchange = |path: &str| {
        let draft = Arc::new(Draft::new(clock.now(), Language::En));
        Box::new(Exchange {
            parts: Request::get(path).body(()).unwrap().into_parts().0,
            body: RequestBody::default(),
            peer: Arc::clone(&peer),
            snapshot: Arc::clone(&snapshot),
            caller: Err(Failure::Revoked),
            draft,
            fault: None,
        })
    };
    // Held by whoever panics: what stands behind a lock is still to be had after that.
    let shared = Arc::new(Mutex::new(0));
    let stage = tower::service_fn(|exchange: Box<Exchange>| {
        let shared = Arc::clone(&shared);
        let path = exchange.parts.uri.path().to_owned();
        assert_ne!(path, "/at-once", "a panic that is meant");
        async move {
            let mut count = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *count += 1;
            assert_ne!(path, "/later", "a panic that is meant");
            Ok(Response::new(ReplyBody::whole("well")))
        }
    });
    let rescued = Rescue.layer(stage);
    for (path, status) in
        [("/", 200), ("/at-once", 500), ("/", 200), ("/later", 500), ("/later", 500), ("/", 200)]
    {
        let exchange = exchange(path);
        let draft = Arc::clone(&exchange.draft);
        let Ok(response) = rescued.clone().oneshot(exchange).await;
        assert_eq!(response.status(), status, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        if status == 200 {
            assert_eq!((text, draft.refusal.get()), ("well", None));
        } else {
            assert!(text.contains("\"code\":\"gate-failed\"") && !text.contains("meant"), "{text}");
            assert_eq!(draft.refusal.get(), Some(&Code::GateFailed));
        }
    }
    assert_eq!(*shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner), 5);
}
