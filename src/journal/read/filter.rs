//! Which records are wanted, and whether a line is one of them.

use std::net::IpAddr;
use std::str::FromStr;

use memchr::memmem::Finder;

use crate::audit::{Members, Name, peek_instant};
use crate::kernel::id::{
    Action, DepartmentId, Digest, GrantId, NodeId, PurposeCode, RequestId, ResourceId, SystemId,
};
use crate::kernel::time::Timestamp;

/// Which records are wanted: those that every given member holds of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// Written by this gate.
    pub node: Option<NodeId>,
    /// Of this kind: `access`, `intent`, `outcome` or `lifecycle`.
    pub kind: Option<String>,
    /// Of this request.
    pub request: Option<RequestId>,
    /// Of this trace.
    pub trace: Option<String>,
    /// Asked by this system.
    pub system: Option<SystemId>,
    /// Asked by a system of this department.
    pub department: Option<DepartmentId>,
    /// Asked with this client certificate.
    pub certificate: Option<Digest>,
    /// Asked from one of these addresses.
    pub address: Option<Network>,
    /// For this resource.
    pub resource: Option<ResourceId>,
    /// For a resource of this department.
    pub provider: Option<DepartmentId>,
    /// To do this.
    pub action: Option<Action>,
    /// For this purpose.
    pub purpose: Option<PurposeCode>,
    /// Permitted by this grant, or denied by it.
    pub grant: Option<GrantId>,
    /// With this decision.
    pub decision: Option<String>,
    /// Refused with this code.
    pub reason: Option<String>,
    /// Answered with this status, or with one of this class.
    pub status: Option<Statuses>,
    /// Decided otherwise by the candidate policy: in this way, or in `any`.
    pub shadow: Option<String>,
}

impl Filter {
    /// The members that must be there with one text, the rarest first: a line that lacks it is read no
    /// further.
    fn exact(&self) -> Vec<(Name, String)> {
        let mut exact = Vec::new();
        let mut add = |name, text: Option<String>| exact.extend(text.map(|text| (name, text)));
        add(Name::REQUEST, self.request.map(|id| id.to_string()));
        add(Name::TRACE, self.trace.clone());
        add(Name::REASON, self.reason.clone());
        add(Name::CERTIFICATE, self.certificate.map(Digest::to_hex));
        add(Name::SYSTEM, self.system.as_ref().map(ToString::to_string));
        add(Name::PURPOSE, self.purpose.as_ref().map(ToString::to_string));
        add(Name::RESOURCE, self.resource.as_ref().map(ToString::to_string));
        add(Name::DEPARTMENT, self.department.as_ref().map(ToString::to_string));
        add(Name::PROVIDER, self.provider.as_ref().map(ToString::to_string));
        add(Name::DECISION, self.decision.clone());
        add(Name::KIND, self.kind.clone());
        add(Name::ACTION, self.action.as_ref().map(ToString::to_string));
        add(Name::NODE, self.node.as_ref().map(ToString::to_string));
        exact
    }
}

/// One address, or all that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

/// Why a text is neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, such as `192.0.2.17`, or a network, such as `192.0.2.0/24`")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits.parse().map_err(|_| NetworkError)?)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| NetworkError)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        let network = Self { first, bits };
        let is_right = bits <= most && network.masked(first) == Some(network.number(first));
        if is_right { Ok(network) } else { Err(NetworkError) }
    }
}

impl Network {
    /// An address as a number whose highest bits are those of the network.
    fn number(self, address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        }
    }

    /// The bits of an address of this family that a network of this size has.
    fn masked(self, address: IpAddr) -> Option<u128> {
        let is_of_family = address.is_ipv4() == self.first.is_ipv4();
        let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
        is_of_family.then(|| self.number(address) & mask)
    }

    /// Whether an address is in it; one that is IPv4 written as IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let found = if self.first.is_ipv4() { address.to_canonical() } else { address };
        self.masked(found) == Some(self.number(self.first))
    }

    /// What stands at the end of every address in it, quote included.
    fn needle(self) -> Option<String> {
        let is_one = self.bits == if self.first.is_ipv4() { 32 } else { 128 };
        is_one.then(|| format!("{}\"", self.first))
    }
}

/// One status of HTTP, or all of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

/// Why a text is neither a status nor a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a status, such as `403`, or a class, such as `4xx`")]
pub struct StatusesError;

impl FromStr for Statuses {
    type Err = StatusesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // RFC 9110, section 15: three digits, of which the first is the class. A platform may send one above 599.
        match text.as_bytes() {
            [class @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] => {
                let first = u16::from(class - b'0') * 100;
                Ok(Self { first, last: first + 99 })
            }
            [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
                let status = text.parse().map_err(|_| StatusesError)?;
                Ok(Self { first: status, last: status })
            }
            _ => Err(StatusesError),
        }
    }
}

impl Statuses {
    /// Whether a status is one of them.
    #[must_use]
    pub fn contains(self, status: u64) -> bool {
        (u64::from(self.first)..=u64::from(self.last)).contains(&status)
    }

    /// What stands in every line that has one of them.
    fn needle(self) -> String {
        let name = Name::STATUS.as_str();
        let Self { first, last } = self;
        if first == last { format!("\"{name}\":{first}") } else { format!("\"{name}\":{}", first / 100) }
    }
}

/// A filter made ready to be held against many lines.
#[derive(Debug)]
pub struct Matcher {
    from: Option<String>,
    until: Option<String>,
    exact: Vec<(Name, String)>,
    address: Option<Network>,
    grant: Option<GrantId>,
    status: Option<Statuses>,
    shadow: Option<String>,
    /// What every line that matches has in it somewhere, the rarest first.
    needles: Vec<Finder<'static>>,
}

impl Matcher {
    /// Makes `filter` ready.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        let exact = filter.exact();
        let mut needles = Vec::new();
        let mut needle = |text: &str| needles.push(Finder::new(text).into_owned());
        let is_plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
        filter.grant.iter().for_each(|grant| needle(&format!("\"{grant}\"")));
        filter.address.iter().filter_map(|network| network.needle()).for_each(|end| needle(&end));
        for (name, text) in exact.iter().filter(|(_, text)| is_plain(text)) {
            needle(&format!("\"{}\":\"{text}\"", name.as_str()));
        }
        filter.shadow.iter().for_each(|_| needle("\"shadow\":\""));
        filter.status.iter().for_each(|statuses| needle(&statuses.needle()));
        let instant = |at: Timestamp| format!("{at:.6}");
        Self {
            from: filter.from.map(instant),
            until: filter.until.map(instant),
            exact,
            address: filter.address,
            grant: filter.grant.clone(),
            status: filter.status,
            shadow: filter.shadow.clone(),
            needles,
        }
    }

    /// Whether a line is a record that is wanted.
    #[must_use]
    pub fn holds(&self, line: &[u8]) -> bool {
        self.may_match(line) && Members::read(line).is_some_and(|record| self.matches(&record))
    }

    /// What every line that matches has in it, if anything is known: it can be looked for in many lines
    /// at once.
    pub(super) fn rarest(&self) -> Option<&Finder<'static>> {
        self.needles.first()
    }

    /// Whether the line may match, without reading it.
    pub(super) fn may_match(&self, line: &[u8]) -> bool {
        self.is_in_time(line) && self.needles.iter().all(|needle| needle.find(line).is_some())
    }

    /// Whether the time matters.
    pub(super) const fn asks_for_time(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }

    /// Whether nothing from `first` to `last` is wanted.
    pub(super) fn is_elsewhen(&self, first: &str, last: &str) -> bool {
        self.from.as_ref().is_some_and(|from| last < from.as_str())
            || self.until.as_ref().is_some_and(|until| first >= until.as_str())
    }

    /// Instants have one form, so their texts sort as they do.
    fn is_in_time(&self, line: &[u8]) -> bool {
        if !self.asks_for_time() {
            return true;
        }
        let Some(at) = peek_instant(line) else { return false };
        self.from.as_ref().is_none_or(|from| at >= from.as_bytes())
            && self.until.as_ref().is_none_or(|until| at < until.as_bytes())
    }

    /// Whether the record of a line that [may match](Matcher::may_match) does.
    pub(super) fn matches(&self, record: &Members<'_>) -> bool {
        let is_from = |network: Network| {
            let address = record.text(Name::ADDRESS).and_then(|text| text.parse().ok());
            address.is_some_and(|address| network.contains(address))
        };
        let has = |name, grant: &GrantId| record.items(name).any(|item| item == grant.as_str());
        self.exact.iter().all(|(name, text)| record.is(*name, text))
            && self.address.is_none_or(is_from)
            && self.grant.as_ref().is_none_or(|grant| has(Name::GRANTS, grant) || has(Name::DENIED_BY, grant))
            && self.status.is_none_or(|statuses| {
                record.number(Name::STATUS).is_some_and(|status| statuses.contains(status))
            })
            && self.shadow.as_ref().is_none_or(|wanted| {
                record.raw(Name::SHADOW).is_some() && (wanted == "any" || record.is(Name::SHADOW, wanted))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, is_in) in [
            ("192.0.2.17", "192.0.2.17", true),
            ("192.0.2.17", "::ffff:192.0.2.17", true),
            ("192.0.2.17", "192.0.2.18", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "2001:db8::1", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::1", "2001:db8::1", true),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), is_in, "{address} in {network}");
        }
        for text in
            ["", "gate", "192.0.2", "192.0.2.1/24", "192.0.2.0/33", "::/129", "192.0.2.0/x", "1.2.3.4/-1"]
        {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }

    #[test]
    fn statuses_are_one_or_a_class() {
        for (statuses, status, is_in) in [
            ("403", 403, true),
            ("403", 404, false),
            ("4xx", 399, false),
            ("4xx", 400, true),
            ("4XX", 499, true),
            ("4xx", 500, false),
            ("9xx", 999, true),
        ] {
            let parsed: Statuses = statuses.parse().unwrap();
            assert_eq!(parsed.contains(status), is_in, "{status} in {statuses}");
        }
        for text in ["", "4", "40", "099", "0xx", "40x", "4x3", "4xxx", "1000", "+40", " 403", "xxx", "４xx"]
        {
            assert_eq!(text.parse::<Statuses>(), Err(StatusesError), "{text}");
        }
    }
}
