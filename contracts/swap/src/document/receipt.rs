//! The receipt both parties sign when a swap has ended.

use super::{Account, Contract, Document, DocumentError, Network, Signature, check_text};
use crate::bytes::SwapId;
use crate::leg::TxRef;
use crate::outcome::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest name of a transaction.
const MAX_TX_BYTES: usize = 128;

/// How a swap ended, with the transactions that anybody can look up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// The contract.
    pub contract: SwapId,
    /// How it ended.
    pub outcome: Outcome,
    /// The transaction that spent alpha.
    pub alpha: TxRef,
    /// The transaction that closed beta.
    pub beta: TxRef,
}

impl Document for Receipt {
    const NAME: &'static str = "receipt";
}

/// A receipt with the signature of one party's delegate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedReceipt {
    /// What is signed.
    pub document: Receipt,
    /// Who signed.
    pub signer: Account,
    /// The signature.
    pub signature: Signature,
}

impl SignedReceipt {
    /// Checks that one of the contract's parties says this of this contract, and the signature.
    pub fn verify(&self, contract: &Contract) -> Result<&Receipt, DocumentError> {
        let mismatch = |field, reason: String| Err(DocumentError::Mismatch { field, reason });
        if self.document.network != contract.network || self.document.contract != contract.id() {
            return mismatch("contract", format!("the contract is {}", contract.id()));
        }
        if contract.role_of(&self.signer).is_none() {
            return mismatch("signer", format!("{} or {}", contract.maker, contract.taker));
        }
        check_text("alpha", &self.document.alpha.0, MAX_TX_BYTES)?;
        check_text("beta", &self.document.beta.0, MAX_TX_BYTES)?;
        if self.signature.verifies(&self.signer, &self.document.signing_bytes()) {
            Ok(&self.document)
        } else {
            Err(DocumentError::BadSignature { signer: self.signer.to_string() })
        }
    }
}
