//! Files and directories in memory: what programs see, and what is left of it on a disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::store::place::Numbers;

/// A file or directory, whatever its name is; 0 is the directory that is recorded.
pub type Node = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<String, Node>),
}

impl Content {
    pub fn is_file(&self) -> bool {
        matches!(self, Content::File(_))
    }

    pub fn is_directory(&self) -> bool {
        matches!(self, Content::Directory(_))
    }
}

/// What a call does to a file or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Write {
        file: Node,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: Node,
        length: usize,
    },
    /// A name appears, of something new or something that has another name as well.
    Enter {
        directory: Node,
        name: String,
        node: Node,
    },
    Leave {
        directory: Node,
        name: String,
    },
    Move {
        from: (Node, String),
        to: (Node, String),
    },
}

impl Change {
    /// The directories whose names change; none when it is a file that does.
    pub fn directories(&self) -> impl Iterator<Item = Node> {
        let (one, other) = match self {
            Change::Write { .. } | Change::Truncate { .. } => (None, None),
            Change::Enter { directory, .. } | Change::Leave { directory, .. } => (Some(*directory), None),
            Change::Move { from, to } => (Some(from.0), Some(to.0)),
        };
        one.into_iter().chain(other)
    }
}

#[derive(Debug, Clone)]
pub struct Tree(pub Vec<Content>);

impl Tree {
    /// What a directory holds.
    pub fn read(directory: &Path) -> Tree {
        let mut tree = Tree(vec![Content::Directory(BTreeMap::new())]);
        tree.read_into(0, directory);
        tree
    }

    fn read_into(&mut self, at: Node, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let node = self.0.len();
            self.names_mut(at).insert(entry.file_name().into_string().unwrap(), node);
            if entry.path().is_dir() {
                self.0.push(Content::Directory(BTreeMap::new()));
                self.read_into(node, &entry.path());
            } else {
                self.0.push(Content::File(fs::read(entry.path()).unwrap()));
            }
        }
    }

    pub fn names(&self, directory: Node) -> &BTreeMap<String, Node> {
        match &self.0[directory] {
            Content::Directory(names) => names,
            Content::File(_) => panic!("a file has no names in it"),
        }
    }

    fn names_mut(&mut self, directory: Node) -> &mut BTreeMap<String, Node> {
        match &mut self.0[directory] {
            Content::Directory(names) => names,
            Content::File(_) => panic!("a file has no names in it"),
        }
    }

    pub fn file_mut(&mut self, file: Node) -> &mut Vec<u8> {
        match &mut self.0[file] {
            Content::File(bytes) => bytes,
            Content::Directory(_) => panic!("a directory has no bytes"),
        }
    }

    /// What a path leads to, if anything.
    pub fn find(&self, path: &str) -> Option<Node> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        parts.try_fold(0, |at, part| self.names(at).get(part).copied())
    }

    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { file, offset, bytes } => self.write(*file, *offset, bytes),
            Change::Truncate { file, length } => self.file_mut(*file).resize(*length, 0),
            Change::Enter { directory, name, node } => drop(self.names_mut(*directory).insert(name.clone(), *node)),
            Change::Leave { directory, name } => drop(self.names_mut(*directory).remove(name)),
            Change::Move { from, to } => {
                let node = self.names_mut(from.0).remove(&from.1).expect("what moves is there");
                self.names_mut(to.0).insert(to.1.clone(), node);
            }
        }
    }

    pub fn write(&mut self, file: Node, offset: usize, bytes: &[u8]) {
        let old = self.file_mut(file);
        old.resize(old.len().max(offset + bytes.len()), 0);
        old[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts all that has a name into an empty directory. What SQLite shares between processes, which is of no use after all have
    /// ended, becomes anything.
    pub fn put(&self, directory: &Path, numbers: &mut Numbers) {
        self.put_node(0, directory, numbers);
    }

    fn put_node(&self, at: Node, directory: &Path, numbers: &mut Numbers) {
        for (name, &node) in self.names(at) {
            let path = directory.join(name);
            match &self.0[node] {
                Content::Directory(_) => {
                    fs::create_dir(&path).unwrap();
                    self.put_node(node, &path, numbers);
                }
                Content::File(bytes) if is_shared_memory(name) => {
                    let anything: Vec<u8> = bytes.iter().map(|_| numbers.below(256) as u8).collect();
                    fs::write(path, anything).unwrap();
                }
                Content::File(bytes) => fs::write(path, bytes).unwrap(),
            }
        }
    }

    /// All paths, and the bytes of files; without what is shared between processes, which is written without calls.
    pub fn paths(&self) -> BTreeMap<String, Option<&[u8]>> {
        let mut paths = BTreeMap::new();
        self.add_paths(0, "", &mut paths);
        paths
    }

    fn add_paths<'a>(&'a self, at: Node, before: &str, paths: &mut BTreeMap<String, Option<&'a [u8]>>) {
        for (name, &node) in self.names(at) {
            let path = format!("{before}/{name}");
            match &self.0[node] {
                Content::File(_) if is_shared_memory(name) => {}
                Content::File(bytes) => drop(paths.insert(path, Some(bytes))),
                Content::Directory(_) => {
                    self.add_paths(node, &path, paths);
                    paths.insert(path, None);
                }
            }
        }
    }
}

fn is_shared_memory(name: &str) -> bool {
    name.ends_with("-shm")
}
