use std::fs;

use super::*;
use crate::coding::Coding;
use crate::kernel::time::Timestamp;

/// A configuration in a directory of its own, with every file it names.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["server.pem", "server.key", "ca.pem", "crl.pem", "jwks.json"] {
            fs::write(directory.path().join(name), "content").unwrap();
        }
        Self { directory }
    }

    fn load(&self, text: &str) -> (Option<Config>, String) {
        let path = self.directory.path().join("gateway.toml");
        fs::write(&path, text).unwrap();
        let (config, report) = Config::load(&path);
        let shown = report.to_string().replace(&self.directory.path().display().to_string(), "DIR");
        (config, shown)
    }
}

const RIGHT: &str = r#"
[listen]
addresses = ["127.0.0.1:8443", "[::1]:8443"]
[tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
crls = ["crl.pem"]
[identity]
trust_domain = "city.example"
[purpose]
issuer = "https://exchange.city.example"
audience = "pinegate"
jwks = "jwks.json"
algorithms = ["ES256"]
[policy]
directory = "policies"
zone = "Asia/Shanghai"
[audit]
directory = "audit"
node = "gate-1"
[metrics]
address = "127.0.0.1:9464"
[admin]
socket = "admin.sock"
[[upstream]]
id = "platform"
url = "http://127.0.0.1:9000"
[[route]]
method = "GET"
path = "/population/residents/{id_card}"
resource = "population.resident"
action = "query"
upstream = "platform"
parameters = { id_card = "path:id_card", area = "query:area" }
"#;

#[test]
fn a_right_file_becomes_a_configuration() {
    let files = Files::new();
    let (config, report) = files.load(RIGHT);
    assert_eq!(report, "");
    let config = config.unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.tls.stale_crl, StaleCrl::Refuse);
    assert_eq!(config.policy.directory, files.directory.path().join("policies"));
    assert_eq!(config.policy.reload, ReloadTrigger::Signal);
    let route = config.routes.first().unwrap();
    assert_eq!(route.purpose, PurposeSource::Token);
    assert!(!route.forward_token);
    assert_eq!(route.parameters.len(), 2);
    assert!(!format!("{config:?}").contains("content"), "neither keys nor files show in Debug");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one file with every kind of mistake, and what is said of them")]
fn everything_that_is_wrong_comes_at_once() {
    let files = Files::new();
    let (config, report) = files.load(
        r#"
[listen]
addresses = ["localhost"]
adresses = []
[tls]
certificate = "missing.pem"
key = { env = "PINEGATE_TEST_NOT_SET" }
client_ca = "ca.pem"
crls = "all"
[identity]
trust_domain = "City Example"
[purpose]
issuer = "an issuer"
audience = "pinegate"
jwks = "jwks.json"
algorithms = ["HS256"]
leeway = "soon"
[policy]
directory = "policies"
zone = "Mars/Olympus"
reload = "always"
[audit]
directory = "audit"
node = "Gate 1"
[metrics]
address = 9464
[bounds]
requests = 0
header_bytes = "4MiB"
decision_body = "2MiB"
[[upstream]]
id = "platform"
url = "https://platform:9443/base"
[[upstream]]
id = "platform"
url = "http://platform"
[[route]]
method = "FETCH"
path = "/a/../b"
resource = "population.resident"
action = "query"
upstream = "plattform"
[[route]]
method = "GET"
path = "/a/{id}"
resource = "population.resident"
action = "query"
upstream = "platform"
parameters = { id = "path:nr", area = "cookie:area", year = "body:a[0]" }
"#,
    );
    assert!(config.is_none());
    insta::assert_snapshot!(report, @r###"
    DIR/gateway.toml:1:1: error[missing-section]: `[admin]` is missing; add `[admin]`: the listener for operators
    DIR/gateway.toml:3:14: error[bad-value]: `listen.addresses` has a value that cannot be used; an address and port, such as `127.0.0.1:8443` or `[::]:8443`
    DIR/gateway.toml:4:1: error[unknown-key]: unknown key `listen.adresses`; did you mean `addresses`?
    DIR/gateway.toml:6:15: error[file-unreadable]: `tls.certificate` names a file that cannot be read; DIR/missing.pem: No such file or directory (os error 2)
    DIR/gateway.toml:7:15: error[variable-unset]: `tls.key` names an environment variable that is not set; set `PINEGATE_TEST_NOT_SET` where this is run, as it is set for the gate
    DIR/gateway.toml:9:8: error[bad-value]: `tls.crls` has a value that cannot be used; a list of files, or `"none"` where there are none
    DIR/gateway.toml:11:16: error[bad-value]: `identity.trust_domain` has a value that cannot be used; lower-case letters, digits, `.`, `-` and `_`, such as `city.example`
    DIR/gateway.toml:13:10: error[bad-value]: `purpose.issuer` has a value that cannot be used; visible ASCII without blanks, quotes and backslashes
    DIR/gateway.toml:16:15: error[bad-value]: `purpose.algorithms` has a value that cannot be used; `ES256`, `EdDSA`, `PS256` or `RS256`
    DIR/gateway.toml:17:10: error[bad-value]: `purpose.leeway` has a value that cannot be used; expected a length of time such as `250ms`, `30s`, `5m`, `24h` or `180d`, above zero
    DIR/gateway.toml:20:8: error[bad-value]: `policy.zone` has a value that cannot be used; an IANA time zone, such as `Asia/Shanghai`
    DIR/gateway.toml:21:10: error[bad-value]: `policy.reload` has a value that cannot be used; `"signal"` or `"watch"`
    DIR/gateway.toml:24:8: error[bad-value]: `audit.node` has a value that cannot be used; a node name must be dotted lower-case words, such as `gate-1`
    DIR/gateway.toml:26:11: error[wrong-type]: `metrics.address` is of the wrong type (found integer); write a text in quotes
    DIR/gateway.toml:27:1: error[bad-value]: `bounds.header_bytes` has a value that cannot be used; a size from `8KiB` to `1MiB`
    DIR/gateway.toml:27:1: error[bad-value]: `bounds.decision_body` has a value that cannot be used; a size of at most `1MiB`
    DIR/gateway.toml:28:12: error[bad-value]: `bounds.requests` has a value that cannot be used; a whole number from 1 to 10000000
    DIR/gateway.toml:33:7: error[bad-value]: `upstream[0].url` has a value that cannot be used; `http://host:port` or `https://host:port` and nothing after it
    DIR/gateway.toml:38:10: error[bad-value]: `route[0].method` has a value that cannot be used; expected `GET`, `POST`, `PUT`, `PATCH` or `DELETE`
    DIR/gateway.toml:39:8: error[bad-value]: `route[0].path` has a value that cannot be used; expected a path without empty, `.` or `..` segments
    DIR/gateway.toml:42:12: error[bad-value]: `route[0].upstream` has a value that cannot be used; did you mean `platform`?
    DIR/gateway.toml:49:21: error[bad-value]: `route[1].parameters` has a value that cannot be used; `/a/{id}` has no `{nr}`
    DIR/gateway.toml:49:39: error[bad-value]: `route[1].parameters` has a value that cannot be used; expected `path:NAME`, `query:NAME`, `header:NAME` or `body:NAME.NAME`
    DIR/gateway.toml:49:61: error[bad-value]: `route[1].parameters` has a value that cannot be used; expected at most 8 names apart by dots, of letters, digits, `-` and `_`, such as `query.area`
    "###);
}

#[test]
fn parameters_may_be_members_of_the_body() {
    let files = Files::new();
    let from = r#"area = "query:area" }"#;
    let to = r#"area = "body:query.area" }"#;
    let text = RIGHT.replace(from, to).replace("zone = ", "shadow = \"../next\"\nzone = ");
    let (config, report) = files.load(&text);
    assert_eq!(report, "");
    let config = config.unwrap();
    let path = crate::parameters::BodyPath::parse("query.area").unwrap();
    let sources: Vec<_> = config.routes.iter().flat_map(|route| &route.parameters).collect();
    assert!(
        sources
            .iter()
            .any(|(name, from)| name.as_str() == "area" && *from == ParameterSource::Body(path.clone()))
    );
    assert_eq!(config.bounds.decision_body, ByteLimit::bytes(64 << 10));
    assert_eq!(config.policy.shadow, Some(files.directory.path().join("../next")));
}

/// [`RIGHT`] with these keys, and what they come to.
fn with_keys(keys: &str) -> (Option<Config>, String) {
    let files = Files::new();
    for (name, byte, length) in
        [("h1.key", 1, 32), ("h2.key", 2, 32), ("h3.key", 3, 64), ("short.key", 4, 31)]
    {
        fs::write(files.directory.path().join(name), vec![byte; length]).unwrap();
    }
    let text = RIGHT.replace("zone = \"Asia/Shanghai\"\n", &format!("zone = \"Asia/Shanghai\"\n{keys}\n"));
    files.load(&text)
}

#[test]
fn one_key_of_pseudonyms_is_used_always() {
    let (config, report) = with_keys("pseudonym_key = \"h1.key\"");
    assert_eq!(report, "");
    let keys = config.unwrap().policy.pseudonym_keys;
    let (place, key) = keys.at(Timestamp::MIN).unwrap();
    assert_eq!((place, key.label.as_str(), key.secret.expose()), (0, "h1", &[1; 32][..]));
    assert!(with_keys("").0.unwrap().policy.pseudonym_keys.is_empty());
    let (_, report) = with_keys("pseudonym_key = \"short.key\"");
    assert_eq!(
        report,
        "DIR/gateway.toml:19:17: error[bad-value]: `policy.pseudonym_key` has a value that cannot be used; a key of at least 32 bytes\n"
    );
}

#[test]
fn keys_of_pseudonyms_follow_each_other() {
    let (config, report) = with_keys(
        r#"
[[policy.pseudonym_key]]
label = "h3"
secret = "h3.key"
from = "2028-01-01T08:00:00+08:00"
[[policy.pseudonym_key]]
label = "h1"
secret = "h1.key"
[[policy.pseudonym_key]]
label = "h2"
secret = "h2.key"
from = "2027-01-01"
"#,
    );
    assert_eq!(report, "");
    let keys = config.unwrap().policy.pseudonym_keys;
    // A date begins at midnight in the zone of the policy.
    for (now, place, label) in [
        ("2026-12-31T15:59:59Z", 0, "h1"),
        ("2026-12-31T16:00:00Z", 1, "h2"),
        ("2027-12-31T23:59:59Z", 1, "h2"),
        ("2028-01-01T00:00:00Z", 2, "h3"),
    ] {
        let (at, key) = keys.at(now.parse().unwrap()).unwrap();
        assert_eq!((at, key.label.as_str()), (place, label), "{now}");
    }
}

#[test]
fn keys_of_pseudonyms_are_checked() {
    let (config, report) = with_keys(
        r#"
[[policy.pseudonym_key]]
label = "h1"
secret = "h1.key"
[[policy.pseudonym_key]]
label = "h1"
secret = "h2.key"
from = "2027-01-01"
[[policy.pseudonym_key]]
label = "h3"
secret = "h1.key"
from = "2027-01-01"
[[policy.pseudonym_key]]
label = "h4"
secret = "h3.key"
[[policy.pseudonym_key]]
label = "h:5"
secret = "short.key"
from = "next year"
until = "2028-01-01"
[[policy.pseudonym_key]]
label = "h6"
secret = "short.key"
from = "20280101"
[[policy.pseudonym_key]]
label = "h7"
secret = "short.key"
from = "2028-01-01"
[[policy.pseudonym_key]]
from = 2029-01-01
"#,
    );
    assert!(config.is_none());
    insta::assert_snapshot!(report, @r#"
    DIR/gateway.toml:24:9: error[bad-value]: `policy.pseudonym_key[1].label` has a value that cannot be used; a label of its own: pseudonyms of two keys could not be told apart
    DIR/gateway.toml:29:10: error[bad-value]: `policy.pseudonym_key[2].secret` has a value that cannot be used; a key that is not another one's, or nothing would change with it
    DIR/gateway.toml:31:1: error[bad-value]: `policy.pseudonym_key[3].from` has a value that cannot be used; a time of its own from which it is used; one key may have none, and is the first
    DIR/gateway.toml:35:9: error[bad-value]: `policy.pseudonym_key[4].label` has a value that cannot be used; a key label must be 1 to 16 letters and digits, such as `h2`
    DIR/gateway.toml:37:8: error[bad-value]: `policy.pseudonym_key[4].from` has a value that cannot be used; a date such as `2027-01-01`, or an instant such as `2027-01-01T08:00:00+08:00`
    DIR/gateway.toml:38:1: error[unknown-key]: unknown key `policy.pseudonym_key[4].until`; known here: from, label, secret
    DIR/gateway.toml:42:8: error[bad-value]: `policy.pseudonym_key[5].from` has a value that cannot be used; a date such as `2027-01-01`, or an instant such as `2027-01-01T08:00:00+08:00`
    DIR/gateway.toml:45:10: error[bad-value]: `policy.pseudonym_key[6].secret` has a value that cannot be used; a key of at least 32 bytes
    DIR/gateway.toml:47:1: error[missing-key]: `policy.pseudonym_key[7].label` is missing; add `label = …`: what stands before its pseudonyms, such as `h2`
    DIR/gateway.toml:47:1: error[missing-key]: `policy.pseudonym_key[7].secret` is missing; add `secret = …`: the file of the key, or `{ env = "NAME" }`
    DIR/gateway.toml:48:8: error[wrong-type]: `policy.pseudonym_key[7].from` is of the wrong type (found datetime); write a text in quotes
    "#);
}

#[test]
fn what_answers_come_as_is_said_by_route_and_upstream() {
    let files = Files::new();
    let (config, report) = files.load(RIGHT);
    assert_eq!(report, "");
    let plain = config.unwrap();
    assert_eq!((&plain.routes[0].media_type, plain.routes[0].compress), (&None, Compress::Coded));
    assert_eq!(plain.upstreams[0].accept_encoding, []);
    assert_eq!((plain.bounds.decoded_ratio, plain.bounds.decoded_reply.get()), (200, 16 << 30));
    let more = "media_type = \"text/csv; charset=GB2312\"\ncompress = \"always\"\n[bounds]\n\
                decoded_ratio = 50\ndecoded_reply = \"1GiB\"\n";
    let to = "url = \"http://127.0.0.1:9000\"\naccept_encoding = [\"zstd\", \"BR\", \"x-gzip\"]";
    let text = RIGHT.replace("url = \"http://127.0.0.1:9000\"", to) + more;
    let (config, report) = files.load(&text);
    assert_eq!(report, "");
    let config = config.unwrap();
    let media_type = config.routes[0].media_type.as_ref().unwrap();
    assert_eq!(media_type.to_string(), "text/csv; charset=gbk");
    assert_eq!(config.routes[0].compress, Compress::Always);
    assert_eq!(config.upstreams[0].accept_encoding, [Coding::Zstd, Coding::Brotli, Coding::Gzip]);
    assert_eq!((config.bounds.decoded_ratio, config.bounds.decoded_reply.get()), (50, 1 << 30));
    let wrong = "media_type = \"text/csv; charset=utf-16\"\ncompress = true\n[[route]]\nmethod = \"GET\"\n\
                 path = \"/b\"\nresource = \"a.b\"\naction = \"query\"\nupstream = \"platform\"\n\
                 media_type = \"csv\"\ncompress = \"yes\"\n[bounds]\ndecoded_ratio = 1\n";
    let to = "url = \"http://127.0.0.1:9000\"\naccept_encoding = [\"gzip\", \"deflate\", \"gzip\"]";
    let (config, report) = files.load(&(RIGHT.replace("url = \"http://127.0.0.1:9000\"", to) + wrong));
    assert!(config.is_none());
    insta::assert_snapshot!(report, @r#"
    DIR/gateway.toml:29:28: error[bad-value]: `upstream[0].accept_encoding` has a value that cannot be used; expected one of `zstd`, `br` and `gzip`
    DIR/gateway.toml:29:39: error[bad-value]: `upstream[0].accept_encoding` has a value that cannot be used; each coding once
    DIR/gateway.toml:37:14: error[bad-value]: `route[0].media_type` has a value that cannot be used; expected charset `utf-8`, `gbk`, `gb2312` or `gb18030`
    DIR/gateway.toml:38:12: error[wrong-type]: `route[0].compress` is of the wrong type (found boolean); write a text in quotes
    DIR/gateway.toml:45:14: error[bad-value]: `route[1].media_type` has a value that cannot be used; expected a media type such as `text/csv` or `text/csv; charset=gb18030`
    DIR/gateway.toml:46:12: error[bad-value]: `route[1].compress` has a value that cannot be used; `"never"` or `"coded"` or `"always"`
    DIR/gateway.toml:48:17: error[bad-value]: `bounds.decoded_ratio` has a value that cannot be used; a whole number from 2 to 100000
    "#);
}

#[test]
fn a_route_says_whether_sessions_are_opened() {
    let files = Files::new();
    let (config, report) = files.load(&format!("{RIGHT}upgrade = \"websocket\"\n"));
    assert_eq!(report, "");
    assert_eq!(config.unwrap().routes[0].upgrade, Some(Upgrade::WebSocket));
    assert_eq!(files.load(RIGHT).0.unwrap().routes[0].upgrade, None);
    let wrong = RIGHT.replace("\"GET\"", "\"POST\"") + "upgrade = \"h2c\"\n";
    let (config, report) = files.load(&wrong);
    assert!(config.is_none() && report.contains("`websocket`, or no `upgrade` at all"), "{report}");
    let wrong = RIGHT.replace("\"GET\"", "\"POST\"").replace("query:area", "body:area");
    let (config, report) = files.load(&format!("{wrong}upgrade = \"websocket\"\n"));
    assert!(config.is_none());
    for said in [
        "error[route-upgrade]: a WebSocket session is opened by a `GET`; answer `GET`, or remove `upgrade`",
        "error[route-upgrade]: the request that opens a WebSocket session has no body for a parameter to be in",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
}

#[test]
fn a_route_says_what_becomes_of_the_fields_in_a_body() {
    let files = Files::new();
    let rule = |request: &str| {
        let (config, report) = files.load(&format!("{}{request}\n", RIGHT.replace("\"GET\"", "\"POST\"")));
        assert_eq!(report, "", "{request}");
        config.unwrap().routes.into_iter().next_back().unwrap().request
    };
    assert_eq!(rule(""), None);
    assert_eq!(rule("request = { fields = \"pass\" }"), None);
    let restricted = rule("request = { fields = \"restrict\" }").unwrap();
    assert_eq!((restricted.fields, restricted.format), (RequestFields::Restrict, None));
    assert_eq!((restricted.records, restricted.envelope.len()), (None, 0));
    let table = "[route.request]\nfields = \"mask\"\nformat = \"xml\"\nrecords = \"a.b\"\nenvelope = [\"c\"]";
    let masked = rule(table).unwrap();
    assert_eq!((masked.fields, masked.format), (RequestFields::Mask, Some(crate::catalog::BodyFormat::Xml)));
    assert_eq!(masked.records.unwrap().as_str(), "a.b");
    assert_eq!(masked.envelope.first().unwrap().as_str(), "c");
    let (config, report) = files.load(&format!("{RIGHT}request = {{ fields = \"mask\", field = 1 }}\n"));
    assert!(config.is_none());
    assert!(
        report.contains("a `GET` has no body") && report.contains("unknown key `route[0].request.field`"),
        "{report}"
    );
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let (config, report) = Config::load(Path::new("/nonexistent/gateway.toml"));
    assert!(config.is_none());
    assert!(report.to_string().contains("cannot be read"), "{report}");
}

#[test]
fn templates_take_names_and_plain_segments() {
    for right in ["/a", "/a/{b}", "/v1.2/a_b/{c}/d~e"] {
        assert!(PathTemplate::parse(right).is_ok(), "{right}");
    }
    for wrong in
        ["", "a", "/a//b", "/a/", "/{a}/{a}", "/{}", "/a{b}", "/%41", "/a b", "/.", "/.well-known/pinegate/x"]
    {
        assert!(PathTemplate::parse(wrong).is_err(), "{wrong}");
    }
}

/// What only TLS keeps is not configured where there is none.
#[test]
fn a_sink_over_clear_text_has_neither_certificates_nor_a_token() {
    let files = Files::new();
    fs::write(files.directory.path().join("token"), "secret").unwrap();
    let sink = |url: &str, more: &str| {
        files.load(&format!("{RIGHT}\n[[audit.sink]]\nname = \"siem\"\nurl = \"{url}\"\n{more}\n")).1
    };
    let (ca, own) = ("ca = \"ca.pem\"", "certificate = \"server.pem\"\nkey = \"server.key\"");
    let token = "token = \"token\"";
    for (url, more, expected) in [
        ("http://siem.example", ca, "`https://…`, since certificates are configured"),
        ("http://127.0.0.1:1", own, "`https://…`, since certificates are configured"),
        ("syslog+tcp://siem.example", ca, "`syslog+tls://…`, since certificates are configured"),
        ("syslog+tcp://siem.example", own, "`syslog+tls://…`, since certificates are configured"),
        ("http://siem.example", token, "`https://…`, since it would send a token in clear text"),
        ("http://10.0.0.1:8080", token, "`https://…`, since it would send a token in clear text"),
    ] {
        let report = sink(url, more);
        assert!(report.contains("error[bad-value]: `audit.sink[0].url`"), "{url} {more}: {report}");
        assert!(report.contains(expected) && !report.contains("unknown"), "{url} {more}: {report}");
    }
    for (url, more) in [
        ("http://siem.example", ""),
        ("http://127.0.0.1:8080/x", token),
        ("http://[::1]:8080", token),
        ("http://localhost:8080", token),
        ("https://siem.example", &format!("{ca}\n{own}\n{token}")),
        ("syslog+tls://siem.example", &format!("{ca}\n{own}")),
        ("syslog+tcp://siem.example", ""),
    ] {
        assert_eq!(sink(url, more), "", "{url} {more}");
    }
}

#[test]
fn an_upstream_has_one_url_or_several_endpoints() {
    let files = Files::new();
    let (config, report) = files.load(RIGHT);
    assert_eq!(report, "");
    let plain = &config.unwrap().upstreams[0];
    assert_eq!(plain.endpoints.iter().map(|it| it.weight).collect::<Vec<_>>(), [1]);
    assert_eq!((plain.retry, plain.health.is_none()), (Retry::default(), true));
    assert_eq!((plain.max_requests, plain.provider_requests, plain.announces), (1_024, None, false));
    let more = r#"endpoints = [{ url = "http://a:1", weight = 3 }, { url = "http://b:1" }]
provider_requests = 7
proxy_protocol = true
resolve_interval = "1s"
[upstream.retry]
tries = 3
[upstream.ejection]
longest = "1h"
[upstream.breaker]
open = "1s"
[upstream.health]
path = "/up?deep=no"
"#;
    let (config, report) = files.load(&RIGHT.replace("url = \"http://127.0.0.1:9000\"", more));
    assert_eq!(report, "");
    let upstream = &config.unwrap().upstreams[0];
    let endpoints: Vec<_> = upstream.endpoints.iter().map(|it| (it.url.to_string(), it.weight)).collect();
    assert_eq!(endpoints, [("http://a:1/".to_owned(), 3), ("http://b:1/".to_owned(), 1)]);
    assert_eq!((upstream.provider_requests, upstream.announces), (Some(7), true));
    assert_eq!((upstream.retry.tries, upstream.retry.budget_percent), (3, 20));
    assert_eq!(upstream.ejection.longest, Duration::from_secs(3_600));
    let health = upstream.health.as_ref().unwrap();
    assert_eq!((health.path.to_string(), health.unhealthy), ("/up?deep=no".to_owned(), 3));
}

#[test]
fn what_is_wrong_with_an_upstream_comes_at_once() {
    let files = Files::new();
    let wrong = r#"url = "http://c:1"
endpoints = [{ url = "http://a:1" }, { url = "https://b:1", weight = 0 }, { url = "http://a:1", wait = 1 }]
max_requests = 0
[upstream.retry]
tries = 0
[upstream.ejection]
base = "1h"
longest = "1m"
max_percent = 101
[upstream.health]
path = "http://a:1/up"
[upstream.breaker]
opens = "1s"
[[upstream]]
id = "other"
endpoints = []
"#;
    let text = RIGHT
        .replace("url = \"http://127.0.0.1:9000\"", wrong)
        .replace("[listen]\n", "[listen]\nproxy_from = [\"10.0.0.1/8\", \"0.0.0.0/0\"]\n");
    let (config, report) = files.load(&text);
    assert!(config.is_none());
    insta::assert_snapshot!(report, @r#"
    DIR/gateway.toml:3:15: error[bad-value]: `listen.proxy_from` has a value that cannot be used; expected a network such as `10.0.0.0/8`, without bits beyond its prefix, or an address
    DIR/gateway.toml:3:29: error[bad-value]: `listen.proxy_from` has a value that cannot be used; expected a network such as `10.0.0.0/8`, without bits beyond its prefix, or an address
    DIR/gateway.toml:29:7: error[bad-value]: `upstream[0].url` has a value that cannot be used; either `url`, or `endpoints` with a `url` in each
    DIR/gateway.toml:30:46: error[bad-value]: `upstream[0].endpoints[1].url` has a value that cannot be used; the scheme of the first: one upstream is one service
    DIR/gateway.toml:30:70: error[bad-value]: `upstream[0].endpoints[1].weight` has a value that cannot be used; a whole number from 1 to 1000
    DIR/gateway.toml:30:83: error[bad-value]: `upstream[0].endpoints[2].url` has a value that cannot be used; a url of its own; `weight` gives one a larger share
    DIR/gateway.toml:30:97: error[unknown-key]: unknown key `upstream[0].endpoints[2].wait`; known here: url, weight
    DIR/gateway.toml:31:16: error[bad-value]: `upstream[0].max_requests` has a value that cannot be used; a whole number from 1 to 1000000
    DIR/gateway.toml:33:9: error[bad-value]: `upstream[0].retry.tries` has a value that cannot be used; a whole number from 1 to 5
    DIR/gateway.toml:36:11: error[bad-value]: `upstream[0].ejection.longest` has a value that cannot be used; no less than `base`
    DIR/gateway.toml:37:15: error[bad-value]: `upstream[0].ejection.max_percent` has a value that cannot be used; a whole number from 1 to 100
    DIR/gateway.toml:39:8: error[bad-value]: `upstream[0].health.path` has a value that cannot be used; a path, such as `/healthz`
    DIR/gateway.toml:41:1: error[unknown-key]: unknown key `upstream[0].breaker.opens`; did you mean `open`?
    DIR/gateway.toml:44:13: error[bad-value]: `upstream[1].endpoints` has a value that cannot be used; from 1 to 32 tables such as `{ url = "http://10.0.0.7:9080" }`
    "#);
}
