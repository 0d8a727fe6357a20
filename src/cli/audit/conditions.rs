//! Which records are meant: the conditions that all commands share that read the log.

use clap::{Args, ValueEnum};

use crate::cli::CommandError;
use crate::cli::when::{When, default_zone, zone};
use crate::journal::read::{Filter, Network, Statuses};
use crate::kernel::id::{
    Action, DepartmentId, Digest, GrantId, NodeId, PurposeCode, RequestId, ResourceId, SystemId,
};
use crate::kernel::time::TimeZone;

/// From when to when.
#[derive(Debug, Args)]
pub(super) struct Times {
    /// Not before this time
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    from: Option<When>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// The zone in which local times are meant [default: Asia/Shanghai]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<TimeZone>,
}

impl Times {
    fn zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or_else(default_zone)
    }

    /// The same as a filter of the log.
    pub(super) fn filter(&self) -> Result<Filter, CommandError> {
        let zone = self.zone();
        let instant = |when: Option<When>| when.map(|when| when.instant(&zone)).transpose();
        Ok(Filter { from: instant(self.from)?, until: instant(self.until)?, ..Filter::default() })
    }
}

/// What records must say. Every condition that is given must hold.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conditions")]
pub(super) struct Conditions {
    #[command(flatten)]
    times: Times,
    /// Asked by this system
    #[arg(long, value_parser = SystemId::parse)]
    system: Option<SystemId>,
    /// Asked by a system of this department
    #[arg(long, value_parser = DepartmentId::parse)]
    department: Option<DepartmentId>,
    /// For this resource
    #[arg(long, value_parser = ResourceId::parse)]
    resource: Option<ResourceId>,
    /// For a resource of this department
    #[arg(long, value_parser = DepartmentId::parse)]
    provider: Option<DepartmentId>,
    /// To do this
    #[arg(long, value_parser = Action::parse)]
    action: Option<Action>,
    /// For this purpose
    #[arg(long, value_parser = PurposeCode::parse)]
    purpose: Option<PurposeCode>,
    /// Allowed by this grant, or denied by it
    #[arg(long, value_parser = GrantId::parse)]
    grant: Option<GrantId>,
    /// Decided so
    #[arg(long, value_enum)]
    decision: Option<Decided>,
    /// Refused with this code
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Answered with this HTTP status, such as `403`, or with one of a class, such as `4xx`
    #[arg(long)]
    status: Option<Statuses>,
    /// Decided otherwise by the candidate policy: it allowed, it refused, it let out something else
    #[arg(long, value_name = "CHANGE", value_parser = ["any", "allowed", "refused", "extent"])]
    shadow: Option<String>,
    /// Of this request
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
    /// Of this trace
    #[arg(long, value_name = "ID", value_parser = trace)]
    trace: Option<String>,
    /// From this address, or a network such as `10.1.0.0/16`
    #[arg(long)]
    address: Option<Network>,
    /// With this client certificate, by its SHA-256
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    certificate: Option<Digest>,
    /// Of this kind
    #[arg(long, value_enum)]
    kind: Option<RecordKind>,
    /// Written by this gate
    #[arg(long, value_parser = NodeId::parse)]
    node: Option<NodeId>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Decided {
    Permit,
    Deny,
    Error,
    Unknown,
}

impl Decided {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RecordKind {
    Access,
    Intent,
    Outcome,
    Lifecycle,
}

impl RecordKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Lifecycle => "lifecycle",
        }
    }
}

/// A trace id as `traceparent` has it (W3C Trace Context, section 3.2.2.3).
fn trace(text: &str) -> Result<String, &'static str> {
    let is_right = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_right { Ok(text.to_ascii_lowercase()) } else { Err("expected 32 hexadecimal characters") }
}

/// A fingerprint, also as OpenSSL writes it: in capitals, with colons.
fn fingerprint(text: &str) -> Result<Digest, &'static str> {
    let digits: String = text.chars().filter(|&c| c != ':').map(|c| c.to_ascii_lowercase()).collect();
    Digest::parse_hex(&digits).map_err(|_| "expected 64 hexadecimal characters, with colons or without")
}

impl Conditions {
    /// The zone in which times are meant.
    pub(super) fn zone(&self) -> TimeZone {
        self.times.zone()
    }

    /// The same as a filter of the log.
    pub(super) fn filter(&self) -> Result<Filter, CommandError> {
        Ok(Filter {
            node: self.node.clone(),
            kind: self.kind.map(|kind| kind.as_str().to_owned()),
            request: self.request,
            trace: self.trace.clone(),
            system: self.system.clone(),
            department: self.department.clone(),
            certificate: self.certificate,
            address: self.address,
            resource: self.resource.clone(),
            provider: self.provider.clone(),
            action: self.action.clone(),
            purpose: self.purpose.clone(),
            grant: self.grant.clone(),
            decision: self.decision.map(|decision| decision.as_str().to_owned()),
            reason: self.reason.clone(),
            status: self.status,
            shadow: self.shadow.clone(),
            ..self.times.filter()?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_openssl_writes_them() {
        let plain = "0a".repeat(32);
        let colons = vec!["0A"; 32].join(":");
        assert_eq!(fingerprint(&plain), fingerprint(&colons));
        assert_eq!(fingerprint(&plain).unwrap(), Digest([10; 32]));
        assert!(fingerprint("0a:0b").is_err());
    }

    #[test]
    fn trace_ids_are_32_digits() {
        assert_eq!(trace(&"AB".repeat(16)).as_deref(), Ok("ab".repeat(16).as_str()));
        for wrong in ["", "ab", &"gg".repeat(16), &"ab".repeat(17)] {
            assert!(trace(wrong).is_err(), "{wrong}");
        }
    }
}
