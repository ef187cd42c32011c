//! A twin's secrets: the key of its account, which signs, and the key that seals. Both come from the same 32 bytes.

use crate::e2e::SharedKey;
use crate::envelope::Envelope;
use crate::signature::{challenge, sign};
use crate::twin::TwinId;
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use swap_contract::document::Account;
use zeroize::Zeroizing;

/// The 32 bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these 32 bytes are no key; no wallet makes such ones")]
pub struct NoKey;

/// A twin and its keys.
pub struct Identity {
    twin: TwinId,
    account: Keypair,
    seal: SecretKey,
    pk: PublicKey,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity(twin {})", self.twin)
    }
}

impl Identity {
    /// From the account's Substrate mini-secret: its seed, 32 bytes. Wallets derive it from the words (`substrate-bip39`).
    ///
    /// # Errors
    /// The bytes are no key.
    pub fn new(twin: TwinId, mini_secret: &Zeroizing<[u8; 32]>) -> Result<Self, NoKey> {
        let account = MiniSecretKey::from_bytes(&mini_secret[..]).map_err(|_| NoKey)?.expand_to_keypair(ExpansionMode::Ed25519);
        let seal = SecretKey::from_slice(&mini_secret[..]).map_err(|_| NoKey)?;
        let pk = seal.public_key(SECP256K1);
        Ok(Self { twin, account, seal, pk })
    }

    /// The twin.
    pub fn twin(&self) -> TwinId {
        self.twin
    }

    /// Its account.
    pub fn account(&self) -> Account {
        Account(self.account.public.to_bytes())
    }

    /// Its public key for others to seal to, as it stands on the chain.
    pub fn pk(&self) -> [u8; 33] {
        self.pk.serialize()
    }

    /// Signs a text: the kind of key, and the signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        sign(&self.account, message)
    }

    /// Puts its signature on an envelope that is complete otherwise.
    pub fn sign_envelope(&self, envelope: &mut Envelope) {
        envelope.signature = Some(self.sign(&challenge(envelope)));
    }

    /// The key it shares with another twin, if that one's public key is one.
    pub fn shared_with(&self, pk: &[u8]) -> Option<SharedKey> {
        PublicKey::from_slice(pk).ok().map(|public| SharedKey::new(&self.seal, &public))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The mini-secret of the development account //Alice.
    const ALICE: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";

    pub(crate) fn identity(twin: TwinId, secret: &str) -> Identity {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(secret, &mut bytes[..]).unwrap();
        Identity::new(twin, &bytes).unwrap()
    }

    pub(crate) fn alice() -> Identity {
        identity(7, ALICE)
    }

    pub(crate) fn bob() -> Identity {
        identity(8, "340f7341b312bcc61aeea7a76d759d809b8601cbc6d22cb2817278e346137a5d")
    }

    #[test]
    fn one_secret_is_the_account_that_wallets_show_and_the_key_that_seals() {
        assert_eq!(alice().account(), Account(subxt_signer::sr25519::dev::alice().public_key().0));
        assert_eq!(hex::encode(alice().pk()), "037051bed73458951b45ca6376f4096c85bf1a370da94d5336d04867cfaaad019e");
        assert_eq!(format!("{:?}", alice()), "Identity(twin 7)");
        assert!(Identity::new(1, &Zeroizing::new([0; 32])).is_err());
    }
}
