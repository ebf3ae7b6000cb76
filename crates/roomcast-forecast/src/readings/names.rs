//! Suggestions for misspelt names.

/// Returns the known name most similar to `name`, if one is similar.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|candidate| (strsim::levenshtein(name, candidate), candidate)).min()?;
    (near.0 <= name.chars().count().div_ceil(2)).then_some(near.1)
}
