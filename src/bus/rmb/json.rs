//! JSON as it travels here: ASCII only, since some clients read it as such, and errors in the text of an error envelope.

use crate::bus::BusError;
use ::rmb::envelope::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// No more of a counterparty's words is kept, in characters.
const MAX_WORDS: usize = 500;

/// The same JSON with everything beyond ASCII escaped.
pub fn ascii(json: &str) -> String {
    if json.is_ascii() {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len() + 16);
    for char in json.chars() {
        if char.is_ascii() {
            text.push(char);
        } else {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

/// A JSON-RPC error as it stands in an error envelope's text. The envelope's code is its number without the sign.
#[derive(Serialize, Deserialize)]
struct ErrorText {
    code: i32,
    message: String,
    #[serde(default)]
    data: Value,
}

/// An error envelope that says a JSON-RPC error.
pub(crate) fn failure(code: i32, message: String, data: Value) -> Failure {
    let text = serde_json::to_string(&ErrorText { code, message, data }).expect("texts and numbers are JSON");
    Failure { code: code.unsigned_abs(), message: ascii(&text) }
}

/// The refusal in an error envelope's text, if it is an engine's.
pub(super) fn refusal(text: &str) -> Option<BusError> {
    let error: ErrorText = serde_json::from_str(text).ok()?;
    let error_type = error.data.get("error_type")?.as_str()?.chars().filter(|char| !char.is_control()).take(64).collect();
    let message = error.message.chars().filter(|char| !char.is_control()).take(MAX_WORDS).collect();
    Some(BusError::Refused { error_type, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_beyond_ascii_is_escaped_and_means_the_same() {
        for text in ["plain", "Grüße", "\u{1f980} & \u{2028}", "", "tab\there"] {
            let json = json!({ "text": text }).to_string();
            let escaped = ascii(&json);
            assert!(escaped.is_ascii());
            assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), serde_json::from_str::<Value>(&json).unwrap());
        }
        assert_eq!(ascii("\"\u{1f980}\""), r#""\ud83e\udd80""#);
    }

    #[test]
    fn an_engine_s_error_comes_back_as_its_refusal() {
        let failure = failure(-32019, "no offer\u{7}, Grüße".into(), json!({"error_type": "not_found", "error_data": {}}));
        assert_eq!(failure.code, 32019);
        assert!(failure.message.is_ascii());
        let refused = refusal(&failure.message).unwrap();
        assert!(matches!(&refused, BusError::Refused { error_type, message } if error_type == "not_found" && message == "no offer, Grüße"));
        for text in ["", "{}", "destination offline", r#"{"code":1,"message":"m"}"#, r#"{"code":1,"message":"m","data":{"error_type":5}}"#]
        {
            assert!(refusal(text).is_none(), "{text}");
        }
    }
}
