//! Genesis presets: `development` with one authority, `local` with two.

use alloc::{vec, vec::Vec};

use polkadot_sdk::*;

use serde_json::{Value, json};
use sp_consensus_aura::sr25519::AuthorityId as AuraId;
use sp_consensus_grandpa::AuthorityId as GrandpaId;
use sp_genesis_builder::{DEV_RUNTIME_PRESET, PresetId};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

use crate::{AccountId, Balance, TFT};

/// Name of the preset with two authorities.
const LOCAL_PRESET: &str = "local";

/// What each of the well-known accounts starts with.
const ENDOWMENT: Balance = 1_000_000 * TFT;

/// The presets that this runtime knows.
pub fn preset_names() -> Vec<PresetId> {
    vec![PresetId::from(DEV_RUNTIME_PRESET), PresetId::from(LOCAL_PRESET)]
}

/// The genesis of a preset, as JSON.
pub fn get_preset(id: &PresetId) -> Option<Vec<u8>> {
    let alice = (Sr25519Keyring::Alice.public().into(), Ed25519Keyring::Alice.public().into());
    let bob = (Sr25519Keyring::Bob.public().into(), Ed25519Keyring::Bob.public().into());
    let genesis = match id.as_ref() {
        DEV_RUNTIME_PRESET => genesis(vec![alice]),
        LOCAL_PRESET => genesis(vec![alice, bob]),
        _ => return None,
    };
    serde_json::to_vec(&genesis).ok()
}

fn genesis(authorities: Vec<(AuraId, GrandpaId)>) -> Value {
    let (aura, grandpa): (Vec<_>, Vec<_>) = authorities.into_iter().map(|(aura, grandpa)| (aura, (grandpa, 1))).unzip();
    let endowed: Vec<(AccountId, Balance)> =
        Sr25519Keyring::well_known().map(|key| (key.to_account_id(), ENDOWMENT)).collect();
    json!({
        "aura": { "authorities": aura },
        "grandpa": { "authorities": grandpa },
        "balances": { "balances": endowed },
        "sudo": { "key": Sr25519Keyring::Alice.to_account_id() },
    })
}
