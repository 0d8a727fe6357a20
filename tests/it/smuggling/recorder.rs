//! A platform that keeps every byte it is sent, and reads it as strictly as the standard allows.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::strict::{Read, Request, read};
use crate::city::ANY_PORT;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\nok";

/// What one connection was sent.
type Heard = Arc<Mutex<Vec<u8>>>;

pub(crate) struct Recorder {
    pub(crate) at: SocketAddr,
    connections: Arc<Mutex<Vec<Heard>>>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let at = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heard = Heard::default();
                all.lock().unwrap().push(Arc::clone(&heard));
                tokio::spawn(listen(stream, heard));
            }
        });
        Self { at, connections }
    }

    /// Every request that came whole, in the order of its connection; and how many began and broke off. Fails
    /// where bytes came that cannot be framed.
    pub(crate) fn requests(&self) -> (Vec<Request>, usize) {
        let (mut whole, mut begun) = (Vec::new(), 0);
        for heard in self.connections.lock().unwrap().iter() {
            let heard = heard.lock().unwrap().clone();
            let mut rest = &heard[..];
            while !rest.is_empty() {
                match read(rest) {
                    Read::Whole(request, length) => {
                        whole.push(request);
                        rest = &rest[length..];
                    }
                    Read::Begun => {
                        begun += 1;
                        break;
                    }
                    Read::Unclear => {
                        panic!("the platform cannot frame {:?}", String::from_utf8_lossy(rest))
                    }
                }
            }
        }
        (whole, begun)
    }
}

/// Keeps what comes, and answers each whole request.
async fn listen(mut stream: TcpStream, heard: Heard) {
    let (mut room, mut answered) = (vec![0; 64 << 10], 0);
    while let Ok(taken @ 1..) = stream.read(&mut room).await {
        let whole = {
            let mut heard = heard.lock().unwrap();
            heard.extend_from_slice(&room[..taken]);
            let (mut whole, mut rest) = (0, &heard[..]);
            while let Read::Whole(_, length) = read(rest) {
                whole += 1;
                rest = &rest[length..];
            }
            whole
        };
        for _ in answered..whole {
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        answered = whole;
    }
}
