//! Every query of the dashboard and of the alert rules asks for metrics and labels that a real server exports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::serve::client::{registry, roomcast, sample};
use crate::store::place::Place;
use crate::stream::bench::serve;

/// What the names of our metrics begin with.
const PREFIX: &str = "roomcast_";

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)).unwrap()
}

/// What stands behind `key` anywhere in a document.
fn collect(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key).and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, key, found));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, key, found)),
        _ => {}
    }
}

/// The expressions of the alert rules: what stands behind `expr:` on its line, or indented below it.
fn rules() -> Vec<String> {
    let text = text("prometheus/alerts.yml");
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let begins = lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.trim_start().strip_prefix("expr:")?)));
    let expression = |(at, rest): (usize, &str)| match rest.trim() {
        "|" => lines[at + 1..]
            .iter()
            .take_while(|line| indent(line) > indent(lines[at]))
            .map(|line| line.trim())
            .collect::<Vec<_>>()
            .join(" "),
        rest => rest.to_owned(),
    };
    begins.map(expression).collect()
}

/// Our metrics in a query, each with the labels that it is selected by.
fn selectors(query: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices(PREFIX) {
        let rest = &query[at..];
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let inside = rest[name.len()..].strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let matchers = inside.map_or("", |(inside, _)| inside).split(", ").filter(|matcher| !matcher.is_empty());
        let label = |matcher: &str| matcher.split(['=', '!']).next().unwrap_or_default().trim().to_owned();
        found.push((name, matchers.map(label).collect()));
    }
    found
}

/// Labels by which a query groups its series or which its matching keeps.
fn groups(query: &str) -> BTreeSet<String> {
    let lists = query.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    lists.flat_map(|(list, _)| list.split(',')).map(|label| label.trim().to_owned()).collect()
}

/// The series of `/metrics`: the labels of each name.
fn exported(metrics: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let names = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once('='));
        all.entry(name.to_owned()).or_default().extend(names.map(|(name, _)| name.to_owned()));
    }
    all
}

#[test]
fn every_query_asks_for_what_the_server_exports() {
    let (models, place) = (registry(), Place::sqlite());
    let imported = roomcast(&["import", "--store", &place.url, sample().to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    // Targets that are away are shown as well. Port 9 is the one that discards, where nobody listens.
    let away = ["--publish-redis", "redis://127.0.0.1:9/", "--publish-mqtt", "mqtt://127.0.0.1:9/"];
    let server = serve(&place.url, &models, &away);
    let exported = exported(&server.get("/metrics").text());
    assert!(exported.len() > 40, "{exported:?}");

    let dashboard: Value = serde_json::from_str(&text("grafana/roomcast.json")).unwrap();
    let mut queries = Vec::new();
    ["expr", "definition"].iter().for_each(|key| collect(&dashboard, key, &mut queries));
    let rules = rules();
    assert!(queries.len() > 40 && rules.len() > 8, "{} and {}", queries.len(), rules.len());
    queries.extend(rules);

    // What Prometheus adds to every series.
    let added: BTreeSet<String> = ["instance", "job"].map(str::to_owned).into();
    let mut asked = BTreeSet::new();
    for query in &queries {
        let selectors = selectors(query);
        assert!(!selectors.is_empty() || query.starts_with("up{"), "{query}");
        let mut known = added.clone();
        for (name, labels) in selectors {
            let Some(exported) = exported.get(&name) else { panic!("{name} is not exported: {query}") };
            let own: BTreeSet<String> = exported.union(&added).cloned().collect();
            assert!(labels.is_subset(&own), "{name} has {exported:?}: {query}");
            known.extend(own);
            asked.insert(name);
        }
        assert!(groups(query).is_subset(&known), "{known:?}: {query}");
    }
    // And the other way: of all that is counted only the histogram's parts are left out.
    let shown = |name: &&String| !asked.contains(*name) && !name.contains("_duration_seconds_");
    let hidden: Vec<_> = exported.keys().filter(shown).collect();
    assert_eq!(hidden, ["roomcast_ingest_received_total"], "a metric that nobody sees");
}
