//! Orders as they come in: open ones, sealed ones, and sealed ones that are revealed. Each is in one round, which the maker names by its
//! signature, and sent twice it counts once.

use super::Engine;
use super::market::MAX_WAITING;
use crate::api::{Direction, OfferState, OrderAnswer, OrderState, PlaceOrder, SealOrder};
use crate::error::ApiError;
use crate::store::{OfferRow, OrderInRound, OrderRow, SealedRow, SignedRound};
use swap_contract::bytes::OrderId;
use swap_contract::document::{Account, Acknowledgement, DocumentError, Order, SealedOrder, Signed};
use swap_contract::time::UnixTime;
use tracing::info;

/// A sealed order is taken in as long as fewer than so many wait: it costs its sender even less than an open one, for which there is
/// room left.
const MAX_SEALED: usize = MAX_WAITING / 2;
/// What becomes of a sealed order whose taker is silent.
pub(super) const NOT_REVEALED: &str = "not revealed in time";

impl Engine {
    /// An order of a taker arrives, or what a sealed one holds. Sent twice, it counts once.
    pub async fn order_place(&self, place: PlaceOrder) -> Result<OrderAnswer, ApiError> {
        let id = place.signed.document.id();
        if !place.receipts.is_empty()
            && let Some(row) = self.store().offer(&place.signed.document.offer).await?
            && self.store().order(&id).await?.is_none()
            && place.signed.verify(&row.signed.document, &self.rules()).is_ok()
        {
            self.hear_receipts(&place.signed.document.delegate, &place.receipts).await?;
        }
        let _guard = self.market_lock().await;
        if self.store().order(&id).await?.is_some() {
            return self.order_answer(id).await;
        }
        let rules = self.rules();
        let row = self.store().offer(&place.signed.document.offer).await?.ok_or(ApiError::NotFound { what: "offer" })?;
        let offer = row.signed.document.clone();
        let order = place.signed.verify(&offer, &rules)?;
        let sealed = self.store().sealed_order(&id).await?;
        if let Some(sealed) = &sealed {
            self.check_reveal(sealed, order).await?;
        } else {
            let view = super::views::offer_view(&row, rules.now);
            if view.state != OfferState::Open || order.amount > view.remaining {
                return Err(ApiError::WrongState { reason: format!("the offer is {:?}, {} units are left", view.state, view.remaining) });
            }
        }
        if let Some(hashlock) = &order.hashlock
            && self.store().hashlock_used(hashlock).await?
        {
            return Err(ApiError::DuplicateHashlock);
        }
        self.check_minimum(order.price.cost(order.amount).unwrap_or_default()).await?;
        let (acknowledgement, sealed) = match sealed {
            Some(sealed) => (sealed.acknowledgement, true),
            None => {
                // An owner signs for itself, and not for the delegate that it names.
                let taker = (order.owner == order.delegate).then_some(order.delegate);
                (self.acknowledge(&row, id, taker.as_ref(), MAX_WAITING).await?, false)
            }
        };
        let decide_at = acknowledgement.document.decide_at;
        let new = OrderRow::new(Direction::Received, id, offer, place.signed);
        let new = OrderRow { sealed, decide_at, acknowledgement: Some(acknowledgement), ..new };
        self.keep("order", self.store().insert_order(&new, rules.now)).await?;
        info!(order = %id, sealed, "order received");
        if !sealed {
            self.ask_for_word(&new);
        }
        self.order_answer(id).await
    }

    /// A sealed order of a taker arrives. Sent twice, it counts once.
    pub async fn order_seal(&self, seal: SealOrder) -> Result<OrderAnswer, ApiError> {
        let id = seal.signed.document.order;
        if !seal.receipts.is_empty()
            && let Some(row) = self.store().offer(&seal.signed.document.offer).await?
            && self.store().sealed_order(&id).await?.is_none()
            && seal.signed.verify(&row.signed.document, &self.rules()).is_ok()
        {
            self.hear_receipts(&seal.signed.document.delegate, &seal.receipts).await?;
        }
        let _guard = self.market_lock().await;
        if self.store().order(&id).await?.is_some() {
            return self.order_answer(id).await;
        }
        if let Some(kept) = self.store().sealed_order(&id).await? {
            return match kept.signed.document == seal.signed.document {
                true => self.order_answer(id).await,
                false => Err(ApiError::Replayed { what: "order" }),
            };
        }
        let rules = self.rules();
        let row = self.store().offer(&seal.signed.document.offer).await?.ok_or(ApiError::NotFound { what: "offer" })?;
        let offer = &row.signed.document;
        seal.signed.verify(offer, &rules)?;
        let view = super::views::offer_view(&row, rules.now);
        if view.state != OfferState::Open {
            return Err(ApiError::WrongState { reason: format!("the offer is {:?}", view.state).to_lowercase() });
        }
        let acknowledgement = self.acknowledge(&row, id, Some(&seal.signed.document.delegate), MAX_SEALED).await?;
        let sealed = SealedRow { signed: seal.signed, acknowledgement };
        // What expired is refused from then on: it need not be known again.
        let expired = UnixTime(rules.now.0.saturating_sub(rules.policy.clock_skew.0 / 1000));
        self.keep("order.sealed", self.store().insert_sealed_order(&sealed, rules.now, expired)).await?;
        info!(order = %id, "sealed order received");
        self.order_answer(id).await
    }

    /// What the maker says of an order.
    pub async fn order_answer(&self, id: OrderId) -> Result<OrderAnswer, ApiError> {
        let not_found = || ApiError::NotFound { what: "order" };
        let Some(OrderInRound { order, closing, decision }) = self.store().order_in_round(&id).await? else {
            return self.sealed_answer(self.store().sealed_order(&id).await?.ok_or_else(not_found)?).await;
        };
        if order.direction != Direction::Received {
            return Err(not_found());
        }
        let OrderRow { state, reason, acknowledgement, contract, .. } = order;
        Ok(OrderAnswer { state, reason, acknowledgement, sealed: false, closing, decision, contract })
    }

    async fn sealed_answer(&self, row: SealedRow) -> Result<OrderAnswer, ApiError> {
        let (offer, decide_at) = row.round();
        let SignedRound { closing, decision, .. } = self.store().round(&offer, decide_at).await?;
        let (state, reason) = match &decision {
            Some(_) => (OrderState::Refused, Some(NOT_REVEALED.to_owned())),
            None => (OrderState::Waiting, None),
        };
        let acknowledgement = Some(row.acknowledgement);
        Ok(OrderAnswer { state, reason, acknowledgement, sealed: true, closing, decision, contract: None })
    }

    /// Whether an order is what was sealed, and in time.
    async fn check_reveal(&self, sealed: &SealedRow, order: &Order) -> Result<(), ApiError> {
        if sealed.signed.document != SealedOrder::of(order) {
            return Err(DocumentError::Mismatch { field: "order", reason: "it was sealed as another".into() }.into());
        }
        let (offer, decide_at) = sealed.round();
        let SignedRound { closed_at, decision, .. } = self.store().round(&offer, decide_at).await?;
        let late = closed_at.is_some_and(|at| self.is_over(at));
        if decision.is_some() || late { Err(ApiError::WrongState { reason: NOT_REVEALED.into() }) } else { Ok(()) }
    }

    /// Whether the time to reveal is over in a round that was closed at a moment. An engine that was off takes no time from anybody.
    pub(super) fn is_over(&self, closed_at: UnixTime) -> bool {
        closed_at.max(self.0.started_at).plus(self.policy().order_reveal_within) < self.now()
    }

    /// This maker's word on an order, with what the reputation of a taker counts that signs for itself, if fewer than so many wait under
    /// the offer, and under all offers ten times as many. It is never in a round that has been closed or drawn already, or may have been.
    async fn acknowledge(
        &self,
        offer: &OfferRow,
        order: OrderId,
        taker: Option<&Account>,
        most: usize,
    ) -> Result<Signed<Acknowledgement>, ApiError> {
        let (offer, period) = (offer.id, offer.signed.document.waiting_period);
        let waiting = self.store().waiting().await?;
        let same: Vec<UnixTime> = waiting.iter().filter(|(of, _)| *of == offer).map(|(_, decide_at)| *decide_at).collect();
        if same.len() >= most || waiting.len() >= most * 10 {
            return Err(ApiError::TooMany { what: "waiting orders" });
        }
        let now = self.now();
        let last = self.store().last_round(&offer).await?;
        // The period runs from the first order on, for all of them.
        let running = same.iter().copied().filter(|decide_at| *decide_at > now && Some(*decide_at) > last).min();
        let over = same.iter().copied().filter(|decide_at| *decide_at <= now).chain(last).max();
        let next = over.map_or(UnixTime(0), |over| UnixTime(over.0.saturating_add(1)));
        let decide_at = running.unwrap_or(now.plus(period).max(next));
        let reputation = match taker {
            Some(taker) => self.counted(taker).await?,
            None => 0,
        };
        let document = Acknowledgement { network: self.rules().network, offer, order, decide_at, reputation };
        Ok(Signed { signature: self.keys().sign(&document), document })
    }
}
