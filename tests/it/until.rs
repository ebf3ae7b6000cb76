//! Files whose rows after the timestamp of a forecast are moved, spoiled and added: what was before stays as it was.

use proptest::prelude::*;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::{DeviceReadings, Layout, ReadOptions, Readings, read};

/// 1 July 2016, 00:00.
const FIRST: Timestamp = 1_467_331_200;

/// The rows of a table with a column for each of two rooms.
fn table(rows: &[(Timestamp, [bool; 2])]) -> String {
    let calendar = Calendar::default();
    let row = |&(time, [a, b]): &(Timestamp, [bool; 2])| format!("{},{},{}\n", calendar.format(time), a as u8, b as u8);
    std::iter::once("time,hall,loft\n".to_owned()).chain(rows.iter().map(row)).collect()
}

fn readings(text: &str, until: Option<Timestamp>, is_end: bool) -> Readings {
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let layout = Layout { interval_end: is_end, ..Layout::FOUND };
    let options = ReadOptions { until, layout, ..ReadOptions::LENIENT };
    read(&[file.path().to_owned()], &options, &Calendar::default()).unwrap().0
}

/// The readings that are known as of an origin.
fn known(readings: &Readings, origin: Timestamp) -> Vec<DeviceReadings> {
    let mut known = readings.before(origin);
    known.take_quiet();
    known.devices
}

fn cells() -> impl Strategy<Value = Vec<[bool; 2]>> {
    prop::collection::vec(any::<[bool; 2]>(), 30..60)
}

proptest! {
    #[test]
    fn rows_after_the_timestamp_change_no_interval(
        cells in cells(),
        step in prop::sample::select(vec![60_i64, 300, 900, 1800, 3600, 7200]),
        later in prop::collection::vec((1_i64..100_000, any::<[bool; 2]>()), 0..200),
        cut in 0_usize..30,
        shift in 0_i64..7200,
        is_end: bool,
    ) {
        let rows: Vec<_> = (0..).zip(&cells).map(|(at, &cells)| (FIRST + at * step, cells)).collect();
        let until = rows[cut].0 + shift % step;
        let before: Vec<_> = rows.iter().copied().filter(|row| row.0 < until).collect();
        let after = later.iter().map(|&(at, cells)| (until + at - 1, cells));
        let scrambled: Vec<_> = before.iter().copied().chain(after).collect();
        let expected = readings(&table(&before), Some(until), is_end).devices;
        prop_assert_eq!(&readings(&table(&rows), Some(until), is_end).devices, &expected);
        prop_assert_eq!(&readings(&table(&scrambled), Some(until), is_end).devices, &expected);
        // What an interval says is not there before its end.
        let last = if is_end { until - 1 } else { until };
        let over = |row: &&(Timestamp, [bool; 2])| is_end || before.len() < 2 || row.0 + step <= last;
        let number = before.iter().filter(over).flat_map(|row| row.1).filter(|cell| *cell).count();
        if step <= 3600 {
            prop_assert_eq!(expected.iter().map(|device| device.times.len()).sum::<usize>(), number);
        }
    }

    #[test]
    fn later_rows_change_nothing_as_of_an_earlier_origin(
        cells in cells(),
        step in prop::sample::select(vec![60_i64, 300, 900, 1800, 3600]),
        later in prop::collection::vec((1_i64..100_000, any::<[bool; 2]>()), 1..200),
        at in 9_usize..30,
        shift in 0_i64..3600,
        is_end: bool,
    ) {
        let rows: Vec<_> = (0..).zip(&cells).map(|(at, &cells)| (FIRST + at * step, cells)).collect();
        let origin = rows[at].0 + shift % step;
        let end = |row: &&(Timestamp, [bool; 2])| row.0 + if is_end { 0 } else { step };
        let over: Vec<_> = rows.iter().filter(|row| end(row) <= origin).copied().collect();
        let after = later.iter().map(|&(at, cells)| (origin + at, cells));
        let all: Vec<_> = over.iter().copied().chain(after).collect();
        let expected = known(&readings(&table(&over), None, is_end), origin);
        prop_assert_eq!(known(&readings(&table(&all), None, is_end), origin), expected.clone());
        prop_assert_eq!(known(&readings(&table(&rows), None, is_end), origin), expected);
    }

    #[test]
    fn rows_after_the_timestamp_decide_nothing_that_those_before_it_do(
        days in prop::collection::vec((1_u32..28, 0_u32..24), 1..40),
        later in prop::sample::select(vec!["2/28/2017 09:00,hall,on", "28/2/2017 09:00,hall,7", "2017-03-01 09:00:00,hall,ERR", "1488358800,hall,x"]),
        number in 1_usize..300,
        is_month_first: bool,
    ) {
        let mut text = String::from("when,sensor,value\n");
        for (day, hour) in days.iter().chain([&(28, 5)]) {
            let date = if is_month_first { format!("6/{day}/2016") } else { format!("{day}/6/2016") };
            text += &format!("{date} {hour:02}:30,hall,on\n");
        }
        let until = Some(FIRST + 200 * 86_400);
        let expected = readings(&text, until, false).devices;
        let number_of_readings = expected.iter().map(|device| device.times.len()).sum::<usize>();
        prop_assert!(number_of_readings > 0);
        let after = format!("{later}\n").repeat(number);
        prop_assert_eq!(readings(&(text + &after), until, false).devices, expected);
    }
}

#[test]
fn a_row_at_the_timestamp_is_after_it_also_when_its_interval_is_not() {
    let rows: Vec<_> = (0..12).map(|at| (FIRST + at * 900, [true, false])).collect();
    let times = |until, is_end| readings(&table(&rows), Some(until), is_end).devices[0].times.last();
    let ten = FIRST + 8 * 900;
    assert_eq!((times(ten, true), times(ten + 1, true)), (Some(ten - 901), Some(ten - 1)));
    assert_eq!((times(ten, false), times(ten + 899, false)), (Some(ten - 1), Some(ten - 1)));
}

#[test]
fn one_bad_cell_costs_its_cell() {
    let rows: Vec<_> = (0..12).map(|at| (FIRST + at * 900, [true, true])).collect();
    let text = table(&rows).replacen(",1,1", ",1,ERR", 1);
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    let (readings, summary) = read(&[file.path().to_owned()], &ReadOptions::LENIENT, &Calendar::default()).unwrap();
    assert_eq!(readings.devices.iter().map(|device| device.times.len()).collect::<Vec<_>>(), [12, 11]);
    let refusal = summary.refusals().next().unwrap();
    assert_eq!((refusal.line, refusal.header.as_deref(), refusal.found.as_str()), (2, Some("loft"), "ERR"));
    let error = read(&[file.path().to_owned()], &ReadOptions::STRICT, &Calendar::default()).unwrap_err().to_string();
    assert!(error.contains("line 2, column loft"), "{error}");
}

#[test]
fn names_that_are_numbers_for_the_most_part_are_no_counts() {
    let row = |(at, name): (i64, &&str)| format!("{},{name},1\n", Calendar::default().format(FIRST + at * 60));
    let rows: String = (0..).zip(["101", "102", "103", "Lobby", "101", "102"].iter()).map(row).collect();
    let found = readings(&format!("when,unit,flag\n{rows}"), None, false);
    assert_eq!(found.devices.iter().map(|d| d.device.as_str()).collect::<Vec<_>>(), ["101", "102", "103", "Lobby"]);
}

#[test]
fn a_header_may_be_longer_than_the_sample() {
    let names: String = (0..60_000).map(|room| format!(",room {room}")).collect();
    let row = |time: &str| format!("{time}{}\n", ",1".repeat(60_000));
    let times = ["2016-07-01 09:00:00", "2016-07-01 09:15:00", "2016-07-01 09:30:00"].map(row);
    let found = readings(&format!("time{names}\n{}", times.concat()), None, false);
    assert_eq!((found.devices.len(), found.len()), (60_000, 180_000));
}
