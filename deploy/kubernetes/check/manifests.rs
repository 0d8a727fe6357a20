//! The manifests are what Kubernetes takes, and what the gate needs.
//!
//! Each is read into the type that is generated from the API's own description, and written again: what the API does not
//! know is lost on the way, and the two differ.

#![expect(clippy::disallowed_methods, reason = "tests run programs, and wait for them")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Namespace, Probe, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What of a ServiceMonitor is used here; it is no kind of Kubernetes itself.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceMonitor {
    api_version: String,
    kind: String,
    metadata: ObjectMeta,
    spec: ServiceMonitorSpec,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceMonitorSpec {
    job_label: String,
    selector: LabelSelector,
    endpoints: Vec<Scrape>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scrape {
    port: String,
    path: String,
    interval: String,
    scrape_timeout: String,
    relabelings: Vec<Relabeling>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Relabeling {
    source_labels: Vec<String>,
    target_label: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// Whether all of `part` is in `whole`, too.
fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| is_within(part, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_within(part, whole))
        }
        (part, whole) => part == whole,
    }
}

/// `document` as the API understands it. What the API requires may be missing in a part of a manifest.
fn read<T: DeserializeOwned + Serialize>(document: &Value, is_part: bool) -> Result<T, String> {
    let typed: T = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    let again = serde_json::to_value(&typed).unwrap();
    let is_understood = if is_part { is_within(document, &again) } else { *document == again };
    if is_understood {
        Ok(typed)
    } else {
        Err(format!("the API understands {again:#} where {document:#} is written"))
    }
}

/// Whether a document is one that the API takes; `None` for what only Kustomize reads.
fn is_known(document: &Value, is_part: bool) -> Option<Result<(), String>> {
    let kind = format!("{}/{}", document["apiVersion"].as_str().unwrap(), document["kind"].as_str().unwrap());
    Some(match kind.as_str() {
        "apps/v1/StatefulSet" => read::<StatefulSet>(document, is_part).map(drop),
        "v1/ConfigMap" => read::<ConfigMap>(document, is_part).map(drop),
        "v1/Namespace" => read::<Namespace>(document, is_part).map(drop),
        "v1/Secret" => read::<Secret>(document, is_part).map(drop),
        "v1/Service" => read::<Service>(document, is_part).map(drop),
        "v1/ServiceAccount" => read::<ServiceAccount>(document, is_part).map(drop),
        "networking.k8s.io/v1/NetworkPolicy" => read::<NetworkPolicy>(document, is_part).map(drop),
        "policy/v1/PodDisruptionBudget" => read::<PodDisruptionBudget>(document, is_part).map(drop),
        "monitoring.coreos.com/v1/ServiceMonitor" => read::<ServiceMonitor>(document, is_part).map(drop),
        "kustomize.config.k8s.io/v1beta1/Kustomization" | "kustomize.config.k8s.io/v1alpha1/Component" => {
            return None;
        }
        other => Err(format!("nobody here knows `{other}`")),
    })
}

#[test]
fn what_the_api_does_not_know_is_noticed() {
    let good = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}});
    assert_eq!(is_known(&good, true), Some(Ok(())));
    let mut bad = good.clone();
    bad["spec"]["ports"][0]["prot"] = json!("TCP");
    assert!(is_known(&bad, true).unwrap().is_err());
    bad = good;
    bad["spec"]["ports"][0]["port"] = json!("one");
    assert!(is_known(&bad, true).unwrap().is_err());
}

/// What is in the directory, read as it stands: patches, too.
#[test]
fn every_manifest_is_one() {
    let mut seen = 0;
    for directory in ["base", "components/monitoring", "overlays/example"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "yaml") {
                for document in documents(&fs::read_to_string(&path).unwrap()) {
                    if let Some(known) = is_known(&document, true) {
                        known.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen >= 10, "{seen}");
}

/// The example overlay, with files in place of what a city puts there. `None` where there is no kubectl.
fn rendered() -> Option<Vec<Value>> {
    let ground = tempfile::tempdir().unwrap();
    let copy =
        Command::new("cp").arg("-r").arg(root()).arg(ground.path().join("kubernetes")).status().unwrap();
    assert!(copy.success());
    let overlay = ground.path().join("kubernetes/overlays/example");
    let kustomization = fs::read_to_string(overlay.join("kustomization.yaml")).unwrap();
    let lists = ["configMapGenerator", "secretGenerator"];
    let document = documents(&kustomization).remove(0);
    let generators = lists.iter().flat_map(|list| document[list].as_array().unwrap());
    for file in generators.flat_map(|generator| generator["files"].as_array().unwrap()) {
        let name = file.as_str().unwrap();
        let path = overlay.join(name.split_once('=').map_or(name, |(_, path)| path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !path.exists() {
            fs::write(path, "in place of a real one\n").unwrap();
        }
    }
    let output = match Command::new("kubectl").arg("kustomize").arg(&overlay).output() {
        Ok(output) => output,
        Err(error) => {
            let must = std::env::var("PINEGATE_MUST_RUN").unwrap_or_default();
            assert!(!must.split(',').any(|word| word == "kubectl"), "{error}");
            eprintln!("skipped for want of kubectl: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(documents(&String::from_utf8(output.stdout).unwrap()))
}

fn find<T: DeserializeOwned + Serialize>(documents: &[Value], kind: &str, name: &str) -> T {
    let is_it = |document: &&Value| document["kind"] == kind && document["metadata"]["name"] == name;
    read(documents.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}")), false).unwrap()
}

#[test]
fn what_kustomize_makes_of_it_is_what_the_gate_needs() {
    let Some(documents) = rendered() else { return };
    for document in &documents {
        let known = is_known(document, false).expect("nothing is left for Kustomize");
        known.unwrap_or_else(|why| panic!("{}: {why}", document["kind"]));
    }
    let gates: StatefulSet = find(&documents, "StatefulSet", "pinegate");
    let spec = gates.spec.unwrap();
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(spec.selector.match_labels.as_ref(), Some(&labels));
    for name in ["pinegate", "pinegate-nodes"] {
        let service: Service = find(&documents, "Service", name);
        assert_eq!(service.spec.unwrap().selector.as_ref(), Some(&labels), "{name}");
    }
    assert_eq!(spec.service_name.as_deref(), Some("pinegate-nodes"));
    let budget: PodDisruptionBudget = find(&documents, "PodDisruptionBudget", "pinegate");
    assert_eq!(budget.spec.unwrap().selector.unwrap().match_labels.as_ref(), Some(&labels));
    let policy: NetworkPolicy = find(&documents, "NetworkPolicy", "pinegate");
    let policy = policy.spec.unwrap();
    assert_eq!(policy.pod_selector.unwrap_or_default().match_labels.as_ref(), Some(&labels));
    assert_eq!(policy.policy_types.unwrap(), ["Ingress", "Egress"]);

    let pod = spec.template.spec.unwrap();
    // What it mounts there is.
    for volume in pod.volumes.iter().flatten() {
        if let Some(map) = &volume.config_map {
            let _: ConfigMap = find(&documents, "ConfigMap", &map.name);
        }
        if let Some(secret) = &volume.secret {
            let _: Secret = find(&documents, "Secret", secret.secret_name.as_ref().unwrap());
        }
    }
    // The restricted profile.
    let context = pod.security_context.unwrap();
    assert_eq!((context.run_as_non_root, context.run_as_user), (Some(true), Some(65532)));
    assert_eq!(context.seccomp_profile.unwrap().type_, "RuntimeDefault");
    assert_eq!(pod.automount_service_account_token, Some(false));
    for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
        let context = container.security_context.as_ref().unwrap();
        assert_eq!(context.allow_privilege_escalation, Some(false), "{}", container.name);
        assert_eq!(context.read_only_root_filesystem, Some(true), "{}", container.name);
        let capabilities = context.capabilities.as_ref().unwrap();
        assert_eq!((capabilities.drop.as_deref(), &capabilities.add), (Some(&["ALL".to_owned()][..]), &None));
        assert_eq!(container.image.as_deref(), pod.containers.first().unwrap().image.as_deref());
    }
    let gate = pod.containers.first().unwrap();
    let port = |name: &str| {
        let mut ports = gate.ports.iter().flatten();
        ports.find(|port| port.name.as_deref() == Some(name)).unwrap().container_port
    };
    let configuration = fs::read_to_string(root().join("overlays/example/gateway.toml")).unwrap();
    for (name, key) in [("gate", "addresses = [\"0.0.0.0:"), ("metrics", "address = \"0.0.0.0:")] {
        assert!(configuration.contains(&format!("{key}{}\"", port(name))), "{name}");
    }
    probes(gate);
    drain(gate, pod.termination_grace_period_seconds.unwrap());
}

/// Probes ask what docs/operations.md says there is.
fn probes(gate: &Container) {
    let asked = |probe: &Option<Probe>| {
        let get = probe.as_ref().unwrap().http_get.as_ref().unwrap();
        assert_eq!(get.port, IntOrString::String("metrics".to_owned()));
        get.path.clone().unwrap()
    };
    let page = fs::read_to_string(root().join("../../docs/operations.md")).unwrap();
    let (alive, ready) = (asked(&gate.liveness_probe), asked(&gate.readiness_probe));
    assert_eq!((alive.as_str(), ready.as_str()), ("/healthz", "/readyz"));
    assert_eq!(asked(&gate.startup_probe), alive);
    for path in [alive, ready] {
        assert!(page.contains(&format!("| `{path}` |")), "{path}");
    }
}

/// A gate is not killed before it has drained.
fn drain(gate: &Container, grace: i64) {
    let wait = gate.lifecycle.as_ref().unwrap().pre_stop.as_ref().unwrap().sleep.as_ref().unwrap().seconds;
    let example = fs::read_to_string(root().join("../../config/gateway.toml")).unwrap();
    let drain = example.lines().find_map(|line| line.strip_prefix("# drain = \"")).unwrap();
    let drain: i64 = drain.split('s').next().unwrap().parse().unwrap();
    assert!(grace >= wait + drain + 25, "{grace}");
}
