//! The policy directory as files: which there must be, how large they may be, and their digest.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::{Mode, OFlags};

use crate::kernel::bound::ByteLimit;
use crate::kernel::diagnostic::{Diagnostic, Report, Source, did_you_mean};
use crate::kernel::id::Digest;

/// The files of a policy directory, all of them required, sorted by name, and the most bytes each
/// may have.
const FILES: [(&str, ByteLimit); 8] = [
    ("calendar.toml", SMALL),
    ("catalog.toml", LARGE),
    ("grants.csv", ByteLimit::bytes(64 << 20)),
    ("limits.toml", SMALL),
    ("masks.toml", SMALL),
    ("model.conf", SMALL),
    ("purposes.toml", LARGE),
    ("registry.toml", LARGE),
];
const SMALL: ByteLimit = ByteLimit::bytes(1 << 20);
const LARGE: ByteLimit = ByteLimit::bytes(16 << 20);

/// The most entries that a policy directory may have.
const MAX_ENTRIES: usize = 1_000;

/// A UTF-8 byte order mark.
const BOM: char = '\u{feff}';

/// The texts of one policy directory. INVARIANT: one for each of [`FILES`], in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFiles {
    sources: Vec<Source>,
    digest: Digest,
}

impl PolicyFiles {
    /// Reads the directory at `dir`. Names in findings begin with `dir` as it is given here.
    ///
    /// # Errors
    /// Everything that is wrong with the files as files: missing, unknown, no regular file, too
    /// large, unreadable, not UTF-8, or beginning with a byte order mark. Files that begin with a dot,
    /// end with `.md` or begin with `README`, and the directory `tests`, are passed over.
    pub fn read(dir: &Path) -> Result<Self, Report> {
        let mut report = Report::new();
        check_entries(dir, &mut report);
        let mut sources = Vec::new();
        for (name, most) in FILES {
            let path = dir.join(name);
            let shown: Arc<str> = Arc::from(path.to_string_lossy());
            match read_text(&path, most) {
                Ok(text) => sources.push(Source::new(shown, text)),
                Err(problem) => report.push(problem.about(shown)),
            }
        }
        if report.has_errors() { Err(report) } else { Ok(Self::from_sources(sources)) }
    }

    /// Takes texts that are already in memory, under their bare names.
    ///
    /// # Errors
    /// As for [`PolicyFiles::read`].
    pub fn from_texts<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Self, Report> {
        let mut report = Report::new();
        let mut given: Vec<(&str, &str)> = texts.into_iter().collect();
        let mut sources = Vec::new();
        for (name, most) in FILES {
            let problem = match given.iter().position(|(given, _)| *given == name) {
                Some(at) => match check_text(given.swap_remove(at).1, most) {
                    Ok(text) => {
                        sources.push(Source::new(name, text));
                        continue;
                    }
                    Err(problem) => problem,
                },
                None => Problem::Missing,
            };
            report.push(problem.about(Arc::from(name)));
        }
        for (name, _) in given {
            report.push(Problem::Unknown(None).about(Arc::from(name)));
        }
        if report.has_errors() { Err(report) } else { Ok(Self::from_sources(sources)) }
    }

    fn from_sources(sources: Vec<Source>) -> Self {
        let names = FILES.iter().map(|(name, _)| *name);
        let digest = digest(names.zip(sources.iter().map(|source| &*source.text)));
        Self { sources, digest }
    }

    /// SHA-256 over the files, sorted by name. For each: the length of its name in bytes as 8 bytes, big
    /// endian; its name; the length of its content likewise; its content. Files passed over when reading
    /// are not in it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    fn source(&self, name: &str) -> &Source {
        static NONE: std::sync::LazyLock<Source> = std::sync::LazyLock::new(|| Source::new("", ""));
        let found = FILES.iter().zip(&self.sources).find(|((file, _), _)| *file == name);
        found.map_or(&NONE, |(_, source)| source)
    }
}

macro_rules! sources {
    ($($method:ident $name:literal;)*) => {
        impl PolicyFiles {
            $(
                #[doc = concat!("`", $name, "`.")]
                #[must_use]
                pub fn $method(&self) -> &Source {
                    self.source($name)
                }
            )*
        }
    };
}

sources! {
    calendar "calendar.toml";
    catalog "catalog.toml";
    grants "grants.csv";
    limits "limits.toml";
    masks "masks.toml";
    model "model.conf";
    purposes "purposes.toml";
    registry "registry.toml";
}

fn digest<'t>(files: impl Iterator<Item = (&'t str, &'t str)>) -> Digest {
    let mut context = Context::new(&SHA256);
    for (name, text) in files {
        for part in [name, text] {
            // A length beyond 64 bits does not exist.
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest(bytes)
}

/// What can be wrong with a file as a file.
#[derive(Debug)]
pub(super) enum Problem {
    Missing,
    /// With the file that it was probably meant to be.
    Unknown(Option<&'static str>),
    NotRegular,
    TooLarge(ByteLimit),
    NotUtf8(usize),
    ByteOrderMark,
    Changing,
    Unreadable(std::io::Error),
}

impl Problem {
    pub(super) fn about(self, file: Arc<str>) -> Diagnostic {
        let name = file.rsplit('/').next().unwrap_or("").to_owned();
        let (code, message, help) = match self {
            Self::Missing => (
                "file-missing",
                "the file is missing".to_owned(),
                format!("a policy directory has all of: {}", all_names()),
            ),
            Self::Unknown(near) => {
                let help = near.map_or_else(
                    || {
                        "remove it: only policy files, README*, *.md, dot files and `tests` may be here"
                            .to_owned()
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                ("file-unknown", format!("`{name}` is no policy file"), help)
            }
            Self::NotRegular => (
                "file-type",
                "this is no regular file".to_owned(),
                "put the file itself here, or a link to it".to_owned(),
            ),
            Self::TooLarge(most) => {
                ("file-size", "the file is too large".to_owned(), format!("it may have {most} at most"))
            }
            Self::NotUtf8(at) => (
                "file-encoding",
                format!("the file is not UTF-8: byte {at} is the first that is wrong"),
                "save it as UTF-8, not GBK or UTF-16".to_owned(),
            ),
            Self::ByteOrderMark => (
                "file-bom",
                "the file begins with a byte order mark".to_owned(),
                "save it as UTF-8 without BOM".to_owned(),
            ),
            Self::Changing => (
                "file-changing",
                "the file changed while it was being read".to_owned(),
                "load again when it is saved".to_owned(),
            ),
            Self::Unreadable(error) => (
                "file-unreadable",
                format!("the file cannot be read: {error}"),
                "check its owner and mode".to_owned(),
            ),
        };
        Diagnostic::error(code, &Source::new(file, ""), 0..0, message).help(help)
    }
}

fn all_names() -> String {
    FILES.map(|(name, _)| name).join(", ")
}

/// Reports what is in the directory and should not be.
fn check_entries(dir: &Path, report: &mut Report) {
    let shown = dir.to_string_lossy();
    let unreadable = |error: &std::io::Error| {
        let message = format!("the policy directory cannot be read: {error}");
        Diagnostic::error("directory-unreadable", &Source::new(&*shown, ""), 0..0, message)
            .help("give the path of a directory that this process may read")
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return report.push(unreadable(&error)),
    };
    for (count, entry) in entries.enumerate() {
        if count >= MAX_ENTRIES {
            let message = format!("the policy directory has more than {MAX_ENTRIES} entries");
            let finding = Diagnostic::error("directory-size", &Source::new(&*shown, ""), 0..0, message);
            return report.push(finding.help("keep nothing but policy files in it"));
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return report.push(unreadable(&error)),
        };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_expected(&name, is_directory) {
            // A name beside the right file is a leftover; one in its stead is a slip.
            let missing = FILES.iter().map(|(file, _)| *file).filter(|file| !dir.join(file).exists());
            let problem = Problem::Unknown(did_you_mean(&name, missing));
            report.push(problem.about(Arc::from(dir.join(&*name).to_string_lossy())));
        }
    }
}

fn is_expected(name: &str, is_directory: bool) -> bool {
    // What has a policy file's name but is none is reported when it is read.
    if name.starts_with('.') || FILES.iter().any(|(file, _)| *file == name) {
        return true;
    }
    if is_directory {
        return name == "tests";
    }
    name.starts_with("README") || Path::new(name).extension().is_some_and(|extension| extension == "md")
}

/// Reads one file. A link is followed, because configuration is often mounted as links; a pipe or
/// device is refused without waiting for it.
pub(super) fn read_text(path: &Path, most: ByteLimit) -> Result<Arc<str>, Problem> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::NOENT => Problem::Missing,
        rustix::io::Errno::NXIO => Problem::NotRegular,
        other => Problem::Unreadable(other.into()),
    })?;
    let mut file = File::from(file);
    let before = file.metadata().map_err(Problem::Unreadable)?;
    if !before.is_file() {
        return Err(Problem::NotRegular);
    }
    if before.len() > most.get() {
        return Err(Problem::TooLarge(most));
    }
    let mut bytes = Vec::new();
    // One more than there should be shows that the file grew.
    file.by_ref().take(before.len() + 1).read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    let after = file.metadata().map_err(Problem::Unreadable)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length != before.len()
        || after.len() != before.len()
        || after.modified().ok() != before.modified().ok()
    {
        return Err(Problem::Changing);
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| Problem::NotUtf8(error.valid_up_to() + 1))?;
    check_text(text, most)
}

fn check_text(text: &str, most: ByteLimit) -> Result<Arc<str>, Problem> {
    if text.len() > most.as_usize() {
        Err(Problem::TooLarge(most))
    } else if text.starts_with(BOM) {
        Err(Problem::ByteOrderMark)
    } else {
        Ok(Arc::from(text))
    }
}
