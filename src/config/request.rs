//! `[route.request]`: what becomes of the fields in a request's body.

use std::ops::Range;

use http::Method;

use super::RouteMethod;
use crate::catalog::BodyFormat;
use crate::document::Table;
use crate::kernel::id::FieldPath;

/// What becomes of what the caller's grants do not give, in the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFields {
    /// The request is refused.
    Restrict,
    /// It is dropped, and what is granted goes on as masked as it would come back.
    Mask,
}

/// The rule of a route whose request bodies are held against the grants of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRule {
    /// What becomes of what is not granted.
    pub fields: RequestFields,
    /// What the bodies are; the resource's own format unless it is said.
    pub format: Option<BodyFormat>,
    /// The member that holds the record or the records; `None` if the body itself does.
    pub records: Option<FieldPath>,
    /// Members around the records that pass whatever they hold.
    pub envelope: Vec<FieldPath>,
    /// Where it stands in the file, for cross-checks with the policy directory.
    pub span: Range<usize>,
}

/// Reads the rule of a route that answers `method`; none lets bodies pass as they are.
pub(super) fn read(route: &Table<'_, '_>, method: Option<&RouteMethod>) -> Option<RequestRule> {
    let table = route.table("request")?;
    let fields = table.required("fields", EXPECTED_FIELDS, parse_fields);
    let format = table.parsed("format", parse_format);
    let records = table.parsed("records", FieldPath::parse);
    let envelope = table.parsed_list("envelope", FieldPath::parse);
    let (document, span) = (table.document(), table.span());
    table.finish();
    let fields = fields?;
    let Some(wanted) = fields.value else {
        let shape = [format.map(|at| at.span), records.map(|at| at.span)];
        let shape = shape.into_iter().flatten().chain(envelope.into_iter().map(|at| at.span));
        for at in shape {
            let message = "what a body looks like means nothing where it passes as it is";
            document.error("request-shape", at, message, "remove it, or write `fields = \"restrict\"`");
        }
        return None;
    };
    if method.is_some_and(|method| *method.as_method() == Method::GET) {
        let help = "remove `request`, or answer the method that sends the body, such as `POST`";
        document.error("request-shape", fields.span, "a `GET` has no body to hold against grants", help);
    }
    if let (Some(first), None) = (envelope.first(), &records) {
        let help = "name the member that holds the records: `records = \"data\"`";
        document.error("request-shape", first.span.clone(), "an envelope needs `records`", help);
    }
    Some(RequestRule {
        fields: wanted,
        format: format.map(|at| at.value),
        records: records.map(|at| at.value),
        envelope: envelope.into_iter().map(|at| at.value).collect(),
        span,
    })
}

const EXPECTED_FIELDS: &str = "`\"pass\"`, `\"restrict\"` or `\"mask\"`";

/// `None` for bodies that pass as they are.
fn parse_fields(word: &str) -> Result<Option<RequestFields>, &'static str> {
    match word {
        "pass" => Ok(None),
        "restrict" => Ok(Some(RequestFields::Restrict)),
        "mask" => Ok(Some(RequestFields::Mask)),
        _ => Err(EXPECTED_FIELDS),
    }
}

fn parse_format(word: &str) -> Result<BodyFormat, &'static str> {
    let mut known = BodyFormat::ALL.into_iter().filter(|format| *format != BodyFormat::Opaque);
    let found = known.find(|format| format.as_str() == word);
    found.ok_or("`json`, `ndjson`, `event-stream`, `csv`, `xml` or `form`")
}
