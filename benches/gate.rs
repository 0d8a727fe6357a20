//! What the audit log costs the gate: its requests a second with the log on disk against those with a log that is
//! kept nowhere, turn by turn in one run. The gate, the load and the platform behind it share the
//! machine's cores.
//!
//! `cargo bench --bench gate -- [--rounds 5] [--requests 20000] [--connections 64] [--dir DIR]`
//!
//! `--dir` chooses the disk. Each gate is a process of its own: this program, called again, with the same files as
//! `pinegate demo` has. The log that is kept nowhere does all but the writing: its storage forgets what it is given.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a measuring tool that may stop at the first surprise"
)]

#[path = "support/load.rs"]
#[expect(dead_code, reason = "handshakes alone and held connections are for `load`")]
mod load;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use load::{Found, Load, Wire};
use pinegate::demo::people::{Counts, DEMO_SEED, Data};
use pinegate::demo::platform::{Options, Platform};
use pinegate::journal::{DiskStorage, Lock, Storage, StorageFile};
use tokio_util::sync::CancellationToken;

/// The gate as it is compared.
const MANNERS: [&str; 3] = ["null", "normal", "raised"];

const SYSTEM: &str = "minzheng-aid";
const TARGET: &str = "/population/residents?area=3410&size=2";

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [first, config, manner] = words.as_slice()
        && first == "gate"
    {
        return serve(Path::new(config), manner);
    }
    let given: BTreeMap<&str, &str> =
        words.chunks(2).map(|pair| (pair[0].trim_start_matches('-'), pair[1].as_str())).collect();
    let number = |name: &str, usual: usize| given.get(name).map_or(usual, |text| text.parse().unwrap());
    let ground = match given.get("dir") {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (rounds, requests, connections) =
        (number("rounds", 5), number("requests", 20_000), number("connections", 64));
    runtime.block_on(compare(ground.path(), rounds, requests, connections));
}

async fn compare(ground: &Path, rounds: usize, requests: usize, connections: usize) {
    let site = Site::lay_out(ground).await;
    let mut found: BTreeMap<&str, Vec<Found>> = BTreeMap::new();
    for round in 0..rounds {
        for manner in MANNERS {
            let gate = Gate::start(&site.config(manner), manner);
            let load = site.load(&gate, requests, connections);
            let figures = load.run().await;
            assert!(figures.statuses.keys().eq([&200]), "{manner}: {:?}", figures.statuses);
            println!(
                "round {round}, {manner}: {:.0} requests/s, p50 {:?}, p99 {:?}, CPU s per 100,000: {:.2}, {:.1} records \
                 a commit, {} body bytes each",
                figures.rate,
                figures.p50,
                figures.p99,
                figures.cpu,
                gate.records_per_commit().await,
                figures.bytes
            );
            found.entry(manner).or_default().push(figures);
            drop(gate);
            fs::remove_dir_all(site.root.join("audit")).unwrap();
            fs::create_dir(site.root.join("audit")).unwrap();
        }
    }
    for manner in MANNERS {
        let ratio = |figure: fn(&Found) -> f64| {
            let pairs = found[manner].iter().zip(&found["null"]);
            let mut ratios: Vec<f64> = pairs.map(|(with, without)| figure(with) / figure(without)).collect();
            ratios.sort_unstable_by(f64::total_cmp);
            ratios[ratios.len() / 2]
        };
        println!(
            "{manner}: requests a second {:.3} of null, CPU time of the gate {:.3} of null (medians of {rounds})",
            ratio(|found| found.rate),
            ratio(|found| found.cpu)
        );
    }
}

/// The files of the demonstration, before a platform of this process.
struct Site {
    root: PathBuf,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn replace_line(text: &str, start: &str, line: &str) -> String {
    let begin = text.find(start).unwrap();
    let end = begin + text[begin..].find('\n').unwrap();
    format!("{}{line}{}", &text[..begin], &text[end..])
}

impl Site {
    async fn lay_out(ground: &Path) -> Self {
        let root = ground.join("site");
        let demo = Command::new(env!("CARGO_BIN_EXE_pinegate"))
            .args(["demo", "--once", "--dir"])
            .arg(&root)
            .stdout(Stdio::null())
            .status();
        assert!(demo.unwrap().success());
        let counts = Counts { residents: 300, enterprises: 4, licences: 4, parcels: 4, adoptions: 4 };
        let (data, any_port) =
            (Data::generate(DEMO_SEED, counts), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let options = Options { keep_received: None, ..Options::default() };
        let platform = Platform::bind(any_port, Arc::new(data), options).await.unwrap();
        let (at, stop) = (platform.local_addr(), CancellationToken::new());
        tokio::spawn(platform.serve(stop.clone()));
        let config = fs::read_to_string(root.join("gateway.toml")).unwrap();
        let config = replace_line(&config, "addresses = [", "addresses = [\"127.0.0.1:0\"]");
        let config = replace_line(&config, "address = \"", "address = \"127.0.0.1:0\"");
        let config = replace_line(&config, "url = \"", &format!("url = \"http://{at}\""));
        let config = replace_line(&config, "segment_bytes = ", "segment_bytes = \"64MiB\"\nMANNER");
        let config = replace_line(&config, "reload = ", "reload = \"signal\"");
        for manner in MANNERS {
            let priority = if manner == "raised" { "raised" } else { "normal" };
            let text = config.replace("MANNER", &format!("writer_priority = \"{priority}\""));
            fs::write(root.join(format!("{manner}.toml")), text).unwrap();
        }
        let limits = "[[limit]]\nname = \"each-system\"\nby = [\"system\"]\nper_day = 900_000_000\n";
        fs::write(root.join("policies/limits.toml"), limits).unwrap();
        fs::remove_dir_all(root.join("audit")).unwrap();
        fs::create_dir(root.join("audit")).unwrap();
        Self { root, stop }
    }

    fn config(&self, manner: &str) -> PathBuf {
        self.root.join(format!("{manner}.toml"))
    }

    fn load(&self, gate: &Gate, requests: usize, connections: usize) -> Load {
        let clients = self.root.join("certs/clients");
        let token = self.root.join(format!("requests/{SYSTEM}.social-aid.eligibility.jwt"));
        let url = format!("https://localhost:{}{TARGET}", gate.address.port());
        Load {
            url: url.parse().unwrap(),
            ca: self.root.join("certs/ca.pem"),
            certificate: clients.join(format!("{SYSTEM}.pem")),
            key: clients.join(format!("{SYSTEM}.key")),
            authorization: Some(format!("Bearer {}", fs::read_to_string(token).unwrap().trim())),
            wire: Wire::Http1,
            pinned: false,
            connections,
            requests,
            warm_up: 0,
            rate: None,
            pids: vec![gate.child.id()],
        }
    }
}

/// A gate in a process of its own; killed when dropped.
struct Gate {
    child: Child,
    address: SocketAddr,
    metrics: SocketAddr,
}

impl Gate {
    fn start(config: &Path, manner: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("gate")
            .args([config.as_os_str(), manner.as_ref()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let serving = lines.find(|line| line.contains("\"serving\"")).unwrap();
        // What it says later is taken off its hands.
        std::thread::spawn(move || lines.for_each(drop));
        let serving: serde_json::Value = serde_json::from_str(&serving).unwrap();
        let address = |name: &str| serving["fields"][name].as_str().unwrap().parse().unwrap();
        Self { child, address: address("address"), metrics: address("metrics") }
    }

    async fn records_per_commit(&self) -> f64 {
        let page = metrics(self.metrics).await;
        let figure = |name: &str| {
            let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse::<f64>().unwrap()
        };
        figure("pinegate_audit_records_total ") / figure("pinegate_audit_commit_duration_seconds_count ")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn metrics(at: SocketAddr) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

/// Serves as `pinegate run` does.
fn serve(config: &Path, manner: &str) {
    tracing_subscriber::fmt().json().with_writer(io::stderr).init();
    let storage: Arc<dyn Storage> =
        if manner == "null" { Arc::new(NullStorage::default()) } else { Arc::new(DiskStorage) };
    pinegate::app::run::run_on(config, storage).unwrap();
}

/// A storage that forgets what is written and remembers how long files are.
#[derive(Debug, Clone, Default)]
struct NullStorage(Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<u64>>>>>);

#[derive(Debug)]
struct NullFile(Arc<Mutex<u64>>);

#[derive(Debug)]
struct NullLock;

impl Lock for NullLock {}

impl StorageFile for NullFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut length = self.0.lock().unwrap();
        *length = (*length).max(offset + bytes.len() as u64);
        Ok(bytes.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.0.lock().unwrap().saturating_sub(offset);
        let read = bytes.len().min(usize::try_from(left).unwrap());
        bytes[..read].fill(0);
        Ok(read)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        *self.0.lock().unwrap() = bytes;
        Ok(())
    }

    fn byte_len(&self) -> io::Result<u64> {
        Ok(*self.0.lock().unwrap())
    }
}

impl Storage for NullStorage {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let length = Arc::default();
        self.0.lock().unwrap().insert(path.to_owned(), Arc::clone(&length));
        Ok(Box::new(NullFile(length)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let length = self.0.lock().unwrap().get(path).map(Arc::clone);
        length.map_or(Err(io::ErrorKind::NotFound.into()), |length| Ok(Box::new(NullFile(length)) as _))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn free_space(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        Ok(Some(Box::new(NullLock)))
    }
}
