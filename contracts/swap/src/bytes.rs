//! Fixed-size byte strings: identifiers, hashlocks, keys. Lower-case hexadecimal in documents.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};
use zeroize::ZeroizeOnDrop;

/// The text is not lower-case hexadecimal of the right length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {expected} bytes of lower-case hexadecimal")]
pub struct NotHex {
    /// Bytes expected.
    pub expected: usize,
}

/// Reads exactly `N` bytes of lower-case hexadecimal.
pub fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let mut out = [0; N];
    let lower = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !lower || hex::decode_to_slice(text, &mut out).is_err() {
        return Err(NotHex { expected: N });
    }
    Ok(out)
}

macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(with = "String")]
        pub struct $name(pub [u8; $len]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut text = [0; 2 * $len];
                hex::encode_to_slice(self.0, &mut text).map_err(|_| std::fmt::Error)?;
                f.write_str(std::str::from_utf8(&text).map_err(|_| std::fmt::Error)?)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
        impl std::str::FromStr for $name {
            type Err = NotHex;
            fn from_str(text: &str) -> Result<Self, NotHex> {
                parse_hex(text).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

bytes!(
    /// Id of an offer: SHA-256 of its tagged canonical bytes.
    OfferId, 32
);
bytes!(
    /// Id of a search: SHA-256 of its tagged canonical bytes.
    SearchId, 32
);
bytes!(
    /// Id of a listing: SHA-256 of its tagged canonical bytes.
    ListingId, 32
);
bytes!(
    /// SHA-256 of a web page's bytes.
    PageHash, 32
);
bytes!(
    /// Id of an order: SHA-256 of its tagged canonical bytes.
    OrderId, 32
);
bytes!(
    /// Id of a contract, and so of its swap: SHA-256 of its tagged canonical bytes.
    SwapId, 32
);
bytes!(
    /// Random bytes that a party puts in its documents. Its keys and its preimage for the swap derive from its seed and this.
    Salt, 32
);
bytes!(
    /// SHA-256 of a 32-byte preimage; the same value locks both chains.
    Hashlock, 32
);
bytes!(
    /// A compressed secp256k1 public key (SEC 1), checked to be on the curve when a document is parsed.
    PublicKey, 33
);
bytes!(
    /// The hash of a chain's first block; it names the network. Bitcoin's in the order of display.
    GenesisHash, 32
);
bytes!(
    /// The hash of a block of TF Chain.
    BlockHash, 32
);

/// The 32 bytes that open a hashlock. Redacted in logs and wiped from memory.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct Preimage([u8; 32]);

impl Preimage {
    /// Wraps bytes that are already known to be a preimage or are about to be checked with [`Preimage::hashlock`].
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hashlock this preimage opens.
    pub fn hashlock(&self) -> Hashlock {
        Hashlock(Sha256::digest(self.0).into())
    }

    /// The bytes themselves: only for the transaction that reveals them, or for storage once they are public.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Preimage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Preimage(..)")
    }
}

/// Only a preimage that a chain already shows is ever stored: see `event`.
impl Serialize for Preimage {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Preimage {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_hex(&String::deserialize(d)?).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_hexadecimal_of_the_right_length_is_an_id() {
        let id = "ab".repeat(32);
        assert_eq!(id.parse::<SwapId>().unwrap().to_string(), id);
        for bad in [id.to_uppercase(), id[2..].to_string(), format!("{id}00"), format!("0x{}", &id[2..]), "zz".repeat(32)] {
            assert!(bad.parse::<SwapId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_preimage_is_redacted_when_printed() {
        assert_eq!(format!("{:?}", Preimage::new([7; 32])), "Preimage(..)");
    }
}
