//! Reading the chain's state at one block: HTLCs by id, a scan of all of them, the block's events, its time, an account.
//!
//! A block's state and events are read with the runtime that made it, which is the one in its parent's state: in the block
//! that carries a runtime upgrade the two differ.

use crate::connect::{Block, Runtime, Session};
use crate::error::AskError;
use crate::pallet::{ClosedEvent, FundedEvent, HTLCS, Htlc, PALLET};
use parity_scale_codec::{Compact, Encode};
use std::collections::BTreeMap;
use std::time::Duration;
use subxt::events::Phase;
use subxt::ext::frame_decode::storage::{IntoDecodableValues, IntoEncodableValues};
use subxt::ext::scale_decode::DecodeAsType;
use subxt::utils::{AccountId32, H256};
use swap_contract::bytes::SwapId;
use swap_contract::time::ChainTime;

/// Entries of a map that are asked for at a time.
const PAGE: u32 = 256;
/// A scan that takes longer is given up: nodes forget a block's state after some twenty minutes.
const SCAN_TIMEOUT: Duration = Duration::from_secs(600);

/// What an event says of an HTLC. Only where to look: what became of it is read from the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HtlcEvent {
    Funded { id: H256, swap: SwapId },
    Closed { id: H256 },
}

/// An event and the extrinsic of the block that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) event: HtlcEvent,
    pub(crate) extrinsic: u32,
}

/// An account's money. A missing account has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct Funds {
    pub(crate) free: u128,
    /// Held; not part of `free`.
    pub(crate) reserved: u128,
    /// May not leave the account, be it free or held.
    pub(crate) frozen: u128,
}

impl Funds {
    /// What may be spent while the account is kept alive.
    pub(crate) fn spendable(&self, existential_deposit: u128) -> u128 {
        self.free.saturating_sub(self.frozen.saturating_sub(self.reserved).max(existential_deposit))
    }
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct AccountInfo {
    pub(crate) data: Funds,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct FeePaid {
    who: AccountId32,
    actual_fee: u128,
}

/// The state after one block.
pub(crate) struct View<'s> {
    session: &'s Session,
    runtime: Runtime,
    pub(crate) block: Block,
}

impl<'s> View<'s> {
    pub(crate) async fn of(session: &'s Session, block: Block) -> Result<View<'s>, AskError> {
        let runtime = match block.number.checked_sub(1) {
            Some(parent) => session.runtime_after(block.parent, parent).await?,
            None => session.runtime_after(block.hash, block.number).await?,
        };
        Ok(View { session, runtime, block })
    }

    /// The runtime that made the block.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The HTLCs of these ids that are there.
    pub(crate) async fn htlcs(&self, ids: impl IntoIterator<Item = H256>) -> Result<BTreeMap<H256, Htlc>, AskError> {
        let ids: Vec<H256> = ids.into_iter().collect();
        let mut found = BTreeMap::new();
        for page in ids.chunks(PAGE as usize) {
            let keys = page.iter().map(|id| htlc_key(&self.runtime, *id)).collect::<Result<Vec<_>, _>>()?;
            for (key, htlc) in self.values(&keys).await? {
                if let Some(at) = keys.iter().position(|asked| *asked == key) {
                    found.insert(page[at], htlc);
                }
            }
        }
        Ok(found)
    }

    /// One HTLC.
    pub(crate) async fn htlc(&self, id: H256) -> Result<Option<Htlc>, AskError> {
        Ok(self.htlcs([id]).await?.remove(&id))
    }

    /// Goes through all HTLCs, a page at a time, and keeps those that are `wanted`.
    pub(crate) async fn scan(&self, wanted: impl Fn(&Htlc) -> bool) -> Result<BTreeMap<H256, Htlc>, AskError> {
        let scan = async {
            let prefix = self.runtime.storage().entry(address::<(H256,), Htlc>(PALLET, HTLCS))?.key_prefix();
            let mut found = BTreeMap::new();
            let mut after: Option<Vec<u8>> = None;
            loop {
                let start = after.as_deref();
                let keys = self.session.rpc.state_get_keys_paged(&prefix, PAGE, start, Some(self.block.hash)).await?;
                let Some(last) = keys.last().cloned() else { return Ok(found) };
                let in_order = keys.is_sorted() && after.as_ref().is_none_or(|after| keys[0] > *after);
                if !in_order || keys.len() > PAGE as usize {
                    return Err(AskError::Node("the node lists storage keys out of order".into()));
                }
                for (key, htlc) in self.values(&keys).await? {
                    if wanted(&htlc) {
                        found.insert(id_in(&self.runtime, &key)?, htlc);
                    }
                }
                after = Some(last);
            }
        };
        tokio::time::timeout(SCAN_TIMEOUT, scan)
            .await
            .unwrap_or_else(|_| Err(AskError::Node("the node took too long to list all HTLCs".into())))
    }

    async fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, Htlc)>, AskError> {
        let asked = keys.iter().map(Vec::as_slice);
        let sets = self.session.rpc.state_query_storage_at(asked, Some(self.block.hash)).await?;
        let values = sets.into_iter().flat_map(|set| set.changes);
        let present = values.filter_map(|(key, value)| value.map(|value| (key.0, value)));
        present.map(|(key, value)| Ok((key, decode(&self.runtime, PALLET, HTLCS, &value)?))).collect()
    }

    /// The HTLC pallet's events in this block.
    pub(crate) async fn events(&self) -> Result<Vec<Logged>, AskError> {
        let bytes = self.fetch(self.key::<()>("System", "Events", ())?).await?.unwrap_or_default();
        decode_events(&self.runtime, bytes)
    }

    /// What an account paid for an extrinsic of this block, tip included.
    pub(crate) async fn fee_paid(&self, extrinsic: u32, by: AccountId32) -> Result<Option<u128>, AskError> {
        let bytes = self.fetch(self.key::<()>("System", "Events", ())?).await?.unwrap_or_default();
        for event in self.runtime.events().from_bytes(bytes).iter() {
            let event = event?;
            let is_fee = (event.pallet_name(), event.event_name()) == ("TransactionPayment", "TransactionFeePaid");
            if is_fee && event.phase() == Phase::ApplyExtrinsic(extrinsic) {
                let FeePaid { who, actual_fee } = event.decode_fields_unchecked_as()?;
                if who == by {
                    return Ok(Some(actual_fee));
                }
            }
        }
        Ok(None)
    }

    /// The chain's own time in this block. The genesis block has none: zero.
    pub(crate) async fn time(&self) -> Result<ChainTime, AskError> {
        match self.fetch(self.key::<()>("Timestamp", "Now", ())?).await? {
            Some(bytes) => Ok(ChainTime(decode(&self.runtime, "Timestamp", "Now", &bytes)?)),
            None => Ok(ChainTime(0)),
        }
    }

    /// An account's money.
    pub(crate) async fn funds(&self, account: AccountId32) -> Result<Funds, AskError> {
        match self.fetch(self.key::<(AccountId32,)>("System", "Account", (account,))?).await? {
            Some(bytes) => Ok(decode::<AccountInfo>(&self.runtime, "System", "Account", &bytes)?.data),
            None => Ok(Funds::default()),
        }
    }

    /// The bytes of a single value, if it is there.
    pub(crate) async fn value(&self, pallet: &str, entry: &str) -> Result<Option<Vec<u8>>, AskError> {
        self.fetch(self.key::<()>(pallet, entry, ())?).await
    }

    /// A map's entry, if it is there.
    pub(crate) async fn entry<K: KeyParts, V: DecodeAsType>(&self, pallet: &str, entry: &str, key: K) -> Result<Option<V>, AskError> {
        match self.fetch(self.key(pallet, entry, key)?).await? {
            Some(bytes) => Ok(Some(decode(&self.runtime, pallet, entry, &bytes)?)),
            None => Ok(None),
        }
    }

    /// Whether a map's entry is there.
    pub(crate) async fn has_entry<K: KeyParts>(&self, pallet: &str, entry: &str, key: K) -> Result<bool, AskError> {
        Ok(self.fetch(self.key(pallet, entry, key)?).await?.is_some())
    }

    async fn fetch(&self, key: Vec<u8>) -> Result<Option<Vec<u8>>, AskError> {
        Ok(self.session.rpc.state_get_storage(&key, Some(self.block.hash)).await?)
    }

    fn key<K: KeyParts>(&self, pallet: &str, entry: &str, parts: K) -> Result<Vec<u8>, AskError> {
        Ok(self.runtime.storage().entry(address::<K, u64>(pallet, entry))?.fetch_key(parts)?)
    }
}

/// Where an HTLC lies in the state.
pub(crate) fn htlc_key(runtime: &Runtime, id: H256) -> Result<Vec<u8>, AskError> {
    Ok(runtime.storage().entry(address::<(H256,), Htlc>(PALLET, HTLCS))?.fetch_key((id,))?)
}

/// The id of the HTLC that lies at `key`.
fn id_in(runtime: &Runtime, key: &[u8]) -> Result<H256, AskError> {
    let id = key.last_chunk::<32>().copied().map(H256);
    let is_its_key = |id: &H256| htlc_key(runtime, *id).is_ok_and(|expected| expected == key);
    id.filter(is_its_key).ok_or_else(|| AskError::Shape("the key of an HTLC does not end in its id".into()))
}

/// The type of a storage entry's value.
pub(crate) fn value_type(runtime: &Runtime, pallet: &str, entry: &str) -> Result<u32, AskError> {
    let pallet_metadata = runtime.metadata_ref().pallet_by_name(pallet);
    let entries = pallet_metadata.as_ref().and_then(|pallet| pallet.storage());
    let found = entries.and_then(|entries| entries.entry_by_name(entry));
    found.map(|entry| entry.value_ty()).ok_or_else(|| AskError::Shape(format!("there is no storage {pallet}.{entry}")))
}

/// Reads a storage entry's value, fields by name, to the last byte.
pub(crate) fn decode<V: DecodeAsType>(runtime: &Runtime, pallet: &str, entry: &str, bytes: &[u8]) -> Result<V, AskError> {
    let mut rest = bytes;
    let value = V::decode_as_type(&mut rest, value_type(runtime, pallet, entry)?, runtime.metadata_ref().types())?;
    if rest.is_empty() { Ok(value) } else { Err(AskError::Shape(format!("{pallet}.{entry} is longer than its type"))) }
}

/// The HTLC pallet's events among all of a block's, which are read to the last byte: what the library cannot count it takes for
/// no events at all, and an event that is missed is an HTLC that is not seen.
pub(crate) fn decode_events(runtime: &Runtime, bytes: Vec<u8>) -> Result<Vec<Logged>, AskError> {
    let all = runtime.events().from_bytes(bytes);
    let (mut count, mut length) = (0, if all.bytes().is_empty() { 0 } else { Compact(all.len()).encoded_size() });
    let mut logged = Vec::new();
    for event in all.iter() {
        let event = event?;
        (count, length) = (count + 1, length + event.bytes().len());
        let (PALLET, Phase::ApplyExtrinsic(extrinsic)) = (event.pallet_name(), event.phase()) else { continue };
        let event = match event.event_name() {
            "Funded" => {
                let FundedEvent { id, contract_id } = event.decode_fields_unchecked_as()?;
                HtlcEvent::Funded { id, swap: SwapId(contract_id) }
            }
            "Redeemed" | "Refunded" => {
                let ClosedEvent { id } = event.decode_fields_unchecked_as()?;
                HtlcEvent::Closed { id }
            }
            _ => continue,
        };
        logged.push(Logged { event, extrinsic });
    }
    if (count, length) != (all.len(), all.bytes().len()) {
        return Err(AskError::Shape("System.Events is not as long as it says".into()));
    }
    Ok(logged)
}

/// A pallet's constant, if the runtime has it.
pub(crate) fn constant<V: DecodeAsType>(runtime: &Runtime, pallet: &str, name: &str) -> Result<Option<V>, AskError> {
    let metadata = runtime.metadata_ref();
    let pallet = metadata.pallet_by_name(pallet);
    match pallet.as_ref().and_then(|pallet| pallet.constant_by_name(name)) {
        Some(constant) => Ok(Some(V::decode_as_type(&mut constant.value(), constant.ty(), metadata.types())?)),
        None => Ok(None),
    }
}

fn address<K: KeyParts, V: DecodeAsType>(pallet: &str, entry: &str) -> subxt::storage::DynamicAddress<K, V> {
    subxt::storage::dynamic(pallet, entry)
}

/// The keys of a storage map.
pub(crate) trait KeyParts: IntoEncodableValues + IntoDecodableValues {}
impl<K: IntoEncodableValues + IntoDecodableValues> KeyParts for K {}
