//! The cases on which the contracts of both chains must agree: `contracts/vectors/htlc.json`.

use codec::{DecodeAll, Encode};
use polkadot_sdk::*;
use serde::Deserialize;

use frame_support::dispatch::RawOrigin;

use crate::{Call, mock::*};

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    preimage_hex: String,
    hashlock_hex: String,
    now_vs_refund_after: Clock,
    redeem: Outcome,
    refund: Outcome,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Clock {
    Before,
    At,
    After,
}

#[derive(Deserialize, PartialEq, Debug, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Err,
}

impl From<bool> for Outcome {
    fn from(succeeded: bool) -> Self {
        if succeeded { Self::Ok } else { Self::Err }
    }
}

/// Sends the call as a block would: bytes in, decoded to the end, dispatched without a signature.
fn dispatch(bytes: &[u8]) -> Outcome {
    use frame_support::traits::UnfilteredDispatchable;
    let Ok(call) = RuntimeCall::decode_all(&mut &bytes[..]) else { return Outcome::Err };
    call.dispatch_bypass_filter(RawOrigin::None.into()).is_ok().into()
}

#[test]
fn both_contracts_agree_on_preimage_size_hash_and_boundary() {
    let text = include_str!("../../../../vectors/htlc.json");
    let vectors: Vectors = serde_json::from_str(text).expect("the vectors have the expected form");
    assert!(vectors.cases.len() >= 9);
    for case in vectors.cases {
        let attempt = |redeem: bool| {
            let mut outcome = Outcome::Err;
            run(|| {
                let hashlock = hex::decode(&case.hashlock_hex).unwrap().try_into().expect("a hashlock has 32 bytes");
                Htlc::fund(RuntimeOrigin::signed(SENDER), CONTRACT, RECIPIENT, 5_000, hashlock, REFUND_AFTER).unwrap();
                let id = crate::htlc_id(&SENDER, &RECIPIENT, &5_000u64, &hashlock, REFUND_AFTER, &CONTRACT);
                set_time(match case.now_vs_refund_after {
                    Clock::Before => REFUND_AFTER - 1,
                    Clock::At => REFUND_AFTER,
                    Clock::After => REFUND_AFTER + 1,
                });
                outcome = if redeem {
                    dispatch(&encoded_redeem(id, &hex::decode(&case.preimage_hex).unwrap()))
                } else {
                    dispatch(&RuntimeCall::from(Call::<Test>::refund { id }).encode())
                };
            });
            outcome
        };
        assert_eq!(attempt(true), case.redeem, "redeem: {}", case.name);
        assert_eq!(attempt(false), case.refund, "refund: {}", case.name);
    }
}

#[test]
fn a_redeem_has_the_encoding_that_clients_make() {
    let call = RuntimeCall::from(Call::<Test>::redeem { id: [5; 32].into(), preimage: PREIMAGE });
    assert_eq!(call.encode(), encoded_redeem([5; 32].into(), &PREIMAGE));
}
