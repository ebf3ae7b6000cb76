//! Lines above a header, such as the title and the period of an export.

use csv::ByteRecord;

use super::header::{self, Found, Role};
use super::time;
use crate::readings::file::field::{Clock, trim};
use crate::readings::file::source::Records;

/// Separators that are looked for, the likeliest first.
pub const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Most rows above a header.
const MAX_TITLES: usize = 20;

/// Finds a header that is not the first row. Returns its separator, and the number of rows above it.
///
/// A header names a time, and the row below it has as many fields and a time. A title is no header: it has fewer fields with
/// content.
pub fn find(bytes: &[u8], given: Option<u8>, clock: &mut Clock<'_>, file: &str) -> Option<(u8, usize)> {
    let separators = given.map_or(DELIMITERS.to_vec(), |given| vec![given]);
    let mut found: Vec<(u8, usize, usize)> = separators
        .into_iter()
        .filter_map(|separator| {
            let (above, width) = above_header(bytes, separator, clock, file)?;
            Some((separator, above, width))
        })
        .collect();
    // The sort is stable: of equals the likeliest separator wins.
    found.sort_by_key(|&(.., width)| std::cmp::Reverse(width));
    found.first().map(|&(separator, above, _)| (separator, above)).filter(|&(_, above)| above > 0)
}

/// Returns the number of rows above the header, and its number of fields.
fn above_header(bytes: &[u8], separator: u8, clock: &mut Clock<'_>, file: &str) -> Option<(usize, usize)> {
    let mut input = Records::new(bytes, separator);
    let mut is_time = |cell: &[u8]| !matches!(time::form(std::iter::once(cell), clock), time::Forms::Unknown);
    let (mut before, mut widest) = (ByteRecord::new(), 0);
    for at in 0..=MAX_TITLES + 1 {
        if !matches!(input.header(file), Ok(true)) {
            return None;
        }
        let row = &input.record;
        if at > 0 && before.len() == row.len() && names_time(&before) && !before.iter().any(&mut is_time) {
            let has_date_and_clock = finds(&before, Role::Date) && finds(&before, Role::Clock);
            if has_date_and_clock || row.iter().any(&mut is_time) {
                return (widest < row.len()).then_some((at - 1, row.len()));
            }
        }
        widest = widest.max(before.iter().filter(|cell| !trim(cell).is_empty()).count());
        before.clone_from(row);
    }
    None
}

fn names_time(row: &ByteRecord) -> bool {
    row.len() > 1 && (finds(row, Role::Time) || finds(row, Role::Date))
}

fn finds(row: &ByteRecord, role: Role) -> bool {
    let names: Vec<String> = row.iter().map(|cell| String::from_utf8_lossy(trim(cell)).into_owned()).collect();
    header::find(&names, role, &[]) != Found::None
}
