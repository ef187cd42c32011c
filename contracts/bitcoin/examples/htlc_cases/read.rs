//! What boltz-core made of the cases, read by this crate as it reads any spend, and finished where both parties sign.

use crate::case::Case;
use anyhow::{Context, Result, ensure};
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Transaction, Txid, Witness};
use htlc_bitcoin::{CooperativeError, Spending};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Cases {
    funding: Funding,
}

#[derive(Deserialize)]
struct Funding {
    txid: Txid,
}

/// By the participant's software.
#[derive(Deserialize)]
struct Answers {
    version: String,
    spends: Vec<Spend>,
    cooperative: Vec<Together>,
}

#[derive(Deserialize)]
struct Spend {
    kind: Kind,
    cases: Vec<u32>,
    tx: String,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Redeem,
    Refund,
}

#[derive(Deserialize)]
struct Together {
    case: u32,
    participant_nonce: String,
    participant_signature: String,
}

pub struct Read {
    /// Key-path spends that boltz-core signed half, in hexadecimal.
    pub completed: Vec<String>,
    /// How many answers of each kind agreed.
    pub agreed: Vec<Value>,
}

/// # Errors
/// The first answer that this crate reads otherwise.
pub fn answers(cases: &str, answers: &str) -> Result<Read> {
    let funding = serde_json::from_str::<Cases>(cases).context("CASES")?.funding.txid;
    let answers: Answers = serde_json::from_str(answers).context("ANSWERS")?;
    let (mut redeems, mut refunds) = (0, 0);
    for spend in &answers.spends {
        let tx: Transaction = deserialize_hex(&spend.tx)?;
        ensure!(tx.input.len() == spend.cases.len(), "{} has another number of inputs", tx.compute_txid());
        for (input, number) in tx.input.iter().zip(&spend.cases) {
            check_reading(&Case::new(*number)?, spend.kind, &input.witness)?;
            match spend.kind {
                Kind::Redeem => redeems += 1,
                Kind::Refund => refunds += 1,
            }
        }
    }
    let completed: Vec<String> = answers.cooperative.iter().map(|answer| finish(answer, funding)).collect::<Result<_>>()?;
    let against = format!("boltz-core {}", answers.version);
    let line = |what: &str, cases: usize| json!({ "what": what, "against": against, "cases": cases });
    let agreed = vec![
        line("its redeems read by us, preimage and all", redeems),
        line("its refunds read by us", refunds),
        line("its partial signatures completed by us", completed.len()),
    ];
    Ok(Read { completed, agreed })
}

fn check_reading(case: &Case, kind: Kind, witness: &Witness) -> Result<()> {
    let expected = match kind {
        Kind::Redeem => Spending::Redeem { preimage: case.preimage },
        Kind::Refund => Spending::Refund,
    };
    let read = case.htlc.classify(witness);
    ensure!(read == expected, "case {}: read as {read:?}, but it is {expected:?}", case.number);
    // The same with one bit of the element after the signature changed, preimage or script: it must be noticed.
    let mut elements = witness.to_vec();
    let element = elements.get_mut(1).and_then(|element| element.first_mut()).context("a leaf's witness has a second element")?;
    *element ^= 1;
    ensure!(case.htlc.classify(&Witness::from_slice(&elements)) == Spending::Unknown, "case {}: a change went unnoticed", case.number);
    Ok(())
}

fn finish(answer: &Together, funding: Txid) -> Result<String> {
    let case = Case::new(answer.case)?;
    let nonce = bytes(&answer.participant_nonce)?;
    let signature: [u8; 32] = bytes(&answer.participant_signature)?;
    let signed = || -> Result<_> {
        let round = case.cooperative(funding)?.start(&case.refund_key, case.session())?;
        Ok(round.sign(&case.refund_key, &nonce)?)
    };
    let mut changed = signature;
    changed[31] ^= 1;
    ensure!(
        signed()?.finish(&changed) == Err(CooperativeError::PartialSignature),
        "case {}: a changed signature went unnoticed",
        case.number
    );
    let tx = signed()?.finish(&signature).with_context(|| format!("case {}", case.number))?;
    Ok(serialize_hex(&tx))
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)?;
    Ok(bytes)
}
