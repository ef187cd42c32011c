//! Copies of contracts, sealed with a key that derives from the seed: whoever keeps one cannot read it, and the words alone open it.

use super::keys::Keys;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use swap_contract::bytes::{Salt, SwapId};
use swap_contract::document::{COPY_LIFETIME, Contract, Role, SealedCopy, Signed, SignedContract};
use swap_contract::port::SwapKeys;
use swap_contract::time::{Span, UnixTime};

/// What the key is for, in HKDF.
const PURPOSE: &str = "twinswap copy v1";
/// What is authenticated beside the text: this and the swap's id.
const CONTEXT: &[u8] = b"twinswap copy v1";
/// Bytes of the nonce, which goes first. It is random: with 192 bits that is safe for any number of copies.
const NONCE: usize = 24;
/// How long a copy is of use after T1. TF Chain's HTLC pallet keeps an outcome for 28 days, and beta is closed less than a day
/// before T1: whoever restores a swap sees how it ended.
const USEFUL_AFTER_T1: Span = Span::hours(24 * 27);

/// What a restore needs: everything else derives from the seed or is on the chains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Content {
    /// With both signatures.
    pub(super) contract: SignedContract,
    /// Where the counterparty is reached; empty if that is not known.
    pub(super) reach: String,
}

/// The copy was not sealed with this seed's key for this swap, or was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not open with these words")]
pub(super) struct NotOurs;

impl Keys {
    /// This party's copy of a contract, sealed and signed. `None` when nothing could be done with it any more.
    pub(super) fn copy_of(&self, content: &Content, now: UnixTime) -> Option<Signed<SealedCopy>> {
        let contract = &content.contract.document;
        let useful = UnixTime(contract.alpha_refund_after().secs()).plus(USEFUL_AFTER_T1);
        let keep_until = useful.min(now.plus(COPY_LIFETIME));
        let swap = contract.id();
        let sealed = hex::encode(self.seal(&swap, &crate::store::json(content).into_bytes()));
        let document = SealedCopy { account: self.account(), swap, keep_until, sealed };
        (keep_until > now).then(|| Signed { signature: self.sign(&document), document })
    }

    /// Opens a copy that this seed sealed.
    pub(super) fn open_copy(&self, copy: &SealedCopy) -> Result<Content, NotOurs> {
        let text = self.unseal(&copy.swap, &copy.bytes().ok_or(NotOurs)?)?;
        let content: Content = serde_json::from_slice(&text).map_err(|_| NotOurs)?;
        if content.contract.document.id() == copy.swap { Ok(content) } else { Err(NotOurs) }
    }

    /// This party's role in a contract, if it is one that this seed can fulfil: both have signed it, and its key and, for an
    /// initiator, its hashlock derive from the seed.
    pub(super) fn role_in(&self, contract: &SignedContract) -> Result<Role, String> {
        let document: &Contract = contract.verify().map_err(|error| error.to_string())?;
        let role = document.role_of(&self.account()).ok_or("this account is not a party of it")?;
        let salt = document.salt_of(&self.account());
        let key = match role {
            Role::Initiator => document.alpha.refund_key,
            Role::Participant => document.alpha.redeem_key,
        };
        if self.alpha_key(&salt) != key {
            return Err("its Bitcoin key does not derive from these words".into());
        }
        if role == Role::Initiator && self.preimage(&salt).hashlock() != document.hashlock() {
            return Err("its hashlock does not derive from these words".into());
        }
        Ok(role)
    }

    fn seal(&self, swap: &SwapId, text: &[u8]) -> Vec<u8> {
        seal(&self.derive(PURPOSE, &Salt([0; 32])), CONTEXT, swap, text)
    }

    fn unseal(&self, swap: &SwapId, sealed: &[u8]) -> Result<Vec<u8>, NotOurs> {
        unseal(&self.derive(PURPOSE, &Salt([0; 32])), CONTEXT, swap, sealed)
    }
}

/// Encrypts a text about a swap: the nonce, then XChaCha20-Poly1305. The context and the swap's id are authenticated beside it.
pub(super) fn seal(key: &[u8; 32], context: &[u8], swap: &SwapId, text: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    rand::fill(&mut nonce);
    let context = [context, &swap.0].concat();
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(XNonce::from_slice(&nonce), Payload { msg: text, aad: &context });
    let sealed = sealed.expect("a text that fits into memory is shorter than the cipher's bound of 256 GiB");
    [nonce.as_slice(), &sealed].concat()
}

/// Opens what [`seal`] made with the same key and context for the same swap.
pub(super) fn unseal(key: &[u8; 32], context: &[u8], swap: &SwapId, sealed: &[u8]) -> Result<Vec<u8>, NotOurs> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(NotOurs)?;
    let context = [context, &swap.0].concat();
    XChaCha20Poly1305::new(key.into()).decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &context }).map_err(|_| NotOurs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use swap_contract::document::{Asset, MAX_COPY_BYTES};
    use swap_contract::testing::fixture::{Deal, START};

    const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
    const OTHERS: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

    fn content() -> Content {
        Content { contract: Deal::new(Asset::Tft).contract(), reach: "http://maker.example:9556".into() }
    }

    #[test]
    fn a_copy_opens_with_the_same_words_and_with_no_others() {
        let keys = Keys::from_words(WORDS).unwrap();
        let copy = keys.copy_of(&content(), START).unwrap();
        assert!(copy.verify(START).is_ok() && copy.document.bytes().unwrap().len() < MAX_COPY_BYTES / 2);
        assert_eq!(Keys::from_words(WORDS).unwrap().open_copy(&copy.document).unwrap(), content());
        assert_eq!(Keys::from_words(OTHERS).unwrap().open_copy(&copy.document), Err(NotOurs));
        let sealed = String::from_utf8_lossy(&copy.document.bytes().unwrap()).into_owned();
        assert!(!sealed.contains("maker"));
    }

    #[test]
    fn a_copy_that_was_altered_or_is_said_to_be_of_another_swap_does_not_open() {
        let keys = Keys::from_words(WORDS).unwrap();
        let copy = keys.copy_of(&content(), START).unwrap().document;
        let bytes = copy.bytes().unwrap();
        for at in [0, NONCE - 1, NONCE, bytes.len() / 2, bytes.len() - 1] {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(keys.open_copy(&SealedCopy { sealed: hex::encode(altered), ..copy.clone() }), Err(NotOurs), "{at}");
        }
        for short in [0, 1, NONCE, NONCE + 15] {
            assert_eq!(keys.open_copy(&SealedCopy { sealed: hex::encode(&bytes[..short]), ..copy.clone() }), Err(NotOurs));
        }
        assert_eq!(keys.open_copy(&SealedCopy { swap: SwapId([1; 32]), ..copy }), Err(NotOurs));
    }

    #[test]
    fn each_sealing_looks_different() {
        let keys = Keys::from_words(WORDS).unwrap();
        let sealed = || keys.copy_of(&content(), START).unwrap().document.sealed;
        assert_ne!(sealed(), sealed());
    }

    #[test]
    fn a_copy_of_no_use_is_not_made() {
        let keys = Keys::from_words(WORDS).unwrap();
        let t1 = content().contract.document.alpha_refund_after().secs();
        assert!(keys.copy_of(&content(), UnixTime(t1).plus(USEFUL_AFTER_T1)).is_none());
    }

    #[test]
    fn a_contract_of_others_or_with_another_key_is_nobodys_role() {
        let keys = Keys::from_words(WORDS).unwrap();
        assert!(keys.role_in(&content().contract).unwrap_err().contains("not a party"));
        let mut unsigned = content().contract;
        unsigned.taker = unsigned.maker.clone();
        assert!(keys.role_in(&unsigned).unwrap_err().contains("signature"));
    }
}
