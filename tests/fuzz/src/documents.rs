//! Signed documents, as strangers send them: offers, orders, contracts, receipts, and what they find each other by.

use crate::pick;
use crate::seeds::Seed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use swap_contract::amount::{MAX_SATS, Units};
use swap_contract::bytes::{BlockHash, GenesisHash, OrderId, PageHash, Salt};
use swap_contract::document::{
    Account, Acknowledgement, Asset, Beacon, CategorisedUrl, Closing, Considered, Contract, Decision, Document, DocumentError, KEPT_FOR,
    Kept, LISTING_LIFETIME, Listing, Location, MAX_CONSIDERED, Misdeed, Network, Offer, Order, Profile, ProfilePage, Receipt, Role, Rules,
    SEARCH_LIFETIME, SealedOrder, Search, Sequence, Settlement, SharedReceipt, Signature, Signed, SignedContract, SignedReceipt, Snapshot,
    Verdict, parse, verify_party,
};
use swap_contract::leg::{HtlcRef, TxRef};
use swap_contract::outcome::Outcome;
use swap_contract::port::SwapKeys;
use swap_contract::swap::Swap;
use swap_contract::testing::fixture::{Deal, Person, clocks, network};
use swap_contract::time::Span;

/// One document as JSON.
pub fn documents(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let deals = [Deal::new(Asset::Tft), Deal::new(Asset::Btc)];
    let read = [
        read::<Signed<Offer>>(text).is_some_and(|signed| deals.iter().any(|deal| offer(&signed, deal, data))),
        read::<Signed<Order>>(text).is_some_and(|signed| deals.iter().any(|deal| order(&signed, deal, data))),
        read::<SignedContract>(text).is_some_and(|signed| contract(&signed, data)),
        read::<SignedReceipt>(text).is_some_and(|signed| deals.iter().any(|deal| receipt(&signed, deal, data))),
        read::<Signed<Acknowledgement>>(text).is_some_and(|signed| deals.iter().any(|deal| acknowledgement(&signed, deal, data))),
        read::<Signed<Decision>>(text).is_some_and(|signed| deals.iter().any(|deal| decision(&signed, deal, data))),
        read::<Signed<SealedOrder>>(text).is_some_and(|signed| deals.iter().any(|deal| sealed(&signed, deal, data))),
        read::<Signed<Closing>>(text).is_some_and(|signed| deals.iter().any(|deal| closing(&signed, deal, data))),
        read::<Signed<Listing>>(text).is_some_and(|signed| by_subject(&signed, signed.document.subject, Signed::<Listing>::verify, data)),
        read::<Signed<Search>>(text).is_some_and(|signed| by_subject(&signed, signed.document.seeker, Signed::<Search>::verify, data)),
        read::<Signed<Profile>>(text).is_some_and(|signed| by_subject(&signed, signed.document.subject, Signed::<Profile>::verify, data)),
        read::<SharedReceipt>(text).is_some_and(|shared| shared_receipt(&shared, data)),
        read::<Misdeed>(text).is_some_and(|proof| misdeed(&proof)),
        read::<Offer>(text).map(|document| stands(&document)).is_some(),
        read::<Order>(text).map(|document| stands(&document)).is_some(),
        read::<Contract>(text).map(|document| stands(&document)).is_some(),
        read::<Receipt>(text).map(|document| stands(&document)).is_some(),
        read::<Decision>(text).map(|document| stands(&document)).is_some(),
    ];
    read.contains(&true)
}

/// What is read is written so that it is read the same again.
fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) -> Option<T> {
    let read: T = parse(text).ok()?;
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<T>(&written).unwrap(), read);
    Some(read)
}

/// The canonical form is a fixed point, and the id with it.
fn stands<D: Document + PartialEq + Debug>(document: &D) {
    let bytes = document.signing_bytes();
    let json = std::str::from_utf8(&bytes).unwrap().strip_prefix(&format!("twinswap:{}:v1:", D::NAME)).unwrap();
    let again: D = serde_json::from_str(json).unwrap();
    assert_eq!(&again, document);
    assert_eq!(again.signing_bytes(), bytes);
    assert_eq!(again.hash(), document.hash());
}

/// A signature is for these bytes and this account only.
fn binds(signature: &Signature, signer: &Account, bytes: &[u8], data: &[u8]) {
    assert!(signature.verifies(signer, bytes));
    let mut altered = bytes.to_vec();
    let at = pick(data, altered.len());
    altered[at] ^= 1 << (at % 8);
    assert!(!signature.verifies(signer, &altered), "byte {at} does not matter");
    let mut other = *signer;
    other.0[at % 32] ^= 1;
    assert!(!signature.verifies(&other, bytes), "another account signed it too");
}

fn offer(signed: &Signed<Offer>, deal: &Deal, data: &[u8]) -> bool {
    stands(&signed.document);
    let Ok(offer) = signed.verify(&deal.rules()) else { return false };
    binds(&signed.signature, &offer.owner, &offer.signing_bytes(), data);
    assert!(Units(0) < offer.min && offer.min <= offer.lot && offer.lot <= offer.max);
    let costs = [offer.min, offer.lot, offer.max].map(|amount| offer.cost(amount).unwrap());
    assert!(costs.is_sorted() && costs[2] <= MAX_SATS);
    assert!(serde_json::to_string(signed).unwrap().chars().all(|c| !c.is_control()));
    true
}

fn order(signed: &Signed<Order>, deal: &Deal, data: &[u8]) -> bool {
    stands(&signed.document);
    let (offer, rules) = (deal.offer().document, deal.rules());
    let Ok(order) = signed.verify(&offer, &rules) else { return false };
    binds(&signed.signature, &order.owner, &order.signing_bytes(), data);
    // The maker draws up a contract that the taker signs, unless the taker copied a key or the salt from the maker.
    let salt = deal.maker.salt(deal.number);
    let (key, hashlock) = (deal.maker.alpha_key(&salt), deal.maker.preimage(&salt).hashlock());
    let contract = Contract::draw_up(&offer, order, key, hashlock, salt, deal.alpha_now, &rules).unwrap();
    stands(&contract);
    let copied = order.salt == salt || order.alpha_key.0[1..] == key.0[1..];
    match contract.check(&offer, order, deal.alpha_now, &rules) {
        Ok(()) => assert!(!copied),
        Err(DocumentError::Mismatch { field: "alpha", .. }) => assert!(copied),
        Err(error) => panic!("{error}"),
    }
    let roles = [contract.maker, contract.taker].map(|party| contract.role_of(&party).unwrap());
    assert_ne!(roles[0], roles[1]);
    true
}

fn contract(signed: &SignedContract, data: &[u8]) -> bool {
    let contract = &signed.document;
    stands(contract);
    for role in [Role::Initiator, Role::Participant] {
        let (swap, clocks) = (Swap::new(contract.clone(), role), clocks(&Deal::new(Asset::Tft)));
        assert!(swap.public_preimage().is_none() && swap.outcome().is_none());
        crate::machine::look(&swap, &clocks);
    }
    if signed.verify().is_err() {
        return false;
    }
    binds(&signed.maker, &contract.maker, &contract.signing_bytes(), data);
    binds(&signed.taker, &contract.taker, &contract.signing_bytes(), data);
    let mut dearer = contract.clone();
    dearer.alpha.amount.0 ^= 1;
    assert_ne!(dearer.id(), contract.id());
    assert!(verify_party(&dearer, &contract.maker, &signed.maker).is_err());
    true
}

fn receipt(signed: &SignedReceipt, deal: &Deal, data: &[u8]) -> bool {
    stands(&signed.document);
    let contract = deal.contract().document;
    let Ok(receipt) = signed.verify(&contract) else { return false };
    binds(&signed.signature, &signed.signer, &receipt.signing_bytes(), data);
    assert!(contract.role_of(&signed.signer).is_some() && receipt.contract == contract.id());
    true
}

fn shared_receipt(shared: &SharedReceipt, data: &[u8]) -> bool {
    stands(&shared.receipt);
    let Ok(contract) = shared.verify(&network()) else { return false };
    binds(&shared.maker, &contract.maker, &shared.receipt.signing_bytes(), data);
    binds(&shared.taker, &contract.taker, &shared.receipt.signing_bytes(), data);
    assert!(shared.receipt.outcome == Outcome::Completed && shared.receipt.contract == contract.id());
    true
}

fn acknowledgement(signed: &Signed<Acknowledgement>, deal: &Deal, data: &[u8]) -> bool {
    stands(&signed.document);
    let offer = deal.offer().document;
    let Ok(acknowledged) = signed.verify(&offer, &signed.document.order, &deal.rules()) else { return false };
    binds(&signed.signature, &offer.delegate, &acknowledged.signing_bytes(), data);
    true
}

fn decision(signed: &Signed<Decision>, deal: &Deal, data: &[u8]) -> bool {
    stands(&signed.document);
    let offer = deal.offer().document;
    let Ok(decision) = signed.verify(&offer) else { return false };
    binds(&signed.signature, &offer.delegate, &decision.signing_bytes(), data);
    let chosen = decision.orders.iter().filter(|order| order.verdict == Verdict::Chosen);
    assert!(chosen.map(|order| u128::from(order.amount.0)).sum::<u128>() <= u128::from(decision.available.0));
    assert!(decision.available <= offer.max && decision.orders.len() <= MAX_CONSIDERED);
    let mut backwards = decision.orders.clone();
    backwards.reverse();
    assert_eq!(&Decision::make(&offer, decision.decide_at, decision.available, decision.beacon, backwards), decision);
    true
}

fn sealed(signed: &Signed<SealedOrder>, deal: &Deal, data: &[u8]) -> bool {
    stands(&signed.document);
    let Ok(sealed) = signed.verify(&deal.offer().document, &deal.rules()) else { return false };
    binds(&signed.signature, &sealed.delegate, &sealed.signing_bytes(), data);
    true
}

fn closing(signed: &Signed<Closing>, deal: &Deal, data: &[u8]) -> bool {
    stands(&signed.document);
    let (offer, (acknowledgement, decision)) = (deal.offer().document, choice(deal));
    let Ok(closing) = signed.verify(&offer, &acknowledgement.document) else { return false };
    binds(&signed.signature, &offer.delegate, &closing.signing_bytes(), data);
    assert!(closing.orders.len() <= MAX_CONSIDERED && closing.orders.contains(&acknowledgement.document.order));
    // The decision on these orders is no misdeed, that on one less is.
    let named = |order: &Considered| closing.orders.contains(&order.order);
    let same = decision.document.orders.len() == closing.orders.len() && decision.document.orders.iter().all(named);
    assert_eq!(closing.is_broken_by(&decision.document), !same);
    true
}

/// A document that somebody signs about itself.
fn by_subject<D: Document + PartialEq + Debug>(
    signed: &Signed<D>,
    subject: Account,
    verify: for<'a> fn(&'a Signed<D>, &Rules) -> Result<&'a D, DocumentError>,
    data: &[u8],
) -> bool {
    stands(&signed.document);
    if verify(signed, &Deal::new(Asset::Tft).rules()).is_err() {
        return false;
    }
    binds(&signed.signature, &subject, &signed.document.signing_bytes(), data);
    true
}

/// Nobody is accused by anybody's words but its own.
fn misdeed(proof: &Misdeed) -> bool {
    let Ok(accused) = proof.check(&network()) else { return false };
    let other = Network { bitcoin: GenesisHash([0; 32]), ..network() };
    assert!(proof.check(&other).is_err());
    let signatures = match proof {
        Misdeed::Omission { kept, snapshot, .. } => {
            [(&kept.signature, kept.document.signing_bytes()), (&snapshot.signature, snapshot.document.signing_bytes())]
        }
        Misdeed::OrderLeftOut { acknowledgement, decision, .. } => [
            (&acknowledgement.signature, acknowledgement.document.signing_bytes()),
            (&decision.signature, decision.document.signing_bytes()),
        ],
        Misdeed::TwoDecisions { one, other, .. } => {
            [(&one.signature, one.document.signing_bytes()), (&other.signature, other.document.signing_bytes())]
        }
        Misdeed::RoundChanged { closing, decision, .. } => {
            [(&closing.signature, closing.document.signing_bytes()), (&decision.signature, decision.document.signing_bytes())]
        }
        Misdeed::NotFunded { contract } => {
            return contract.taker.verifies(&accused, &contract.document.signing_bytes()) && !proof.is_contradiction();
        }
    };
    assert!(signatures.iter().all(|(signature, bytes)| signature.verifies(&accused, bytes)));
    assert_ne!(signatures[0].1, signatures[1].1);
    true
}

/// What the maker of a fixture tells of itself and looks for, and proofs against it.
fn found(deal: &Deal) -> [(&'static str, Vec<u8>); 7] {
    let maker = &deal.maker;
    fn sign<D: Document>(by: &Person, document: D) -> Signed<D> {
        Signed { signature: by.sign(&document), document }
    }
    let offer = deal.offer().document;
    let (network, subject, reach, tags) = (offer.network, maker.account(), offer.reach.clone(), offer.tags.clone());
    let epoch = Sequence(deal.now.0 * 1000);
    let listing =
        Listing { network, subject, reach: reach.clone(), tags: tags.clone(), epoch, expires_at: deal.now.plus(LISTING_LIFETIME) };
    let listing = sign(maker, listing);
    let expires_at = deal.now.plus(SEARCH_LIFETIME);
    let search =
        sign(maker, Search { network, seeker: subject, reach, tags: tags.clone(), may_be_named: true, expires_at, salt: Salt([7; 32]) });
    let profile = sign(
        maker,
        Profile {
            network,
            subject,
            name: Some("Bob".into()),
            location: Some(Location { latitude: 25_204_849, longitude: -55_270_783 }),
            urls: vec![CategorisedUrl { category: "shop".into(), url: "https://bob.example.org".into() }],
            ipv6: Some(std::net::Ipv6Addr::LOCALHOST),
            pages: vec![ProfilePage { url: "https://bob.example.org/".into(), sha256: PageHash([7; 32]) }],
            epoch,
        },
    );
    let aggregator = deal.taker.account();
    let until = deal.now.plus(KEPT_FOR);
    let kept = Kept { network, aggregator, listing: listing.document.id(), at: deal.now, until };
    let at = deal.now.plus(Span::secs(9));
    let snapshot = Snapshot { network, aggregator, tags, at, after: None, rows: Vec::new(), more: false };
    let (kept, snapshot) = (Box::new(sign(&deal.taker, kept)), Box::new(sign(&deal.taker, snapshot)));
    let omission = Misdeed::Omission { listing: Box::new(listing.clone()), kept, snapshot };
    let (acknowledgement, decision) = choice(deal);
    let orders = decision.document.orders.iter().filter(|order| order.order != acknowledgement.document.order).cloned().collect();
    let without = Decision::make(&offer, decision.document.decide_at, decision.document.available, None, orders);
    let without = Box::new(sign(maker, without));
    let closing = Box::new(close(deal, &decision.document));
    let changed = Misdeed::RoundChanged { maker: subject, closing, decision: without.clone() };
    let left_out = Misdeed::OrderLeftOut { maker: subject, acknowledgement: Box::new(acknowledgement), decision: without.clone() };
    let twice = Misdeed::TwoDecisions { maker: subject, one: Box::new(decision), other: without };
    [
        ("listing", json(&listing)),
        ("search", json(&search)),
        ("profile", json(&profile)),
        ("omission", json(&omission)),
        ("left-out", json(&left_out)),
        ("two-decisions", json(&twice)),
        ("round-changed", json(&changed)),
    ]
}

/// The orders that a maker decides on.
fn close(deal: &Deal, decision: &Decision) -> Signed<Closing> {
    let Decision { network, offer, decide_at, .. } = *decision;
    let document = Closing { network, offer, decide_at, orders: decision.orders.iter().map(|considered| considered.order).collect() };
    Signed { signature: deal.maker.sign(&document), document }
}

/// A maker's word on its fixture's order, and its decision on that and three others.
fn choice(deal: &Deal) -> (Signed<Acknowledgement>, Signed<Decision>) {
    let (offer, order) = (deal.offer().document, deal.order().document);
    let decide_at = deal.now;
    let document = Acknowledgement { network: offer.network, offer: offer.id(), order: order.id(), decide_at, reputation: 0 };
    let acknowledgement = Signed { signature: deal.maker.sign(&document), document };
    let same = Considered::acceptable(&order, 0);
    let mut refused = Considered { order: OrderId([1; 32]), ..same.clone() };
    refused.refuse("the order expired");
    let sealed = Considered::unrevealed(OrderId([3; 32]), &offer);
    let orders = vec![Considered { order: OrderId([2; 32]), ..same.clone() }, sealed, same, refused];
    let beacon = Beacon { height: 7, hash: BlockHash([7; 32]) };
    let document = Decision::make(&offer, decide_at, order.amount, Some(beacon), orders);
    (acknowledgement, Signed { signature: deal.maker.sign(&document), document })
}

fn settlement(htlc: &str, by: &str) -> Settlement {
    Settlement { htlc: HtlcRef(htlc.into()), by: TxRef(by.into()), height: 1234 }
}

/// Documents of our own fixtures, and those that other implementations signed.
pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (gives, deal) in [("tft", Deal::new(Asset::Tft)), ("btc", Deal::new(Asset::Btc))] {
        let contract = deal.contract();
        let document = Receipt {
            network: contract.document.network,
            contract: contract.document.id(),
            outcome: Outcome::Completed,
            alpha: settlement(&format!("{}:0", "bb".repeat(32)), &"aa".repeat(32)),
            beta: settlement(&format!("0x{}", "cc".repeat(32)), "1234-2"),
        };
        let (maker, taker) = (deal.maker.sign(&document), deal.taker.sign(&document));
        let shared = SharedReceipt { contract: contract.clone(), receipt: document.clone(), maker, taker };
        seeds.push(Seed::new(format!("shared-receipt-{gives}"), json(&shared)));
        let receipt = SignedReceipt { signature: deal.taker.sign(&document), signer: deal.taker.account(), document };
        seeds.push(Seed::new(format!("offer-{gives}"), json(&deal.offer())));
        seeds.push(Seed::new(format!("order-{gives}"), json(&deal.order())));
        seeds.push(Seed::new(format!("contract-{gives}"), json(&contract)));
        seeds.push(Seed::new(format!("receipt-{gives}"), json(&receipt)));
        let (acknowledgement, decision) = choice(&deal);
        seeds.push(Seed::new(format!("acknowledgement-{gives}"), json(&acknowledgement)));
        seeds.push(Seed::new(format!("decision-{gives}"), json(&decision)));
        seeds.push(Seed::new(format!("closing-{gives}"), json(&close(&deal, &decision.document))));
        let document = SealedOrder::of(&deal.order().document);
        seeds.push(Seed::new(format!("sealed-order-{gives}"), json(&Signed { signature: deal.taker.sign(&document), document })));
        seeds.extend(found(&deal).map(|(name, bytes)| Seed::new(format!("{name}-{gives}"), bytes)));
    }
    let contract = Box::new(Deal::new(Asset::Tft).contract());
    seeds.push(Seed::new("not-funded", json(&Misdeed::NotFunded { contract })));
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../contracts/swap/tests/swap/vectors/documents.json")).expect("the vectors are JSON");
    for (number, vector) in vectors.iter().enumerate() {
        let name = format!("wallet-{number}-{}-{}", vector["name"].as_str().unwrap(), vector["scheme"].as_str().unwrap());
        let bytes = match vector["name"].as_str() {
            // A wallet's signature over the offer as it is, and over what `signRaw` makes of it.
            Some("offer") => {
                let value = &vector[["plain", "wrapped"][number % 2]];
                json(&json!({ "document": vector["document"], "signature": { "scheme": vector["scheme"], "value": value } }))
            }
            _ => json(&vector["document"]),
        };
        seeds.push(Seed::new(name, bytes));
    }
    let unsigned = Signed { signature: Signature { value: "00".repeat(64), ..deal_signature() }, ..Deal::new(Asset::Tft).offer() };
    seeds.push(Seed::new("refused-offer-forged", json(&unsigned)));
    seeds
}

fn deal_signature() -> Signature {
    Deal::new(Asset::Tft).offer().signature
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap()
}
