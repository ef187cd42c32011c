//! People with keys, and agreements between them. Everything follows from names: the same names give the same bytes.

use crate::amount::{Price, Sats, Units};
use crate::bytes::{GenesisHash, Preimage, PublicKey, Salt, SwapId};
use crate::decide::RevealPermit;
use crate::document::{
    Account, Asset, Contract, Document, Network, Offer, Order, Role, Rules, Scheme, Sequence, Signature, Signed, SignedContract, Tags,
};
use crate::event::{Action, Event, Fact, Step};
use crate::leg::{Funding, HtlcRef, Inclusion, Side, Sighting, Spend, TxRef};
use crate::policy::{MAINNET, Policy};
use crate::port::{AlphaTerms, BetaTerms, SwapKeys};
use crate::swap::Swap;
use crate::time::{ChainTime, Clocks, Height, Tip, UnixTime};
use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// When the agreements of this module are made.
pub const START: UnixTime = UnixTime(1_774_000_000);

/// Somebody with an ed25519 account and a seed from which the keys of every swap derive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    seed: [u8; 32],
}

impl Person {
    /// The person of this name.
    pub fn named(name: &str) -> Self {
        Self { seed: Sha256::digest(name.as_bytes()).into() }
    }

    fn signer(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&self.seed)
    }

    /// The account on TF Chain.
    pub fn account(&self) -> Account {
        Account(self.signer().verifying_key().to_bytes())
    }

    /// Signs a document as it is.
    pub fn sign(&self, document: &impl Document) -> Signature {
        Signature::new(Scheme::Ed25519, &self.signer().sign(&document.signing_bytes()).to_bytes())
    }

    /// A salt of this person's; each number gives another.
    pub fn salt(&self, number: u64) -> Salt {
        Salt(self.derive("salt", &number.to_be_bytes()))
    }

    /// The public half of the person's alpha key for a swap.
    pub fn alpha_key(&self, salt: &Salt) -> PublicKey {
        let secret = secp256k1::SecretKey::from_slice(self.alpha_secret(salt).as_slice()).expect("a hash is a valid scalar");
        PublicKey(secret.public_key(&secp256k1::Secp256k1::signing_only()).serialize())
    }

    fn derive(&self, what: &str, salt: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(what).chain_update(self.seed).chain_update(salt).finalize().into()
    }
}

impl SwapKeys for Person {
    fn alpha_secret(&self, salt: &Salt) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.derive("alpha", &salt.0))
    }

    fn preimage(&self, salt: &Salt) -> Preimage {
        Preimage::new(self.derive("preimage", &salt.0))
    }
}

/// The networks of this module's documents.
pub fn network() -> Network {
    Network { bitcoin: GenesisHash([0xb7; 32]), tfchain: GenesisHash([0x7f; 32]) }
}

/// What documents are checked against at a moment.
pub fn rules(now: UnixTime, policy: &'static Policy) -> Rules {
    Rules { network: network(), policy, now }
}

/// What two people agree on.
#[derive(Clone, Debug)]
pub struct Deal {
    /// Who makes the offer.
    pub maker: Person,
    /// Who takes it.
    pub taker: Person,
    /// What the maker gives.
    pub gives: Asset,
    /// How much, in TFT units.
    pub amount: Units,
    /// For how much.
    pub price: Price,
    /// By which margins.
    pub policy: &'static Policy,
    /// When.
    pub now: UnixTime,
    /// Bitcoin's median time past then.
    pub alpha_now: ChainTime,
    /// The number of both salts.
    pub number: u64,
}

impl Deal {
    /// The maker sells 1000 TFT at 50 satoshis each, or buys them.
    pub fn new(gives: Asset) -> Self {
        Self {
            maker: Person::named("maker"),
            taker: Person::named("taker"),
            gives,
            amount: Units(10_000_000_000),
            price: Price { sats: Sats(50), units: Units(10_000_000) },
            policy: &MAINNET,
            now: START,
            alpha_now: ChainTime::from_secs(START.0),
            number: 1,
        }
    }

    /// What the documents are checked against.
    pub fn rules(&self) -> Rules {
        rules(self.now, self.policy)
    }

    /// The maker's offer.
    pub fn offer(&self) -> Signed<Offer> {
        let document = Offer {
            network: network(),
            owner: self.maker.account(),
            delegate: self.maker.account(),
            gives: self.gives,
            price: self.price,
            min: Units(self.amount.0 / 10),
            max: Units(self.amount.0 * 10),
            lot: Units(self.amount.0 * 2),
            waiting_period: self.policy.waiting_period.1,
            sequence: Sequence(self.now.0 * 1000),
            expires_at: self.now.plus(self.policy.offer_lifetime),
            policy: self.policy.name.to_owned(),
            tags: Tags::from([("category".into(), "currency".into())]),
            reach: "http://127.0.0.1:7777".into(),
        };
        Signed { signature: self.maker.sign(&document), document }
    }

    /// The taker's order for it.
    pub fn order(&self) -> Signed<Order> {
        let salt = self.taker.salt(self.number);
        let initiates = self.gives == Asset::Tft;
        let document = Order {
            network: network(),
            owner: self.taker.account(),
            delegate: self.taker.account(),
            offer: self.offer().document.id(),
            amount: self.amount,
            price: self.price,
            alpha_key: self.taker.alpha_key(&salt),
            hashlock: initiates.then(|| self.taker.preimage(&salt).hashlock()),
            expires_at: self.now.plus(self.policy.order_lifetime),
            salt,
        };
        Signed { signature: self.taker.sign(&document), document }
    }

    /// The contract that follows, with both signatures.
    pub fn contract(&self) -> SignedContract {
        let salt = self.maker.salt(self.number);
        let document = Contract::draw_up(
            &self.offer().document,
            &self.order().document,
            self.maker.alpha_key(&salt),
            self.maker.preimage(&salt).hashlock(),
            salt,
            self.alpha_now,
            &self.rules(),
        )
        .expect("the price has a cost");
        SignedContract { maker: self.maker.sign(&document), taker: self.taker.sign(&document), document }
    }

    /// The person who plays a role.
    pub fn person(&self, role: Role) -> &Person {
        if Role::of_giver(self.gives) == role { &self.maker } else { &self.taker }
    }

    /// The salt of the person who plays a role.
    pub fn salt(&self, role: Role) -> Salt {
        self.person(role).salt(self.number)
    }

    /// The initiator's preimage.
    pub fn preimage(&self) -> Preimage {
        self.person(Role::Initiator).preimage(&self.salt(Role::Initiator))
    }

    /// The swap as one party begins it.
    pub fn swap(&self, role: Role) -> Swap {
        Swap::new(self.contract().document, role)
    }
}

/// Clocks at the moment of an agreement: both chains fit, at a height of 1000, with everything up to 994 final on Bitcoin and
/// up to 998 on TF Chain.
pub fn clocks(deal: &Deal) -> Clocks {
    let tip = |time, final_height| Tip { height: Height(1000), time, final_height: Height(final_height), healthy: true };
    Clocks { alpha: tip(deal.alpha_now, 994), beta: tip(ChainTime::from_secs(deal.now.0), 998), now: deal.now }
}

/// A permit to show a preimage, got in the only way there is one: a swap that was played to the point where it is due.
pub fn permit(preimage: &Preimage) -> RevealPermit {
    let mut deal = Deal::new(Asset::Tft);
    deal.number = 7;
    let mut contract = deal.contract().document;
    contract.hashlock = preimage.hashlock();
    let mut swap = Swap::new(contract, Role::Participant);
    let clocks = clocks(&deal);
    let t1 = swap.contract().alpha_refund_after();
    let t2 = clocks.beta.time.plus(deal.policy.beta_window);
    let fund = Action { step: Step::FundBeta, refund_after: Some(t2) };
    let facts = [
        Fact::Seen(Side::Alpha, funded("alpha", t1, 980)),
        Fact::Attempted(fund),
        Fact::Seen(Side::Beta, funded("beta", t2, 990)),
        Fact::Seen(Side::Beta, Sighting::Redeemed(spend("redeem", 991), preimage.clone())),
    ];
    for fact in facts {
        swap.handle(&Event { clocks, fact }).expect("a swap without faults");
    }
    swap.reveal_permit(Step::RedeemAlpha, &clocks).expect("the preimage is public and alpha is funded")
}

/// A funding in the block of a height; height 0 stands for the mempool.
pub fn funded(htlc: &str, refund_after: ChainTime, height: u64) -> Sighting {
    Sighting::Funded(Funding { htlc: HtlcRef(htlc.into()), by: TxRef(format!("{htlc}-tx")), refund_after, at: at(height) })
}

/// A spend in the block of a height; height 0 stands for the mempool.
pub fn spend(by: &str, height: u64) -> Spend {
    Spend { by: TxRef(by.into()), at: at(height) }
}

fn at(height: u64) -> Inclusion {
    if height == 0 { Inclusion::Mempool } else { Inclusion::Block(Height(height)) }
}

/// The Bitcoin leg between two people under their keys of one number, with the initiator's preimage.
pub fn alpha_terms(initiator: &Person, participant: &Person, number: u64, amount: Sats, refund_after: ChainTime) -> AlphaTerms {
    AlphaTerms {
        swap: SwapId(initiator.derive("alpha leg", &number.to_be_bytes())),
        amount,
        hashlock: initiator.preimage(&initiator.salt(number)).hashlock(),
        redeem_key: participant.alpha_key(&participant.salt(number)),
        refund_key: initiator.alpha_key(&initiator.salt(number)),
        refund_after: ChainTime::from_secs(refund_after.secs()),
    }
}

/// The TF Chain leg between two accounts, with the preimage of the initiator's salt of one number.
pub fn beta_terms(
    initiator: &Person,
    sender: Account,
    recipient: Account,
    number: u64,
    amount: Units,
    latest_refund_after: ChainTime,
) -> BetaTerms {
    BetaTerms {
        swap: SwapId(initiator.derive("beta leg", &number.to_be_bytes())),
        amount,
        hashlock: initiator.preimage(&initiator.salt(number)).hashlock(),
        sender,
        recipient,
        latest_refund_after,
    }
}
