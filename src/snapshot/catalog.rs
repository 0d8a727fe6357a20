//! `catalog.toml`: the resource catalogue (政务数据资源目录).

mod xml;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::reference::{Declared, head};
use crate::catalog::{
    BodyFormat, BodyShape, Delimiter, Egress, Field, FieldType, Level, NameMatching, Parameter, Resource,
    SUBJECT_KINDS, Sharing, XmlNames,
};
use crate::document::{At, Document, Table};
use crate::kernel::diagnostic::{Report, Source, did_you_mean};
use crate::kernel::id::{
    Action, DepartmentId, FieldPath, GroupName, MaskerName, ParameterName, ResourceId, SubjectKind,
};

/// The names that the catalogue may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'n> {
    pub(super) departments: &'n Declared<DepartmentId>,
    pub(super) maskers: &'n Declared<MaskerName>,
}

/// What `catalog.toml` says.
#[derive(Debug)]
pub(super) struct CatalogFile {
    pub(super) resources: BTreeMap<ResourceId, Arc<Resource>>,
    pub(super) declared: Declared<ResourceId>,
}

/// Reads `catalog.toml`.
pub(super) fn read(source: &Source, names: Names<'_>) -> (CatalogFile, Report) {
    let document = Document::parse(source);
    let root = document.root();
    let mut file = CatalogFile { resources: BTreeMap::new(), declared: Declared::new("a resource") };
    for table in root.tables("resource") {
        if let Some(resource) = read_resource(&table, &mut file.declared, names) {
            file.resources.insert(resource.id.clone(), Arc::new(resource));
        }
        table.finish();
    }
    root.finish();
    (file, document.into_report())
}

fn read_resource(
    table: &Table<'_, '_>,
    declared: &mut Declared<ResourceId>,
    names: Names<'_>,
) -> Option<Resource> {
    let document = table.document();
    let id = table.required("id", "such as `population.resident`", ResourceId::parse);
    let name = table.required_text("name", "the resource's name for people");
    let provider = table.required("provider", "the department that answers for it", DepartmentId::parse);
    let class = table.required_text("class", "its class in the catalogue, such as `基础信息资源/人口`");
    let sharing = table.required("sharing", SHARING_EXPECTED, parse_sharing);
    let update_within = table.text("update_within").map(|text| text.value.to_owned());
    let requirements = table.text("requirements").map_or_else(String::new, |text| text.value.to_owned());
    let actions = read_actions(table);
    let (fields, paths, spelled) = read_fields(table, names);
    let groups = read_groups(table, &paths);
    let parameters = read_parameters(table);
    let body = read_body(table, fields.is_empty(), &spelled);
    let egress = read_egress(table, body.as_ref());
    let provider = provider.filter(|provider| names.departments.check(document, provider));
    let id = id?;
    if !declared.declare(document, &id) {
        return None;
    }
    Some(Resource {
        id: id.value,
        name: name?.value,
        provider: provider?.value,
        class: class?.value,
        sharing: sharing?.value,
        actions,
        update_within,
        requirements,
        body: body?,
        egress,
        fields,
        groups,
        parameters,
    })
}

const SHARING_EXPECTED: &str = "`unconditional`, `conditional` or `none`";

fn parse_sharing(word: &str) -> Result<Sharing, String> {
    [Sharing::Unconditional, Sharing::Conditional, Sharing::None]
        .into_iter()
        .find(|sharing| sharing.as_str() == word)
        .ok_or_else(|| format!("write {SHARING_EXPECTED}"))
}

fn read_actions(table: &Table<'_, '_>) -> Vec<Action> {
    let mut declared = Declared::new("a way of sharing");
    if !table.has("mode") {
        table.missing("mode", "how it is shared, such as `[\"query\", \"verify\"]`");
    }
    let actions = table.parsed_list("mode", Action::parse);
    if actions.is_empty() && table.has("mode") {
        let help = "name at least one, such as `query`";
        table.document().error("bad-value", head(table), "`mode` names no way to use the resource", help);
    }
    let mut first_time = |action: &At<Action>| declared.declare(table.document(), action);
    actions.into_iter().filter(|action| first_time(action)).map(|action| action.value).collect()
}

/// The fields, and every path that was declared, right or wrong in other ways, with what it stands for
/// in XML.
fn read_fields<'d>(
    table: &Table<'d, '_>,
    names: Names<'_>,
) -> (Vec<Field>, Declared<FieldPath>, Vec<xml::Spelled<'d>>) {
    let document = table.document();
    let mut declared = Declared::new("a field of this resource");
    let mut fields = Vec::new();
    let mut placed: Vec<xml::Spelled<'d>> = Vec::new();
    for table in table.tables("fields") {
        let name = table.required("name", "its path in a record, such as `address.city`", FieldPath::parse);
        let label = table.required_text("label", "its name for people");
        let kind = table.parsed("type", parse_type).map_or(FieldType::String, |kind| kind.value);
        if !table.has("level") {
            table.missing("level", "how sensitive it is, from 1 (public) to 4");
        }
        let level = table.integer("level", 1..=4);
        let nested = table.parsed("nested", parse_nested);
        let mask = table.parsed("mask", MaskerName::parse);
        let source = table.parsed("source", DepartmentId::parse);
        let xml = table.text("xml");
        table.finish();
        if let Some(nested) = &nested
            && kind != FieldType::Object
        {
            let help = "write `type = \"object\"` and declare the fields below it, or remove `nested`";
            document.error("field-nesting", nested.span.clone(), "only an object can be nested", help);
        }
        let nested = nested.is_some();
        let mask = mask.filter(|mask| names.maskers.check(document, mask));
        let source = source.filter(|source| names.departments.check(document, source));
        let Some(name) = name else { continue };
        if !declared.declare(document, &name) {
            continue;
        }
        placed.push(xml::Spelled { path: name.clone(), kind, xml });
        let level = level.and_then(|level| Level::new(u8::try_from(level.value).ok()?));
        if let (Some(label), Some(level)) = (label, level) {
            fields.push(Field {
                path: name.value,
                label: label.value,
                kind,
                level,
                mask: mask.map(|mask| mask.value),
                source: source.map(|source| source.value),
                nested,
            });
        }
    }
    check_nesting(document, &placed);
    (fields, declared, placed)
}

/// What a text can hold that has fields of its own.
fn parse_nested(word: &str) -> Result<(), &'static str> {
    if word == "json" { Ok(()) } else { Err("write `json`: the text holds a JSON document") }
}

fn parse_type(word: &str) -> Result<FieldType, &'static str> {
    match word {
        "string" => Ok(FieldType::String),
        "number" => Ok(FieldType::Number),
        "boolean" => Ok(FieldType::Boolean),
        "date" => Ok(FieldType::Date),
        "object" => Ok(FieldType::Object),
        _ => Err("write `string`, `number`, `boolean`, `date` or `object`"),
    }
}

/// A field that has fields below it must say that it is an object: otherwise a grant on it, and the
/// masker it gets, would be about something that is not there.
fn check_nesting(document: &Document<'_>, fields: &[xml::Spelled<'_>]) {
    let sorted: BTreeMap<&str, (&Range<usize>, FieldType)> =
        fields.iter().map(|field| (field.path.value.as_str(), (&field.path.span, field.kind))).collect();
    for xml::Spelled { path, .. } in fields {
        let text = path.value.as_str();
        let parents = text.match_indices('.').filter_map(|(dot, _)| text.get(..dot));
        for parent in parents {
            if let Some((span, kind)) = sorted.get(parent)
                && *kind != FieldType::Object
            {
                let line = document.source().position(span.start).line;
                document.error(
                    "field-nesting",
                    path.span.clone(),
                    format!("`{text}` lies below `{parent}`, which is no object"),
                    format!("give `{parent}` on line {line} `type = \"object\"`, or remove one of them"),
                );
            }
        }
    }
}

fn read_groups(table: &Table<'_, '_>, fields: &Declared<FieldPath>) -> BTreeMap<GroupName, Vec<FieldPath>> {
    let document = table.document();
    let mut groups = BTreeMap::new();
    for (name, members) in table.named_lists("groups") {
        let mut declared = Declared::new("a member of this group");
        let mut paths = Vec::new();
        if members.is_empty() {
            let message = format!("the group `{}` is empty", name.value);
            document.error("bad-value", name.span.clone(), message, "name at least one field");
        }
        for member in members {
            match FieldPath::parse(member.value) {
                Ok(path) => {
                    let path = At { value: path, span: member.span };
                    if fields.check(document, &path) && declared.declare(document, &path) {
                        paths.push(path.value);
                    }
                }
                Err(error) => table.bad_value("groups", member.span, &error),
            }
        }
        match GroupName::parse(name.value) {
            Ok(group) => _ = groups.insert(group, paths),
            Err(error) => table.bad_value("groups", name.span, &error),
        }
    }
    groups
}

fn read_parameters(table: &Table<'_, '_>) -> Vec<Parameter> {
    let document = table.document();
    let mut declared = Declared::new("a parameter of this resource");
    let mut parameters = Vec::new();
    for table in table.tables("parameters") {
        let name = table.required("name", "such as `area`", ParameterName::parse);
        let label = table.required_text("label", "its name for people");
        let recordable = table.flag("recordable").is_some_and(|flag| flag.value);
        let subject = table.parsed("subject", parse_subject).map(|subject| subject.value);
        table.finish();
        let Some(name) = name else { continue };
        if name.value.as_str() == "rows" {
            let help = "in a scope `rows` caps the records of a reply; choose another name";
            document.error("reserved-name", name.span, "a parameter cannot be called `rows`", help);
            continue;
        }
        if declared.declare(document, &name)
            && let Some(label) = label
        {
            parameters.push(Parameter { name: name.value, label: label.value, recordable, subject });
        }
    }
    parameters
}

/// A kind that is nearly a known one is a slip: its numbers would not be brought to one form, and nobody
/// would find them.
fn parse_subject(word: &str) -> Result<SubjectKind, String> {
    let kind = SubjectKind::parse(word).map_err(|error| error.to_string())?;
    if SUBJECT_KINDS.contains(&word) {
        return Ok(kind);
    }
    match did_you_mean(word, SUBJECT_KINDS) {
        Some(near) => Err(format!("did you mean `{near}`? choose a word that is less like it if not")),
        None => Ok(kind),
    }
}

fn read_body(table: &Table<'_, '_>, has_no_fields: bool, spelled: &[xml::Spelled<'_>]) -> Option<BodyShape> {
    let document = table.document();
    let format = match table.parsed("format", parse_format) {
        Some(format) => format.value,
        None if table.has("format") => return None,
        None => BodyFormat::Json,
    };
    let delimiter = table.parsed("delimiter", parse_delimiter);
    if let (Some(delimiter), true) = (&delimiter, format != BodyFormat::Csv) {
        let help = "remove it, or write `format = \"csv\"`";
        document.error("body-shape", delimiter.span.clone(), "only CSV has a `delimiter`", help);
    }
    let delimiter = delimiter.map_or(Delimiter::Comma, |delimiter| delimiter.value);
    let names = table.parsed("names", parse_names).map_or(NameMatching::Exact, |names| names.value);
    let records = table.parsed("records", FieldPath::parse);
    let envelope = table.parsed_list("envelope", FieldPath::parse);
    let keys = xml::Keys::read(table);
    let only_json = |span: Range<usize>, key: &str| {
        let message = format!("`{key}` is about JSON documents, not this format");
        document.error("body-shape", span, message, "remove it, or write `format = \"json\"`");
    };
    match format {
        BodyFormat::Json | BodyFormat::Xml => check_envelope(document, records.as_ref(), &envelope),
        BodyFormat::EventStream => {
            if let Some(records) = &records {
                only_json(records.span.clone(), "records");
            }
            check_event_fields(document, &envelope);
        }
        BodyFormat::NdJson | BodyFormat::Csv | BodyFormat::Form | BodyFormat::Opaque => {
            if let Some(records) = &records {
                only_json(records.span.clone(), "records");
            }
            if let Some(first) = envelope.first() {
                only_json(first.span.clone(), "envelope");
            }
        }
    }
    let xml = if format == BodyFormat::Xml {
        keys.names(table, records.as_ref(), &envelope, spelled)
    } else {
        keys.refuse(document, spelled);
        XmlNames::default()
    };
    if format == BodyFormat::Opaque && !has_no_fields {
        let help = "remove `fields`: a file is granted whole or not at all";
        document.error("body-shape", head(table), "an opaque body has no fields to mask or drop", help);
    }
    if format != BodyFormat::Opaque && has_no_fields && !table.has("fields") {
        table.missing("fields", "what its records hold: no field that is not listed ever leaves");
    }
    Some(BodyShape {
        format,
        delimiter,
        names,
        records: records.map(|path| path.value),
        envelope: envelope.into_iter().map(|path| path.value).collect(),
        xml,
    })
}

fn read_egress(table: &Table<'_, '_>, body: Option<&BodyShape>) -> Option<Egress> {
    let egress = table.parsed("egress", |word| {
        let known = Egress::ALL.into_iter().find(|egress| egress.as_str() == word);
        known.ok_or("write `report`, or `block` to refuse bodies with unmasked identifiers")
    })?;
    if body.is_some_and(|body| body.format == BodyFormat::Opaque) {
        let help = "remove `egress`: a file is granted whole, and nobody looks into it";
        table.document().error("body-shape", egress.span, "an opaque body is not searched", help);
        return None;
    }
    Some(egress.value)
}

fn parse_format(word: &str) -> Result<BodyFormat, &'static str> {
    let known = BodyFormat::ALL.into_iter().find(|format| format.as_str() == word);
    known.ok_or("write `json`, `ndjson`, `event-stream`, `csv`, `xml`, `form` or `opaque`")
}

fn parse_delimiter(text: &str) -> Result<Delimiter, &'static str> {
    let known = Delimiter::ALL.into_iter().find(|delimiter| text.as_bytes() == [delimiter.as_byte()]);
    known.ok_or("write `,`, `;`, `\\t` or `|`")
}

fn parse_names(word: &str) -> Result<NameMatching, &'static str> {
    match word {
        "exact" => Ok(NameMatching::Exact),
        "fold" => Ok(NameMatching::Fold),
        _ => Err("write `exact`, or `fold` where the platform is not sure of upper and lower case"),
    }
}

/// Beside the data of an event only two fields can leave.
fn check_event_fields(document: &Document<'_>, envelope: &[At<FieldPath>]) {
    let mut declared = Declared::new("a field of the events");
    for field in envelope {
        declared.declare(document, field);
        if !matches!(field.value.as_str(), "event" | "id") {
            let message = format!("`{}` is no field that an event has beside its data", field.value);
            document.error("body-shape", field.span.clone(), message, "write `event`, `id` or both");
        }
    }
}

/// What stands around the records must not hold them: it leaves unmasked.
fn check_envelope(document: &Document<'_>, records: Option<&At<FieldPath>>, envelope: &[At<FieldPath>]) {
    let mut declared = Declared::new("a member of the envelope");
    for member in envelope {
        let Some(records) = records else {
            let help = "name the member that holds the records: `records = \"data\"`";
            document.error("body-shape", member.span.clone(), "an envelope needs `records`", help);
            return;
        };
        declared.declare(document, member);
        if member.value.covers(&records.value) || records.value.covers(&member.value) {
            let message = format!("`{}` overlaps the records at `{}`", member.value, records.value);
            let help = "what the envelope names leaves unmasked; remove it";
            document.error("body-shape", member.span.clone(), message, help);
        }
    }
}
