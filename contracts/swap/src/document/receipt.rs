//! The receipt both parties sign when a swap has ended.

use super::{Account, Document, DocumentError, Network, Signature};
use crate::bytes::SwapId;
use crate::decide::Outcome;
use crate::leg::TxRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Checks the signature.
    pub fn verify(&self) -> Result<&Receipt, DocumentError> {
        if self.signature.verifies(&self.signer, &self.document.signing_bytes()) {
            Ok(&self.document)
        } else {
            Err(DocumentError::BadSignature { signer: self.signer.to_string() })
        }
    }
}
