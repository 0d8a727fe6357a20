//! `pinegate pki`: a certification authority for development.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::screen::Tone;
use super::table::{Table, plain, toned};
use super::{CommandError, Exit, Screen};
use crate::identity::token::SignatureAlgorithm;
use crate::kernel::id::{DepartmentId, SystemId};
use crate::kernel::time::Clock;
use crate::pki::{ClientName, DevelopmentCa, Issued, Overwrite, issue_token_key};

/// Where the authority lives unless told otherwise.
const DEFAULT_DIRECTORY: &str = "certs";

/// Make certificates and keys for development
///
/// A certification authority of your own: its private key lies in a plain file, so that nothing real
/// may ever trust it. Files are replaced whole or not at all, and only with --overwrite.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples, in the order they are needed:
  pinegate pki init
  pinegate pki server --name localhost --name 127.0.0.1
  pinegate pki client --system sys:minzheng-aid --department dept:minzheng
  pinegate pki token-key --kid dev-1
  pinegate pki revoke minzheng-aid
  pinegate pki crl --days 30             before the list goes stale")]
pub(super) struct PkiArgs {
    #[command(subcommand)]
    command: PkiCommand,
    /// Where the authority lives
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY, global = true)]
    dir: PathBuf,
    /// Replace files that are there already
    #[arg(long, global = true)]
    overwrite: bool,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum PkiCommand {
    Init(InitArgs),
    Server(ServerArgs),
    Client(ClientArgs),
    Revoke(RevokeArgs),
    Crl(CrlArgs),
    TokenKey(TokenKeyArgs),
}

/// Make the authority: certificate, private key and an empty revocation list
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate pki init
  pinegate pki init --dir /tmp/certs --days 30")]
struct InitArgs {
    /// Its name
    #[arg(long, default_value = "Pinegate development CA")]
    name: String,
    /// How many days it and its first revocation list are valid
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Issue a server certificate, for the gate or for a platform
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate pki server --name localhost --name 127.0.0.1
  pinegate pki server --file platform --name platform.city.example")]
struct ServerArgs {
    /// A host name or address that it is for; give it once for each
    #[arg(long = "name", value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The name of its files
    #[arg(long, default_value = "server")]
    file: String,
    /// How many days it is valid
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Issue a client certificate for a department's system
///
/// By default it names its system by the SAN URI
/// `spiffe://<trust domain>/dept/<department>/system/<system>`, which is how the gate recognises systems
/// unless registry.toml says otherwise.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate pki client --system sys:minzheng-aid --department dept:minzheng
  pinegate pki client --system sys:old --san-dns old.minzheng.city.example
  pinegate pki client --system sys:old --credit-code 11341000MB00000015")]
struct ClientArgs {
    /// The system it is for
    #[arg(long, value_parser = SystemId::parse)]
    system: SystemId,
    /// The department that answers for the system
    #[arg(long, value_parser = DepartmentId::parse, required_unless_present = "other_name")]
    department: Option<DepartmentId>,
    /// The SPIFFE trust domain
    #[arg(long, value_name = "DOMAIN", default_value = "city.example")]
    trust_domain: String,
    #[command(flatten)]
    other: OtherName,
    /// The name of its files [default: the system's, without `sys:`]
    #[arg(long)]
    file: Option<String>,
    /// How many days it is valid
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// The ways other than a SPIFFE URI to name a system.
#[derive(Debug, Args)]
#[group(id = "other_name", multiple = false)]
struct OtherName {
    /// Name it by this SAN dNSName instead
    #[arg(long, value_name = "NAME", conflicts_with = "department")]
    san_dns: Option<String>,
    /// Name it by this subject common name instead
    #[arg(long, value_name = "NAME", conflicts_with = "department")]
    common_name: Option<String>,
    /// Name it by this unified social credit code, as the subject's serialNumber, instead
    #[arg(long, value_name = "CODE", conflicts_with = "department")]
    credit_code: Option<String>,
}

/// Revoke certificates, and write the revocation list anew
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate pki revoke minzheng-aid       all that were issued under this file name
  pinegate pki revoke 5f0c…              one, by its serial number")]
struct RevokeArgs {
    /// A serial number in hexadecimal, or the name of a certificate's files
    #[arg(value_name = "SERIAL|NAME")]
    which: String,
    /// How many days the new list is fresh
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Write the revocation list anew, before it goes stale
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate pki crl
  pinegate pki crl --days 7 && pinegate reload")]
struct CrlArgs {
    /// How many days it is fresh
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Make a key that signs purpose tokens, and publish its public half
///
/// The public halves of all keys made so far are in tokens/jwks.json, which the gate reads.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate pki token-key --kid dev-1
  pinegate pki token-key --kid dev-2 --algorithm EdDSA")]
struct TokenKeyArgs {
    /// Its name, `kid` in tokens
    #[arg(long)]
    kid: String,
    /// What it signs with
    #[arg(long, value_enum, default_value_t = TokenAlgorithm::Es256)]
    algorithm: TokenAlgorithm,
}

/// The algorithms that keys are made for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TokenAlgorithm {
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
}

impl From<TokenAlgorithm> for SignatureAlgorithm {
    fn from(algorithm: TokenAlgorithm) -> Self {
        match algorithm {
            TokenAlgorithm::Es256 => Self::Es256,
            TokenAlgorithm::EdDsa => Self::EdDsa,
        }
    }
}

/// What was written, and what to do next.
#[derive(Debug, Default, Serialize)]
struct Written {
    written: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revoked: Vec<String>,
    #[serde(skip)]
    next: Vec<String>,
}

#[derive(Debug, Serialize)]
struct File {
    path: PathBuf,
    what: &'static str,
}

impl Written {
    fn file(mut self, path: impl Into<PathBuf>, what: &'static str) -> Self {
        self.written.push(File { path: path.into(), what });
        self
    }

    fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }

    fn issued(issued: &Issued) -> Self {
        let written = Self {
            serial: Some(issued.serial.clone()),
            fingerprint: Some(issued.fingerprint.to_hex()),
            not_after: Some(issued.not_after.to_string()),
            ..Self::default()
        };
        written.file(&issued.certificate, "certificate").file(&issued.key, "private key, for its owner only")
    }
}

pub(super) fn run(args: &PkiArgs, clock: &dyn Clock, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let overwrite = if args.overwrite { Overwrite::Replace } else { Overwrite::Refuse };
    let (directory, now) = (args.dir.as_path(), clock.now());
    let written = match &args.command {
        PkiCommand::Init(init) => {
            let ca = DevelopmentCa::create(directory, &init.name, init.days, now, overwrite)?;
            let ca_option = in_directory(directory);
            Written::default()
                .file(ca.certificate(), "the authority's certificate")
                .file(directory.join("ca.key"), "its private key, for its owner only")
                .file(ca.revocation_list(), "its revocation list")
                .next(format!("pinegate pki server{ca_option} --name localhost --name 127.0.0.1"))
                .next(format!(
                    "pinegate pki client{ca_option} --system sys:minzheng-aid --department dept:minzheng"
                ))
        }
        PkiCommand::Server(server) => {
            let ca = DevelopmentCa::open(directory)?;
            let names: Vec<&str> = server.names.iter().map(String::as_str).collect();
            let issued = ca.issue_server(&server.file, &names, server.days, now, overwrite)?;
            Written::issued(&issued)
                .next("name both files in `[tls]` of the gateway configuration, or in the platform's")
        }
        PkiCommand::Client(client) => self::client(client, directory, clock, overwrite)?,
        PkiCommand::Revoke(revoke) => {
            let ca = DevelopmentCa::open(directory)?;
            let revoked = ca.revoke(&revoke.which, revoke.days, now)?;
            let written = Written { revoked, ..Written::default() };
            written
                .file(ca.revocation_list(), "the revocation list")
                .next("pinegate reload        so that the gate reads it")
        }
        PkiCommand::Crl(crl) => {
            let list = DevelopmentCa::open(directory)?.write_revocation_list(crl.days, now)?;
            Written::default()
                .file(list, "the revocation list")
                .next("pinegate reload        so that the gate reads it")
        }
        PkiCommand::TokenKey(key) => {
            let issued = issue_token_key(directory, &key.kid, key.algorithm.into(), overwrite)?;
            let mint = format!("pinegate token mint --key {} --kid {} --help", issued.key.display(), key.kid);
            Written::default()
                .file(issued.key, "private key, for its owner only")
                .file(issued.jwks, "public keys: `[purpose] jwks` of the gateway configuration")
                .next(mint)
        }
    };
    show(&written, args.json, screen)
}

fn in_directory(directory: &Path) -> String {
    if directory == Path::new(DEFAULT_DIRECTORY) {
        String::new()
    } else {
        format!(" --dir {}", directory.display())
    }
}

fn client(
    args: &ClientArgs,
    directory: &Path,
    clock: &dyn Clock,
    overwrite: Overwrite,
) -> Result<Written, CommandError> {
    let department = args.department.as_ref().map_or("", DepartmentId::name);
    let uri = format!("spiffe://{}/dept/{department}/system/{}", args.trust_domain, args.system.name());
    let OtherName { san_dns, common_name, credit_code } = &args.other;
    let name = match (san_dns, common_name, credit_code) {
        (Some(name), _, _) => ClientName::SanDns(name),
        (_, Some(name), _) => ClientName::CommonName(name),
        (_, _, Some(code)) => ClientName::CreditCode(code),
        (None, None, None) => ClientName::SanUri(&uri),
    };
    let file = args.file.as_deref().unwrap_or(args.system.name());
    let issued =
        DevelopmentCa::open(directory)?.issue_client(file, name, args.days, clock.now(), overwrite)?;
    let curl = format!(
        "curl --cacert {} --cert {} --key {} …",
        directory.join("ca.pem").display(),
        issued.certificate.display(),
        issued.key.display()
    );
    let mut written = Written::issued(&issued);
    written = match name {
        ClientName::SanUri(uri) => {
            written.next(format!("the gate recognises it as `{}` by {uri}", args.system))
        }
        ClientName::SanDns(_) | ClientName::CommonName(_) | ClientName::CreditCode(_) => {
            written.next(format!(
                "if `{}` calls the gate, say in `registry.toml` how its certificate is recognised; \
             what the gate shows the platform needs no entry",
                args.system
            ))
        }
    };
    Ok(written.next(curl))
}

fn show(written: &Written, json: bool, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    if json {
        screen.json(written)?;
        return Ok(Exit::Fine);
    }
    let mut table = Table::default();
    let mut fact = |name: &str, what: String, note: &str| {
        table.row([toned(Tone::Strong, name), plain(what), toned(Tone::Faint, note)]);
    };
    for serial in &written.revoked {
        fact("revoked", serial.clone(), "");
    }
    for file in &written.written {
        fact("wrote", file.path.display().to_string(), file.what);
    }
    if let Some(serial) = &written.serial {
        fact("serial", serial.clone(), "");
    }
    if let Some(until) = &written.not_after {
        fact("until", until.clone(), "");
    }
    for (index, step) in written.next.iter().enumerate() {
        fact(if index == 0 { "next" } else { "" }, step.clone(), "");
    }
    table.lines(screen, 0).into_iter().try_for_each(|line| screen.line(line))?;
    Ok(Exit::Fine)
}
