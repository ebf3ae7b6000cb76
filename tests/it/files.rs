//! Files of every shape that people have, made from one set of readings: the same forecast to the last bit, or the
//! documented error.

mod bounds;
mod cases;
mod errors;
pub mod home_assistant;
pub mod pack;
mod readings;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use cases::{Case, Input};
use readings::ORIGIN;

/// Runs the binary. Variables of this process do not reach it.
fn roomcast(args: &[&str], input: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
    if let Some(path) = input {
        command.stdin(Stdio::from(std::fs::File::open(path).unwrap()));
    }
    command.env_clear().args(args).output().unwrap()
}

/// Forecasts from a case's files. Returns the devices of the forecast, and what was said.
fn forecast(directory: &Path, case: &Case) -> Result<(Value, String), String> {
    let inputs = case.write(directory);
    // `predict` takes one input; several are a directory, or an input of another command.
    let input = inputs[0].to_str().unwrap();
    let (input, stdin) = match case.input {
        Input::Stdin(_) => ("-", Some(inputs[0].as_path())),
        _ => (input, None),
    };
    let mut args = vec!["predict", ORIGIN, input, "-", "--format", "json"];
    if !case.options.contains(&"--no-zone") {
        args.extend(["--timezone", "Europe/Berlin"]);
    }
    args.extend(case.options.iter().filter(|option| **option != "--no-zone"));
    let output = roomcast(&args, stdin);
    let said = String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        return Err(said);
    }
    let forecast: Value = serde_json::from_slice(&output.stdout).unwrap();
    Ok((forecast["devices"].clone(), said))
}

#[test]
fn files_of_every_shape_give_one_forecast_to_the_last_bit() {
    let place = tempfile::tempdir().unwrap();
    let cases = cases::all();
    assert!(cases.len() >= 40, "{}", cases.len());
    // The contract's own layout is read without a word.
    let own = |case: &Case| {
        let (devices, said) = forecast(&place.path().join(case.name), case).unwrap();
        assert!(devices.as_array().unwrap().len() == 3 && !said.contains("read `"), "{said}");
        devices
    };
    let (pulses, edges) = (own(&cases[0]), own(&cases::contract_edges()));
    assert_ne!(pulses, edges);
    let intervals = own(&cases::contract_intervals());
    let mut wrong = Vec::new();
    for (at, case) in cases.iter().enumerate().skip(1) {
        let expected = match case.has_offs {
            true => &edges,
            false if case.name.contains("wide") => &intervals,
            false => &pulses,
        };
        match forecast(&place.path().join(at.to_string()), case) {
            Ok((devices, _)) if devices != *expected => wrong.push(format!("{}: another forecast", case.name)),
            Ok((_, said)) if !said.contains(case.said) => wrong.push(format!("{}: it says {said}", case.name)),
            Ok(_) => {}
            Err(error) => wrong.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_that_cannot_be_told_say_which_option_does() {
    let place = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (at, (case, expected)) in errors::all().iter().enumerate() {
        match forecast(&place.path().join(at.to_string()), case) {
            Ok(_) => wrong.push(format!("{}: it was read", case.name)),
            Err(said) if !expected.iter().all(|part| said.contains(part)) => {
                wrong.push(format!("{}: it says {said}", case.name));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_error_shows_the_line_and_a_caret_under_the_field() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.csv");
    std::fs::write(
        &file,
        "timestamp;sensor_id;value\n2016-07-01 04:00:00;hall;1\n\n2016-07-01 05:00:00;hall;perhaps\n",
    )
    .unwrap();
    let name = file.to_str().unwrap();
    let output = roomcast(&["predict", "2016-07-02 00:00:00", name, "-"], None);
    let said = String::from_utf8(output.stderr).unwrap();
    let error = &said[said.find("error: ").unwrap()..];
    let expected = format!(
        "error: cannot read the readings: {name}: line 4, column value: expected 1 (motion) or 0 (no motion), found \
         \"perhaps\"\n  |\n4 | 2016-07-01 05:00:00;hall;perhaps\n  |                          ^^^^^^^ expected 1 (motion) or 0 \
         (no motion)\nhint: correct the row, or leave such rows out with --skip-bad-rows\n"
    );
    // A pipe is not coloured.
    assert_eq!(error, expected);
    let report = roomcast(&["inspect", "--json", name], None);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let refusal = &report["files"][0]["refusals"][0];
    assert_eq!(
        (&refusal["line"], &refusal["column"], &refusal["header"]),
        (&4.into(), &"device_activated".into(), &"value".into())
    );
}

#[test]
fn a_store_takes_what_a_forecast_reads() {
    let place = tempfile::tempdir().unwrap();
    let store = place.path().join("readings.db");
    let store = store.to_str().unwrap();
    let stored = |case: &Case, at: usize| {
        let paths = case.write(&place.path().join(at.to_string()));
        let zone = ["--timezone", "Europe/Berlin"];
        let mut args = vec!["import", "--store", store, "--json"];
        args.extend(zone);
        args.extend(case.options);
        args.extend(paths.iter().map(|path| path.to_str().unwrap()));
        let output = roomcast(&args, None);
        assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
        let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
        let sum = |name: &str| counts.as_array().unwrap().iter().map(|file| file[name].as_u64().unwrap()).sum::<u64>();
        (sum("stored"), sum("refused"))
    };
    let cases = cases::all();
    let case = |name: &str| cases.iter().find(|case| case.name == name).unwrap();
    assert_eq!(stored(&cases[0], 0), (readings::all().len() as u64, 0));
    // What is there already is not stored again, whatever file it comes from.
    for (at, name) in ["German headers", "epoch milliseconds", "workbook", "directory"].iter().enumerate() {
        assert_eq!(stored(case(name), at + 1), (0, 0), "{name}");
    }
    assert_eq!(stored(&cases::contract_intervals(), 5), (readings::all().len() as u64, 0));
    for (at, name) in ["wide", "wide with ends", "workbook with a wide table"].iter().enumerate() {
        assert_eq!(stored(case(name), at + 6), (0, 0), "{name}");
    }
}

#[test]
fn a_class_that_no_state_tells_is_that_of_the_registry_beside_the_database() {
    let place = tempfile::tempdir().unwrap();
    let database = place.path().join("home-assistant_v2.db");
    home_assistant::write(&database, true);
    let inspect = || {
        let args = ["inspect", database.to_str().unwrap(), "--timezone", "Europe/Berlin", "--json"];
        let output = roomcast(&args, None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let before = inspect();
    assert!(before.contains(readings::ROOMS[0]) && !before.contains("binary_sensor.door"), "{before}");
    home_assistant::move_classes(&database);
    assert_eq!(inspect(), before);
    // Without the registry nothing says what the sensor is.
    std::fs::remove_dir_all(place.path().join(".storage")).unwrap();
    assert!(!inspect().contains(readings::ROOMS[0]));
}

#[test]
fn an_unclosed_quote_costs_one_row() {
    let place = tempfile::tempdir().unwrap();
    let row = |n: usize| format!("2016-07-{:02} 10:{:02}:{:02},device_{},1", 1 + n / 3600, n / 60 % 60, n % 60, n % 3);
    let mut lines: Vec<String> = (0..10_000).map(row).collect();
    lines[499] = lines[499].replace(",device", ",\"device");
    for (at, header) in ["time,device,device_activated", "ts,sensor_id,value"].iter().enumerate() {
        let (file, store) = (place.path().join("a.csv"), place.path().join(format!("{at}.db")));
        std::fs::write(&file, format!("{header}\n{}\n", lines.join("\n"))).unwrap();
        let (file, store) = (file.to_str().unwrap(), store.to_str().unwrap());
        let output = roomcast(&["import", "--store", store, "--json", file], None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&counts[0]["stored"], &counts[0]["refused"]), (&9999.into(), &1.into()), "{header}");
        let report = roomcast(&["inspect", "--json", file], None);
        let report: Value = serde_json::from_slice(&report.stdout).unwrap();
        assert_eq!(report["files"][0]["refusals"][0]["line"], 501, "{header}");
    }
}
