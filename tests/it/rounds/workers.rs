//! Workers as processes: killed, stopped and put to sleep they make what `roomcast train` makes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

use roomcast::calendar::Calendar;
use roomcast::readings::{self, ReadOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::store::place::{Place, batch, motion};

/// Rows that somebody holds.
const HELD: &str = "SELECT count(*) FROM round_devices WHERE holder IS NOT NULL AND result IS NULL";

/// A site in a database of its own, and the registry of its models.
struct Site {
    place: Place,
    database: PgConnection,
}

impl Site {
    async fn new() -> Option<Site> {
        let place = Place::postgres().await?;
        place.open().await;
        let mut database = PgConnection::connect(&place.url).await.unwrap();
        database.execute("SET search_path = roomcast").await.unwrap();
        Some(Site { place, database })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.dir.path().join(name)
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(name).with_extension("log")).unwrap_or_default()
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.path(name).with_extension("out")).unwrap_or_default()
    }

    /// A worker for one round.
    fn start(&self, name: &str, more: &[&str]) -> Worker {
        let file = |kind: &str| File::create(self.path(name).with_extension(kind)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
        command.env_clear().env("ROOMCAST_STORE", &self.place.url).args(["worker", "continuous", "--once", "-v"]);
        command.arg("--models").arg(self.path("models")).args(more).stdout(file("out")).stderr(file("log"));
        Worker(command.spawn().unwrap())
    }

    /// A worker that must come to its end; what it said.
    fn ends(&self, name: &str, more: &[&str]) -> String {
        assert!(self.start(name, more).0.wait().unwrap().success(), "{name}: {}", self.log(name));
        self.said(name)
    }

    async fn number(&mut self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.database).await.unwrap()
    }

    /// Waits until a number is there.
    async fn wait(&mut self, sql: &str, good: impl Fn(i64) -> bool) {
        for _ in 0..6000 {
            if good(self.number(sql).await) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("in vain: {sql}");
    }

    /// Stops a worker in its sleep while it holds devices under a fence above this one; says which.
    async fn put_to_sleep(&mut self, worker: &Worker, above: i64) -> i64 {
        let held = format!("{HELD} AND fence > {above}");
        for _ in 0..100 {
            self.wait(&held, |held| held > 0).await;
            worker.signal("STOP");
            // What it has sent arrives.
            tokio::time::sleep(Duration::from_millis(100)).await;
            if self.number(&held).await > 0 {
                return self.number("SELECT max(fence) FROM round_devices").await;
            }
            worker.signal("CONT");
        }
        panic!("it is never caught at work");
    }
}

/// A process that ends with the test.
struct Worker(Child);

impl Worker {
    fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn roomcast(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_roomcast")).env_clear().args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The name of the current version and its models.
fn current(registry: &Path) -> (String, Vec<u8>) {
    let version = fs::read_to_string(registry.join("current")).unwrap().trim().to_owned();
    let models = fs::read(registry.join(&version).join("models.bin")).unwrap();
    (version, models)
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/device_activations.csv")
}

/// Readings of the sample from one instant up to another, into the store.
async fn import(site: &Site, from: &str, until: &str) {
    let calendar = Calendar::default();
    let [from, until] = [from, until].map(|text| calendar.parse(text).unwrap());
    let devices = readings::read(&[sample()], &ReadOptions::default(), &calendar).unwrap().0.devices;
    let all = devices.iter().flat_map(|d| d.times.iter().map(|&time| motion(&d.device, time)));
    let events: Vec<_> = all.filter(|event| (from..until).contains(&event.time)).collect();
    site.place.open().await.ingest(&batch(events)).await.unwrap();
}

#[tokio::test]
async fn killed_stopped_and_put_to_sleep_workers_make_what_train_makes() {
    let Some(mut site) = Site::new().await else { return };
    let (file, one, models) = (site.path("readings.parquet"), site.path("one"), site.path("models"));
    let (file, one) = (file.to_str().unwrap(), one.to_str().unwrap());
    roomcast(&["simulate", "--devices", "300", "--to", "2016-07-24", "--output", file]);
    roomcast(&["import", "--store", &site.place.url, file]);
    roomcast(&["train", "--input", file, "--models", one]);

    // The lead is killed while it makes the site.
    let mut lead = site.start("lead", &["--lease", "2"]);
    let unprepared = "SELECT count(*) FROM rounds WHERE site IS NULL AND ended IS NULL";
    site.wait(unprepared, |open| open == 1).await;
    lead.0.kill().unwrap();
    lead.0.wait().unwrap();
    assert_eq!(site.number(unprepared).await, 1);

    // Another takes over, and is told to stop: what it has leased is free at once.
    let mut second = site.start("second", &["--lease", "3600", "--jobs", "1"]);
    site.wait(HELD, |held| held > 0).await;
    second.signal("TERM");
    assert!(second.0.wait().unwrap().success(), "{}", site.log("second"));
    assert_eq!(site.number(HELD).await, 0, "{}", site.log("second"));
    let tried = "SELECT coalesce(sum(attempts), 0)::bigint FROM round_devices WHERE result IS NULL";
    assert_eq!((site.number(tried).await, site.number(unprepared).await), (0, 0));

    // One sleeps over a long lease, one over a short one; a third does all but what the first still holds.
    let mut sleeper = site.start("sleeper", &["--lease", "3600", "--jobs", "1"]);
    let before = site.number("SELECT max(fence) FROM round_devices").await;
    let fence = site.put_to_sleep(&sleeper, before).await;
    let mut slow = site.start("slow", &["--lease", "2", "--jobs", "1"]);
    let lost = site.put_to_sleep(&slow, fence).await;
    let mut quick = site.start("quick", &["--lease", "2"]);
    let open = format!("SELECT count(*) FROM round_devices WHERE result IS NULL AND fence <> {fence}");
    site.wait(&open, |open| open == 0).await;
    assert_eq!(site.number(&format!("SELECT count(*) FROM round_devices WHERE fence = {lost}")).await, 0);
    let written = "SELECT count(*) FROM round_devices WHERE result IS NOT NULL";
    let sum = "SELECT ('x' || left(md5(string_agg(fence || device || md5(result), ',' ORDER BY device)), 15))::bit(60)::bigint
               FROM round_devices WHERE result IS NOT NULL";
    let done = (site.number(written).await, site.number(sum).await);
    slow.signal("CONT");
    for _ in 0..400 {
        if site.log("slow").contains("others have taken these devices over") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(site.log("slow").contains("others have taken these devices over"), "{}", site.log("slow"));
    assert_eq!((site.number(written).await, site.number(sum).await), done);

    // The first never wakes again, and its lease ends.
    sleeper.0.kill().unwrap();
    sleeper.0.wait().unwrap();
    let over = "UPDATE round_devices SET leased_until = clock_timestamp() WHERE holder IS NOT NULL AND result IS NULL";
    site.database.execute(over).await.unwrap();
    for (worker, name) in [(&mut slow, "slow"), (&mut quick, "quick")] {
        assert!(worker.0.wait().unwrap().success(), "{}", site.log(name));
    }
    assert_eq!(site.number("SELECT count(*) FROM round_devices").await, 0);
    let ended =
        "SELECT count(*) FROM rounds WHERE ended IS NOT NULL AND devices = 300 AND failed = 0 AND promoted = 300";
    assert_eq!((site.number(ended).await, site.number("SELECT count(*) FROM rounds").await), (1, 1));
    let told = ["slow", "quick"].map(|name| site.said(name).contains("promoted     300"));
    assert!(told[0] != told[1], "{told:?}");
    assert!(current(&models) == current(one.as_ref()), "other models than on one machine");
}

#[tokio::test]
async fn a_second_round_is_judged_on_days_that_neither_has_seen() {
    let Some(mut site) = Site::new().await else { return };
    let (models, registry, input) = (site.path("models"), site.path("one"), sample());
    let train = |until: &str| {
        let args =
            ["train", "--until", until, "--input", input.to_str().unwrap(), "--models", registry.to_str().unwrap()];
        roomcast(&args);
        current(&registry)
    };
    assert!(site.ends("empty", &[]).contains("nothing is due"));
    import(&site, "2016-07-01 00:00:00", "2016-07-04 12:00:00").await;
    assert!(site.ends("short", &[]).contains("too little history"));
    import(&site, "2016-07-04 12:00:00", "2016-08-11 00:00:00").await;
    assert!(site.ends("first", &[]).contains("nothing to judge it against"));
    let first = current(&models);
    // It has learned from everything, to the end of the hour of the last reading.
    let until = Calendar::default().format(site.number("SELECT max(until) FROM rounds").await);
    assert!(until.starts_with("2016-08-10 ") && first == train(&until), "other models than on one machine");
    assert!(site.ends("idle", &[]).contains("nothing is due"));
    import(&site, "2016-08-11 00:00:00", "2016-09-01 00:00:00").await;
    let said = site.ends("second", &[]);
    assert!(said.contains("judged from  2016-08-27 00:00:00"), "{said}");
    assert!(said.contains("site         over age: promoted; log loss"), "{said}");
    let (version, second) = current(&models);
    let until = train("2016-08-27 00:00:00");
    // Whether a device of it was kept or not, it knows nothing of the days that it was judged on.
    assert_eq!(version[..15], until.0[..15]);
    let kept = site.number("SELECT kept FROM rounds ORDER BY id DESC LIMIT 1").await;
    assert!(kept > 0 || second == until.1, "other models than on one machine");
    assert!(site.ends("again", &[]).contains("nothing is due"));
    // Asked for, it learns the same from the same readings: that has been published.
    let said = site.ends("asked", &["--all"]);
    assert!(said.contains(&format!("{version} in")), "{said}");
    assert_eq!(current(&models), (version, second));
    assert_eq!(site.number("SELECT count(*) FROM rounds WHERE ended IS NOT NULL").await, 4);
}

#[tokio::test]
async fn a_device_that_ends_its_workers_gets_the_forecast_of_the_site() {
    let Some(mut site) = Site::new().await else { return };
    import(&site, "2016-07-01 00:00:00", "2016-08-11 00:00:00").await;
    let trigger = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN NEW.attempts = 3; NEW.leased_until = '-infinity'; RETURN NEW; END $$;
                   CREATE TRIGGER refuse BEFORE INSERT ON round_devices FOR EACH ROW
                   WHEN (NEW.device = 'device_3') EXECUTE FUNCTION refuse()";
    // As if it had ended three workers that had it alone.
    sqlx::raw_sql(trigger).execute(&mut site.database).await.unwrap();
    let said = site.ends("worker", &[]);
    let why = "device_3, without a model of its own: not fitted: who worked on it ended three times without an answer";
    assert!(said.contains(why), "{said}");
    assert_eq!(site.number("SELECT failed FROM rounds").await, 1);
    assert_eq!(site.number("SELECT promoted FROM rounds").await, 7);
    let forecast = ["predict", "2016-08-10 23:59:59", &site.place.url, "-", "--models"];
    let forecast = roomcast(&[&forecast[..], &[site.path("models").to_str().unwrap()]].concat());
    assert_eq!(String::from_utf8_lossy(&forecast.stdout).matches("device_3").count(), 24);
}

#[test]
fn a_store_of_another_kind_is_refused() {
    let place = Place::sqlite();
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
    let output = command.env_clear().args(["worker", "continuous", "--store", &place.url]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("only a PostgreSQL store") && said.contains("hint: roomcast retrain"), "{said}");
}
