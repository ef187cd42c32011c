//! From an operation to signed bytes, and from bytes to the mempool. Nothing here retries.

use crate::node::{Node, unavailable};
use crate::rpc::RpcError;
use crate::wallet::WalletError;
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::secp256k1::Keypair;
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Transaction};
use htlc_bitcoin::{Htlc, SpendError, Terms, UnsignedSpend};
use secp256k1::SECP256K1;
use std::collections::HashSet;
use swap_contract::bytes::Salt;
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::port::{AlphaTerms, ChainError, HtlcOp, LegTerms, OpKind, SignedTx};
use swap_contract::time::ChainTime;

/// The HTLC of a leg's terms.
pub fn htlc(terms: &LegTerms) -> Result<Htlc, ChainError> {
    let AlphaTerms { swap: _, amount, hashlock, redeem_key, refund_key, refund_after } = alpha(terms)?;
    let terms = Terms {
        amount: Amount::from_sat(amount.0),
        hashlock: hashlock.0,
        redeem_key: redeem_key.0,
        refund_key: refund_key.0,
        refund_after: timelock(*refund_after)?,
    };
    Htlc::new(terms).map_err(|error| refused(&error))
}

/// The terms, if they are of this chain.
pub fn alpha(terms: &LegTerms) -> Result<&AlphaTerms, ChainError> {
    match terms {
        LegTerms::Alpha(terms) => Ok(terms),
        LegTerms::Beta(_) => Err(refused(&"these are the terms of a TF Chain leg")),
    }
}

/// Coins that the caller has promised elsewhere. One that cannot be read might be spent twice: so it is an error.
pub fn coins(reserved: &[String]) -> Result<HashSet<OutPoint>, ChainError> {
    reserved.iter().map(|coin| coin.parse().map_err(|_| refused(&format!("`{coin}` is not a coin")))).collect()
}

impl Node {
    /// Signs, and does not send.
    pub async fn prepare(&self, op: &HtlcOp, reserved: &[String]) -> Result<SignedTx, ChainError> {
        self.check_network().await?;
        if let Err(error) = self.wallet.save_addresses_if_many().await {
            // No exit waits for a disk: the coins are found again from the chain.
            tracing::warn!(%error, "the bitcoin wallet could not be stored");
        }
        let htlc = htlc(&op.terms)?;
        let terms = alpha(&op.terms)?;
        let floor = self.fees.floor(&self.rpc).await.map_err(|error| unavailable(&error))?;
        let rate = FeeRate::from_sat_per_kwu(op.fee_rate.0).max(floor.minimum);
        match &op.kind {
            OpKind::Fund { refund_after, replaces } => {
                if *refund_after != terms.refund_after {
                    return Err(refused(&"the timelock is not the one of the terms"));
                }
                let reserved = coins(reserved)?;
                let funding = match replaces {
                    None => self.wallet.fund(htlc.script_pubkey(), htlc.terms().amount, rate, &reserved),
                    Some(bytes) => {
                        let old: Transaction = deserialize(bytes).map_err(|error| refused(&error))?;
                        self.wallet.bump(&old, &htlc.tx_out(), rate, &reserved)
                    }
                };
                let funding = funding.map_err(|error| wallet_error(&error))?;
                Ok(signed(&funding.tx, funding.fee))
            }
            OpKind::Redeem(redeem) => {
                let input = htlc_bitcoin::Redeem { htlc: &htlc, outpoint: outpoint(redeem.htlc())?, preimage: *redeem.preimage().expose() };
                let rate = self.replacing(&input.outpoint, rate, floor.increment);
                let spend = |payout: &ScriptBuf| htlc_bitcoin::redeem(&[input], payout, rate);
                self.spend(&op.terms, &op.salt, spend)
            }
            OpKind::Refund { htlc: at } => {
                let input = htlc_bitcoin::Refund { htlc: &htlc, outpoint: outpoint(at)? };
                let rate = self.replacing(&input.outpoint, rate, floor.increment);
                let spend = |payout: &ScriptBuf| htlc_bitcoin::refund(&[input], payout, rate);
                self.spend(&op.terms, &op.salt, spend)
            }
        }
    }

    /// Sends. What is there already is a success.
    pub async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.check_network().await?;
        let tx: Transaction = deserialize(&tx.bytes).map_err(|error| refused(&error))?;
        let txid = tx.compute_txid();
        match self.rpc.send_raw_transaction(&tx).await {
            Ok(_) => {
                self.pending(&tx);
                self.news.notify_one();
            }
            Err(error) if is_on_chain(&error) || (is_spent(&error) && self.wallet.is_confirmed(txid)) => {}
            Err(error) => return Err(meaning(error)),
        }
        Ok(TxRef(txid.to_string()))
    }

    pub fn spend(
        &self,
        terms: &LegTerms,
        salt: &Salt,
        build: impl FnOnce(&ScriptBuf) -> Result<UnsignedSpend, SpendError>,
    ) -> Result<SignedTx, ChainError> {
        let payout = self.wallet.payout(alpha(terms)?.swap);
        let unsigned = build(&payout).map_err(|error| refused(&error))?;
        let fee = unsigned.fee();
        // Without auxiliary randomness the same operation gives the same bytes, however often it is prepared.
        let tx = unsigned.sign(&[self.key(salt)?], &[0; 32]).map_err(|error| refused(&error))?;
        Ok(signed(&tx, fee))
    }

    fn key(&self, salt: &Salt) -> Result<Keypair, ChainError> {
        let secret = self.keys.alpha_secret(salt);
        Keypair::from_seckey_slice(SECP256K1, &*secret).map_err(|error| refused(&error))
    }

    /// A rate that replaces what waits in the mempool, be it the counterparty's (BIP-125, rule 4).
    fn replacing(&self, outpoint: &OutPoint, rate: FeeRate, increment: FeeRate) -> FeeRate {
        let waiting = self.index().pending_spend(outpoint).and_then(|spend| spend.rate);
        waiting.map_or(rate, |old| {
            rate.max(FeeRate::from_sat_per_kwu(old.to_sat_per_kwu().saturating_add(increment.to_sat_per_kwu()).saturating_add(1)))
        })
    }
}

pub fn signed(tx: &Transaction, fee: Amount) -> SignedTx {
    SignedTx {
        side: Side::Alpha,
        id: TxRef(tx.compute_txid().to_string()),
        bytes: serialize(tx),
        fee: fee.to_sat(),
        size: tx.weight().to_vbytes_ceil(),
        inputs: tx.input.iter().map(|input| input.previous_output.to_string()).collect(),
        durable: true,
    }
}

pub fn outpoint(htlc: &HtlcRef) -> Result<OutPoint, ChainError> {
    htlc.0.parse().map_err(|_| refused(&format!("`{}` is not an output", htlc.0)))
}

fn timelock(refund_after: ChainTime) -> Result<u32, ChainError> {
    let whole = refund_after.0.is_multiple_of(1000);
    let seconds = u32::try_from(refund_after.secs()).ok().filter(|_| whole);
    seconds.ok_or_else(|| refused(&format!("{} ms is no timelock of Bitcoin's", refund_after.0)))
}

pub fn refused(reason: &impl std::fmt::Display) -> ChainError {
    ChainError::Refused { side: Side::Alpha, reason: reason.to_string() }
}

pub fn wallet_error(error: &WalletError) -> ChainError {
    match error {
        WalletError::InsufficientFunds { available, needed } => {
            ChainError::InsufficientFunds { side: Side::Alpha, available: available.to_sat(), needed: needed.to_sat() }
        }
        WalletError::Store(_) | WalletError::Disconnected { .. } | WalletError::NotAnchored => unavailable(error),
        WalletError::Build(_) | WalletError::Unreadable(_) | WalletError::Foreign(_) | WalletError::Seed => refused(error),
    }
}

/// `RPC_VERIFY_ALREADY_IN_UTXO_SET`: an output of this very transaction is unspent on the chain.
const ALREADY_IN_CHAIN: i32 = -27;
/// `RPC_TRANSACTION_ERROR`.
const TRANSACTION_ERROR: i32 = -25;
/// `RPC_TRANSACTION_REJECTED`: consensus or policy; the text says which.
const TRANSACTION_REJECTED: i32 = -26;
/// `RPC_DESERIALIZATION_ERROR`.
const UNDECODABLE: i32 = -22;

/// Rejections that no later block changes. Whatever is not listed is tried again: giving up a refund by mistake costs more
/// than asking a node once in ten minutes.
const FOR_EVER: [&str; 13] = [
    "mandatory-script-verify-flag-failed",
    "mempool-script-verify-flag-failed",
    "non-mandatory-script-verify-flag",
    "bad-witness-nonstandard",
    "bad-txns-in-belowout",
    "bad-txns-vin-empty",
    "bad-txns-vout",
    "bad-txns-inputs-duplicate",
    "bad-txns-nonstandard-inputs",
    "scriptpubkey",
    "tx-size",
    "dust",
    "version",
];

fn is_on_chain(error: &RpcError) -> bool {
    matches!(error, RpcError::Node { code: ALREADY_IN_CHAIN, .. })
}

/// The inputs are spent or unknown. If the transaction itself spent them and its own outputs are spent again, it was mined.
fn is_spent(error: &RpcError) -> bool {
    matches!(error, RpcError::Node { code: TRANSACTION_ERROR, message, .. } if message.contains("missingorspent"))
}

fn meaning(error: RpcError) -> ChainError {
    match &error {
        RpcError::Node { code: UNDECODABLE, .. } => refused(&error),
        RpcError::Node { code: TRANSACTION_REJECTED, message, .. } if FOR_EVER.iter().any(|reason| message.starts_with(reason)) => {
            refused(&error)
        }
        RpcError::Node { .. } if !error.is_unavailable() => ChainError::NotNow { side: Side::Alpha, reason: error.to_string() },
        RpcError::Node { .. } | RpcError::Unreachable { .. } | RpcError::Unauthorized { .. } | RpcError::Malformed { .. } => {
            unavailable(&error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(message: &str) -> ChainError {
        meaning(RpcError::Node { method: "sendrawtransaction", code: TRANSACTION_REJECTED, message: message.to_owned() })
    }

    #[test]
    fn only_what_can_never_be_valid_is_refused_for_good() {
        for passing in [
            "non-final",
            "txn-mempool-conflict",
            "insufficient fee, rejecting replacement",
            "min relay fee not met",
            "mempool full",
            "brand-new-rule",
        ] {
            assert!(matches!(rejected(passing), ChainError::NotNow { .. }), "{passing}");
        }
        for lasting in ["mempool-script-verify-flag-failed (Witness program hash mismatch)", "dust", "tx-size"] {
            assert!(matches!(rejected(lasting), ChainError::Refused { .. }), "{lasting}");
        }
    }

    #[test]
    fn a_coin_that_cannot_be_read_is_an_error() {
        assert!(coins(&["00".to_owned()]).is_err());
        assert!(coins(&[format!("{}:1", "ab".repeat(32))]).is_ok_and(|coins| coins.len() == 1));
    }

    #[test]
    fn a_timelock_is_whole_seconds_that_bitcoin_can_hold() {
        assert_eq!(timelock(ChainTime::from_secs(1_748_736_000)).ok(), Some(1_748_736_000));
        assert!(timelock(ChainTime(1_748_736_000_001)).is_err());
        assert!(timelock(ChainTime::from_secs(1 << 32)).is_err());
    }
}
