//! What programs do to the files of a directory, recorded while they run.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::tree::{Change, Content, Node, Tree};
use crate::store::place::Numbers;

/// A place among the lines of all logs.
pub type Moment = usize;

/// A call that has succeeded.
#[derive(Debug, Clone)]
pub struct Call {
    pub began: Moment,
    pub ended: Moment,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Change(Change),
    Sync(Node),
    /// Bytes went to a socket.
    Send(Vec<u8>),
    /// The program ended.
    Exit,
}

/// Programs that ran one after the other on the same directory.
pub struct Recording {
    place: TempDir,
    logs: usize,
    /// The calls of all of them in the order in which they ended.
    pub calls: Vec<Call>,
    /// Where the last log ends.
    pub end: Moment,
    /// What the disk held at the beginning, and without content what was made since.
    pub disk: Tree,
    /// What programs see.
    pub live: Tree,
    /// Which syncs count. All do, unless a test asks what happened without them.
    pub is_synced: fn(&Content) -> bool,
    /// Files and directories by their numbers in the file system.
    inodes: HashMap<u64, Node>,
}

impl Recording {
    /// Begins with an empty directory; none where programs cannot be watched and need not be.
    pub fn begin() -> Option<Recording> {
        let place = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/power/record.c");
        let mut compile = Command::new("cc");
        compile.args(["-O2", "-Wall", "-o"]).arg(place.path().join("record")).arg(source);
        let is_compiled = compile.stdin(Stdio::null()).status().is_ok_and(|status| status.success());
        let mut recording = Recording::on(place, Tree(vec![Content::Directory(BTreeMap::new())]));
        recording.number();
        let mut look = Command::new(recording.place.path().join("record"));
        let look = look.arg(recording.place.path().join("look")).arg(recording.directory()).arg("true").status();
        if !is_compiled || !look.is_ok_and(|status| status.success()) {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "programs cannot be watched");
            println!("skipped: programs cannot be watched on this machine (no C compiler, or no ptrace)");
            return None;
        }
        Some(recording)
    }

    fn on(place: TempDir, disk: Tree) -> Recording {
        fs::create_dir(place.path().join("disk")).unwrap();
        let live = disk.clone();
        Recording { place, logs: 0, calls: Vec::new(), end: 0, disk, live, is_synced: |_| true, inodes: HashMap::new() }
    }

    /// The directory.
    pub fn directory(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("disk")
    }

    /// Begins on another directory, with the same recorder: what a disk held after the power was lost.
    pub fn after_power_loss(&self, disk: &Tree) -> Recording {
        let place = self.new_place();
        let recording = Recording::on(place, disk.clone());
        disk.put(&recording.directory(), &mut Numbers(1));
        // Numbered anew, without what has no name any more.
        let disk = Tree::read(&recording.directory());
        let mut recording = Recording { live: disk.clone(), disk, ..recording };
        recording.number();
        recording
    }

    /// Goes on, on another directory, after programs were killed: what they had written is seen, but is not on the disk for that.
    pub fn after_kill(&self, at: Moment) -> Recording {
        let mut killed = Recording::on(self.new_place(), self.disk.clone());
        killed.calls = self.calls.iter().filter(|call| call.ended < at).cloned().collect();
        killed.end = at;
        for call in &killed.calls {
            if let What::Change(change) = &call.what {
                killed.live.apply(change);
            }
        }
        killed.live.put(&killed.directory(), &mut Numbers(1));
        killed.number();
        killed
    }

    fn new_place(&self) -> TempDir {
        let place = tempfile::tempdir().unwrap();
        fs::copy(self.place.path().join("record"), place.path().join("record")).unwrap();
        place
    }

    /// What to run before a program to record it; [`Recording::take`] when it has ended.
    pub fn recorder(&self) -> Vec<String> {
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        vec![text(self.place.path().join("record")), text(self.log()), text(self.directory())]
    }

    fn log(&self) -> PathBuf {
        self.place.path().join(format!("log-{}", self.logs))
    }

    /// Runs the binary to its end, and takes what it did.
    pub fn roomcast(&mut self, args: &[&str]) -> String {
        let recorder = self.recorder();
        let mut command = Command::new(&recorder[0]);
        command.env_clear().envs(std::env::var_os("TZ").map(|zone| ("TZ", zone)));
        let output = command.args(&recorder[1..]).arg(env!("CARGO_BIN_EXE_roomcast")).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
        self.take();
        said
    }

    /// Takes what a program did that has ended. What was recorded must lead to what is there: otherwise something was
    /// done in a way that is not watched.
    pub fn take(&mut self) {
        let log = fs::read(self.log()).unwrap();
        let cut_off = self.parse(&log);
        self.logs += 1;
        let there = Tree::read(&self.directory());
        // A program that ends does not wait for its threads: what they had begun may have been done.
        if self.live.paths() != there.paths() {
            for call in cut_off {
                let inode = fs::metadata(call.path).map_or(0, |found| found.ino());
                self.succeed(&call, call.bytes.len(), inode);
            }
        }
        let (seen, found) = (self.live.paths(), there.paths());
        assert!(seen.keys().eq(found.keys()), "recorded: {:?}, there: {:?}", seen.keys(), found.keys());
        let other: Vec<_> = seen.iter().filter(|&(path, bytes)| found[path] != *bytes).map(|(path, _)| path).collect();
        assert!(other.is_empty(), "recorded otherwise: {other:?}");
    }

    /// Finds out which numbers what is there has in the file system.
    fn number(&mut self) {
        let root = self.directory();
        let mut waiting = vec![(root, 0)];
        while let Some((path, node)) = waiting.pop() {
            self.inodes.insert(fs::metadata(&path).unwrap().ino(), node);
            if let Content::Directory(names) = &self.live.0[node] {
                waiting.extend(names.iter().map(|(name, &node)| (path.join(name), node)));
            }
        }
    }

    /// Takes the calls of a log that have succeeded; gives those that did not end.
    fn parse<'a>(&mut self, log: &'a [u8]) -> Vec<Begun<'a>> {
        let (mut rest, mut begun) = (log, HashMap::new());
        while let Some(length) = rest.iter().position(|&byte| byte == b'\n') {
            let line = std::str::from_utf8(&rest[..length]).unwrap();
            rest = &rest[length + 1..];
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                [">", thread, name, inode, offset, length, path, path2] => {
                    let (bytes, behind) = rest.split_at(length.parse().unwrap());
                    rest = behind;
                    let (inode, offset) = (inode.parse().unwrap(), offset.parse().unwrap());
                    begun.insert(thread, Begun { began: self.end, name, inode, offset, bytes, path, path2 });
                }
                ["<", thread, result, inode] => {
                    let call = begun.remove(thread).unwrap();
                    if let Ok(result) = result.parse::<usize>() {
                        self.succeed(&call, result, inode.parse().unwrap());
                    }
                }
                ["!", _] => self.add(self.end, What::Exit),
                _ => panic!("{line}"),
            }
            self.end += 1;
        }
        assert!(matches!(self.calls.last(), Some(Call { what: What::Exit, .. })), "the program has not ended");
        begun.into_values().filter(|call| call.name != "send" && call.name != "sync").collect()
    }

    fn succeed(&mut self, call: &Begun, result: usize, inode: u64) {
        let of_file = || *self.inodes.get(&call.inode).unwrap_or_else(|| panic!("{} was never made", call.path));
        let change = match call.name {
            "send" => return self.add(call.began, What::Send(call.bytes[..result].to_vec())),
            "sync" => return self.add(call.began, What::Sync(of_file())),
            "write" => Change::Write { file: of_file(), offset: call.offset, bytes: call.bytes[..result].to_vec() },
            "truncate" => Change::Truncate { file: of_file(), length: call.offset },
            "open" | "open-truncate" | "mkdir" => match self.live.find(self.inside(call.path)) {
                Some(file) if call.name == "open-truncate" => Change::Truncate { file, length: 0 },
                Some(_) => return,
                None => {
                    let node = self.live.0.len();
                    self.inodes.insert(inode, node);
                    let new = if call.name == "mkdir" {
                        Content::Directory(BTreeMap::new())
                    } else {
                        Content::File(Vec::new())
                    };
                    self.live.0.push(new.clone());
                    self.disk.0.push(new);
                    let (directory, name) = self.name(call.path);
                    Change::Enter { directory, name, node }
                }
            },
            "rename" => Change::Move { from: self.name(call.path), to: self.name(call.path2) },
            "link" => {
                let (directory, name) = self.name(call.path2);
                Change::Enter { directory, name, node: self.live.find(self.inside(call.path)).unwrap() }
            }
            "unlink" | "rmdir" => {
                let (directory, name) = self.name(call.path);
                Change::Leave { directory, name }
            }
            other => panic!("{other}"),
        };
        self.live.apply(&change);
        self.add(call.began, What::Change(change));
    }

    fn add(&mut self, began: Moment, what: What) {
        self.calls.push(Call { began, ended: self.end, what });
    }

    /// A path within the directory.
    fn inside<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.directory().to_str().unwrap()).unwrap_or_else(|| panic!("{path} is elsewhere"))
    }

    /// A path's directory, and its name there.
    fn name(&self, path: &str) -> (Node, String) {
        let (directory, name) = self.inside(path).trim_end_matches('/').rsplit_once('/').unwrap();
        (self.live.find(directory).unwrap(), name.to_owned())
    }
}

/// A call that has begun.
struct Begun<'a> {
    began: Moment,
    name: &'a str,
    inode: u64,
    offset: usize,
    bytes: &'a [u8],
    path: &'a str,
    path2: &'a str,
}
