//! jiter: its iterator says where a member begins and ends, and the rest of the body is copied. The whole
//! body must be in memory.

use jiter::{Jiter, Peek};

use crate::contestant::{Fate, Mask, ends, fate};

pub(crate) struct Splice;

impl Mask for Splice {
    fn name(&self) -> &'static str {
        "jiter, spliced by index"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut walk = Walk { reader: Jiter::new(body), body, mark: 0, out };
        let peek = walk.reader.peek().expect("JSON");
        walk.value(peek);
        walk.reader.finish().expect("nothing more");
        walk.flush(body.len());
    }

    fn keeps_bytes(&self) -> bool {
        true
    }
}

struct Walk<'b, 'o> {
    reader: Jiter<'b>,
    body: &'b [u8],
    /// Where the bytes begin that are not copied yet.
    mark: usize,
    out: &'o mut Vec<u8>,
}

impl Walk<'_, '_> {
    fn flush(&mut self, end: usize) {
        self.out.extend_from_slice(&self.body[self.mark..end]);
        self.mark = end;
    }

    fn value(&mut self, peek: Peek) {
        match peek {
            Peek::Array => {
                let mut next = self.reader.known_array().expect("JSON");
                while let Some(peek) = next {
                    self.value(peek);
                    next = self.reader.array_step().expect("JSON");
                }
            }
            Peek::Object => self.members(),
            _ => self.reader.known_skip(peek).expect("JSON"),
        }
    }

    /// A member goes with the separator before it.
    fn members(&mut self) {
        // Whether none has left yet, and whether one was dropped since.
        let (mut is_first, mut is_behind_dropped) = (true, false);
        let mut before = self.reader.current_index() + 1;
        let mut name = self.reader.known_object().expect("JSON").map(|name| fate(name.as_bytes()));
        while let Some(fate) = name {
            match fate {
                Fate::Drop => {
                    self.flush(before);
                    self.reader.next_skip().expect("JSON");
                    self.mark = self.reader.current_index();
                    is_behind_dropped = is_first;
                }
                Fate::Keep | Fate::Ends { .. } => {
                    self.mark += usize::from(std::mem::take(&mut is_behind_dropped));
                    is_first = false;
                    self.kept(fate);
                }
            }
            before = self.reader.current_index();
            name = self.reader.next_key().expect("JSON").map(|name| crate::contestant::fate(name.as_bytes()));
        }
    }

    fn kept(&mut self, fate: Fate) {
        let peek = self.reader.peek().expect("JSON");
        let start = self.reader.current_index();
        match (fate, peek) {
            (Fate::Ends { first, last }, Peek::String) => {
                let text = ends(self.reader.known_str().expect("JSON"), first, last);
                self.flush(start);
                // What is left of such a value needs no escapes.
                self.out.push(b'"');
                self.out.extend_from_slice(text.as_bytes());
                self.out.push(b'"');
                self.mark = self.reader.current_index();
            }
            _ => self.value(peek),
        }
    }
}
