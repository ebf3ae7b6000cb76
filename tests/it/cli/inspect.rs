//! `inspect` from outside.

use super::{fails, ok, roomcast, text};

#[test]
fn inspect_says_each_cause_of_refused_rows_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("utc.csv");
    let row = |at: i64| format!("2016-08-31T{:02}:{:02}:00Z,a,1\n", at / 60, at % 60);
    let rows: String = (0..300).map(row).collect();
    std::fs::write(&file, format!("time,device,device_activated\n{rows}2016-08-31T09:00:00Z,a\n")).unwrap();
    let file = file.to_str().unwrap();
    let output = roomcast(&["inspect", "--skip-bad-rows", file]);
    let (said, error) = (text(&output.stdout), text(&output.stderr));
    let cause = format!(
        "\nrefused rows\n{file}: line 2, column time: expected a local time without UTC offset, or the site's time zone \
         (--timezone), found \"2016-08-31T00:00:00Z\", and 299 more like it\n  hint: name the site's time zone, such as \
         --timezone Europe/Berlin\n{file}: line 302: expected 3 fields, found 2 fields\n"
    );
    assert!(said.contains(&cause), "{said}");
    assert!(output.status.code() == Some(1) && error.contains("every row was refused (301 of 301)"), "{error}");
    ok(&["inspect", file, "--timezone", "Europe/Berlin"]);
    // Rows that are read, but none of them a reading.
    std::fs::write(file, "time,device,people\n2016-08-31 10:00:00,a,3\n2016-08-31 11:00:00,a,unavailable\n").unwrap();
    let error = fails(&["inspect", file], 1);
    assert!(error.contains("there are no readings: 1 of 2 rows were refused"), "{error}");
}

#[test]
fn inspect_joins_workdays_without_readings() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("years.csv");
    let days = |month: u32| (1..=30).map(move |day| format!("2016-{month:02}-{day:02} 10:00:00,a,1\n"));
    let rows: String = days(6).chain(days(9)).filter(|row| !row.starts_with("2016-06-15")).collect();
    std::fs::write(&file, format!("time,device,device_activated\n{rows}")).unwrap();
    let said = ok(&["inspect", file.to_str().unwrap()]);
    let listed = "(holidays?)\n  2016-06-15 Wednesday\n  2016-07-01 to 2016-08-31, 44 workdays\n";
    assert!(said.contains(listed), "{said}");
    assert!(said.contains(" of the room hours from each first reading to the end\n"), "{said}");
}

#[test]
fn inspect_says_what_is_suspicious_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("readings.csv");
    let mut rows = "time,device,device_activated\n".to_owned();
    for day in 4..=29 {
        for hour in [9, 10, 14] {
            rows += &format!("2016-07-{day:02} {hour:02}:00:00,room_1,1\n");
        }
        // Three days in every hour, not only when the room is in use.
        for hour in 0..24 {
            if (18..=20).contains(&day) || hour == 11 {
                rows += &format!("2016-07-{day:02} {hour:02}:30:00,room_2,1\n");
            }
        }
    }
    std::fs::write(&file, rows).unwrap();
    let file = file.to_str().unwrap();
    let said = text(&roomcast(&["inspect", file]).stdout);
    let notice = "\nstuck on\n  room_2 has readings in every hour of 3 days, from 2016-07-18 to 2016-07-20\n  to do: look at the sensor";
    assert!(said.contains(notice) && said.contains("  stuck on\n"), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&roomcast(&["inspect", "--json", file]).stdout).unwrap();
    let notices = json["notices"].as_array().unwrap();
    assert_eq!(notices.len(), 1, "{notices:?}");
    let of = |name: &str| notices[0][name].clone();
    let expected = serde_json::json!(["stuck", ["room_2"], "2016-07-18", "2016-07-20"]);
    assert_eq!(serde_json::json!([of("kind"), of("devices"), of("from"), of("to")]), expected);
    assert!(of("advice").as_str().is_some_and(|advice| advice.starts_with("look at the sensor")), "{notices:?}");
}

#[test]
fn inspect_of_a_file_of_which_every_row_was_refused_fails() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.csv");
    std::fs::write(&file, "time,device,device_activated\nyesterday,a,1\n31.08.2016,a,1\n").unwrap();
    let error = fails(&["inspect", file.to_str().unwrap()], 1);
    assert!(error.contains("every row was refused (2 of 2)"), "{error}");
    std::fs::write(&file, "time,device,device_activated\nyesterday,a,1\n2016-08-31 10:00:00,a,1\n").unwrap();
    ok(&["inspect", file.to_str().unwrap()]);
}
