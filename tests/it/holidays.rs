//! Public holidays that are built in: on the way into a forecast, in `inspect`, and as their script writes them.

use std::path::Path;
use std::process::{Command, Output};

use chrono::NaiveDate;
use roomcast_forecast::calendar::{Calendar, public_holidays};
use roomcast_forecast::features::{SiteRates, Table, columns, horizon};
use roomcast_forecast::hourly::Hourly;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/device_activations.csv");

fn roomcast(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
    command.env_clear().envs(variables.iter().copied()).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn ok(args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = roomcast(args, variables);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_forecast_with_a_country_is_that_with_a_file_of_its_days() {
    let dir = tempfile::tempdir().unwrap();
    let file = |without: Option<NaiveDate>| {
        let mut days = public_holidays::days("DE", Some("BY")).unwrap().days;
        assert!(without.is_none_or(|day| days.remove(&day)));
        let path = dir.path().join(format!("{}.csv", days.len()));
        std::fs::write(&path, days.iter().map(|day| format!("{day}\n")).collect::<String>()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (all, less) = (file(None), file("2016-08-15".parse().ok()));
    let forecast = |options: &[&str], variables: &[(&str, &str)]| {
        let args = ["predict", "2016-08-24 23:59:59", SAMPLE, "-", "--format", "json", "--device", "device_2"];
        ok(&[&args[..], options].concat(), variables)
    };
    let expected = forecast(&["--holidays", &all], &[]);
    assert_eq!(forecast(&["--country", "DE", "--region", "BY"], &[]), expected);
    assert_eq!(forecast(&[], &[("ROOMCAST_COUNTRY", "de-by")]), expected);
    let expected = forecast(&["--holidays", &less], &[]);
    assert_eq!(forecast(&["--country", "DE-BY", "--open", "2016-08-15"], &[]), expected);
    // The file adds what the country lacks.
    assert_eq!(forecast(&["--country", "DE", "--holidays", &less], &[]), expected);
}

#[test]
fn holidays_reach_the_features() {
    let calendar = Calendar::default().with_public_holidays(public_holidays::days("DE-BY", None).unwrap());
    let building = roomcast_simulate::Building::new(3, 2, "2016-07-04".parse().unwrap(), "2016-08-17".parse().unwrap());
    let origin = calendar.parse("2016-08-15 00:00:00").unwrap();
    let hourly = Hourly::new(&building.readings(), &calendar, origin);
    let rates = SiteRates::new(&hourly);
    let matrix = Table::new(&hourly, &rates, 0).matrix(&horizon(&hourly)).unwrap();
    let column = |name: &str| matrix.column(columns().iter().position(|column| *column == name).unwrap());
    for (name, expected) in [("special", 1.0), ("off", 1.0), ("off_before", 1.0), ("off_after", 0.0)] {
        assert_eq!(column(name), [expected; 24], "{name}");
    }
}

#[test]
fn unknown_holidays_are_refused_with_what_may_be_meant() {
    let predict = ["predict", "2016-08-24 23:59:59", SAMPLE, "-"];
    let fails = |options: &[&str]| {
        let output = roomcast(&[&predict[..], options].concat(), &[]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{options:?}");
        text(&output.stderr)
    };
    for (options, expected) in [
        (vec!["--country", "UK"], "did you mean GB (Britain (UK))"),
        (vec!["--country", "DE", "--region", "XX"], "Germany has no region \"XX\""),
        (vec!["--country", "DE-BY", "--region", "BE"], "already names a region"),
        (vec!["--region", "BY"], "--country <CODE>"),
    ] {
        let error = fails(&options);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn years_without_known_holidays_are_warned_of_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("readings.csv");
    // Ukraine suspended its public holidays in 2022.
    let first: NaiveDate = "2023-02-06".parse().unwrap();
    let rows = first.iter_days().take(26).map(|day| format!("{day} 09:30:00,a,1\n")).collect::<String>();
    std::fs::write(&file, format!("time,device,device_activated\n{rows}")).unwrap();
    let predict = ["predict", "2023-03-04 00:00:00", file.to_str().unwrap(), "-", "--country"];
    let warnings = |country| {
        let output = roomcast(&[&predict[..], &[country]].concat(), &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr).matches("no public holidays are known for 2023-").count()
    };
    assert_eq!((warnings("UA"), warnings("DE")), (1, 0));
}

#[test]
fn inspect_proposes_the_holidays_that_explain_a_silent_day() {
    let inspect = |options: &[&str]| ok(&[&["inspect", SAMPLE], options].concat(), &[]);
    let proposal = "\nMonday 15 August 2016 is silent in every room. It is a public holiday in Germany (Augsburg, BY, SL): \
                    add --country DE --region BY (or SL)\n";
    let question = "\nsilent in every room on 2016-07-04, 2016-07-14, 2016-08-15: a holiday? --country CODE --region CODE adds public holidays\n";
    let days = "holidays?)\n  2016-07-04 Monday\n  2016-07-14 Thursday\n  2016-08-15 Monday\n";
    let american =
        "\nMonday 4 July 2016 is silent in every room. It is a public holiday in United States: add --country US\n";
    for (options, expected, other) in [
        (vec!["--timezone", "Europe/Berlin"], proposal, question),
        (vec!["--country", "DE"], proposal, question),
        (vec![], question, proposal),
        (vec!["--timezone", "UTC"], question, proposal),
        (vec!["--timezone", "America/New_York"], american, question),
    ] {
        let text = inspect(&options);
        assert!(text.contains(expected) && text.contains(days) && !text.contains(other), "{options:?} {text}");
    }
    let known = inspect(&["--country", "DE", "--region", "BY", "--timezone", "Europe/Berlin"]);
    assert!(!known.contains("2016-08-15 Monday") && !known.contains("silent in every room on"), "{known}");
    let json: serde_json::Value = serde_json::from_str(&inspect(&["--country", "DE", "--json"])).unwrap();
    let expected = serde_json::json!({
        "silent": ["2016-07-04", "2016-07-14", "2016-08-15"],
        "proposal": {
            "country": "DE", "name": "Germany", "regions": ["BY", "SL"], "days": [{"date": "2016-08-15", "regions": ["Augsburg", "BY", "SL"]}],
        },
    });
    assert_eq!(json["holidays"], expected);
}

#[test]
fn the_script_writes_the_table_of_holidays_anew_to_the_byte() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let output = match Command::new(root.join("scripts/holidays")).arg(dir.path()).output() {
        Ok(output) if output.status.code() != Some(3) => output,
        _ => return println!("skipped: scripts/holidays needs bash, pip and a network"),
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    for file in ["table.txt", "LICENSE"] {
        let committed = root.join("crates/roomcast-forecast/src/calendar/public_holidays").join(file);
        assert!(std::fs::read(dir.path().join(file)).unwrap() == std::fs::read(committed).unwrap(), "{file} differs");
    }
}
