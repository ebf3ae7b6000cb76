//! Files that cannot be read without a word of the caller, and what the message must say.

use super::cases::{Case, Input};
use super::pack;

fn file(
    name: &'static str,
    text: impl Into<Vec<u8>>,
    options: &'static [&'static str],
    expected: &'static [&'static str],
) -> (Case, &'static [&'static str]) {
    (Case { name, input: Input::File("a.csv", text.into()), options, said: "", has_offs: false }, expected)
}

/// All cases.
pub fn all() -> Vec<(Case, &'static [&'static str])> {
    let us = "time,device,state\n7/1/2016 4:23 PM,hall,on\n7/2/2016 4:23 PM,hall,off\n";
    let mixed = "time,device,state\n13/7/2016 16:23,hall,on\n7/14/2016 16:23,hall,off\n";
    let wide = "time,weekday,hall,loft\n2016-07-01 04:00:00,Fri,1,0\n";
    let twice = "time,device,Device,state\n2016-07-01 04:00:00,a,b,1\n";
    vec![
        file(
            "day or month",
            us,
            &[],
            &[
                "a.csv: line 2, column time: \"7/1/2016 4:23 PM\" is 2016-01-07 16:23:00 (day first) or 2016-07-01 16:23:00 (month first)",
                "2 | 7/1/2016 4:23 PM,hall,on\n  | ^^^^^^^^^^^^^^^^ expected",
                "hint: say which: --time-format day-first or --time-format month-first",
            ],
        ),
        file("days and months", mixed, &[], &["some rows are only times with the day first", "--skip-bad-rows"]),
        file(
            "times of no known form",
            "time,device,state\n2016.183.4,hall,on\n",
            &[],
            &["line 2, column time: expected a time, found \"2016.183.4\"", "--time-format '%d/%b/%Y %H:%M:%S'"],
        ),
        file(
            "UTC without a zone",
            "time,device,state\n1467345600,hall,on\n",
            &["--no-zone"],
            &["the site's time zone (--timezone)", "hint: name the site's time zone, such as --timezone Europe/Berlin"],
        ),
        file(
            "a wide table with a text",
            wide,
            &[],
            &["no column \"device\"", "--columns time=NAME,room=NAME,room=NAME"],
        ),
        file("two columns of one name", twice, &[], &["more than one column \"device\"", "another name"]),
        file(
            "counts without a threshold",
            "time,device,people\n2016-07-01 04:00:00,hall,1\n2016-07-01 05:00:00,hall,3\n",
            &[],
            &[
                "line 3, column people: expected 1 (motion) or 0 (no motion), found \"3\"",
                "hint: counts and levels need",
                "--occupied-above 0",
            ],
        ),
        file(
            "levels without a threshold",
            "time,device,value\n2016-07-01 04:00:00,hall,430\n2016-07-01 05:00:00,hall,900\n",
            &[],
            &[
                "column value: expected 1 (motion) or 0 (no motion), found \"430\"",
                "--occupied-above 800 for CO2 in ppm",
            ],
        ),
        file(
            "a temperature among states",
            "time,device,value\n2016-07-01 04:00:00,hall,1\n2016-07-01 05:00:00,roof,21.3\n",
            &[],
            &["found \"21.3\"", "hint: a level such as a temperature", "--skip-bad-rows"],
        ),
        file(
            "a wide table of CO2",
            "Zeit;Büro 1 CO2 [ppm];Büro 2 CO2 [ppm]\n01.07.2016 04:00;450;470\n01.07.2016 04:15;990;510\n",
            &[],
            &[
                "column \"Büro 1 CO2 [ppm]\" holds levels, 450 to 990",
                "hint: give the value above which a room is occupied: --occupied-above 800",
            ],
        ),
        file(
            "a wide table with a temperature",
            "Zeit;Büro 1;Büro 2;Außentemperatur\n01.07.2016 04:00;0;1;3,5\n01.07.2016 04:15;2;0;0\n",
            &[],
            &[
                "column \"Außentemperatur\" holds levels, 0 to 3.5",
                "hint: name the columns that are rooms: --columns 'time=Zeit,room=Büro 1,room=Büro 2'",
            ],
        ),
        file(
            "a wide table with a level of no telling name",
            "time,a,b\n2016-07-01 04:00:00,0,41\n2016-07-01 04:15:00,3,39\n",
            &[],
            &["column \"b\" holds levels, 39 to 41", "--columns 'time=time,room=a'"],
        ),
        file(
            "two digits of a year without dots",
            "time,device,state\n05/08/16 14:00,hall,on\n",
            &[],
            &[
                "line 2, column time: expected a time, found \"05/08/16 14:00\"",
                "hint: say which: --time-format '%d/%m/%y %H:%M' or --time-format '%m/%d/%y %H:%M'",
            ],
        ),
        file(
            "the contract's header above times with the name of a month",
            "time,device,device_activated\n05-Aug-2016 14:00:30,hall,1\n",
            &[],
            &["hint: describe the times: --time-format '%d-%b-%Y %H:%M:%S'"],
        ),
        file(
            "no times at all",
            "Export Gebäude A\nRaum;Belegt\nhall;1\n",
            &[],
            &["no column \"time\"", "hint: delete lines above the header, if there are any"],
        ),
        file(
            "JSON",
            " [{\"time\": \"2016-07-01 04:00:00\", \"device\": \"hall\"}]",
            &[],
            &["expected readings, found JSON", "JSON is read by POST /readings of a server"],
        ),
        file(
            "ends of intervals in a long table",
            "time,device,state\n2016-07-01 04:00:00,hall,on\n",
            &["--interval-end"],
            &["a row for each reading", "leave out --interval-end"],
        ),
        file(
            "a column that is not there",
            "when,who,state\n2016-07-01 04:00:00,hall,on\n",
            &["--columns", "time=when,device=woh"],
            &["no column \"device\"", "did you mean device=who?"],
        ),
        file(
            "an old workbook",
            &b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..],
            &[],
            &["an Excel workbook of before 2007", "save it as .xlsx"],
        ),
        file(
            "an archive of something else",
            pack::zip(&[("a.csv", "time")]),
            &[],
            &["cannot be read as an Excel workbook", "save the sheet as CSV"],
        ),
        file(
            "an archive in an archive",
            pack::gzip(&pack::gzip(b"time")),
            &[],
            &["within an archive", "unpack it first"],
        ),
        file("a cut archive", pack::gzip(&[b'x'; 10_000])[..40].to_vec(), &[], &["cannot be read"]),
        (
            Case {
                name: "an empty directory",
                input: Input::Directory(vec![("notes.md", b"x".to_vec())]),
                options: &[],
                said: "",
                has_offs: false,
            },
            &["the directory has no files of readings", ".xlsx"],
        ),
    ]
}
