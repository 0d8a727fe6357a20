//! The life of a request, as one list.

use std::convert::Infallible;
use std::sync::Arc;

use http::Response;
use tower::{Service, ServiceBuilder};

use super::authorize::{Authorize, Quota, Throttle};
use super::body::ReplyBody;
use super::collect::Collect;
use super::edge::{Admit, Deadline, Oblige, Observe, Record};
use super::exchange::Exchange;
use super::identify::Identify;
use super::own::Own;
use super::record::Recorder;
use super::rescue::Rescue;
use super::resolve::{Normalize, Resolve};
use super::sift::Sift;
use super::stage::{Stage, WaitStage};
use super::websocket::places::SessionPlaces;

/// The stages, outermost first. Those named in `Stage(…)` and `WaitStage(…)` change the type of the request: leaving one
/// out, or two in the wrong order, does not compile.
pub(crate) fn stack(
    observe: Observe,
    recorder: Arc<Recorder>,
    sessions: Arc<SessionPlaces>,
) -> impl Service<Box<Exchange>, Response = Response<ReplyBody>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync {
    ServiceBuilder::new()
        // Counts and times what the client saw, so it stands outside everything.
        .layer(observe)
        // Outside `rescue`, so that the record holds the status that the client saw.
        .layer(Record { recorder: Arc::clone(&recorder) })
        // Below it stages may fail.
        .layer(Rescue)
        .layer(Admit::default())
        .layer(Stage(Normalize))
        // The gate's own pages need a head that is read, and a caller, but no route.
        .layer(Own)
        .layer(Stage(Resolve))
        // The bound is the route's.
        .layer(Deadline)
        .layer(Stage(Identify))
        // Before `authorize`: a noisy caller burns no policy time.
        .layer(Stage(Throttle))
        // What the decision needs of the body, on routes that say so.
        .layer(WaitStage(Collect))
        .layer(Stage(Authorize))
        .layer(Stage(Quota))
        // What of the body may go to the platform, on routes that hold it against the permit.
        .layer(WaitStage(Sift))
        // Masks and row duties around forwarding.
        .service(Oblige { recorder, sessions })
}
