//! The units of `deploy/systemd`: the second is the first, and what they say is what the gate is.

use std::time::Duration;

use super::text;
use crate::skip::skip;

/// The settings of a section, in order.
fn section<'t>(unit: &'t str, name: &str) -> Vec<(&'t str, &'t str)> {
    let head = format!("[{name}]");
    let lines =
        unit.lines().skip_while(|line| *line != head).skip(1).take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once('=').unwrap())
        .collect()
}

fn one<'t>(settings: &[(&str, &'t str)], key: &str) -> &'t str {
    let found: Vec<&str> =
        settings.iter().filter(|(name, _)| *name == key).map(|(_, value)| *value).collect();
    assert_eq!(found.len(), 1, "{key}: {found:?}");
    found[0]
}

#[test]
fn the_second_unit_is_the_first() {
    let (first, second) = (text("deploy/systemd/pinegate.service"), text("deploy/systemd/pinegate@.service"));
    assert_eq!(section(&first, "Service"), section(&second, "Service"));
    let without_name = |unit| {
        let mut settings = section(unit, "Unit");
        settings.retain(|(key, _)| *key != "Description");
        settings
    };
    assert_eq!(without_name(&first), without_name(&second));
    assert!(section(&second, "Install").is_empty(), "nobody may enable the second");
}

#[test]
fn a_drain_ends_before_systemd_loses_patience() {
    let unit = text("deploy/systemd/pinegate.service");
    let service = section(&unit, "Service");
    let patience = Duration::from_secs(one(&service, "TimeoutStopSec").parse().unwrap());
    assert!(patience >= super::stopping(), "{patience:?}");
    assert!(one(&service, "RestartPreventExitStatus").split(' ').any(|code| code == "64"));
}

/// systemd sets it on sockets that both units share, whenever it starts one of them, whatever the other has made of them.
#[test]
fn no_gate_makes_the_sockets_of_the_other_block() {
    for unit in ["pinegate.service", "pinegate@.service"] {
        let unit = text(&format!("deploy/systemd/{unit}"));
        assert_eq!(one(&section(&unit, "Service"), "NonBlocking"), "yes");
    }
}

#[test]
fn the_sockets_are_those_of_a_gate() {
    let unit = text("deploy/systemd/pinegate.socket");
    let socket = section(&unit, "Socket");
    let listen: Vec<&str> =
        socket.iter().filter(|(key, _)| *key == "ListenStream").map(|(_, value)| *value).collect();
    let example = text("config/gateway.toml");
    assert_eq!(listen.len(), 3);
    let (_, port) = listen[0].rsplit_once(':').unwrap();
    assert!(example.contains(&format!("addresses = [\"127.0.0.1:{port}\"]")));
    assert!(example.contains(&format!("address = \"{}\"", listen[1])));
    // The directory of the admin socket is the one that the service may write, and that tmpfiles makes.
    let directory = listen[2].strip_suffix("/admin.sock").unwrap();
    assert_eq!(one(&socket, "SocketMode"), "0600");
    let service = text("deploy/systemd/pinegate.service");
    assert_eq!(one(&section(&service, "Service"), "ReadWritePaths"), format!("-{directory}"));
    assert!(
        text("deploy/systemd/tmpfiles.conf").contains(&format!("d {directory} 0750 pinegate pinegate -"))
    );
}

/// systemd itself knows every setting, and finds little that is left open.
#[test]
fn systemd_reads_the_units() {
    let directory = tempfile::tempdir().unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_pinegate"));
    for name in ["pinegate.service", "pinegate@.service", "pinegate.socket"] {
        // The program is not installed where this runs.
        let unit = text(&format!("deploy/systemd/{name}"))
            .replace("/usr/bin/pinegate ", &format!("{} ", program.display()));
        std::fs::write(directory.path().join(name), unit).unwrap();
    }
    for drop_in in super::files("deploy/systemd/drop-ins", ".conf") {
        let place = directory.path().join("pinegate.service.d");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::copy(&drop_in, place.join(drop_in.file_name().unwrap())).unwrap();
    }
    let analyze = |arguments: &[&str], units: &[&str]| {
        let units = units.iter().map(|unit| directory.path().join(unit));
        // Nothing outside of this directory has a say, but systemd's own targets.
        let path = format!("{}:", directory.path().display());
        let mut command = std::process::Command::new("systemd-analyze");
        command.env("SYSTEMD_UNIT_PATH", path).env("LC_ALL", "C").args(arguments).args(units).output()
    };
    let units = ["pinegate.service", "pinegate@.service", "pinegate.socket"];
    let output = match analyze(&["verify", "--man=no"], &units) {
        Ok(output) => output,
        Err(error) => return skip("systemd-analyze", &error.to_string()),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("pinegate"), "{said}");
    // An exposure of 2.0 and more fails; tenths of it are what the argument counts.
    let output = analyze(&["security", "--offline=true", "--threshold=20"], &units[..1]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}
