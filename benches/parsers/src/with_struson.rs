//! struson: events from a stream to a stream. White space is lost.

use struson::reader::{JsonReader, JsonStreamReader, ValueType};
use struson::writer::{JsonStreamWriter, JsonWriter};

use crate::contestant::{Fate, Mask, ends, fate};

pub(crate) struct Events;

impl Mask for Events {
    fn name(&self) -> &'static str {
        "struson, events"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut reader = JsonStreamReader::new(body);
        let mut writer = JsonStreamWriter::new(out);
        value(&mut reader, &mut writer, Fate::Keep);
        reader.consume_trailing_whitespace().expect("nothing more");
        writer.finish_document().expect("a document");
    }
}

fn value(reader: &mut impl JsonReader, writer: &mut impl JsonWriter, how: Fate) {
    match (reader.peek().expect("JSON"), how) {
        (ValueType::Array, _) => {
            reader.begin_array().expect("JSON");
            writer.begin_array().expect("a value");
            while reader.has_next().expect("JSON") {
                value(reader, writer, how);
            }
            reader.end_array().expect("JSON");
            writer.end_array().expect("a value");
        }
        (ValueType::Object, _) => {
            reader.begin_object().expect("JSON");
            writer.begin_object().expect("a value");
            while reader.has_next().expect("JSON") {
                let name = reader.next_name().expect("JSON");
                let fate = fate(name.as_bytes());
                if fate == Fate::Drop {
                    reader.skip_value().expect("JSON");
                    continue;
                }
                writer.name(name).expect("a name");
                value(reader, writer, fate);
            }
            reader.end_object().expect("JSON");
            writer.end_object().expect("a value");
        }
        (ValueType::String, Fate::Ends { first, last }) => {
            let text = ends(reader.next_str().expect("JSON"), first, last);
            writer.string_value(&text).expect("a text");
        }
        _ => reader.transfer_to(writer).expect("JSON"),
    }
}
