//! serde_json: a tree of values, changed and written; and a body written as it is read, without a tree.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::contestant::{Fate, Mask, ends, fate};

/// `Value`, with its members in the order of their names.
pub(crate) struct Tree;

impl Mask for Tree {
    fn name(&self) -> &'static str {
        "serde_json, `Value`"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut value: Value = serde_json::from_slice(body).expect("JSON");
        for record in value["data"].as_array_mut().expect("records") {
            let record = record.as_object_mut().expect("a record");
            record.remove("email");
            record.remove("remark");
            for name in ["id_card", "phone"] {
                if let (Fate::Ends { first, last }, Some(Value::String(text))) =
                    (fate(name.as_bytes()), record.get_mut(name))
                {
                    *text = ends(text, first, last);
                }
            }
        }
        serde_json::to_writer(out, &value).expect("a value");
    }
}

/// From reader to writer, a token at a time. Numbers go through machine types.
pub(crate) struct Transcode;

impl Mask for Transcode {
    fn name(&self) -> &'static str {
        "serde_json, transcode"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut reader = serde_json::Deserializer::from_slice(body);
        Copy { out, fate: Fate::Keep }.deserialize(&mut reader).expect("JSON");
        reader.end().expect("nothing more");
    }
}

/// One value on its way.
struct Copy<'o> {
    out: &'o mut Vec<u8>,
    fate: Fate,
}

impl Copy<'_> {
    fn write(self, value: &impl serde::Serialize) {
        serde_json::to_writer(self.out, value).expect("a value");
    }
}

impl<'de> DeserializeSeed<'de> for Copy<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Copy<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.write(&value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.write(&value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.write(&value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.write(&value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.write(&());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        match self.fate {
            Fate::Ends { first, last } => self.write(&ends(value, first, last)),
            Fate::Keep | Fate::Drop => self.write(&value),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { out, fate } = self;
        out.push(b'[');
        let start = out.len();
        loop {
            let before = out.len();
            if before > start {
                out.push(b',');
            }
            if elements.next_element_seed(Copy { out, fate })?.is_none() {
                out.truncate(before);
                break;
            }
        }
        out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { out, .. } = self;
        let mut separator = b'{';
        while let Some(name) = members.next_key::<std::borrow::Cow<'_, str>>()? {
            let fate = fate(name.as_bytes());
            if fate == Fate::Drop {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            out.push(std::mem::replace(&mut separator, b','));
            serde_json::to_writer(&mut *out, &name).expect("a name");
            out.push(b':');
            members.next_value_seed(Copy { out, fate })?;
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }
}
