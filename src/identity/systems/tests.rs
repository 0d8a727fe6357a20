#![expect(clippy::too_many_lines, reason = "one table of cases")]

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

use super::*;
use crate::kernel::id::DepartmentId;

const URI_A: &str = "spiffe://city.example/dept/minzheng/system/minzheng-aid";
const URI_B: &str = "spiffe://city.example/dept/water/system/water-billing";
const URI_OLD: &str = "spiffe://city.example/dept/minzheng/system/minzheng-old";
const CODE: &str = "91340100MA2MRXYQ0X";

fn system(id: &str, enabled: bool, certificates: Vec<CertificateRule>) -> (SystemId, Arc<System>) {
    let id = SystemId::parse(id).unwrap();
    let department = DepartmentId::parse("dept:minzheng").unwrap();
    (id.clone(), Arc::new(System { id, department, name: "系统".to_owned(), enabled, certificates }))
}

fn identities() -> Identities {
    use CertificateRule::{SanDns, SanUri, SubjectCn, SubjectCreditCode};
    let systems = [
        system("sys:a", true, vec![SanUri(URI_A.to_owned()), SanDns("a.city.example".to_owned())]),
        system("sys:b", true, vec![SanUri(URI_B.to_owned()), SubjectCn("billing".to_owned())]),
        system("sys:old", false, vec![SanUri(URI_OLD.to_owned())]),
        system("sys:code", true, vec![SubjectCreditCode(CODE.to_owned())]),
        system("sys:x", true, vec![SubjectCn("shared".to_owned()), SanDns("*.city.example".to_owned())]),
        system("sys:y", true, vec![SubjectCn("shared".to_owned())]),
    ];
    Identities::new(&Registry { systems: systems.into_iter().collect(), ..Registry::default() })
}

#[derive(Default)]
struct Case {
    uris: &'static [&'static str],
    dns: &'static [&'static str],
    mail: &'static [&'static str],
    cns: &'static [&'static str],
    codes: &'static [&'static str],
}

fn facts(case: &Case) -> CertificateFacts {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    let names = &mut params.subject_alt_names;
    names.extend(case.uris.iter().map(|&name| SanType::URI(name.try_into().unwrap())));
    names.extend(case.dns.iter().map(|&name| SanType::DnsName(name.try_into().unwrap())));
    names.extend(case.mail.iter().map(|&name| SanType::Rfc822Name(name.try_into().unwrap())));
    // rcgen keeps one value for each type of attribute: a second one goes in under its raw name.
    for (oid, values) in [([2, 5, 4, 3], case.cns), ([2, 5, 4, 5], case.codes)] {
        let mut values = values.iter();
        if let Some(&first) = values.next() {
            let kind = if oid == [2, 5, 4, 3] { DnType::CommonName } else { DnType::from_oid(&oid) };
            params.distinguished_name.push(kind, first);
        }
        if let Some(&second) = values.next() {
            let kind = if oid == [2, 5, 4, 3] { vec![2, 5, 4, 3] } else { vec![2, 5, 4, 97] };
            params.distinguished_name.push(DnType::CustomDnType(kind), second);
        }
    }
    let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    CertificateFacts::read(der.der()).unwrap()
}

#[test]
fn who_a_certificate_is() {
    let identities = identities();
    let none = Case::default;
    let cases: Vec<(&str, Case, Result<&str, &str>)> = vec![
        ("a URI", Case { uris: &[URI_A], ..none() }, Ok("sys:a")),
        (
            "a URI beside unknown names",
            Case { uris: &[URI_A], dns: &["z"], cns: &["z"], ..none() },
            Ok("sys:a"),
        ),
        (
            "a URI and its own DNS name",
            Case { uris: &[URI_A], dns: &["A.City.Example"], ..none() },
            Ok("sys:a"),
        ),
        ("a DNS name among others", Case { dns: &["z", "a.city.example"], ..none() }, Ok("sys:a")),
        ("a common name", Case { cns: &["billing"], ..none() }, Ok("sys:b")),
        ("a credit code", Case { codes: &[CODE], ..none() }, Ok("sys:code")),
        ("a disabled system", Case { uris: &[URI_OLD], ..none() }, Err("identity-disabled")),
        ("nothing", none(), Err("identity-unknown")),
        ("an unknown URI", Case { uris: &["spiffe://city.example/x"], ..none() }, Err("identity-unknown")),
        (
            "a URI in other case",
            Case { uris: &["SPIFFE://city.example/dept/minzheng/system/minzheng-aid"], ..none() },
            Err("identity-unknown"),
        ),
        (
            "a URI with a slash more",
            Case { uris: &["spiffe://city.example/dept/minzheng/system/minzheng-aid/"], ..none() },
            Err("identity-unknown"),
        ),
        ("a dNSName that spells the URI", Case { dns: &[URI_A], ..none() }, Err("identity-unknown")),
        ("an e-mail that spells the URI", Case { mail: &[URI_A], ..none() }, Err("identity-unknown")),
        ("a common name that spells the URI", Case { cns: &[URI_A], ..none() }, Err("identity-unknown")),
        (
            "a common name that spells the DNS name",
            Case { cns: &["a.city.example"], ..none() },
            Err("identity-unknown"),
        ),
        ("a common name in other case", Case { cns: &["Billing"], ..none() }, Err("identity-unknown")),
        ("two known URIs", Case { uris: &[URI_A, URI_B], ..none() }, Err("identity-ambiguous")),
        ("the same URI twice", Case { uris: &[URI_A, URI_A], ..none() }, Err("identity-ambiguous")),
        (
            "a known URI and another",
            Case { uris: &[URI_A, "spiffe://other/x"], ..none() },
            Err("identity-ambiguous"),
        ),
        ("a known URI and an odd one", Case { uris: &[URI_A, "a\0"], ..none() }, Err("identity-ambiguous")),
        ("a known URI and an empty one", Case { uris: &[URI_A, ""], ..none() }, Err("identity-ambiguous")),
        ("an empty URI", Case { uris: &[""], ..none() }, Err("identity-unknown")),
        (
            "a URI cut by NUL",
            Case { uris: &["spiffe://city.example/dept/minzheng/system/minzheng-aid\0x"], ..none() },
            Err("identity-unknown"),
        ),
        (
            "URI of one, common name of another",
            Case { uris: &[URI_A], cns: &["billing"], ..none() },
            Err("identity-ambiguous"),
        ),
        (
            "URI of one, code of another",
            Case { uris: &[URI_A], codes: &[CODE], ..none() },
            Err("identity-ambiguous"),
        ),
        ("two common names", Case { cns: &["billing", "z"], ..none() }, Err("identity-ambiguous")),
        ("a code and another number", Case { codes: &[CODE, "7"], ..none() }, Err("identity-ambiguous")),
        ("the same code twice", Case { codes: &[CODE, CODE], ..none() }, Ok("sys:code")),
        ("a name two systems claim", Case { cns: &["shared"], ..none() }, Err("identity-ambiguous")),
        ("a wildcard", Case { dns: &["*.city.example"], ..none() }, Err("identity-unknown")),
    ];
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    for (what, case, expected) in cases {
        let found = identities.identify(&facts(&case), now);
        let found = found.as_ref().map(|system| system.id.as_str()).map_err(|error| error.code());
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn validity_is_judged_at_each_request() {
    let identities = identities();
    let facts = facts(&Case { uris: &[URI_A], ..Case::default() });
    for (now, valid) in [
        ("2025-12-31T23:59:59Z", false),
        ("2026-01-01T00:00:00Z", true),
        ("2027-01-01T00:00:00Z", true),
        ("2027-01-01T00:00:01Z", false),
    ] {
        let found = identities.identify(&facts, now.parse().unwrap());
        let code = found.err().map(|error| error.code());
        assert_eq!(code, (!valid).then_some("identity-expired"), "{now}");
    }
}
