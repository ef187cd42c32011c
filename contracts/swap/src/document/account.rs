//! Accounts of TF Chain in their usual spelling, SS58 with prefix 42.

use blake2::{Blake2b512, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::str::FromStr;

const PREFIX: u8 = 42;

/// A TF Chain account id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct Account(pub [u8; 32]);

/// The text is not an SS58 address of TF Chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an SS58 address with prefix 42")]
pub struct NotAnAccount;

fn checksum(prefixed: &[u8]) -> [u8; 2] {
    let hash = Blake2b512::new().chain_update(b"SS58PRE").chain_update(prefixed).finalize();
    [hash[0], hash[1]]
}

impl FromStr for Account {
    type Err = NotAnAccount;

    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        let mut bytes = [0u8; 35];
        let length = bs58::decode(text).onto(&mut bytes).map_err(|_| NotAnAccount)?;
        if length != 35 || bytes[0] != PREFIX || checksum(&bytes[..33]) != bytes[33..] {
            return Err(NotAnAccount);
        }
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[1..33]);
        Ok(Self(id))
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = [PREFIX; 35];
        bytes[1..33].copy_from_slice(&self.0);
        let sum = checksum(&bytes[..33]);
        bytes[33..].copy_from_slice(&sum);
        // 35 bytes are no more than 48 digits in base 58.
        let mut text = [0; 48];
        let length = bs58::encode(bytes).onto(&mut text[..]).map_err(|_| std::fmt::Error)?;
        f.write_str(std::str::from_utf8(&text[..length]).map_err(|_| std::fmt::Error)?)
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({self})")
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn the_well_known_account_reads_and_writes() {
        let account: Account = ALICE.parse().unwrap();
        assert_eq!(hex::encode(account.0), "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d");
        assert_eq!(account.to_string(), ALICE);
    }

    #[test]
    fn a_slip_of_the_pen_or_another_chains_prefix_is_no_account() {
        let polkadot = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
        for bad in [polkadot, &ALICE.replace('Q', "R"), "", "5Grw", &ALICE.repeat(9)] {
            assert!(bad.parse::<Account>().is_err(), "{bad}");
        }
    }
}
