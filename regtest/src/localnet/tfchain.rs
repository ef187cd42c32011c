//! The localnet's TF Chain node: how it is asked, and where FRAME keeps what is looked at here.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use blake2::digest::{Digest, consts::U16};
use serde_json::{Value, json};

use super::process::Spec;
use super::state::{Home, TfChainState};
use crate::command::output;
use crate::rpc::Client;
use crate::setup::tfchain::Tools;

pub const SERVICE: &str = "tfchain";
/// Six times as fast as TF Chain.
const SLOT_MS: &str = "1000";

/// twox128("System") ++ twox128("Account"): a map by blake2_128_concat(account).
const SYSTEM_ACCOUNT: &str = "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9";
/// twox128("System") ++ twox128("Events").
const SYSTEM_EVENTS: &str = "26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7";
/// twox128("Timestamp") ++ twox128("Now"): u64, milliseconds.
const TIMESTAMP_NOW: &str = "f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";

/// `TransactionPayment` has index 21 in TF Chain, and `TransactionFeePaid { who, actual_fee, tip }` is its first event.
const TRANSACTION_FEE_PAID: [u8; 2] = [21, 0];

/// In AccountInfo four u32 counters come before the balances.
const ACCOUNT_DATA: usize = 16;
const U128: usize = 16;

/// What an account holds in the first block.
#[derive(Clone, Debug)]
pub struct Endowment {
    pub address: String,
    pub units: u64,
}

/// Where the node listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub rpc: u16,
    pub network: u16,
}

/// Where the node will answer.
pub fn state(home: &Home, ports: Ports) -> TfChainState {
    TfChainState {
        pid: 0,
        ws_url: format!("ws://127.0.0.1:{}", ports.rpc),
        http_url: format!("http://127.0.0.1:{}", ports.rpc),
        log: home.log(SERVICE),
    }
}

/// Makes the chain's first block and says how to start its one authority.
pub fn spec(home: &Home, tools: &Tools, ports: Ports, endowments: &[Endowment]) -> Result<Spec> {
    let data = home.folder().join("tfchain");
    fs::create_dir_all(&data)?;
    let chain_spec = data.join("chain-spec.json");
    let mut make = Command::new(&tools.node);
    make.args(["chain-spec", "--slot-ms", SLOT_MS, "--runtime"]).arg(&tools.runtime);
    for Endowment { address, units } in endowments {
        make.args(["--fund", &format!("{address}={units}")]);
    }
    fs::write(&chain_spec, output(make).context("cannot make the chain's first block")?)?;
    Ok(Spec {
        name: SERVICE.to_owned(),
        program: tools.node.clone(),
        args: vec![
            format!("--chain={}", chain_spec.display()),
            format!("--base-path={}", data.display()),
            // The well-known development key is the only authority.
            "--alice".to_owned(),
            "--force-authoring".to_owned(),
            format!("--rpc-port={}", ports.rpc),
            format!("--listen-addr=/ip4/127.0.0.1/tcp/{}", ports.network),
            "--in-peers=0".to_owned(),
            "--out-peers=0".to_owned(),
            "--unsafe-force-node-key-generation".to_owned(),
            "--no-prometheus".to_owned(),
            "--no-telemetry".to_owned(),
        ],
        env: Vec::new(),
        log: home.log(SERVICE),
    })
}

/// An account's public id.
pub type AccountId = [u8; 32];

#[derive(Clone, Debug)]
pub struct TfChain {
    client: Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub number: u64,
    pub hash: [u8; 32],
}

impl Head {
    fn hex(&self) -> String {
        format!("0x{}", hex::encode(self.hash))
    }
}

impl TfChain {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    pub fn best(&self) -> Result<Head> {
        let header = self.client.call("chain_getHeader", &json!([]))?;
        let number = number(&header)?;
        self.head(number)
    }

    pub fn finalized(&self) -> Result<Head> {
        let hash = self.client.call("chain_getFinalizedHead", &json!([]))?;
        let header = self.client.call("chain_getHeader", &json!([hash]))?;
        Ok(Head { number: number(&header)?, hash: hash_of(&hash)? })
    }

    /// The block at `number` on the best chain.
    pub fn head(&self, number: u64) -> Result<Head> {
        let hash = self.client.call("chain_getBlockHash", &json!([number]))?;
        Ok(Head { number, hash: hash_of(&hash)? })
    }

    /// The chain's own time at a block, unix milliseconds.
    pub fn timestamp(&self, at: Head) -> Result<u64> {
        let bytes = self.storage(TIMESTAMP_NOW, at)?.unwrap_or_default();
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| anyhow!("block {} has no timestamp", at.number))?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// All units of an account, the held ones too. Nothing for an account that does not exist.
    pub fn balance(&self, account: &AccountId, at: Head) -> Result<u128> {
        let Some(info) = self.storage(&account_key(account), at)? else { return Ok(0) };
        let free = u128_at(&info, ACCOUNT_DATA)?;
        let reserved = u128_at(&info, ACCOUNT_DATA + U128)?;
        free.checked_add(reserved).ok_or_else(|| anyhow!("a balance beyond 128 bits"))
    }

    /// Fees and tips that `account` paid in the block itself, from the block's events.
    pub fn fees_paid(&self, account: &AccountId, at: Head) -> Result<u128> {
        fees_in(&self.storage(SYSTEM_EVENTS, at)?.unwrap_or_default(), account)
    }

    /// What an extrinsic weighs, in picoseconds of computing time (the first part of FRAME's weight).
    pub fn weight(&self, at: Head, index: usize) -> Result<u64> {
        let block = self.client.call("chain_getBlock", &json!([at.hex()]))?;
        let extrinsic = &block["block"]["extrinsics"][index];
        if !extrinsic.is_string() {
            bail!("block {} has no extrinsic {index}", at.number);
        }
        // Asked at the parent: there the extrinsic is still to be applied.
        let parent = block["block"]["header"]["parentHash"].clone();
        let info = self.client.call("payment_queryInfo", &json!([extrinsic, parent]))?;
        let weight = &info["weight"];
        weight["refTime"].as_u64().or_else(|| weight["ref_time"].as_u64()).ok_or_else(|| anyhow!("no weight in {info}"))
    }

    /// Moves the node's clock forward.
    pub fn advance_time(&self, milliseconds: u64) -> Result<()> {
        self.client.call("dev_advanceTime", &json!([milliseconds]))?;
        Ok(())
    }

    fn storage(&self, key: &str, at: Head) -> Result<Option<Vec<u8>>> {
        let value = self.client.call("state_getStorage", &json!([format!("0x{key}"), at.hex()]))?;
        value.as_str().map(bytes).transpose()
    }
}

/// Decodes an address of any network, for example TF Chain's `5..`.
pub fn account_of_address(address: &str) -> Result<AccountId> {
    let bytes = bs58::decode(address).into_vec().map_err(|error| anyhow!("{address} is no address: {error}"))?;
    // One byte of network, 32 of account, 2 of checksum.
    if bytes.len() != 35 {
        bail!("{address} is no address of a 32-byte account");
    }
    let mut hasher = blake2::Blake2b512::new();
    hasher.update(b"SS58PRE");
    hasher.update(&bytes[..33]);
    if hasher.finalize()[..2] != bytes[33..] {
        bail!("the checksum of {address} is wrong");
    }
    Ok(bytes[1..33].try_into().expect("32 bytes"))
}

fn account_key(account: &AccountId) -> String {
    let mut hasher = blake2::Blake2b::<U16>::new();
    hasher.update(account);
    format!("{SYSTEM_ACCOUNT}{}{}", hex::encode(hasher.finalize()), hex::encode(account))
}

/// The account inside makes the pattern unmistakable, so no metadata is needed to find the event.
fn fees_in(events: &[u8], account: &AccountId) -> Result<u128> {
    let mut pattern = TRANSACTION_FEE_PAID.to_vec();
    pattern.extend_from_slice(account);
    let mut sum: u128 = 0;
    for (place, window) in events.windows(pattern.len()).enumerate() {
        if window == pattern {
            // The fee that was charged includes the tip.
            let fee = u128_at(events, place + pattern.len())?;
            sum = sum.checked_add(fee).ok_or_else(|| anyhow!("fees beyond 128 bits"))?;
        }
    }
    Ok(sum)
}

fn u128_at(bytes: &[u8], place: usize) -> Result<u128> {
    let slice = bytes.get(place..place + U128).ok_or_else(|| anyhow!("{} bytes of storage are too few", bytes.len()))?;
    Ok(u128::from_le_bytes(slice.try_into().expect("16 bytes")))
}

fn number(header: &Value) -> Result<u64> {
    let text = header["number"].as_str().ok_or_else(|| anyhow!("a header without a number: {header}"))?;
    Ok(u64::from_str_radix(text.trim_start_matches("0x"), 16)?)
}

fn hash_of(value: &Value) -> Result<[u8; 32]> {
    let text = value.as_str().ok_or_else(|| anyhow!("there is no such block"))?;
    bytes(text)?.try_into().map_err(|_| anyhow!("{text} is no hash"))
}

fn bytes(text: &str) -> Result<Vec<u8>> {
    Ok(hex::decode(text.trim_start_matches("0x"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const ALICE_HEX: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn well_known_address_decodes_and_a_changed_letter_is_refused() {
        assert_eq!(hex::encode(account_of_address(ALICE).unwrap()), ALICE_HEX);
        assert!(account_of_address(&ALICE.replace('Q', "R")).is_err());
        assert!(account_of_address("5Grw").is_err());
    }

    #[test]
    fn account_key_is_the_one_frame_uses() {
        let key = account_key(&account_of_address(ALICE).unwrap());
        assert_eq!(key, format!("{SYSTEM_ACCOUNT}de1e86a9a8c739864cf3cc5ec2bea59f{ALICE_HEX}"));
    }

    #[test]
    fn fees_of_one_account_are_found_among_other_events() {
        let alice = account_of_address(ALICE).unwrap();
        let event = |who: AccountId, fee: u128| {
            let mut event = TRANSACTION_FEE_PAID.to_vec();
            event.extend_from_slice(&who);
            event.extend_from_slice(&fee.to_le_bytes());
            event.extend_from_slice(&0u128.to_le_bytes());
            event
        };
        let events = [vec![9; 7], event(alice, 25_000), event([1; 32], 7), vec![3], event(alice, 1)].concat();
        assert_eq!(fees_in(&events, &alice).unwrap(), 25_001);
    }
}
