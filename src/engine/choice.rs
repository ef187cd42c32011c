//! The choice among orders: the maker's, when a waiting period is over, and the taker's look at whether it was a fair one.
//!
//! A round is what waits under one offer until one moment. It is decided at once and for good: the signed decision and what it is to
//! each order are one write. A round with sealed orders is closed first: its orders are signed before any of them is shown.

use super::Engine;
use super::accept::AcceptSettings;
use super::received::NOT_REVEALED;
use crate::api::{Direction, OrderAnswer, OrderChoice, OrderState};
use crate::error::ApiError;
use crate::store::{Decided, OrderInRound, OrderRow};
use std::collections::{BTreeMap, BTreeSet};
use swap_contract::amount::{Sats, Units};
use swap_contract::bytes::{OfferId, OrderId};
use swap_contract::document::{
    Account, Acknowledgement, Beacon, Closing, Considered, Contract, Decision, DocumentError, Misdeed, Signed, Verdict, needs_draw,
};
use swap_contract::port::SwapKeys;
use swap_contract::time::{ChainTime, Span, UnixTime};
use tracing::{debug, info, warn};

/// Swaps that are open or on offer, by counterparty.
#[derive(Default)]
struct Open(BTreeMap<Account, u32>);

impl Open {
    fn add(&mut self, taker: Account) {
        let with_it = self.0.entry(taker).or_default();
        *with_it = with_it.saturating_add(1);
    }

    /// Why there may not be one more, if so.
    fn is_full(&self, taker: &Account, accept: &AcceptSettings) -> Option<String> {
        let (with_it, all) = (self.0.get(taker).copied().unwrap_or_default(), self.0.values().sum::<u32>());
        if accept.max_open_each.is_some_and(|most| with_it >= most) {
            return Some(format!("{with_it} swaps with this taker are open, and no more are accepted"));
        }
        accept.max_open.is_some_and(|most| all >= most).then(|| format!("{all} swaps are open, and no more are accepted"))
    }
}

/// The orders of a round.
#[derive(Default)]
struct Round {
    shown: Vec<OrderRow>,
    sealed: Vec<OrderId>,
}

impl Engine {
    /// The maker's side: lets go of contracts that were not countersigned in time, and decides rounds that are over. Says how many
    /// orders there were.
    pub(super) async fn decide(&self) -> Result<usize, ApiError> {
        let _guard = self.market_lock().await;
        let received = self.pending(Direction::Received).await?;
        let sealed = self.store().sealed_orders().await?;
        let count = received.len().saturating_add(sealed.len());
        let now = self.now();
        let mut rounds: BTreeMap<(OfferId, UnixTime), Round> = BTreeMap::new();
        for row in received {
            let id = row.id;
            match row.state {
                OrderState::Waiting if row.decide_at <= now => {
                    rounds.entry((row.signed.document.offer, row.decide_at)).or_default().shown.push(row);
                }
                OrderState::Offered if is_late(&row, now, self.policy().clock_skew) => {
                    let states = (OrderState::Offered, OrderState::Expired);
                    self.move_order(&id, states, Some("not countersigned in time"), None).await?;
                }
                OrderState::Waiting
                | OrderState::Offered
                | OrderState::Agreed
                | OrderState::Refused
                | OrderState::Expired
                | OrderState::Cancelled => {}
            }
        }
        for row in sealed {
            let (offer, decide_at) = row.round();
            if decide_at <= now {
                rounds.entry((offer, decide_at)).or_default().sealed.push(row.signed.document.order);
            }
        }
        let mut undecided = BTreeSet::new();
        for ((offer, decide_at), round) in rounds {
            // What a round leaves over is the next one's.
            if undecided.contains(&offer) {
                continue;
            }
            match self.decide_round(offer, decide_at, &round).await {
                Ok(true) => {}
                Ok(false) => drop(undecided.insert(offer)),
                Err(failure) => {
                    debug!(%offer, %failure, "cannot decide yet");
                    undecided.insert(offer);
                }
            }
        }
        Ok(count)
    }

    /// Decides a round, unless sealed orders may still be revealed, or what it is drawn by is not known yet.
    async fn decide_round(&self, id: OfferId, decide_at: UnixTime, round: &Round) -> Result<bool, ApiError> {
        if !round.sealed.is_empty() && !self.is_over(self.close(id, decide_at, round).await?) {
            return Ok(false);
        }
        let rows = round.shown.as_slice();
        let stored = self.store().offer(&id).await?.ok_or(ApiError::NotFound { what: "offer" })?;
        let offer = &stored.signed.document;
        let available = Units(offer.max.0.saturating_sub(stored.taken));
        let now = self.now();
        let mut orders: Vec<Considered> = rows.iter().map(considered).collect();
        for (row, considered) in rows.iter().zip(&mut orders) {
            if stored.cancelled {
                considered.refuse("the offer was taken back");
            } else if row.signed.document.expires_at <= now {
                considered.refuse("the order expired");
            } else if let Some(reason) = self.0.accept.refusal(row) {
                considered.refuse(&reason);
            }
        }
        orders.extend(round.sealed.iter().map(|order| Considered::unrevealed(*order, offer)));
        let beacon = match needs_draw(available, &orders) {
            true => match self.chains().beta.first_final_block(ChainTime::from_secs(decide_at.0)).await? {
                Some((height, hash)) => Some(Beacon { height: height.0, hash }),
                None => return Ok(false),
            },
            false => None,
        };
        // Whoever turns out not to be acceptable makes room for those behind, and changes nothing for those before.
        let mut contracts = BTreeMap::new();
        let decision = loop {
            let decision = Decision::make(offer, decide_at, available, beacon, orders.clone());
            match self.draw_up_all(rows, &decision, &mut contracts).await? {
                None => break decision,
                Some((id, reason)) => orders.iter_mut().filter(|order| order.order == id).for_each(|order| order.refuse(&reason)),
            }
        };
        let decided = answers(&decision, contracts);
        let signed = Signed { signature: self.keys().sign(&decision), document: decision };
        let what = if decided.iter().any(|one| one.answer.is_ok()) { "order.offered" } else { "order.refused" };
        self.keep(what, self.store().decide_orders(&signed, &decided)).await?;
        for Decided { id, answer } in &decided {
            match answer {
                Ok(contract) => info!(order = %id, contract = %contract.document.id(), "contract offered"),
                Err(reason) => info!(order = %id, reason, "order refused"),
            }
        }
        Ok(true)
    }

    /// Signs which orders a round has, once. Says when that was.
    async fn close(&self, offer: OfferId, decide_at: UnixTime, round: &Round) -> Result<UnixTime, ApiError> {
        if let Some(at) = self.store().round(&offer, decide_at).await?.closed_at {
            return Ok(at);
        }
        let shown = round.shown.iter().map(|row| row.id);
        let orders = shown.chain(round.sealed.iter().copied()).collect();
        let (document, now) = (Closing { network: self.rules().network, offer, decide_at, orders }, self.now());
        let signed = Signed { signature: self.keys().sign(&document), document };
        self.keep("closing", self.store().keep_closing(&signed, now)).await?;
        debug!(%offer, sealed = round.sealed.len(), "a round is closed: what is sealed may be revealed");
        Ok(now)
    }

    /// Contracts for all that are chosen, besides those that were drawn up already. Says for whom first there can be none, and why.
    async fn draw_up_all(
        &self,
        rows: &[OrderRow],
        decision: &Decision,
        contracts: &mut BTreeMap<OrderId, Signed<Contract>>,
    ) -> Result<Option<(OrderId, String)>, ApiError> {
        let (mut sats, mut units, mut open) = (Sats(0), Units(0), self.open_with().await?);
        let chosen = decision.orders.iter().filter(|order| order.verdict == Verdict::Chosen);
        for considered in chosen {
            let Some(row) = rows.iter().find(|row| row.id == considered.order) else { continue };
            let taker = row.signed.document.delegate;
            if let Some(reason) = open.is_full(&taker, &self.0.accept) {
                return Ok(Some((considered.order, reason)));
            }
            open.add(taker);
            sats.0 = sats.0.saturating_add(considered.price.cost(considered.amount).unwrap_or_default().0);
            units.0 = units.0.saturating_add(considered.amount.0);
            if contracts.contains_key(&considered.order) {
                continue;
            }
            match self.draw_up(row, sats, units).await {
                Ok(contract) => drop(contracts.insert(considered.order, contract)),
                Err(failure) if failure.is_passing() => return Err(failure),
                Err(reason) => return Ok(Some((considered.order, reason.to_string()))),
            }
        }
        Ok(None)
    }

    /// With whom swaps are open, and to whom contracts are on offer.
    async fn open_with(&self) -> Result<Open, ApiError> {
        let (mut open, accept) = (Open::default(), &self.0.accept);
        if accept.max_open.is_none() && accept.max_open_each.is_none() {
            return Ok(open);
        }
        for stored in self.store().open_swaps().await? {
            let contract = stored.swap.contract();
            open.add(if contract.maker == self.account() { contract.taker } else { contract.maker });
        }
        let received = self.pending(Direction::Received).await?;
        received.iter().filter(|row| row.state == OrderState::Offered).for_each(|row| open.add(row.signed.document.delegate));
        Ok(open)
    }

    /// A contract for an order, if this party's funds cover it and those before it in the round.
    async fn draw_up(&self, row: &OrderRow, sats: Sats, units: Units) -> Result<Signed<Contract>, ApiError> {
        let rules = self.rules();
        self.check_funds(row.offer.gives, sats, units).await?;
        let salt = self.fresh_salt();
        let alpha_now = self.alpha_tip()?.time;
        let hashlock = self.keys().preimage(&salt).hashlock();
        let key = self.keys().alpha_key(&salt);
        let contract = Contract::draw_up(&row.offer, &row.signed.document, key, hashlock, salt, alpha_now, &rules)?;
        Ok(Signed { signature: self.keys().sign(&contract), document: contract })
    }

    /// What the maker has signed about an order: the choice it was part of. Whoever asks can repeat it.
    pub async fn order_choice(&self, id: OrderId) -> Result<OrderChoice, ApiError> {
        let found = self.store().order_in_round(&id).await?;
        let OrderInRound { order, closing, decision } = found.ok_or(ApiError::NotFound { what: "order" })?;
        Ok(OrderChoice { acknowledgement: order.acknowledgement, closing, decision })
    }

    /// The taker's side: keeps what the maker has signed about an order, if it is right. Trade does not depend on it: what is agreed
    /// on is in the contract.
    pub(super) async fn note_choice(&self, row: &OrderRow, answer: &OrderAnswer) -> Result<(), ApiError> {
        let order = row.id;
        let mut acknowledged = row.acknowledgement.as_ref().map(|signed| signed.document.clone());
        if let (None, Some(signed)) = (&acknowledged, &answer.acknowledgement) {
            match signed.verify(&row.offer, &order, &self.rules()) {
                Ok(document) => {
                    self.store().acknowledge_order(signed).await?;
                    acknowledged = Some(document.clone());
                }
                Err(reason) => warn!(%order, %reason, "the maker's acknowledgement is none"),
            }
        }
        let Some(acknowledged) = acknowledged else { return Ok(()) };
        match answer.closing.as_ref().map(|signed| (signed, signed.verify(&row.offer, &acknowledged))) {
            Some((signed, Ok(_))) => self.keep("closing", self.store().keep_closing(signed, self.now())).await?,
            Some((_, Err(reason))) => warn!(%order, %reason, "the maker has not closed the round as it has to"),
            None => {}
        }
        let Some(signed) = &answer.decision else { return Ok(()) };
        match self.check_decision(row, &acknowledged, signed, answer.state).await {
            Ok(()) => Ok(self.store().keep_decision(signed).await?),
            Err(failure) if failure.is_passing() => Err(failure),
            Err(reason) => {
                warn!(%order, %reason, "the maker has not chosen as it has to");
                self.accuse(row, signed).await?;
                Ok(())
            }
        }
    }

    /// Keeps and passes on what proves that a maker has cheated, if its own signatures do.
    async fn accuse(&self, row: &OrderRow, decision: &Signed<Decision>) -> Result<(), ApiError> {
        let (maker, mut proofs) = (row.offer.delegate, Vec::new());
        if let Some(acknowledgement) = self.store().order(&row.id).await?.and_then(|row| row.acknowledgement) {
            let (acknowledgement, decision) = (Box::new(acknowledgement), Box::new(decision.clone()));
            proofs.push(Misdeed::OrderLeftOut { maker, acknowledgement, decision });
        }
        let Decision { offer, decide_at, .. } = &decision.document;
        let kept = self.store().round(offer, *decide_at).await?;
        if let Some(closing) = kept.closing {
            proofs.push(Misdeed::RoundChanged { maker, closing: Box::new(closing), decision: Box::new(decision.clone()) });
        }
        if let Some(one) = kept.decision {
            proofs.push(Misdeed::TwoDecisions { maker, one: Box::new(one), other: Box::new(decision.clone()) });
        }
        for proof in proofs.iter().filter(|proof| proof.check(&self.rules().network).is_ok()) {
            self.learn(proof, true).await?;
        }
        Ok(())
    }

    async fn check_decision(
        &self,
        row: &OrderRow,
        acknowledged: &Acknowledgement,
        signed: &Signed<Decision>,
        state: OrderState,
    ) -> Result<(), ApiError> {
        let unfair = |reason: &str| Err(DocumentError::Mismatch { field: "decision", reason: reason.into() }.into());
        let decision = signed.verify(&row.offer)?;
        if decision.decide_at != acknowledged.decide_at {
            return unfair("it is about another round");
        }
        if decision.leaves_out(acknowledged) {
            return unfair("it leaves this order out, or counts another reputation than it was acknowledged with");
        }
        let kept = self.store().round(&decision.offer, decision.decide_at).await?;
        if kept.closing.is_some_and(|signed| signed.document.is_broken_by(decision)) {
            return unfair("it is on other orders than those that the round was closed with");
        }
        if kept.decision.is_some_and(|signed| signed.document != *decision) {
            return unfair("the maker has signed another decision about the same round");
        }
        let is_chosen = decision.verdict(&acknowledged.order) == Some(&Verdict::Chosen);
        match state {
            OrderState::Offered | OrderState::Agreed if !is_chosen => {
                return unfair("it offers a contract to an order that was not chosen");
            }
            OrderState::Refused if is_chosen => return unfair("it refuses an order that was chosen"),
            OrderState::Waiting
            | OrderState::Offered
            | OrderState::Agreed
            | OrderState::Refused
            | OrderState::Expired
            | OrderState::Cancelled => {}
        }
        let Some(beacon) = decision.beacon else { return Ok(()) };
        match self.chains().beta.first_final_block(ChainTime::from_secs(decision.decide_at.0)).await? {
            Some((height, hash)) if (height.0, hash) == (beacon.height, beacon.hash) => Ok(()),
            Some((height, _)) => unfair(&format!("it was to be drawn by block {}", height.0)),
            // This node is behind.
            None => Err(ApiError::Counterparty { reason: "drawn by a block that is not final here yet".into() }),
        }
    }
}

fn answers(decision: &Decision, mut contracts: BTreeMap<OrderId, Signed<Contract>>) -> Vec<Decided> {
    let answer = |order: &Considered, contract: Option<Signed<Contract>>| match (&order.verdict, contract) {
        (Verdict::Chosen, Some(contract)) => Ok(contract),
        (Verdict::Refused(reason), _) => Err(reason.clone()),
        (Verdict::Unrevealed, _) => Err(NOT_REVEALED.into()),
        (Verdict::Chosen | Verdict::Outranked, _) => Err("other orders came first, by their price or by the draw".into()),
    };
    decision.orders.iter().map(|order| Decided { id: order.order, answer: answer(order, contracts.remove(&order.order)) }).collect()
}

/// An order as it was acknowledged.
fn considered(row: &OrderRow) -> Considered {
    Considered::acceptable(&row.signed.document, row.reputation())
}

fn is_late(row: &OrderRow, now: UnixTime, skew: Span) -> bool {
    row.contract.as_ref().is_none_or(|contract| contract.document.countersign_by.plus(skew) < now)
}
