//! What others made of the cases: other spellings of the same documents, and signatures, right and changed, with a verdict each.

use crate::document::{numbered, respelled};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use swap_contract::document::{Account, Scheme, Signature};

#[derive(Deserialize)]
struct Answers {
    version: String,
    spellings: Vec<Spelling>,
    signatures: Vec<Signed>,
}

/// The same document in another text, or another document.
#[derive(Deserialize)]
struct Spelling {
    case: u32,
    text: String,
    id: String,
}

#[derive(Deserialize)]
struct Signed {
    case: u32,
    /// What was done to it.
    what: String,
    scheme: Scheme,
    account: Account,
    value: String,
    /// The byte of the message that is changed before the signature is checked.
    changed_byte: Option<usize>,
    /// Whether util-crypto says that it is the account's signature of the message.
    valid: bool,
}

/// # Errors
/// The first answer on which we do not agree.
pub fn answers(answers: &str) -> Result<Vec<Value>> {
    let answers: Answers = serde_json::from_str(answers).context("ANSWERS")?;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for spelling in &answers.spellings {
        let original = numbered(spelling.case)?;
        let read = respelled(original.name, &spelling.text).with_context(|| format!("case {}: {}", spelling.case, spelling.text))?;
        ensure!(hex::encode(read.id) == spelling.id, "case {}: another id than theirs for {}", spelling.case, spelling.text);
        *counts.entry("ids of their spelling of our documents".to_owned()).or_default() += 1;
    }
    for signed in &answers.signatures {
        let mut message = numbered(signed.case)?.signing_bytes;
        if let Some(at) = signed.changed_byte {
            *message.get_mut(at).with_context(|| format!("case {}: no byte {at}", signed.case))? ^= 1;
        }
        let signature = Signature { scheme: signed.scheme, value: signed.value.clone() };
        let valid = signature.verifies(&signed.account, &message);
        ensure!(
            valid == signed.valid,
            "case {}, {}: we say {valid}, they say {} of {:?} {} by {}",
            signed.case,
            signed.what,
            signed.valid,
            signed.scheme,
            signed.value,
            signed.account
        );
        let verdict = if valid { "valid" } else { "refused" };
        *counts.entry(format!("verdicts on their {:?} signatures: {verdict}", signed.scheme)).or_default() += 1;
    }
    let against = format!("@polkadot/util-crypto {}", answers.version);
    Ok(counts.into_iter().map(|(what, cases)| json!({ "what": what, "against": against, "cases": cases })).collect())
}
