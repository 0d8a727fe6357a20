//! Records as events of the Open Cybersecurity Schema Framework, version 1.6.0, one JSON object a line: API
//! Activity (6003) with the profiles `security_control` and `trace`, and Application Lifecycle (6002).
//!
//! Texts are handed on in the escaped form of the log. What the framework has no attribute for is in
//! `unmapped`, under its own name.

use crate::audit::{Members, Name, push_escaped};
use crate::kernel::time::Timestamp;

/// The version of the schema that events are made for.
pub(super) const VERSION: &str = "1.6.0";

/// The classes, and their category.
const APPLICATION: u64 = 6;
const API_ACTIVITY: u64 = 6003;
const APPLICATION_LIFECYCLE: u64 = 6002;

/// The values of enumerations that mean the same in every class.
const OTHER: u64 = 99;
const SUCCESS: u64 = 1;
const FAILURE: u64 = 2;

/// Members that have an attribute of their own; all others are `unmapped`.
const MAPPED: &[Name] = &[
    Name::V,
    Name::SEQ,
    Name::NODE,
    Name::GENERATION,
    Name::KIND,
    Name::AT,
    Name::REQUEST,
    Name::TRACE,
    Name::SYSTEM,
    Name::DEPARTMENT,
    Name::CERTIFICATE,
    Name::ADDRESS,
    Name::METHOD,
    Name::ROUTE,
    Name::RESOURCE,
    Name::PROVIDER,
    Name::ACTION,
    Name::TOKEN,
    Name::DECISION,
    Name::REASON,
    Name::GRANTS,
    Name::DENIED_BY,
    Name::EVENT,
    Name::STATUS,
    Name::BYTES_IN,
    Name::BYTES_OUT,
];

/// Appends the event of a record as one line.
pub(super) fn event(record: &Members<'_>, out: &mut Vec<u8>) {
    let mut event = Object::begin(out);
    if record.raw(Name::EVENT).is_some() {
        lifecycle(record, &mut event);
    } else {
        access(record, &mut event);
    }
    event.object("unmapped", |unmapped| {
        for name in Name::all().filter(|name| !MAPPED.contains(name)) {
            unmapped.raw(name.as_str(), record.raw(name));
        }
    });
    event.end();
    out.push(b'\n');
}

fn class(event: &mut Object<'_>, class: u64, activity: u64, name: &str) {
    event.number("class_uid", class);
    event.number("category_uid", APPLICATION);
    event.number("activity_id", activity);
    event.raw("activity_name", Some(name));
    event.number("type_uid", class * 100 + activity);
}

fn common(record: &Members<'_>, event: &mut Object<'_>, profiles: &[&str]) {
    let at: Option<Timestamp> = record.word(Name::AT).parse().ok();
    // An instant of before 1970 or of no form cannot have been recorded by a gate.
    event.number("time", at.and_then(|at| at.as_millisecond().try_into().ok()).unwrap_or(0));
    event.object("metadata", |metadata| {
        metadata.word("version", VERSION);
        metadata.object("product", product);
        let place = [Name::NODE, Name::GENERATION, Name::SEQ].map(|name| record.word(name)).join("/");
        metadata.word("uid", &place);
        metadata.raw("sequence", record.raw(Name::SEQ));
        metadata.raw("correlation_uid", record.raw(Name::REQUEST));
        metadata.raw("event_code", record.raw(Name::KIND));
        metadata.raw("original_time", record.raw(Name::AT));
        metadata.word("log_name", "audit");
        metadata.raw("log_provider", record.raw(Name::NODE));
        metadata.word("log_version", &record.word(Name::V));
        if !profiles.is_empty() {
            metadata.list("profiles", profiles, |item, profile| item.text(profile));
        }
    });
}

fn product(product: &mut Object<'_>) {
    product.word("name", "Pinegate");
    product.word("vendor_name", "Pinegate");
    product.word("version", env!("CARGO_PKG_VERSION"));
}

fn access(record: &Members<'_>, event: &mut Object<'_>) {
    // Create (1) is left out: a POST may ask as well as change.
    let activity = match &*record.word(Name::METHOD) {
        "GET" | "HEAD" => Some((2, "\"Read\"")),
        "PUT" | "PATCH" => Some((3, "\"Update\"")),
        "DELETE" => Some((4, "\"Delete\"")),
        _ => None,
    };
    let action = record.raw(Name::ACTION).or(record.raw(Name::METHOD)).unwrap_or("\"unknown\"");
    let (activity, name) = activity.unwrap_or((OTHER, action));
    class(event, API_ACTIVITY, activity, name);
    let decision = record.word(Name::DECISION);
    let (severity, action_id, action_name) = match &*decision {
        "permit" => (1, 1, "Allowed"),
        "deny" => (2, 2, "Denied"),
        _ => (3, 0, "Unknown"),
    };
    event.number("severity_id", severity);
    event.number("action_id", action_id);
    event.word("action", action_name);
    status(record, event, &decision);
    common(record, event, &["security_control", "trace"]);
    event.object("actor", |actor| {
        actor.object("user", |user| {
            user.raw("uid", record.raw(Name::SYSTEM).or(record.raw(Name::CERTIFICATE)));
            user.number("type_id", 3);
            user.word("type", "System");
            user.raw("credential_uid", record.raw(Name::CERTIFICATE));
            user.object_of("org", &[("uid", record.raw(Name::DEPARTMENT))]);
        });
        actor.object_of("session", &[("uid", record.raw(Name::TOKEN))]);
        authorizations(record, &decision, actor);
    });
    api(record, event, action);
    event.object_of("src_endpoint", &[("ip", record.raw(Name::ADDRESS))]);
    event.object_of("dst_endpoint", &[("name", record.raw(Name::NODE))]);
    event.object_of("trace", &[("uid", record.raw(Name::TRACE))]);
}

/// The grants that the answer rests on, and the deny lines that matched.
fn authorizations(record: &Members<'_>, decision: &str, actor: &mut Object<'_>) {
    let by_grants = record.items(Name::GRANTS).map(|grant| (decision, grant));
    let by_denials = record.items(Name::DENIED_BY).map(|grant| ("deny", grant));
    let all: Vec<_> = by_grants.chain(by_denials).collect();
    if !all.is_empty() {
        actor.list("authorizations", &all, |item, (decision, grant)| {
            item.object(|authorization| {
                authorization.word("decision", decision);
                authorization.object("policy", |policy| policy.word("uid", grant));
            });
        });
    }
}

fn status(record: &Members<'_>, event: &mut Object<'_>, decision: &str) {
    let is_good =
        record.number(Name::STATUS).is_none_or(|status| status < 400) && record.raw(Name::ABORTED).is_none();
    let (id, name) = match decision {
        // What is about to happen has no end yet.
        _ if record.is(Name::KIND, "intent") => (0, "Unknown"),
        "permit" if is_good => (SUCCESS, "Success"),
        "permit" | "deny" | "error" => (FAILURE, "Failure"),
        _ => (0, "Unknown"),
    };
    event.number("status_id", id);
    event.word("status", name);
    if let Some(status) = record.text(Name::STATUS) {
        event.word("status_code", &status);
    }
    event.raw("status_detail", record.raw(Name::REASON));
}

fn api(record: &Members<'_>, event: &mut Object<'_>, action: &str) {
    event.object("api", |api| {
        api.raw("operation", Some(action));
        api.object_of("request", &[("uid", record.raw(Name::REQUEST))]);
        api.object_of("response", &[("code", record.raw(Name::STATUS)), ("error", record.raw(Name::REASON))]);
        api.object_of("service", &[("uid", record.raw(Name::PROVIDER))]);
    });
    event.object("http_request", |request| {
        request.raw("uid", record.raw(Name::REQUEST));
        request.raw("http_method", record.raw(Name::METHOD));
        request.raw("body_length", record.raw(Name::BYTES_IN));
        request.object_of("url", &[("path", record.raw(Name::ROUTE))]);
    });
    if record.raw(Name::STATUS).is_some() {
        event.object("http_response", |response| {
            response.raw("code", record.raw(Name::STATUS));
            response.raw("body_length", record.raw(Name::BYTES_OUT));
            if let Some(micros) = record.number(Name::TOTAL_US) {
                response.number("latency", micros / 1_000);
            }
        });
    }
    if let Some(resource) = record.raw(Name::RESOURCE) {
        event.list("resources", &[resource], |item, resource| {
            item.object(|details| {
                details.raw("uid", Some(resource));
                details.raw("name", Some(resource));
                details.object_of("owner", &[("uid", record.raw(Name::PROVIDER))]);
            });
        });
    }
}

fn lifecycle(record: &Members<'_>, event: &mut Object<'_>) {
    let name = record.raw(Name::EVENT).unwrap_or("\"unknown\"");
    let (activity, name) = match &*record.word(Name::EVENT) {
        "start" => (3, "\"Start\""),
        "stop" => (4, "\"Stop\""),
        "reload" => (8, "\"Update\""),
        _ => (OTHER, name),
    };
    class(event, APPLICATION_LIFECYCLE, activity, name);
    event.number("severity_id", 1);
    common(record, event, &[]);
    event.object("app", |app| {
        product(app);
        app.raw("uid", record.raw(Name::NODE));
    });
}

/// A JSON object that is being written.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Object<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_first: true }
    }

    fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        quoted(self.out, key);
        self.out.push(b':');
    }

    /// JSON as it stands in the log; nothing if it does not.
    fn raw(&mut self, key: &str, raw: Option<&str>) {
        if let Some(raw) = raw {
            self.key(key);
            self.out.extend_from_slice(raw.as_bytes());
        }
    }

    fn number(&mut self, key: &str, number: u64) {
        self.raw(key, Some(&number.to_string()));
    }

    /// A text that the log has not as it is to be written.
    fn word(&mut self, key: &str, word: &str) {
        self.key(key);
        quoted(self.out, word);
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        Item { out: self.out }.object(fill);
    }

    /// An object of what the log has of these; nothing if it has none.
    fn object_of(&mut self, key: &str, members: &[(&str, Option<&str>)]) {
        if members.iter().any(|(_, raw)| raw.is_some()) {
            self.object(key, |object| members.iter().for_each(|(key, raw)| object.raw(key, *raw)));
        }
    }

    fn list<T>(&mut self, key: &str, items: &[T], mut write: impl FnMut(Item<'_>, &T)) {
        self.key(key);
        self.out.push(b'[');
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            write(Item { out: self.out }, item);
        }
        self.out.push(b']');
    }
}

/// A place for one value.
struct Item<'o> {
    out: &'o mut Vec<u8>,
}

impl Item<'_> {
    fn text(self, word: &str) {
        quoted(self.out, word);
    }

    fn object(self, fill: impl FnOnce(&mut Object<'_>)) {
        let mut object = Object::begin(self.out);
        fill(&mut object);
        object.end();
    }
}

/// Appends a text in quotes, escaped as in the log.
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text, usize::MAX);
    out.push(b'"');
}
