//! A request as JSON.

use std::io::Read as _;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::cli::CommandError;
use crate::cli::when::When;
use crate::grant::Request;
use crate::kernel::id::{Action, GrantId, IdError, ParameterName, PurposeCode, ResourceId, SystemId};

/// The most bytes that a request may have.
const MAX_BYTES: u64 = 1 << 20;

/// A request and when it is made.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) request: Request,
    pub(super) at: Option<When>,
}

/// Reads a request from `path`, or from standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Given, CommandError> {
    let unreadable = |source| CommandError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).map_err(unreadable)?.take(MAX_BYTES).read_to_string(&mut text)
    };
    read.map_err(unreadable)?;
    parse(&text).map_err(|source| CommandError::Request { file: path.display().to_string(), source })
}

/// Reads a request. Errors say line and column.
pub(super) fn parse(text: &str) -> Result<Given, serde_json::Error> {
    let json: RequestJson = serde_json::from_str(text)?;
    let request = Request {
        system: json.system,
        resource: json.resource,
        action: json.action,
        purpose: json.purpose,
        fields: json.fields,
        parameters: json.parameters.0,
        narrowed_to: json.token_grants.map(|grants| grants.0),
    };
    Ok(Given { request, at: json.at })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestJson {
    #[serde(deserialize_with = "system")]
    system: SystemId,
    #[serde(deserialize_with = "resource")]
    resource: ResourceId,
    #[serde(default = "query", deserialize_with = "action")]
    action: Action,
    #[serde(deserialize_with = "purpose")]
    purpose: PurposeCode,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(default)]
    token_grants: Option<Grants>,
    #[serde(default, deserialize_with = "at")]
    at: Option<When>,
}

fn id<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: impl Fn(&str) -> Result<T, IdError>,
) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(|error| de::Error::custom(format!("`{text}`: {error}")))
}

fn system<'de, D: Deserializer<'de>>(from: D) -> Result<SystemId, D::Error> {
    id(from, SystemId::parse)
}

fn resource<'de, D: Deserializer<'de>>(from: D) -> Result<ResourceId, D::Error> {
    id(from, ResourceId::parse)
}

fn action<'de, D: Deserializer<'de>>(from: D) -> Result<Action, D::Error> {
    id(from, Action::parse)
}

fn purpose<'de, D: Deserializer<'de>>(from: D) -> Result<PurposeCode, D::Error> {
    id(from, PurposeCode::parse)
}

/// The action where none is given.
#[expect(clippy::unwrap_used, reason = "a constant that is an action")]
fn query() -> Action {
    Action::parse("query").unwrap()
}

fn at<'de, D: Deserializer<'de>>(from: D) -> Result<Option<When>, D::Error> {
    let text = String::deserialize(from)?;
    When::parse(&text).map(Some).map_err(de::Error::custom)
}

struct Grants(Vec<GrantId>);

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let parsed = texts.iter().map(|text| {
            GrantId::parse(text).map_err(|error| de::Error::custom(format!("`{text}`: {error}")))
        });
        let grants: Vec<GrantId> = parsed.collect::<Result<_, _>>()?;
        if grants.is_empty() {
            let why = "`token_grants` is empty: leave it out for a token that names no grants";
            return Err(de::Error::custom(why));
        }
        Ok(Self(grants))
    }
}

/// `{"name": "value"}`, or a list of values for a parameter that comes several times.
#[derive(Default)]
struct Parameters(Vec<(ParameterName, Vec<String>)>);

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "a parameter's value is a text, or a list of texts")]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Parameters;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of parameters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Parameters, A::Error> {
                let mut parameters = Parameters::default();
                while let Some(name) = members.next_key::<String>()? {
                    let name = ParameterName::parse(&name)
                        .map_err(|error| de::Error::custom(format!("`{name}`: {error}")))?;
                    if parameters.0.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format!("the parameter `{name}` is given twice")));
                    }
                    let values = match members.next_value::<Values>()? {
                        Values::One(value) => vec![value],
                        Values::Several(values) => values,
                    };
                    parameters.0.push((name, values));
                }
                Ok(parameters)
            }
        }
        from.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_strictly_and_in_place() {
        let given = parse(
            r#"{"system": "sys:a", "resource": "b.c", "purpose": "d.e", "fields": ["f"],
                "parameters": {"area": "1", "year": ["2", "3"]}, "token_grants": ["G-1"], "at": "2026-06-01T10:00"}"#,
        )
        .unwrap();
        let Request { action, parameters, narrowed_to, .. } = given.request;
        assert_eq!((action.as_str(), narrowed_to.map(|it| it.len())), ("query", Some(1)));
        let parameters: Vec<_> =
            parameters.iter().map(|(name, values)| (name.as_str(), values.len())).collect();
        assert_eq!(parameters, [("area", 1), ("year", 2)]);
        assert!(given.at.is_some());
        let start = "{\"system\": \"sys:a\", \"resource\": \"b.c\", \"purpose\": \"d.e\",\n";
        for (rest, message) in [
            ("\"system\": \"sys:b\"}", "duplicate field `system` at line 2 column 8"),
            ("\"purposes\": 1}", "unknown field `purposes`"),
            ("\"fields\": \"name\"}", "invalid type: string \"name\", expected a sequence at line 2"),
            ("\"action\": \"Query\"}", "`Query`: an action must be"),
            ("\"at\": \"noon\"}", "expected an instant"),
            ("\"at\": null}", "invalid type: null"),
            ("\"token_grants\": []}", "leave it out"),
            ("\"token_grants\": [\"a b\"]}", "`a b`: a grant id must be"),
            ("\"parameters\": {\"area\": 1}}", "a parameter's value is a text, or a list of texts"),
            ("\"parameters\": {\"area\": \"1\", \"area\": \"2\"}}", "`area` is given twice"),
            ("\"action\": \"query\"} {}", "trailing characters at line 2"),
        ] {
            let error = parse(&format!("{start}{rest}")).unwrap_err().to_string();
            assert!(error.contains(message) && error.contains("at line 2"), "{rest}: {error}");
        }
        assert!(parse("{}").unwrap_err().to_string().contains("missing field `system`"));
    }
}
