//! `roomcast backtest`, from outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;
use polars::prelude::{AnyValue, Column, ParquetReader, SerReader};
use predicates::prelude::*;
use serde_json::Value;

/// The shipped readings, July and August 2016.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/device_activations.csv");

fn roomcast(line: &str) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("roomcast");
    command.arg("backtest").args(line.split_whitespace()).args(["--input", DATA]);
    command
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).expect("text")
}

fn json(line: &str) -> Value {
    serde_json::from_str(&stdout(&mut roomcast(&format!("--json {line}")))).expect("JSON")
}

/// Log loss of the first forecaster, the model.
fn loss(group: &Value) -> f64 {
    group["forecasters"][0]["log_loss"].as_f64().expect("a number")
}

#[test]
fn json_has_every_score_of_every_forecaster() {
    let report = json("--from 2016-08-22 --to 2016-08-26 --refit 2d");
    let setup = &report["setup"];
    assert_eq!((setup["origins"].as_u64(), setup["days"].as_u64()), (Some(5), Some(5)));
    assert_eq!((setup["every"].as_u64(), setup["refit"].as_u64()), (Some(86_400), Some(172_800)));
    let rooms = report["by_device"].as_array().expect("rooms").len() as u64;
    assert_eq!(setup["hours"].as_u64(), Some(5 * 24 * rooms));
    let forecasters = report["overall"]["forecasters"].as_array().expect("forecasters");
    let names: Vec<_> = forecasters.iter().filter_map(|f| f["forecaster"].as_str()).collect();
    assert_eq!(
        names,
        [
            "model",
            "all vacant",
            "same hour yesterday",
            "same hour last week",
            "last day of the same type",
            "hour-of-week rate"
        ]
    );
    let scores = [
        "accuracy",
        "balanced_accuracy",
        "f1",
        "precision",
        "recall",
        "mcc",
        "log_loss",
        "brier",
        "pr_auc",
        "roc_auc",
        "calibration_error",
        "likely_calibration_error",
    ];
    for score in scores {
        assert!(forecasters[0][score].is_f64(), "{score}");
    }
    assert_eq!(report["skill"].as_array().map(Vec::len), Some(5));
    assert!(report["skill"][0]["log_loss"]["interval"][1].is_f64());
    // One verdict before all else weighs chances and plain states.
    let verdict = &report["verdict"];
    let headline = verdict["headline"].as_str().expect("a headline");
    let parts = ["Chances: ", "Brier score 0.", "Plain 1/0 states: ", "F1 0.", "too few to recommend"]
        .map(|part| headline.find(part));
    assert!(parts.iter().all(Option::is_some) && parts.is_sorted(), "{headline}");
    assert!(verdict["chances"].is_string() && verdict["states"].is_string(), "{verdict}");
    // Leads are weighted means of the whole.
    let leads = report["by_lead"].as_array().expect("leads");
    let hours = |group: &Value| group["forecasters"][0]["hours"].as_f64().expect("hours");
    let mean = leads.iter().map(|g| loss(g) * hours(g)).sum::<f64>() / leads.iter().map(hours).sum::<f64>();
    assert!((mean - loss(&report["overall"])).abs() < 1e-9);
}

#[test]
fn the_page_is_one_file_and_replaces_the_old_one() {
    let place = tempfile::tempdir().expect("a directory");
    let page = place.path().join("report.html");
    fs::write(&page, "old").expect("a file");
    let line = format!("--from 2016-08-24 --to 2016-08-26 --every 12h --html {}", page.display());
    let table = stdout(&mut roomcast(&line));
    assert!(table.contains("\nby lead") && table.contains("hour-of-week rate"), "{table}");
    let html = fs::read_to_string(&page).expect("the page");
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    for outside in ["http://", "https://", "<script", "url(", "@import", "src=", "NaN"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("prefers-color-scheme: dark"));
    assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 1, "nothing is left beside it");
}

#[test]
fn one_room_is_forecast_as_it_is_among_all() {
    let span = "--from 2016-08-25 --to 2016-08-26";
    let (all, one) = (json(span), json(&format!("{span} --device device_2")));
    let rooms = all["by_device"].as_array().expect("rooms");
    let same = rooms.iter().find(|room| room["label"] == "device_2").expect("the room");
    assert_eq!(one["by_device"].as_array().map(Vec::len), Some(1));
    assert_eq!(loss(&one["overall"]), loss(same));
}

/// The columns of a file of scored hours as text, by name.
type Columns = BTreeMap<String, Vec<String>>;

fn csv(file: &Path) -> Columns {
    let text = fs::read_to_string(file).expect("the file");
    let mut rows = text.lines().map(|line| line.split(',').map(String::from).collect::<Vec<_>>());
    let names = rows.next().expect("a header");
    let rows: Vec<_> = rows.collect();
    let column = |(at, name): (usize, String)| (name, rows.iter().map(|row| row[at].clone()).collect());
    names.into_iter().enumerate().map(column).collect()
}

fn parquet(file: &Path) -> Columns {
    let frame = ParquetReader::new(fs::File::open(file).expect("the file")).finish().expect("Parquet");
    let text = |value: AnyValue| match value {
        AnyValue::Null => String::new(),
        AnyValue::Float32(number) => number.to_string(),
        AnyValue::Datetime(time, ..) => {
            let utc = chrono::DateTime::from_timestamp_millis(time).expect("a time");
            utc.format("%Y-%m-%dT%H:%M:%S").to_string()
        }
        other => other.str_value().into_owned(),
    };
    let column = |column: &Column| {
        let values = (0..column.len()).map(|row| text(column.get(row).expect("a value")));
        (column.name().to_string(), values.collect())
    };
    frame.columns().iter().map(column).collect()
}

/// Log loss, Brier score and accuracy of the rows that have a probability, from their definitions.
fn scored_again(columns: &Columns, probability: &str, state: &str) -> [f64; 3] {
    let rows = columns[probability].iter().zip(&columns[state]).zip(&columns["truth"]);
    let mut sums = [0.0; 3];
    let mut count = 0.0;
    for ((probability, state), truth) in rows.filter(|((probability, _), _)| !probability.is_empty()) {
        let p = f64::from(probability.parse::<f32>().expect("a probability"));
        let of_truth = if truth == "1" { p } else { 1.0 - p };
        let right = f64::from(u8::from(state == truth));
        for (sum, part) in sums.iter_mut().zip([-of_truth.ln(), (1.0 - of_truth).powi(2), right]) {
            *sum += part;
        }
        count += 1.0;
    }
    sums.map(|sum| sum / count)
}

#[test]
fn the_scores_of_the_report_follow_from_the_file_of_cases() {
    let place = tempfile::tempdir().expect("a directory");
    let [as_csv, as_parquet] = ["cases.csv", "cases.parquet"].map(|name| place.path().join(name));
    fs::write(&as_csv, "old").expect("a file");
    let plan = "--from 2016-08-22 --to 2016-08-26 --refit 7d --every 12h";
    let report = json(&format!("{plan} --cases {}", as_csv.display()));
    let columns = csv(&as_csv);
    assert_eq!(report["setup"]["hours"].as_u64(), Some(columns["time"].len() as u64));
    assert_eq!(&columns["origin"][0], "2016-08-22T00:00:00");
    let number = |value: &Value| value.as_f64().expect("a number");
    for forecaster in report["overall"]["forecasters"].as_array().expect("forecasters") {
        let name = forecaster["forecaster"].as_str().expect("a name").replace([' ', '-'], "_");
        let (probability, state) = match name.as_str() {
            "model" => ("probability".to_owned(), "state".to_owned()),
            rule => (rule.to_owned(), format!("{rule}_state")),
        };
        let again = scored_again(&columns, &probability, &state);
        for (again, score) in again.into_iter().zip(["log_loss", "brier", "accuracy"]) {
            assert!((again - number(&forecaster[score])).abs() < 1e-9, "{name} {score}: {again} {forecaster}");
        }
    }
    let parts = report["parts"].as_array().expect("parts");
    assert!(parts.len() > 1, "{parts:?}");
    for part in parts {
        let name = part["part"].as_str().expect("a name");
        let again = |column: String| scored_again(&columns, &column, "state")[0];
        assert!((again(format!("part_{name}")) - number(&part["alone"])).abs() < 1e-9, "{part}");
        if part["mixed"].is_object() {
            let without = again(format!("without_{name}"));
            assert!((without - number(&part["mixed"]["without"])).abs() < 1e-9, "{part}");
            let saved = 1.0 - number(&part["mixed"]["model"]) / without;
            assert!((saved - number(&part["mixed"]["saved"]["value"])).abs() < 1e-9, "{part}");
        }
    }
    assert!(parts.iter().any(|part| part["mixed"].is_object()), "{parts:?}");
    stdout(&mut roomcast(&format!("{plan} --cases {}", as_parquet.display())));
    assert!(parquet(&as_parquet) == columns, "the same in Parquet");
    // One device alone has the same rows, in a file of its own.
    let one = place.path().join("one.csv");
    stdout(&mut roomcast(&format!("{plan} --device device_2 --cases {}", one.display())));
    let rows = |file: &Path, device: &str| {
        let text = fs::read_to_string(file).expect("the file");
        text.lines().filter(|line| line.contains(device)).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(rows(&one, ","), [rows(&as_csv, "origin,"), rows(&as_csv, ",device_2,")].concat());
    assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 3, "nothing is left beside them");
}

#[test]
fn cases_that_cannot_be_made_leave_the_old_file() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("cases.csv");
    fs::write(&file, "old").expect("a file");
    let line = format!("--from 2020-01-01 --to 2020-01-02 --cases {}", file.display());
    roomcast(&line).assert().code(1).stderr(predicate::str::contains("nothing to score"));
    assert_eq!(fs::read_to_string(&file).expect("the file"), "old");
    assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 1);
    roomcast("--cases -").assert().code(1).stderr(predicate::str::contains("--cases needs a file"));
}

#[test]
fn the_learning_curve_scores_the_same_hours() {
    let report = json("--from 2016-08-26 --to 2016-08-26 --learning-curve");
    let curve = report["learning_curve"].as_array().expect("a curve");
    let labels: Vec<_> = curve.iter().filter_map(|group| group["label"].as_str()).collect();
    assert_eq!(labels, ["1 week", "2 weeks", "3 weeks", "4 weeks", "6 weeks", "all"]);
    let hours: Vec<_> = curve.iter().map(|group| group["forecasters"][0]["hours"].as_u64()).collect();
    assert!(hours.iter().all(|h| *h == hours[0]));
}

#[test]
fn mistakes_are_said_before_any_work() {
    let fails = |line: &str, code: i32, words: &str| {
        roomcast(line).assert().code(code).stdout("").stderr(predicate::str::contains(words));
    };
    fails("--every 5", 2, "such as 6h");
    fails("--from someday", 1, "cannot read --from");
    fails("--from 2016-08-20 --to 2016-08-19", 1, "there is no origin");
    fails("--from 2020-01-01 --to 2020-01-02", 1, "nothing to score");
    fails("--device device_x", 1, "device_x");
    fails("--html /nowhere/report.html", 1, "/nowhere");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("roomcast"))
        .args(["backtest", "--from", "2016-08-26", "--to", "2016-08-26", "--input", DATA])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    // A slow machine says how far it is, and nothing else.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.lines().all(|line| line.starts_with("all history: ")), "{output:?}");
    assert!(Path::new(DATA).exists());
}

#[test]
fn the_ledger_compares_the_schedule_with_a_timetable() {
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("report.html");
    let days = "--from 2016-08-15 --to 2016-08-26 --refit 7d --preheat 30m --kw 2 --kw device_1=1 --price 0.3";
    let mut command = roomcast(days);
    command.args(["--json", "--timetable", "mon-fri 06:00-19:00", "--timetable", "device_2=mon-sun 00:00-24:00"]);
    let report: Value = serde_json::from_str(&stdout(command.arg("--html").arg(&page))).expect("JSON");
    let ledger = &report["ledger"];
    let policies = ledger["policies"].as_array().expect("policies");
    let names: Vec<_> = policies.iter().filter_map(|policy| policy["policy"].as_str()).collect();
    assert_eq!(names, ["timetable", "reactive", "schedule", "hindsight"]);
    assert_eq!(policies[0]["saved"]["value"].as_f64(), Some(0.0));
    let rooms = ledger["by_room"].as_array().expect("rooms");
    let fixed: Vec<_> = rooms.iter().take(2).filter_map(|room| room["hours_on"][0].as_f64()).collect();
    // Ten working days of 13 hours, and twelve whole days.
    assert_eq!(fixed, [130.0, 288.0]);
    let kwh = ledger["energy"]["policies"][0]["kwh"].as_f64().expect("energy");
    assert!((kwh - (2.0 * policies[0]["hours_on"].as_f64().expect("hours") - 130.0)).abs() < 1e-6, "{ledger}");
    // The rate with the schedule's misses lies between the two points of its curve that miss less and more.
    let missed = policies[2]["missed_share"]["value"].as_f64().expect("a share");
    let on = ledger["rate_on_share_at_schedule_missed"].as_f64().expect("a share of the rate");
    let curve = ledger["rate_curve"].as_array().expect("a curve");
    let share = |point: &Value, of: &str| point[of].as_f64().expect("a share");
    let at = curve.iter().position(|point| share(point, "missed_share") > missed).expect("a point that misses more");
    assert!((share(&curve[at], "on_share")..=share(&curve[at - 1], "on_share")).contains(&on), "{on}, {ledger}");
    let said = format!(
        "on the hour-of-week rate that misses as much as the schedule would have been on for {:.1} %",
        100.0 * on
    );
    assert!(ledger["headline"].as_str().is_some_and(|line| line.contains(&said)), "{ledger}");
    let text = std::fs::read_to_string(&page).expect("a page");
    assert!(text.contains("id=\"savings\"") && text.contains("An estimate: each room draws its given power"), "{text}");
    let tables = stdout(roomcast(days).args(["--timetable", "mon-fri 06:00-19:00"]));
    assert!(tables.contains("hours on against hours missed") && tables.contains("savings by room"), "{tables}");
    for (wrong, message) in [
        (vec!["--timetable", "mon-fri"], "expected days and hours"),
        (vec!["--timetable", "device_1=mon 06:00-07:00"], "needs hours for rooms without hours of their own"),
        (vec!["--timetable", "mon 06:00-07:00", "--kw", "device_99=1"], "there are device_1, device_2"),
        (vec!["--preheat", "30m"], "need --timetable"),
    ] {
        roomcast("").args(wrong).assert().failure().stderr(predicate::str::contains(message));
    }
}
