//! `rpc.discover`: the OpenRPC 1.3 document of a listener, made from the table of methods.

use super::method::{Access, Method, NoParams};
use super::methods::table;
use super::stream::stream_of;
use super::{Listener, MAX_BATCH, MAX_REQUEST_BYTES, OverBus};
use crate::bus::rmb::SERVICE;
use jsonrpsee::types::ErrorObjectOwned;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const DESCRIPTION: &str = "Swap BTC for TFT with nobody in between. Parameters go by name. Amounts are whole numbers of base units \
    (satoshis, 1e-7 TFT) in decimal strings, times are in milliseconds unless said otherwise, never floats. Every error has a \
    numeric code and, in its data, a stable error_type with error_data.";

/// The row of `rpc.discover` itself.
pub(super) fn method() -> Method {
    let summary = "This document: every method with the schemas of what it takes and gives.";
    Method::other::<NoParams, BTreeMap<String, Value>>("rpc.discover", Access::Anybody, summary, |module, listener| {
        let document = openrpc(listener);
        let registered = module.register_async_method("rpc.discover", move |params, _, _| {
            let answer = super::method::parse::<NoParams>(&params).map(|NoParams {}| document.clone());
            async move { answer.map_err(ErrorObjectOwned::from) }
        });
        registered.map(|_| ())
    })
}

/// The OpenRPC document of a listener.
pub fn openrpc(listener: Listener) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let methods: Vec<_> =
        table().iter().filter(|method| method.access.is_on(listener)).map(|method| describe(method, &mut generator)).collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "twinswap",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
            "x-limits": { "request_bytes": MAX_REQUEST_BYTES, "batch": MAX_BATCH },
        },
        "methods": methods,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

/// The JSON schema of every command `twinswap.<method>` on the Reliable Message Bus: what goes in, what comes back, and what an error
/// says. Each is whole in itself.
pub fn commands() -> Vec<Value> {
    OverBus::methods().into_iter().filter_map(command).collect()
}

/// The schema of one of them, by the method's name.
pub fn command(name: &str) -> Option<Value> {
    let rows: Vec<_> = table().into_iter().filter(|row| row.name == name && OverBus::methods().contains(row.name)).collect();
    let row = rows.first()?;
    let mut generator = SchemaSettings::draft07().into_generator();
    let (request, answer) = ((row.params)(&mut generator), (row.result)(&mut generator));
    let error_data = json!({ "type": "object", "required": ["error_type"], "properties": {
        "error_type": { "type": "string", "description": "Stable name" }, "error_data": { "description": "What it was about" } } });
    let is_public = rows.iter().any(|row| row.access.is_on(Listener::Bus));
    Some(json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("{SERVICE}{name}"),
        "description": row.summary,
        "x-callers": if is_public { "anybody" } else { "owner" },
        "type": "object",
        "properties": {
            "request": request,
            "answer": answer,
            "error": { "type": "object", "required": ["code", "message"], "properties": {
                "code": { "type": "integer" }, "message": { "type": "string" }, "data": error_data } },
        },
        "definitions": generator.take_definitions(true),
    }))
}

fn describe(method: &Method, generator: &mut SchemaGenerator) -> Value {
    let params = (method.params)(generator).to_value();
    let result = (method.result)(generator).to_value();
    let mut description = json!({
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "by-name",
        "params": parameters(&resolve(params, generator.definitions())),
        "result": { "name": "result", "schema": result },
        "x-token": method.access == Access::Owner,
    });
    if let Some(stream) = stream_of(method.name) {
        description["x-notification"] = json!(stream.update);
        description["x-unsubscribe"] = json!(stream.unsubscribe);
    }
    description
}

/// The schema behind a reference to a component.
fn resolve(schema: Value, definitions: &Map<String, Value>) -> Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    name.and_then(|name| definitions.get(name)).cloned().unwrap_or(schema)
}

/// One content descriptor a parameter. Of a choice between objects, every parameter is optional.
fn parameters(schema: &Value) -> Vec<Value> {
    let choices = schema.get("oneOf").and_then(Value::as_array);
    let objects: Vec<&Value> = choices.map_or_else(|| vec![schema], |choices| choices.iter().collect());
    let required = |name: &str| {
        let listed = schema.get("required").and_then(Value::as_array);
        choices.is_none() && listed.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let properties = objects.iter().filter_map(|object| Some((object, object.get("properties")?.as_object()?)));
    let described = properties.flat_map(|(object, properties)| properties.iter().map(move |property| (object, property)));
    described
        .map(|(object, (name, schema))| {
            let own = schema.get("description");
            let description = own.or_else(|| object.get("description").filter(|_| choices.is_some()));
            json!({
                "name": name,
                "required": required(name),
                "description": description.cloned().unwrap_or(json!("")),
                "schema": schema,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listener: Listener) -> Vec<String> {
        let document = openrpc(listener);
        document["methods"].as_array().unwrap().iter().map(|method| method["name"].as_str().unwrap().to_owned()).collect()
    }

    fn refs(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(path)) => found.push(path.clone()),
                _ => refs(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| refs(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_method_is_described_once_on_its_listener() {
        for listener in [Listener::Owner, Listener::Bus] {
            let mut expected: Vec<_> = table().iter().filter(|row| row.access.is_on(listener)).map(|row| row.name.to_owned()).collect();
            let mut described = names(listener);
            assert_eq!(described, expected);
            described.sort();
            expected.sort();
            expected.dedup();
            assert_eq!(described, expected);
        }
    }

    #[test]
    fn counterparties_see_the_public_methods_and_no_others() {
        let expected = [
            "order.choice",
            "swap.receipt",
            "node.hello",
            "offer.list",
            "offer.get",
            "order.place",
            "order.seal",
            "order.answer",
            "contract.countersign",
            "copy.keep",
            "copy.list",
            "watch.keep",
            "contact.alive",
            "gossip.ask",
            "profile.get",
            "entry.keep",
            "entry.list",
            "misdeed.tell",
            "receipt.sign",
            "receipt.list",
            "rpc.discover",
        ];
        assert_eq!(names(Listener::Bus), expected);
    }

    #[test]
    fn every_command_has_a_schema_that_is_whole_in_itself() {
        assert_eq!(commands().len(), OverBus::methods().len());
        for schema in commands() {
            let mut found = Vec::new();
            refs(&schema, &mut found);
            for path in found {
                let name = path.strip_prefix("#/definitions/").unwrap();
                assert!(schema["definitions"].get(name).is_some(), "{path} in {}", schema["title"]);
            }
            jsonschema::meta::validate(&schema).unwrap();
        }
        let callers = |name: &str| command(name).unwrap()["x-callers"].clone();
        assert_eq!((callers("offer.list"), callers("offer.submit")), (json!("anybody"), json!("owner")));
        assert!(command("swap.subscribe").is_none() && command("book.subscribe").is_none() && command("offer.steal").is_none());
        let submit = command("offer.submit").unwrap();
        let request = json!({ "$ref": "#/properties/request", "definitions": submit["definitions"], "properties": submit["properties"] });
        let validator = jsonschema::validator_for(&request).unwrap();
        let terms = json!({ "gives": "TFT", "price": { "sats": "250", "units": "10000000" }, "max": "10000000000" });
        assert!(validator.is_valid(&json!({ "terms": terms })));
        assert!(!validator.is_valid(&json!({ "terms": {} })));
    }

    #[test]
    fn every_reference_leads_to_a_component() {
        for listener in [Listener::Owner, Listener::Bus] {
            let document = openrpc(listener);
            let mut found = Vec::new();
            refs(&document, &mut found);
            assert!(!found.is_empty());
            for path in found {
                let pointer = path.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{path}");
            }
        }
    }

    #[test]
    fn a_choice_of_parameters_lists_both() {
        let document = openrpc(Listener::Owner);
        let submit = document["methods"].as_array().unwrap().iter().find(|method| method["name"] == "offer.submit").unwrap().clone();
        let params: Vec<_> = submit["params"].as_array().unwrap().iter().map(|param| param["name"].clone()).collect();
        assert_eq!(params, ["signed", "terms"]);
        assert!(submit["params"].as_array().unwrap().iter().all(|param| param["required"] == false));
    }
}
