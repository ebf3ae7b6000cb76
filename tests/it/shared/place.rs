//! Places for registries: a directory, a database of its own, a bucket of an S3 emulator.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::serve::client::{Answer, receive};
use crate::store::place::Place as Database;

/// The emulator wants requests signed, and does not look at the signature.
const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// The bucket that tests use.
const BUCKET: &str = "models";

/// Where a registry is; gone when dropped.
pub struct Shared {
    pub url: String,
    /// What a process needs in its environment to get there.
    pub variables: Vec<(String, String)>,
    kind: Kind,
}

enum Kind {
    Directory(#[expect(dead_code, reason = "it is there to be dropped")] TempDir),
    Postgres(Database),
    S3(Emulator),
}

struct Emulator {
    child: Child,
    port: u16,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something async.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

impl Shared {
    pub fn directory() -> Shared {
        let place = tempfile::tempdir().unwrap();
        let url = place.path().join("models").display().to_string();
        Shared { url, variables: Vec::new(), kind: Kind::Directory(place) }
    }

    /// None where there is no server and none has to be.
    pub fn postgres() -> Option<Shared> {
        let database = wait(Database::postgres())?;
        Some(Shared { url: database.url.clone(), variables: Vec::new(), kind: Kind::Postgres(database) })
    }

    /// None where there is no emulator and none has to be.
    pub fn s3() -> Option<Shared> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/s3-emulator");
        let mut child =
            Command::new(script).arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The first time it is installed.
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = child.try_wait().unwrap() {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no S3 emulator: {status}");
                println!("skipped: scripts/s3-emulator ended with {status}");
                return None;
            }
            assert!(start.elapsed() < Duration::from_secs(300), "the S3 emulator did not come");
            std::thread::sleep(Duration::from_millis(50));
        }
        let variables = [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_ACCESS_KEY_ID", "tests".into()),
            ("AWS_SECRET_ACCESS_KEY", "tests".into()),
            ("AWS_REGION", "us-east-1".into()),
        ];
        let shared = Shared {
            url: format!("s3://{BUCKET}/site/one"),
            variables: variables.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            kind: Kind::S3(Emulator { child, port }),
        };
        assert_eq!(shared.ask("PUT", "", b"").status, 200);
        Some(shared)
    }

    /// `roomcast` or another program, with what it needs to get there and nothing else.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Asks the emulator for an object of the bucket by its whole key.
    pub fn ask(&self, method: &str, key: &str, body: &[u8]) -> Answer {
        let Kind::S3(emulator) = &self.kind else { panic!("this is no bucket") };
        let mut stream = TcpStream::connect(("127.0.0.1", emulator.port)).unwrap();
        let head = format!(
            "{method} /{BUCKET}{key} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {SIGNED}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        receive(&mut BufReader::new(stream))
    }

    /// The key of a file of the registry in the bucket.
    pub fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.url.trim_start_matches("s3://models"))
    }

    /// Makes a version current without a look at it.
    pub fn make_current(&self, version: &str) {
        match &self.kind {
            Kind::Directory(_) => std::fs::write(Path::new(&self.url).join("current"), format!("{version}\n")).unwrap(),
            Kind::Postgres(_) => self.sql(&format!(
                "UPDATE roomcast.model_small SET data = convert_to('{version}' || chr(10), 'UTF8') WHERE name = 'current'"
            )),
            Kind::S3(_) => {
                let answer = self.ask("PUT", &self.key("current"), format!("{version}\n").as_bytes());
                assert_eq!(answer.status, 200);
            }
        }
    }

    /// Changes the last byte of a version's models, which is in the layer of its last device.
    pub fn damage(&self, version: &str) {
        match &self.kind {
            Kind::Directory(_) => {
                let file = Path::new(&self.url).join(version).join("models.bin");
                let mut bytes = std::fs::read(&file).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::write(file, bytes).unwrap();
            }
            Kind::Postgres(_) => self.sql(&format!(
                "UPDATE roomcast.model_files SET data = set_byte(data, octet_length(data) - 1,
                     get_byte(data, octet_length(data) - 1) # 1)
                 WHERE version = '{version}' AND name = 'models.bin' AND part = (
                     SELECT max(part) FROM roomcast.model_files WHERE version = '{version}' AND name = 'models.bin')"
            )),
            Kind::S3(_) => {
                let key = self.key(&format!("{version}/models.bin"));
                let mut bytes = self.ask("GET", &key, b"").body;
                *bytes.last_mut().unwrap() ^= 1;
                assert_eq!(self.ask("PUT", &key, &bytes).status, 200);
            }
        }
    }

    /// Cuts everybody off from the registry.
    pub fn cut_off(&mut self) {
        match &mut self.kind {
            Kind::Directory(_) => panic!("a directory stays"),
            Kind::Postgres(database) => {
                let (server, name) = database.url.rsplit_once('/').unwrap();
                let sql = format!(
                    "ALTER DATABASE {name} ALLOW_CONNECTIONS false;
                     SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                );
                wait(execute(&format!("{server}/postgres"), sql));
            }
            Kind::S3(emulator) => {
                emulator.child.kill().unwrap();
                emulator.child.wait().unwrap();
            }
        }
    }

    fn sql(&self, sql: &str) {
        wait(execute(&self.url, sql.to_owned()));
    }
}

async fn execute(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
}
