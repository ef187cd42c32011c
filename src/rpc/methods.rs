//! THE table of methods. What the listeners serve and what `rpc.discover` describes both come from here.

use super::Access::{Anybody, Counterparty, Owner};
use super::method::{Method, NoParams};
use super::{Listener, discover, stream};
use crate::api::{
    AskGossip, BrowseOffers, ById, Countersign, FindTwins, GetBook, GetProfile, GetReputation, KeepCopy, KeepEntry, KeepWatch, ListCopies,
    ListEntries, ListMisdeeds, ListQuery, ListReceipts, OfferSubmit, OfferTake, OfferTerms, OrderSubmit, PlaceOrder, RefuseOrder, SayAlive,
    SealOrder, SetProfile, SignReceipt, TellMisdeed,
};
use crate::engine::Engine;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swap_contract::bytes::{OfferId, OrderId, SwapId};

/// Offers in one page for a counterparty: the page fits the answer that an engine accepts from another.
const PUBLIC_PAGE: u32 = 12;

/// Which page of which swap's history.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapHistory {
    /// The swap.
    pub id: SwapId,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows at most; 100 and no more.
    pub limit: Option<u32>,
}

impl SwapHistory {
    fn page(&self) -> ListQuery {
        ListQuery { after: self.after.clone(), limit: self.limit, open_only: false }
    }
}

/// Every method of both listeners.
#[rustfmt::skip]
pub fn table() -> Vec<Method> {
    let mut table = vec![
        Method::call("offer.preview", Owner, "What an offer would lead to: amounts, fees, deadlines. Stores nothing.",
            |engine: Engine, terms: OfferTerms| async move { engine.offer_preview(terms).await }),
        Method::call("offer.submit", Owner, "Makes an offer: one signed by an owner, or terms that the engine signs with its own key.",
            |engine: Engine, offer: OfferSubmit| async move { engine.offer_submit(offer).await }),
        Method::call("offer.list", Owner, "This engine's offers, newest first.",
            |engine: Engine, query: ListQuery| async move { engine.offer_list(query).await }),
        Method::call("offer.browse", Owner, "What a counterparty offers, newest first, as it tells this engine.",
            |engine: Engine, browse: BrowseOffers| async move { engine.offer_browse(browse).await }),
        Method::call("offer.get", Owner, "One offer of this engine.",
            |engine: Engine, offer: ById<OfferId>| async move { engine.offer_get(offer.id).await }),
        Method::call("offer.cancel", Owner, "Takes an offer back. Contracts that were signed under it stand.",
            |engine: Engine, offer: ById<OfferId>| async move { engine.offer_cancel(offer.id).await }),
        Method::call("offer.take", Owner, "Takes the best offer in the order book that has room for an amount, as order.submit does.",
            |engine: Engine, take: OfferTake| async move { engine.offer_take(take).await }),
        Method::call("book.get", Owner, "The offers of all makers that can be found, the best first. A book older than ten seconds is made anew.",
            |engine: Engine, query: GetBook| async move { engine.book_get(query).await }),
        Method::call("contact.list", Owner, "Everybody this engine knows.",
            |engine: Engine, _: NoParams| async move { engine.contact_list().await }),
        Method::call("contact.search", Owner, "Looks for twins with these labels, by way of this engine's contacts.",
            |engine: Engine, find: FindTwins| async move { engine.contact_search(find).await }),
        Method::call("order.submit", Owner, "Takes a maker's offer: the engine signs an order and sends it to the maker.",
            |engine: Engine, order: OrderSubmit| async move { engine.order_submit(order).await }),
        Method::call("order.list", Owner, "Orders placed and received, newest first.",
            |engine: Engine, query: ListQuery| async move { engine.order_list(query).await }),
        Method::call("order.get", Owner, "One order, placed or received.",
            |engine: Engine, order: ById<OrderId>| async move { engine.order_get(order.id).await }),
        Method::call("order.choice", Anybody, "What the maker has signed about an order: how it chose among all of its waiting period, by price and by draw.",
            |engine: Engine, order: ById<OrderId>| async move { engine.order_choice(order.id).await }),
        Method::call("order.cancel", Owner, "Takes an order back, as long as no contract is signed.",
            |engine: Engine, order: ById<OrderId>| async move { engine.order_cancel(order.id).await }),
        Method::call("order.confirm", Owner, "Takes a received order that waits for its owner's word, until its waiting period is over. May be repeated.",
            |engine: Engine, order: ById<OrderId>| async move { engine.order_confirm(order.id).await }),
        Method::call("order.refuse", Owner, "Refuses a received order until its waiting period is over, with a reason for its taker. May be repeated.",
            |engine: Engine, refuse: RefuseOrder| async move { engine.order_refuse(refuse).await }),
        Method::call("swap.list", Owner, "Swaps, newest first.",
            |engine: Engine, query: ListQuery| async move { engine.swap_list(query).await }),
        Method::call("swap.get", Owner, "One swap: both legs, every step tried.",
            |engine: Engine, swap: ById<SwapId>| async move { engine.swap_get(swap.id).await }),
        Method::call("swap.history", Owner, "Everything that happened to a swap.",
            |engine: Engine, query: SwapHistory| async move { engine.swap_history(query.id, query.page()).await }),
        Method::call("swap.explain", Owner, "Who must act, by when on which chain's clock, what happens if nobody does, and the signed refund.",
            |engine: Engine, swap: ById<SwapId>| async move { engine.swap_explain(swap.id).await }),
        Method::call("swap.refund", Owner, "Takes this party's money back now, if its timelock allows; the engine does so by itself as well.",
            |engine: Engine, swap: ById<SwapId>| async move { engine.swap_refund(swap.id).await }),
        Method::call("swap.receipt", Anybody, "This party's signed receipt of a swap whose legs are both closed.",
            |engine: Engine, swap: ById<SwapId>| async move { engine.swap_receipt(swap.id).await }),
        Method::call("profile.set", Owner, "Signs what the owner tells of itself: name, place, addresses, pages. Whatever is left out is told no more.",
            |engine: Engine, set: SetProfile| async move { engine.profile_set(set).await }),
        Method::call("profile.get", Owner, "What this engine tells of itself, or the engine at an address.",
            |engine: Engine, get: GetProfile| async move { engine.profile_get(get).await }),
        Method::call("wallet.balances", Owner, "Money on both chains, in base units.",
            |engine: Engine, _: NoParams| async move { engine.wallet_balances().await }),
        Method::call("wallet.address", Owner, "Where the engine is paid.",
            |engine: Engine, _: NoParams| async move { engine.wallet_address().await }),
        Method::call("wallet.descriptors", Owner, "Watch-only descriptors of the Bitcoin wallet (BIP-380). No secrets.",
            |engine: Engine, _: NoParams| async move { engine.wallet_descriptors().await }),
        Method::call("node.status", Owner, "The engine and both chains as it sees them.",
            |engine: Engine, _: NoParams| async move { engine.node_status().await }),
        Method::call("node.hello", Anybody, "What the engine tells anybody: version, networks, account, clock.",
            |engine: Engine, _: NoParams| async move { Ok(engine.hello()) }),
        Method::call("offer.list", Counterparty, "Offers that can be taken, newest first.",
            |engine: Engine, query: ListQuery| async move { engine.offer_list(for_the_public(query)).await }),
        Method::call("offer.get", Counterparty, "One offer of this engine.",
            |engine: Engine, offer: ById<OfferId>| async move { engine.offer_get(offer.id).await }),
        Method::call("order.place", Counterparty, "Places a taker's signed order. May be repeated.",
            |engine: Engine, order: PlaceOrder| async move { engine.order_place(order).await }),
        Method::call("order.seal", Counterparty, "Places an order by its id alone; the order follows with order.place when the round is closed. May be repeated.",
            |engine: Engine, order: SealOrder| async move { engine.order_seal(order).await }),
        Method::call("order.answer", Counterparty, "The maker's answer to an order, with its contract once there is one.",
            |engine: Engine, order: ById<OrderId>| async move { engine.order_answer(order.id).await }),
        Method::call("contract.countersign", Counterparty, "Hands in the taker's signature: the swap begins. May be repeated.",
            |engine: Engine, signature: Countersign| async move { engine.contract_countersign(signature).await }),
        Method::call("copy.keep", Counterparty, "Keeps a sealed copy of a contract for its other party, and gives one in return. May be repeated.",
            |engine: Engine, copy: KeepCopy| async move { engine.copy_keep(copy).await }),
        Method::call("copy.list", Counterparty, "Sealed copies kept for an account, to who signs for it.",
            |engine: Engine, list: ListCopies| async move { engine.copy_list(list).await }),
        Method::call("watch.keep", Counterparty, "Takes a swap on for one of its parties, or exits that party has signed in advance. For watchers. May be repeated.",
            |engine: Engine, watch: KeepWatch| async move { engine.watch_keep(watch).await }),
        Method::call("contact.alive", Counterparty, "Says that the caller is there, and asks whom else this engine knows.",
            |engine: Engine, said: SayAlive| async move { engine.contact_alive(said).await }),
        Method::call("gossip.ask", Counterparty, "Whom this engine knows that has the labels of a search. May be repeated.",
            |engine: Engine, ask: AskGossip| async move { engine.gossip_ask(ask).await }),
        Method::call("profile.get", Counterparty, "What this engine tells of itself, signed.",
            |engine: Engine, _: NoParams| async move { engine.profile_get(GetProfile::default()).await }),
        Method::call("entry.keep", Counterparty, "Lists the caller for three minutes, with the promise signed. For aggregators. To be repeated every minute.",
            |engine: Engine, entry: KeepEntry| async move { engine.entry_keep(entry).await }),
        Method::call("entry.list", Counterparty, "Who is listed under all of some labels, signed. For aggregators.",
            |engine: Engine, query: ListEntries| async move { engine.entry_list(query).await }),
        Method::call("misdeed.tell", Counterparty, "Brings a proof that somebody has signed two things that cannot both be. May be repeated.",
            |engine: Engine, told: TellMisdeed| async move { engine.misdeed_tell(told).await }),
        Method::call("receipt.sign", Counterparty, "Signs the receipt of a completed swap for its taker, who brings its own. May be repeated.",
            |engine: Engine, sign: SignReceipt| async move { engine.receipt_sign(sign).await }),
        Method::call("receipt.list", Anybody, "Receipts of an account's completed swaps, signed by both parties, the newest first.",
            |engine: Engine, list: ListReceipts| async move { engine.receipt_list(list).await }),
        Method::call("reputation.get", Owner, "A party's reputation, and every receipt and claim behind it, looked up on both chains.",
            |engine: Engine, get: GetReputation| async move { engine.reputation_get(get).await }),
        Method::call("misdeed.list", Owner, "Proofs against others that this engine has, of one account if it is given.",
            |engine: Engine, query: ListMisdeeds| async move { engine.misdeed_list(query).await }),
        discover::method(),
    ];
    table.extend(stream::methods());
    table
}

fn for_the_public(query: ListQuery) -> ListQuery {
    ListQuery { limit: Some(query.limit.unwrap_or(PUBLIC_PAGE).min(PUBLIC_PAGE)), open_only: true, ..query }
}

/// The methods of one listener, ready to be called.
pub(super) fn module(listener: Listener, engine: Engine) -> Result<RpcModule<Engine>, RegisterMethodError> {
    let mut module = RpcModule::new(engine);
    for method in table().into_iter().filter(|method| method.access.is_on(listener)) {
        (method.register)(&mut module, listener)?;
    }
    Ok(module)
}
