//! A disk in memory that forgets what was not synced, in the worst ways a real one may.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::storage::{Lock, Storage, StorageFile};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
struct FileState {
    /// What readers see.
    view: Vec<u8>,
    /// What survives a crash for certain.
    durable: Vec<u8>,
    /// What may or may not survive.
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Directory(PathBuf),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Directory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// From this call on every call fails: the power is gone.
    Crash,
    /// From this call on every call of this process fails: it was killed.
    Kill,
    /// This one call fails; a failed sync loses what it should have kept.
    Error(i32),
    /// This one call does what it should and says that it failed.
    Late(i32),
}

/// Which syncs report success and do nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Lies {
    #[default]
    None,
    /// Those of files.
    Files,
    /// Those of directories.
    Directories,
    All,
}

/// What a call has to say once it has done its work.
struct Call(Option<i32>);

impl Call {
    fn end(self) -> io::Result<()> {
        self.0.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
    }
}

#[derive(Debug, Default)]
struct State {
    files: Vec<FileState>,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    pending_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    calls: usize,
    faults: BTreeMap<usize, Fault>,
    crashed: bool,
    /// Which process may use the disk; earlier ones were killed.
    process: usize,
    lies: Lies,
    /// What the next sync of anything but zeros answers.
    sync_error: Option<i32>,
    space: Option<usize>,
}

/// The disk as one process has it.
#[derive(Debug, Clone, Default)]
pub(super) struct SimDisk {
    state: Arc<Mutex<State>>,
    process: usize,
}

/// SplitMix64: the same seed, the same crash.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    if bytes.len() < offset + written.len() {
        bytes.resize(offset + written.len(), 0);
    }
    bytes[offset..offset + written.len()].copy_from_slice(written);
}

fn apply(names: &mut BTreeMap<PathBuf, Node>, change: &NameChange) {
    match change {
        NameChange::Link(path, id) => {
            names.insert(path.clone(), Node::File(*id));
        }
        NameChange::Directory(path) => {
            names.insert(path.clone(), Node::Directory);
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
        NameChange::Rename(from, to) => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
    }
}

fn touches(change: &NameChange, directory: &Path) -> bool {
    let path = match change {
        NameChange::Link(path, _) | NameChange::Directory(path) | NameChange::Unlink(path) => path,
        NameChange::Rename(_, to) => to,
    };
    path.parent() == Some(directory)
}

impl State {
    /// Counts one call that changes something and lets the planned fault happen.
    fn call(&mut self, process: usize) -> io::Result<Call> {
        self.alive(process)?;
        let fault = self.faults.get(&self.calls).copied();
        self.calls += 1;
        match fault {
            Some(Fault::Crash) => self.crashed = true,
            Some(Fault::Kill) => self.process += 1,
            _ => {}
        }
        self.alive(process)?;
        match fault {
            Some(Fault::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(Fault::Late(code)) => Ok(Call(Some(code))),
            _ => Ok(Call(None)),
        }
    }

    fn alive(&self, process: usize) -> io::Result<()> {
        if self.crashed || self.process != process {
            return Err(io::Error::other("the power is gone, or the process"));
        }
        Ok(())
    }

    fn used(&self) -> usize {
        let files = self.names.values().filter_map(|node| match node {
            Node::File(id) => Some(self.files[*id].view.len()),
            Node::Directory => None,
        });
        files.sum()
    }

    fn change_name(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.pending_names.push(change);
    }
}

impl SimDisk {
    pub(super) fn is_alive(&self) -> bool {
        self.state().alive(self.process).is_ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The same disk in the hands of another process, after the one before was killed: nothing was lost.
    pub(super) fn restart(&self) -> Self {
        let mut state = self.state();
        state.process = self.process + 1;
        state.locks.clear();
        state.faults.clear();
        state.calls = 0;
        Self { state: Arc::clone(&self.state), process: state.process }
    }

    pub(super) fn calls(&self) -> usize {
        self.state().calls
    }

    pub(super) fn plan(&self, call: usize, fault: Fault) {
        self.state().faults.insert(call, fault);
    }

    /// The power goes now.
    pub(super) fn kill(&self) {
        self.state().crashed = true;
    }

    /// The next sync of anything but zeros answers with this error.
    pub(super) fn fail_next_sync(&self, code: i32) {
        self.state().sync_error = Some(code);
    }

    /// Lets every call wait until `then` has ended.
    pub(super) fn hold<T>(&self, then: impl FnOnce() -> T) -> T {
        let _held = self.state();
        then()
    }

    /// From now on these syncs report success and do nothing.
    pub(super) fn lie(&self, lies: Lies) {
        self.state().lies = lies;
    }

    /// How many bytes all files together may have.
    pub(super) fn limit_space(&self, bytes: Option<usize>) {
        self.state().space = bytes;
    }

    /// The disk as it may be after the power came back.
    pub(super) fn reboot(&self, seed: u64) -> Self {
        let mut random = Random(seed);
        let old = self.state();
        let mut names = old.durable_names.clone();
        // A journalling file system keeps name changes in order, up to some point.
        let most = u64::try_from(old.pending_names.len()).unwrap() + 1;
        let kept = usize::try_from(random.next() % most).unwrap();
        for change in &old.pending_names[..kept] {
            apply(&mut names, change);
        }
        let mut files = Vec::new();
        for file in &old.files {
            let mut bytes = file.durable.clone();
            for change in &file.pending {
                match change {
                    Change::Length(length) if random.coin() => bytes.resize(*length, 0),
                    Change::Length(_) => {}
                    Change::Write(offset, written) => {
                        let mut at = 0;
                        while at < written.len() {
                            let end = written.len().min((offset + at) / SECTOR * SECTOR + SECTOR - offset);
                            if random.coin() {
                                put(&mut bytes, offset + at, &written[at..end]);
                            }
                            at = end;
                        }
                    }
                }
            }
            files.push(FileState { view: bytes.clone(), durable: bytes, pending: Vec::new() });
        }
        let state = State { files, durable_names: names.clone(), names, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), process: 0 }
    }

    fn open_file(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let state = self.state();
        state.alive(self.process)?;
        match state.names.get(path) {
            Some(Node::File(id)) => Ok(Box::new(SimFile { disk: self.clone(), id: *id })),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    id: usize,
}

impl StorageFile for SimFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).unwrap();
        let mut state = self.disk.state();
        let failed = state.call(self.disk.process);
        let growth = (offset + bytes.len()).saturating_sub(state.files[self.id].view.len());
        let room = state.space.map_or(usize::MAX, |space| space.saturating_sub(state.used()));
        // A call that fails may have done half of its work; a full disk takes what fits.
        let taken = match &failed {
            Err(_) => bytes.len() / 2,
            Ok(_) => bytes.len() - growth.saturating_sub(room),
        };
        let file = &mut state.files[self.id];
        put(&mut file.view, offset, &bytes[..taken]);
        file.pending.push(Change::Write(offset, bytes[..taken].to_vec()));
        failed?.end()?;
        if taken == 0 { Err(io::Error::from_raw_os_error(28)) } else { Ok(taken) }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        state.alive(self.disk.process)?;
        let view = &state.files[self.id].view;
        let rest = view.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let mut late = None;
        let mut done = state.call(self.disk.process).map(|call| late = call.0);
        let has_text =
            |change: &Change| matches!(change, Change::Write(_, bytes) if bytes.iter().any(|b| *b != 0));
        if state.files[self.id].pending.iter().any(has_text)
            && let Some(code) = state.sync_error.take()
        {
            done = Err(io::Error::from_raw_os_error(code));
        }
        let (crashed, lies) = (state.crashed, state.lies);
        let file = &mut state.files[self.id];
        match done {
            Ok(()) if matches!(lies, Lies::Files | Lies::All) => {}
            Ok(()) => {
                file.durable = file.view.clone();
                file.pending.clear();
            }
            // The pages count as clean from now on although they never reached the disk.
            Err(_) if !crashed => file.pending.clear(),
            Err(_) => {}
        }
        done.and(Call(late).end())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).unwrap();
        let mut state = self.disk.state();
        let call = state.call(self.disk.process)?;
        let file = &mut state.files[self.id];
        file.view.resize(bytes, 0);
        file.pending.push(Change::Length(bytes));
        call.end()
    }

    fn byte_len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.alive(self.disk.process)?;
        Ok(u64::try_from(state.files[self.id].view.len()).unwrap())
    }
}

#[derive(Debug)]
struct SimLock(SimDisk, PathBuf);

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.state().locks.remove(&self.1);
    }
}

impl Storage for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let call = state.call(self.process)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change_name(NameChange::Directory(path.to_owned()));
        call.end()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut state = self.state();
        let call = state.call(self.process)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.files.len();
        state.files.push(FileState::default());
        state.change_name(NameChange::Link(path.to_owned(), id));
        call.end()?;
        Ok(Box::new(SimFile { disk: self.clone(), id }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.open_file(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.open_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let call = state.call(self.process)?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        call.end()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let call = state.call(self.process)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Unlink(path.to_owned()));
        call.end()
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let call = state.call(self.process)?;
        if state.names.get(path) != Some(&Node::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.keys().any(|name| name.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.change_name(NameChange::Unlink(path.to_owned()));
        call.end()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let call = state.call(self.process)?;
        if matches!(state.lies, Lies::Directories | Lies::All) {
            return Ok(());
        }
        let (now, later) =
            std::mem::take(&mut state.pending_names).into_iter().partition(|change| touches(change, path));
        let now: Vec<NameChange> = now;
        state.pending_names = later;
        for change in &now {
            apply(&mut state.durable_names, change);
        }
        call.end()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.alive(self.process)?;
        let names = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(names.map(|name| name.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn free_space(&self, _: &Path) -> io::Result<u64> {
        let state = self.state();
        state.alive(self.process)?;
        let free = state.space.map_or(usize::MAX, |space| space.saturating_sub(state.used()));
        Ok(u64::try_from(free).unwrap())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut state = self.state();
        state.alive(self.process)?;
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock(self.clone(), path.to_owned()))))
    }
}
