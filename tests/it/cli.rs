//! The binary from outside: the contract of `predict`, saved models, bad input.

mod cautions;
mod inspect;

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use roomcast_forecast::calendar::{Calendar, HOUR};

/// The sample that comes with the package.
fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/device_activations.csv")
}

fn roomcast(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roomcast")).env_clear().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn ok(args: &[&str]) -> String {
    let output = roomcast(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn fails(args: &[&str], code: i32) -> String {
    let output = roomcast(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn predict_keeps_its_contract() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.csv");
    let (input, out) = (sample(), out.to_str().unwrap());
    assert_eq!(ok(&["predict", "2016-08-24 23:59:59", input.to_str().unwrap(), out]), "");
    let lines: Vec<String> = std::fs::read_to_string(out).unwrap().lines().map(String::from).collect();
    assert_eq!(lines.len(), 1 + 7 * 24);
    assert_eq!(lines[0], "time,device,activation_predicted");
    assert!(lines[1].starts_with("2016-08-25 00:00:00,device_1,"));
    assert!(lines[168].starts_with("2016-08-25 23:00:00,device_7,"));
    let mut ordered = lines[1..].to_vec();
    ordered.sort();
    assert_eq!(ordered, lines[1..]);
    assert!(lines[1..].iter().all(|line| line.ends_with(",0") || line.ends_with(",1")));
    // Nothing but the forecast is left in the directory.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn predict_writes_probabilities_json_one_device_and_standard_output() {
    let input = sample();
    let input = input.to_str().unwrap();
    let csv = ok(&["predict", "2016-08-24 23:59:59", input, "-", "--probabilities", "--device", "device_2"]);
    assert_eq!(csv.lines().count(), 25);
    assert_eq!(csv.lines().next(), Some("time,device,activation_predicted,probability"));
    let json = ok(&["predict", "2016-08-24 10:40:00", input, "-", "--json", "--device", "device_2"]);
    assert_eq!(ok(&["predict", "2016-08-24 10:40:00", input, "--format", "json", "--device", "device_2"]), json);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    for hour in value["devices"][0]["hours"].as_array().unwrap() {
        let (probability, state) = (hour["probability"].as_f64().unwrap(), hour["state"].as_u64().unwrap());
        assert_eq!(state, u64::from(probability >= 0.5), "{hour}");
        // The digits that the CSV has, and no noise behind them.
        assert_eq!(format!("{probability:.6}").parse(), Ok(probability), "{hour}");
    }
    assert_eq!(value["devices"][0]["hours"][0]["start"], "2016-08-24T11:00:00");
    assert_eq!(value["devices"][0]["hours"].as_array().unwrap().len(), 24);
}

#[test]
fn predict_takes_its_input_as_others_do_and_draws_without_an_output() {
    let (dir, input) = (tempfile::tempdir().unwrap(), sample());
    let input = input.to_str().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let map = ok(&["predict", "2016-08-25", "--input", input]);
    assert!(map.starts_with("Chance that each room") && map.contains("2016-08-25 00:00:00"), "{map}");
    assert!(map.contains("device_7") && map.contains("██"), "{map}");
    assert_eq!(ok(&["predict", "2016-08-24 23:59:59", input]), map);
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
    let by_variable =
        command.env_clear().env("ROOMCAST_INPUT", input).args(["predict", "2016-08-25"]).output().unwrap();
    assert_eq!(text(&by_variable.stdout), map);
    // The variable does not change what two positions mean.
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
    command.env_clear().env("ROOMCAST_INPUT", "missing.csv");
    assert!(command.args(["predict", "2016-08-25", input, &path("a.csv")]).output().unwrap().status.success());
    assert_eq!(ok(&["predict", "2016-08-25", "-i", input, &path("b.csv")]), "");
    assert_eq!(ok(&["predict", "2016-08-25", input, &path("c.json")]), "");
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert_eq!(read("a.csv"), read("b.csv"));
    assert_eq!(read("c.json"), ok(&["predict", "2016-08-25", "-i", input, "--json"]));
    let error = fails(&["predict", "2016-08-25", "-i", input, input, &path("d.csv")], 2);
    assert!(error.contains("named twice") && error.contains("Usage: roomcast predict"), "{error}");
}

#[test]
fn what_is_yet_to_come_is_forecast_from_the_present() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("readings.csv");
    let (calendar, now) = (Calendar::default(), Calendar::default().now());
    let midnight = now - now.rem_euclid(24 * HOUR);
    let times =
        (-30 * 24..24_i64).filter(|hour| (8..18).contains(&hour.rem_euclid(24))).map(|hour| midnight + hour * HOUR);
    let times = times.filter(|time| *time < now).chain([now - 1]);
    let rows: String = times.map(|time| format!("{},office,1\n", calendar.format(time))).collect();
    std::fs::write(&file, format!("time,device,device_activated\n{rows}")).unwrap();
    let hours = |at: &str| -> std::collections::BTreeMap<String, f64> {
        let output = roomcast(&["predict", at, "--input", file.to_str().unwrap(), "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let hours = json["devices"][0]["hours"].as_array().unwrap().iter();
        hours.map(|h| (h["start"].as_str().unwrap().to_owned(), h["probability"].as_f64().unwrap())).collect()
    };
    let (near, tomorrow) = (hours("now"), hours("tomorrow"));
    let start = calendar.rfc3339(midnight + 24 * HOUR);
    assert_eq!((tomorrow.len(), tomorrow.keys().next()), (24, Some(&start)));
    let common = tomorrow.iter().filter(|(start, _)| near.contains_key(*start));
    let mut reached = 0;
    for (start, probability) in common {
        // The clock goes on between the two.
        assert!((near[start] - probability).abs() < 0.05, "{start}: {} and {probability}", near[start]);
        reached += 1;
    }
    assert!(reached >= 1, "{near:?} {tomorrow:?}");
    // Hours that nothing is known of do not make the office look empty.
    let noon = &tomorrow[&calendar.rfc3339(midnight + 36 * HOUR)];
    assert!(*noon > 0.5, "{noon}");
}

#[test]
fn rules_trade_missed_hours_for_wasted_ones() {
    let input = sample();
    let count = |rule: &[&str]| {
        let args = [&["predict", "2016-08-24 23:59:59", input.to_str().unwrap(), "-"], rule].concat();
        ok(&args).lines().filter(|line| line.ends_with(",1")).count()
    };
    let plain = count(&[]);
    assert!(count(&["--cost-miss", "9", "--cost-waste", "1"]) > plain);
    assert!(count(&["--cost-miss", "1", "--cost-waste", "9"]) < plain);
    assert!(count(&["--max-missed", "0.02"]) > plain);
    let refused = fails(&["predict", "2016-08-24", "x", "-", "--cost-miss", "9"], 2);
    assert!(refused.contains("--cost-waste"), "{refused}");
}

#[test]
fn saved_models_forecast_to_the_last_bit_what_training_on_the_fly_does() {
    let dir = tempfile::tempdir().unwrap();
    let (input, models) = (sample(), dir.path().join("models"));
    let (input, models) = (input.to_str().unwrap(), models.to_str().unwrap());
    let said = ok(&["train", "--input", input, "--models", models, "--until", "2016-08-24 23:59:59"]);
    assert!(said.contains("devices      7"), "{said}");
    let args = ["predict", "2016-08-24 23:59:59", input, "-", "--format", "json"];
    assert_eq!(ok(&args), ok(&[&args[..], &["--models", models]].concat()));
    assert!(ok(&["models", "list", "--models", models]).contains("current"));
}

#[test]
fn readings_at_or_after_the_timestamp_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let all = std::fs::read_to_string(sample()).unwrap();
    let early: String = all
        .lines()
        .filter(|line| !line.starts_with("2016-08-2") || *line < "2016-08-20 12:00:00")
        .map(|l| format!("{l}\n"))
        .collect();
    let early: String = early.lines().filter(|line| !line.starts_with("2016-08-3")).map(|l| format!("{l}\n")).collect();
    let cut = dir.path().join("cut.csv");
    std::fs::write(&cut, early).unwrap();
    let of = |path: &Path| ok(&["predict", "2016-08-20 12:00:00", path.to_str().unwrap(), "-", "--probabilities"]);
    assert_eq!(of(&sample()), of(&cut));
}

#[test]
fn bad_input_is_named_and_damages_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let input = sample();
    let input = input.to_str().unwrap();
    std::fs::write(path("out.csv"), "precious").unwrap();
    std::fs::write(path("bad.csv"), "time,device,device_activated\n2016-07-01 08:00:00,a,1\nyesterday,a,1\n").unwrap();
    std::fs::write(path("header.csv"), "when,who\n1,2\n").unwrap();
    std::fs::write(path("empty.csv"), "").unwrap();
    let at = "2016-08-24 23:59:59";
    for (args, code, said) in [
        (vec!["predict", at, &path("missing.csv"), &path("out.csv")], 1, "missing.csv"),
        (vec!["predict", at, &path("bad.csv"), &path("out.csv")], 1, "line 3"),
        (vec!["predict", at, &path("header.csv"), &path("out.csv")], 1, "header"),
        (vec!["predict", at, &path("empty.csv"), &path("out.csv")], 1, "empty"),
        (vec!["predict", "soon", input, &path("out.csv")], 1, "YYYY-MM-DD"),
        (vec!["predict", "2010-01-01 00:00:00", input, &path("out.csv")], 1, "no reading before"),
        (vec!["predict", at, input, &path("out.csv"), "--device", "devise_3"], 1, "device_3"),
        (vec!["predict", at, input, &path("nowhere/out.csv")], 1, "nowhere"),
        (vec!["predict", at, input, "/dev/full"], 1, "/dev/full"),
        (vec!["predict", at, input, &path("out.csv"), "--models", &path("none")], 1, "roomcast train"),
        (vec!["predict", at], 2, "required"),
    ] {
        let error = fails(&args, code);
        assert!(error.contains(said), "{args:?}: {error}");
    }
    assert_eq!(std::fs::read_to_string(path("out.csv")).unwrap(), "precious");
    let skipped = ok(&["predict", "2016-07-02 00:00:00", &path("bad.csv"), "-", "--skip-bad-rows"]);
    assert_eq!(skipped.lines().count(), 25);
}

#[test]
fn explain_names_what_drove_an_hour() {
    let input = sample();
    let said = ok(&["explain", "--input", input.to_str().unwrap(), "device_2", "2016-08-25 10:20:00"]);
    let begins = "device_2, 2016-08-25 10:00:00, as forecast at 2016-08-25 00:00:00: ";
    assert!(said.starts_with(begins) && said.contains("\nThe room is usually in use "), "{said}");
    assert!(said.contains("\nThe chance is raised most by ") && !said.contains("prior"), "{said}");
    let all = ok(&["explain", "--input", input.to_str().unwrap(), "device_2", "2016-08-25 10:20:00", "--all"]);
    assert!(all.starts_with(begins) && all.contains("  prior  ") && all.lines().count() > 20, "{all}");
    let json = ok(&["explain", "--input", input.to_str().unwrap(), "device_2", "2016-08-25 10:20:00", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["hour"], "2016-08-25T10:00:00");
    let explain = |more: &[&'static str]| [&["explain", "--input", input.to_str().unwrap()], more].concat();
    let error = fails(&explain(&["device_2", "2016-08-25 10:00:00", "--at", "soon"]), 1);
    assert!(error.contains("--at"), "{error}");
    assert_eq!(ok(&explain(&["device_2", "2016-08-25 10:20:00", "--at", "2016-08-25"])), said);
    let error = fails(&explain(&["device_2", "2016-08-27 10:00:00", "--at", "2016-08-25"]), 1);
    assert!(error.contains("2016-08-27 10:00:00 is not among the 24 hours after 2016-08-25 00:00:00"), "{error}");
    let error = fails(&explain(&["kitchen", "2016-08-25 10:00:00"]), 1);
    assert!(
        error.contains("hint: there are device_1, device_2,") && error.ends_with("device_6, device_7\n"),
        "{error}"
    );
}

/// Two sensors on workdays of four weeks; then either nothing, or only that they are alive.
#[test]
fn explain_gives_the_probability_of_predict_whatever_was_heard() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("readings.csv");
    let input = file.to_str().unwrap();
    let row = |day: i64, hour: i64, rest: &str| {
        let date = chrono::NaiveDate::from_epoch_days(16_986 + day as i32).unwrap();
        format!("{date} {hour:02}:20:00,{rest}\n")
    };
    let office = || (0..28).filter(|day| day % 7 < 5).flat_map(|day| (9..17).map(move |hour| (day, hour)));
    let motion: String = office().map(|(day, hour)| row(day, hour, "hall,1") + &row(day, hour, "loft,1")).collect();
    let signs: String = (28..44).map(|day| row(day, 12, "hall,0")).collect();
    let mut found = Vec::new();
    for (more, hour) in [(String::new(), "2016-08-17 10"), (signs, "2016-08-17 10"), (String::new(), "2016-08-02 10")] {
        std::fs::write(&file, format!("time,device,device_activated\n{motion}{more}")).unwrap();
        let (at, hour) = (hour[..10].to_owned(), format!("{hour}:00:00"));
        let forecast = ok(&["predict", &at, input, "-", "--json"]);
        let forecast: serde_json::Value = serde_json::from_str(&forecast).unwrap();
        let probability = &forecast["devices"][0]["hours"][10]["probability"];
        let why = ok(&["explain", "--input", input, "hall", &hour, "--json"]);
        let why: serde_json::Value = serde_json::from_str(&why).unwrap();
        assert_eq!(&why["probability"], probability, "{at}");
        found.push(probability.as_f64().unwrap());
    }
    // A silence that nobody can judge is not an empty house, and a living sensor says that it is empty.
    assert!(found[1] < found[0] / 2.0, "{found:?}");
}

#[test]
fn predict_refuses_a_name_that_promises_another_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let input = sample();
    let predict = |output: &str| ["predict", "2016-08-25", input.to_str().unwrap(), output].map(String::from);
    let args = predict(&path("forecast.xlsx"));
    let error = fails(&args.each_ref().map(String::as_str), 1);
    assert!(error.contains("cannot be written as .xlsx") && error.contains("hint: let its name end in .csv or .json"));
    assert!(!Path::new(&path("forecast.xlsx")).exists());
    for name in ["forecast.CSV", "forecast"] {
        ok(&predict(&path(name)).each_ref().map(String::as_str));
        assert!(std::fs::read_to_string(path(name)).unwrap().starts_with("time,device,"), "{name}");
    }
    let args = predict(&path("forecast.txt"));
    ok(&[&args.each_ref().map(String::as_str)[..], &["--json"]].concat());
    assert!(std::fs::read_to_string(path("forecast.txt")).unwrap().starts_with('{'));
}

#[test]
fn help_man_pages_and_completions_cover_every_subcommand() {
    let help = ok(&["--help"]);
    for name in
        ["predict", "train", "retrain", "backtest", "explain", "inspect", "simulate", "models", "worker", "publish"]
    {
        assert!(help.contains(name), "{name}");
        assert!(ok(&[name, "--help"]).contains("Example"), "{name}");
    }
    let serve = ok(&["serve", "--help"]);
    let options =
        ["Publishing of forecasts:", "--publish-mqtt", "Upkeep of the store:", "--retain", "Retraining:", "--retrain"];
    assert!(options.map(|option| serve.find(option)).is_sorted(), "{serve}");
    assert!(ok(&["completions", "bash"]).contains("predict"));
    let dir = tempfile::tempdir().unwrap();
    ok(&["man", dir.path().to_str().unwrap()]);
    assert!(dir.path().join("roomcast-predict.1").exists());
}

#[test]
fn predict_long_after_the_data_forecasts_the_habit_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.json");
    let (input, out) = (sample(), out.to_str().unwrap());
    let input = input.to_str().unwrap();
    let json = |origin: &str| -> (serde_json::Value, String) {
        let output = roomcast(&["predict", origin, input, out, "--format", "json"]);
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{errors}");
        (serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap(), errors)
    };
    let hours = |forecast: &serde_json::Value| -> f64 {
        let devices = forecast["devices"].as_array().unwrap().iter();
        devices.flat_map(|d| d["hours"].as_array().unwrap()).map(|hour| hour["probability"].as_f64().unwrap()).sum()
    };
    let (fresh, said) = json("2016-08-23 23:59:59");
    assert_eq!(fresh["stale"], false);
    assert!(said.contains("room-hours expected in use") && said.contains(out) && !said.contains("silent"), "{said}");
    // A Wednesday weeks after the last reading.
    let (stale, said) = json("2016-10-18 23:59:59");
    assert_eq!(stale["stale"], true);
    assert!(stale["data_until"].as_str().unwrap().starts_with("2016-08-"), "{}", stale["data_until"]);
    assert!(said.contains("no sensor of 7 has been heard for ") && said.contains(" days, since 2016-08-"), "{said}");
    // A Wednesday ten years later: a habit does not fade while nobody is heard.
    let (years, said) = json("2026-10-20 23:59:59");
    assert!(said.contains("no sensor of 7 has been heard for 37"), "{said}");
    let (fresh, stale, years) = (hours(&fresh), hours(&stale), hours(&years));
    assert!((years - stale).abs() < 1e-6, "{years} room-hours expected years later, {stale} weeks later");
    assert!(stale > 0.5 * fresh && stale < 2.0 * fresh, "{stale} room-hours expected, {fresh} the day after the data");
    let error = fails(&["predict", "2016-10-18 23:59:59", input, out, "--max-age", "2d"], 1);
    assert!(error.contains("--max-age") && error.contains("\nhint: add later readings, "), "{error}");
}

#[test]
fn an_outage_of_the_whole_site_does_not_empty_its_rooms_once_a_sensor_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("readings.csv"), dir.path().join("out.csv"));
    let data = std::fs::read_to_string(sample()).unwrap();
    let expected = |more: &str| -> f64 {
        std::fs::write(&file, data.clone() + more).unwrap();
        let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
        ok(&["predict", "2016-09-12 08:30:00", file, out, "--probabilities"]);
        let text = std::fs::read_to_string(out).unwrap();
        text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    // Nothing since August: the usual rate. Then one sensor fires again.
    let stale = expected("");
    let back = expected("2016-09-12 07:31:00,device_1,1\n2016-09-12 08:02:00,device_1,1\n");
    assert!(back > 0.7 * stale && back < 1.3 * stale, "{back} room-hours expected, {stale} before");
}

#[test]
fn one_row_of_2100_or_of_a_clock_never_set_changes_no_forecast() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (clean, damaged) = (sample().display().to_string(), path("damaged.csv"));
    let rows = std::fs::read_to_string(&clean).unwrap();
    let device = rows.lines().nth(1).unwrap().split(',').find(|cell| cell.starts_with("device_")).unwrap().to_owned();
    let header = rows.lines().next().unwrap().to_owned();
    let row = |time: &str| {
        let cells = header.split(',').map(|column| match column {
            "time" => time.to_owned(),
            "device" => device.clone(),
            _ => "1.0".to_owned(),
        });
        cells.collect::<Vec<_>>().join(",")
    };
    let strays = ["1971-01-01 00:00:05", "2000-01-01 00:01:00", "2100-01-01 12:00:00"].map(row).join("\n");
    std::fs::write(&damaged, format!("{}\n{strays}\n", rows.trim_end())).unwrap();
    let forecast = |input: &str| {
        let output = roomcast(&["predict", "2016-08-24 23:59:59", input, "-", "--probabilities"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(forecast(&clean), forecast(&damaged));
    // Without --until models learn up to the last reading of the site, not up to 2100.
    let cutoff = |input: &str, models: &str| {
        let output = roomcast(&["train", "--input", input, "--models", &path(models)]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let shown = roomcast(&["models", "show", "--json", "--models", &path(models)]);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        (shown["cutoff"].clone(), text(&output.stderr))
    };
    let (expected, quiet) = cutoff(&clean, "clean");
    let (found, said) = cutoff(&damaged, "damaged");
    assert!(expected.is_string() && expected == found, "{expected} {found}");
    assert!(said.contains("set aside") && said.contains(&device) && !quiet.contains("set aside"), "{said}");
    let inspected = text(&roomcast(&["inspect", &damaged]).stdout);
    assert!(inspected.contains("set aside: 3 readings") && inspected.contains(&device), "{inspected}");
}
