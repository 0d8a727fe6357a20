//! Who may read what is secret, and who may change what the gate rests on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::observation::Observation;
use crate::cli::findings::several;
use crate::cli::source::quoted;
use crate::config::Config;

const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_READ: u32 = 0o040;
/// In a directory with this bit only the owner of a file may remove it.
const STICKY: u32 = 0o1000;

pub(super) fn examine(config: &Config) -> Vec<Observation> {
    let mut seen = secrets(&config.secret_files);
    seen.extend(changeable(config));
    seen.extend(audit(&config.audit.directory));
    seen
}

/// Private keys, keys of digests, tokens.
fn secrets(files: &[PathBuf]) -> Vec<Observation> {
    const CHECK: &str = "secrets";
    let mut seen = Vec::new();
    let mut good = 0;
    for path in files {
        let name = path.display().to_string();
        let Ok(mode) = fs::metadata(path).map(|metadata| metadata.mode() & 0o7777) else {
            seen.push(
                Observation::new(CHECK, &name, "cannot be looked at").bad("see that the gate may read it"),
            );
            continue;
        };
        let mend = format!("chmod 600 {}", quoted(&name));
        let found = |who: &str| Observation::new(CHECK, &name, format!("mode {mode:04o}: {who} may read it"));
        if mode & OTHERS_READ != 0 {
            seen.push(
                found("everybody")
                    .bad(format!("{mend}; whoever had an account here may have a copy: replace it")),
            );
        } else if mode & GROUP_READ != 0 {
            seen.push(
                found("its group")
                    .doubtful(format!("{mend}, unless the gate's account alone is in that group")),
            );
        } else {
            good += 1;
        }
    }
    if good > 0 {
        seen.insert(0, Observation::new(CHECK, several(good, "file"), "for their owner alone"));
    }
    seen
}

/// Whatever decides what the gate does must not be everybody's to change, nor replaceable through its directory.
fn changeable(config: &Config) -> Vec<Observation> {
    const CHECK: &str = "changeable";
    let tls = &config.tls;
    let mut files = vec![&config.path, &config.policy.directory, &config.purpose.jwks.path];
    files.extend(
        [&tls.certificate, &tls.client_ca].into_iter().chain(tls.crls.iter().flatten()).map(|it| &it.path),
    );
    files.extend(&config.secret_files);
    let mut files: Vec<PathBuf> = files.into_iter().cloned().collect();
    files.extend(fs::read_dir(&config.policy.directory).into_iter().flatten().flatten().map(|it| it.path()));
    let directories = files.iter().chain([&config.admin.socket]).filter_map(|file| file.parent());
    let directories: Vec<PathBuf> =
        directories.filter(|it| !it.as_os_str().is_empty()).map(Path::to_owned).collect();
    // What is looked at as itself is looked at more closely than what lies around something.
    let mut looked_at: BTreeMap<_, _> = directories.into_iter().map(|path| (path, STICKY)).collect();
    looked_at.extend(files.into_iter().map(|path| (path, 0)));
    let count = looked_at.len();
    let loose = |(path, allowed): (PathBuf, u32)| {
        let mode = fs::metadata(&path).ok()?.mode() & 0o7777;
        let is_loose = mode & OTHERS_WRITE != 0 && mode & allowed == 0;
        is_loose.then(|| {
            let name = path.display().to_string();
            let mend = format!("chmod o-w {}", quoted(&name));
            Observation::new(CHECK, name, format!("mode {mode:04o}: everybody may change it")).bad(mend)
        })
    };
    let loose: Vec<_> = looked_at.into_iter().filter_map(loose).collect();
    if loose.is_empty() {
        let found = "none that everybody may change";
        return vec![Observation::new(CHECK, several(count, "path"), found)];
    }
    loose
}

/// The audit directory says who asked for whom.
fn audit(directory: &Path) -> Option<Observation> {
    let mode = fs::metadata(directory).ok()?.mode() & 0o7777;
    let name = directory.display().to_string();
    let mend = format!("chmod o-rwx {}", quoted(&name));
    let seen = Observation::new("audit-directory", &name, format!("mode {mode:04o}"));
    Some(match mode & 0o007 {
        0 => seen,
        _ => seen.doubtful(format!("{mend}: records say who asked for what")),
    })
}
