//! `registry.toml`: departments, their systems, and how a system's certificate is recognised.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::reference::Declared;
use crate::catalog::{CertificateRule, Department, DepartmentKind, Registry, System};
use crate::document::{At, Document, Table};
use crate::kernel::diagnostic::{Report, Source};
use crate::kernel::id::{DepartmentId, SystemId};

/// What `registry.toml` says.
#[derive(Debug)]
pub(super) struct RegistryFile {
    pub(super) registry: Registry,
    pub(super) certificates: HashMap<CertificateRule, SystemId>,
    pub(super) departments: Declared<DepartmentId>,
    pub(super) systems: Declared<SystemId>,
}

/// A rule, the system it leads to, and where it was read.
type Claim = (CertificateRule, SystemId, Range<usize>);

/// Reads `registry.toml`. A system without `certificate` is known by the SPIFFE URI that its department
/// and its own id give under `trust_domain`.
pub(super) fn read(source: &Source, trust_domain: &str) -> (RegistryFile, Report) {
    let document = Document::parse(source);
    let root = document.root();
    let mut file = RegistryFile {
        registry: Registry::default(),
        certificates: HashMap::new(),
        departments: Declared::new("a department"),
        systems: Declared::new("a system"),
    };
    for table in root.tables("department") {
        if let Some(department) = read_department(&table, &mut file.departments) {
            file.registry.departments.insert(department.id.clone(), Arc::new(department));
        }
        table.finish();
    }
    let mut claims = Vec::new();
    for table in root.tables("system") {
        if let Some(system) = read_system(&table, trust_domain, &mut file, &mut claims) {
            file.registry.systems.insert(system.id.clone(), Arc::new(system));
        }
        table.finish();
    }
    root.finish();
    file.certificates = index(&document, claims);
    (file, document.into_report())
}

fn read_department(table: &Table<'_, '_>, declared: &mut Declared<DepartmentId>) -> Option<Department> {
    let id = table.required("id", "such as `dept:minzheng`", DepartmentId::parse);
    let name = table.required_text("name", "the department's name for people");
    let contact = table.required_text("contact", "whom to ask about its data");
    let kind = table.required("kind", KIND_EXPECTED, parse_kind);
    let credit_code = table.parsed("credit_code", parse_credit_code);
    let id = id?;
    if !declared.declare(table.document(), &id) {
        return None;
    }
    Some(Department {
        id: id.value,
        name: name?.value,
        credit_code: credit_code.map(|code| code.value),
        contact: contact?.value,
        kind: kind?.value,
    })
}

const KIND_EXPECTED: &str = "`government`, `public-service` or `contractor`";

fn parse_kind(word: &str) -> Result<DepartmentKind, String> {
    match word {
        "government" => Ok(DepartmentKind::Government),
        "public-service" => Ok(DepartmentKind::PublicService),
        "contractor" => Ok(DepartmentKind::Contractor),
        _ => Err(format!("write {KIND_EXPECTED}")),
    }
}

fn read_system(
    table: &Table<'_, '_>,
    trust_domain: &str,
    file: &mut RegistryFile,
    claims: &mut Vec<Claim>,
) -> Option<System> {
    let id = table.required("id", "such as `sys:minzheng-aid`", SystemId::parse);
    let name = table.required_text("name", "the system's name for people");
    let department = table.required("department", "the department that answers for it", DepartmentId::parse);
    let enabled = table.flag("enabled").is_none_or(|flag| flag.value);
    let written = table.has("certificate").then(|| read_certificate(table));
    let department = department.filter(|department| file.departments.check(table.document(), department));
    let id = id?;
    if !file.systems.declare(table.document(), &id) {
        return None;
    }
    let department = department?.value;
    let rules = written.unwrap_or_else(|| {
        let (dept, system) = (department.name(), id.value.name());
        let uri = format!("spiffe://{trust_domain}/dept/{dept}/system/{system}");
        vec![At { value: CertificateRule::SanUri(uri), span: id.span.clone() }]
    });
    claims.extend(rules.iter().map(|rule| (rule.value.clone(), id.value.clone(), rule.span.clone())));
    Some(System {
        id: id.value,
        department,
        name: name?.value,
        enabled,
        certificates: rules.into_iter().map(|rule| rule.value).collect(),
    })
}

const KEYS: [&str; 4] = ["san_uri", "san_dns", "subject_cn", "subject_credit_code"];

/// The rules of `certificate = { … }`; any one of them recognises the system.
fn read_certificate(system: &Table<'_, '_>) -> Vec<At<CertificateRule>> {
    let Some(table) = system.table("certificate") else { return Vec::new() };
    if !KEYS.into_iter().any(|key| table.has(key)) {
        let message = format!("`{}` recognises no certificate", system.path_of("certificate"));
        let help =
            format!("leave it out for the SPIFFE URI of the system's id, or add one of {}", KEYS.join(", "));
        table.document().error("missing-key", table.span(), message, help);
    }
    let rules = [
        table.parsed("san_uri", parse_uri).map(|uri| uri.map(CertificateRule::SanUri)),
        table.parsed("san_dns", parse_dns_name).map(|name| name.map(CertificateRule::SanDns)),
        table.parsed("subject_cn", parse_common_name).map(|name| name.map(CertificateRule::SubjectCn)),
        table
            .parsed("subject_credit_code", parse_credit_code)
            .map(|code| code.map(CertificateRule::SubjectCreditCode)),
    ];
    table.finish();
    rules.into_iter().flatten().collect()
}

/// The systems by what recognises them. Two systems that claim the same are reported: a certificate
/// must lead to one system or to none.
fn index(document: &Document<'_>, claims: Vec<Claim>) -> HashMap<CertificateRule, SystemId> {
    let mut index: HashMap<CertificateRule, SystemId> = HashMap::new();
    for (rule, system, span) in claims {
        if let Some(first) = index.get(&rule) {
            document.error(
                "ambiguous-certificate",
                span,
                format!("a certificate that names `{system}` would name `{first}` too"),
                format!("both are recognised by {}; give each a rule of its own", describe(&rule)),
            );
            continue;
        }
        index.insert(rule, system);
    }
    index
}

fn describe(rule: &CertificateRule) -> String {
    let (what, value) = match rule {
        CertificateRule::SanUri(value) => ("SAN URI", value),
        CertificateRule::SanDns(value) => ("SAN DNS name", value),
        CertificateRule::SubjectCn(value) => ("subject common name", value),
        CertificateRule::SubjectCreditCode(value) => ("subject credit code", value),
    };
    format!("{what} `{value}`")
}

fn parse_uri(text: &str) -> Result<String, &'static str> {
    let scheme = text.split_once(':').map(|(scheme, rest)| (scheme.as_bytes(), rest));
    match scheme {
        // RFC 3986, 3.1
        Some(([first, others @ ..], rest))
            if first.is_ascii_alphabetic()
                && others.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
                && !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("write a whole URI, such as `spiffe://city.example/dept/minzheng/system/minzheng-aid`"),
    }
}

fn parse_dns_name(text: &str) -> Result<String, &'static str> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // RFC 1035, 2.3.4 bounds name and labels.
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err("write a DNS name in lower case, without a wildcard, such as `aid.minzheng.city.example`")
    }
}

fn parse_common_name(text: &str) -> Result<String, &'static str> {
    // RFC 5280, A.1: ub-common-name
    if (1..=64).contains(&text.chars().count()) && text == text.trim() && !text.chars().any(char::is_control)
    {
        Ok(text.to_owned())
    } else {
        Err("write the common name as it stands in the certificate: 1 to 64 characters, no blanks around it")
    }
}

/// Reads a unified social credit code (统一社会信用代码): 18 characters, the last one the check
/// character of GB 32100-2015, 5.
fn parse_credit_code(text: &str) -> Result<String, String> {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    const EXPECTED: &str = "write 18 digits and capital letters without I, O, S, V, Z";
    let values: Option<Vec<usize>> = text.chars().map(|c| ALPHABET.find(c)).collect();
    let Some([body @ .., check]) = values.as_deref() else { return Err(EXPECTED.to_owned()) };
    if body.len() != 17 {
        return Err(EXPECTED.to_owned());
    }
    let mut weight = 1;
    let mut sum = 0;
    for value in body {
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    let right = (31 - sum % 31) % 31;
    if right == *check {
        return Ok(text.to_owned());
    }
    let right = ALPHABET.chars().nth(right).unwrap_or('?');
    Err(format!(
        "its check character (GB 32100) would be `{right}`; compare it with the certificate of registration"
    ))
}
