//! The request pipeline, from accepted connection to released reply.
//!
//! `stack.rs` is the list of stages in order. Stages from `normalize` to `sift` change the *type* of the request, each
//! adding one fact that only its own stage can make, so a stage that is left out does not compile.
//! Nothing here decides policy, masks bytes or writes files: it asks the engines and acts.

pub mod problem;
pub mod websocket;

mod announced;
mod arriving;
mod authorize;
mod body;
mod collect;
mod edge;
mod exchange;
mod failure;
mod forward;
mod guard;
mod identify;
mod listener;
mod media;
mod normalize;
mod own;
mod pace;
mod record;
mod reply;
mod rescue;
mod resolve;
mod routes;
mod shadow;
mod sieve;
mod sift;
mod snapshot;
mod stack;
mod stage;
mod strangers;
mod subjects;
mod tether;
mod traced;

pub use announced::{AnnouncedError, announced as read_announcement};
pub use normalize::{NormalHead, NormalPath, Query, read as read_head};

pub(crate) use body::Upload;
pub(crate) use exchange::Caller;
pub(crate) use failure::denial_code;
pub(crate) use listener::{Gate, Waiting};
pub(crate) use media::Declared;
pub(crate) use routes::{Intake, Route, RouteParameter, Routes};
pub(crate) use shadow::Shadow;
pub(crate) use snapshot::{Plans, RequestBounds, Snapshot};
pub(crate) use traced::Tracing;
