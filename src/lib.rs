//! Pinegate: the gate between a city's department systems (部门业务系统) and its data exchange
//! platform (数据共享交换平台).
//!
//! The library is the product; `main.rs` only calls [`cli::main`]. Modules form layers, each
//! importing only strictly lower ones (`ARCHITECTURE.md` has the table, `tests/it/tidy.rs`
//! enforces it).

// layer 0
pub mod kernel;
// layer 1: vocabulary
pub mod catalog;
pub mod document;
pub mod grant;
pub mod tlog;
pub mod wire;
// layer 2: engines, pure
pub mod audit;
pub mod coding;
pub mod identity;
pub mod mask;
pub mod parameters;
pub mod policy;
pub mod quota;
pub mod telemetry;
// layer 3: mechanism
pub mod config;
pub mod journal;
pub mod listening;
pub mod pki;
pub mod review;
pub mod snapshot;
pub mod tls;
pub mod upstream;
// layer 4: edge
pub mod admin;
pub mod proxy;
pub mod ship;
pub mod witness;
// layer 5: wiring
pub mod app;
pub mod cli;
pub mod demo;
