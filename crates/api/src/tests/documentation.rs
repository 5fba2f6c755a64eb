//! Holds docs/json.md to the model.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::{Explanation, HostAdd, Reply, Topic};

/// The section of docs/json.md under a heading, and the JSON in it.
fn section(heading: &str) -> (String, String) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap().to_owned();
    let (_, json) = section.split_once("```json\n").unwrap();
    let json = json.split_once("```").unwrap().0.to_owned();
    (section, json)
}

/// An example has exactly the fields of the model, and a table names each of them.
fn check(heading: &str, encoded: impl Serialize) {
    let (section, json) = section(heading);
    let documented: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_value(encoded).unwrap(), documented, "{heading}");
    check_names(heading, &section, &documented);
}

fn check_names(heading: &str, section: &str, value: &Value) {
    match value {
        Value::Array(values) => {
            for value in values {
                check_names(heading, section, value);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(section.contains(&format!("`{name}`")), "{heading}: {name}");
                // Its fields are data: reasons and addresses.
                if !matches!(name.as_str(), "drops" | "mismatches" | "held_neighbors") {
                    check_names(heading, section, value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn decoded<T: DeserializeOwned>(heading: &str) -> T {
    serde_json::from_str(&section(heading).1).unwrap()
}

#[test]
fn every_topic_is_documented_with_all_its_fields() {
    for topic in Topic::ALL {
        let (_, json) = section(topic.name());
        check(topic.name(), Reply::from_json(topic, &json).unwrap());
    }
}

#[test]
fn explanations_and_additions_are_documented_with_all_their_fields() {
    check("explain", decoded::<Explanation>("explain"));
    check("Adding a host", decoded::<HostAdd>("Adding a host"));
}
