//! stub
#![allow(missing_docs, clippy::all, clippy::allow_attributes, clippy::allow_attributes_without_reason)]
use crate::audit::Entry;
#[derive(Debug,Clone)] pub struct Journal;
#[derive(Debug,thiserror::Error)] #[error("x")] pub struct AppendError;
impl Journal { pub fn append(&self, _e: Entry) -> impl Future<Output=Result<u64,AppendError>> + Send + 'static + use<> { async { Ok(1) } }
 pub fn submit(&self, _e: Entry) -> Result<(), AppendError> { Ok(()) } }
