//! What a method is: its name, what it takes and gives, who may call it, and the code behind it.

use super::{CALL_TIMEOUT, Listener, Refusal, refusal};
use crate::engine::Engine;
use crate::error::ApiError;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::RpcModule;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::future::Future;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The owner, with the token, on the owner's listener.
    Owner,
    /// Anybody, on the counterparties' listener.
    Counterparty,
    /// Anybody, on both.
    Anybody,
}

impl Access {
    /// Whether a listener has the method at all.
    pub fn is_on(self, listener: Listener) -> bool {
        match (self, listener) {
            (Access::Anybody, _) | (Access::Owner, Listener::Owner) | (Access::Counterparty, Listener::Bus) => true,
            (Access::Owner, Listener::Bus) | (Access::Counterparty, Listener::Owner) => false,
        }
    }
}

/// Puts a method's code into a listener's module.
type Register = Box<dyn FnOnce(&mut RpcModule<Engine>, Listener) -> Result<(), RegisterMethodError> + Send>;
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One row of the table.
pub struct Method {
    /// `group.verb`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Schema of its parameters: an object, or a choice of objects.
    pub params: SchemaOf,
    /// Schema of its result.
    pub result: SchemaOf,
    pub(super) register: Register,
}

/// Parameters of a method that takes none.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

impl Method {
    /// A method whose code is one call of the engine.
    pub(super) fn call<P, R, F, Fut>(name: &'static str, access: Access, summary: &'static str, code: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Engine, P) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R, ApiError>> + Send + 'static,
    {
        let register: Register = Box::new(move |module, _| {
            let registered = module.register_async_method(name, move |params, engine, _| {
                let code = code.clone();
                async move {
                    refuse_for_role(&engine, name)?;
                    run(name, access, parse(&params).map(|params| code(Engine::clone(&engine), params))).await
                }
            });
            registered.map(|_| ())
        });
        Self { name, summary, access, params: schema_of::<P>, result: schema_of::<R>, register }
    }

    /// A method with code of another shape.
    pub(super) fn other<P: JsonSchema, R: JsonSchema>(
        name: &'static str,
        access: Access,
        summary: &'static str,
        register: impl FnOnce(&mut RpcModule<Engine>, Listener) -> Result<(), RegisterMethodError> + Send + 'static,
    ) -> Self {
        Self { name, summary, access, params: schema_of::<P>, result: schema_of::<R>, register: Box::new(register) }
    }
}

/// Refuses what an engine of this role does not do.
pub(super) fn refuse_for_role(engine: &Engine, name: &str) -> Result<(), ApiError> {
    let is_of_another_role = !engine.trades() && is_for_traders(name) || engine.is_watcher() && is_for_finders(name);
    if is_of_another_role { Err(ApiError::TradesNothing) } else { Ok(()) }
}

/// Whether a method is about trade, or about money of one's own.
fn is_for_traders(name: &str) -> bool {
    ["offer", "order", "contract", "wallet", "book", "receipt"].contains(&group(name)) || name == "swap.receipt"
}

/// Whether a method is about finding others.
fn is_for_finders(name: &str) -> bool {
    ["contact", "gossip", "entry"].contains(&group(name))
}

fn group(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Runs a call to its end, even if the caller goes away meanwhile: what the engine began must not stop halfway.
async fn run<R, Fut>(name: &'static str, access: Access, call: Result<Fut, Refusal>) -> Result<Box<RawValue>, ErrorObjectOwned>
where
    R: Serialize + Send + 'static,
    Fut: Future<Output = Result<R, ApiError>> + Send + 'static,
{
    let task = tokio::spawn(call?);
    match tokio::time::timeout(CALL_TIMEOUT, task).await {
        Ok(Ok(Ok(result))) => serde_json::value::to_raw_value(&result).map_err(|error| {
            tracing::error!(method = name, %error, "an answer cannot be written as JSON");
            Refusal::Internal.into()
        }),
        Ok(Ok(Err(error))) => {
            tracing::debug!(method = name, error_type = error.error_type(), %error, "refused");
            Err(if access == Access::Counterparty { refusal::for_strangers(error) } else { error.into() })
        }
        Ok(Err(error)) => {
            tracing::error!(method = name, %error, "the engine failed to answer");
            Err(Refusal::Internal.into())
        }
        Err(_) => Err(Refusal::Timeout { seconds: CALL_TIMEOUT.as_secs() }.into()),
    }
}

/// Reads parameters by name. Unknown and repeated ones are refused, and every number that is not a whole one.
pub(super) fn parse<P: DeserializeOwned>(params: &Params<'_>) -> Result<P, Refusal> {
    let text = match params.as_str().map(str::trim) {
        None | Some("null") => "{}",
        Some(text) => text,
    };
    let whole = |reason: String| Refusal::InvalidParams { field: String::new(), reason };
    if !text.starts_with('{') {
        return Err(whole("parameters go by name, in one object".into()));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| whole(error.to_string()))?;
    refuse_floats(&value, "")?;
    // From the text once more: only there are repeated fields still to be seen.
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|error| {
        let field = Some(error.path().to_string()).filter(|path| path != ".").unwrap_or_default();
        let reason = error.inner().to_string();
        let hint = if reason.starts_with("invalid type: integer") { "; amounts and times are decimal strings, like \"5\"" } else { "" };
        Refusal::InvalidParams { field, reason: format!("{reason}{hint}") }
    })
}

fn refuse_floats(value: &Value, path: &str) -> Result<(), Refusal> {
    let below = |key: &dyn std::fmt::Display| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match value {
        Value::Number(number) if !number.is_u64() && !number.is_i64() => {
            let reason = format!(
                "{number} is a floating-point number; amounts are whole numbers of base units in decimal strings, \
                 and a price is the exact fraction {{\"sats\": \"250\", \"units\": \"10000000\"}}"
            );
            Err(Refusal::InvalidParams { field: path.to_owned(), reason })
        }
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| refuse_floats(value, &below(key))),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, value)| refuse_floats(value, &below(&index))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ListQuery, OfferTerms};

    fn refused<P: DeserializeOwned + std::fmt::Debug>(text: &str) -> (String, String) {
        match parse::<P>(&Params::new(Some(text))) {
            Err(Refusal::InvalidParams { field, reason }) => (field, reason),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn no_parameters_are_an_empty_object() {
        for text in [None, Some("null"), Some("{}")] {
            assert!(parse::<NoParams>(&Params::new(text)).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_float_is_refused_wherever_it_is() {
        let (field, reason) = refused::<OfferTerms>(r#"{"gives":"TFT","price":0.000025,"max":"5"}"#);
        assert!(field == "price" && reason.contains("floating-point"), "{field}: {reason}");
        let (field, _) = refused::<OfferTerms>(r#"{"gives":"TFT","price":{"sats":1e3,"units":"5"},"max":"5"}"#);
        assert_eq!(field, "price.sats");
        let (field, _) = refused::<ListQuery>(r#"{"limit":99999999999999999999999}"#);
        assert_eq!(field, "limit");
    }

    #[test]
    fn an_unknown_repeated_or_misplaced_parameter_is_named() {
        assert!(refused::<ListQuery>(r#"{"limt":5}"#).1.contains("limt"));
        assert!(refused::<ListQuery>(r#"{"limit":5,"limit":6}"#).1.contains("duplicate"));
        assert!(refused::<ListQuery>("[5]").1.contains("by name"));
        let (field, reason) = refused::<OfferTerms>(r#"{"gives":"TFT","price":{"sats":"1","units":"5"},"max":5}"#);
        assert!(field == "max" && reason.contains("decimal strings"), "{field}: {reason}");
    }
}
