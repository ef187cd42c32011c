//! What a node says, from bytes to sightings, without a node: for the fuzzer. No part of the API.

use crate::connect::{self, Runtime};
use crate::index::{Index, Sight};
use crate::pallet::{HTLCS, Htlc, PALLET, Status};
use crate::storage::{self, Funds};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use subxt::Metadata;
use subxt::ext::scale_encode::EncodeAsType;
use subxt::utils::{AccountId32, H256};
use swap_contract::bytes::Preimage;
use swap_contract::leg::Sighting;
use swap_contract::port::BetaTerms;
use swap_contract::time::ChainTime;

/// The runtime in `contracts/tfchain`.
static COMMITTED: LazyLock<Runtime> = LazyLock::new(|| {
    let metadata = Metadata::decode_from(include_bytes!("../metadata/tfchain.scale")).expect("the committed metadata is a runtime's");
    connect::runtime(H256([1; 32]), 1, 1, metadata.arc())
});

/// How an HTLC ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With this preimage, in this block.
    Redeemed([u8; 32], u64),
    /// In this block.
    Refunded(u64),
}

/// Who watches one leg on a chain whose every word is given as bytes.
pub struct Follower {
    terms: BetaTerms,
    index: Index,
    htlcs: BTreeMap<H256, Htlc>,
    height: u64,
}

impl Follower {
    /// Watches a leg of which anything may be remembered.
    pub fn new(terms: BetaTerms) -> Self {
        let index = Index::default();
        index.track(terms.clone());
        index.begin_watch();
        Self { terms, index, htlcs: BTreeMap::new(), height: 0 }
    }

    /// The next block, with the value of `System.Events`. How many of its events are the pallet's; [`None`] if it is refused.
    pub fn block(&mut self, events: &[u8]) -> Option<usize> {
        self.height += 1;
        let logged = storage::decode_events(&COMMITTED, events.to_vec()).ok()?;
        let longer = [events, &[0]].concat();
        assert!(events.is_empty() || storage::decode_events(&COMMITTED, longer).is_err(), "events are read to the last byte");
        for event in &logged {
            self.index.note(*event, self.height);
        }
        Some(logged.len())
    }

    /// The value of one of the pallet's HTLCs. Whether it is one; it is then the same bytes again.
    pub fn store(&mut self, id: [u8; 32], value: &[u8]) -> bool {
        let Ok(htlc) = storage::decode::<Htlc>(&COMMITTED, PALLET, HTLCS, value) else { return false };
        assert_eq!(encode(&htlc), value, "an HTLC has one form");
        if htlc.fulfils(&self.terms) {
            self.index.found(H256(id), &htlc);
        }
        self.htlcs.insert(H256(id), htlc);
        true
    }

    /// The value of `Timestamp.Now`.
    pub fn time(value: &[u8]) -> Option<ChainTime> {
        storage::decode(&COMMITTED, "Timestamp", "Now", value).ok().map(ChainTime)
    }

    /// What an account may spend, from the value of `System.Account`.
    pub fn spendable(value: &[u8]) -> Option<u128> {
        let info: storage::AccountInfo = storage::decode(&COMMITTED, "System", "Account", value).ok()?;
        let Funds { free, .. } = info.data;
        let spendable = info.data.spendable(1);
        assert!(spendable <= free, "nobody spends more than there is");
        Some(spendable)
    }

    /// What the engine is told at this moment of the chain's own time.
    pub fn sightings(&self, time: ChainTime, recent: bool, final_height: u64) -> Vec<Sighting> {
        let swaps = [self.terms.swap].into();
        let found = self.htlcs.iter().filter(|(id, _)| self.index.candidates(&swaps).contains(id));
        let found = found.map(|(id, htlc)| (*id, htlc.clone())).collect();
        let told = self.index.observe(&swaps, &found, Sight { time, recent, final_height });
        told.into_iter().map(|(_, sighting)| sighting).collect()
    }

    /// The bytes of an HTLC of these terms, as the chain stores it.
    pub fn htlc(terms: &BetaTerms, refund_after: ChainTime, funded_at: u64, end: Option<End>) -> Vec<u8> {
        encode(&Htlc {
            sender: AccountId32(terms.sender.0),
            recipient: AccountId32(terms.recipient.0),
            amount: terms.amount.0.into(),
            hashlock: terms.hashlock.0,
            refund_after: refund_after.0,
            contract_id: terms.swap.0,
            funded_at,
            status: match end {
                None => Status::Funded,
                Some(End::Redeemed(preimage, at)) => Status::Redeemed { preimage, at },
                Some(End::Refunded(at)) => Status::Refunded { at },
            },
        })
    }

    /// The value of `System.Events` with one event of the pallet, of extrinsic 2.
    pub fn event(name: &str, id: [u8; 32], terms: &BetaTerms, preimage: &Preimage) -> Vec<u8> {
        let metadata = COMMITTED.metadata_ref();
        let pallet = metadata.pallet_by_name(PALLET).expect("the committed runtime has the pallet");
        let variants = pallet.event_variants().expect("the pallet has events");
        let variant = variants.iter().find(|variant| variant.name == name).expect("the pallet has this event");
        // One event, caused by an extrinsic.
        let mut bytes = vec![1 << 2, 0, 2, 0, 0, 0, pallet.event_index(), variant.index];
        for field in &variant.fields {
            let (ty, types) = (field.ty.id, metadata.types());
            let written = match field.name.as_deref() {
                Some("id") => H256(id).encode_as_type_to(ty, types, &mut bytes),
                Some("sender") => AccountId32(terms.sender.0).encode_as_type_to(ty, types, &mut bytes),
                Some("recipient") => AccountId32(terms.recipient.0).encode_as_type_to(ty, types, &mut bytes),
                Some("amount") => u128::from(terms.amount.0).encode_as_type_to(ty, types, &mut bytes),
                Some("hashlock") => terms.hashlock.0.encode_as_type_to(ty, types, &mut bytes),
                Some("refund_after") => terms.latest_refund_after.0.encode_as_type_to(ty, types, &mut bytes),
                Some("contract_id") => terms.swap.0.encode_as_type_to(ty, types, &mut bytes),
                Some("preimage") => preimage.expose().encode_as_type_to(ty, types, &mut bytes),
                other => panic!("the event {name} has an unknown field {other:?}"),
            };
            written.expect("the pallet's types are known");
        }
        bytes.push(0);
        bytes
    }
}

fn encode(htlc: &Htlc) -> Vec<u8> {
    let of = storage::value_type(&COMMITTED, PALLET, HTLCS).expect("the committed runtime has the pallet");
    htlc.encode_as_type(of, COMMITTED.metadata_ref().types()).expect("the pallet's types are known")
}
