use super::*;

fn read_text(media: Media, body: &str) -> Result<Rows, Unreadable> {
    read(media, body.as_bytes(), &Calendar::default())
}

fn at(text: &str) -> Timestamp {
    Calendar::default().parse(text).unwrap()
}

fn event(device: &str, time: &str, kind: Kind) -> Event {
    Event { device: device.into(), time: at(time), kind, id: None }
}

#[test]
fn the_three_forms_say_the_same() {
    let json = r#"[
        {"time": "2016-07-01 05:35:00", "device": " hall "},
        {"time": "2016-07-01T05:36", "device": "kitchen", "device_activated": 0},
        {"time": "2016-07-01 05:37:00", "device": "hall", "activated": "on"}
    ]"#;
    let ndjson = "{\"device\":\"hall\",\"time\":\"2016-07-01 05:35:00\",\"activated\":true}\r\n\n\
        {\"time\":\"2016-07-01 05:36:00\",\"device\":\"kitchen\",\"device_activated\":\"off\"}\n\
        {\"time\":\"2016-07-01 05:37:00\",\"device\":\"hall\",\"device_activated\":1.0}";
    let csv = "\u{feff}Time, device,note,activated\n2016-07-01 05:35:00,hall,,1\n\n\
        2016-07-01 05:36:00,kitchen,\"a, b\",0\n2016-07-01 05:37:00,hall,,true\n";
    let expected = [
        event("hall", "2016-07-01 05:35:00", Kind::Motion),
        event("kitchen", "2016-07-01 05:36:00", Kind::Off),
        event("hall", "2016-07-01 05:37:00", Kind::Motion),
    ];
    for (media, body) in [(Media::Json, json), (Media::Ndjson, ndjson), (Media::Csv, csv)] {
        let rows = read_text(media, body).unwrap();
        assert_eq!((&rows.events[..], &rows.refused[..]), (&expected[..], &[][..]), "{media:?}");
    }
    let one = read_text(Media::Json, r#" {"time":"2016-07-01 05:35:00","device":"hall","id":"e-1"}"#).unwrap();
    assert_eq!(one.events[0].id.as_deref(), Some("e-1"));
    let csv = read_text(Media::Csv, "id,time,device,device_activated\n,2016-07-01 05:35,a,1\nx,2016-07-01 05:35,a,1\n");
    assert_eq!(csv.unwrap().events.iter().map(|event| event.id.as_deref()).collect::<Vec<_>>(), [None, Some("x")]);
}

#[test]
fn rows_that_are_no_events_are_told_apart() {
    let rows = [
        (r#"{"time":"2016-07-01","device":"a"}"#, "time: expected a time as YYYY-MM-DD HH:MM:SS, found \"2016-07-01\""),
        (r#"{"time":"2016-07-01 05:35:00Z","device":"a"}"#, "time: expected a local time without UTC offset"),
        (r#"{"time":"2199-07-01 05:35:00","device":"a"}"#, "time: expected no more than a day ahead"),
        (r#"{"time":"2016-07-01 05:35:00","device":"  "}"#, "device: expected a device name"),
        (r#"{"time":"2016-07-01 05:35:00","device":"a\u0000b"}"#, "device: expected a device name without NUL"),
        (r#"{"time":"2016-07-01 05:35:00"}"#, "missing field `device`"),
        (r#"{"time":"2016-07-01 05:35:00","device":"a","device_activted":0}"#, "unknown field `device_activted`"),
        (r#"{"time":"2016-07-01 05:35:00","device":"a","activated":2}"#, "expected 1 (motion) or 0 (no motion)"),
        (r#"{"time":"2016-07-01 05:35:00","device":"a","motion":false}"#, "name it `state`"),
        (r#"{"time":"2016-07-01 05:35:00","device":"a","state":"maybe"}"#, "expected 1 (motion) or 0 (no motion)"),
        (r#"{"time":"2016-07-01 05:35:00","device":7}"#, "invalid type: integer `7`"),
        ("17", "invalid type"),
    ];
    let mut body = String::from("[{\"time\":\"2016-07-01 05:35:00\",\"device\":\"ok\"}");
    rows.iter().for_each(|(row, _)| body += &format!(",{row}"));
    let read_rows = read_text(Media::Json, &(body + "]")).unwrap();
    assert_eq!((read_rows.events.len(), read_rows.refused.len()), (1, rows.len()));
    for (number, ((_, reason), refused)) in (2..).zip(rows.iter().zip(&read_rows.refused)) {
        assert!(refused.row == number && refused.reason.contains(reason), "{refused:?} but {reason}");
    }
    let lines = rows.map(|(row, _)| row).join("\n") + "\nnot json\n\u{7f}";
    let refused = read_text(Media::Ndjson, &lines).unwrap().refused;
    assert_eq!(refused.len(), rows.len() + 2);
    assert_eq!((refused[12].row, refused[12].payload.as_str()), (13, "not json"));
}

#[test]
fn a_row_without_a_state_is_refused_when_another_field_may_be_it() {
    let row = |field: &str| format!("{{\"time\":\"2016-07-01 05:35:00\",\"device\":\"lobby\",{field}}}");
    for (name, value) in [
        ("people", "0"),
        ("people", "3"),
        ("co2", "430"),
        ("peopleCount", "\"2\""),
        ("room_temperature", "21.5"),
        ("count", "0"),
        ("val", "0"),
        ("is_occupied", "false"),
        ("contact", "true"),
        ("status", "\"vacant\""),
        ("event", "\"off\""),
        ("type", "\"no motion\""),
    ] {
        let row = row(&format!("\"{name}\":{value}"));
        let rows = read_text(Media::Json, &row).unwrap();
        let reason = format!("unknown field `{name}`, and no state: if it is the state, name it `state`");
        assert!(rows.events.is_empty() && rows.refused[0].reason.starts_with(&reason), "{row}: {rows:?}");
        let with_state = row.replace('}', ",\"state\":0}");
        assert_eq!(read_text(Media::Json, &with_state).unwrap().events[0].kind, Kind::Off, "{with_state}");
    }
    for field in [
        r#""people":null"#,
        r#""status":"online""#,
        r#""battery_level":91"#,
        r#""rssi":-71"#,
        r#""floor":1"#,
        r#""type":"motion""#,
        r#""site":{"occupied":[false]}"#,
    ] {
        assert_eq!(read_text(Media::Json, &row(field)).unwrap().events[0].kind, Kind::Motion, "{field}");
    }
}

#[test]
fn times_may_be_seconds_and_milliseconds_since_1970() {
    let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
    let event = |media, body: &str| read(media, body.as_bytes(), &berlin).unwrap().events.remove(0);
    let expected = event(Media::Json, r#"{"time":"2016-07-01 05:35:00","device":"a"}"#);
    for time in ["1467344100", "1467344100000", "1467344100.75", "\"1467344100\"", "\"2016-07-01T03:35:00Z\""] {
        assert_eq!(event(Media::Json, &format!("{{\"time\":{time},\"device\":\"a\"}}")), expected, "{time}");
    }
    assert_eq!(event(Media::Csv, "time,device,state\n1467344100000,a,on\n"), expected);
}

#[test]
fn a_reason_names_the_field_and_speaks_to_the_sender() {
    for (row, reason) in [
        (
            r#"{"last_changed":"2016-07-01 05:35:00","device":"a"}"#,
            "missing field `time`: if `last_changed` is the time, name it `time`",
        ),
        (
            r#"{"time":"2016-07-01 05:35:00","entity_id":"a"}"#,
            "missing field `device`: if `entity_id` is the device, name it `device`",
        ),
        (r#"{"time":true,"device":"a"}"#, "time: invalid type: boolean `true`, expected a time such as"),
        (r#"{"time":1467344100,"device":7}"#, "device: invalid type: integer `7`, expected a string"),
        (r#"{"time":17,"device":"a"}"#, "time: expected a time as YYYY-MM-DD HH:MM:SS, found \"17\""),
        (
            r#"{"time":1467344100000,"device":"a"}"#,
            "time: expected a local time without UTC offset, such as 2016-07-01 05:35:00, because this server was started \
             without a time zone (--timezone), found \"1467344100000\"",
        ),
    ] {
        let refused = read_text(Media::Json, row).unwrap().refused;
        assert!(refused[0].reason.starts_with(reason), "{row}: {}", refused[0].reason);
    }
}

#[test]
fn fields_and_columns_that_say_something_else_are_ignored() {
    let expected = [
        event("hall", "2016-07-01 05:35:00", Kind::Motion),
        event("hall", "2016-07-01 05:36:00", Kind::Off),
        event("hall", "2016-07-01 05:37:00", Kind::Motion),
    ];
    let ndjson = r#"{"time":"2016-07-01 05:35:00","device":"hall","battery":91,"site":{"floor":[3]}}
        {"time":"2016-07-01 05:36:00","device":"hall","state":"vacant","created":"today"}
        {"state":"online","time":"2016-07-01 05:37:00","device":"hall","device_activated":1,"motion":null}"#;
    let csv = "time,site,device,state\n2016-07-01 05:35:00,HQ,hall,occupied\n2016-07-01 05:36:00,HQ,hall,0\n\
               2016-07-01 05:37:00,HQ,hall,detected\n";
    let both = "state,time,device,device_activated\nonline,2016-07-01 05:35:00,hall,1\n\
                online,2016-07-01 05:36:00,hall,off\nonline,2016-07-01 05:37:00,hall,on\n";
    for (media, body) in [(Media::Ndjson, ndjson), (Media::Csv, csv), (Media::Csv, both)] {
        let rows = read_text(media, body).unwrap();
        assert_eq!((&rows.events[..], &rows.refused[..]), (&expected[..], &[][..]), "{body}");
    }
}

/// A row that is valid, torn by a quote, or has a comment over two lines.
fn csv_row(kind: usize, number: usize) -> (String, bool) {
    let time = format!("2016-07-01 05:{:02}:{:02}", number / 60, number % 60);
    match kind {
        0 => (format!("{time},\"hall,1,ok"), false),
        1 => (format!("{time},hall,\"1,ok"), false),
        2 => (format!("{time},hall,1,\"two\nlines\""), true),
        3 => (format!("{time},hall,perhaps,ok"), false),
        4 => (String::new(), false),
        _ => (format!("{time},hall,1,ok"), true),
    }
}

#[test]
fn every_row_is_stored_or_refused_with_its_line() {
    for seed in 0..3000_usize {
        let kind = |number: usize| (seed.wrapping_mul(2_654_435_761) ^ number.wrapping_mul(40_503)) / 97 % 9;
        let mut body = "time,device,state,note".to_owned();
        let (mut stored, mut refused, mut line) = (Vec::new(), Vec::new(), 2);
        for number in 0..1 + seed % 40 {
            let (row, is_valid) = csv_row(kind(number), number);
            body += &format!("\n{row}");
            match is_valid {
                true => stored.push(at(&row[..19])),
                false if row.is_empty() => {}
                false => refused.push(line),
            }
            line += row.lines().count().max(1) as u64;
        }
        body += ["", "\n", "\r\n"][seed % 3];
        let rows = read_text(Media::Csv, &body).unwrap();
        let times: Vec<_> = rows.events.iter().map(|event| event.time).collect();
        let lines: Vec<_> = rows.refused.iter().map(|row| row.row).collect();
        assert_eq!((times, lines), (stored, refused), "{body}");
    }
}

#[test]
fn an_unclosed_quote_costs_no_good_row_whatever_the_next_line_begins_with() {
    for time in ["2016-07-01 05:35:00", "1467351300"] {
        for (next, refused) in [("\"lost,y,z", vec![3]), (time, vec![3]), ("", vec![]), ("\"", vec![])] {
            let row = format!("{time},hall,1,ok");
            let body = format!("time,device,state,note\n{time},hall,1,\"open\n{next}\n{row}\n{row}");
            let rows = read_text(Media::Csv, &body).unwrap();
            let lines: Vec<_> = rows.refused.iter().map(|row| row.row).collect();
            assert_eq!((rows.events.len(), lines), (3, refused), "{body}");
        }
    }
}

#[test]
fn a_row_of_commas_is_refused_before_it_takes_memory() {
    let header = format!("time,device,state{}\n2016-07-01 05:35:00,a,1", ",".repeat(1 << 20));
    let Err(Unreadable::Form(told)) = read_text(Media::Csv, &header) else { panic!("it was read") };
    assert!(told.starts_with("the body: line 1: the row does not end within 65536 bytes"), "{told}");
}

#[test]
fn refused_rows_can_be_read_again() {
    let refused = |media, body| read_text(media, body).unwrap().refused.remove(0);
    let csv = refused(Media::Csv, "time,device,activated,id\n\n1.7.2016,\"a \"\"b\",0,q");
    assert_eq!(
        (csv.row, csv.payload.as_str()),
        (3, r#"{"device":"a \"b","device_activated":"0","id":"q","time":"1.7.2016"}"#)
    );
    let json = refused(Media::Json, r#"[{"time":"x","device":"a","activated":0}]"#);
    for payload in [csv.payload, json.payload] {
        let fixed = payload.replace("1.7.2016", "2016-07-01 00:00").replace("\"x\"", "\"2016-07-01 00:00\"");
        let rows = read_text(Media::Json, &fixed).unwrap();
        assert_eq!(rows.events[0].kind, Kind::Off, "{payload}");
    }
    let short = refused(Media::Csv, "time,device,activated\n2016-07-01 00:00,a\n");
    assert_eq!(short.reason, "expected 3 fields, found 2");
}

#[test]
fn bodies_that_are_in_no_form_are_refused_whole() {
    for (media, body) in [
        (Media::Json, ""),
        (Media::Json, "17"),
        (Media::Json, "[{]"),
        (Media::Json, "{\"time\":"),
        (Media::Json, "[{\"time\":\"2016-07-01 05:35:00\",\"device\":\"a\"}"),
        (Media::Csv, ""),
        (Media::Csv, "time,device\n2016-07-01 05:35:00,a\n"),
        (Media::Csv, "2016-07-01 05:35:00,a,1\n"),
    ] {
        assert!(matches!(read_text(media, body), Err(Unreadable::Form(_))), "{media:?} {body:?}");
    }
    assert_eq!(read_text(Media::Ndjson, "\n \n"), Ok(Rows::default()));
    assert_eq!(read_text(Media::Json, " [ ] "), Ok(Rows::default()));
    assert_eq!(read_text(Media::Ndjson, &"1\n".repeat(MAX_ROWS + 1)), Err(Unreadable::TooMany));
}

#[test]
fn elements_are_cut_out_as_they_stand() {
    let array = r#"{"a,":[1,{"b":"]},\\\",["}]} , "x,y" ,[ ],3"#;
    let parts: Vec<&str> = elements(array.as_bytes()).map(|part| std::str::from_utf8(part).unwrap()).collect();
    assert_eq!(parts, [r#"{"a,":[1,{"b":"]},\\\",["}]}"#, r#""x,y""#, "[ ]", "3"]);
    let many = format!("[{}1]", "1,".repeat(MAX_ROWS));
    assert_eq!(read_text(Media::Json, &many), Err(Unreadable::TooMany));
}

#[test]
fn zones_and_offsets_are_those_of_the_site() {
    let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
    let body = br#"[{"time":"2016-07-01T05:35:00+02:00","device":"a"},{"time":"2016-07-01 05:35:00","device":"a"}]"#;
    let rows = read(Media::Json, body, &calendar).unwrap();
    assert_eq!(rows.events[0], rows.events[1]);
}
