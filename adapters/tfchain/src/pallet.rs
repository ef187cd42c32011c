//! The HTLC pallet as this version knows it: its calls, events and storage, told by name and never by index.

use crate::connect::Runtime;
use crate::error::AskError;
use crate::hash::blake2_256;
use parity_scale_codec::Encode;
use subxt::ext::scale_decode::DecodeAsType;
use subxt::ext::scale_encode::EncodeAsType;
use subxt::tx::DynamicPayload;
use subxt::utils::{AccountId32, H256};
use swap_contract::bytes::parse_hex;
use swap_contract::leg::HtlcRef;
use swap_contract::port::BetaTerms;
use swap_contract::time::ChainTime;

/// Name of the pallet in the runtime.
pub(crate) const PALLET: &str = "Htlc";
/// Its map from id to HTLC.
pub(crate) const HTLCS: &str = "Htlcs";

/// What the pallet keeps of an HTLC until 28 days after its end.
#[derive(Clone, Debug, PartialEq, Eq, EncodeAsType, DecodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct Htlc {
    pub(crate) sender: AccountId32,
    pub(crate) recipient: AccountId32,
    pub(crate) amount: u128,
    pub(crate) hashlock: [u8; 32],
    pub(crate) refund_after: u64,
    pub(crate) contract_id: [u8; 32],
    pub(crate) funded_at: u64,
    pub(crate) status: Status,
}

/// Where an HTLC stands.
#[derive(Clone, Debug, PartialEq, Eq, EncodeAsType, DecodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) enum Status {
    Funded,
    Redeemed { preimage: [u8; 32], at: u64 },
    Refunded { at: u64 },
}

impl Htlc {
    /// Whether it is the leg of these terms, to the unit.
    pub(crate) fn fulfils(&self, terms: &BetaTerms) -> bool {
        self.sender.0 == terms.sender.0
            && self.recipient.0 == terms.recipient.0
            && self.amount == u128::from(terms.amount.0)
            && self.hashlock == terms.hashlock.0
            && self.contract_id == terms.swap.0
            && self.refund_after <= terms.latest_refund_after.0
    }

    /// The block that redeemed or refunded it.
    pub(crate) fn closed_at(&self) -> Option<u64> {
        match self.status {
            Status::Funded => None,
            Status::Redeemed { at, .. } | Status::Refunded { at } => Some(at),
        }
    }
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct Fund {
    contract_id: [u8; 32],
    recipient: AccountId32,
    amount: u128,
    hashlock: [u8; 32],
    refund_after: u64,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct Redeem {
    id: H256,
    preimage: [u8; 32],
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct Refund {
    id: H256,
}

/// The call that funds an HTLC; signed by the terms' sender.
pub(crate) fn fund(terms: &BetaTerms, refund_after: ChainTime) -> DynamicPayload<Fund> {
    let call = Fund {
        contract_id: terms.swap.0,
        recipient: AccountId32(terms.recipient.0),
        amount: terms.amount.0.into(),
        hashlock: terms.hashlock.0,
        refund_after: refund_after.0,
    };
    subxt::tx::dynamic(PALLET, "fund", call)
}

/// The call that pays the recipient; unsigned.
pub(crate) fn redeem(id: H256, preimage: [u8; 32]) -> DynamicPayload<Redeem> {
    subxt::tx::dynamic(PALLET, "redeem", Redeem { id, preimage })
}

/// The call that pays the sender back; unsigned.
pub(crate) fn refund(id: H256) -> DynamicPayload<Refund> {
    subxt::tx::dynamic(PALLET, "refund", Refund { id })
}

/// The id that an HTLC of these terms has: BLAKE2b-256 of the SCALE encoding of sender, recipient, amount (as wide as the
/// runtime has it), hashlock, timelock and contract id.
pub(crate) fn htlc_id(runtime: &Runtime, terms: &BetaTerms, refund_after: ChainTime) -> Result<H256, AskError> {
    let metadata = runtime.metadata_ref();
    let amount_type = metadata
        .pallet_by_name(PALLET)
        .and_then(|pallet| pallet.call_variant_by_name("fund"))
        .and_then(|call| call.fields.iter().find(|field| field.name.as_deref() == Some("amount")))
        .ok_or_else(|| AskError::Shape("there is no amount to fund".into()))?;
    let mut bytes = Vec::with_capacity(176);
    terms.sender.0.encode_to(&mut bytes);
    terms.recipient.0.encode_to(&mut bytes);
    u128::from(terms.amount.0).encode_as_type_to(amount_type.ty.id, metadata.types(), &mut bytes)?;
    terms.hashlock.0.encode_to(&mut bytes);
    refund_after.0.encode_to(&mut bytes);
    terms.swap.0.encode_to(&mut bytes);
    Ok(H256(blake2_256(&bytes)))
}

/// An HTLC's id as the engine knows it.
pub(crate) fn htlc_ref(id: H256) -> HtlcRef {
    HtlcRef(format!("0x{}", hex::encode(id)))
}

/// The id in an engine's reference, if it is one of this chain's.
pub(crate) fn id_of(htlc: &HtlcRef) -> Option<H256> {
    parse_hex(htlc.0.strip_prefix("0x")?).ok().map(H256)
}

#[derive(Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct FundedEvent {
    pub(crate) id: H256,
    pub(crate) contract_id: [u8; 32],
}

#[derive(Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct ClosedEvent {
    pub(crate) id: H256,
}
