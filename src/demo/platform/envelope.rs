//! The envelope around records: `code`, `message`, `data`, `total`, `page`, and `debug_sql`, which
//! no catalogue knows and which must not leave.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::body::Step;
use crate::demo::people::{Data, PLANTED_ID, Record, Shelf};

/// Bytes of a list that are handed on at once, at least.
const CHUNK: usize = 16 << 10;

/// Where records of one kind stand.
pub(super) type ShelfOf<R> = fn(&Data) -> &Shelf<R>;

/// One page of a list, rendered as it is sent.
pub(super) struct Page<R> {
    pub(super) data: Arc<Data>,
    pub(super) shelf: ShelfOf<R>,
    /// Places of the page's records on the shelf.
    pub(super) places: std::vec::IntoIter<usize>,
    pub(super) total: usize,
    pub(super) number: usize,
    pub(super) pretty: bool,
}

/// `{"code":0,"message":"成功","data":record}` and the member that no catalogue knows.
pub(super) fn single(record: &impl Serialize, pretty: bool) -> serde_json::Result<Bytes> {
    #[derive(Serialize)]
    struct Single<'a, R> {
        code: u32,
        message: &'static str,
        data: &'a R,
        debug_sql: String,
    }
    let envelope = Single { code: 0, message: "成功", data: record, debug_sql: debug_sql() };
    let bytes = if pretty { serde_json::to_vec_pretty(&envelope)? } else { serde_json::to_vec(&envelope)? };
    Ok(bytes.into())
}

/// `{"code":…,"message":…,"data":null}`.
pub(super) fn refusal(code: u16, message: &str) -> Bytes {
    serde_json::json!({ "code": code, "message": message, "data": null }).to_string().into()
}

fn debug_sql() -> String {
    format!("select * from t where id_card <> '{PLANTED_ID}'")
}

/// What stands before the first record of a list.
pub(super) fn list_head(pretty: bool) -> &'static str {
    if pretty {
        "{\n  \"code\": 0,\n  \"message\": \"成功\",\n  \"data\": ["
    } else {
        "{\"code\":0,\"message\":\"成功\",\"data\":["
    }
}

/// What stands after the last record of a list.
pub(super) fn list_tail(total: usize, page: usize, pretty: bool) -> String {
    let sql = debug_sql();
    if pretty {
        format!("\n  ],\n  \"total\": {total},\n  \"page\": {page},\n  \"debug_sql\": \"{sql}\"\n}}\n")
    } else {
        format!("],\"total\":{total},\"page\":{page},\"debug_sql\":\"{sql}\"}}")
    }
}

/// Adds one record, indented where the list is.
fn push_record(out: &mut Vec<u8>, record: &impl Serialize, pretty: bool) -> serde_json::Result<()> {
    if !pretty {
        return serde_json::to_writer(out, record);
    }
    // A line break inside a JSON string is escaped, so every one of these is layout.
    let text = serde_json::to_string_pretty(record)?;
    for line in text.lines() {
        out.extend_from_slice(b"\n    ");
        out.extend_from_slice(line.as_bytes());
    }
    Ok(())
}

impl<R: Record> Page<R> {
    /// The page as a body's steps, a few records at a time.
    pub(super) fn into_steps(mut self) -> impl Iterator<Item = Step> + Send + Unpin + 'static {
        let mut out = list_head(self.pretty).as_bytes().to_vec();
        let mut is_first = true;
        let mut is_done = false;
        std::iter::from_fn(move || {
            while !is_done {
                if out.len() >= CHUNK {
                    return Some(Step::Send(std::mem::take(&mut out).into()));
                }
                let place = self.places.next();
                let Some(record) = place.and_then(|place| (self.shelf)(&self.data).records().get(place))
                else {
                    is_done = true;
                    out.extend_from_slice(list_tail(self.total, self.number, self.pretty).as_bytes());
                    return Some(Step::Send(std::mem::take(&mut out).into()));
                };
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                if push_record(&mut out, record, self.pretty).is_err() {
                    is_done = true;
                    return Some(Step::Break);
                }
            }
            None
        })
    }
}
