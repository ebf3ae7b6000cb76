//! Query strings and path segments, read strictly: anything not understood is an error, not a guess.

use crate::problem::{Code, Problem};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::names::closest;

/// Maximum number of values of `device` in one request.
pub const MOST_DEVICES: usize = 1000;

/// The parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    values: Vec<(&'static str, String)>,
}

impl Query {
    /// Reads a raw query string with parameters from `known`; `token` is allowed in every query.
    ///
    /// # Errors
    /// Returns a `Problem` for a parameter that is not known, is given twice (except `device`), or is not UTF-8.
    pub fn parse(raw: &str, known: &[&'static str]) -> Result<Query, Problem> {
        let mut query = Query::default();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).map_err(|why| Problem::parameter("the query", why))?;
            if name == "token" {
                continue;
            }
            let Some(name) = known.iter().find(|known| **known == name) else {
                let problem = Problem::new(Code::UnknownParameter, format!("there is no parameter {name:?} here"));
                return Err(match closest(&name, known.iter().copied()) {
                    Some(near) => problem.hint(format!("did you mean {near:?}?")),
                    None => problem.hint(format!("parameters here: {}", known.join(", "))),
                });
            };
            let value = decode(value).map_err(|why| Problem::parameter(name, why))?;
            if *name != "device" && query.get(name).is_some() {
                return Err(Problem::parameter(name, "is given twice"));
            }
            query.values.push((name, value));
        }
        match query.devices().count() {
            count if count > MOST_DEVICES => {
                let problem = Problem::parameter("device", format!("given {count} times, {MOST_DEVICES} are allowed"));
                Err(problem.hint("ask for all devices by naming none"))
            }
            _ => Ok(query),
        }
    }

    /// Returns the value of a parameter that is given at most once.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a required parameter.
    ///
    /// # Errors
    /// Returns a `Problem` when it is missing.
    pub fn require(&self, name: &str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| Problem::parameter(name, "is missing"))
    }

    /// Returns all values of `device`.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter(|(name, _)| *name == "device").map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter that is a time.
    ///
    /// # Errors
    /// Returns a `Problem` when it cannot be read as a time.
    pub fn time(&self, name: &str, calendar: &Calendar) -> Result<Option<Timestamp>, Problem> {
        self.get(name).map(|text| time(name, text, calendar)).transpose()
    }

    /// Returns the value of a parameter that is a positive, finite number.
    ///
    /// # Errors
    /// Returns a `Problem` when it is not.
    pub fn number(&self, name: &str) -> Result<Option<f64>, Problem> {
        let read = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
        let number = |text| {
            read(text).ok_or_else(|| Problem::parameter(name, format!("expected a number above 0, found {text:?}")))
        };
        self.get(name).map(number).transpose()
    }

    /// Returns the seconds of a parameter that is a duration of at most `most` seconds, such as `45m`, `1h30m` or
    /// `90s`.
    ///
    /// # Errors
    /// Returns a `Problem` when it is not.
    pub fn duration(&self, name: &str, most: i64) -> Result<Option<i64>, Problem> {
        let read = |text: &str| match seconds(text) {
            Some(seconds) if seconds <= most => Ok(seconds),
            Some(_) => Err(Problem::parameter(name, format!("at most {}h is allowed, found {text:?}", most / 3600))),
            None => Err(Problem::parameter(name, format!("expected a duration such as 45m or 1h30m, found {text:?}"))),
        };
        self.get(name).map(read).transpose()
    }
}

/// Reads a time of the site.
///
/// # Errors
/// Returns a `Problem` when the text is not a time.
pub fn time(name: &str, text: &str, calendar: &Calendar) -> Result<Timestamp, Problem> {
    calendar.parse(text).map_err(|error| {
        let problem = Problem::parameter(name, error);
        // An unencoded plus means a space in a query.
        let plus = text.len() > 6 && text.as_bytes()[text.len() - 6] == b' ';
        if plus { problem.hint("write the + of the offset as %2B") } else { problem }
    })
}

fn seconds(text: &str) -> Option<i64> {
    let (mut sum, mut rest) = (0_i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(sum)
}

/// Decodes percent-encoding and `+` of a query.
///
/// # Errors
/// Returns a message that says what is wrong with the text.
pub fn decode(raw: &str) -> Result<String, &'static str> {
    percent(&raw.replace('+', " "))
}

/// Decodes percent-encoding.
///
/// # Errors
/// Returns a message that says what is wrong with the text.
pub fn percent(raw: &str) -> Result<String, &'static str> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return Err("holds a % that is not followed by two hexadecimal digits"),
        }
    }
    String::from_utf8(out).map_err(|_| "is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_strictly() {
        let known = ["device", "at"];
        let query = Query::parse("device=a%2Fb&at=2016-08-31+23:59:59&device=c&token=x&", &known).expect("a query");
        assert_eq!(query.devices().collect::<Vec<_>>(), ["a/b", "c"]);
        assert_eq!(query.get("at"), Some("2016-08-31 23:59:59"));
        let code = |raw: &str| Query::parse(raw, &known).map_err(|problem| problem.code);
        assert_eq!(code("at=1&at=2"), Err(Code::InvalidParameter));
        assert_eq!(code("devise=1"), Err(Code::UnknownParameter));
        assert_eq!(code("device=%ff"), Err(Code::InvalidParameter));
        assert_eq!(code("device=%f"), Err(Code::InvalidParameter));
        assert_eq!(code(&"device=a&".repeat(1001)), Err(Code::InvalidParameter));
        assert!(code(&"device=a&".repeat(1000)).is_ok());
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(["45m", "1h30m", "90s", "0m"].map(seconds), [Some(2700), Some(5400), Some(90), Some(0)]);
        assert_eq!(
            ["", "m", "45", "5d", "-5m", "9999999999999999999s", "9223372036854775807h"].map(seconds),
            [None; 7]
        );
    }
}
