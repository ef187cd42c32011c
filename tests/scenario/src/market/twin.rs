//! Somebody with a key: as much of a twin as its counterparties see.

use secp256k1::{Secp256k1, SecretKey};
use subxt_signer::sr25519::Keypair;
use swap_contract::amount::{Price, Units};
use swap_contract::bytes::{GenesisHash, Preimage, PublicKey, Salt};
use swap_contract::document::{Account, Asset, Document, Network, Offer, Order, Scheme, Signature, Signed};
use swap_contract::time::UnixTime;

pub const NETWORK: Network = Network { bitcoin: GenesisHash([1; 32]), tfchain: GenesisHash([2; 32]) };

pub struct Twin {
    pair: Keypair,
    number: u32,
}

impl Twin {
    pub fn new(number: u32) -> anyhow::Result<Self> {
        Ok(Self { pair: Keypair::from_secret_key(bytes(number, 1))?, number })
    }

    pub fn account(&self) -> Account {
        Account(self.pair.public_key().0)
    }

    pub fn reach(&self) -> String {
        format!("rmb:{}", self.number + 1)
    }

    pub fn signature<D: Document>(&self, document: &D) -> Signature {
        Signature::new(Scheme::Sr25519, &self.pair.sign(&document.signing_bytes()).0)
    }

    pub fn sign<D: Document>(&self, document: D) -> Signed<D> {
        Signed { signature: self.signature(&document), document }
    }

    /// An order of this twin. The same number of the same twin is the same salt.
    pub fn order(&self, offer: &Offer, amount: Units, price: Price, number: u8, expires_at: UnixTime) -> anyhow::Result<Signed<Order>> {
        let salt = Salt(bytes(self.number, number));
        let secret = SecretKey::from_slice(&salt.0)?;
        let alpha_key = PublicKey(secp256k1::PublicKey::from_secret_key(&Secp256k1::signing_only(), &secret).serialize());
        let hashlock = (offer.gives == Asset::Tft).then(|| Preimage::new(salt.0).hashlock());
        let (owner, delegate) = (self.account(), self.account());
        Ok(self.sign(Order { network: NETWORK, owner, delegate, offer: offer.id(), amount, price, alpha_key, hashlock, expires_at, salt }))
    }
}

/// Some bytes that are no other twin's.
fn bytes(number: u32, kind: u8) -> [u8; 32] {
    let mut bytes = [kind.wrapping_add(1); 32];
    bytes[1..5].copy_from_slice(&number.to_le_bytes());
    bytes[0] = 1;
    bytes
}
