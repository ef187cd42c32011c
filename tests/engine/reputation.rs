//! Receipts and reputation, by whole engines: what both have signed and both chains show counts, and nothing else does.

use crate::world::{ALICE, AMOUNT, BOB, Party, World, address};
use swap_contract::document::{Account, Asset, SharedReceipt, Verdict};
use swap_contract::outcome::Outcome;
use swap_contract::time::Span;
use twinswap::api::{GetReputation, ListReceipts, OrderState, ReputationView, SignReceipt};
use twinswap::engine::keys::Keys;

fn reputation(asker: &Party, account: Account, reach: Option<&str>) -> ReputationView {
    let engine = asker.engine().clone();
    let get = GetReputation { account, reach: reach.map(address) };
    asker.ask(async move { engine.reputation_get(get).await }).unwrap()
}

fn receipts(of: &Party, account: Account) -> Vec<SharedReceipt> {
    let engine = of.engine().clone();
    of.ask(async move { engine.receipt_list(ListReceipts { account, after: None }).await }).unwrap().items
}

/// Alice and Bob complete a swap, in which alice takes an offer of bob's, or bob one of hers; both have the receipt.
fn completed(world: &World, gives: Asset) {
    world.agree(gives);
    world.until("both have what they wanted", |world| world.outcomes() == (Some(Outcome::Completed), Some(Outcome::Completed)));
    let (alice, bob) = (world.alice.engine().account(), world.bob.engine().account());
    // Alpha's closing has to be final for both.
    world.until("both have the receipt", |world| !receipts(&world.alice, bob).is_empty() && !receipts(&world.bob, alice).is_empty());
}

#[test]
fn a_completed_swap_is_a_receipt_of_both_that_a_stranger_finds_on_both_chains() {
    for gives in [Asset::Tft, Asset::Btc] {
        let mut world = World::new();
        world.start("carol");
        completed(&world, gives);
        let (alice, bob) = (world.alice.engine().account(), world.bob.engine().account());
        let [hers, his] = [receipts(&world.alice, bob), receipts(&world.bob, alice)].map(|mut receipts| receipts.remove(0));
        // Signatures are by chance: under the contract each may have another of the taker's.
        assert_eq!((hers.receipt, hers.maker, hers.taker), (his.receipt, his.maker, his.taker), "both have the same");

        // Who was not asked is not known.
        let unknown = reputation(&world.carol, bob, None);
        assert!((unknown.figure, unknown.counted, unknown.asked) == (0, 0, false) && unknown.receipts.is_empty());
        let known = reputation(&world.carol, bob, Some("bob"));
        assert_eq!((known.counted, known.asked, known.shown_falsely, known.receipts.len()), (1, true, false, 1));
        assert!((1..=1000).contains(&known.figure));
        let receipt = &known.receipts[0];
        assert_eq!((receipt.counterparty, receipt.amount.units, receipt.counts), (alice, AMOUNT, known.figure));
        // It was taken in, and passed on to whoever asks carol.
        assert_eq!(receipts(&world.carol, bob), receipts(&world.bob, bob));
        assert_eq!(reputation(&world.carol, alice, None).counted, 1, "it is a receipt of the other's as well");
    }
}

/// The receipt of a real swap, changed and signed again by both of its parties: the chains do not show it.
#[test]
fn what_the_chains_do_not_show_counts_nothing_whoever_signs_it() {
    let mut world = World::new();
    world.start("carol");
    completed(&world, Asset::Tft);
    let (alice, bob) = (world.alice.engine().account(), world.bob.engine().account());
    let real = receipts(&world.bob, bob).remove(0);
    let keys = [BOB, ALICE].map(|words| Keys::from_words(words).unwrap());
    let signed = |change: fn(&mut SharedReceipt)| {
        let mut shared = real.clone();
        change(&mut shared);
        shared.contract.maker = keys[0].sign(&shared.contract.document);
        shared.contract.taker = keys[1].sign(&shared.contract.document);
        shared.receipt.contract = shared.contract.document.id();
        (shared.maker, shared.taker) = (keys[0].sign(&shared.receipt), keys[1].sign(&shared.receipt));
        shared
    };
    let unchanged = signed(|_| {});
    assert!(unchanged.verify(&world.carol.engine().hello().network).is_ok());
    // One Bitcoin output is of one swap: each names another.
    let invented: [fn(&mut SharedReceipt); 3] = [
        |shared| (shared.contract.document.alpha.amount.0, shared.receipt.alpha.htlc.0) = (600_000, "a:0".into()),
        |shared| (shared.contract.document.beta.amount.0, shared.receipt.alpha.htlc.0) = (1, "b:0".into()),
        |shared| (shared.contract.document.hashlock.0[0], shared.receipt.alpha.htlc.0) = (1, "c:0".into()),
    ];
    let before = receipts(&world.carol, bob).len();
    for change in invented {
        let shared = signed(change);
        let asked = world.bob.with_store(async |store| {
            let (late, zero) = (swap_contract::time::UnixTime(4_000_000_000), swap_contract::time::UnixTime(0));
            store.keep_receipt(&shared, late, None, zero).await.unwrap();
            assert!(store.has_receipt(&shared.receipt.contract).await.unwrap());
            shared.receipt.contract
        });
        let seen = reputation(&world.carol, bob, Some("bob"));
        assert!(seen.shown_falsely && seen.receipts.iter().all(|receipt| receipt.swap != asked), "{seen:?}");
    }
    assert!(receipts(&world.carol, bob).len() <= before + 1);
    // A stranger's signature under somebody else's swap is refused, and so is what nobody knows of.
    let engine = world.carol.engine().clone();
    let own = swap_contract::document::SignedReceipt { document: real.receipt.clone(), signer: alice, signature: real.taker };
    let refused = world.carol.ask(async move { engine.receipt_sign(SignReceipt { receipt: own }).await });
    assert_eq!(refused.unwrap_err().error_type(), "not_found");
}

/// Of two takers at the same price the one with a completed swap comes first, without a draw; a better price comes before both.
#[test]
fn between_equal_orders_the_better_reputation_comes_first() {
    let mut world = World::new();
    world.alpha.mint(world.carol.owner(), &[10_000_000]);
    world.start("carol");
    completed(&world, Asset::Tft);
    let offer = world.offer_for(Asset::Tft, 1, Span::secs(3));
    let late = world.take_by(&world.carol, &offer).unwrap();
    let known = world.take(&offer).unwrap();
    world.soon("the period is over", |world| {
        world.beta.pass(Span::secs(20));
        world.alice.order(known.id).state == OrderState::Agreed && world.carol.order(late.id).state == OrderState::Refused
    });
    let decision = world.carol.choice(late.id).decision.unwrap().document;
    assert_eq!(decision.verdict(&known.id), Some(&Verdict::Chosen));
    let counted: Vec<u64> = decision.orders.iter().map(|order| order.reputation).collect();
    assert!(decision.beacon.is_none() && counted == [1, 0], "{decision:?}");
}

/// A maker that wants to see one completed swap refuses who has none, and its signed decision says so.
#[test]
fn whose_reputation_is_below_the_least_is_refused_with_that_reason() {
    let mut world = World::new();
    world.alpha.mint(world.carol.owner(), &[10_000_000]);
    world.start("carol");
    completed(&world, Asset::Tft);
    world.kill("bob");
    world.bob.accept.min_reputation = Some(1);
    world.start("bob");
    let offer = world.offer_for(Asset::Tft, 2, Span::secs(3));
    let unknown = world.take_by(&world.carol, &offer).unwrap();
    let known = world.take(&offer).unwrap();
    world.soon("the period is over", |world| {
        world.beta.pass(Span::secs(20));
        world.alice.order(known.id).state == OrderState::Agreed && world.carol.order(unknown.id).state == OrderState::Refused
    });
    assert_eq!(world.carol.order(unknown.id).reason.unwrap(), "its taker's reputation is below 1");
}

/// A maker that has never met a taker looks up what comes with its order.
#[test]
fn a_new_maker_counts_the_receipts_that_come_with_an_order() {
    let mut world = World::new();
    completed(&world, Asset::Tft);
    // Bob forgets everything, and has the same keys.
    world.lose("bob");
    world.alpha.mint(world.carol.owner(), &[10_000_000]);
    ["bob", "carol"].into_iter().for_each(|name| world.start(name));
    let alice = world.alice.engine().account();
    assert!(receipts(&world.bob, alice).is_empty());
    let offer = world.offer_for(Asset::Tft, 1, Span::secs(2));
    world.take_by(&world.carol, &offer).unwrap();
    let order = world.take(&offer).unwrap();
    assert_eq!(receipts(&world.bob, alice).len(), 1);
    world.soon("she is chosen", |world| {
        world.beta.pass(Span::secs(20));
        world.alice.order(order.id).state == OrderState::Agreed
    });
}

/// A taker that countersigns and does not fund: the maker can show it, and whoever is told looks at Bitcoin.
#[test]
fn what_was_agreed_and_not_funded_is_shown_to_others() {
    let mut world = World::new();
    for name in ["bob", "carol"] {
        world.party(name).discovery.contacts = vec![address(if name == "bob" { "carol" } else { "alice" })];
    }
    world.kill("bob");
    ["carol", "bob"].into_iter().for_each(|name| world.start(name));
    let alice = world.alice.engine().account();
    let offer = world.offer_for(Asset::Tft, 1, Span::secs(2));
    let order = world.take(&offer).unwrap();
    // Her node hears of nothing that she sends.
    world.alpha.swallow_next(world.alice.owner(), u32::MAX);
    world.soon("they agree", |world| {
        world.beta.pass(Span::secs(20));
        world.alice.order(order.id).state == OrderState::Agreed && world.bob.swap().is_some()
    });
    let (engine, id) = (world.bob.engine().clone(), world.bob.swap().unwrap().id);
    world.bob.ask(async move { engine.swap_refund(id).await }).unwrap();
    world.soon("bob has given up", |world| world.bob.swap().unwrap().outcome == Some(Outcome::Abandoned));
    world.until("bob knows that it was not funded", |world| !reputation(&world.bob, alice, None).not_funded.is_empty());
    world.soon("carol, who knows alice, was told", |world| !reputation(&world.carol, alice, None).not_funded.is_empty());
    let seen = reputation(&world.carol, alice, None);
    assert_eq!((seen.figure, seen.contradictions, seen.not_funded.len()), (0, false, 1));
    assert!((1..=1000).contains(&seen.not_funded[0].counts));
}

/// A claim about a contract that was funded is refused, once its time is over.
#[test]
fn a_contract_that_was_funded_is_no_misdeed() {
    let mut world = World::new();
    world.kill("bob");
    world.bob.discovery.contacts = vec![address("alice")];
    world.start("bob");
    completed(&world, Asset::Tft);
    let alice = world.alice.engine().account();
    let contract = Box::new(receipts(&world.bob, alice).remove(0).contract);
    let tell = |world: &World| {
        let engine = world.bob.engine().clone();
        let told = twinswap::api::TellMisdeed { misdeed: swap_contract::document::Misdeed::NotFunded { contract: contract.clone() } };
        world.bob.ask(async move { engine.misdeed_tell(told).await })
    };
    // Its time is over; strangers have one such question answered a minute.
    world.alpha.pass(Span::hours(6));
    assert_eq!(tell(&world).unwrap_err().error_type(), "contract_mismatch");
    assert_eq!(tell(&world).unwrap_err().error_type(), "too_many");
    assert!(reputation(&world.bob, alice, None).not_funded.is_empty());
}
