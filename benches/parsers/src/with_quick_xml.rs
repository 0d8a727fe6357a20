//! quick-xml: from its reader to its writer, an event at a time. It accepts much that is not well-formed.

use quick_xml::events::{BytesText, Event};
use quick_xml::{Reader, Writer};

use crate::contestant::{Fate, Mask, ends, fate};

pub(crate) struct Events;

impl Mask for Events {
    fn name(&self) -> &'static str {
        "quick-xml, reader to writer"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut reader = Reader::from_str(std::str::from_utf8(body).expect("UTF-8"));
        let mut writer = Writer::new(out);
        let mut how = Fate::Keep;
        loop {
            let event = reader.read_event().expect("XML");
            match &event {
                Event::Eof => break,
                Event::Start(start) => {
                    let name = start.name();
                    how = fate(name.as_ref().as_bytes());
                    if how == Fate::Drop {
                        reader.read_to_end(name).expect("XML");
                        how = Fate::Keep;
                        continue;
                    }
                }
                Event::Text(text) => {
                    if let Fate::Ends { first, last } = how {
                        let masked = ends(&text.xml10_content(), first, last);
                        writer.write_event(Event::Text(BytesText::new(&masked))).expect("a vector");
                        continue;
                    }
                }
                _ => how = Fate::Keep,
            }
            writer.write_event(event).expect("a vector");
        }
    }
}
