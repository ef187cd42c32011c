//! What the API shows of swaps, made from what is stored and where the chains stand.

use super::accept::AcceptSettings;
use super::driver::Tips;
use crate::api::{Direction, LegView, LegWord, OfferState, OfferView, OrderState, OrderView, StepView, SwapView, TxView};
use crate::store::{OfferRow, OrderRow, OutboxRow, StoredSwap};
use std::collections::BTreeMap;
use swap_contract::amount::{Sats, Units};
use swap_contract::document::Role;
use swap_contract::event::Step;
use swap_contract::leg::{Inclusion, LegStatus, Side, TxRef};
use swap_contract::port::FeeRate;
use swap_contract::swap::Swap;
use swap_contract::time::{ChainTime, Clocks, Height, Tip, UnixTime};

/// Clocks for display: a chain that has not been seen yet stands at zero.
pub(super) fn clocks(tips: &Tips, now: UnixTime) -> Clocks {
    let unseen = Tip { height: Height(0), time: ChainTime(0), final_height: Height(0), healthy: false };
    Clocks { alpha: tips.0.unwrap_or(unseen), beta: tips.1.unwrap_or(unseen), now }
}

pub(super) fn swap_view(stored: &StoredSwap, clocks: &Clocks, tries: Option<&BTreeMap<Step, StepView>>) -> SwapView {
    let swap = &stored.swap;
    let contract = swap.contract();
    // A watcher sees the swap with its owner's eyes.
    let maker = contract.maker == *contract.party(swap.role());
    let steps = stored.outbox.iter().map(|row| {
        let tried = tries.and_then(|tries| tries.get(&row.step)).cloned();
        priced(tried.unwrap_or_else(|| StepView::untried(row.step, row.tx.clone())), row, swap)
    });
    let unstored = tries.into_iter().flatten().filter(|(step, _)| stored.outbox.iter().all(|row| row.step != **step));
    SwapView {
        id: swap.id(),
        role: swap.role(),
        maker,
        counterparty: if maker { contract.taker } else { contract.maker },
        phase: swap.phase(clocks),
        outcome: swap.outcome(),
        alpha: leg_view(swap, Side::Alpha, &clocks.alpha, &stored.outbox),
        beta: leg_view(swap, Side::Beta, &clocks.beta, &stored.outbox),
        steps: steps.chain(unstored.map(|(_, view)| view.clone())).collect(),
        created_at: stored.created_at,
    }
}

/// A step with what it pays and may pay.
fn priced(view: StepView, row: &OutboxRow, swap: &Swap) -> StepView {
    let on_bitcoin = row.step.side() == Side::Alpha && row.size > 0;
    let exit = swap.exit(row.step).filter(|_| on_bitcoin);
    let policy = swap.contract().policy();
    StepView {
        fee: (row.fee > 0).then(|| row.fee.to_string()),
        fee_rate: on_bitcoin.then_some(row.fee_rate / FeeRate::from_sat_per_vb(1).0),
        fee_budget: exit.map(|exit| exit.budget(row.size, exit.deadline, policy)),
        deadline: exit.map(|exit| exit.deadline),
        ..view
    }
}

fn leg_view(swap: &Swap, side: Side, tip: &Tip, outbox: &[OutboxRow]) -> LegView {
    let contract = swap.contract();
    let leg = swap.leg(side);
    let (status, spend) = match leg {
        LegStatus::Unfunded => (LegWord::Unfunded, None),
        LegStatus::Funded(_) => (LegWord::Funded, None),
        LegStatus::Redeemed(_, spend) => (LegWord::Redeemed, Some(spend)),
        LegStatus::Refunded(_, spend) => (LegWord::Refunded, Some(spend)),
    };
    let mine = |redeemed: bool| match (side, redeemed) {
        (Side::Alpha, true) => Step::RedeemAlpha,
        (Side::Alpha, false) => Step::RefundAlpha,
        (Side::Beta, true) => Step::RedeemBeta,
        (Side::Beta, false) => Step::RefundBeta,
    };
    let fund_step = match side {
        Side::Alpha => Step::FundAlpha,
        Side::Beta => Step::FundBeta,
    };
    let (amount, agreed) = match side {
        Side::Alpha => (contract.alpha_amount().0, Some(contract.alpha_refund_after())),
        Side::Beta => (contract.beta.amount.0, swap.beta_timelock()),
    };
    LegView {
        side,
        amount,
        status,
        htlc: leg.funding().map(|funding| funding.htlc.clone()),
        refund_after: leg.funding().map(|funding| funding.refund_after).or(agreed),
        funding: leg.funding().map(|funding| tx_view(&funding.by, funding.at, tip, outbox, fund_step)),
        spending: spend.map(|spend| tx_view(&spend.by, spend.at, tip, outbox, mine(status == LegWord::Redeemed))),
    }
}

fn tx_view(id: &TxRef, at: Inclusion, tip: &Tip, outbox: &[OutboxRow], step: Step) -> TxView {
    // On TF Chain the name of an attempt is not that of the extrinsic that got through; the step is ours all the same.
    let own = outbox.iter().find(|row| row.step == step && (row.tx == *id || step.side() == Side::Beta));
    TxView {
        id: id.clone(),
        height: match at {
            Inclusion::Mempool => None,
            Inclusion::Block(height) => Some(height.0),
        },
        depth: at.depth(tip).0,
        is_final: at.is_final(tip),
        fee: own.map(|row| row.fee.to_string()),
        size: own.map(|row| row.size),
    }
}

pub(super) fn offer_view(row: &OfferRow, now: UnixTime) -> OfferView {
    let offer = &row.signed.document;
    let remaining = offer.max.0.saturating_sub(row.taken);
    let state = match () {
        () if row.cancelled => OfferState::Cancelled,
        () if offer.expires_at <= now => OfferState::Expired,
        () if remaining < offer.min.0 => OfferState::Filled,
        () => OfferState::Open,
    };
    OfferView { id: row.id, state, remaining: Units(remaining), signed: row.signed.clone() }
}

pub(super) fn order_view(row: &OrderRow, accept: &AcceptSettings) -> OrderView {
    let order = &row.signed.document;
    let is_waiting = (row.direction, row.state) == (Direction::Received, OrderState::Waiting);
    let sats = order.price.cost(order.amount).unwrap_or(Sats(0));
    OrderView {
        id: row.id,
        direction: row.direction,
        state: row.state,
        reason: row.reason.clone(),
        offer: order.offer,
        amount: crate::api::AmountPair { sats, units: order.amount },
        sealed: row.sealed,
        decide_at: Some(row.decide_at).filter(|decide_at| decide_at.0 > 0),
        swap: row.swap(),
        confirm: accept.confirm_state(row),
        outside: accept.outside(row).filter(|_| is_waiting),
    }
}

/// The money a swap still needs of its own: (satoshis, TFT units).
pub(super) fn still_to_fund(swap: &Swap) -> (u64, u64) {
    let step = match swap.role() {
        Role::Initiator => Step::FundAlpha,
        Role::Participant => Step::FundBeta,
    };
    if swap.is_restored() && !swap.has_attempted(step) {
        return (0, 0);
    }
    match (swap.role(), swap.leg(Side::Alpha), swap.leg(Side::Beta)) {
        (Role::Initiator, LegStatus::Unfunded, _) => (swap.contract().alpha_amount().0, 0),
        (Role::Participant, _, LegStatus::Unfunded) => (0, swap.contract().beta.amount.0),
        (Role::Initiator | Role::Participant, _, _) => (0, 0),
    }
}
