//! Both encodings of enums: names, and numbers for `$alt=json;enum-encoding=int`.

use std::sync::LazyLock;

use serde_json::Value;

use crate::simulator::{call::Request, schema::Schemas};

/// The schemas of the container API.
pub(super) static CONTAINER: LazyLock<Schemas> = LazyLock::new(|| {
    Schemas::new(serde_json::from_str(include_str!("../../../data/simulator/gke/container.v1.schemas.json")).unwrap())
});

/// The schemas of the parts of Compute Engine.
pub(super) static COMPUTE: LazyLock<Schemas> = LazyLock::new(|| {
    let text = include_str!("../../../data/simulator/gke/compute.v1.json");
    Schemas::from_discovery(&serde_json::from_str(text).unwrap())
});

static NUMBERS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../data/simulator/gke/enum_numbers.json")).unwrap());

/// Whether a caller wants numbers.
pub(super) fn wants_numbers(request: &Request) -> bool {
    request.query("$alt").is_some_and(|alt| alt.split(';').any(|part| part == "enum-encoding=int"))
}

/// Makes names of numbers, which the service takes from everybody.
pub(super) fn to_names(schema: &str, value: &mut Value) {
    walk(schema, value, &|numbers, found| {
        let Some(number) = found.as_i64() else { return };
        let name = numbers.as_object().and_then(|all| all.iter().find(|(_, of)| of.as_i64() == Some(number)));
        if let Some((name, _)) = name {
            *found = name.clone().into();
        }
    });
}

/// Makes numbers of names.
pub(super) fn to_numbers(schema: &str, value: &mut Value) {
    walk(schema, value, &|numbers, found| {
        if let Some(number) = found.as_str().and_then(|name| numbers.get(name)) {
            *found = number.clone();
        }
    });
}

/// Does something with every enum value in `value`, and the numbers of its enum.
fn walk(schema: &str, value: &mut Value, change: &dyn Fn(&Value, &mut Value)) {
    let (Some(definition), Some(fields)) = (CONTAINER.definition(schema), value.as_object_mut()) else { return };
    for (name, field) in fields {
        let property = &definition["properties"][name];
        let numbers = &NUMBERS[schema][name];
        if !numbers.is_null() {
            if let Value::Array(values) = field {
                values.iter_mut().for_each(|value| change(numbers, value));
            } else {
                change(numbers, field);
            }
        }
        visit(property, field, change);
    }
}

fn visit(property: &Value, field: &mut Value, change: &dyn Fn(&Value, &mut Value)) {
    if let Some(reference) = property["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        walk(reference, field, change);
    } else if let Value::Array(items) = field {
        items.iter_mut().for_each(|item| visit(&property["items"], item, change));
    } else if let Value::Object(values) = field {
        values.values_mut().for_each(|value| visit(&property["additionalProperties"], value, change));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_numbers_are_made_of_each_other_wherever_they_are() {
        let names = json!({
            "name": "c", "status": "RUNNING", "networkPolicy": {"provider": "CALICO", "enabled": true},
            "nodePools": [{"status": "RUNNING_WITH_ERROR", "conditions": [{"canonicalCode": "INTERNAL"}]}],
            "loggingConfig": {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"]}},
            "databaseEncryption": {"currentState": "CURRENT_STATE_ENCRYPTED"},
        });
        let mut value = names.clone();
        to_numbers("Cluster", &mut value);
        assert_eq!(value["networkPolicy"], json!({"provider": 1, "enabled": true}));
        assert_eq!((&value["status"], &value["nodePools"][0]["status"]), (&json!(2), &json!(3)));
        assert_eq!(value["loggingConfig"]["componentConfig"]["enableComponents"], json!([1, 2]));
        assert_eq!(value["databaseEncryption"]["currentState"], 7);
        to_names("Cluster", &mut value);
        assert_eq!(value, names);
        assert_eq!(CONTAINER.violations("Cluster", &value), Vec::<String>::new());
    }
}
