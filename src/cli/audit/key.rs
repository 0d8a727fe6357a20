//! `pinegate audit key`: the keys that sign heads of logs.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::bounded::read_at_most;
use crate::cli::{CommandError, Exit, Screen};
use crate::kernel::secret::Secret;
use crate::tlog::NoteSigner;
use crate::tlog::note::{SignatureKind, new_private_key};

/// The largest key file.
const MAX_FILE_BYTES: usize = 64 << 10;

/// Print the public key of a log or a witness, and make its private key
///
/// The public key is printed as others are told it (a `vkey` of C2SP signed-note), and nothing else.
/// The private key, PKCS#8 PEM, is made for its owner only, and never in place of a file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate audit key --new --log gate-1 checkpoint.key          then `[audit.checkpoint] key`
  pinegate audit key --log gate-1 checkpoint.key                print it again
  pinegate audit key --new --witness witness.example witness.key")]
pub(super) struct KeyArgs {
    /// The private key, PKCS#8 PEM
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    whose: Whose,
    /// Make the private key; the file must not be there yet
    #[arg(long)]
    new: bool,
}

/// Who signs with the key.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// It signs the heads of the log with this origin (`[audit.checkpoint] origin`, by default the node)
    #[arg(long, value_name = "ORIGIN")]
    log: Option<String>,
    /// It cosigns heads for the witness with this name
    #[arg(long, value_name = "NAME")]
    witness: Option<String>,
}

pub(super) fn run(args: &KeyArgs, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (name, kind) = match (&args.whose.log, &args.whose.witness) {
        (Some(origin), _) => (origin.as_str(), SignatureKind::Ed25519),
        (None, name) => (name.as_deref().unwrap_or_default(), SignatureKind::Cosignature),
    };
    let secret = if args.new {
        new_private_key().map_err(CommandError::Key)?
    } else {
        Secret::new(read_at_most(&args.file, MAX_FILE_BYTES)?)
    };
    // Before a file is made: a name that is refused leaves none.
    let signer = NoteSigner::from_pkcs8(name, kind, &secret).map_err(CommandError::Key)?;
    if args.new {
        write(&args.file, &secret)
            .map_err(|source| CommandError::Unwritable { path: args.file.clone(), source })?;
    }
    screen.line(signer.key().to_string())?;
    Ok(Exit::Fine)
}

fn write(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.expose())?;
    file.sync_all()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
