//! Query strings and path segments, read strictly: anything not understood is an error, not a guess.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use chrono::NaiveDate;
use percent_encoding::percent_decode_str;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::hourly::MAX_DAYS;
use roomcast_forecast::readings::names::closest;
use roomcast_forecast::rooms::Level;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::problem::{Code, Problem};

/// Maximum number of values of a repeatable parameter in one request.
const MAX_VALUES: usize = 1000;

/// The parameters of a request. Their names, and which of them are required or repeatable, are those that the API's
/// description states.
pub struct Query<T>(pub T);

/// A query without parameters.
#[derive(Debug, Deserialize, IntoParams)]
pub struct NoParameters {}

impl<T: DeserializeOwned + IntoParams + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Query))
    }
}

thread_local! {
    /// The parameters of each type of query: building them from the description takes longer than most answers.
    static KNOWN: RefCell<HashMap<TypeId, Rc<[Parameter]>>> = RefCell::default();
}

/// Returns the parameters of a type of query, as the API's description states them.
fn known<T: IntoParams + 'static>() -> Rc<[Parameter]> {
    let build = || T::into_params(|| Some(ParameterIn::Query)).into();
    KNOWN.with_borrow_mut(|known| known.entry(TypeId::of::<T>()).or_insert_with(build).clone())
}

/// Parses a raw query string; `token` is allowed in every query.
fn parse<T: DeserializeOwned + IntoParams + 'static>(raw: &str) -> Result<T, Problem> {
    let known = known::<T>();
    let mut values = Map::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).map_err(|why| Problem::parameter("the query", why))?;
        if name == "token" {
            continue;
        }
        let Some(parameter) = known.iter().find(|known| known.name == name) else {
            let problem = Problem::new(Code::UnknownParameter, format!("there is no parameter {name:?} here"));
            let known: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
            return Err(match closest(&name, known.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean {near:?}?")),
                None if known.is_empty() => problem.hint("this path has no parameters"),
                None => problem.hint(format!("parameters here: {}", known.join(", "))),
            });
        };
        let value = decode(value).map_err(|why| Problem::parameter(&name, why))?.into();
        match values.get_mut(&name) {
            None if parameter.explode == Some(true) => drop(values.insert(name, Value::Array(vec![value]))),
            None => drop(values.insert(name, value)),
            Some(Value::Array(list)) if list.len() < MAX_VALUES => list.push(value),
            Some(Value::Array(_)) => {
                let problem = Problem::parameter(&name, format!("at most {MAX_VALUES} values are allowed"));
                return Err(problem.hint("name none to get all"));
            }
            Some(_) => return Err(Problem::parameter(&name, "is given twice")),
        }
    }
    let mut required = known.iter().filter(|known| known.required == Required::True);
    if let Some(missing) = required.find(|required| !values.contains_key(&required.name)) {
        return Err(Problem::parameter(&missing.name, "is missing"));
    }
    serde_json::from_value(Value::Object(values)).map_err(Problem::internal)
}

/// Parses a time of the site, or a date for its midnight, if there is one.
///
/// # Errors
/// Returns a `Problem` when the text is not a time.
pub fn time(name: &str, text: Option<&str>, calendar: &Calendar) -> Result<Option<Timestamp>, Problem> {
    let parse = |text: &str| {
        // A date stands for its midnight, as on the command line.
        let midnight = text.parse::<NaiveDate>().ok().map(|date| format!("{date} 00:00:00"));
        calendar.parse(midnight.as_deref().unwrap_or(text)).map_err(|error| {
            let problem = Problem::parameter(name, error);
            // An unencoded plus means a space in a query.
            let plus = text.len() > 6 && text.as_bytes()[text.len() - 6] == b' ';
            if plus { problem.hint("write the + of the offset as %2B") } else { problem }
        })
    };
    text.map(parse).transpose()
}

/// Parses a positive, finite number, if there is one.
///
/// # Errors
/// Returns a `Problem` when the text is not such a number.
pub fn number(name: &str, text: Option<&str>) -> Result<Option<f64>, Problem> {
    let parse = |text: &str| {
        let number = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
        number.ok_or_else(|| Problem::parameter(name, format!("expected a number above 0, found {text:?}")))
    };
    text.map(parse).transpose()
}

/// Parses a whole number from 1 to `most`, in digits alone; `default` without one.
///
/// # Errors
/// Returns a `Problem` when the text is not such a number.
pub fn whole(name: &str, text: Option<&str>, default: u32, most: u32) -> Result<u32, Problem> {
    let parse = |text: &str| {
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_digits && (1..=most).contains(number));
        number.ok_or_else(|| Problem::parameter(name, format!("expected a number from 1 to {most}, found {text:?}")))
    };
    text.map_or(Ok(default), parse)
}

/// Parses the number of days that a forecast reaches; 1 without one.
///
/// # Errors
/// Returns a `Problem` when the text is not such a number.
pub fn days(text: Option<&str>) -> Result<usize, Problem> {
    Ok(whole("days", text, 1, MAX_DAYS as u32)? as usize)
}

/// Parses the level of a forecast; that of rooms without one.
///
/// # Errors
/// Returns a `Problem` when the text names no level.
pub fn level(text: Option<&str>) -> Result<Level, Problem> {
    text.map_or(Ok(Level::Room), |text| text.parse().map_err(|why: String| Problem::parameter("level", why)))
}

/// Parses a duration of at most `most` seconds, such as `45m`, `1h30m` or `90s`, and returns its seconds; 0 without
/// one.
///
/// # Errors
/// Returns a `Problem` when the text is not a duration, or is a longer one.
pub fn duration(name: &str, text: Option<&str>, most: i64) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(0) };
    match seconds(text) {
        Some(seconds) if seconds <= most => Ok(seconds),
        Some(_) => Err(Problem::parameter(name, format!("at most {}h is allowed, found {text:?}", most / 3600))),
        None => Err(Problem::parameter(name, format!("expected a duration such as 45m or 1h30m, found {text:?}"))),
    }
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
/// Returns a message that names the fault in the text.
pub fn decode(raw: &str) -> Result<String, &'static str> {
    percent(&raw.replace('+', " "))
}

/// Decodes percent-encoding.
///
/// # Errors
/// Returns a message that names the fault in the text.
pub fn percent(raw: &str) -> Result<String, &'static str> {
    let is_digits = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !raw.split('%').skip(1).all(is_digits) {
        return Err("holds a % that is not followed by two hexadecimal digits");
    }
    percent_decode_str(raw).decode_utf8().map(Into::into).map_err(|_| "is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize, IntoParams)]
    struct Asked {
        #[serde(default)]
        #[param(explode, value_type = Option<Vec<String>>)]
        device: Vec<String>,
        at: Option<String>,
    }

    #[derive(Debug, Deserialize, IntoParams)]
    struct One {
        #[allow(dead_code, reason = "only its presence is tested")]
        device: String,
    }

    #[test]
    fn queries_are_read_strictly() {
        let query: Asked = parse("device=a%2Fb&at=2016-08-31+23:59:59&device=c&token=x&").expect("a query");
        let device = vec!["a/b".to_owned(), "c".to_owned()];
        assert_eq!(query, Asked { device, at: Some("2016-08-31 23:59:59".into()) });
        assert_eq!(parse::<Asked>("").ok(), Some(Asked { device: Vec::new(), at: None }));
        let code = |raw: &str| parse::<Asked>(raw).map_err(|problem| problem.code);
        assert_eq!(code("at=1&at=2"), Err(Code::InvalidParameter));
        assert_eq!(code("devise=1"), Err(Code::UnknownParameter));
        assert_eq!(code("device=%ff"), Err(Code::InvalidParameter));
        assert_eq!(code("device=%f"), Err(Code::InvalidParameter));
        assert_eq!(code(&"device=a&".repeat(1001)), Err(Code::InvalidParameter));
        assert!(code(&"device=a&".repeat(1000)).is_ok());
        let detail = |raw: &str| parse::<One>(raw).unwrap_err().detail;
        assert_eq!(detail(""), "device: is missing");
        assert_eq!(detail("device=a&device=b"), "device: is given twice");
        assert_eq!(parse::<NoParameters>("at=1").unwrap_err().code, Code::UnknownParameter);
    }

    #[test]
    fn whole_numbers_have_no_sign() {
        let read = |text| whole("weeks", text, 8, 104).map_err(|problem| problem.detail);
        assert_eq!([read(None), read(Some("1")), read(Some("104"))], [Ok(8), Ok(1), Ok(104)]);
        for wrong in ["+3", "-3", "0", "105", "", " 3", "3.0", "99999999999"] {
            assert_eq!(read(Some(wrong)), Err(format!("weeks: expected a number from 1 to 104, found {wrong:?}")));
        }
        assert_eq!((days(None).ok(), days(Some("7")).ok(), days(Some("+7")).ok()), (Some(1), Some(7), None));
    }

    #[test]
    fn a_date_is_its_midnight() {
        let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let read = |text| time("at", Some(text), &calendar).map_err(|problem| problem.detail);
        assert_eq!(read("2016-08-10"), read("2016-08-10 00:00:00"));
        assert!(read("2016-08-10").is_ok() && read("2016-08-32").is_err() && read("1910-01-01").is_err());
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
