//! `pinegate init`: a directory to run a gate from, with everything in it that can be made by itself.

mod next;
mod skeleton;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use self::next::Step;
use self::skeleton::{Skeleton, directories, texts};
use super::screen::Tone;
use super::table::{Table, plain, shown, toned};
use super::{CommandError, Exit, Screen};
use crate::identity::token::SignatureAlgorithm;
use crate::kernel::time::Clock;
use crate::pki::{ClientName, DevelopmentCa, Overwrite, PkiError, issue_token_key};
use crate::tlog::note::new_private_key;

/// How long the key of keyed digests is, in bytes.
const DIGEST_KEY_BYTES: usize = 32;
/// How long what the development authority issues is valid, in days.
const CERTIFICATE_DAYS: u32 = 90;
/// The name of the development key that signs purpose tokens.
const KEY_ID: &str = "dev-1";

/// Write a directory to run a gate from: configuration, policies, keys
///
/// A gateway configuration and a small policy, both with comments that say what to change, and the
/// secrets of the audit log. What only others can give, the certificates, is listed in
/// certs/README.md; `--dev-pki` makes invented ones, so that the gate starts at once. Nothing that is
/// there already is touched.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate init /etc/pinegate             then it says what to do, step by step
  pinegate init try --dev-pki             with certificates for development: `check` passes, `run` serves

Exit codes: 0 written, 1 a file is there already, and nothing was written.")]
pub(super) struct InitArgs {
    /// Where to write it; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Make certificates and keys for development too, which nothing real may ever trust
    #[arg(long)]
    dev_pki: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was written, and what to do next.
#[derive(Debug, Serialize)]
struct Written {
    written: Vec<File>,
    next: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct File {
    path: PathBuf,
    what: &'static str,
}

/// What `--dev-pki` makes: any of it that is there would stop it halfway.
const DEVELOPMENT_PKI: [&str; 15] = [
    "certs/ca.pem",
    "certs/ca.key",
    "certs/crl.pem",
    "certs/index.jsonl",
    "certs/server.pem",
    "certs/server.key",
    "certs/platform.pem",
    "certs/platform.key",
    "certs/platform-ca.pem",
    "certs/clients/gate.pem",
    "certs/clients/gate.key",
    "certs/clients/minzheng-aid.pem",
    "certs/clients/minzheng-aid.key",
    "certs/tokens/jwks.json",
    "certs/tokens/dev-1.key",
];

pub(super) fn run(args: &InitArgs, clock: &dyn Clock, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let root = args.directory.as_path();
    let skeleton = Skeleton::new(root, clock.now());
    let own = texts().map(|text| text.name).chain([DIGEST_KEY, HEAD_KEY]);
    let mut planned: Vec<PathBuf> = own.map(|name| root.join(name)).collect();
    if args.dev_pki {
        // What is made there is one authority's: beside another's certificates it is of no use.
        planned.extend(DEVELOPMENT_PKI.map(|name| root.join(name)));
    }
    if let Some(path) = planned.into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(CommandError::Taken { path });
    }
    let mut written = Vec::new();
    skeleton_files(&skeleton, &mut written)?;
    secrets(root, &mut written)?;
    if args.dev_pki {
        development_pki(root, clock, &mut written)?;
    }
    let next = next::steps(root, args.dev_pki);
    show(root, &Written { written, next }, args.json, screen)
}

fn skeleton_files(skeleton: &Skeleton<'_>, written: &mut Vec<File>) -> Result<(), CommandError> {
    for (name, mode) in directories() {
        let path = skeleton.root.join(name);
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&path)
            .map_err(|source| CommandError::Unwritable { path, source })?;
    }
    for text in texts() {
        let path = skeleton.root.join(text.name);
        create(&path, 0o644, skeleton.filled(text.text).as_bytes())?;
        written.push(File { path, what: text.what });
    }
    Ok(())
}

/// The key of the digests in records.
const DIGEST_KEY: &str = "keys/audit.key";
/// The key that signs the heads of the log.
const HEAD_KEY: &str = "keys/checkpoint.key";

/// The secrets of the audit log, which nobody else can give.
fn secrets(root: &Path, written: &mut Vec<File>) -> Result<(), CommandError> {
    let mut key = [0; DIGEST_KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| PkiError::Random)?;
    let path = root.join(DIGEST_KEY);
    create(&path, 0o600, &key)?;
    written.push(File { path, what: "finds in the records whose data was asked for; secret" });
    let key = new_private_key().map_err(CommandError::Key)?;
    let path = root.join(HEAD_KEY);
    create(&path, 0o600, key.expose())?;
    written.push(File { path, what: "signs the heads of the log; secret" });
    Ok(())
}

/// An authority of one's own and all that it has to issue for the gate to start and be called.
fn development_pki(root: &Path, clock: &dyn Clock, written: &mut Vec<File>) -> Result<(), CommandError> {
    let (certs, now, refuse) = (root.join("certs"), clock.now(), Overwrite::Refuse);
    let days = CERTIFICATE_DAYS;
    let ca = DevelopmentCa::create(&certs, "Pinegate development CA", days, now, refuse)?;
    let own = ca.issue_server("server", &["localhost", "127.0.0.1", "::1"], days, now, refuse)?;
    let platform = ["platform.city.example", "localhost", "127.0.0.1", "::1"];
    let platform = ca.issue_server("platform", &platform, days, now, refuse)?;
    let gate = ca.issue_client("gate", ClientName::SanDns("gate.city.example"), days, now, refuse)?;
    let uri = "spiffe://city.example/dept/minzheng/system/minzheng-aid";
    let system = ca.issue_client("minzheng-aid", ClientName::SanUri(uri), days, now, refuse)?;
    let tokens = issue_token_key(&certs, KEY_ID, SignatureAlgorithm::Es256, refuse)?;
    let unread = |source| CommandError::Unreadable { path: ca.certificate(), source };
    let authority = std::fs::read(ca.certificate()).map_err(unread)?;
    let platform_ca = certs.join("platform-ca.pem");
    create(&platform_ca, 0o644, &authority)?;
    let made = [
        (ca.certificate(), "an authority for development: trust it with nothing real"),
        (ca.revocation_list(), "its revocation list"),
        (own.certificate, "the gate's certificate, for localhost; its key lies beside it"),
        (platform_ca, "who issues the platform's certificate: the same authority"),
        (platform.certificate, "for a platform of your own to try with, on localhost"),
        (gate.certificate, "what the gate shows the platform; its key beside it"),
        (system.certificate, "of sys:minzheng-aid; its key beside it"),
        (tokens.jwks, "the public keys of purpose tokens"),
        (tokens.key, "signs them: `pinegate token mint`"),
    ];
    written.extend(made.into_iter().map(|(path, what)| File { path, what }));
    Ok(())
}

/// Writes a file that must not be there.
fn create(path: &Path, mode: u32, content: &[u8]) -> Result<(), CommandError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|source| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::AlreadyExists {
            CommandError::Taken { path }
        } else {
            CommandError::Unwritable { path, source }
        }
    })
}

fn show(root: &Path, written: &Written, json: bool, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    if json {
        screen.json(written)?;
        return Ok(Exit::Fine);
    }
    screen.line(format!("{} {}", screen.paint(Tone::Strong, "wrote"), shown(&root.display().to_string())))?;
    let mut table = Table::default();
    for File { path, what } in &written.written {
        let name = path.strip_prefix(root).unwrap_or(path);
        table.row([plain(name.display().to_string()), toned(Tone::Faint, *what)]);
    }
    table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))?;
    screen.line("")?;
    let next = screen.paint(Tone::Strong, "next");
    screen.line(next)?;
    for (number, step) in (1..).zip(&written.next) {
        screen.line(format!("{number:>3}. {}", shown(&step.what)))?;
        for command in &step.commands {
            screen.line(format!("       {}", shown(command)))?;
        }
    }
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests;
