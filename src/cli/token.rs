//! `pinegate token mint`: purpose tokens for development. The exchange platform makes the real ones.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::screen::Tone;
use super::{CommandError, Exit, Screen, source};
use crate::identity::CertificateFacts;
use crate::identity::token::{NewToken, SigningKey};
use crate::kernel::bound::parse_duration;
use crate::kernel::id::{GrantId, PurposeCode, RequestId, SystemId, TokenId};
use crate::kernel::secret::Secret;
use crate::kernel::time::Clock;

/// The largest key or certificate file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Make purpose tokens for development
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    Mint(MintArgs),
}

/// Sign a purpose token, and print it and nothing else
///
/// The token says which system asks, why, and for how long, and is bound to the system's client
/// certificate (RFC 8705): with another certificate it is worthless.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pinegate token mint --key certs/tokens/dev-1.key --kid dev-1 \\
      --certificate certs/clients/minzheng-aid.pem \\
      --system sys:minzheng-aid --purpose social-aid.review

  curl --cacert certs/ca.pem --cert certs/clients/minzheng-aid.pem --key certs/clients/minzheng-aid.key \\
      -H \"Authorization: Bearer $(pinegate token mint …)\" https://localhost:8443/population/residents

  … --issuer https://platform.city.example --audience pinegate     without a gateway configuration
  … --scope 'name|phone' --grant HS-2026-0117                      narrower than the grants are")]
struct MintArgs {
    /// The private key that signs, PKCS#8 PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The name of the key in the issuer's key set
    #[arg(long)]
    kid: String,
    /// The client certificate that the token is bound to, PEM
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The system that asks
    #[arg(long, value_parser = SystemId::parse)]
    system: SystemId,
    /// Why it asks
    #[arg(long, value_parser = PurposeCode::parse)]
    purpose: PurposeCode,
    /// The fields it asks for [default: all that is granted]
    #[arg(long, value_name = "FIELD|FIELD")]
    scope: Option<String>,
    /// A grant to rest on; may be given several times [default: any]
    #[arg(long = "grant", value_name = "GRANT", value_parser = GrantId::parse)]
    grants: Vec<GrantId>,
    /// From now to its end, at most 24h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = lifetime)]
    lifetime: Duration,
    /// Who issues it [default: what the configuration expects]
    #[arg(long, value_name = "TEXT")]
    issuer: Option<String>,
    /// For whom it is [default: what the configuration expects]
    #[arg(long, value_name = "TEXT")]
    audience: Option<String>,
    /// The gateway configuration that says issuer and audience [default: config/gateway.toml, else gateway.toml, else
    /// /etc/pinegate/gateway.toml]
    #[arg(long, value_name = "FILE", default_value = source::default_config(), hide_default_value = true)]
    config: PathBuf,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse_duration(text).map_err(|error| error.to_string())?;
    if lifetime > crate::app::assemble::MAX_TOKEN_LIFETIME {
        return Err("the gate refuses tokens that live longer than 24h".to_owned());
    }
    Ok(lifetime)
}

pub(super) fn run(
    args: &TokenArgs,
    clock: &dyn Clock,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let TokenCommand::Mint(args) = &args.command;
    let key = SigningKey::from_pem(&Secret::new(read(&args.key)?), &args.kid)?;
    let certificate = certificate(&args.certificate)?;
    warn(args, &certificate, clock, screen)?;
    let (issuer, audience) = issuer_and_audience(args, screen)?;
    let id = RequestId::generate().to_string();
    let id = TokenId::parse(&id).map_err(|_| CommandError::Unknown {
        given: id.clone(),
        what: "a token id",
        help: "report this".to_owned(),
    })?;
    let token = key.mint(&NewToken {
        issuer: &issuer,
        audience: &audience,
        system: &args.system,
        id: &id,
        purpose: &args.purpose,
        scope: args.scope.as_deref(),
        grants: &args.grants,
        x5t_s256: &certificate.x5t_s256,
        issued: clock.now(),
        lifetime: args.lifetime,
    })?;
    screen.bytes(token.expose())?;
    screen.bytes(b"\n")?;
    Ok(Exit::Fine)
}

fn issuer_and_audience(args: &MintArgs, screen: &mut Screen<'_>) -> Result<(String, String), CommandError> {
    if let (Some(issuer), Some(audience)) = (&args.issuer, &args.audience) {
        return Ok((issuer.clone(), audience.clone()));
    }
    let purpose = source::config(&args.config, screen)?.purpose;
    let issuer = args.issuer.clone().unwrap_or(purpose.issuer);
    Ok((issuer, args.audience.clone().unwrap_or(purpose.audience)))
}

fn certificate(path: &Path) -> Result<CertificateFacts, CommandError> {
    let pem = read(path)?;
    // The leaf stands first where the file holds a chain.
    let der = CertificateDer::from_pem_slice(&pem)
        .map_err(|_| CommandError::Unfit { path: path.to_owned(), expected: "a PEM certificate" })?;
    CertificateFacts::read(&der).map_err(|source| CommandError::Certificate { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let unreadable = |source| CommandError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Warns of tokens that are made in vain. They are made all the same: refusals want trying too.
fn warn(
    args: &MintArgs,
    certificate: &CertificateFacts,
    clock: &dyn Clock,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let word = screen.paint_aside(Tone::Doubtful, "warning");
    let file = args.certificate.display();
    if !certificate.is_valid_at(clock.now()) {
        let (from, to) = (certificate.not_before, certificate.not_after);
        screen.aside(format!("{word}: the certificate in `{file}` is valid only from {from} to {to}"))?;
    }
    let names_another = |uri: &&str| {
        let named = uri.rsplit_once("/system/").map(|(_, system)| system);
        uri.starts_with("spiffe://") && named != Some(args.system.name())
    };
    if let Some(uri) = certificate.san_uris.only().filter(names_another) {
        let system = &args.system;
        screen.aside(format!("{word}: the certificate in `{file}` names `{uri}`, not `{system}`: the gate refuses the two together"))?;
    }
    Ok(())
}
