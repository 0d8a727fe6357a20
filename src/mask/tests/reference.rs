//! What a body should become, said a second time: recursive, over a whole body that serde_json has
//! accepted, and by the paths themselves. It shares the maskers with the engine and nothing else.

use crate::catalog::{BodyShape, Field, FieldType, NameMatching};
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::MaskerName;
use crate::mask::{Maskers, Value};

#[derive(Debug)]
pub(super) struct Reference<'a> {
    pub(super) shape: &'a BodyShape,
    pub(super) catalogue: &'a [Field],
    pub(super) fields: &'a [ReleasedField],
    pub(super) maskers: &'a Maskers,
}

/// Where in a body a value stands.
#[derive(Debug, Clone)]
enum Place {
    /// Everything is copied.
    Whole,
    /// Around the records, at this path.
    Around(String),
    /// In a record, at this path; empty for the record itself.
    Inside(String),
}

impl Reference<'_> {
    pub(super) fn transform(&self, body: &str) -> String {
        let place = match self.shape.records {
            Some(_) => Place::Around(String::new()),
            None => Place::Inside(String::new()),
        };
        let mut out = String::new();
        let rest = space(body, &mut out);
        let rest = self.value(rest, &place, &mut out);
        out.push_str(rest);
        out
    }

    fn envelope(&self, path: &str) -> bool {
        self.shape.envelope.iter().any(|member| member.as_str() == path)
    }

    /// A name as the catalogue or the shape of the body writes it below `above`, if case does not count.
    fn as_declared(&self, above: &str, name: &str) -> String {
        if self.shape.names == NameMatching::Exact {
            return name.to_owned();
        }
        let fields = self.catalogue.iter().map(|field| &field.path);
        let paths = fields.chain(&self.shape.envelope).chain(&self.shape.records);
        let names = paths.filter_map(|path| {
            let inside = match above {
                "" => path.as_str(),
                above => path.as_str().strip_prefix(above)?.strip_prefix('.')?,
            };
            inside.split('.').next()
        });
        names.into_iter().find(|declared| alike(declared) == alike(name)).unwrap_or(name).to_owned()
    }

    fn member(&self, place: &Place, name: &str) -> Option<Place> {
        let (Place::Around(above) | Place::Inside(above)) = place else { return Some(Place::Whole) };
        let name = &self.as_declared(above, name);
        match place {
            Place::Whole => Some(Place::Whole),
            Place::Around(above) => {
                let path = join(above, name);
                let records = self.shape.records.as_ref().map_or("", |records| records.as_str());
                let mut declared = self.shape.envelope.iter().map(|member| member.as_str()).chain([records]);
                if self.envelope(&path) {
                    Some(Place::Whole)
                } else if records == path {
                    Some(Place::Inside(String::new()))
                } else if declared.any(|other| below(other, &path)) {
                    Some(Place::Around(path))
                } else {
                    None
                }
            }
            Place::Inside(above) => {
                let path = join(above, name);
                if self.shape.records.is_none() && self.envelope(&path) {
                    return Some(Place::Whole);
                }
                self.leaves(&path).then_some(Place::Inside(path))
            }
        }
    }

    fn field(&self, path: &str) -> Option<&Field> {
        self.catalogue.iter().find(|field| field.path.as_str() == path)
    }

    fn has_members(&self, path: &str) -> bool {
        self.catalogue.iter().any(|field| below(field.path.as_str(), path))
    }

    /// The masker of a path, if it leaves at all: by its own release, or by the nearest above it.
    fn release(&self, path: &str) -> Option<Option<MaskerName>> {
        let released = |path: &str| self.fields.iter().find(|field| field.path.as_str() == path);
        if let Some(own) = released(path) {
            return Some(match &own.treatment {
                Treatment::Clear => None,
                Treatment::Masked(masker) => Some(masker.clone()),
            });
        }
        let mut above = path;
        while let Some((shorter, _)) = above.rsplit_once('.') {
            above = shorter;
            match released(above).map(|field| &field.treatment) {
                None => {}
                Some(Treatment::Masked(masker)) => return Some(Some(masker.clone())),
                Some(Treatment::Clear) => {
                    let between = std::iter::successors(Some(path), |path| {
                        path.rsplit_once('.').map(|(above, _)| above)
                    });
                    let mut masks =
                        between.take_while(|path| *path != above).map(|path| self.field(path)?.mask.clone());
                    return Some(masks.find_map(|mask| mask));
                }
            }
        }
        None
    }

    fn leaves(&self, path: &str) -> bool {
        if self.has_members(path) {
            let inside = self.shape.records.is_none()
                && self.shape.envelope.iter().any(|member| below(member.as_str(), path));
            return inside
                || self.catalogue.iter().any(|field| {
                    let field = field.path.as_str();
                    below(field, path) && !self.has_members(field) && self.leaves(field)
                });
        }
        self.field(path).is_some()
            && self.release(path).is_some_and(|masker| masker.is_none_or(|name| name.as_str() != "drop"))
    }

    fn value<'b>(&self, rest: &'b str, place: &Place, out: &mut String) -> &'b str {
        if rest.starts_with('[') {
            return self.array(rest, place, out);
        }
        let after = || skip(rest);
        let raw = rest.strip_suffix(after()).unwrap();
        if raw == "null" {
            out.push_str(raw);
            return after();
        }
        match place {
            Place::Whole => out.push_str(raw),
            Place::Inside(path) if self.is_nested(path) => {
                let document =
                    serde_json::from_str(raw).ok().and_then(|text: String| self.nested(&text, path));
                let text = document.map(|document| serde_json::Value::String(document).to_string());
                out.push_str(&text.unwrap_or_else(|| "null".to_owned()));
            }
            Place::Inside(path) if !path.is_empty() && !self.has_members(path) => {
                let object = self.field(path).is_some_and(|field| field.kind == FieldType::Object);
                if object && raw.starts_with('{') && self.release(path) == Some(None) {
                    return self.object(rest, place, out);
                }
                self.scalar(raw, path, out);
            }
            Place::Around(_) | Place::Inside(_) if raw.starts_with('{') => {
                return self.object(rest, place, out);
            }
            Place::Around(_) | Place::Inside(_) => out.push_str("null"),
        }
        after()
    }

    /// Whether a text at the path holds a document.
    fn is_nested(&self, path: &str) -> bool {
        self.has_members(path) && self.field(path).is_some_and(|field| field.nested)
    }

    /// What leaves of a document in a text at the path.
    fn nested(&self, text: &str, path: &str) -> Option<String> {
        serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
        let catalogue: Vec<Field> = self
            .catalogue
            .iter()
            .map(|field| Field { nested: field.nested && field.path.as_str() != path, ..field.clone() })
            .collect();
        // The same without the nesting that has just been undone.
        let inside = Reference { catalogue: &catalogue, ..*self };
        let mut out = String::new();
        let rest = space(text, &mut out);
        let rest = inside.value(rest, &Place::Inside(path.to_owned()), &mut out);
        out.push_str(rest);
        Some(out)
    }

    fn scalar(&self, raw: &str, path: &str, out: &mut String) {
        let kind = self.field(path).unwrap().kind;
        let masker = self.release(path).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(raw).unwrap();
        if kind == FieldType::Object {
            out.push_str("null");
            return;
        }
        let Some(masker) = masker else {
            let right = match kind {
                FieldType::String | FieldType::Date => parsed.is_string(),
                FieldType::Number => parsed.is_number(),
                FieldType::Boolean => parsed.is_boolean(),
                FieldType::Object => false,
            };
            out.push_str(if right { raw } else { "null" });
            return;
        };
        let mut bytes = Vec::new();
        let value = match &parsed {
            serde_json::Value::String(text) => Value::Text(text),
            serde_json::Value::Number(_) => Value::Number(raw),
            serde_json::Value::Bool(value) => Value::Boolean(*value),
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                return out.push_str("null");
            }
        };
        self.maskers.get(&masker).unwrap().apply(value, None, &mut bytes);
        out.push_str(std::str::from_utf8(&bytes).unwrap());
    }

    fn array<'b>(&self, rest: &'b str, place: &Place, out: &mut String) -> &'b str {
        out.push('[');
        let mut rest = space(tail(rest), out);
        while !rest.starts_with(']') {
            rest = self.value(rest, place, out);
            rest = space(rest, out);
            if let Some(after) = rest.strip_prefix(',') {
                out.push(',');
                rest = space(after, out);
            }
        }
        out.push(']');
        tail(rest)
    }

    /// A member goes with the separator before it; what is first then has none. White space stays
    /// before what stays.
    fn object<'b>(&self, rest: &'b str, place: &Place, out: &mut String) -> &'b str {
        out.push('{');
        let mut kept_any = false;
        let mut before = String::new();
        let mut rest = space(tail(rest), &mut before);
        while !rest.starts_with('}') {
            let after_key = skip(rest);
            let key = rest.strip_suffix(after_key).unwrap();
            let name: String = serde_json::from_str(key).unwrap();
            let mut colon = String::new();
            let value = space(after_key, &mut colon);
            colon.push(':');
            let value = space(tail(value), &mut colon);
            let kept = self.member(place, &name);
            if let Some(place) = &kept {
                if kept_any {
                    out.push(',');
                }
                kept_any = true;
                out.push_str(&before);
                out.push_str(key);
                out.push_str(&colon);
                rest = self.value(value, place, out);
            } else {
                rest = skip(value);
            }
            before.clear();
            rest = space(rest, &mut before);
            if kept.is_some() {
                out.push_str(&before);
                before.clear();
            }
            if let Some(after) = rest.strip_prefix(',') {
                before.clear();
                rest = space(after, &mut before);
            }
        }
        out.push_str(&before);
        out.push('}');
        tail(rest)
    }
}

/// What names have in common whose case and width alone differ.
fn alike(name: &str) -> String {
    let halfwidth = |c: char| match u32::from(c) {
        code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap(),
        _ => c,
    };
    name.chars().map(halfwidth).collect::<String>().to_lowercase()
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

fn below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// All but the first byte, which is a bracket or a colon.
fn tail(text: &str) -> &str {
    text.split_at(1).1
}

/// Moves white space to `out`.
fn space<'b>(text: &'b str, out: &mut String) -> &'b str {
    let rest = text.trim_start_matches([' ', '\t', '\n', '\r']);
    out.push_str(text.strip_suffix(rest).unwrap());
    rest
}

/// What follows the value that `text` begins with.
fn skip(text: &str) -> &str {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next().unwrap().unwrap();
    text.split_at(values.byte_offset()).1
}
