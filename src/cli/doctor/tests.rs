//! An installation that is sound, and one thing after the other that is not: as the file system and the network
//! have it, not as a test would have it.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde_json::Value;

use super::*;
use crate::cli::{Arguments, dispatch};
use crate::kernel::time::{SystemClock, Timestamp};
use crate::pki::DevelopmentCa;

/// An installation as `pinegate init --dev-pki` makes one, that could run here.
struct Installation {
    root: tempfile::TempDir,
    /// Stands in for the platform: connections wait there.
    _platform: TcpListener,
}

/// A clock that goes as it goes, but elsewhere.
#[derive(Debug)]
struct Shifted(jiff::SignedDuration);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        SystemClock.now().checked_add(self.0).unwrap()
    }

    fn monotonic(&self) -> std::time::Duration {
        SystemClock.monotonic()
    }
}

fn command(line: &[&str], clock: impl Clock + 'static) -> (u8, String) {
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let arguments = Arguments::try_parse_from(std::iter::once(&"pinegate").chain(line)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut screen = Screen::plain(&mut out, &mut err);
    let exit = dispatch(&arguments.command, &clock, &mut screen).unwrap_or_else(|error| screen.fail(&error));
    let exit = screen.finish(exit).code();
    drop(screen);
    (exit, String::from_utf8([out, err].concat()).unwrap())
}

impl Installation {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (exit, said) = command(&["init", root.path().to_str().unwrap(), "--dev-pki"], SystemClock);
        assert_eq!(exit, 0, "{said}");
        let platform = TcpListener::bind("127.0.0.1:0").unwrap();
        let made = Self { root, _platform: platform };
        let url = format!("http://{}", made._platform.local_addr().unwrap());
        made.edit("https://platform.city.example\"     #", &format!("{url}\" #"));
        for line in [
            "ca = \"certs/platform-ca.pem\"",
            "certificate = \"certs/clients/gate.pem\"",
            "key = \"certs/clients/gate.key\"",
        ] {
            made.edit(line, "");
        }
        made.edit("0.0.0.0:8443", "127.0.0.1:0");
        made.edit("127.0.0.1:9464", "127.0.0.1:0");
        made.edit("low_space = \"4GiB\"", "low_space = \"1KiB\"");
        made.edit("# connections = 20000", "connections = 1");
        made.edit("# endpoints =", "max_connections = 1 # endpoints =");
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn edit(&self, from: &str, to: &str) {
        let path = self.path("gateway.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}\n{text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn doctor(&self) -> Seen {
        self.doctor_at(SystemClock)
    }

    fn doctor_at(&self, clock: impl Clock + 'static) -> Seen {
        let (exit, said) =
            command(&["doctor", "--json", "--config", self.path("gateway.toml").to_str().unwrap()], clock);
        Seen { exit, json: serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}")) }
    }

    /// A gate as far as its admin socket is concerned: answers three questions, then is gone.
    fn running(&self, ready: (u16, &'static str), metrics: String) {
        let listener = UnixListener::bind(self.path("gate.sock")).unwrap();
        std::thread::spawn(move || {
            let version = concat!("pinegate ", env!("CARGO_PKG_VERSION")).to_owned();
            for (status, page) in [(200, version), (ready.0, ready.1.to_owned()), (200, metrics)] {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut head, mut chunk) = (Vec::new(), [0; 1024]);
                while !head.ends_with(b"\r\n\r\n") {
                    let read = stream.read(&mut chunk).unwrap();
                    head.extend_from_slice(&chunk[..read]);
                }
                let length = page.len();
                write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{page}").unwrap();
            }
        });
    }
}

/// What the command said.
#[derive(Debug)]
struct Seen {
    exit: u8,
    json: Value,
}

impl Seen {
    /// The observations of one check.
    fn of(&self, check: &str) -> Vec<&Value> {
        let checks = self.json["checks"].as_array().unwrap();
        checks.iter().filter(|observation| observation["check"] == check).collect()
    }

    /// The one observation of a check whose subject ends so, which must stand so; what was found.
    #[track_caller]
    fn stands(&self, check: &str, subject: &str, standing: &str) -> String {
        let seen = self.of(check);
        let found = seen.iter().find(|seen| seen["subject"].as_str().unwrap().ends_with(subject));
        let found = found.unwrap_or_else(|| panic!("no {check} of {subject}: {:#}", self.json));
        assert_eq!(found["standing"], standing, "{found:#}");
        assert_eq!(
            found.get("mend").is_some(),
            standing != "ok",
            "whatever is not good can be mended: {found:#}"
        );
        if standing == "failure" {
            assert_eq!((self.exit, &self.json["ok"]), (1, &Value::Bool(false)));
        }
        format!("{} → {}", found["found"].as_str().unwrap(), found["mend"].as_str().unwrap_or_default())
    }
}

#[test]
fn a_sound_installation_is_found_sound() {
    let installation = Installation::new();
    let seen = installation.doctor();
    assert_eq!(seen.exit, 0, "{:#}", seen.json);
    assert_eq!((&seen.json["failures"], &seen.json["warnings"]), (&0.into(), &0.into()), "{:#}", seen.json);
    for check in [
        "loads",
        "policy",
        "secrets",
        "changeable",
        "audit-directory",
        "certificate",
        "certificate-chain",
        "revocation-list",
        "clock",
        "audit-disk",
        "audit-space",
        "gate",
        "open-files",
        "listener",
        "platform",
    ] {
        assert!(!seen.of(check).is_empty(), "{check}");
    }
    assert_eq!(fs::read_dir(installation.path("audit")).unwrap().count(), 0, "nothing is left behind");
    let (exit, said) =
        command(&["doctor", "--config", installation.path("gateway.toml").to_str().unwrap()], SystemClock);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("\nsound: "), "{said}");
}

#[test]
fn what_does_not_load_is_named() {
    let installation = Installation::new();
    installation.edit("[identity]", "[identity]\ntrust_domian = 1");
    let said = installation.doctor().stands("loads", "gateway.toml", "failure");
    assert!(
        said.contains("gateway.toml:")
            && said.contains("trust_domian")
            && said.contains("pinegate check --config"),
        "{said}"
    );

    let installation = Installation::new();
    installation.edit(
        "# ── Which request",
        "[[audit.sink]]\nname = \"siem\"\nurl = \"http://127.0.0.1:1\"\ntoken = { env = \"PINEGATE_TEST_NOT_SET\" }\n\
         [traces]\nendpoint = \"https://127.0.0.1:1\"\nca = \"certs/ca.pem\"\ncertificate = \"certs/server.pem\"\n\
         key = { env = \"PINEGATE_TEST_NOT_SET\" }\n# ── Which request",
    );
    let seen = installation.doctor();
    seen.stands("loads", "gateway.toml", "ok");
    let said = seen.stands("environment", "gateway.toml", "warning");
    assert!(said.contains("PINEGATE_TEST_NOT_SET") && said.contains("refuses to start"), "{said}");
    assert_eq!(seen.of("environment").len(), 2);
    // All else is looked at, but for what would be shown a certificate whose key is not known here.
    assert!(seen.stands("traces", "(TLS)", "unknown").contains("not tried"));
    seen.stands("certificate", "server.pem", "ok");

    let installation = Installation::new();
    fs::remove_file(installation.path("policies/grants.csv")).unwrap();
    assert!(installation.doctor().stands("loads", "gateway.toml", "failure").contains("grants.csv"));

    let installation = Installation::new();
    let limits = installation.path("policies/registry.toml");
    let text = fs::read_to_string(&limits).unwrap();
    fs::write(
        &limits,
        text + "\n[[system]]\nid = \"sys:new\"\nname = \"新\"\ndepartment = \"dept:gongan\"\n",
    )
    .unwrap();
    let seen = installation.doctor();
    assert_eq!(seen.exit, 0);
    seen.stands("policy", "…", "warning");
}

#[test]
fn keys_are_their_owners_and_nothing_is_everybodys_to_change() {
    let installation = Installation::new();
    installation.mode("certs/server.key", 0o644);
    installation.mode("keys/audit.key", 0o640);
    installation.mode("policies/grants.csv", 0o646);
    installation.mode("certs", 0o777);
    installation.mode("audit", 0o755);
    let seen = installation.doctor();
    assert!(seen.stands("secrets", "server.key", "failure").contains("chmod 600"));
    assert!(seen.stands("secrets", "audit.key", "warning").contains("its group"));
    assert!(seen.stands("changeable", "grants.csv", "failure").contains("chmod o-w"));
    seen.stands("changeable", "certs", "failure");
    seen.stands("audit-directory", "audit", "warning");
    // Where only the owner of a file may remove it, others may have theirs.
    installation.mode("certs", 0o1777);
    assert_eq!(installation.doctor().of("changeable").len(), 1);
}

#[test]
fn what_ends_is_said_before_it_does() {
    let installation = Installation::new();
    let after = |days: i64| Shifted(jiff::SignedDuration::from_hours(24 * days + 1));
    let seen = installation.doctor_at(after(70));
    assert_eq!(seen.exit, 0, "{:#}", seen.json);
    assert!(seen.stands("certificate", "server.pem", "warning").contains("in 19 days"));
    seen.stands("revocation-list", "crl.pem", "ok");
    let seen = installation.doctor_at(after(91));
    assert!(seen.stands("certificate", "server.pem", "failure").contains("ended"));
    seen.stands("certificate", "ca.pem", "failure");
    assert!(seen.stands("revocation-list", "crl.pem", "failure").contains("stale since"));
    let seen = installation.doctor_at(after(-2));
    assert!(seen.stands("certificate", "server.pem", "failure").contains("not valid before"));
    assert!(seen.stands("clock", "Z", "failure").contains("behind"));

    let ca = DevelopmentCa::open(&installation.path("certs")).unwrap();
    ca.write_revocation_list(1, SystemClock.now()).unwrap();
    installation.doctor_at(Shifted(jiff::SignedDuration::from_hours(12))).stands(
        "revocation-list",
        "crl.pem",
        "warning",
    );
    installation.edit("crls = [\"certs/crl.pem\"]", "crls = \"none\"");
    installation.doctor().stands("revocation-list", "none", "warning");
}

#[test]
fn a_chain_is_in_order() {
    let installation = Installation::new();
    let [server, ca, other] = ["server", "ca", "platform"]
        .map(|name| fs::read_to_string(installation.path(&format!("certs/{name}.pem"))).unwrap());
    let chain = |parts: &[&str]| fs::write(installation.path("certs/server.pem"), parts.concat()).unwrap();
    chain(&[&server, &ca]);
    installation.doctor().stands("certificate-chain", "server.pem", "ok");
    chain(&[&server, &other]);
    let said = installation.doctor().stands("certificate-chain", "server.pem", "failure");
    assert!(said.contains("did not issue it"), "{said}");
    chain(&[&ca]);
    assert!(
        installation.doctor().stands("certificate-chain", "server.pem", "failure").contains("authority's")
    );
}

#[test]
fn the_disk_is_written_to_and_has_room() {
    let installation = Installation::new();
    installation.edit("low_space = \"1KiB\"", "low_space = \"4000000GiB\"");
    installation.doctor().stands("audit-space", "audit", "failure");
    // One that is not there yet is made by the gate.
    fs::remove_dir(installation.path("audit")).unwrap();
    let seen = installation.doctor();
    assert_eq!(seen.of("audit-disk")[0]["standing"], "ok", "{:#}", seen.json);
    installation.edit("directory = \"audit\"", "directory = \"gateway.toml/audit\"");
    installation.doctor().stands("audit-disk", "gateway.toml", "failure");
}

#[test]
fn the_limit_of_open_files_is_held_against_the_bounds() {
    let installation = Installation::new();
    installation.edit("\nconnections = 1 ", "\nconnections = 10000000 ");
    let said = installation.doctor().stands("open-files", "this command", "warning");
    assert!(said.contains("LimitNOFILE=10000257"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let installation = Installation::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    installation.edit("127.0.0.1:0", &address);
    assert!(installation.doctor().stands("listener", &address, "failure").contains("ss -ltnp"));
}

#[test]
fn whoever_cannot_be_reached_is_named_with_the_reason() {
    let installation = Installation::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ca = "ca = \"certs/platform-ca.pem\"";
    let dumb = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = dumb.local_addr().unwrap().port();
    std::thread::spawn(move || {
        // Speaks, but not TLS.
        for stream in dumb.incoming() {
            stream.unwrap().write_all(b"SSH-2.0-x\r\n").unwrap();
        }
    });
    let more = format!(
        "[[upstream]]\nid = \"gone\"\nurl = \"http://{nobody}\"\n\
         [[upstream]]\nid = \"unknown\"\nurl = \"http://nobody.invalid\"\n\
         [[upstream]]\nid = \"dumb\"\nurl = \"https://localhost:{port}\"\n{ca}\n\
         [[audit.sink]]\nname = \"siem\"\nurl = \"http://{nobody}/in\"\n\
         [traces]\nendpoint = \"https://localhost:{port}\"\nca = \"certs/collector-ca.pem\"\n"
    );
    fs::copy(installation.path("certs/ca.pem"), installation.path("certs/collector-ca.pem")).unwrap();
    installation.edit("# ── Which request", &format!("{more}# ── Which request"));
    let seen = installation.doctor();
    assert!(
        seen.stands("platform", &format!("{nobody} (TCP)").replace("127.0.0.1:", ":"), "failure")
            .contains("refused")
    );
    assert!(seen.stands("platform", "nobody.invalid:80 (TCP)", "failure").contains("has no address"));
    assert!(seen.stands("platform", "(TLS)", "failure").contains("the TLS handshake failed"));
    seen.stands("sink", "(TCP)", "failure");
    assert!(seen.stands("traces", "(TLS)", "failure").contains("the TLS handshake failed"));
    // Its certificates are looked at as everybody's are.
    assert!(seen.stands("certificate", "collector-ca.pem", "ok").contains("who issues the collector's"));
}

#[test]
fn the_running_gate_is_asked() {
    let installation = Installation::new();
    drop(UnixListener::bind(installation.path("gate.sock")).unwrap());
    assert!(installation.doctor().stands("gate", "gate.sock", "unknown").contains("left its socket"));
    fs::remove_file(installation.path("gate.sock")).unwrap();

    let live = "pinegate_policy_info{config_digest=\"0\",policy_digest=\"1\"} 1\nprocess_max_fds 1\n";
    installation.running((503, "audit records cannot be made durable: no space"), live.to_owned());
    let seen = installation.doctor();
    seen.stands("gate", "gate.sock", "ok");
    assert!(seen.stands("ready", "gate.sock", "failure").contains("no space"));
    assert!(seen.stands("live", "configuration", "warning").contains("pinegate reload"));
    seen.stands("open-files", "the running gate", "warning");
    assert!(seen.of("listener").is_empty(), "what it listens on it has");
    fs::remove_file(installation.path("gate.sock")).unwrap();

    let digest = |name: &str| {
        let (_, said) = command(
            &["check", "--json", "--config", installation.path("gateway.toml").to_str().unwrap()],
            SystemClock,
        );
        let said: Value = serde_json::from_str(&said).unwrap();
        said[name]["digest"].as_str().unwrap().to_owned()
    };
    let same = format!(
        "pinegate_policy_info{{config_digest=\"{}\",policy_digest=\"{}\"}} 1\n",
        digest("config"),
        digest("policy")
    );
    installation.running((200, "ready"), same.clone());
    installation.doctor().stands("live", "configuration", "ok");
    fs::remove_file(installation.path("gate.sock")).unwrap();
    let pending = "pinegate_restart_pending{section=\"[[audit.witness]]\"} 1\n";
    installation.running((200, "ready"), format!("{same}{pending}"));
    let said = installation.doctor().stands("live", "configuration", "warning");
    assert!(said.contains("but for `[[audit.witness]]`"), "{said}");
    assert!(said.contains("restart the gate"), "{said}");
    fs::remove_file(installation.path("gate.sock")).unwrap();

    installation.edit("\nconnections = 1 ", "\nconnections = 2 ");
    installation.running((200, "ready"), live.to_owned());
    let seen = installation.doctor();
    seen.stands("ready", "gate.sock", "ok");
    seen.stands("open-files", "the running gate", "failure");
    fs::remove_file(installation.path("gate.sock")).unwrap();

    fs::create_dir(installation.path("gate.sock")).unwrap();
    let said = installation.doctor().stands("gate", "gate.sock", "unknown");
    assert!(said.contains("none runs"), "{said}");
}

fn ready(config: &Path) -> (u8, String) {
    command(&["doctor", "--ready", "--config", config.to_str().unwrap()], SystemClock)
}

#[test]
fn a_health_check_asks_one_thing_of_whoever_runs() {
    let installation = Installation::new();
    let config = installation.path("gateway.toml");
    let (exit, said) = ready(&config);
    assert_eq!(exit, 1);
    assert!(said.starts_with("the gate cannot be asked: "), "{said}");
    let listener = UnixListener::bind(installation.path("gate.sock")).unwrap();
    for (status, page, code) in [("200 OK", "ready", 0), ("503 No", "draining", 1)] {
        // A file that is being edited says nothing of the gate that runs.
        fs::write(&config, format!("{}\nnonsense = 1\n", fs::read_to_string(&config).unwrap())).unwrap();
        let listener = listener.try_clone().unwrap();
        let answered = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let read = stream.read(&mut [0; 1024]).unwrap();
            let length = page.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{page}").unwrap();
            read
        });
        assert_eq!(ready(&config), (code, format!("{page}\n")));
        assert!(answered.join().unwrap() > 0);
    }
    assert_eq!(ready(&installation.path("none.toml")).0, 1);
}
