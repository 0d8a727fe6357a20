//! Finds records by what they say.

use std::path::Path;

use memchr::memmem::Finder;

use super::{Found, ReadError, Records};
use crate::audit::{ParsedRecord, peek_instant};
use crate::kernel::id::{DepartmentId, GrantId, PurposeCode, RequestId, ResourceId, SystemId};
use crate::kernel::time::Timestamp;

/// Which records are wanted: those that every given member holds of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// Asked by this system.
    pub system: Option<SystemId>,
    /// Asked by a system of this department.
    pub department: Option<DepartmentId>,
    /// For this resource.
    pub resource: Option<ResourceId>,
    /// For this purpose.
    pub purpose: Option<PurposeCode>,
    /// Permitted by this grant, or denied by it.
    pub grant: Option<GrantId>,
    /// With this decision.
    pub decision: Option<String>,
    /// Refused with this code.
    pub reason: Option<String>,
    /// Decided otherwise by the candidate policy: in this way, or in `any`.
    pub shadow: Option<String>,
    /// Of this request.
    pub request: Option<RequestId>,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The records, oldest first within each generation.
    pub found: Vec<Found>,
    /// Whether the limit cut the search short.
    pub more: bool,
    /// How many lines were looked at.
    pub looked_at: u64,
    /// How many lines looked as if they matched but are no records: the log should be verified.
    pub unreadable: u64,
}

/// A filter made ready: a line that lacks one of the needles is not read any further.
struct Ready<'f> {
    filter: &'f Filter,
    from: Option<String>,
    until: Option<String>,
    needles: Vec<Finder<'static>>,
}

impl<'f> Ready<'f> {
    fn new(filter: &'f Filter) -> Self {
        let member = |name: &str, value: &str| Finder::new(&format!("\"{name}\":\"{value}\"")).into_owned();
        let mut needles = Vec::new();
        needles.extend(filter.request.map(|id| member("request", &id.to_string())));
        needles.extend(filter.system.as_ref().map(|id| member("system", id.as_str())));
        needles.extend(filter.grant.as_ref().map(|id| Finder::new(&format!("\"{id}\"")).into_owned()));
        needles.extend(filter.purpose.as_ref().map(|id| member("purpose", id.as_str())));
        needles.extend(filter.resource.as_ref().map(|id| member("resource", id.as_str())));
        needles.extend(filter.department.as_ref().map(|id| member("department", id.as_str())));
        needles.extend(filter.shadow.is_some().then(|| Finder::new("\"shadow\":\"").into_owned()));
        let text = |at: Timestamp| format!("{at:.6}");
        Self { filter, from: filter.from.map(text), until: filter.until.map(text), needles }
    }

    /// Whether the line may match. Instants have one form, so their texts sort as they do.
    fn may_match(&self, line: &[u8]) -> bool {
        if self.from.is_some() || self.until.is_some() {
            let Some(at) = peek_instant(line) else { return false };
            if self.from.as_ref().is_some_and(|from| at < from.as_bytes())
                || self.until.as_ref().is_some_and(|until| at >= until.as_bytes())
            {
                return false;
            }
        }
        self.needles.iter().all(|needle| needle.find(line).is_some())
    }

    fn matches(&self, record: &ParsedRecord) -> bool {
        let filter = self.filter;
        let same = |wanted: Option<&str>, found: &Option<String>| {
            wanted.is_none_or(|wanted| found.as_deref() == Some(wanted))
        };
        let request = filter.request.map(|id| id.to_string());
        same(request.as_deref(), &record.request)
            && same(filter.system.as_ref().map(SystemId::as_str), &record.system)
            && same(filter.department.as_ref().map(DepartmentId::as_str), &record.department)
            && same(filter.resource.as_ref().map(ResourceId::as_str), &record.resource)
            && same(filter.purpose.as_ref().map(PurposeCode::as_str), &record.purpose)
            && same(filter.decision.as_deref(), &record.decision)
            && same(filter.reason.as_deref(), &record.reason)
            && filter.shadow.as_deref().is_none_or(|wanted| {
                record.shadow.as_deref().is_some_and(|found| wanted == "any" || wanted == found)
            })
            && filter.grant.as_ref().is_none_or(|grant| {
                record.grants.iter().chain(&record.denied_by).any(|found| found == grant.as_str())
            })
    }
}

/// The first `limit` records below `directory` that `filter` holds of.
///
/// # Errors
/// When there is no log, or it cannot be read.
pub fn search(directory: &Path, filter: &Filter, limit: usize) -> Result<Search, ReadError> {
    let ready = Ready::new(filter);
    let mut records = Records::open(directory)?;
    let mut result = Search::default();
    while let Some(line) = records.next_line()? {
        result.looked_at += 1;
        if !ready.may_match(line) {
            continue;
        }
        let Ok(record) = ParsedRecord::parse(line) else {
            result.unreadable += 1;
            continue;
        };
        if !ready.matches(&record) {
            continue;
        }
        if result.found.len() >= limit {
            result.more = true;
            break;
        }
        let line = line.to_vec();
        result.found.push(Found { generation: records.generation(), record, line });
    }
    Ok(result)
}
