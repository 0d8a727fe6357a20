//! A platform that says exactly what a test wrote down, byte by byte, however wrong that is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::city::ANY_PORT;

/// One step of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Bytes),
    /// The rest of the request is taken: a body in chunks, to its end or to where it breaks off.
    Take,
    /// Until the test says so.
    Wait(Arc<Notify>),
    /// Nothing more, with the connection open.
    Silence,
    /// The connection ends.
    Close,
    /// The connection breaks.
    Reset,
}

impl Step {
    pub(crate) fn send(bytes: impl Into<Bytes>) -> Self {
        Self::Send(bytes.into())
    }
}

/// A head, the true length of `body`, and `body`.
pub(crate) fn answer(fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let length = body.len().to_string();
    let head = head("200 OK", &[fields, &[("content-length", length.as_str())]].concat());
    vec![Step::send([head.as_bytes(), body].concat())]
}

/// A head alone, up to the empty line.
pub(crate) fn head(status: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{fields}\r\n")
}

/// A head, and `body` in chunks without their end.
pub(crate) fn chunks(fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<Step> {
    let head = head("200 OK", &[fields, &[("transfer-encoding", "chunked")]].concat());
    std::iter::once(Step::send(head)).chain(body.as_ref().chunks(16 << 10).map(chunk)).collect()
}

/// One chunk.
pub(crate) fn chunk(data: &[u8]) -> Step {
    Step::send([format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat())
}

/// The end of chunks.
pub(crate) fn last_chunk() -> Step {
    Step::send("0\r\n\r\n")
}

/// The platform.
pub(crate) struct Scripted {
    pub(crate) at: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scripted {
    /// Answers a request by the last segment of its path.
    pub(crate) async fn start<N: Into<String>>(scripts: impl IntoIterator<Item = (N, Vec<Step>)>) -> Self {
        let scripts: BTreeMap<String, Vec<Step>> =
            scripts.into_iter().map(|(name, steps)| (name.into(), steps)).collect();
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let at = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (scripts, seen) = (Arc::new(scripts), Arc::clone(&heads));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&scripts), Arc::clone(&seen)));
            }
        });
        Self { at, heads, task }
    }

    /// The head of the newest request.
    pub(crate) fn last_head(&self) -> String {
        self.heads.lock().unwrap().last().expect("nothing reached the platform").clone()
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

async fn serve(
    mut stream: TcpStream,
    scripts: Arc<BTreeMap<String, Vec<Step>>>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    stream.set_nodelay(true).unwrap();
    while let Some(head) = request(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap();
        let name = path.rsplit('/').next().unwrap();
        let steps = scripts.get(name).unwrap_or_else(|| panic!("no script for {path}")).clone();
        heads.lock().unwrap().push(head);
        for step in steps {
            match step {
                // Who hangs up on a lie is right to.
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Take => {
                    if !taken(&mut stream).await {
                        return;
                    }
                }
                Step::Wait(until) => until.notified().await,
                Step::Silence => {
                    let mut nothing = [0];
                    let _gone = stream.read(&mut nothing).await;
                    return;
                }
                Step::Close => return,
                Step::Reset => {
                    stream.set_zero_linger().unwrap();
                    return;
                }
            }
        }
    }
}

/// Takes the body of a request in chunks; whether it came to its end.
async fn taken(stream: &mut TcpStream) -> bool {
    let mut body = Vec::new();
    while !body.ends_with(b"0\r\n\r\n") {
        match stream.read_buf(&mut body).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    true
}

/// The head of the next request; none at the end of the connection.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}
