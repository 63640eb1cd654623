//! The JSON Schema of plan files, from the same types that read them.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::PlanFile;

/// Where the schema is known by.
const ID: &str = "urn:dbops:schema:plan-file:1";

/// Returns the JSON Schema of plan files, for editors and for `dbops schema`.
///
/// It is as strict as the loader about keys, types and choices; what depends on several keys at
/// once is checked by the loader alone.
pub fn json_schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<PlanFile>()
        .to_value();
    without_null(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.insert("$id".to_owned(), json!(ID));
        root.insert("title".to_owned(), json!("dbops plan file"));
    }
    // A section with only comments below it reads as null.
    for section in [
        "targets",
        "partitions",
        "indexes",
        "rules",
        "mutes",
        "ready",
    ] {
        let pointer = format!("/properties/{section}/type");
        if let Some(kind) = schema.pointer_mut(&pointer) {
            let only = kind.take();
            *kind = json!([only, "null"]);
        }
    }
    schema
}

/// Removes `null` from the types: the loader takes an empty value for an unfinished line.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.shift_remove("default");
            }
            if let Some(Value::Array(kinds)) = object.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            let inlined = match object.get_mut("anyOf") {
                Some(Value::Array(options)) => {
                    options.retain(|option| *option != json!({ "type": "null" }));
                    match options.as_slice() {
                        [Value::Object(only)] => Some(only.clone()),
                        _ => None,
                    }
                }
                _ => None,
            };
            if let Some(only) = inlined {
                object.shift_remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
