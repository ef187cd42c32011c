//! Exits signed in advance, for somebody who holds no key: made here, and completed there.

use crate::node::Node;
use crate::send::{self, outpoint, refused, signed};
use bitcoin::FeeRate;
use bitcoin::Transaction;
use bitcoin::consensus::deserialize;
use htlc_bitcoin::{Refund, complete_redeem, complete_refund, presign_redeem, refund};
use swap_contract::bytes::Preimage;
use swap_contract::port::{ChainError, ExitKind, Presign, Presigned, SignedTx};

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
pub fn complete(exit: &Presigned<'_>, bytes: &[u8]) -> Result<SignedTx, ChainError> {
    let (htlc, at) = (send::htlc(exit.terms)?, outpoint(exit.htlc)?);
    let tx: Transaction = deserialize(bytes).map_err(|error| refused(&error))?;
    let done = match exit.exit {
        ExitKind::Redeem => complete_redeem(&htlc, at, exit.preimage.map(Preimage::expose), tx),
        ExitKind::Refund => complete_refund(&htlc, at, tx),
    };
    let done = done.map_err(|error| refused(&error))?;
    Ok(signed(&done.tx, done.fee))
}
