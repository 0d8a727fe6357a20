//! Whether a gate that is about to run may listen where it is told to.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::observation::Observation;
use crate::config::Config;

pub(super) fn examine(config: &Config) -> Vec<Observation> {
    config.listen.iter().chain([&config.metrics.address]).map(|address| listener(*address)).collect()
}

fn listener(address: SocketAddr) -> Observation {
    let seen = |found: String| Observation::new("listener", address.to_string(), found);
    match TcpListener::bind(address) {
        Ok(_let_go_at_once) => seen("free".to_owned()),
        Err(error) => {
            let mend = if error.kind() == io::ErrorKind::AddrInUse {
                "end the program that listens there (`ss -ltnp` names it), or choose another port"
            } else if error.kind() == io::ErrorKind::PermissionDenied {
                "choose a port from 1024 on, or give the unit `AmbientCapabilities=CAP_NET_BIND_SERVICE`"
            } else {
                "name an address that this machine has"
            };
            seen(format!("cannot be listened on: {error}")).bad(mend)
        }
    }
}
