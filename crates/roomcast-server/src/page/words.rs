//! Tests of the sentences of the page: each language has each sentence, and the modules use no other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{PAGE, PANEL, WORDS};

const INDEX: &str = include_str!("app/index.html");

/// Prefixes of keys that modules put together from names of the API.
const FAMILIES: [&str; 19] = [
    "alert.",
    "column.",
    "fact.",
    "flag.",
    "likelihood.",
    "plan.",
    "problem.",
    "promise.",
    "reason.",
    "sensor.",
    "sensors.",
    "show.",
    "sort.",
    "source.",
    "theme.",
    "trust.",
    "use.column.",
    "was.",
    "why.",
];

fn tables() -> Vec<BTreeMap<String, Value>> {
    WORDS
        .iter()
        .map(|(path, text)| serde_json::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}")))
        .collect()
}

/// Returns the forms of a sentence: one, or one for a single thing and one for more.
fn forms(sentence: &Value) -> Vec<&str> {
    match sentence {
        Value::Array(forms) => forms.iter().filter_map(Value::as_str).collect(),
        form => form.as_str().into_iter().collect(),
    }
}

/// Returns the names in braces.
fn values(form: &str) -> BTreeSet<&str> {
    form.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn each_language_has_each_sentence_with_the_same_values() {
    let tables = tables();
    for (key, sentence) in &tables[0] {
        let english = forms(sentence);
        assert!(matches!(english.len(), 1 | 2), "{key}");
        for (table, (path, _)) in tables.iter().zip(WORDS) {
            let own = forms(table.get(key).unwrap_or_else(|| panic!("{path} lacks {key}")));
            assert_eq!(own.len(), english.len(), "{path}: {key}");
            assert!(own.iter().all(|form| !form.trim().is_empty()), "{path}: {key}");
            // The form for one may spell out the number.
            assert_eq!(values(own[own.len() - 1]), values(english[english.len() - 1]), "{path}: {key}");
        }
    }
    assert!(tables.iter().all(|table| table.len() == tables[0].len()), "a language has a sentence that English lacks");
}

#[test]
fn modules_use_the_sentences_that_there_are() {
    let tables = tables();
    let known = &tables[0];
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (_, text) in PAGE.iter().chain(&PANEL) {
        // All that stands in quotes, for many keys are chosen between two.
        used.extend(text.split('\'').filter(|part| known.contains_key(*part)));
        for (at, call) in text.match_indices("t('") {
            if !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '.') {
                let key = text[at + call.len()..].split('\'').next().unwrap_or_default();
                assert!(known.contains_key(key), "{key} is no sentence");
            }
        }
    }
    let marked = INDEX.split("data-t=\"").skip(1).filter_map(|rest| rest.split('"').next());
    for key in marked.flat_map(|pairs| pairs.split(' ')).filter_map(|pair| pair.split('@').next()) {
        used.insert(known.get_key_value(key).unwrap_or_else(|| panic!("{key} of the document")).0);
    }
    let unused: Vec<_> = known
        .keys()
        .filter(|key| !used.contains(key.as_str()) && !FAMILIES.iter().any(|family| key.starts_with(family)))
        .collect();
    assert!(unused.is_empty(), "no module uses {unused:?}");
}
