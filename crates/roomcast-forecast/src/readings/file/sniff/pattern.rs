//! Patterns of times of no known form, for hints.

use chrono::NaiveDateTime;

/// Longest text that may be a time.
const MAX_BYTES: usize = 64;

/// Returns the patterns that read a text as a date and a time of day: two where day and month cannot be told apart.
pub fn of(text: &str) -> Vec<String> {
    if text.len() > MAX_BYTES {
        return Vec::new();
    }
    let all = [
        "%Y %m %d",
        "%d %m %Y",
        "%m %d %Y",
        "%d %b %Y",
        "%b %d %Y",
        "%Y %b %d",
        "%a %d %b %Y",
        "%a %b %d %Y",
        "%Y%m%d",
    ];
    let reads = |pattern: &String| NaiveDateTime::parse_from_str(text, pattern).is_ok();
    all.iter().filter_map(|date| fitted(text, date)).filter(reads).take(2).collect()
}

/// Puts the parts of a date, and those of a time of day after them, in the places of a text's numbers and words.
fn fitted(text: &str, date: &str) -> Option<String> {
    let is_afternoon = ["am", "pm"].iter().any(|half| text.to_ascii_lowercase().ends_with(half));
    let compact = |length: usize| if length == 6 { "%H%M%S" } else { "%H%M" };
    let mut parts = date.split(' ').chain([if is_afternoon { "%I" } else { "%H" }, "%M", "%S", "%f"]).peekable();
    let (mut pattern, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let end = |same: fn(char) -> bool| rest.find(|c| !same(c)).unwrap_or(rest.len());
        let length = match first {
            _ if first.is_ascii_digit() => end(|c| c.is_ascii_digit()),
            _ if first.is_alphabetic() => end(char::is_alphabetic),
            _ => first.len_utf8(),
        };
        let (part, after) = rest.split_at(length);
        let is_first = pattern.is_empty();
        match parts.peek() {
            _ if first.is_alphabetic() && is_afternoon && after.is_empty() => pattern += "%p",
            Some(&name) if first.is_ascii_digit() => {
                parts.next();
                pattern += match name {
                    // A year of two digits stands last.
                    "%Y" if length == 2 && is_first => return None,
                    "%Y" if length == 2 => "%y",
                    "%b" | "%a" => return None,
                    "%H" if length > 2 => compact(length),
                    name => name,
                };
            }
            Some(&name @ ("%b" | "%a")) if first.is_alphabetic() => {
                parts.next();
                pattern += if length > 3 { if name == "%b" { "%B" } else { "%A" } } else { name };
            }
            _ => pattern += &part.replace('%', "%%"),
        }
        rest = after;
    }
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_reads_the_text_it_is_made_from() {
        for (text, patterns) in [
            ("05/08/16 14:00", &["%d/%m/%y %H:%M", "%m/%d/%y %H:%M"][..]),
            ("25/08/16 14:00", &["%d/%m/%y %H:%M"]),
            ("05-Aug-2016 14:00:30", &["%d-%b-%Y %H:%M:%S"]),
            ("05. August 2016 14:00", &["%d. %B %Y %H:%M"]),
            ("Fri Aug 05 2016 02:00:30 PM", &["%a %b %d %Y %I:%M:%S %p"]),
            ("20160805T140000", &["%Y%m%dT%H%M%S"]),
            ("20160805 1400", &["%Y%m%d %H%M"]),
            ("2016.183.4", &[]),
            ("soon", &[]),
            ("", &[]),
        ] {
            assert_eq!(of(text), patterns, "{text}");
        }
    }
}
