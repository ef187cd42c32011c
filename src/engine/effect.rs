//! One step of a swap on its chain: signed, handed back to be stored, then sent. What it pays is decided anew at every try.

use super::SwapChain;
use super::host::{Deed, Host, Moment};
use super::keys::Keys;
use crate::store::OutboxRow;
use std::sync::Arc;
use swap_contract::amount::Sats;
use swap_contract::event::{Action, Step};
use swap_contract::fees::{Exit, funding_ceiling, rate_of};
use swap_contract::leg::TxRef;
use swap_contract::policy::Policy;
use swap_contract::port::{ChainError, FeeRate, HtlcOp, OpKind, QuoteFor, Redeem, SignedTx, SwapKeys};
use swap_contract::swap::Swap;
use swap_contract::time::{ChainTime, Clocks};

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
    stored: Option<Stored>,
    price: Pricing,
}

struct Stored {
    tx: SignedTx,
    paid: FeeRate,
}

/// What decides about the fee.
enum Pricing {
    /// The chain sets it.
    Fixed,
    /// A funding of this value: the estimate, unless that is more than the funding is worth.
    Funding(Sats, &'static Policy),
    /// An exit, at this time of its chain's clock.
    Exit(Exit, ChainTime, &'static Policy),
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
    let terms = swap.terms(side);
    let htlc = || swap.leg(side).funding().map(|funding| funding.htlc.clone());
    let kind = match action.step {
        Step::FundAlpha | Step::FundBeta => OpKind::Fund { refund_after: action.refund_after?, replaces: None },
        Step::RefundAlpha | Step::RefundBeta => OpKind::Refund { htlc: htlc()? },
        Step::RedeemBeta => {
            let permit = swap.reveal_permit(action.step, clocks)?;
            // What is public is shown by anybody; what is not, by who can derive it.
            let preimage = swap.public_preimage().cloned().unwrap_or_else(|| keys.preimage(&salt));
            OpKind::Redeem(Redeem::new(permit, htlc()?, preimage).ok()?)
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
        Stored { tx, paid: FeeRate(row.fee_rate) }
    });
    let policy = contract.policy();
    let price = match (action.step, swap.exit(action.step)) {
        (Step::FundAlpha, _) => Pricing::Funding(contract.alpha_amount(), policy),
        (_, Some(exit)) => Pricing::Exit(exit, clocks.alpha.time, policy),
        (Step::FundBeta | Step::RedeemBeta | Step::RedeemAlpha | Step::RefundAlpha | Step::RefundBeta, None) => Pricing::Fixed,
    };
    Some(Job { action, op: HtlcOp { terms, salt, kind, fee_rate: FeeRate(0) }, stored, price })
}

/// Signs the step, or sends again what was signed before. What falls behind the fee it should pay is signed anew, and so is an
/// exit that its node does not take as it is (a reorg moved the HTLC, the mempool's floor rose). A rate never falls. Whatever
/// fails on the way, what is stored is sent.
pub(super) async fn run(chain: Arc<dyn SwapChain>, mut job: Job, reserved: Vec<String>, host: Arc<dyn Host>) -> Effect {
    let step = job.action.step;
    let rate = rate(&chain, &job).await;
    let Some(Stored { tx: old, paid }) = job.stored.take() else {
        return match sign(&chain, job, rate, &reserved).await {
            Ok(new) => Effect::Prepared(new),
            Err(failure) => Effect::Failed { step, failure },
        };
    };
    let outbid = rate.as_ref().is_ok_and(|rate| rate.0 >= paid.0.saturating_add(BUMP));
    if !outbid {
        let sent = send(chain.clone(), step, old.clone(), host.clone()).await;
        if matches!(job.price, Pricing::Funding(..)) || !sent.is_turned_down() {
            return sent;
        }
    }
    if let OpKind::Fund { replaces, .. } = &mut job.op.kind {
        *replaces = Some(old.bytes.clone());
    }
    match sign(&chain, job, rate.map(|rate| rate.max(paid)), &reserved).await {
        Ok(new) if new.tx.bytes != old.bytes => Effect::Prepared(new),
        Ok(_) | Err(_) => send(chain, step, old, host).await,
    }
}

/// What the step should pay now.
async fn rate(chain: &Arc<dyn SwapChain>, job: &Job) -> Result<FeeRate, ChainError> {
    let (target, value, what) = match &job.price {
        Pricing::Fixed => return chain.fee_rate(EXIT_TARGET).await,
        Pricing::Funding(value, _) => (FUND_TARGET, *value, QuoteFor::Fund),
        Pricing::Exit(exit, ..) => {
            let what = if matches!(job.op.kind, OpKind::Redeem(_)) { QuoteFor::Redeem } else { QuoteFor::Refund };
            (EXIT_TARGET, exit.value, what)
        }
    };
    let estimate = chain.fee_rate(target).await?;
    let vsize = match &job.stored {
        Some(stored) => stored.tx.size,
        None => chain.quote(what, value.0).await?.size,
    };
    Ok(match &job.price {
        Pricing::Fixed => estimate,
        Pricing::Funding(value, policy) => estimate.min(funding_ceiling(*value, vsize, policy)),
        Pricing::Exit(exit, now, policy) => exit.rate(estimate, vsize, *now, policy),
    })
}

async fn sign(
    chain: &Arc<dyn SwapChain>,
    mut job: Job,
    rate: Result<FeeRate, ChainError>,
    reserved: &[String],
) -> Result<Prepared, ChainError> {
    job.op.fee_rate = rate?;
    let tx = chain.prepare(&job.op, reserved).await?;
    // The node may ask for more than it was to be: what counts is what it pays.
    let fee_rate = job.op.fee_rate.max(rate_of(Sats(tx.fee), tx.size));
    Ok(Prepared { action: job.action, tx, fee_rate })
}

/// Sends what is stored.
pub(super) async fn send(chain: Arc<dyn SwapChain>, step: Step, tx: SignedTx, host: Arc<dyn Host>) -> Effect {
    host.pass(Moment::Before(Deed::Send(step))).await;
    let sent = chain.broadcast(&tx).await;
    host.pass(Moment::After(Deed::Send(step))).await;
    match sent {
        Ok(tx) => Effect::Sent { step, tx },
        Err(failure) => Effect::Failed { step, failure },
    }
}
