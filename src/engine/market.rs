//! From an offer to a doubly signed contract: the maker's waiting period and choice, the taker's order and countersignature.

use super::Engine;
use super::driver::Command;
use super::host::{Deed, Moment};
use crate::api::{Countersign, Direction, OfferState, OfferView, OrderAnswer, OrderState, OrderSubmit, OrderView, PlaceOrder, SealOrder};
use crate::bus::BusError;
use crate::error::ApiError;
use crate::store::{NewSwap, OrderRow};
use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use swap_contract::bytes::{OrderId, Salt};
use swap_contract::document::{Asset, Closing, Contract, MAX_CONSIDERED, Order, Role, SealedOrder, Signed, SignedContract, verify_party};
use swap_contract::port::SwapKeys;
use swap_contract::swap::Swap;
use tracing::{debug, info, warn};

/// How often waiting orders are looked at.
const TICK: Duration = Duration::from_millis(500);
/// Orders that may wait under one offer.
pub(super) const MAX_WAITING: usize = MAX_CONSIDERED;
/// Makers that are asked at the same time.
const CONCURRENT_CALLS: usize = 16;

/// Money that is not free.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    pub(super) sats: u64,
    pub(super) units: u64,
    /// Coins that open swaps spend.
    pub(super) inputs: Vec<String>,
}

impl Reserved {
    fn add(&mut self, sats: u64, units: u64) {
        self.sats = self.sats.saturating_add(sats);
        self.units = self.units.saturating_add(units);
    }
}

impl Engine {
    /// Takes a maker's offer: signs an order, stores it and sends it.
    pub async fn order_submit(&self, submit: OrderSubmit) -> Result<OrderView, ApiError> {
        let view: OfferView = self.call(&submit.reach, "offer.get", &crate::api::ById { id: submit.offer }).await?;
        let rules = self.rules();
        let offer = view.signed.verify(&rules)?.clone();
        if offer.id() != submit.offer || offer.reach != submit.reach {
            return Err(ApiError::Counterparty { reason: "it answered with another offer".into() });
        }
        if view.state != OfferState::Open {
            return Err(ApiError::WrongState { reason: format!("the offer is {:?}", view.state).to_lowercase() });
        }
        if self.is_caught(&offer.delegate).await? {
            let reason = format!("{} has signed two things that cannot both be: `twinswap misdeeds`", offer.delegate);
            return Err(ApiError::WrongState { reason });
        }
        let salt = self.fresh_salt();
        let gives = Order::gives(&offer);
        let order = Order {
            network: rules.network,
            owner: self.account(),
            delegate: self.account(),
            offer: submit.offer,
            amount: submit.amount,
            price: submit.price.unwrap_or(offer.price),
            alpha_key: self.keys().alpha_key(&salt),
            hashlock: (gives == Asset::Btc).then(|| self.keys().preimage(&salt).hashlock()),
            expires_at: rules.now.plus(rules.policy.order_lifetime),
            salt,
        };
        order.check(&offer, &rules)?;
        let sats = order.price.cost(order.amount).ok_or(ApiError::InvalidParams { field: "price", reason: "no cost".into() })?;
        self.check_minimum(sats).await?;
        let _guard = self.market_lock().await;
        self.check_funds(gives, sats, order.amount).await?;
        let signed = Signed { signature: self.keys().sign(&order), document: order };
        let id = signed.document.id();
        let new = OrderRow { reach: submit.reach, sealed: submit.sealed, ..OrderRow::new(Direction::Placed, id, offer, signed) };
        self.keep("order", self.store().insert_order(&new, rules.now)).await?;
        info!(order = %id, reach = new.reach, sealed = new.sealed, "order placed");
        match self.hand_in(&new).await {
            Ok(answer) => {
                if let Err(failure) = self.note_choice(&new, &answer).await {
                    debug!(order = %id, %failure, "the maker's word is not kept yet");
                }
            }
            Err(refused @ ApiError::CounterpartyRefused { .. }) => {
                let states = (OrderState::Waiting, OrderState::Refused);
                if self.move_order(&id, states, Some(&refused.to_string()), None).await? {
                    return Err(refused);
                }
                // The maker has made a contract of it meanwhile, whatever it says here: the order stands.
            }
            // It may have arrived; the order waits and is sent again.
            Err(failure) => warn!(order = %id, %failure, "the maker did not answer yet"),
        }
        self.order_get(id).await
    }

    /// The taker's signature arrives: the swap begins. Sent twice, it counts once.
    pub async fn contract_countersign(&self, countersign: Countersign) -> Result<OrderAnswer, ApiError> {
        let _guard = self.market_lock().await;
        let not_found = || ApiError::NotFound { what: "order" };
        let row = self.store().order(&countersign.order).await?.ok_or_else(not_found)?;
        let contract = match (row.direction, row.state, row.contract) {
            (Direction::Received, OrderState::Agreed, Some(_)) => return self.order_answer(countersign.order).await,
            (Direction::Received, OrderState::Offered, Some(contract)) => contract,
            (Direction::Received, state, _) => return Err(ApiError::WrongState { reason: format!("the order is {state:?}") }),
            (Direction::Placed, _, _) => return Err(not_found()),
        };
        if contract.document.id() != countersign.contract {
            return Err(ApiError::WrongState { reason: format!("the contract is {}", contract.document.id()) });
        }
        if contract.document.countersign_by.plus(self.policy().clock_skew) < self.now() {
            return Err(ApiError::WrongState { reason: "the contract was to be signed earlier".into() });
        }
        verify_party(&contract.document, &contract.document.taker, &countersign.signature)?;
        self.begin(countersign.order, contract, countersign.signature, true).await?;
        self.order_answer(countersign.order).await
    }

    /// The contract's signatures are this party's own and one that was verified when it came.
    async fn begin(
        &self,
        order: OrderId,
        contract: Signed<Contract>,
        taker: swap_contract::document::Signature,
        agreed: bool,
    ) -> Result<(), ApiError> {
        let signed = SignedContract { document: contract.document, maker: contract.signature, taker };
        let document = signed.document.clone();
        let role = document.role_of(&self.account()).ok_or(ApiError::WrongState { reason: "not a party".into() })?;
        let new = NewSwap { contract: signed, order, swap: Swap::new(document, role), agreed, now: self.now() };
        self.ask(|reply| Command::Begin(Box::new(new), reply)).await?.map_err(|error| match error {
            crate::store::StoreError::Exists { what } if what.contains("hashlock") => ApiError::DuplicateHashlock,
            other => ApiError::Store(other),
        })?;
        self.0.news.notify_one();
        Ok(())
    }

    /// The maker's part, until the engine stops: decides on orders whose waiting period is over, and lets go of what is too late.
    pub(super) async fn run_maker(self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            if let Err(failure) = self.decide().await {
                warn!(%failure, "orders wait");
            }
        }
    }

    /// The taker's part, until the engine stops: asks makers for answers. A slow maker holds up no other.
    pub(super) async fn run_taker(self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            if let Err(failure) = self.pursue_all(CONCURRENT_CALLS).await {
                warn!(%failure, "orders wait");
            }
        }
    }

    /// Asks the makers of all placed orders, so many at the same time. Says how many orders there were.
    pub(super) async fn pursue_all(&self, at_once: usize) -> Result<usize, ApiError> {
        let placed = self.pending(Direction::Placed).await?;
        let count = placed.len();
        futures::stream::iter(placed)
            .for_each_concurrent(at_once, async |row| {
                let id = row.id;
                if let Err(failure) = self.pursue(row).await {
                    debug!(order = %id, %failure, "no answer yet");
                }
            })
            .await;
        Ok(count)
    }

    /// The taker's side.
    async fn pursue(&self, row: OrderRow) -> Result<(), ApiError> {
        let (id, order) = (row.id, &row.signed.document);
        let answer: Result<OrderAnswer, ApiError> = self.call(&row.reach, "order.answer", &crate::api::ById { id }).await;
        let noted = match &answer {
            Ok(answer) => self.note_choice(&row, answer).await,
            Err(_) => Ok(()),
        };
        match (row.state, answer) {
            (OrderState::Waiting, Ok(OrderAnswer { state: OrderState::Offered, contract: Some(contract), .. })) => {
                match self.check_contract(&row, &contract) {
                    Ok(()) => {}
                    Err(failure) if failure.is_passing() => return Err(failure),
                    Err(reason) => {
                        warn!(order = %id, %reason, "the maker's contract is not what was ordered");
                        let states = (OrderState::Waiting, OrderState::Refused);
                        self.move_order(&id, states, Some(&reason.to_string()), None).await?;
                        return Ok(());
                    }
                }
                // Stored before it is signed and sent: a restart goes on from here. An order that its owner has taken back in
                // the meantime is not.
                if !self.move_order(&id, (OrderState::Waiting, OrderState::Offered), None, Some(&contract)).await? {
                    return Ok(());
                }
                self.countersign(&row, &contract).await
            }
            (OrderState::Offered, Ok(OrderAnswer { state: OrderState::Offered, .. })) => match &row.contract {
                Some(contract) => self.countersign(&row, contract).await,
                None => Ok(()),
            },
            (OrderState::Offered, Ok(OrderAnswer { state: OrderState::Agreed, .. })) => match &row.contract {
                Some(contract) => self.conclude(id, contract).await,
                None => Ok(()),
            },
            (_, Ok(OrderAnswer { state: OrderState::Refused | OrderState::Expired | OrderState::Cancelled, reason, .. })) => {
                // How it was decided is asked for once more: later nobody does.
                if order.expires_at > self.now() {
                    noted?;
                }
                let reason = reason.unwrap_or_else(|| "the maker gave no reason".into());
                self.move_order(&id, (row.state, OrderState::Refused), Some(&reason), None).await?;
                Ok(())
            }
            (OrderState::Waiting, Err(ApiError::CounterpartyRefused { error_type, .. }))
                if error_type == "not_found" && order.expires_at > self.now() =>
            {
                self.hand_in(&row).await.map(|_| ())
            }
            (OrderState::Waiting, Ok(OrderAnswer { state: OrderState::Waiting, sealed: true, closing: Some(closing), .. }))
                if row.sealed && order.expires_at > self.now() =>
            {
                noted?;
                self.reveal(&row, &closing.document).await
            }
            (_, answer) => {
                let end = row.contract.map_or(order.expires_at, |contract| contract.document.fund_alpha_by());
                if end.plus(self.policy().clock_skew) < self.now() {
                    let reason = "the maker did not answer in time";
                    self.move_order(&id, (row.state, OrderState::Expired), Some(reason), None).await?;
                }
                answer.map(|_| ())
            }
        }
    }

    /// Sends a new order to its maker, or its seal alone.
    async fn hand_in(&self, row: &OrderRow) -> Result<OrderAnswer, ApiError> {
        if !row.sealed {
            return self.place(row).await;
        }
        let document = SealedOrder::of(&row.signed.document);
        let signed = Signed { signature: self.keys().sign(&document), document };
        let receipts = self.receipts_to_show().await?;
        self.call(&row.reach, "order.seal", &SealOrder { signed, receipts }).await
    }

    /// Shows the maker what it has the seal of, once it has signed which orders are in the round: no other can join them that knows
    /// this one.
    async fn reveal(&self, row: &OrderRow, closing: &Closing) -> Result<(), ApiError> {
        let id = row.id;
        let Some(row) = self.store().order(&id).await?.filter(|row| row.state == OrderState::Waiting) else { return Ok(()) };
        let kept = self.store().round(&row.signed.document.offer, row.decide_at).await?.closing;
        if kept.is_none_or(|kept| kept.document != *closing) {
            warn!(order = %id, "the maker has not closed the round as it has to, or otherwise before; the order stays sealed");
            return Ok(());
        }
        info!(order = %id, reach = row.reach, "order revealed");
        self.place(&row).await.map(|_| ())
    }

    /// Sends an order with what there is to show for this taker.
    async fn place(&self, row: &OrderRow) -> Result<OrderAnswer, ApiError> {
        // With a sealed order they came with the seal.
        let receipts = if row.sealed { Vec::new() } else { self.receipts_to_show().await? };
        let place = PlaceOrder { signed: row.signed.clone(), receipts };
        self.call(&row.reach, "order.place", &place).await
    }

    fn check_contract(&self, row: &OrderRow, contract: &Signed<Contract>) -> Result<(), ApiError> {
        let document = &contract.document;
        document.check(&row.offer, &row.signed.document, self.alpha_tip()?.time, &self.rules())?;
        Ok(verify_party(document, &document.maker, &contract.signature)?)
    }

    /// Signs and sends. A participant watches before it sends: the maker may fund at once. An initiator begins only when it
    /// knows that the maker holds its signature: it would fund for nobody otherwise.
    async fn countersign(&self, row: &OrderRow, contract: &Signed<Contract>) -> Result<(), ApiError> {
        let (order, document) = (row.id, &contract.document);
        let signature = self.keys().sign(document);
        let participant = document.role_of(&self.account()) == Some(Role::Participant);
        let id = document.id();
        if participant && !self.store().has_swap(&id).await? {
            self.begin(order, contract.clone(), signature.clone(), false).await?;
        }
        let countersign = Countersign { order, contract: id, signature };
        let answer: OrderAnswer = self.call(&row.reach, "contract.countersign", &countersign).await?;
        match answer.state {
            OrderState::Agreed => self.conclude(order, contract).await,
            OrderState::Waiting | OrderState::Offered | OrderState::Refused | OrderState::Expired | OrderState::Cancelled => Ok(()),
        }
    }

    async fn conclude(&self, order: OrderId, contract: &Signed<Contract>) -> Result<(), ApiError> {
        if !self.store().has_swap(&contract.document.id()).await? {
            let signature = self.keys().sign(&contract.document);
            return self.begin(order, contract.clone(), signature, true).await;
        }
        self.move_order(&order, (OrderState::Offered, OrderState::Agreed), None, None).await?;
        Ok(())
    }

    pub(super) async fn pending(&self, direction: Direction) -> Result<Vec<OrderRow>, ApiError> {
        Ok(self.store().pending_orders(direction).await?)
    }

    /// Money promised and not yet sent: swaps that still need their funding, contracts on offer, and orders that wait.
    pub(super) async fn reserved(&self) -> Result<Reserved, ApiError> {
        let mut reserved = Reserved::default();
        // Before the swaps: what becomes one in between is counted twice, this once, rather than not at all.
        for row in self.store().promised_orders().await? {
            let order = &row.signed.document;
            let gives = match row.direction {
                Direction::Placed => Order::gives(&row.offer),
                Direction::Received => row.offer.gives,
            };
            match gives {
                Asset::Btc => reserved.add(order.price.cost(order.amount).unwrap_or_default().0, 0),
                Asset::Tft => reserved.add(0, order.amount.0),
            }
        }
        for stored in self.store().open_swaps().await? {
            let (sats, units) = super::views::still_to_fund(&stored.swap);
            let spent: Vec<String> = stored.outbox.into_iter().flat_map(|row| row.inputs).collect();
            // A funding that has left is in the wallet's own books.
            reserved.add(if spent.is_empty() { sats } else { 0 }, units);
            reserved.inputs.extend(spent);
        }
        Ok(reserved)
    }

    /// Stores a document, with the moments before and behind it.
    pub(super) async fn keep<T>(&self, what: &'static str, write: impl Future<Output = T>) -> T {
        self.0.host.pass(Moment::Before(Deed::StoreDocument(what))).await;
        let done = write.await;
        self.0.host.pass(Moment::After(Deed::StoreDocument(what))).await;
        done
    }

    /// Moves an order from one state to another, if it is in the first. Says whether it was.
    pub(super) async fn move_order(
        &self,
        id: &OrderId,
        states: (OrderState, OrderState),
        reason: Option<&str>,
        contract: Option<&Signed<Contract>>,
    ) -> Result<bool, ApiError> {
        let what = match states.1 {
            OrderState::Waiting => "order.waiting",
            OrderState::Offered => "order.offered",
            OrderState::Agreed => "order.agreed",
            OrderState::Refused => "order.refused",
            OrderState::Expired => "order.expired",
            OrderState::Cancelled => "order.cancelled",
        };
        Ok(self.keep(what, self.store().update_order(id, states, reason, contract)).await?)
    }

    pub(super) fn fresh_salt(&self) -> Salt {
        let mut salt = [0u8; 32];
        self.0.host.fill(&mut salt);
        Salt(salt)
    }

    pub(super) async fn call<P: Serialize, R: DeserializeOwned>(
        &self,
        reach: &str,
        method: &'static str,
        params: &P,
    ) -> Result<R, ApiError> {
        let params = serde_json::to_value(params).map_err(|error| ApiError::Counterparty { reason: error.to_string() })?;
        self.0.host.pass(Moment::Before(Deed::Call(method))).await;
        let answer = self.bus().call(reach, method, params).await;
        self.0.host.pass(Moment::After(Deed::Call(method))).await;
        let value = answer.map_err(|error| match error {
            BusError::Refused { error_type, message } => ApiError::CounterpartyRefused { error_type, message },
            other @ (BusError::Unreachable { .. } | BusError::Nonsense { .. }) => ApiError::Counterparty { reason: other.to_string() },
        })?;
        serde_json::from_value(value).map_err(|error| ApiError::Counterparty { reason: format!("it answered nonsense: {error}") })
    }
}
