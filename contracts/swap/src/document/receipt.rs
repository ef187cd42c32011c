//! The receipt both parties sign when a swap has ended. With both signatures, and the doubly signed contract, it is what a reputation is
//! made of: whoever has it can look both transactions up.

use super::{Account, Contract, Document, DocumentError, Network, Role, Signature, SignedContract, check_text};
use crate::amount::decimal;
use crate::bytes::SwapId;
use crate::leg::{HtlcRef, TxRef};
use crate::outcome::Outcome;
use crate::time::latest_beta_timelock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest name of a transaction or an HTLC.
const MAX_NAME_BYTES: usize = 128;

/// How one leg was closed, as its chain shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The HTLC.
    pub htlc: HtlcRef,
    /// The transaction that closed it.
    pub by: TxRef,
    /// The height of that transaction's block.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub height: u64,
}

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
    /// What closed the Bitcoin leg.
    pub alpha: Settlement,
    /// What closed the TF Chain leg.
    pub beta: Settlement,
}

impl Document for Receipt {
    const NAME: &'static str = "receipt";
}

impl Receipt {
    /// Whether it tells of the same end. The parties may name TF Chain's extrinsic differently, where one of them knows only its block.
    pub fn agrees(&self, other: &Receipt) -> bool {
        let Receipt { network, contract, outcome, alpha, beta } = self;
        let same = (network, contract, outcome, alpha) == (&other.network, &other.contract, &other.outcome, &other.alpha);
        same && (&beta.htlc, beta.height) == (&other.beta.htlc, other.beta.height)
    }

    fn check(&self, contract: &Contract) -> Result<(), DocumentError> {
        if self.network != contract.network || self.contract != contract.id() {
            return Err(DocumentError::Mismatch { field: "contract", reason: format!("the contract is {}", contract.id()) });
        }
        for (field, Settlement { htlc, by, .. }) in [("alpha", &self.alpha), ("beta", &self.beta)] {
            check_text(field, &htlc.0, MAX_NAME_BYTES)?;
            check_text(field, &by.0, MAX_NAME_BYTES)?;
        }
        Ok(())
    }
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
        self.document.check(contract)?;
        if contract.role_of(&self.signer).is_none() {
            let reason = format!("{} or {}", contract.maker, contract.taker);
            return Err(DocumentError::Mismatch { field: "signer", reason });
        }
        verify(&self.document, &self.signer, &self.signature)
    }
}

/// A completed swap's contract and receipt, both with both signatures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedReceipt {
    /// What both agreed on.
    pub contract: SignedContract,
    /// How it ended.
    pub receipt: Receipt,
    /// The maker's delegate's signature under the receipt.
    pub maker: Signature,
    /// The taker's delegate's signature under the receipt.
    pub taker: Signature,
}

impl SharedReceipt {
    /// Checks everything but what the chains show: both signatures under both, that the swap completed, and that the contract is one that
    /// two engines would make.
    pub fn verify(&self, network: &Network) -> Result<&Contract, DocumentError> {
        let contract = &self.contract.document;
        let (sender, recipient) = (contract.party(Role::Participant), contract.party(Role::Initiator));
        let own_keys = contract.alpha.redeem_key.0[1..] != contract.alpha.refund_key.0[1..] && contract.maker_salt != contract.taker_salt;
        let by_the_rules = contract.beta.latest_refund_after == latest_beta_timelock(contract.alpha.refund_after, contract.policy());
        if contract.maker == contract.taker || (&contract.beta.sender, &contract.beta.recipient) != (sender, recipient) {
            return Err(DocumentError::Mismatch { field: "contract", reason: "it is not between its maker and its taker".into() });
        }
        if !own_keys || !by_the_rules {
            return Err(DocumentError::Mismatch { field: "contract", reason: "no engine makes such a contract".into() });
        }
        if contract.network != *network {
            return Err(DocumentError::WrongNetwork { found: Box::new(contract.network), expected: Box::new(*network) });
        }
        self.receipt.check(contract)?;
        if self.receipt.outcome != Outcome::Completed {
            return Err(DocumentError::Mismatch { field: "outcome", reason: "only completed swaps count".into() });
        }
        self.contract.verify()?;
        verify(&self.receipt, &contract.maker, &self.maker)?;
        verify(&self.receipt, &contract.taker, &self.taker)?;
        Ok(contract)
    }
}

fn verify<'a>(receipt: &'a Receipt, signer: &Account, signature: &Signature) -> Result<&'a Receipt, DocumentError> {
    match signature.verifies(signer, &receipt.signing_bytes()) {
        true => Ok(receipt),
        false => Err(DocumentError::BadSignature { signer: signer.to_string() }),
    }
}
