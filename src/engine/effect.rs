//! One step of a swap on its chain: signed, handed back to be stored, then sent.

use super::SwapChain;
use super::keys::Keys;
use crate::store::OutboxRow;
use std::sync::Arc;
use swap_contract::event::{Action, Step};
use swap_contract::leg::{Side, TxRef};
use swap_contract::port::{ChainError, FeeRate, HtlcOp, LegTerms, OpKind, Redeem, SignedTx, SwapKeys};
use swap_contract::swap::Swap;
use swap_contract::time::Clocks;

/// Confirmation targets in blocks, for fee estimates.
const FUND_TARGET: u16 = 3;
const EXIT_TARGET: u16 = 2;
/// A replacement pays at least this much more: one satoshi per virtual byte, the usual incremental relay fee (BIP-125).
const BUMP: u64 = 250;

/// A step to take.
pub(super) struct Job {
    action: Action,
    op: HtlcOp,
    /// The same step as it was sent before.
    stored: Option<(SignedTx, FeeRate)>,
    max_rate: FeeRate,
}

/// What came of it.
pub(super) enum Effect {
    /// Signed, not sent: to be stored first.
    Prepared(Prepared),
    /// The chain's node has it.
    Sent { step: Step, tx: TxRef },
    /// It did not get through.
    Failed { step: Step, failure: ChainError },
}

/// A signed step.
pub(super) struct Prepared {
    pub(super) action: Action,
    pub(super) tx: SignedTx,
    pub(super) fee_rate: FeeRate,
}

/// Builds the job for an action. `None` when the machine's state does not carry what the step needs; it then is not wanted.
pub(super) fn job(swap: &Swap, action: Action, clocks: &Clocks, row: Option<&OutboxRow>, keys: &Keys) -> Option<Job> {
    let contract = swap.contract();
    let salt = contract.salt_of(&keys.account());
    let side = action.step.side();
    let terms = match side {
        Side::Alpha => LegTerms::Alpha(contract.alpha_terms()),
        Side::Beta => LegTerms::Beta(contract.beta_terms()),
    };
    let htlc = || swap.leg(side).funding().map(|funding| funding.htlc.clone());
    let kind = match action.step {
        Step::FundAlpha | Step::FundBeta => OpKind::Fund { refund_after: action.refund_after? },
        Step::RefundAlpha | Step::RefundBeta => OpKind::Refund { htlc: htlc()? },
        Step::RedeemBeta => {
            let permit = swap.reveal_permit(action.step, clocks)?;
            OpKind::Redeem(Redeem::new(permit, htlc()?, keys.preimage(&salt)).ok()?)
        }
        Step::RedeemAlpha => {
            let permit = swap.reveal_permit(action.step, clocks)?;
            OpKind::Redeem(Redeem::new(permit, htlc()?, swap.public_preimage()?.clone()).ok()?)
        }
    };
    let stored = row.filter(|row| !row.bytes.is_empty()).map(|row| {
        let tx = SignedTx {
            side,
            id: row.tx.clone(),
            bytes: row.bytes.clone(),
            fee: row.fee,
            size: row.size,
            inputs: row.inputs.clone(),
            durable: true,
        };
        (tx, FeeRate(row.fee_rate))
    });
    let max_rate = FeeRate::from_sat_per_vb(contract.policy().max_fee_rate);
    Some(Job { action, op: HtlcOp { terms, salt, kind, fee_rate: FeeRate(0) }, stored, max_rate })
}

/// Signs the step, or sends again what was signed before. An exit whose fee rate has fallen behind is signed anew.
pub(super) async fn run(chain: Arc<dyn SwapChain>, mut job: Job, reserved: Vec<String>) -> Effect {
    let step = job.action.step;
    let target = match step {
        Step::FundAlpha | Step::FundBeta => FUND_TARGET,
        Step::RedeemBeta | Step::RedeemAlpha | Step::RefundAlpha | Step::RefundBeta => EXIT_TARGET,
    };
    let rate = match chain.fee_rate(target).await {
        Ok(rate) => rate.min(job.max_rate),
        Err(failure) => return Effect::Failed { step, failure },
    };
    if let Some((tx, paid)) = job.stored {
        let may_bump = match step {
            Step::RedeemAlpha | Step::RefundAlpha => true,
            Step::FundAlpha | Step::FundBeta | Step::RedeemBeta | Step::RefundBeta => false,
        };
        if !may_bump || rate.0 < paid.0 + BUMP {
            return send(chain, step, tx).await;
        }
    }
    job.op.fee_rate = rate;
    match chain.prepare(&job.op, &reserved).await {
        Ok(tx) => Effect::Prepared(Prepared { action: job.action, tx, fee_rate: rate }),
        Err(failure) => Effect::Failed { step, failure },
    }
}

/// Sends what is stored.
pub(super) async fn send(chain: Arc<dyn SwapChain>, step: Step, tx: SignedTx) -> Effect {
    match chain.broadcast(&tx).await {
        Ok(tx) => Effect::Sent { step, tx },
        Err(failure) => Effect::Failed { step, failure },
    }
}
