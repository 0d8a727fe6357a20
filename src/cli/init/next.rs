//! What to do once the skeleton is there, step by step.

use std::path::Path;

use serde::Serialize;

use super::KEY_ID;
use crate::cli::source::quoted;

/// One thing to do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// What.
    pub(super) what: String,
    /// How, as typed into a shell within the directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) commands: Vec<String>,
}

fn step<const N: usize>(what: &str, commands: [&str; N]) -> Step {
    Step { what: what.to_owned(), commands: commands.map(str::to_owned).to_vec() }
}

/// The curl of the system of the skeleton.
const CURL: &str =
    "curl --cacert certs/ca.pem --cert certs/clients/minzheng-aid.pem --key certs/clients/minzheng-aid.key";

/// What to do with the skeleton in `root`, which has the certificates of a development authority or none.
pub(super) fn steps(root: &Path, has_certificates: bool) -> Vec<Step> {
    let enter = format!("cd {}", quoted(&root.display().to_string()));
    let mut steps = vec![if has_certificates {
        step("read gateway.toml: what must be changed before it serves real systems says `change`", [&enter])
    } else {
        step(
            "put the certificates in place that certs/README.md asks for; it says how to make invented ones, too",
            [&enter],
        )
    }];
    if !has_certificates {
        steps.push(step("edit gateway.toml where it says `change`, and the files in policies", []));
    }
    steps.push(step(
        "see that all is right, and start",
        [
            "pinegate check --config gateway.toml",
            "pinegate test --config gateway.toml",
            "pinegate doctor --config gateway.toml",
            "pinegate run --config gateway.toml",
        ],
    ));
    if has_certificates {
        let mint = format!(
            "TOKEN=$(pinegate token mint --config gateway.toml --key certs/tokens/{KEY_ID}.key --kid {KEY_ID} \
             --certificate certs/clients/minzheng-aid.pem --system sys:minzheng-aid --purpose social-aid.eligibility)"
        );
        steps.push(step(
            "call it from another terminal, in the same directory: what may I do? The gate answers that itself",
            [&format!("{CURL} https://localhost:8443/.well-known/pinegate/grants")],
        ));
        steps.push(step(
            "ask for data, for a purpose; `upstream-unreachable` until `[[upstream]] url` leads to a platform",
            [
                &mint,
                &format!(
                    "{CURL} -H \"Authorization: Bearer $TOKEN\" \
                     'https://localhost:8443/population/residents?area=3410'"
                ),
            ],
        ));
    }
    steps.push(step(
        "see what is on record, and that it is as it was written",
        ["pinegate audit search --config gateway.toml", "pinegate audit verify --config gateway.toml"],
    ));
    steps.push(step(
        "keep this directory in git, where changes are reviewed, and copies of keys where the log is not",
        [],
    ));
    steps
}
