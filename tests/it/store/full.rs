//! Out of room, on a real file system: refused clearly, nothing acknowledged is lost, and it goes on when there is room.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{self, StoreError};
use tempfile::TempDir;

use super::place::{Place, Tablespace, batch, held, stream, sums};
use crate::serve::client::registry;
use crate::stream::bench::{block_on, metric, post, serve, start, stored, time};

/// A file system of a few megabytes.
pub struct Small(TempDir);

impl Small {
    /// None where this user may not mount one and none has to be. What `more` options say goes to `mount` as well.
    pub fn mount(size: &str, more: &str) -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=1777{more}");
        let arguments = ["mount", "-t", "tmpfs", "-o", &options, "tmpfs", dir.path().to_str().unwrap()];
        if !Small::run(&arguments) {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "cannot mount a file system");
            println!("skipped: this user may not mount a file system");
            return None;
        }
        Some(Small(dir))
    }

    /// As this user, or with sudo where it does not ask.
    fn run(arguments: &[&str]) -> bool {
        let quiet = |command: &mut Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        quiet(Command::new(arguments[0]).args(&arguments[1..])) || quiet(Command::new("sudo").arg("-n").args(arguments))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Small::run(&["umount", "-l", self.0.path().to_str().unwrap()]);
    }
}

#[tokio::test]
async fn a_full_disk_is_said_clearly_and_the_store_goes_on_when_there_is_room() {
    let Some(small) = Small::mount("6m", "") else { return };
    let filler: PathBuf = small.path().join("filler");
    std::fs::write(&filler, vec![0; 3 << 20]).unwrap();
    let store = readings::open(small.path().join("readings.db").to_str().unwrap(), &Calendar::default()).await.unwrap();
    let events = stream(41, 60_000, 50, 30);
    let mut parts = events.chunks(1000);
    let mut stored = Vec::new();
    let refused = loop {
        let part = parts.next().expect("the disk is small");
        match store.ingest(&batch(part.to_vec())).await {
            Ok(_) => stored.extend_from_slice(part),
            Err(error) => {
                assert!(matches!(error, StoreError::Full { .. }) && error.is_temporary(), "{error}");
                assert!(error.to_string().contains("hint: make room"), "{error}");
                break part;
            }
        }
    };
    // Again, and it is still full; what was stored can be read all the while.
    assert!(matches!(store.ingest(&batch(refused.to_vec())).await, Err(StoreError::Full { .. })));
    assert_eq!(held(&store).await, sums(&stored));
    std::fs::remove_file(filler).unwrap();
    store.ingest(&batch(refused.to_vec())).await.unwrap();
    stored.extend_from_slice(refused);
    assert_eq!(held(&store).await, sums(&stored));
}

/// Writes to a file until its file system has no more than `left` bytes of room.
fn fill(file: &mut File, left: u64) {
    let block = [0; 1 << 16];
    while file.write_all(&block).is_ok() {}
    file.set_len(file.metadata().unwrap().len().saturating_sub(left)).unwrap();
}

#[test]
fn a_full_disk_of_postgres_refuses_what_comes_and_takes_it_when_there_is_room() {
    let Some(directory) = block_on(Place::server_directory()) else { return };
    let owner = std::fs::metadata(directory).unwrap().uid();
    let Some(small) = Small::mount("64m", &format!(",uid={owner}")) else { return };
    // Held open: the server takes the directory for itself.
    let mut filler = File::create(small.path().join("filler")).unwrap();
    let space = block_on(Tablespace::create(small.path()));
    let place = block_on(Place::within(&space));
    let models = registry();
    let server = serve(&place.url, &models, &[]);
    let send = |batch: i64| {
        let row = |n: i64| format!("{{\"time\":\"{}\",\"device\":\"room_{}\"}}\n", time(n / 20), n % 20);
        let body: String = (batch * 500..batch * 500 + 500).map(row).collect();
        post(&server, "application/x-ndjson", &[], body.as_bytes())
    };
    assert_eq!(send(0).json()["stored"], 500);
    fill(&mut filler, 256 << 10);
    let full = (1..400).find(|&batch| {
        let answer = send(batch);
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
        if answer.status == 503 {
            assert_eq!((answer.code().as_str(), answer.header("retry-after")), ("store_unavailable", Some("5")));
        }
        answer.status == 503
    });
    let full = full.expect("the disk is small");
    assert!(full > 1 && server.log().contains("no room left to write"), "{}", server.log());
    assert_eq!(send(full).status, 503);
    assert!(metric(&server, "roomcast_ingest_commit_failures_total") >= 2.0);
    // What was acknowledged is there, each once, and is served.
    assert_eq!(stored(&place.url).len() as i64, full * 500);
    assert_eq!(server.get("/predict").status, 200);
    filler.set_len(0).unwrap();
    for batch in [full, full + 1] {
        assert_eq!(send(batch).json()["stored"], 500);
    }
    assert_eq!(send(full).json()["duplicates"], 500);
    let (readings, last) = (stored(&place.url), start() + ((full + 2) * 500 - 1) / 20);
    assert_eq!((readings.len() as i64, readings.span()), ((full + 2) * 500, Some((start(), last))));
    drop(server);
}
