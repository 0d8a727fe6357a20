//! Asks one witness to cosign one head, and judges what it answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};

use super::keep::Head;
use crate::journal::read::Published;
use crate::kernel::id::Digest;
use crate::kernel::time::Timestamp;
use crate::ship::blocking;
use crate::ship::http::{AGENT, sink_error};
use crate::ship::sink::SinkError;
use crate::telemetry::WitnessFailure;
use crate::tlog::cosignature::cosigned_at;
use crate::tlog::note::{MAX_NOTE_BYTES, Note};
use crate::tlog::proof::{MakeError, prove_consistency};
use crate::tlog::tile::{TileError, TileNodes};
use crate::tlog::{NoteError, Tree, VerifierKey, witness};
use crate::upstream::Client;

/// How often a witness is asked about one head: it may have seen another than is known here, and another
/// again.
const TRIES: usize = 3;

/// Why a witness has not cosigned.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// It gave no answer.
    #[error(transparent)]
    Call(SinkError),
    /// Its answer broke off, or is too long.
    #[error("its answer cannot be read")]
    Answer,
    /// It asks to be tried again.
    #[error("it answers {0}")]
    Busy(StatusCode),
    /// It does not know the log (404), not its key (403), or not this protocol.
    #[error("it answers {0}: has it been told of this log and its key?")]
    Refused(StatusCode),
    /// The log has not grown from what it saw.
    #[error(
        "it answers {status}: the log of {new} records does not continue that of {old} which it cosigned"
    )]
    Inconsistent {
        /// How it says so.
        status: StatusCode,
        /// How many records there were.
        old: u64,
        /// How many there are.
        new: u64,
    },
    /// It has seen more of the log than there is.
    #[error("it has cosigned a log of {seen} records, and here are {new}")]
    Ahead {
        /// How many records it has seen.
        seen: u64,
        /// How many there are.
        new: u64,
    },
    /// It has forgotten what it signed.
    #[error(
        "it says that it has cosigned {seen} records, but its cosignature of {cosigned} was seen: it would \
         cosign a second history, and is no witness any more; another one needs another key"
    )]
    Forgot {
        /// How many it says.
        seen: u64,
        /// How many it signed for.
        cosigned: u64,
    },
    /// It contradicts itself.
    #[error("it answers 409 without another size than it was asked with")]
    Size,
    /// It has not signed what it was asked to.
    #[error("it answers with no cosignature of its own")]
    Cosignature(#[source] NoteError),
    /// There is no proof that the log has grown.
    #[error("the log's own tree cannot be read")]
    Tree(#[source] MakeError<TileError<std::io::Error>>),
    /// The tree on disk is another than what was signed.
    #[error("the log's own tiles do not give the root that it has signed")]
    Root,
    /// A thread has ended.
    #[error("a thread of it has ended")]
    Thread(#[from] tokio::task::JoinError),
}

impl AskError {
    /// What it is counted as.
    pub(super) const fn reason(&self) -> WitnessFailure {
        match self {
            Self::Call(_) | Self::Answer | Self::Busy(_) => WitnessFailure::Unreachable,
            Self::Refused(_) => WitnessFailure::Refused,
            Self::Inconsistent { .. } | Self::Ahead { .. } => WitnessFailure::Fork,
            Self::Forgot { .. } | Self::Size | Self::Cosignature(_) => WitnessFailure::Invalid,
            Self::Tree(_) | Self::Root | Self::Thread(_) => WitnessFailure::Local,
        }
    }
}

/// Whom to ask, and where.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) key: VerifierKey,
    pub(super) client: Client<Full<Bytes>>,
    pub(super) target: http::Uri,
}

/// One question.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) head: Arc<Head>,
    pub(super) address: Arc<Address>,
    pub(super) published: Arc<Published>,
    /// The size of the newest head of which its cosignature was seen.
    pub(super) cosigned: u64,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// The cosignature line, and when it was made.
    Cosigned(String, Timestamp),
    /// It has seen a head of another size.
    Size(u64),
}

impl Ask {
    /// The witness's cosignature line, and when it was made. `size` is that of the head that it cosigned
    /// last, as far as is known.
    pub(super) async fn cosignature(&self, size: &mut u64) -> Result<(String, Timestamp), AskError> {
        let new = self.head.checkpoint.size;
        for _ in 0..TRIES {
            if *size > new {
                return Err(AskError::Ahead { seen: *size, new });
            }
            let (old, root) = (*size, self.head.checkpoint.root);
            let published = Arc::clone(&self.published);
            let proof = blocking(move || prove(&published, old, new, &root)).await??;
            match self.try_once(old, proof).await? {
                Answer::Cosigned(line, at) => {
                    *size = new;
                    return Ok((line, at));
                }
                Answer::Size(seen) if seen < self.cosigned => {
                    return Err(AskError::Forgot { seen, cosigned: self.cosigned });
                }
                // So says who has seen another root of the same size.
                Answer::Size(seen) if seen == old && old == new => {
                    return Err(AskError::Inconsistent { status: StatusCode::CONFLICT, old, new });
                }
                Answer::Size(seen) if seen == old => return Err(AskError::Size),
                Answer::Size(seen) => *size = seen,
            }
        }
        Err(AskError::Size)
    }

    async fn try_once(&self, old: u64, proof: Vec<Digest>) -> Result<Answer, AskError> {
        let request = witness::Request::new(old, proof, self.head.note.clone());
        let body = request.map_err(AskError::Cosignature)?.to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.address.target.clone())
            .header(http::header::USER_AGENT, AGENT)
            .body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| AskError::Call(SinkError::Request(error)))?;
        let client = &self.address.client;
        let answer = client.send(request).await.map_err(|error| AskError::Call(sink_error(error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_NOTE_BYTES).collect();
        let body = tokio::time::timeout(client.response_timeout(), body).await;
        let body = body.ok().and_then(Result::ok).ok_or(AskError::Answer)?.to_bytes();
        judge(head.status, &body, old, &self.head, &self.address.key)
    }
}

/// The proof that the published tree of `new` records, with that root, has grown from the one of `old`.
fn prove(published: &Published, old: u64, new: u64, root: &Digest) -> Result<Vec<Digest>, AskError> {
    let mut nodes = TileNodes::new(new, |path| published.tile(path));
    let tree = Tree::load(&mut nodes, new).map_err(|error| AskError::Tree(MakeError::Nodes(error)))?;
    // A damaged tile must not pass for a log that was rewritten.
    if tree.root() != *root {
        return Err(AskError::Root);
    }
    prove_consistency(&mut nodes, old, new).map_err(AskError::Tree)
}

fn judge(
    status: StatusCode,
    body: &[u8],
    old: u64,
    head: &Head,
    key: &VerifierKey,
) -> Result<Answer, AskError> {
    match status {
        StatusCode::OK => {
            let (line, at) = cosignature(body, head, key).map_err(AskError::Cosignature)?;
            Ok(Answer::Cosigned(line, at))
        }
        StatusCode::CONFLICT => size(body).map(Answer::Size).ok_or(AskError::Size),
        StatusCode::UNPROCESSABLE_ENTITY => {
            Err(AskError::Inconsistent { status, old, new: head.checkpoint.size })
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(AskError::Busy(status)),
        status if status.is_server_error() => Err(AskError::Busy(status)),
        status => Err(AskError::Refused(status)),
    }
}

/// The cosignature of `key` among the lines of an answer. Those of other keys are passed over.
fn cosignature(body: &[u8], head: &Head, key: &VerifierKey) -> Result<(String, Timestamp), NoteError> {
    let note = Note::parse(&[head.note.text().as_bytes(), b"\n", body].concat())?;
    // An answer with an empty line would be a text of its own, signed below it.
    if note.text() != head.note.text() {
        return Err(NoteError::Form("the answer is more than signature lines"));
    }
    let at = cosigned_at(&note, key)?;
    let line = note.signatures_of(key).map(ToString::to_string).next();
    Ok((line.ok_or_else(|| NoteError::Unsigned(key.name().to_owned()))?, at))
}

/// A decimal number and a newline.
fn size(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?.strip_suffix('\n')?;
    let is_plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if is_plain { text.parse().ok() } else { None }
}
