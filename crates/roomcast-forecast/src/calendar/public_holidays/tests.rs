use chrono::Days;
use proptest::prelude::*;

use super::*;
use crate::calendar::Calendar;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn has(country: &str, region: Option<&str>, day: &str) -> bool {
    days(country, region).unwrap().days.contains(&date(day))
}

#[test]
fn known_holidays_are_in_their_country_and_region() {
    for (country, region, day, expected) in [
        ("DE", Some("BY"), "2016-08-15", true),
        ("DE", Some("BE"), "2016-08-15", false),
        ("DE", None, "2016-08-15", false),
        ("de-by", None, "2016-08-15", true),
        ("DE-BY", Some("by"), "2016-08-15", true),
        // Once in the whole country, for 500 years of the Reformation, otherwise in some regions.
        ("DE", None, "2017-10-31", true),
        ("DE", None, "2018-10-31", false),
        ("DE", Some("NI"), "2018-10-31", true),
        ("FR", None, "2023-05-08", true),
        ("US", None, "2018-11-22", true),
        ("US", None, "2018-11-15", false),
        // A federal holiday that California gave up.
        ("US", None, "2018-10-08", true),
        ("US", Some("CA"), "2018-10-08", false),
        // Easter Mondays: the earliest and the latest of the table.
        ("DE", None, "2008-03-24", true),
        ("DE", None, "2038-04-26", true),
        ("GB", Some("SCT"), "2022-11-30", true),
        ("GB", Some("ENG"), "2022-11-30", false),
        ("TR", None, "2023-04-21", true),
        ("JP", None, "2019-05-01", true),
    ] {
        assert_eq!(has(country, region, day), expected, "{country} {region:?} {day}");
    }
}

#[test]
fn unknown_countries_and_regions_name_those_that_may_be_meant() {
    let error = |country: &str, region| days(country, region).unwrap_err().to_string();
    for (asked, near) in [
        ("ED", "(did you mean DE (Germany)?)"),
        ("UK", "(did you mean GB (Britain (UK)), VG (Virgin Islands (UK))?)"),
        ("DEU", "(did you mean DE (Germany)?)"),
        ("Germany", "(did you mean DE (Germany)?)"),
        ("Finnland", "(did you mean FI (Finland)?)"),
    ] {
        let error = error(asked, None);
        assert!(error.contains(near), "{error}");
    }
    let nothing = error("12345", None);
    assert!(nothing.starts_with("no public holidays are known for country \"12345\"; countries"), "{nothing}");
    let region = error("DE", Some("XX"));
    assert!(region.starts_with("Germany has no region \"XX\""), "{region}");
    assert!(region.contains("BW, BY, HB, HE"), "{region}");
    assert!(error("MC-01", None).ends_with("its regions: none"));
    let two = error("DE-BY", Some("BE"));
    assert_eq!(two, "country \"DE-BY\" already names a region, and region \"BE\" is another one");
}

#[test]
fn zones_lie_in_countries() {
    let code = |zone: Tz| Country::of_zone(zone).map(|country| country.code);
    assert_eq!(code(chrono_tz::Europe::Berlin), Some("DE"));
    assert_eq!(code(chrono_tz::America::Los_Angeles), Some("US"));
    assert_eq!(code(chrono_tz::Asia::Kolkata), Some("IN"));
    assert_eq!(code(chrono_tz::UTC), None);
}

#[test]
fn every_line_of_the_table_is_read_to_its_last_day() {
    // The last line has the totals of the source.
    let (mut places, mut count, mut sum) = (0, 0, 0);
    for entry in entries() {
        let country = entry.decode();
        for days in country.regions.values().chain([&country.nationwide]) {
            places += 1;
            count += days.len();
            sum += days.iter().map(|day| i64::from(day.to_epoch_days())).sum::<i64>();
            assert!(days.iter().all(|day| YEARS.contains(&day.year())), "{}", country.code);
        }
    }
    let totals = format!("# places {places} days {count} sum {sum}");
    assert_eq!(TABLE.lines().last(), Some(totals.as_str()));
    assert_eq!(days("DE", None).unwrap().years, YEARS);
}

#[test]
fn the_licence_of_the_source_lies_beside_the_table() {
    assert!(include_str!("LICENSE").contains("Permission is hereby granted, free of charge"));
    assert!(TABLE.lines().any(|line| line.starts_with("# From holidays==") && line.contains("(sha256:")));
}

#[test]
fn holidays_reach_the_hours_of_a_calendar() {
    let calendar = Calendar::default().with_public_holidays(days("DE", Some("BY")).unwrap());
    let at = |text: &str| calendar.local(calendar.hour(calendar.parse(text).unwrap()));
    let monday = at("2016-08-15 10:00:00");
    assert!(monday.off && monday.special && !monday.off_after);
    assert!(at("2016-08-16 10:00:00").off_before);
    let open = calendar.clone().with_working_days([date("2016-08-15")]);
    assert!(!open.is_off(date("2016-08-15")) && open.is_off(date("2016-11-01")));
}

proptest! {
    #[test]
    fn a_line_holds_the_days_that_were_written(
        days in proptest::collection::btree_set(0_u64..366, 0..20), year in 0..41_i32, first in 0..20_i32, more in 0..20_i32
    ) {
        let start = date("2000-01-01");
        // Every leap year has the days of 2000.
        let days: Vec<String> = days.iter().map(|&n| (start + Days::new(n)).format("%m%d").to_string()).collect();
        let day = |year: i32, text: &String| NaiveDate::parse_from_str(&format!("{year}{text}"), "%Y%m%d").ok();
        let of = |years: RangeInclusive<i32>| -> BTreeSet<NaiveDate> {
            years.flat_map(|year| days.iter().filter_map(move |text| day(year, text))).collect()
        };
        let line = |head: &str, tail: &str| {
            let items: String = days.iter().map(|text| format!(" {text}{tail}")).collect();
            dates(&format!("{head}{items}")).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(line(&format!("{year:02}"), ""), of(2000 + year..=2000 + year));
        prop_assert_eq!(line("*", ""), of(YEARS));
        let last = first + more;
        prop_assert_eq!(line("*", &format!(":{first:02}-{last:02}")), of(2000 + first..=2000 + last));
    }
}
