//! A server on a free port, and the plainest of HTTP clients.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Three tokens, one of each scope.
pub const TOKENS: &str = "read:r-token,write:w-token,admin:a-token";

/// The sample that comes with the package.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/device_activations.csv")
}

/// Runs the binary to its end.
pub fn roomcast(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roomcast")).env_clear().args(args).output().unwrap()
}

/// Saves models of the readings before an instant; returns the version.
pub fn train(models: &Path, until: &str) -> String {
    let (input, models) = (sample(), models.to_str().unwrap());
    let output = roomcast(&["train", "--input", input.to_str().unwrap(), "--models", models, "--until", until]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(Path::new(models).join("current")).unwrap().trim().to_owned()
}

/// A copy of a registry with models up to 24 August 2016, trained once for all tests.
pub fn registry() -> TempDir {
    static TRAINED: OnceLock<TempDir> = OnceLock::new();
    let trained = TRAINED.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        train(place.path(), "2016-08-24 23:59:59");
        place
    });
    let copy = tempfile::tempdir().unwrap();
    copy_all(trained.path(), copy.path());
    copy
}

/// Copies what is in a directory into another.
pub fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy_all(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// A running server; killed when dropped.
pub struct Server {
    pub child: Child,
    pub port: u16,
    pub place: TempDir,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The code of the problem it is.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let json = self.json();
        let code = json["code"].as_str().unwrap().to_owned();
        assert_eq!(json["type"], format!("urn:roomcast:problem:{code}"));
        assert_eq!(json["status"], self.status);
        assert_eq!(json["request_id"].as_str(), self.header("x-request-id"));
        code
    }
}

impl Server {
    /// Starts on the sample with saved models and three tokens.
    pub fn start(models: &Path, more: &[&str]) -> Server {
        let input = sample();
        Server::with(&["--input", input.to_str().unwrap(), "--models", models.to_str().unwrap()], more)
    }

    /// Starts with these arguments and three tokens, and waits until it is ready.
    pub fn with(args: &[&str], more: &[&str]) -> Server {
        Server::in_environment(&[], args, more)
    }

    /// The same with more variables in its environment.
    pub fn in_environment(variables: &[(&str, &str)], args: &[&str], more: &[&str]) -> Server {
        Server::run(Command::new(env!("CARGO_BIN_EXE_roomcast")), variables, args, more)
    }

    /// The same by a command that runs the binary.
    pub fn run(mut command: Command, variables: &[(&str, &str)], args: &[&str], more: &[&str]) -> Server {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("port");
        let child = command
            .env_clear()
            .env("ROOMCAST_TOKENS", TOKENS)
            .env("RUST_LOG", "roomcast=info")
            .envs(variables.iter().copied())
            // Without a zone the site's clock is the machine's, here as in the tests.
            .envs(std::env::var_os("TZ").map(|zone| ("TZ", zone)))
            .arg("serve")
            .args(args)
            .args(["--bind", "127.0.0.1:0", "--port-file", file.to_str().unwrap(), "--rate-limit", "0"])
            .args(more)
            .stderr(std::fs::File::create(place.path().join("log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Server { child, port: 0, place };
        let port = || std::fs::read_to_string(&file).ok()?.trim().parse().ok();
        wait("a port", || {
            server.port = port().unwrap_or(0);
            server.port > 0
        });
        wait("readiness", || server.get("/readyz").status == 200);
        server
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap()
    }

    /// Asks with a read token.
    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &["Authorization: Bearer r-token"], b"")
    }

    pub fn ask(&self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for header in headers {
            text += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes)
    }

    /// Sends bytes and reads one answer.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has heard enough may close before all is sent.
        let _ = stream.write_all(bytes);
        receive(&mut BufReader::new(stream))
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one answer.
pub fn receive(stream: &mut impl BufRead) -> Answer {
    let mut head = String::new();
    while stream.read_line(&mut head).is_ok_and(|n| n > 2) {}
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let mut answer = Answer { status, head, body: Vec::new() };
    match answer.header("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => {
            answer.body.resize(length, 0);
            if stream.read_exact(&mut answer.body).is_err() {
                answer.body.clear();
            }
        }
        _ => drop(stream.read_to_end(&mut answer.body)),
    }
    answer
}

/// Waits until something holds.
pub fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
