//! A platform that speaks WebSocket, or whatever a test has it say, and remembers what it was told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::city::ANY_PORT;

/// The head that takes a handshake; `ACCEPT` stands for what its key demands.
pub(super) const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n";

/// How a connection is served once there is a head.
#[derive(Debug, Clone)]
pub(super) enum Mood {
    /// It is answered with this head, and every message comes back.
    Echo(String),
    /// It is answered with this head, then closed as it is done.
    Close(String),
    /// It is answered with these bytes.
    Say(Vec<u8>),
    /// It is answered with this head, and sent messages for as long as they are taken.
    Flood(String),
    /// It is answered with this head once somebody says so.
    Held(Arc<Notify>, String),
}

impl Mood {
    pub(super) fn echo() -> Self {
        Self::Echo(SWITCHES.to_owned())
    }

    /// And who says so.
    pub(super) fn held() -> (Arc<Notify>, Self) {
        let held = Arc::<Notify>::default();
        (Arc::clone(&held), Self::Held(held, SWITCHES.to_owned()))
    }

    pub(super) fn say(text: &str) -> Self {
        Self::Say(text.as_bytes().to_vec())
    }
}

#[derive(Debug, Default)]
struct Told {
    heads: Vec<String>,
    /// What came behind a head.
    behind: Vec<u8>,
    /// Whether a connection has ended that was held.
    has_ended: bool,
}

/// The platform.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) at: SocketAddr,
    told: Arc<Mutex<Told>>,
    mood: Arc<Mutex<Mood>>,
    task: JoinHandle<()>,
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sessions {
    pub(super) async fn start(mood: Mood) -> Self {
        Self::start_with(mood, None).await
    }

    /// Behind TLS, where it would rather speak HTTP/2.
    pub(super) async fn start_with(mood: Mood, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (told, mood) = (Arc::<Mutex<Told>>::default(), Arc::new(Mutex::new(mood)));
        let (all_told, moods) = (Arc::clone(&told), Arc::clone(&mood));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (moods, told, tls) = (Arc::clone(&moods), Arc::clone(&all_told), tls.clone());
                connections.spawn(async move {
                    let Some(tls) = tls else { return serve(stream, moods, told).await };
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, moods, told).await;
                    }
                });
            }
        });
        Self { at, told, mood, task }
    }

    pub(super) fn feels(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The heads that came.
    pub(super) fn heads(&self) -> Vec<String> {
        self.told.lock().unwrap().heads.clone()
    }

    /// Whether a connection has ended that was held.
    pub(super) fn has_ended(&self) -> bool {
        self.told.lock().unwrap().has_ended
    }

    /// What came behind them.
    pub(super) fn behind(&self) -> Vec<u8> {
        self.told.lock().unwrap().behind.clone()
    }
}

/// What a platform is reached by.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

async fn serve<S: Wire>(mut stream: S, mood: Arc<Mutex<Mood>>, told: Arc<Mutex<Told>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    told.lock().unwrap().heads.push(head.clone());
    let mood = mood.lock().unwrap().clone();
    let switch = |said: &str| said.replace("ACCEPT", &accept);
    match mood {
        Mood::Say(bytes) => {
            let bytes = match String::from_utf8(bytes) {
                Ok(text) => switch(&text).into_bytes(),
                Err(error) => error.into_bytes(),
            };
            if stream.write_all(&bytes).await.is_ok() {
                let mut room = [0; 1 << 10];
                while let Ok(taken) = stream.read(&mut room).await
                    && taken > 0
                {
                    told.lock().unwrap().behind.extend_from_slice(&room[..taken]);
                }
            }
        }
        Mood::Echo(said) => {
            let Ok(mut socket) = switched(stream, &switch(&said)).await else { return };
            while let Some(Ok(message)) = socket.next().await {
                if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                    return;
                }
            }
        }
        Mood::Close(said) => {
            let Ok(mut socket) = switched(stream, &switch(&said)).await else { return };
            if socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = socket.next().await {}
            }
        }
        Mood::Held(held, said) => {
            held.notified().await;
            let _gone = stream.write_all(switch(&said).as_bytes()).await;
            while stream.read_u8().await.is_ok() {}
            told.lock().unwrap().has_ended = true;
        }
        Mood::Flood(said) => {
            let Ok(mut socket) = switched(stream, &switch(&said)).await else { return };
            while socket.send(vec![0; 64 << 10].into()).await.is_ok() {}
        }
    }
}

async fn switched<S: Wire>(mut stream: S, head: &str) -> std::io::Result<WebSocketStream<S>> {
    stream.write_all(head.as_bytes()).await?;
    Ok(WebSocketStream::from_raw_socket(stream, Role::Server, None).await)
}
