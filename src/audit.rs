//! stub
#![allow(missing_docs, clippy::all, clippy::allow_attributes, clippy::allow_attributes_without_reason, missing_debug_implementations)]
use std::net::IpAddr;
use crate::kernel::id::*; use crate::kernel::time::Timestamp; use crate::grant::ReleasedField;
#[derive(Debug,Clone,Copy)] pub enum Kind { Access, Intent, Outcome }
pub struct Access<'a> { pub kind: Kind, pub at: Timestamp, pub request_id: RequestId, pub trace_id: Option<&'a str>, pub system: Option<&'a SystemId>, pub department: Option<&'a DepartmentId>, pub certificate: &'a Digest, pub address: IpAddr, pub method: &'a str, pub route: Option<&'a str>, pub resource: Option<&'a ResourceId>, pub provider: Option<&'a DepartmentId>, pub action: Option<&'a Action>, pub purpose: Option<&'a PurposeCode>, pub purpose_source: Option<&'static str>, pub token_id: Option<&'a TokenId>, pub requested: &'a [String], pub parameters: &'a [(ParameterName, String)], pub decision: &'static str, pub reason: Option<&'static str>, pub grants: &'a [GrantId], pub denied_by: &'a [GrantId], pub released: &'a [ReleasedField], pub policy: &'a str, pub config: &'a str, pub outcome: Option<Outcome<'a>> }
pub struct Outcome<'a> { pub status: u16, pub bytes_in: u64, pub bytes_out: u64, pub records: Option<u64>, pub masked: &'a [(&'a FieldPath, u64)], pub dropped: &'a [(&'a FieldPath, u64)], pub unclassified: u64, pub sent_sha256: Option<Digest>, pub total_us: u64, pub decide_us: u64, pub upstream_us: u64, pub aborted: Option<&'static str> }
impl Access<'_> { pub fn encode(&self) -> Entry { Entry(vec![]) } }
pub struct Entry(Vec<u8>);
