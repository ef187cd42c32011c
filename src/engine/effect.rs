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

impl Effect {
    /// Whether the node has seen the bytes and does not take them as they are.
    fn is_turned_down(&self) -> bool {
        match self {
            Effect::Failed { failure: ChainError::NotNow { .. } | ChainError::Refused { .. }, .. } => true,
            Effect::Failed {
                failure: ChainError::Unavailable { .. } | ChainError::InsufficientFunds { .. } | ChainError::WrongNetwork { .. },
                ..
            }
            | Effect::Prepared(_)
            | Effect::Sent { .. } => false,
        }
    }
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

/// Signs the step, or sends again what was signed before. An exit whose fee rate has fallen behind, or that its node does not
/// take as it is (a reorg moved the HTLC, the mempool's floor rose), is signed anew. Whatever fails on the way, what is stored
/// is sent.
pub(super) async fn run(chain: Arc<dyn SwapChain>, mut job: Job, reserved: Vec<String>) -> Effect {
    let step = job.action.step;
    let (target, is_exit) = match step {
        Step::FundAlpha | Step::FundBeta => (FUND_TARGET, false),
        Step::RedeemBeta | Step::RedeemAlpha | Step::RefundAlpha | Step::RefundBeta => (EXIT_TARGET, true),
    };
    let rate = chain.fee_rate(target).await.map(|rate| rate.min(job.max_rate));
    let stored = job.stored.take();
    if let Some((tx, paid)) = &stored {
        let outbid = is_exit && rate.as_ref().is_ok_and(|rate| rate.0 >= paid.0 + BUMP);
        if !outbid {
            let sent = send(chain.clone(), step, tx.clone()).await;
            if !is_exit || !sent.is_turned_down() {
                return sent;
            }
        }
    }
    match (sign(&chain, job, rate, &reserved).await, stored) {
        (Ok(new), Some((old, _))) if new.tx.bytes == old.bytes => send(chain, step, old).await,
        (Ok(new), _) => Effect::Prepared(new),
        (Err(_), Some((old, _))) => send(chain, step, old).await,
        (Err(failure), None) => Effect::Failed { step, failure },
    }
}

async fn sign(
    chain: &Arc<dyn SwapChain>,
    mut job: Job,
    rate: Result<FeeRate, ChainError>,
    reserved: &[String],
) -> Result<Prepared, ChainError> {
    let fee_rate = rate?;
    job.op.fee_rate = fee_rate;
    let tx = chain.prepare(&job.op, reserved).await?;
    Ok(Prepared { action: job.action, tx, fee_rate })
}

/// Sends what is stored.
pub(super) async fn send(chain: Arc<dyn SwapChain>, step: Step, tx: SignedTx) -> Effect {
    match chain.broadcast(&tx).await {
        Ok(tx) => Effect::Sent { step, tx },
        Err(failure) => Effect::Failed { step, failure },
    }
}
