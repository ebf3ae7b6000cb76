//! Public holidays of countries and their regions, from a table that is built in.
//!
//! `scripts/holidays` writes the table from the Python package `holidays`, whose licence lies beside it. Countries have
//! the codes of ISO 3166-1 (`DE`), regions those of ISO 3166-2 without the country (`BY`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;

/// The table. Its first lines say how it is written.
const TABLE: &str = include_str!("table.txt");

/// Years of the table.
const YEARS: RangeInclusive<i32> = 2000..=2040;

/// Most countries that an error proposes.
const MAX_NEAR: usize = 6;

/// Reasons there are no public holidays for a country or region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicHolidaysError {
    /// The country is not in the table.
    #[error(
        "no public holidays are known for country {asked:?}{near}; countries have two letters (ISO 3166-1), such as DE"
    )]
    Country {
        /// The country as asked.
        asked: String,
        /// The countries that may be meant, as a part of the message.
        near: String,
    },
    /// The country has no such region.
    #[error("{name} has no region {asked:?} with public holidays of its own; its regions: {regions}")]
    Region {
        /// The region as asked.
        asked: String,
        /// The country's name.
        name: &'static str,
        /// All regions of the country.
        regions: String,
    },
    /// The country names one region and the region is another one.
    #[error("country {country:?} already names a region, and region {region:?} is another one")]
    TwoRegions {
        /// The country as asked.
        country: String,
        /// The region as asked.
        region: String,
    },
}

/// Public holidays of a country or of one of its regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicHolidays {
    /// The days.
    pub days: BTreeSet<NaiveDate>,
    /// The years of which days are known.
    pub years: RangeInclusive<i32>,
}

/// A country of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country {
    /// Code of ISO 3166-1, such as `DE`.
    pub code: &'static str,
    /// Name in English.
    pub name: &'static str,
    /// Holidays of the whole country.
    pub nationwide: BTreeSet<NaiveDate>,
    /// All holidays of each region, by its code.
    pub regions: BTreeMap<&'static str, BTreeSet<NaiveDate>>,
}

/// Returns the public holidays of a country, such as `DE`, or of a region, such as `DE` with `BY`, or `DE-BY`. Without a
/// region they are those of the whole country.
///
/// # Errors
/// Returns an error that names the countries that may be meant, or the regions of the country.
pub fn days(country: &str, region: Option<&str>) -> Result<PublicHolidays, PublicHolidaysError> {
    let (code, own) = country.trim().split_once('-').map_or((country.trim(), None), |(code, own)| (code, Some(own)));
    if let (Some(own), Some(region)) = (own, region)
        && !own.eq_ignore_ascii_case(region.trim())
    {
        return Err(PublicHolidaysError::TwoRegions { country: country.into(), region: region.into() });
    }
    let found = Country::with_code(code)
        .ok_or_else(|| PublicHolidaysError::Country { asked: code.into(), near: near(code) })?;
    let days = match own.or(region).map(str::trim) {
        None => found.nationwide,
        Some(region) => {
            let all = || found.regions.keys().copied().collect::<Vec<_>>().join(", ");
            match found.regions.iter().find(|(code, _)| code.eq_ignore_ascii_case(region)) {
                Some((_, days)) => days.clone(),
                None => {
                    let regions = if found.regions.is_empty() { "none".into() } else { all() };
                    return Err(PublicHolidaysError::Region { asked: region.into(), name: found.name, regions });
                }
            }
        }
    };
    let year = |day: Option<&NaiveDate>, default: &i32| day.map_or(*default, Datelike::year);
    let years = year(days.first(), YEARS.start())..=year(days.last(), YEARS.end());
    Ok(PublicHolidays { days, years })
}

impl Country {
    /// Returns a country by its code in any case.
    pub fn with_code(code: &str) -> Option<Country> {
        entries().find(|entry| entry.code.eq_ignore_ascii_case(code)).map(Entry::decode)
    }

    /// Returns the country in which a time zone lies. Zones that are no place, such as UTC, have none.
    pub fn of_zone(zone: Tz) -> Option<Country> {
        entries().find(|entry| entry.zones.split(' ').any(|name| name == zone.name())).map(Entry::decode)
    }
}

/// A country's part of the table.
struct Entry {
    code: &'static str,
    name: &'static str,
    zones: &'static str,
    body: &'static str,
}

fn entries() -> impl Iterator<Item = Entry> {
    TABLE.split("\n=").skip(1).filter_map(|text| {
        let (head, body) = text.split_once('\n').unwrap_or((text, ""));
        let mut fields = head.split(';');
        Some(Entry { code: fields.next()?, name: fields.next()?, zones: fields.next()?, body })
    })
}

impl Entry {
    fn decode(self) -> Country {
        let mut country =
            Country { code: self.code, name: self.name, nationwide: BTreeSet::new(), regions: BTreeMap::new() };
        let mut codes: Option<&str> = None;
        for line in self.body.lines().filter(|line| !line.starts_with('#')) {
            if let Some(regions) = line.strip_prefix(['-', '+']) {
                codes = Some(regions);
                let nationwide = &country.nationwide;
                country.regions.extend(regions.split(' ').map(|code| (code, nationwide.clone())));
                continue;
            }
            let Some(codes) = codes else {
                country.nationwide.extend(dates(line));
                continue;
            };
            // A day of the country in the differences is not a holiday of the region.
            let differences = dates(line).collect();
            for code in codes.split(' ') {
                if let Some(days) = country.regions.get_mut(code) {
                    *days = &*days ^ &differences;
                }
            }
        }
        country
    }
}

/// Returns the dates of a line of the table: `* MMDD MMDD:YY-YY`, each year or from year to year, or `YY MMDD MMDD`.
fn dates(line: &str) -> impl Iterator<Item = NaiveDate> {
    let year = |text: &str| text.parse::<i32>().ok().map(|year| 2000 + year);
    let mut items = line.split(' ');
    let years = items.next().and_then(year).map_or(YEARS, |year| year..=year);
    items.flat_map(move |item| {
        let (day, span) = item.split_once(':').unwrap_or((item, ""));
        let span = span.split_once('-').and_then(|(first, last)| Some(year(first)?..=year(last)?));
        let day = day.parse::<u32>().unwrap_or_default();
        span.unwrap_or(years.clone()).filter_map(move |year| NaiveDate::from_ymd_opt(year, day / 100, day % 100))
    })
}

/// Returns the countries that may be meant by an unknown code, as a part of an error: those with a code or name like it.
fn near(asked: &str) -> String {
    let upper = asked.to_uppercase();
    let turned: String = upper.chars().rev().collect();
    let is_code = upper.chars().count() == 2;
    let distance = |entry: &Entry| {
        let name = entry.name.to_uppercase();
        let words = || name.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
        let initials: String = words().filter_map(|word| word.chars().next()).collect();
        if name == upper || words().any(|word| word == upper) || initials == upper {
            Some(0)
        } else if entry.code == turned || (!is_code && upper.starts_with(entry.code) && upper.len() == 3) {
            Some(1)
        } else if !is_code && strsim::normalized_levenshtein(&name, &upper) > 0.75 {
            Some(2)
        } else {
            (is_code && entry.code.chars().next() == upper.chars().next()).then_some(3)
        }
    };
    let found: Vec<(usize, Entry)> = entries().filter_map(|entry| Some((distance(&entry)?, entry))).collect();
    let Some(least) = found.iter().map(|&(distance, _)| distance).min() else { return String::new() };
    let best = found.iter().filter(|&&(distance, _)| distance == least).take(MAX_NEAR);
    let names: Vec<String> = best.map(|(_, entry)| format!("{} ({})", entry.code, entry.name)).collect();
    format!(" (did you mean {}?)", names.join(", "))
}

#[cfg(test)]
mod tests;
