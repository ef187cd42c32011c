//! `chain-spec`: a runtime, one of its presets, a slot duration and a few balances become a raw chain spec.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use clap::Parser;
use codec::Encode;
use polkadot_sdk::{
    sc_chain_spec::{ChainType, GenericChainSpec, GenesisConfigBuilderRuntimeCaller, Properties},
    sc_cli,
    sp_core::crypto::Ss58Codec,
    sp_io::hashing::twox_128,
};
use serde_json::{Value, json};

use crate::{
    runtime_api::{AccountId, Balance},
    runtime_blob::RuntimeBlob,
};

/// Where the runtime keeps its slot duration: a `pub storage` parameter of this name.
const SLOT_DURATION_PARAMETER: &[u8] = b":SlotDuration:";

#[derive(Debug, Parser)]
pub struct ChainSpecCommand {
    /// The runtime's wasm, plain or zstd-compressed.
    #[arg(long, value_name = "FILE")]
    runtime: PathBuf,

    /// Name of the genesis preset in the runtime.
    #[arg(long, default_value = "development")]
    preset: String,

    /// Identifier of the chain.
    #[arg(long, default_value = "tfchain_dev")]
    id: String,

    /// Milliseconds per slot, instead of the runtime's own.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(200..=60_000))]
    slot_ms: Option<u64>,

    /// Give an account this many units (1 TFT is 10,000,000); may be repeated, replaces the preset's balance.
    #[arg(long, value_name = "SS58=UNITS")]
    fund: Vec<Endowment>,
}

#[derive(Debug, Clone)]
struct Endowment {
    account: AccountId,
    units: Balance,
}

impl FromStr for Endowment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (account, units) = text.split_once('=').ok_or("expected SS58=UNITS")?;
        Ok(Self {
            account: AccountId::from_ss58check(account).map_err(|error| format!("bad address: {error}"))?,
            units: units.parse().map_err(|error| format!("bad number of units: {error}"))?,
        })
    }
}

impl ChainSpecCommand {
    pub fn run(&self) -> sc_cli::Result<()> {
        println!("{}", self.raw_spec().map_err(sc_cli::Error::Input)?);
        Ok(())
    }

    fn raw_spec(&self) -> Result<String, String> {
        let blob = RuntimeBlob::read(&self.runtime).map_err(|error| error.to_string())?;
        let mut patch = GenesisConfigBuilderRuntimeCaller::<()>::new(blob.code()).get_named_preset(Some(&self.preset))?;
        endow(&mut patch, &self.fund)?;

        let spec = GenericChainSpec::<Option<()>>::builder(blob.code(), None)
            .with_name("TF Chain development")
            .with_id(&self.id)
            .with_protocol_id(&self.id)
            .with_chain_type(ChainType::Local)
            .with_properties(tft_properties())
            .with_genesis_config_patch(patch)
            .build();
        let mut raw: Value = serde_json::from_str(&spec.as_json(true)?).map_err(|error| error.to_string())?;
        if let Some(slot_ms) = self.slot_ms {
            let top = raw.pointer_mut("/genesis/raw/top").ok_or("the chain spec has no raw genesis")?;
            top[to_hex(&twox_128(SLOT_DURATION_PARAMETER))] = json!(to_hex(&slot_ms.encode()));
        }
        serde_json::to_string_pretty(&raw).map_err(|error| error.to_string())
    }
}

/// Merges the endowments into the preset's `balances.balances`.
fn endow(patch: &mut Value, endowments: &[Endowment]) -> Result<(), String> {
    if endowments.is_empty() {
        return Ok(());
    }
    let listed = patch.pointer("/balances/balances").cloned().unwrap_or_else(|| json!([]));
    let listed: Vec<(String, Value)> = serde_json::from_value(listed).map_err(|error| format!("preset's balances: {error}"))?;
    let mut balances: BTreeMap<String, Value> = listed.into_iter().collect();
    for Endowment { account, units } in endowments {
        let units = u64::try_from(*units).map_err(|_| format!("more units than a chain spec can hold: {units}"))?;
        balances.insert(account.to_ss58check(), json!(units));
    }
    patch["balances"]["balances"] = json!(balances.into_iter().collect::<Vec<_>>());
    Ok(())
}

fn tft_properties() -> Properties {
    let mut properties = Properties::new();
    properties.insert("ss58Format".into(), json!(42));
    properties.insert("tokenDecimals".into(), json!(7));
    properties.insert("tokenSymbol".into(), json!("TFT"));
    properties
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn an_endowment_replaces_the_balance_of_the_preset() {
        let mut patch = json!({"balances": {"balances": [[ALICE, 5]]}});
        endow(&mut patch, &[format!("{ALICE}=70000000").parse().unwrap()]).unwrap();
        assert_eq!(patch, json!({"balances": {"balances": [[ALICE, 70_000_000]]}}));
    }

    #[test]
    fn a_malformed_endowment_is_refused() {
        for text in ["", "5Grw", "x=1", &format!("{ALICE}=-1"), &format!("{ALICE}=1.5"), &format!("{ALICE}=")] {
            assert!(text.parse::<Endowment>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_slot_duration_has_the_key_of_a_storage_parameter() {
        assert_eq!(to_hex(&twox_128(SLOT_DURATION_PARAMETER)).len(), 34);
        assert_eq!(to_hex(&1_000u64.encode()), "0xe803000000000000");
    }
}
