//! The records of a city, held against the schema in the documentation.

use std::path::Path;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use pinegate::journal::read::{ReadError, Records};
use serde_json::Value;

static SCHEMA: LazyLock<(Schemas, SchemaIndex)> = LazyLock::new(|| {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let schema = serde_json::from_str(include_str!("../../../docs/audit-record.schema.json")).unwrap();
    compiler.add_resource("record.json", schema).unwrap();
    let index = compiler.compile("record.json", &mut schemas).unwrap();
    (schemas, index)
});

/// Fails unless every record below `audit` is as the schema says; a log that is not there has none.
pub(crate) fn assert_valid(audit: &Path) {
    let mut records = match Records::open(audit) {
        Err(ReadError::NoLog(_)) => return,
        opened => opened.unwrap(),
    };
    let (schemas, index) = &*SCHEMA;
    while let Some(line) = records.next_line().unwrap() {
        let record: Value = serde_json::from_slice(line).unwrap();
        if let Err(error) = schemas.validate(&record, *index) {
            panic!("{error:#}\n{record:#}");
        }
    }
}
