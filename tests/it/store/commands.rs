//! The commands around a store.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::{self, ReadOptions};
use roomcast_storage::readings::{self as store, Event, Refused};

use super::place::{Place, START, batch, held, motion, on_both, refused, stream, sums};

fn sample() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/device_activations.csv").to_str().unwrap().to_owned()
}

pub fn roomcast(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roomcast")).env_clear().args(args).output().unwrap()
}

pub fn ok(args: &[&str]) -> String {
    let output = roomcast(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fails(args: &[&str]) -> String {
    let output = roomcast(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Events as a CSV file; repeated ones are repeated.
pub fn csv(path: &Path, events: &[Event]) {
    let calendar = Calendar::default();
    let row = |event: &Event| {
        let on = u8::from(event.kind == store::Kind::Motion);
        format!("{},{},{on}\n", calendar.format(event.time), event.device)
    };
    let rows: String = events.iter().filter(|event| event.kind != store::Kind::Rest).map(row).collect();
    std::fs::write(path, format!("time,device,device_activated\n{rows}")).unwrap();
}

#[tokio::test]
async fn hours_are_counted_as_the_file_has_them() {
    let file = sample();
    let rows = std::fs::read_to_string(&file).unwrap();
    let mut expected = std::collections::BTreeMap::<(String, String), u32>::new();
    let distinct: std::collections::BTreeSet<&str> = rows.lines().skip(1).collect();
    for row in distinct {
        let [time, device, "1"] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        *expected.entry((device.to_owned(), time[..13].replace(' ', "T") + ":00:00")).or_default() += 1;
    }
    let expected: String =
        expected.iter().map(|((device, hour), count)| format!("{hour},{device},{count}\n")).collect();
    on_both(async |place: Place| {
        ok(&["import", "--store", &place.url, &file]);
        let hours = ["store", "hours", "--store", &place.url];
        assert_eq!(ok(&hours), format!("hour,device,readings\n{expected}"));
        ok(&["store", "pack", "--store", &place.url]);
        let target = place.dir.path().join("hours.csv");
        assert_eq!(ok(&[&hours[..], &[target.to_str().unwrap()]].concat()), "");
        assert_eq!(std::fs::read_to_string(target).unwrap(), format!("hour,device,readings\n{expected}"));
        // The last day of a past, not of the present.
        let last_day = ok(&[&hours[..], &["--days", "1"]].concat());
        let rows: Vec<&str> = last_day.lines().skip(1).collect();
        assert!(
            rows.len() > 10 && rows.iter().all(|row| *row >= "2016-08-30T18" && expected.contains(row)),
            "{rows:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_store_forecasts_to_the_last_bit_what_its_file_does() {
    let (file, at) = (sample(), "2016-08-24 23:59:59");
    let expected = ok(&["predict", at, &file, "-", "--json"]);
    let fingerprint = |inputs: &[&str]| {
        let json = ok(&[&["inspect", "--json"], inputs].concat());
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["fingerprint"].clone()
    };
    on_both(async |place: Place| {
        let said = ok(&["import", "--store", &place.url, &file, "--batch", "3000"]);
        assert!(said.contains("13625 rows") && said.contains(" 0 in quarantine"), "{said}");
        assert_eq!(fingerprint(&[&place.url]), fingerprint(&[&file]));
        assert!(ok(&["store", "pack", "--store", &place.url]).contains("packed"));
        assert_eq!(fingerprint(&[&place.url]), fingerprint(&[&file]));
        // A second time, and file and store together: nothing new.
        let again = ok(&["import", "--store", &place.url, &file, "--json"]);
        assert!(again.contains("\"stored\": 0"), "{again}");
        assert_eq!(fingerprint(&[&place.url, &file]), fingerprint(&[&file]));
        let models = place.dir.path().join("models");
        let models = ["--models", models.to_str().unwrap()];
        assert!(
            ok(&[&["train", "--input", &place.url, "--until", at], &models[..]].concat()).contains("devices      7")
        );
        let predicted = ok(&[&["predict", at, &place.url, "-", "--format", "json"], &models[..]].concat());
        assert_eq!(predicted, expected);
        let explain =
            |input| ok(&[&["explain", "device_2", "2016-08-25 10:00:00", "--input", input], &models[..]].concat());
        assert_eq!(explain(&place.url), explain(&file));
    })
    .await;
}

#[tokio::test]
async fn bad_rows_go_into_quarantine_and_come_back_when_they_can_be_read() {
    on_both(async |place: Place| {
        let file = place.dir.path().join("bad.csv");
        let rows = "device_activated,time,device\n1,2016-07-01 08:00:00,a\n1,yesterday,a\n1,2016-07-01 09:00:00,\n\
                    1,2016-07-01 10:00:00\n0,2016-07-01 11:00:00,b\n";
        std::fs::write(&file, rows).unwrap();
        let import = || ok(&["import", "--store", &place.url, file.to_str().unwrap()]);
        let said = import();
        assert!(said.contains("5 rows, 1 stored, 0 duplicates, 1 without motion, 3 in quarantine"), "{said}");
        assert!(import().contains("5 rows, 0 stored, 1 duplicates"));
        let list = ok(&["store", "quarantine", "list", "--store", &place.url]);
        assert!(list.contains("bad.csv: line 3, column time") && list.contains("yesterday"), "{list}");
        assert!(list.contains("(2 times)") && list.lines().count() == 6, "{list}");
        let json = ok(&["store", "quarantine", "list", "--store", &place.url, "--json", "--limit", "1"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json[0]["payload"], r#"{"device":"a","device_activated":"1","time":"yesterday"}"#);

        // Rows that were refused by mistake, in both forms, and one that is there already.
        let store = place.open().await;
        let mut more = batch([]);
        more.refused = vec![
            refused(r#"{"time":"2016-07-02 08:00:00","device":"c","device_activated":"1"}"#, "a mistake"),
            refused("2016-07-02 09:00:00,c,1", "a mistake"),
            refused(r#"{"time":"2016-07-01 08:00:00","device":"a","device_activated":1}"#, "a mistake"),
            Refused {
                source: "mqtt".into(),
                ..refused(r#"{"time":"2016-07-02T10:00:00","device":"c","device_activated":1}"#, "not stored")
            },
        ];
        store.ingest(&more).await.unwrap();
        let replay = || ok(&["store", "quarantine", "replay", "--store", &place.url]);
        assert_eq!(replay(), "4 rows are readings now, 3 of them new; 3 stay in quarantine\n");
        assert_eq!(replay(), "0 rows are readings now, 0 of them new; 3 stay in quarantine\n");
        let (readings, _) = store.load(None).await.unwrap();
        assert_eq!(
            readings.devices.iter().map(|d| (d.times.len(), d.offs.len())).collect::<Vec<_>>(),
            [(1, 0), (0, 1), (3, 0)]
        );
    })
    .await;
}

#[tokio::test]
async fn messages_in_quarantine_come_back_once_it_is_known_how_to_read_them() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let message = |topic: &str, payload: &str| {
            let payload = serde_json::json!({ "topic": topic, "payload": payload }).to_string();
            Refused { source: "mqtt".into(), payload, reason: "expected a JSON object".into() }
        };
        let mut refusals = batch([]);
        refusals.refused = vec![
            message("site/hall/pir", r#"{"pir":{"on":1},"time":"2016-07-01 08:00:00"}"#),
            message("site/hall/pir", r#"{"pir":{"on":0},"time":"2016-07-01 08:05:00"}"#),
            message("site/loft/pir", r#"{"pir":{"on":true}}"#),
            message("site/loft/pir", r#"{"pir":"#),
            message("other/loft", r#"{"pir":{"on":1}}"#),
            refused("no message", "of another source"),
        ];
        store.ingest(&refusals).await.unwrap();
        let replay = ["store", "quarantine", "replay", "--store", &place.url];
        let with = |more: &[&str]| ok(&[&replay[..], more].concat());
        assert_eq!(with(&[]), "0 rows are readings now, 0 of them new; 6 stay in quarantine\n");
        let form = ["--mqtt-template", "site/{device}/pir", "--mqtt-form", "json", "--mqtt-pointer", "/pir/on"];
        assert_eq!(with(&form), "3 rows are readings now, 2 of them new; 3 stay in quarantine\n");
        let (readings, _) = store.load(None).await.unwrap();
        let times = |device: &str| {
            readings.devices.iter().find(|d| d.device == device).unwrap().times.iter().collect::<Vec<_>>()
        };
        assert_eq!(times("hall"), [START + 8 * 3600]);
        // Without a time of its own a message happened when it came.
        let calendar = Calendar::default();
        assert!(matches!(times("loft")[..], [time] if (calendar.now() - time).abs() < 60), "{:?}", times("loft"));
        assert!(fails(&[&replay[..], &["--mqtt-form", "json"]].concat()).contains("needs a pointer"));
    })
    .await;
}

#[tokio::test]
async fn an_export_reads_as_the_store_it_is_from() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let events = stream(23, 3000, 40, 3);
        store.ingest(&batch(events.clone())).await.unwrap();
        let out = place.dir.path().join("out");
        let export = |buckets: &str| {
            roomcast(&["export", "--store", &place.url, "--output", out.to_str().unwrap(), "--buckets", buckets])
        };
        assert!(export("4").status.success() && export("4").status.success());
        let files: Vec<PathBuf> = std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 4);
        let (read, _) = readings::read(&files, &ReadOptions::default(), &Calendar::default()).unwrap();
        assert_eq!(read, store.load(None).await.unwrap().0);
        // A device is in one file only.
        let of = |file| readings::read(&[file], &ReadOptions::default(), &Calendar::default()).unwrap().0.devices.len();
        assert_eq!(files.into_iter().map(of).sum::<usize>(), read.devices.len());
        assert!(String::from_utf8_lossy(&export("3").stderr).contains("another number of files"));
    })
    .await;
}

#[test]
fn an_export_of_a_zoned_site_keeps_the_hours_that_happen_twice() {
    let place = Place::sqlite();
    let file = place.dir.path().join("zoned.csv");
    let rows = "2016-10-30T00:30:00Z,a,1\n2016-10-30T01:30:00Z,a,1\n2016-10-30 12:00:00,b,1\n";
    std::fs::write(&file, format!("time,device,device_activated\n{rows}")).unwrap();
    let (zone, out) = (["--timezone", "Europe/Berlin"], place.dir.path().join("out"));
    let run = |args: &[&str]| ok(&[args, &zone].concat());
    run(&["import", "--store", &place.url, file.to_str().unwrap()]);
    run(&["export", "--store", &place.url, "--output", out.to_str().unwrap()]);
    let inspect = |input: &Path| {
        let json = run(&["inspect", "--json", input.to_str().unwrap()]);
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["fingerprint"].clone()
    };
    assert_eq!(inspect(&out.join("readings-0001-of-0001.parquet")), inspect(&file));
    let error = fails(&["export", "--store", &place.url, "--output", out.to_str().unwrap()]);
    assert!(error.contains("Europe/Berlin") && error.contains("hint: "), "{error}");
}

#[tokio::test]
async fn stores_are_backed_up_shortened_and_named_in_errors() {
    let place = Place::sqlite();
    let events = stream(29, 500, 5, 2);
    place.open().await.ingest(&batch(events.clone())).await.unwrap();
    let target = place.dir.path().join("copy.db");
    let copy = target.to_str().unwrap();
    ok(&["store", "backup", "--store", &place.url, copy]);
    assert_eq!(ok(&["store", "retain", "--store", &place.url, "--days", "30000"]), "0 readings dropped\n");
    // Days count back from the last reading: a store of the past is not emptied because of its age.
    assert_eq!(ok(&["store", "retain", "--store", &place.url, "--days", "30"]), "0 readings dropped\n");
    assert_eq!(held(&*place.open().await).await, sums(&events));
    assert!(ok(&["store", "retain", "--store", &place.url, "--days", "0"]).ends_with(" readings dropped\n"));
    let day = |event: &Event| event.time.div_euclid(86_400);
    let last = events.iter().map(day).max().unwrap();
    assert_eq!(held(&*place.open().await).await, sums(events.iter().filter(|event| day(event) == last)));
    let copied = store::open(copy, &Calendar::default()).await.unwrap();
    assert_eq!(held(&copied).await, sums(&events));
    for (args, said) in [
        (vec!["predict", "2016-08-24 23:59:59", "missing.db", "-"], "no such store"),
        (vec!["inspect", "postgres://me:s3cret@127.0.0.1:1/x"], "postgres://me@127.0.0.1:1/x: not available"),
        (vec!["import", "--store", "x.csv", "x.csv"], "hint: a store is"),
        (vec!["import", "--store", copy, "missing.csv"], "no such file"),
        (vec!["predict", "2016-06-24 23:59:59", copy, "-"], "no reading before"),
        (vec!["store", "backup", "--store", copy, "nowhere/x.db"], "nowhere"),
    ] {
        let error = fails(&args);
        assert!(error.contains(said) && !error.contains("s3cret"), "{args:?}: {error}");
    }
    assert!(copied.ingest(&batch([motion("a", START)])).await.is_ok());
}

#[tokio::test]
async fn readings_of_wrong_clocks_are_taken_out_and_can_be_read_again() {
    on_both(async |place: Place| {
        ok(&["import", "--store", &place.url, &sample()]);
        let calendar = Calendar::default();
        let opened = store::open_existing(&place.url, &calendar).await.unwrap();
        let whole = held(&opened).await;
        let wrong = ["2001-02-03 04:05:06", "2012-01-01 00:00:00"].map(|time| calendar.parse(time).unwrap());
        let ahead = calendar.now() + 3 * 86_400;
        let events = [wrong[0], wrong[1], ahead].map(|time| motion("lost", time));
        opened.ingest(&store::Batch { events: events.to_vec(), refused: Vec::new() }).await.unwrap();
        ok(&["store", "pack", "--store", &place.url]);
        let file = place.dir.path().join("strays.csv");
        let strays = |more: &[&str]| {
            ok(&[&["store", "strays", "--store", &place.url, file.to_str().unwrap()], more].concat());
            std::fs::read_to_string(&file).unwrap()
        };
        let listed = strays(&[]);
        assert!(listed.contains("2001-02-03 04:05:06,lost,1") && listed.lines().count() == 4, "{listed}");
        assert_eq!(strays(&["--drop"]), listed);
        assert_eq!(strays(&[]).lines().count(), 1, "only the header is left");
        assert_eq!(held(&opened).await, whole);
    })
    .await;
}
