//! sonic-rs: raw values that are joined anew, and its tree.

use sonic_rs::{JsonValueMutTrait as _, JsonValueTrait as _, Value};

use crate::contestant::{Fate, Mask, ends, fate};

/// Lazy values. White space between members is lost, and what stands behind the last member is not read.
pub(crate) struct Splice;

impl Mask for Splice {
    fn name(&self) -> &'static str {
        "sonic-rs, lazy values joined"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut separator = b'{';
        for member in sonic_rs::to_object_iter(body) {
            let (name, value) = member.expect("JSON");
            out.push(std::mem::replace(&mut separator, b','));
            write_name(&name, out);
            if name != "data" {
                out.extend_from_slice(value.as_raw_str().as_bytes());
                continue;
            }
            let mut separator = b'[';
            for record in value.into_array_iter().expect("records") {
                out.push(std::mem::replace(&mut separator, b','));
                splice(record.expect("JSON"), out);
            }
            out.push(b']');
        }
        out.push(b'}');
    }
}

fn splice(record: sonic_rs::LazyValue<'_>, out: &mut Vec<u8>) {
    let mut separator = b'{';
    for member in record.into_object_iter().expect("a record") {
        let (name, value) = member.expect("JSON");
        let fate = fate(name.as_bytes());
        if fate == Fate::Drop {
            continue;
        }
        out.push(std::mem::replace(&mut separator, b','));
        write_name(&name, out);
        match (fate, value.as_str()) {
            (Fate::Ends { first, last }, Some(text)) => {
                sonic_rs::to_writer(&mut *out, &ends(text, first, last)).expect("a text");
            }
            _ => out.extend_from_slice(value.as_raw_str().as_bytes()),
        }
    }
    out.push(b'}');
}

/// Names of these bodies need no escapes.
fn write_name(name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// `Value`.
pub(crate) struct Tree;

impl Mask for Tree {
    fn name(&self) -> &'static str {
        "sonic-rs, `Value`"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut value: Value = sonic_rs::from_slice(body).expect("JSON");
        let records = value.get_mut("data").and_then(|data| data.as_array_mut()).expect("records");
        for record in records.iter_mut() {
            let record = record.as_object_mut().expect("a record");
            record.remove(&"email");
            record.remove(&"remark");
            for name in ["id_card", "phone"] {
                let Fate::Ends { first, last } = fate(name.as_bytes()) else { continue };
                if let Some(value) = record.get_mut(&name) {
                    let masked = value.as_str().map(|text| ends(text, first, last));
                    *value = masked.as_deref().into();
                }
            }
        }
        sonic_rs::to_writer(out, &value).expect("a value");
    }
}
