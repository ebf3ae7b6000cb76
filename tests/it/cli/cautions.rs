//! Cautions about forecasts that deserve little trust, and hints that lead on.

use super::{fails, ok, roomcast, sample, text};

/// Writes the first days of the sample to a file.
fn first_days(dir: &std::path::Path, until: &str) -> String {
    let file = dir.join("few.csv");
    let all = std::fs::read_to_string(sample()).unwrap();
    let is_before = |row: &&str| row.starts_with("time") || *row < until;
    std::fs::write(&file, all.lines().filter(is_before).collect::<Vec<_>>().join("\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn few_days_of_readings_are_cautioned_of() {
    let dir = tempfile::tempdir().unwrap();
    let few = first_days(dir.path(), "2016-07-04");
    let caution = "caution: day 3 of the 10 that models of these rooms need; until then the chances are rough";
    for args in [["predict", "2016-07-04", &few, "-"], ["schedule", "2016-07-04", "--input", &few]] {
        let output = roomcast(&args);
        let error = text(&output.stderr);
        assert!(output.status.success() && error.contains(caution), "{args:?}: {error}");
    }
    let said = ok(&["explain", "device_2", "2016-07-04 10:00:00", "--input", &few]);
    assert!(said.contains(caution) && !said.contains("usually in use"), "{said}");
    // With more days there is none.
    let many = sample();
    let output = roomcast(&["predict", "2016-08-24", many.to_str().unwrap(), "-"]);
    assert!(!text(&output.stderr).contains("caution"), "{}", text(&output.stderr));
    assert!(ok(&["explain", "device_2", "2016-08-24 10:00:00", "--input", many.to_str().unwrap()]).contains("usually"));
}

#[test]
fn models_of_another_calendar_are_cautioned_of() {
    let dir = tempfile::tempdir().unwrap();
    let (input, models) = (sample(), dir.path().join("models"));
    let (input, models) = (input.to_str().unwrap(), models.to_str().unwrap());
    ok(&["train", "--input", input, "--models", models, "--closed", "2016-07-14"]);
    let said = |more: &[&str]| {
        let output = roomcast(&[&["predict", "2016-09-01", input, "-", "--models", models], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let other = said(&[]);
    let expected = "were trained with other holidays, closed or open days than it is used with\nhint: train and forecast with \
                    the same --country, --region, --holidays, --closed and --open\n";
    assert!(other.contains(expected), "{other}");
    assert!(!said(&["--closed", "2016-07-14"]).contains("caution: the models"));
    let weekend = said(&["--closed", "2016-07-14", "--weekend", "fri,sat"]);
    assert!(weekend.contains("with the same --weekend\n"), "{weekend}");
}

#[test]
fn every_command_takes_the_readings_by_option_and_by_position() {
    let dir = tempfile::tempdir().unwrap();
    let input = first_days(dir.path(), "2016-07-20");
    for command in [
        &["inspect"][..],
        &["utilisation"],
        &["explain", "device_2", "2016-07-19 10:00:00"],
        &["schedule", "2016-07-19"],
        &["backtest", "--refit", "30d", "--from", "2016-07-18"],
    ] {
        let by = |more: &[&str]| ok(&[command, more].concat());
        assert_eq!(by(&[&input]), by(&["--input", &input]), "{command:?}");
    }
    let store = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    ok(&["import", "--store", &store("a.db"), "--input", &input]);
    ok(&["import", "--store", &store("b.db"), &input]);
    ok(&["train", "--models", &store("models"), &input]);
    assert!(fails(&["utilisation", &input, "--input", &input], 2).contains("named twice"));
    assert!(fails(&["utilisation"], 2).contains("--input FILE, or the position INPUT"));
    let said = ok(&["utilisation", &input]);
    assert!(said.contains("\nits share: share of the working days on which the peak hour was in use;"), "{said}");
}

#[test]
fn an_import_that_stores_nothing_fails_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (file, store) = (path("utc.csv"), path("st.db"));
    std::fs::write(&file, "time,device,device_activated\n2016-08-31T09:00:00Z,a,1\n2016-08-31T10:00:00Z,a,1\n")
        .unwrap();
    let output = roomcast(&["import", "--store", &store, &file]);
    let (said, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.code() == Some(1) && error.contains("nothing was stored: every row was refused (2 of 2)"));
    let reason = "2 in quarantine\n  the first of them: ";
    assert!(said.contains(reason) && said.contains("hint: name the site's time zone, such as --timezone"), "{said}");
    // The hint leads on, although the store was made without a time zone.
    let said = ok(&["import", "--store", &store, "--timezone", "Europe/Berlin", &file]);
    assert!(said.contains("2 rows, 2 stored") && !said.contains("the first of them"), "{said}");
}

#[test]
fn files_without_a_reading_are_told_from_times_before_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let header = dir.path().join("header.csv");
    std::fs::write(&header, "time,device,device_activated\n").unwrap();
    let (header, input) = (header.to_str().unwrap(), sample());
    for command in ["predict", "schedule"] {
        assert!(fails(&[command, "2016-08-18", header], 1).contains("no readings at all"));
        let error = fails(&[command, "2010-08-18", input.to_str().unwrap()], 1);
        assert!(error.contains("no reading before 2010-08-18 00:00:00"), "{error}");
    }
}

#[test]
fn a_forecast_from_old_readings_names_a_time_at_their_end() {
    let output = roomcast(&["predict", "2017-08-18", sample().to_str().unwrap(), "-"]);
    let error = text(&output.stderr);
    let hint = "\nhint: the readings end at 2016-08-31 18:25:57: predict '2016-08-31 19:00:00' forecasts from there\n";
    assert!(output.status.success() && error.contains(hint), "{error}");
}

#[test]
fn rooms_on_no_floor_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("rooms.csv");
    let said = |rows: &str| {
        std::fs::write(&table, format!("sensor,room,floor\n{rows}")).unwrap();
        let (input, table) = (sample(), table.to_str().unwrap());
        let args = ["predict", "2016-08-18", input.to_str().unwrap(), "-", "--level", "floor", "--rooms", table];
        text(&roomcast(&args).stderr)
    };
    let some = said("device_1,Hall,1\ndevice_2,Lab,1\n");
    assert!(some.contains("5 rooms are on no floor and count in none, such as device_3\n"), "{some}");
    let all = said(&(1..=7).map(|n| format!("device_{n},{n},1\n")).collect::<String>());
    assert!(!all.contains("on no floor"), "{all}");
}
