//! What runs in containers finds what it mounts, and has time to drain; the example configurations are right.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::text;
use crate::city::program;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn what_compose_mounts_is_there() {
    let compose = text("deploy/compose/compose.yaml");
    let mounts = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .filter(|line| line.starts_with('.'));
    let mut seen = 0;
    for mount in mounts {
        let (ours, _) = mount.split_once(':').unwrap();
        assert!(repository().join("deploy/compose").join(ours).exists(), "{mount}");
        seen += 1;
    }
    assert_eq!(seen, 5, "the configuration of Prometheus, its rules, and what Grafana is provisioned with");
    let grace = compose.lines().find_map(|line| line.trim().strip_prefix("stop_grace_period: ")).unwrap();
    let grace: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
    assert!(Duration::from_secs(grace) >= super::stopping());
    // Prometheus reads where the rules are mounted, and calls the job what the alerts call it.
    let prometheus = text("deploy/compose/prometheus.yml");
    assert!(prometheus.contains("job_name: pinegate"));
    for rules in ["rules/alerts.yml", "rules/recording.yml"] {
        assert!(
            prometheus.contains(&format!("- {rules}"))
                && compose.contains(&format!(":/etc/prometheus/{rules}:ro"))
        );
    }
}

/// The image has all that the program is built from, and no more than that is sent to who builds it.
#[test]
fn the_image_is_built_from_what_is_there() {
    let (dockerfile, ignored) = (text("Dockerfile"), text(".dockerignore"));
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--"));
    let mut seen = 0;
    for line in copied {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.pop();
        for source in words {
            assert!(repository().join(source).exists(), "{source}");
            assert!(ignored.lines().any(|line| line == format!("!{source}")), "{source} is not sent");
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen}");
    assert!(ignored.starts_with("*\n"));
    // What the check of its health asks for, where docs/operations.md says it is.
    assert!(dockerfile.contains("GET /healthz") && text("docs/operations.md").contains("| `/healthz` |"));
    assert!(dockerfile.contains("\nUSER 65532:65532\n"));
}

/// The configuration of the Kubernetes overlay loads, with the policies of the repository and certificates of a development authority.
#[test]
fn the_example_of_kubernetes_is_right() {
    let ground = tempfile::tempdir().unwrap();
    let certs = ground.path().join("certs");
    let make = |arguments: &[&str]| {
        let output = program().arg("pki").args(arguments).arg("--dir").arg(&certs).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    make(&["init"]);
    make(&["server", "--name", "localhost"]);
    make(&["client", "--system", "sys:gate", "--san-dns", "gate.city.example"]);
    make(&["token-key", "--kid", "dev-1"]);
    // As the overlay's generators name them.
    for (from, to) in [
        ("clients/gate.pem", "gate.pem"),
        ("clients/gate.key", "gate.key"),
        ("tokens/jwks.json", "jwks.json"),
        ("ca.pem", "platform-ca.pem"),
    ] {
        std::fs::copy(certs.join(from), certs.join(to)).unwrap();
    }
    let keys = ground.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join("audit.key"), [7; 32]).unwrap();
    let key = program()
        .args(["audit", "key", "--new", "--log", "example"])
        .arg(keys.join("checkpoint.key"))
        .output();
    assert!(key.unwrap().status.success());
    let policies =
        Command::new("cp").arg("-r").arg(repository().join("policies")).arg(ground.path()).status();
    assert!(policies.unwrap().success());
    let example = text("deploy/kubernetes/overlays/example/gateway.toml");
    let here = example
        .replace("/etc/pinegate/", &format!("{}/", ground.path().display()))
        .replace("/var/lib/pinegate/", &format!("{}/", ground.path().display()))
        .replace("/run/pinegate/", &format!("{}/", ground.path().display()))
        .replace("\"set-by-the-pod\"", "\"pinegate-0\"");
    assert!(here != example && !here.contains("set-by-the-pod"));
    let file = ground.path().join("gateway.toml");
    std::fs::write(&file, here).unwrap();
    let output = program().args(["check", "--config"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
