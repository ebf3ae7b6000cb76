//! Suggestions for misspelt names.

/// Returns the known name most similar to `asked`, if one is similar.
pub fn closest<'a>(asked: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|name| (strsim::levenshtein(asked, name), name)).min()?;
    (near.0 <= asked.chars().count().div_ceil(2)).then_some(near.1)
}
