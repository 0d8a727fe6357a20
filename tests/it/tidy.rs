//! The house rules as a test: what may import what, which crate is whose, and what must not stand
//! anywhere. The layers themselves are read from `src/lib.rs`.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use source::{Mention, Token, own_modules, path_heads, phrases, test_modules, tokens};

/// Imports within a layer that are allowed, and why. Everything else goes strictly downwards.
const IMPORTS: &[(&str, &str, &str)] = &[
    ("cli", "app", "a command line starts what `app` wires"),
    ("cli", "demo", "`pinegate demo` is a command"),
    ("demo::scenario", "app", "the demonstration runs a whole gate"),
    ("proxy::rescue::tests", "app", "what is live is made there alone, and a stage that panics needs it"),
];

/// Crates that a module may name beside their owners, and why.
const CRATES: &[(&str, &str, &str)] = &[
    ("app::assemble", "governor", "the limiter is told which clock it runs by where it is wired"),
    ("app::assemble", "rustls", "it carries what `tls` made to the listener"),
    ("cli::failure", "prometheus", "it names the error of setting the metrics up, and nothing else"),
    ("demo::platform", "tokio_rustls", "the platform takes a finished acceptor"),
    ("demo::scenario", "prometheus", "it names the error of setting the metrics up, and nothing else"),
    ("demo::scenario", "rustls", "it calls the gate as a department's system would"),
    ("demo::scenario", "tokio_rustls", "it calls the gate as a department's system would"),
];

/// A crate that only some modules may name, so that it can be replaced, and its rules kept, in one
/// place. Tests may name any.
struct Owned {
    name: &'static str,
    owners: &'static [&'static str],
    reason: &'static str,
}

const fn owned(name: &'static str, owners: &'static [&'static str], reason: &'static str) -> Owned {
    Owned { name, owners, reason }
}

const OWNED: &[Owned] = &[
    owned(
        "aes",
        &["mask"],
        "a second AES beside the crypto provider's, for format-preserving encryption alone",
    ),
    owned("annotate_snippets", &["cli"], "only people at a terminal see snippets"),
    owned(
        "blake3",
        &["audit"],
        "long bodies are digested by it, and nothing else: one provider of digests otherwise",
    ),
    owned("casbin", &["policy"], "it can be switched off and answers true then: kept private"),
    owned("clap", &["cli"], "the command line is one module's"),
    owned("clap_complete", &["cli"], "the command line is one module's"),
    owned("clap_mangen", &["cli"], "the command line is one module's"),
    owned("compression_codecs", &["coding"], "what is decoded is bounded in one place"),
    owned(
        "encoding_rs",
        &["mask", "policy"],
        "texts are UTF-8: another encoding is read by who repairs files, and where a body is declared in it",
    ),
    owned("crossterm", &["cli"], "only people at a terminal press keys"),
    owned("fpe", &["mask"], "one masker encrypts, and says what its values are"),
    owned("governor", &["quota"], "limits count in one place"),
    owned(
        "h2",
        &["kernel"],
        "its errors repeat what the other end said: they are put into words in one place",
    ),
    owned("hyper_rustls", &["upstream"], "only the client towards the platform"),
    owned("indicatif", &["cli"], "progress is shown to people alone"),
    owned("jsonwebtoken", &["identity"], "its defaults accept bad tokens: guarded in one place"),
    owned("listenfd", &["app"], "descriptors are taken from the environment once, before there are threads"),
    owned("matchit", &["proxy"], "routes are matched at the edge"),
    owned("notify", &["app"], "files are watched only by who reloads"),
    owned("pem", &["tlog"], "only new keys of logs and witnesses are written by us"),
    owned("prometheus", &["telemetry"], "names and labels of metrics are a closed list"),
    owned(
        "proxy_header",
        &["proxy", "upstream"],
        "read where connections arrive, written where they are set up",
    ),
    owned("quick_xml", &["mask", "cli"], "bodies are read, and test reports written"),
    owned("ratatui", &["cli"], "only people at a terminal see frames"),
    owned("rcgen", &["pki"], "only the development CA issues"),
    owned(
        "rustls",
        &["tls", "upstream", "proxy", "admin", "ship", "witness"],
        "listeners and clients take what `tls` made",
    ),
    owned(
        "tokio_rustls",
        &["tls", "upstream", "proxy", "admin", "ship", "witness"],
        "listeners and clients shake hands with what `tls` made",
    ),
    owned("regex", &["policy"], "patterns are matched where the policy is decided"),
    owned("sd_notify", &["app"], "only who starts and drains a gate tells a service manager"),
    owned("signal_hook", &["app"], "who sent a signal is asked only where signals are heeded"),
    owned("similar", &["cli"], "only people at a terminal see differences"),
    owned("simdutf8", &["mask", "audit"], "bodies and log lines are validated where they are read"),
    owned("socket2", &["proxy"], "what clients do not read is bounded where their sockets are"),
    owned("toml", &["document"], "`snapshot` and `config` read files through the strict document"),
    owned("thread_priority", &["journal"], "one thread may run before others: the audit writer"),
    owned("tower", &["proxy", "upstream"], "the stage list is the edge's; connectors are services"),
    owned("unicode_normalization", &["kernel"], "how others read a text is decided in one place"),
    owned("uuid", &["kernel"], "ids are made in one place"),
    owned(
        "x509_parser",
        &["identity", "tls", "pki"],
        "certificates are read where a peer becomes a system; `tls` checks revocation, `pki` its own work",
    ),
    owned("zstd", &["journal"], "closed segments are files; bodies go through `coding`"),
];

/// What layers 0 to 2 must not name: they compute, the edge waits, reads and reports.
const IMPURE_CRATES: &[&str] =
    &["hyper", "hyper_util", "rustix", "tempfile", "tokio", "tokio_util", "tower", "tracing"];
const IMPURE_PHRASES: &[&[&str]] = &[
    &["async"],
    &[".", "await"],
    &["std", "::", "env"],
    &["std", "::", "fs"],
    &["std", "::", "process"],
    &["std", "::", "thread"],
    &["SystemTime"],
    &["TcpListener"],
    &["TcpStream"],
    &["UdpSocket"],
];
/// The highest pure layer.
const PURE: u8 = 2;

/// Exceptions to purity: module, what it names, why.
const IMPURE: &[(&str, &str, &str)] = &[];

/// What marks unfinished work and tests that do not test.
const UNFINISHED: &[&[&str]] = &[
    &["todo", "!"],
    &["unimplemented", "!"],
    &["dbg", "!"],
    // A test that does not run, and one that does not say what it expects.
    &["#", "[", "ignore"],
    &["should_panic"],
];

struct File {
    /// As it stands in the repository.
    name: String,
    /// The modules from the crate's root, such as `policy`, `window`.
    module: Vec<String>,
    is_test: bool,
    text: String,
    tokens: Vec<Token>,
}

impl File {
    fn top(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    fn is_in(&self, module: &str) -> bool {
        module
            .split("::")
            .zip(self.module.iter().map(String::as_str).chain(std::iter::repeat("")))
            .all(|(wanted, own)| wanted == own)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under `directory`, in order; none where it does not exist.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { walk(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).collect()
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

fn rust_files(directory: &str) -> Vec<File> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let read = |path: PathBuf| {
        let name = name(&path);
        let module = name.trim_end_matches(".rs").split('/').skip(1).map(str::to_owned).collect();
        let text = fs::read_to_string(&path).unwrap();
        let tokens = tokens(&text);
        File { name, module, is_test: directory != "src", text, tokens }
    };
    let mut files: Vec<File> = walk(&root().join(directory)).into_iter().filter(is_rust).map(read).collect();
    let test_only: Vec<Vec<String>> = files
        .iter()
        .flat_map(|file| {
            test_modules(&file.tokens).into_iter().map(|name| [file.module.clone(), vec![name]].concat())
        })
        .collect();
    for file in &mut files {
        file.is_test |= test_only.iter().any(|module| file.module.starts_with(module));
    }
    files
}

/// The library's files apart from `lib.rs` and `main.rs`, which see everything.
fn modules() -> Vec<File> {
    let files = rust_files("src");
    assert!(files.len() > 20, "the sources are not where they should be");
    files.into_iter().filter(|file| !matches!(file.top(), "lib" | "main")).collect()
}

/// The layer of each top module, as `src/lib.rs` says by `// layer N` above `pub mod`.
fn layers() -> BTreeMap<String, u8> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut layers = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("// layer ") {
            let number = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            current = Some(number.parse().unwrap());
        } else if let Some(name) = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")) {
            let layer = current.unwrap_or_else(|| panic!("`{line}` stands under no layer"));
            layers.insert(name.trim_end_matches(';').to_owned(), layer);
        }
    }
    layers
}

fn assert_none(faults: &[String], rule: &str) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

#[test]
fn every_module_has_a_layer() {
    let layers = layers();
    let tops: BTreeSet<String> = modules().iter().map(|file| file.top().to_owned()).collect();
    assert_eq!(layers.into_keys().collect::<BTreeSet<_>>(), tops);
}

#[test]
fn imports_go_strictly_downwards() {
    let layers = layers();
    let mut faults = Vec::new();
    for file in modules() {
        for mention in own_modules(&file.tokens, file.module.len()) {
            let (from, to) = (file.top(), mention.name.as_str());
            let Some(lower) = layers.get(to) else { continue };
            let is_excepted = IMPORTS.iter().any(|&(module, other, _)| file.is_in(module) && other == to);
            if from != to && *lower >= layers[from] && !is_excepted {
                let (own, line) = (layers[from], mention.line);
                faults.push(format!(
                    "{}:{line}: `{from}` (layer {own}) names `{to}` (layer {lower})",
                    file.name
                ));
            }
        }
    }
    assert_none(&faults, "a module imports only strictly lower layers, never a sibling");
}

#[test]
fn crates_stay_with_their_owners() {
    let mut faults = Vec::new();
    for file in modules().iter().filter(|file| !file.is_test) {
        for mention in path_heads(&file.tokens).into_iter().filter(|mention| !mention.is_test) {
            let Some(rule) = OWNED.iter().find(|rule| rule.name == mention.name) else { continue };
            let is_excepted =
                CRATES.iter().any(|&(module, other, _)| file.is_in(module) && other == mention.name);
            if !is_excepted && !rule.owners.iter().any(|owner| file.is_in(owner)) {
                let (owners, reason) = (rule.owners.join("`, `"), rule.reason);
                let place = format!("{}:{}", file.name, mention.line);
                faults.push(format!("{place}: `{}` belongs to `{owners}`: {reason}", rule.name));
            }
        }
    }
    assert_none(&faults, "a crate is named only by its owners");
}

#[test]
fn owned_crates_are_dependencies() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let names: BTreeSet<String> = dependencies
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once('=')?.0.trim().replace('-', "_")))
        .collect();
    let unknown: Vec<String> = OWNED
        .iter()
        .map(|rule| rule.name)
        .chain(IMPURE_CRATES.iter().copied())
        .filter(|name| !names.contains(*name))
        .map(str::to_owned)
        .collect();
    assert_none(&unknown, "a rule about a crate that is no dependency guards nothing");
}

#[test]
fn the_lower_layers_are_pure() {
    let layers = layers();
    let mut faults = Vec::new();
    let pure = |file: &&File| !file.is_test && layers.get(file.top()).is_some_and(|&layer| layer <= PURE);
    for file in modules().iter().filter(pure) {
        let heads = path_heads(&file.tokens).into_iter();
        let crates = heads
            .filter(|mention| IMPURE_CRATES.contains(&mention.name.as_str()) && !mention.is_test)
            .map(|mention| (mention.name, mention.line));
        let spoken = IMPURE_PHRASES.iter().flat_map(|words| {
            let places = phrases(&file.tokens, words).into_iter().filter(|(_, is_test)| !is_test);
            places.map(|(line, _)| (words.concat(), line))
        });
        for (what, line) in crates.chain(spoken) {
            if !IMPURE.iter().any(|(module, name, _)| file.is_in(module) && *name == what) {
                faults.push(format!("{}:{line}: `{what}`", file.name));
            }
        }
    }
    assert_none(&faults, "layers 0 to 2 do not wait, read files or sockets, ask the clock or log");
}

#[test]
fn nothing_is_left_unfinished_or_ignored() {
    let mut faults = Vec::new();
    for file in ["src", "tests", "benches", "fuzz"].into_iter().flat_map(rust_files) {
        if ["fuzz/target/", "benches/engines/target/"].iter().any(|built| file.name.starts_with(built)) {
            continue;
        }
        for words in UNFINISHED {
            for (line, _) in phrases(&file.tokens, words) {
                faults.push(format!("{}:{line}: `{}`", file.name, words.concat()));
            }
        }
        for (line, text) in (1..).zip(file.text.lines()) {
            // Put together here so that this file does not find itself.
            for word in [["TO", "DO"], ["FIX", "ME"]].map(|halves| halves.concat()) {
                if text.contains(&word) {
                    faults.push(format!("{}:{line}: `{word}`", file.name));
                }
            }
        }
        if file.name.ends_with("/mod.rs") {
            faults.push(format!("{}: a module is `foo.rs`, not `foo/mod.rs`", file.name));
        }
    }
    assert_none(&faults, "what is in the tree is finished, and every test runs");
}

/// The files of the repository that are texts, by name.
fn texts() -> BTreeMap<String, String> {
    const TEXT: [&str; 17] = [
        "rs", "toml", "md", "csv", "conf", "json", "txt", "yml", "yaml", "sh", "py", "js", "mjs", "go",
        "java", "html", "snap",
    ];
    const DIRECTORIES: [&str; 13] = [
        "src", "tests", "bench", "benches", "docs", "policies", "config", "certs", "fuzz", ".ci", ".cargo",
        "peers", "deploy",
    ];
    let at_root =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let below = DIRECTORIES.iter().flat_map(|directory| walk(&root().join(directory)));
    let is_text = |path: &PathBuf| {
        // A file without an extension is a script, a licence or a Dockerfile.
        path.extension().is_none_or(|extension| TEXT.iter().any(|&text| extension == text))
    };
    let texts: BTreeMap<String, String> = at_root
        .chain(below)
        .filter(is_text)
        .map(|path| (name(&path), path))
        // In a linked work tree `.git` is a file; what it says is in no commit.
        .filter(|(name, _)| !name.contains("target/") && name != ".git")
        .filter_map(|(name, path)| Some((name, fs::read_to_string(path).ok()?)))
        .collect();
    assert!(texts.len() > 20, "the files are not where they should be");
    texts
}

#[test]
fn no_file_names_a_machine() {
    let machine: Vec<String> =
        ["home", "root", "work", "Users"].iter().map(|word| format!("/{word}/")).collect();
    let mut faults = Vec::new();
    for (name, text) in texts() {
        for (line, text) in (1..).zip(text.lines()) {
            let begins_a_path =
                |at: usize| !text.get(..at).is_some_and(|before| before.ends_with(is_path_character));
            for word in &machine {
                if text.match_indices(word.as_str()).any(|(at, _)| begins_a_path(at)) {
                    faults.push(format!("{name}:{line}: `{word}`"));
                }
            }
        }
    }
    assert_none(&faults, "no file names a path of one machine");
}

#[test]
fn no_file_is_half_merged() {
    let markers = ['<', '>'].map(|sign| format!("{} ", sign.to_string().repeat(7)));
    let is_marker = |line: &str| markers.iter().any(|marker| line.starts_with(marker));
    let half_merged = |(name, text): (String, String)| {
        let line = text.lines().position(is_marker)?;
        Some(format!("{name}:{}: a conflict that was left", line + 1))
    };
    let faults: Vec<_> = texts().into_iter().filter_map(half_merged).collect();
    assert!(is_marker(&format!("{} main", "<".repeat(7))), "they would not be found");
    assert_none(&faults, "what is merged is merged whole");
}

/// The crates that the code map calls a module's own.
#[test]
fn the_code_map_knows_whose_each_crate_is() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = page.split_once("| sole user of |\n").unwrap();
    let mut faults = Vec::new();
    let mut seen = 0;
    for row in table.lines().skip(1).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (module, said) = (cells[2].trim_matches('`'), cells[4]);
        // What follows another module's name is shared with it.
        let own = said.split("; ").filter(|part| !part.contains(", with "));
        for name in own.flat_map(|part| part.split('`').skip(1).step_by(2)).filter(|name| !name.contains('/'))
        {
            seen += 1;
            let rule = OWNED.iter().find(|rule| rule.name == name.replace('-', "_"));
            if rule.is_none_or(|rule| rule.owners != [module]) {
                faults.push(format!("`{name}` is not `{module}`'s alone"));
            }
        }
    }
    assert!(seen > 10, "the code map is not where it should be");
    assert_none(&faults, "the code map and the rules here say the same");
}

/// Whether a `/` after `c` goes on with a path or address instead of beginning one.
fn is_path_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}' | '~')
}

/// What a file names, of one kind.
type NamesOf = fn(&File) -> BTreeSet<Mention>;

#[test]
fn exceptions_are_needed_and_have_reasons() {
    let files = modules();
    let imports: NamesOf = |file| own_modules(&file.tokens, file.module.len());
    let heads: NamesOf = |file| path_heads(&file.tokens);
    let mut faults = Vec::new();
    for (exceptions, names) in [(IMPORTS, imports), (CRATES, heads), (IMPURE, heads)] {
        for (module, other, reason) in exceptions {
            let own: Vec<&File> = files.iter().filter(|file| file.is_in(module)).collect();
            let is_needed = own.iter().any(|file| names(file).iter().any(|mention| mention.name == *other));
            let is_written = own.iter().any(|file| !file.tokens.is_empty());
            if reason.is_empty() || is_written && !is_needed {
                faults.push(format!("`{module}` names no `{other}`"));
            }
        }
    }
    assert_none(&faults, "an exception that nobody needs is a hole");
}
