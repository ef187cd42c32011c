//! The check that a runtime has the HTLC pallet as this version knows it. One that has not gets no new money: a runtime may be
//! upgraded within minutes.

use crate::connect::Runtime;
use crate::error::AskError;
use crate::pallet::{self, HTLCS, Htlc, PALLET, Status};
use crate::storage;
use std::collections::BTreeMap;
use std::sync::Mutex;
use subxt::ext::scale_encode::EncodeAsType;
use subxt::utils::{AccountId32, H256};
use swap_contract::amount::Units;
use swap_contract::bytes::{Hashlock, SwapId};
use swap_contract::document::Account;
use swap_contract::port::BetaTerms;
use swap_contract::time::ChainTime;

/// The verdicts, by version of the runtime.
#[derive(Default)]
pub(crate) struct Shapes {
    verdicts: Mutex<BTreeMap<u32, bool>>,
}

impl Shapes {
    /// Whether a runtime is as this version knows it. Says once of each version that is not.
    pub(crate) fn knows(&self, runtime: &Runtime) -> bool {
        let version = runtime.spec_version();
        let mut verdicts = self.verdicts.lock().expect("no thread panics while it holds this lock");
        *verdicts.entry(version).or_insert_with(|| match check(runtime) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(version, %error, "TF Chain's runtime cannot be used: no new swaps until it can");
                false
            }
        })
    }
}

/// Whether a runtime has the pallet as this version knows it: the three calls, the storage in both directions, the events.
fn check(runtime: &Runtime) -> Result<(), AskError> {
    let htlc = |status| Htlc {
        sender: AccountId32([1; 32]),
        recipient: AccountId32([2; 32]),
        amount: 3,
        hashlock: [4; 32],
        refund_after: 5,
        contract_id: [6; 32],
        funded_at: 7,
        status,
    };
    let terms = BetaTerms {
        swap: SwapId([6; 32]),
        amount: Units(3),
        hashlock: Hashlock([4; 32]),
        sender: Account([1; 32]),
        recipient: Account([2; 32]),
        latest_refund_after: ChainTime(5),
    };
    let calls = runtime.tx();
    calls.call_data(&pallet::fund(&terms, ChainTime(5)))?;
    pallet::htlc_id(runtime, &terms, ChainTime(5))?;
    calls.call_data(&pallet::redeem(H256([1; 32]), [2; 32]))?;
    calls.call_data(&pallet::refund(H256([1; 32])))?;
    storage::htlc_key(runtime, H256([1; 32]))?;
    for status in [Status::Funded, Status::Redeemed { preimage: [8; 32], at: 9 }, Status::Refunded { at: 9 }] {
        let known = htlc(status);
        let bytes = known.encode_as_type(storage::value_type(runtime, PALLET, HTLCS)?, runtime.metadata_ref().types())?;
        if storage::decode::<Htlc>(runtime, PALLET, HTLCS, &bytes)? != known {
            return Err(AskError::Shape("what is stored of an HTLC reads back otherwise".into()));
        }
    }
    let pallet = runtime.metadata_ref().pallet_by_name(PALLET);
    let events = pallet.as_ref().and_then(|pallet| pallet.event_variants()).unwrap_or_default();
    for (event, needed) in [("Funded", &["id", "contract_id"][..]), ("Redeemed", &["id"]), ("Refunded", &["id"])] {
        let fields = events.iter().find(|variant| variant.name == event).map(|variant| &variant.fields);
        let has = |name: &str| fields.is_some_and(|fields| fields.iter().any(|field| field.name.as_deref() == Some(name)));
        if !needed.iter().all(|name| has(name)) {
            return Err(AskError::Shape(format!("there is no event {event} with {}", needed.join(" and "))));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "shapes_tests.rs"]
pub(crate) mod tests;
