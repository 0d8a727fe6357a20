//! The crate csv: from its reader to its writer, a record at a time. Quotes are written where the writer
//! wants them.

use crate::contestant::{Fate, Mask, ends, fate};

pub(crate) struct Records;

impl Mask for Records {
    fn name(&self) -> &'static str {
        "csv, reader to writer"
    }

    fn mask(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let mut reader = csv::Reader::from_reader(body);
        let mut writer = csv::Writer::from_writer(out);
        let names = reader.headers().expect("a header").clone();
        let fates: Vec<Fate> = names.iter().map(|name| fate(name.as_bytes())).collect();
        let is_kept = |fate: &Fate| *fate != Fate::Drop;
        let kept = names.iter().zip(&fates).filter(|(_, fate)| is_kept(fate)).map(|(name, _)| name);
        writer.write_record(kept).expect("a record");
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).expect("CSV") {
            for (value, fate) in record.iter().zip(&fates) {
                match fate {
                    Fate::Drop => {}
                    Fate::Keep => writer.write_field(value).expect("a field"),
                    Fate::Ends { first, last } => {
                        writer.write_field(ends(value, *first, *last)).expect("a field");
                    }
                }
            }
            writer.write_record(None::<&[u8]>).expect("a record");
        }
        writer.flush().expect("a vector");
    }
}
