//! End-to-end encryption: AES-256-GCM under the SHA-256 of the x-coordinate of both twins' secp256k1 Diffie-Hellman point.
//!
//! The key of two twins never changes: there is no forward secrecy, and whoever has one twin's words reads all of it.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secp256k1::{PublicKey, SecretKey, ecdh};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What sealing adds: the nonce, which comes first, and the tag.
pub const OVERHEAD: usize = NONCE_LEN + 16;

/// The payload does not open: it is under another key, or was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload does not open with the keys of these two twins")]
pub struct DoesNotOpen;

/// The key of two twins.
pub struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// From one twin's secret and the other's public key.
    pub fn new(secret: &SecretKey, public: &PublicKey) -> Self {
        let point = Zeroizing::new(ecdh::shared_secret_point(public, secret));
        Self(Zeroizing::new(Sha256::digest(&point[..32]).into()))
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0[..]).expect("32 bytes are a key"))
    }

    /// `nonce || ciphertext || tag`, under a fresh random nonce.
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
        sealed.extend(nonce);
        sealed.extend(plain);
        let tag = self.cipher().seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed[NONCE_LEN..]);
        sealed.extend(tag.expect("a bounded message in memory can be encrypted").as_ref());
        sealed
    }

    /// What was sealed.
    ///
    /// # Errors
    /// It was not sealed under this key.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(DoesNotOpen)?;
        let mut text = sealed.to_vec();
        let plain = self.cipher().open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut text);
        let length = plain.map_err(|_| DoesNotOpen)?.len();
        text.truncate(length);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secp256k1::Secp256k1;

    /// Both keys and what follows from them, computed with another implementation.
    const A: (&str, &str) = (
        "340f7341b312bcc61aeea7a76d759d809b8601cbc6d22cb2817278e346137a5d",
        "032965609be627c7656bdce629af8537513238041aafd8a6dac524d6e5206747f0",
    );
    const B: (&str, &str) = (
        "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a",
        "037051bed73458951b45ca6376f4096c85bf1a370da94d5336d04867cfaaad019e",
    );
    const SHARED: &str = "456bc7035ce76812531f177015e1040b8ca07ed911ad11b91cb6a113d51b8b44";

    fn keys((secret, public): (&str, &str)) -> (SecretKey, PublicKey) {
        (secret.parse().unwrap(), public.parse().unwrap())
    }

    #[test]
    fn both_twins_have_the_same_key_and_the_well_known_one() {
        let ((secret_a, public_a), (secret_b, public_b)) = (keys(A), keys(B));
        assert_eq!(secret_a.public_key(&Secp256k1::new()), public_a);
        assert_eq!(secret_b.public_key(&Secp256k1::new()), public_b);
        for key in [SharedKey::new(&secret_a, &public_b), SharedKey::new(&secret_b, &public_a)] {
            assert_eq!(hex::encode(&key.0[..]), SHARED);
        }
    }

    #[test]
    fn what_is_sealed_opens_for_the_other_and_never_twice_alike() {
        let ((secret_a, public_a), (secret_b, public_b)) = (keys(A), keys(B));
        let (ours, theirs) = (SharedKey::new(&secret_a, &public_b), SharedKey::new(&secret_b, &public_a));
        let sealed = ours.seal(b"hello");
        assert_eq!(sealed.len(), 5 + OVERHEAD);
        assert_eq!(theirs.open(&sealed).unwrap(), b"hello");
        assert_ne!(sealed, ours.seal(b"hello"));
        let other = SharedKey::new(&secret_a, &public_a);
        assert_eq!(other.open(&sealed), Err(DoesNotOpen));
        for length in 0..sealed.len() {
            assert_eq!(theirs.open(&sealed[..length]), Err(DoesNotOpen));
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(theirs.open(&changed), Err(DoesNotOpen));
        }
    }
}
