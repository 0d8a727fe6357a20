//! What the names of a resource stand for in XML: the keys `namespaces` and `xml`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{FieldType, XmlName, XmlNames};
use crate::document::{At, Document, Table};
use crate::kernel::id::FieldPath;
use crate::mask::{XML_NAMESPACE, is_xml_name};

use super::super::reference::head;

/// What stands for a field in XML, as it is written.
#[derive(Debug)]
pub(super) struct Spelled<'d> {
    pub(super) path: At<FieldPath>,
    pub(super) kind: FieldType,
    pub(super) xml: Option<At<&'d str>>,
}

/// The keys of the resource itself.
#[derive(Debug)]
pub(super) struct Keys<'d> {
    namespaces: Vec<(At<&'d str>, At<&'d str>)>,
    records: Option<At<&'d str>>,
}

impl<'d> Keys<'d> {
    pub(super) fn read(table: &Table<'d, '_>) -> Self {
        Self { namespaces: table.named_texts("namespaces"), records: table.text("xml") }
    }

    /// They are about nothing if the body is not XML.
    pub(super) fn refuse(&self, document: &Document<'_>, fields: &[Spelled<'_>]) {
        let namespaces = self.namespaces.iter().map(|(prefix, _)| (&prefix.span, "namespaces"));
        let names = self.records.iter().chain(fields.iter().filter_map(|field| field.xml.as_ref()));
        for (span, key) in namespaces.chain(names.map(|name| (&name.span, "xml"))) {
            let message = format!("`{key}` is about XML documents, not this format");
            document.error("body-shape", span.clone(), message, "remove it, or write `format = \"xml\"`");
        }
    }

    /// What all names stand for.
    pub(super) fn names(
        &self,
        table: &Table<'_, '_>,
        records: Option<&At<FieldPath>>,
        envelope: &[At<FieldPath>],
        fields: &[Spelled<'_>],
    ) -> XmlNames {
        let document = table.document();
        let namespaces = self.check_namespaces(table);
        let mut names = XmlNames { default: namespaces.get("").cloned(), ..XmlNames::default() };
        match records {
            None => {
                let help = "name the elements from the document element to the records, such as \
                            `records = \"response.data.resident\"`";
                document.error("body-shape", head(table), "a resource in XML needs `records`", help);
            }
            Some(records) => names.records = self.check_records(document, records, &namespaces),
        }
        for Spelled { path, kind, xml } in fields {
            let Some(xml) = xml else { continue };
            match read_name(xml.value, &namespaces) {
                Err(help) => bad_name(document, xml, &help),
                Ok(name) if *kind == FieldType::Object && !matches!(name, XmlName::Element { .. }) => {
                    let help = "an attribute and a text have no members; give the field another type";
                    document.error("body-shape", xml.span.clone(), "only an element can be an object", help);
                }
                Ok(name) => _ = names.fields.insert(path.value.clone(), name),
            }
        }
        let unlisted = records.filter(|_| self.records.is_none());
        check_elements(document, unlisted.into_iter().chain(envelope), &BTreeMap::new());
        // What was refused above is not judged again.
        let is_sound = |field: &&Spelled<'_>| {
            field.xml.is_none() || names.fields.contains_key(field.path.value.as_str())
        };
        let sound: Vec<&Spelled<'_>> = fields.iter().filter(is_sound).collect();
        check_elements(document, sound.iter().map(|field| &field.path), &names.fields);
        check_texts(document, &sound, &names.fields);
        check_same(document, &sound, &names);
        names
    }

    fn check_namespaces(&self, table: &Table<'_, '_>) -> BTreeMap<String, Arc<str>> {
        /// With that of `xml`, as many as a plan can tell apart.
        const MAX: usize = 31;
        let document = table.document();
        let mut namespaces = BTreeMap::from([("xml".to_owned(), Arc::from(XML_NAMESPACE))]);
        for (prefix, uri) in &self.namespaces {
            let is_prefix = prefix.value.is_empty() || is_xml_name(prefix.value);
            if !is_prefix || prefix.value.starts_with("xml") {
                let message = format!("`{}` is not a prefix", prefix.value);
                let help =
                    "write a name that does not begin with `xml`, or `\"\"` for names without a prefix";
                document.error("bad-value", prefix.span.clone(), message, help);
            } else if uri.value.is_empty() || uri.value != uri.value.trim() {
                let help = "write the URI that documents declare, letter for letter";
                document.error("bad-value", uri.span.clone(), "a namespace needs its URI", help);
            } else {
                namespaces.insert(prefix.value.to_owned(), Arc::from(uri.value));
            }
        }
        if self.namespaces.len() > MAX
            && let Some((prefix, _)) = self.namespaces.last()
        {
            let message = format!("more than {MAX} namespaces");
            document.error("bad-value", prefix.span.clone(), message, "keep those that fields are in");
        }
        namespaces
    }

    fn check_records(
        &self,
        document: &Document<'_>,
        records: &At<FieldPath>,
        namespaces: &BTreeMap<String, Arc<str>>,
    ) -> Vec<XmlName> {
        let Some(xml) = &self.records else { return Vec::new() };
        let mut names = Vec::new();
        for step in xml.value.split('/') {
            match read_name(step, namespaces) {
                Ok(name @ XmlName::Element { .. }) => names.push(name),
                Ok(XmlName::Attribute { .. } | XmlName::Text) => {
                    bad_name(document, xml, "write elements only, from the document element down");
                }
                Err(help) => bad_name(document, xml, &help),
            }
        }
        let (steps, wanted) = (xml.value.split('/').count(), records.value.names().count());
        if steps != wanted {
            let message = format!("`{}` has {steps} names, `{}` has {wanted}", xml.value, records.value);
            let help = "write one element for each name of `records`, with `/` between them";
            document.error("body-shape", xml.span.clone(), message, help);
        }
        names
    }
}

fn bad_name(document: &Document<'_>, xml: &At<&str>, help: &str) {
    let message = format!("`{}` names nothing in an XML document", xml.value);
    document.error("bad-value", xml.span.clone(), message, help);
}

/// What `text` stands for: `name`, `prefix:name`, `@name`, `@prefix:name`, or `.`.
fn read_name(text: &str, namespaces: &BTreeMap<String, Arc<str>>) -> Result<XmlName, String> {
    const EXPECTED: &str = "write an element `name` or `prefix:name`, an attribute `@name`, or `.` for the text of the element above";
    if text == "." {
        return Ok(XmlName::Text);
    }
    let (name, is_attribute) = text.strip_prefix('@').map_or((text, false), |name| (name, true));
    let (prefix, local) = name.split_once(':').map_or(("", name), |(prefix, local)| (prefix, local));
    if !is_xml_name(local) || (name != local && !is_xml_name(prefix)) {
        return Err(EXPECTED.to_owned());
    }
    if is_attribute && local == "xmlns" || prefix == "xmlns" {
        return Err("declarations of namespaces are no attributes; list them in `namespaces`".to_owned());
    }
    let namespace = match (prefix, is_attribute) {
        ("", true) => None,
        ("", false) => namespaces.get("").cloned(),
        (prefix, _) => {
            let declared = namespaces.get(prefix).cloned();
            Some(
                declared
                    .ok_or_else(|| format!("declare the prefix: `namespaces = {{ {prefix} = \"…\" }}`"))?,
            )
        }
    };
    let local = Arc::from(local);
    Ok(if is_attribute {
        XmlName::Attribute { namespace, local }
    } else {
        XmlName::Element { namespace, local }
    })
}

/// Names that stand for elements called so must be names of elements.
fn check_elements<'p>(
    document: &Document<'_>,
    paths: impl Iterator<Item = &'p At<FieldPath>>,
    listed: &BTreeMap<FieldPath, XmlName>,
) {
    let mut told = BTreeSet::new();
    for path in paths {
        for (above, name) in places(path.value.as_str()) {
            if !listed.contains_key(above) && !is_xml_name(name) && told.insert(above) {
                let message = format!("`{name}` cannot be the name of an element");
                let help = "say what it stands for, such as `xml = \"name\"`, or choose another name";
                document.error("body-shape", path.span.clone(), message, help);
            }
        }
    }
}

/// Each place on a path from above, and its last name.
fn places(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends = path.match_indices('.').map(|(dot, _)| dot).chain([path.len()]);
    ends.filter_map(|end| {
        let place = path.get(..end)?;
        Some((place, place.rsplit('.').next()?))
    })
}

/// An element whose text is a field has attributes beside it, and no elements: a text in pieces could
/// be masked only in pieces.
fn check_texts(document: &Document<'_>, fields: &[&Spelled<'_>], listed: &BTreeMap<FieldPath, XmlName>) {
    let above = |path: &str| path.rsplit_once('.').map_or("", |(above, _)| above).to_owned();
    let texts = listed.iter().filter(|(_, name)| **name == XmlName::Text);
    let texts: BTreeMap<String, &FieldPath> = texts.map(|(path, _)| (above(path.as_str()), path)).collect();
    for Spelled { path, .. } in fields {
        for (place, _) in places(path.value.as_str()) {
            let is_element = matches!(listed.get(place), None | Some(XmlName::Element { .. }));
            if let Some(text) = texts.get(&above(place)).filter(|_| is_element) {
                let message = format!("`{place}` is an element beside the text `{text}`");
                let help = "beside a field with `xml = \".\"` there can be attributes only";
                document.error("body-shape", path.span.clone(), message, help);
            }
        }
    }
}

/// Two names beside each other stand for two things.
fn check_same(document: &Document<'_>, fields: &[&Spelled<'_>], names: &XmlNames) {
    let mut taken: BTreeMap<(&str, XmlName), &str> = BTreeMap::new();
    for Spelled { path, .. } in fields {
        for (place, local) in places(path.value.as_str()) {
            let above = place.rsplit_once('.').map_or("", |(above, _)| above);
            let element = || XmlName::Element { namespace: names.default.clone(), local: Arc::from(local) };
            let name = names.fields.get(place).cloned().unwrap_or_else(element);
            let first = *taken.entry((above, name)).or_insert(place);
            if first != place {
                let message = format!("`{place}` and `{first}` stand for the same part of a document");
                let help = "give one of them another `xml`, or remove it";
                document.error("body-shape", path.span.clone(), message, help);
            }
        }
    }
}
