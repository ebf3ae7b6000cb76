//! Files in forty shapes. The first is the contract's own.

use std::path::{Path, PathBuf};

use chrono::{NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Europe::Berlin;
use polars::prelude::{Column, DataFrame, ParquetWriter};

use super::home_assistant;
use super::pack::{self, Cell};
use super::readings::{self, ROOMS, Reading};

/// A file, or several, and how they are read.
pub struct Case {
    pub name: &'static str,
    pub input: Input,
    pub options: &'static [&'static str],
    /// A part of the line that says what the columns were taken for.
    pub said: &'static str,
    /// True when the sensors also say `off`, ten minutes later.
    pub has_offs: bool,
}

/// The files.
pub enum Input {
    File(&'static str, Vec<u8>),
    /// A directory, which is named instead of its files.
    Directory(Vec<(&'static str, Vec<u8>)>),
    Stdin(Vec<u8>),
    HomeAssistant {
        is_new: bool,
    },
    /// A database that Home Assistant itself wrote.
    OwnHomeAssistant,
}

impl Case {
    /// Writes the files into a directory of their own. Returns the paths to name.
    pub fn write(&self, directory: &Path) -> Vec<PathBuf> {
        std::fs::create_dir_all(directory).unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = directory.join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        match &self.input {
            Input::File(name, bytes) => vec![put(name, bytes)],
            Input::Stdin(bytes) => vec![put("input", bytes)],
            Input::Directory(files) => {
                files.iter().for_each(|(name, bytes)| drop(put(name, bytes)));
                vec![directory.to_owned()]
            }
            Input::HomeAssistant { is_new } => {
                let path = directory.join("home-assistant_v2.db");
                home_assistant::write(&path, *is_new);
                vec![path]
            }
            Input::OwnHomeAssistant => {
                vec![put("home-assistant_v2.db", &pack::gunzip(include_bytes!("home-assistant_v2.db.gz")))]
            }
        }
    }
}

/// A table with a header: a row for each reading.
pub fn long(header: &str, row: impl Fn(&Reading) -> String) -> String {
    let rows = readings::all().into_iter().map(|reading| row(&reading) + "\n");
    std::iter::once(format!("{header}\n")).filter(|header| header != "\n").chain(rows).collect()
}

/// Encodes a text of one byte a character.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|character| character as u8).collect()
}

fn plain(reading: &Reading) -> String {
    reading.wall.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn contract() -> String {
    long("time,device,device_activated", |r| format!("{},{},1", plain(r), r.name()))
}

/// The same with an edge back ten minutes later, in the same hour.
fn edges(header: &str, on: &str, off: &str, row: impl Fn(&Reading, &str) -> String) -> String {
    let later = |r: &Reading| Reading { wall: r.wall + TimeDelta::minutes(10), ..*r };
    let rows = readings::all().into_iter().map(|r| format!("{}\n{}\n", row(&r, on), row(&later(&r), off)));
    std::iter::once(format!("{header}\n")).chain(rows).collect()
}

/// A table with a column for each room and a row for each quarter of an hour.
fn wide(
    header: &str,
    between: char,
    time: impl Fn(NaiveDateTime) -> String,
    cell: impl Fn(bool, usize) -> String,
) -> String {
    let row = |wall: NaiveDateTime| {
        let cells = (0..ROOMS.len()).map(|room| cell(readings::is_occupied(wall, room), room));
        let cells: String = cells.map(|cell| format!("{between}{cell}")).collect();
        format!("{}{cells}\n", time(wall))
    };
    std::iter::once(format!("{header}\n")).chain(readings::quarters().map(row)).collect()
}

fn bit(is_occupied: bool, _: usize) -> String {
    u8::from(is_occupied).to_string()
}

/// Parquet with milliseconds since 1970 as plain numbers.
fn parquet() -> Vec<u8> {
    let readings = readings::all();
    let times: Vec<i64> = readings.iter().map(|r| r.utc().timestamp_millis()).collect();
    let names: Vec<&str> = readings.iter().map(Reading::name).collect();
    let columns = vec![
        Column::new("Raum".into(), names),
        Column::new("value".into(), vec!["occupied"; readings.len()]),
        Column::new("timestamp".into(), times),
    ];
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut DataFrame::new(readings.len(), columns).unwrap()).unwrap();
    bytes
}

fn days(wall: NaiveDateTime) -> f64 {
    let since = wall - NaiveDate::from_ymd_opt(1899, 12, 30).unwrap().and_hms_opt(0, 0, 0).unwrap();
    since.num_seconds() as f64 / 86_400.0
}

fn file(name: &'static str, text: impl Into<Vec<u8>>, options: &'static [&'static str], said: &'static str) -> Case {
    Case { name, input: Input::File("readings.csv", text.into()), options, said, has_offs: false }
}

fn named(name: &'static str, file: &'static str, bytes: Vec<u8>, said: &'static str) -> Case {
    Case { name, input: Input::File(file, bytes), options: &[], said, has_offs: false }
}

/// All cases.
pub fn all() -> Vec<Case> {
    [separators_and_headers(), times(), states(), wide_tables(), containers()].into_iter().flatten().collect()
}

fn separators_and_headers() -> Vec<Case> {
    let quoted = |r: &Reading| format!("1,\"{}\",\"a, \"\"b\"\"\",{}", r.name(), plain(r));
    let semicolons = long("timestamp;sensor_id;value", |r| format!("{};{};1", plain(r), r.name()));
    let bare = |r: &Reading| format!("{},{},1", plain(r), r.name());
    vec![
        file("contract", contract(), &[], ""),
        file("columns in another order", long("device_activated,DEVICE,note,Time", quoted), &[], ""),
        file(
            "semicolons",
            semicolons.clone(),
            &[],
            "read `timestamp` as time, `sensor_id` as device, `value` as state; `;` between",
        ),
        file(
            "lines above the header",
            format!("Export Gebäude A;;\r\n\r\nZeitraum: 04.07.2016 00:00 bis 26.07.2016\r\n{semicolons}"),
            &[],
            "`value` as state; `;` between; 2 lines above the header are left out",
        ),
        file("a line that names the separator", format!("sep=;\r\n{semicolons}"), &[], "`;` between"),
        file("tabs", contract().replace(',', "\t"), &[], "tabs between"),
        file("bars", contract().replace(',', "|"), &["--delimiter", "|"], "`|` between"),
        file("no header", long("", bare), &[], "read `1` as time, `2` as device, `3` as state"),
        file("no header and no state", long("", |r| format!("{};{}", plain(r), r.name())), &[], "each row as motion"),
        file("no state", long("time,device", |r| format!("{},{}", plain(r), r.name())), &[], "each row as motion"),
        file("lines of an old Macintosh", long("ts,room,motion", bare).replace('\n', "\r"), &[], "`room` as device"),
        file("lines of Windows", long("ts,room,motion", bare).replace('\n', "\r\n"), &[], "`ts` as time"),
        file(
            "columns of other names",
            long("when,what,where,how", |r| format!("{},x,{},1", plain(r), r.name())),
            &["--columns", "time=when,device=where,value=4"],
            "read `when` as time, `where` as device, `how` as state",
        ),
        file(
            "German headers",
            long("Zeitstempel;Raum;Belegt", |r| format!("{};{};WAHR", r.wall.format("%d.%m.%Y %H:%M"), r.name())),
            &[],
            "read `Zeitstempel` as time (day first), `Raum` as device, `Belegt` as state",
        ),
        file(
            "French headers",
            long("Horodatage;Salle;État", |r| format!("{};{};occupé", r.wall.format("%d/%m/%Y %H:%M:%S"), r.name())),
            &[],
            "read `Horodatage` as time (day first), `Salle` as device, `État` as state",
        ),
        file(
            "Windows-1252",
            latin(&long("Horodatage;Salle;État", |r| format!("{};{};occupé", plain(r), r.name()))),
            &[],
            "`État` as state; `;` between; windows-1252",
        ),
        file(
            "the contract in Windows-1252",
            latin(&long("time,device,device_activated,note", |r| format!("{},{},1,Küche", plain(r), r.name()))),
            &[],
            "read as windows-1252",
        ),
        file(
            "an old Macintosh's own letters",
            latin(&long("Horodatage;Salle;Etat", |r| format!("{};{};occup\u{8e}", plain(r), r.name()))),
            &["--encoding", "macintosh"],
            "macintosh",
        ),
        file(
            "date and time of day apart",
            long("Datum;Uhrzeit;Raum;Zustand", |r| {
                format!("{};{};belegt", r.wall.format("%d.%m.%Y;%H:%M:%S"), r.name())
            }),
            &[],
            "read `Datum` and `Uhrzeit` as time",
        ),
    ]
}

fn times() -> Vec<Case> {
    let table =
        |time: &dyn Fn(&Reading) -> String| long("time,sensor,value", |r| format!("{},{},1", time(r), r.name()));
    let walls = |form: &'static str| table(&|r| r.wall.format(form).to_string());
    let dotted = |r: &Reading| format!("{};{};1", r.wall.format("%-d.%-m.%Y, %H:%M:%S"), r.name());
    let dotted = long("time;sensor;value", dotted);
    let short = long("time;sensor;value", |r| format!("{};{};1", r.wall.format("%d.%m.%y %H:%M"), r.name()));
    let us = walls("%-m/%-d/%Y %-I:%M %p");
    let offset =
        |r: &Reading| Berlin.from_local_datetime(&r.wall).unwrap().format("%Y-%m-%dT%H:%M:%S.250%:z").to_string();
    vec![
        file("T", walls("%Y-%m-%dT%H:%M:%S"), &[], "read `time` as time, `sensor` as device"),
        file(
            "Z",
            table(&|r| r.utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()),
            &[],
            "as time (UTC, shown in Europe/Berlin)",
        ),
        file("offset and fraction", table(&offset), &[], "as time (with its offset, shown in Europe/Berlin)"),
        file("day first with dots", dotted, &["--delimiter", ";"], "as time (day first)"),
        file("two digits of a year", short, &[], "as time (day first)"),
        file("day first", walls("%d/%m/%Y %H:%M"), &[], "as time (day first)"),
        file("AM and PM", us.clone(), &[], "as time (month first)"),
        file("AM and PM, said", us, &["--time-format", "month-first"], "as time (month first)"),
        file("year first", walls("%Y/%-m/%-d %H:%M:%S"), &[], "read `time` as time,"),
        file("epoch seconds", table(&|r| r.utc().timestamp().to_string()), &[], "as time (seconds in UTC, shown in"),
        file(
            "epoch milliseconds",
            table(&|r| r.utc().timestamp_millis().to_string()),
            &[],
            "(milliseconds in UTC, shown in",
        ),
        file("a pattern", walls("%d/%b/%Y:%H:%M:%S"), &["--time-format", "%d/%b/%Y:%H:%M:%S"], "as %d/%b/%Y:%H:%M:%S"),
    ]
}

fn states() -> Vec<Case> {
    let row = |r: &Reading, state: &str| format!("{},{},{state}", plain(r), r.name());
    let utc = |r: &Reading, state: &str| format!("{},{state},{}", r.name(), r.utc().format("%Y-%m-%dT%H:%M:%S.%3fZ"));
    let history = edges("entity_id,state,last_changed", "on", "off", utc);
    let gone = edges("entity_id,state,last_changed", "on", "unavailable", utc);
    let said =
        "read the states of 3 motion, occupancy and presence sensors of Home Assistant (UTC, shown in Europe/Berlin)";
    let case = |name, input| Case { name, input, options: &[], said, has_offs: true };
    let levels = |r: &Reading, level: &str| format!("{};{};{level}", plain(r), r.name());
    let cases = vec![
        file("on and off", edges("time,device,state", "on", "off", row), &[], "`state` as state"),
        file("occupied and vacant", edges("time,device,status", "occupied", "vacant", row), &[], "`status` as state"),
        file("detected and clear", edges("time,device,motion", "Detected", "Clear", row), &[], "`motion` as state"),
        file("open and closed", edges("time,device,state", "open", "closed", row), &[], "`state` as state"),
        file("true and false", edges("time,device,occupancy", "true", "false", row), &[], "`occupancy` as state"),
        file(
            "counts",
            edges("time,device,people", "3", "0", row),
            &["--occupied-above", "0"],
            "`people` above 0 as occupied",
        ),
        file(
            "levels",
            edges("Zeit;Raum;CO2 (ppm)", "812,5", "430,0", levels),
            &["--occupied-above", "800"],
            "`CO2 (ppm)` above 800 as occupied",
        ),
        file("Home Assistant's history", history.clone(), &[], "`entity_id` as device, `state` as state"),
        file(
            "Home Assistant's history with other sensors",
            format!(
                "{history}sensor.hall_temperature,21.3,2016-07-05T09:00:00.000Z\nsensor.hall_co2,unavailable,2016-07-05T09:00:00.000Z\n\
                 light.hall,on,2016-07-05T10:00:00.000Z\nperson.anna,not_home,2016-07-05T11:00:00.000Z\n"
            ),
            &[],
            "; 4 rows left out: of entities other than `binary_sensor.…` and `input_boolean.…`",
        ),
        file("a sensor that is gone", gone, &[], "`entity_id` as device, `state` as state"),
        case("Home Assistant's database", Input::HomeAssistant { is_new: true }),
        case("Home Assistant's old database", Input::HomeAssistant { is_new: false }),
        case("a database that Home Assistant wrote", Input::OwnHomeAssistant),
    ];
    cases.into_iter().map(|case| Case { has_offs: true, ..case }).collect()
}

/// The contract's own layout with motion in the last second of each quarter of an hour, as tables of intervals have it.
pub fn contract_intervals() -> Case {
    let last = |r: &Reading| plain(&Reading { wall: r.wall + TimeDelta::seconds(899), ..*r });
    let text = long("time,device,device_activated", |r| format!("{},{},1", last(r), r.name()));
    file("contract with intervals", text, &[], "")
}

/// The contract's own layout with both edges.
pub fn contract_edges() -> Case {
    let text = edges("time,device,device_activated", "1", "0", |r, state| format!("{},{},{state}", plain(r), r.name()));
    file("contract with both edges", text, &[], "")
}

fn wide_tables() -> Vec<Case> {
    let start = |wall: NaiveDateTime| wall.format("%Y-%m-%d %H:%M:%S").to_string();
    let end = |wall: NaiveDateTime| start(wall + TimeDelta::minutes(15));
    let dotted = |wall: NaiveDateTime| wall.format("%d.%m.%Y %H:%M").to_string();
    let blank = |is_occupied: bool, _: usize| if is_occupied { "1".to_owned() } else { String::new() };
    let count = |is_occupied: bool, room: usize| if is_occupied { (room + 2).to_string() } else { "0".to_owned() };
    let level = |is_occupied: bool, _: usize| if is_occupied { "650,5".to_owned() } else { "412".to_owned() };
    let rooms = |names: &str, between: &str| format!("{names}{between}{}", ROOMS.join(between));
    let header = &rooms("time", ",");
    let weekday = |wall: NaiveDateTime| format!("{},{}", start(wall), wall.format("%a"));
    vec![
        file(
            "wide",
            wide(header, ',', start, bit),
            &[],
            "`binary_sensor.room_2` as rooms, occupied above 0, a row for the 15 min from its time; `,` between",
        ),
        file("wide with counts", wide(&rooms("Zeit", ";"), ';', dotted, count), &[], "`binary_sensor.room_2` as rooms"),
        file(
            "wide with levels",
            wide(&rooms("Datum", ";"), ';', dotted, level),
            &["--occupied-above", "600"],
            "occupied above 600",
        ),
        file(
            "wide with ends",
            wide(header, ',', end, bit),
            &["--interval-end"],
            "a row for the 15 min before its time",
        ),
        file("wide with blanks", wide(header, ',', start, blank), &[], "as rooms"),
        file(
            "wide with another column",
            wide(&rooms("time,weekday", ","), ',', weekday, bit),
            &["--columns", "time=time,room=binary_sensor.hall,room=binary_sensor.room_1,room=5"],
            "as rooms",
        ),
        file("wide with words", wide(header, ',', start, |is_occupied, _| is_occupied.to_string()), &[], "as rooms"),
    ]
}

fn containers() -> Vec<Case> {
    let foreign = long("timestamp;sensor_id;value", |r| format!("{};{};1", plain(r), r.name()));
    let rows = |row: &dyn Fn(&Reading) -> Vec<Cell>| {
        let header: Vec<Cell> = ["Zeit", "Raum", "Anwesenheit"].map(Cell::from).into();
        pack::workbook(&std::iter::once(header).chain(readings::all().iter().map(row)).collect::<Vec<_>>())
    };
    let cells = |r: &Reading| vec![Cell::Date(days(r.wall)), Cell::from(r.name()), Cell::Number(1.0)];
    let table =
        wide(&format!("time,{}", ROOMS.join(",")), ',', |wall| wall.format("%Y-%m-%d %H:%M:%S").to_string(), bit);
    let sheet: Vec<Vec<Cell>> = table.lines().map(|line| line.split(',').map(Cell::from).collect()).collect();
    let parts = |hours: std::ops::Range<u32>| {
        long("timestamp;sensor_id;value", |r| format!("{};{};1", plain(r), r.name()))
            .lines()
            .filter(|line| {
                line[11..].get(..2).and_then(|hour| hour.parse().ok()).is_none_or(|hour: u32| hours.contains(&hour))
            })
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .into_bytes()
    };
    assert!(readings::all().iter().all(|r| (8..20).contains(&r.wall.hour())));
    let directory = || {
        vec![
            ("a.csv", parts(8..12)),
            ("b.csv.gz", pack::gzip(&parts(12..15))),
            ("c.txt", parts(15..20)),
            ("notes.md", b"x".to_vec()),
        ]
    };
    let said = "read `timestamp` as time, `sensor_id` as device";
    let case = |name, input, said| Case { name, input, options: &[], said, has_offs: false };
    vec![
        named("byte order mark", "a.csv", ["\u{feff}", &foreign].concat().into_bytes(), said),
        named("UTF-16", "a.csv", pack::utf16(&foreign, false), said),
        named("UTF-16 of the other order", "a.txt", pack::utf16(&foreign.replace(';', "\t"), true), "tabs between"),
        named("gzip", "a.csv.gz", pack::gzip(foreign.as_bytes()), said),
        named("zstd", "a.csv.zst", pack::zstd(foreign.as_bytes()), said),
        named("gzip of UTF-16", "a.csv.gz", pack::gzip(&pack::utf16(&foreign, false)), said),
        named("gzip of the contract", "a.csv.gz", pack::gzip(contract().as_bytes()), ""),
        named("workbook", "a.xlsx", rows(&cells), "read `Zeit` as time, `Raum` as device, `Anwesenheit` as state"),
        named("workbook with a wide table", "a.xlsx", pack::workbook(&sheet), "`binary_sensor.room_2` as rooms"),
        named(
            "Parquet with columns of other names",
            "a.parquet",
            parquet(),
            "read `timestamp` as time, `Raum` as device, `value` as state",
        ),
        case("directory", Input::Directory(directory()), "and 2 more: read `timestamp` as time"),
        case("standard input", Input::Stdin(foreign.clone().into_bytes()), said),
        case("packed standard input", Input::Stdin(pack::zstd(foreign.as_bytes())), said),
        case("a workbook on standard input", Input::Stdin(rows(&cells)), "`Raum` as device"),
    ]
}
