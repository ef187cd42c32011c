//! The engine: one per user. It holds the keys, remembers every swap, and is the same for a maker and a taker.

mod accept;
mod book;
mod choice;
mod copies;
mod discovery;
mod doubt;
mod driver;
mod effect;
mod effects;
mod exits;
mod hand_over;
pub mod host;
pub mod keys;
mod market;
mod misdeeds;
mod offers;
mod package;
mod price;
mod profile;
mod receipts;
mod received;
mod reputation;
pub mod restore;
mod seal;
mod start;
mod turns;
mod uncopied;
mod views;
mod watching;

pub use accept::{AcceptSettings, ConfirmWhen};
pub use book::BOOK_FRESH_FOR;
pub use copies::CopySettings;
pub use discovery::DiscoverySettings;
pub use price::{MAX_PRICE_AGE, PriceSettings, SetPrice};
pub use start::{Parts, StartError, lock_folder};
pub use turns::Turns;
pub use watching::WatchSettings;

use crate::api::{
    Addresses, BalanceView, Balances, ChainStatus, Descriptors, Direction, Hello, HistoryEntry, ListQuery, MAX_PAGE, NodeStatus,
    OrderState, OrderView, Page, RefundTx, SwapExplanation, SwapView,
};
use crate::bus::Bus;
use crate::error::ApiError;
use crate::store::{Store, StoredSwap};
use driver::{Command, Tips, Tries};
use host::Host;
use keys::Keys;
use std::sync::Arc;
use swap_contract::bytes::{OrderId, SwapId};
use swap_contract::document::{Account, Network, Rules};
use swap_contract::leg::{LegStatus, Side};
use swap_contract::policy::Policy;
use swap_contract::port::{Chain, ChainError, HtlcOp, OpKind, Wallet};
use swap_contract::time::{Clocks, Tip, UnixTime};
use tokio::sync::{Mutex, MutexGuard, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// A chain and the engine's own money on it.
pub trait SwapChain: Chain + Wallet {}
impl<T: Chain + Wallet> SwapChain for T {}

/// Both chains.
#[derive(Clone)]
pub struct Chains {
    /// Bitcoin.
    pub alpha: Arc<dyn SwapChain>,
    /// TF Chain.
    pub beta: Arc<dyn SwapChain>,
}

impl Chains {
    fn of(&self, side: Side) -> Arc<dyn SwapChain> {
        match side {
            Side::Alpha => self.alpha.clone(),
            Side::Beta => self.beta.clone(),
        }
    }
}

/// A running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    store: Store,
    keys: Arc<Keys>,
    host: Arc<dyn Host>,
    chains: Chains,
    bus: Arc<dyn Bus>,
    network: Network,
    policy: &'static Policy,
    owners: Vec<Account>,
    reach: String,
    descriptors: Vec<String>,
    commands: std::sync::Mutex<Option<mpsc::Sender<Command>>>,
    tips: watch::Receiver<Tips>,
    changed: broadcast::Sender<Arc<SwapView>>,
    tries: Tries,
    /// When it started, by this computer's clock.
    started_at: UnixTime,
    /// One decision about money that is promised at a time.
    market: Mutex<()>,
    copies: CopySettings,
    /// Wakes who hands things over to others.
    news: Arc<tokio::sync::Notify>,
    uncopied: uncopied::Uncopied,
    discovery: Arc<discovery::Discovery>,
    accept: AcceptSettings,
    price: PriceSettings,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
    /// Why the driver stopped, if it did by itself.
    failed: watch::Receiver<Option<String>>,
    /// Held as long as the engine runs.
    _lock: Option<std::fs::File>,
}

fn page_of(query: &ListQuery) -> Result<(String, u32), ApiError> {
    let limit = query.limit.unwrap_or(MAX_PAGE);
    if limit == 0 || limit > MAX_PAGE {
        return Err(ApiError::InvalidParams { field: "limit", reason: format!("1 to {MAX_PAGE}") });
    }
    Ok((query.after.clone().unwrap_or_default(), limit))
}

impl Engine {
    /// What anybody may know.
    pub fn hello(&self) -> Hello {
        Hello { version: env!("CARGO_PKG_VERSION").into(), network: self.0.network, account: self.account(), now: self.now() }
    }

    /// The engine as a whole.
    pub async fn node_status(&self) -> Result<NodeStatus, ApiError> {
        let tips = *self.0.tips.borrow();
        let mut chains = Vec::new();
        for (side, tip) in [(Side::Alpha, tips.0), (Side::Beta, tips.1)] {
            let connected = self.0.chains.of(side).tip().await.is_ok();
            chains.push(ChainStatus {
                side,
                connected,
                height: tip.map(|tip| tip.height.0),
                final_height: tip.map(|tip| tip.final_height.0),
                time: tip.map(|tip| tip.time),
                healthy: connected && tip.is_some_and(|tip| tip.healthy),
            });
        }
        let open_swaps = self.0.store.count_open_swaps().await?;
        Ok(NodeStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            network: self.0.network,
            policy: self.0.policy.name.into(),
            account: self.account(),
            reach: self.0.reach.clone(),
            bus: self.bus().status().await,
            chains,
            open_swaps,
        })
    }

    /// Orders placed and received, newest first.
    pub async fn order_list(&self, query: ListQuery) -> Result<Page<OrderView>, ApiError> {
        let (after, limit) = page_of(&query)?;
        let rows = self.0.store.order_page(&after, limit, query.open_only).await?;
        let items: Vec<OrderView> = rows.iter().map(|row| views::order_view(row, &self.0.accept)).collect();
        Ok(paged(items, limit, |view| view.id.to_string()))
    }

    /// One order.
    pub async fn order_get(&self, id: OrderId) -> Result<OrderView, ApiError> {
        let row = self.0.store.order(&id).await?.ok_or(ApiError::NotFound { what: "order" })?;
        Ok(views::order_view(&row, &self.0.accept))
    }

    /// Takes an order back, as long as no contract is on offer for it.
    pub async fn order_cancel(&self, id: OrderId) -> Result<OrderView, ApiError> {
        let _guard = self.market_lock().await;
        let view = self.order_get(id).await?;
        if view.direction != Direction::Placed {
            // It was acknowledged: whoever leaves it out of the decision has cheated.
            return Err(ApiError::WrongState { reason: "the order is its taker's: refuse it instead, or cancel the offer".into() });
        }
        if view.state != OrderState::Waiting {
            return Err(ApiError::WrongState { reason: format!("the order is {:?}", view.state).to_lowercase() });
        }
        let states = (OrderState::Waiting, OrderState::Cancelled);
        self.0.store.update_order(&id, states, Some("taken back by its owner"), None).await?;
        let view = self.order_get(id).await?;
        match view.state {
            OrderState::Cancelled => Ok(view),
            state => Err(ApiError::WrongState { reason: format!("the order is {state:?} by now").to_lowercase() }),
        }
    }

    /// Swaps, newest first.
    pub async fn swap_list(&self, query: ListQuery) -> Result<Page<SwapView>, ApiError> {
        let (after, limit) = page_of(&query)?;
        let rows = self.0.store.swap_page(&after, limit, query.open_only).await?;
        let items: Vec<SwapView> = rows.iter().map(|row| self.swap_view(row)).collect();
        Ok(paged(items, limit, |view| view.id.to_string()))
    }

    /// One swap.
    pub async fn swap_get(&self, id: SwapId) -> Result<SwapView, ApiError> {
        Ok(self.swap_view(&self.stored_swap(id).await?))
    }

    /// What happened to a swap, oldest first; `after` is a sequence number.
    pub async fn swap_history(&self, id: SwapId, query: ListQuery) -> Result<Page<HistoryEntry>, ApiError> {
        let (after, limit) = page_of(&query)?;
        self.stored_swap(id).await?;
        let after = if after.is_empty() { Ok(0) } else { after.parse() };
        let after = after.map_err(|_| ApiError::InvalidParams { field: "after", reason: "a sequence number".into() })?;
        let rows = self.0.store.events(&id, after, limit).await?;
        let items: Vec<HistoryEntry> = rows.into_iter().map(|(seq, at, event)| HistoryEntry { seq, at, event }).collect();
        Ok(paged(items, limit, |entry| entry.seq.to_string()))
    }

    /// Who must act, by when, and what happens otherwise; and this party's refund, signed.
    pub async fn swap_explain(&self, id: SwapId) -> Result<SwapExplanation, ApiError> {
        let stored = self.stored_swap(id).await?;
        let explanation = stored.swap.explain(&self.clocks());
        // Without its node a chain's refund cannot be signed; the words are needed most just then.
        let refund = match self.signed_refund(&stored).await {
            Ok(refund) => refund,
            Err(failure) => {
                tracing::warn!(swap_id = %id, %failure, "the refund cannot be shown now");
                None
            }
        };
        Ok(SwapExplanation { explanation, refund })
    }

    async fn signed_refund(&self, stored: &StoredSwap) -> Result<Option<RefundTx>, ChainError> {
        let Some((side, valid_from)) = stored.swap.own_refund() else { return Ok(None) };
        let (leg, contract) = (stored.swap.leg(side), stored.swap.contract());
        let LegStatus::Funded(funding) = leg else { return Ok(None) };
        let terms = stored.swap.terms(side);
        let chain = self.0.chains.of(side);
        let op = HtlcOp {
            terms,
            salt: contract.salt_of(&self.account()),
            kind: OpKind::Refund { htlc: funding.htlc.clone() },
            fee_rate: chain.fee_rate(6).await?,
        };
        let tx = chain.prepare(&op, &[]).await?;
        Ok(Some(RefundTx { side, raw: hex::encode(tx.bytes), valid_from }))
    }

    /// Cancels a swap nothing of the owner's is committed to, or tries its refund at once.
    pub async fn swap_refund(&self, id: SwapId) -> Result<SwapView, ApiError> {
        self.stored_swap(id).await?;
        self.ask(|reply| Command::Refund(id, reply)).await??;
        self.swap_get(id).await
    }

    /// Tells of every change of a swap.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<SwapView>> {
        self.0.changed.subscribe()
    }

    /// Money on both chains.
    pub async fn wallet_balances(&self) -> Result<Balances, ApiError> {
        let market::Reserved { sats, units, inputs } = self.reserved().await?;
        let view = |balance: swap_contract::port::Balance, reserved: u64| BalanceView {
            confirmed: balance.confirmed,
            pending: balance.pending,
            reserved,
            free: balance.confirmed.saturating_sub(reserved),
        };
        Ok(Balances {
            bitcoin: view(self.0.chains.alpha.balance(&inputs).await?, sats),
            tfchain: view(self.0.chains.beta.balance(&inputs).await?, units),
        })
    }

    /// Where the engine is paid.
    pub async fn wallet_address(&self) -> Result<Addresses, ApiError> {
        Ok(Addresses { bitcoin: self.0.chains.alpha.address().await?, tfchain: self.0.chains.beta.address().await? })
    }

    /// Watch-only descriptors of the Bitcoin wallet.
    pub async fn wallet_descriptors(&self) -> Result<Descriptors, ApiError> {
        Ok(Descriptors { bitcoin: self.0.descriptors.clone() })
    }

    fn swap_view(&self, stored: &StoredSwap) -> SwapView {
        let tries = self.0.tries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        views::swap_view(stored, &self.clocks(), tries.get(&stored.swap.id()))
    }

    async fn stored_swap(&self, id: SwapId) -> Result<StoredSwap, ApiError> {
        self.0.store.swap(&id).await?.ok_or(ApiError::NotFound { what: "swap" })
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let sender = self.0.commands.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        sender.ok_or(ApiError::Stopping)?.send(command(reply)).await.map_err(|_| ApiError::Stopping)?;
        answer.await.map_err(|_| ApiError::Stopping)
    }

    fn clocks(&self) -> Clocks {
        views::clocks(&self.0.tips.borrow(), self.now())
    }

    fn alpha_tip(&self) -> Result<Tip, ApiError> {
        let tips = *self.0.tips.borrow();
        tips.0.ok_or_else(|| ChainError::Unavailable { side: Side::Alpha, reason: "no block seen yet".into() }.into())
    }

    fn rules(&self) -> Rules {
        Rules { network: self.0.network, policy: self.0.policy, now: self.now() }
    }

    async fn market_lock(&self) -> MutexGuard<'_, ()> {
        self.0.market.lock().await
    }

    /// The engine's account: the delegate in documents.
    pub fn account(&self) -> Account {
        self.0.keys.account()
    }

    /// This computer's clock.
    pub(crate) fn now(&self) -> UnixTime {
        self.0.host.now()
    }

    fn keys(&self) -> &Keys {
        &self.0.keys
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn chains(&self) -> &Chains {
        &self.0.chains
    }

    fn bus(&self) -> &dyn Bus {
        &*self.0.bus
    }

    fn policy(&self) -> &'static Policy {
        self.0.policy
    }

    /// Whether an account is the engine's own or one of its owners'.
    pub(crate) fn is_owner(&self, account: &Account) -> bool {
        *account == self.account() || self.owners().contains(account)
    }

    fn owners(&self) -> &[Account] {
        &self.0.owners
    }

    fn copies(&self) -> &CopySettings {
        &self.0.copies
    }

    fn reach(&self) -> &str {
        &self.0.reach
    }
}

fn paged<T>(items: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Page<T> {
    let full = items.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = items.last().filter(|_| full).map(key);
    Page { items, next }
}
