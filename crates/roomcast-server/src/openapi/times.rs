//! Formats of times in answers, so that generated clients have times and dates instead of text.

use utoipa::openapi::schema::{AdditionalProperties, ArrayItems};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};

/// Times of the site, on its clock.
const OF_SITE: [&str; 13] = [
    "cutoff",
    "data_until",
    "end",
    "first_reading",
    "hour",
    "last_reading",
    "occupied_from",
    "occupied_until",
    "origin",
    "reliability_until",
    "silent_since",
    "start",
    "starts",
];

/// Times of the server, in UTC.
const OF_SERVER: [&str; 2] = ["made_at", "since"];

/// Dates.
const DATES: [&str; 1] = ["live_reliability_until"];

/// Adds the formats to the properties of a schema. A site without a zone has local times without an offset, which are no
/// `date-time`; the format registry of OpenAPI calls them `date-time-local`.
pub(super) fn add_formats(schema: &mut RefOr<Schema>, is_zoned: bool) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            for (name, property) in &mut object.properties {
                if let Some(format) = format(name, is_zoned) {
                    set(property, &format);
                }
            }
        }
        Schema::AllOf(all) => all.items.iter_mut().for_each(|item| add_formats(item, is_zoned)),
        _ => {}
    }
}

fn format(name: &str, is_zoned: bool) -> Option<SchemaFormat> {
    let is_in = |names: &[&str]| names.contains(&name);
    match name {
        _ if is_in(&DATES) => Some(SchemaFormat::KnownFormat(KnownFormat::Date)),
        _ if is_in(&OF_SERVER) || is_zoned && is_in(&OF_SITE) => Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)),
        _ if is_in(&OF_SITE) => Some(SchemaFormat::Custom("date-time-local".into())),
        _ => None,
    }
}

/// Sets the format of a text, or of the texts in a list or map.
fn set(schema: &mut RefOr<Schema>, format: &SchemaFormat) {
    match schema {
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                set(items, format);
            }
        }
        RefOr::T(Schema::Object(object)) => match object.additional_properties.as_deref_mut() {
            Some(AdditionalProperties::RefOr(values)) => set(values, format),
            _ => object.format = Some(format.clone()),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::json;

    /// Returns the formats of all properties of this name.
    fn formats(document: &serde_json::Value, name: &str) -> Vec<String> {
        let schemas = document["components"]["schemas"].as_object().unwrap().values();
        let parts = schemas.flat_map(|schema| schema["allOf"].as_array().into_iter().flatten().chain([schema]));
        let found = parts.filter_map(|schema| schema["properties"].get(name));
        let format = |property: &serde_json::Value| {
            let places = [property, &property["items"], &property["additionalProperties"]];
            places.iter().find_map(|place| place["format"].as_str()).unwrap_or("none").to_owned()
        };
        found.map(format).collect()
    }

    #[test]
    fn every_time_of_an_answer_has_a_format() {
        for (is_zoned, of_site) in [(true, "date-time"), (false, "date-time-local")] {
            let document = serde_json::from_str(&json(is_zoned)).unwrap();
            let groups: [(&[&str], &str); 3] = [(&OF_SITE, of_site), (&OF_SERVER, "date-time"), (&DATES, "date")];
            for (name, expected) in
                groups.iter().flat_map(|(names, format)| names.iter().map(move |name| (name, format)))
            {
                let found = formats(&document, name);
                assert!(!found.is_empty() && found.iter().all(|format| format == expected), "{name}: {found:?}");
            }
        }
    }
}
