//! Exits signed in advance, for somebody who holds no key: made here, and completed there.

use crate::node::Node;
use crate::send::{self, outpoint, refused, signed};
use bitcoin::FeeRate;
use bitcoin::Transaction;
use bitcoin::consensus::deserialize;
use htlc_bitcoin::{Redeem, Refund, complete_redeem, complete_refund, presign_redeem, refund};
use swap_contract::port::{ChainError, ExitKind, HtlcOp, OpKind, Presign, SignedTx};

impl Node {
    /// Signs an exit that pays to this wallet. A redeem has no preimage yet.
    pub async fn presign(&self, exit: &Presign) -> Result<SignedTx, ChainError> {
        if let Err(error) = self.wallet.save_addresses_if_many().await {
            tracing::warn!(%error, "the bitcoin wallet could not be stored");
        }
        let (htlc, at) = (send::htlc(&exit.terms)?, outpoint(&exit.htlc)?);
        let rate = FeeRate::from_sat_per_kwu(exit.fee_rate.0);
        self.spend(&exit.terms, &exit.salt, |payout| match exit.exit {
            ExitKind::Redeem => presign_redeem(&htlc, at, payout, rate),
            ExitKind::Refund => refund(&[Refund { htlc: &htlc, outpoint: at }], payout, rate),
        })
    }
}

/// Reads an exit that was signed in advance, and puts the preimage in.
pub fn complete(op: &HtlcOp, presigned: &[u8]) -> Result<SignedTx, ChainError> {
    let htlc = send::htlc(&op.terms)?;
    let tx: Transaction = deserialize(presigned).map_err(|error| refused(&error))?;
    let done = match &op.kind {
        OpKind::Redeem(redeem) => {
            let (outpoint, preimage) = (outpoint(redeem.htlc())?, *redeem.preimage().expose());
            complete_redeem(&Redeem { htlc: &htlc, outpoint, preimage }, tx)
        }
        OpKind::Refund { htlc: at } => complete_refund(&Refund { htlc: &htlc, outpoint: outpoint(at)? }, tx),
        OpKind::Fund { .. } => return Err(refused(&"a funding is not signed in advance")),
    };
    let done = done.map_err(|error| refused(&error))?;
    Ok(signed(&done.tx, done.fee))
}
