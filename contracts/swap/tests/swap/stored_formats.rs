//! What is stored stays readable: each stored form, as JSON, to the byte.

use crate::board::{initiator, participant};
use serde::Serialize;
use serde::de::DeserializeOwned;
use swap_contract::event::{Action, Event, Fact, Step};
use swap_contract::leg::{Side, Sighting};
use swap_contract::outcome::Outcome;
use swap_contract::swap::Snapshot;
use swap_contract::testing::fixture::{funded, spend};
use swap_contract::time::ChainTime;

/// The value writes as this JSON, and the JSON reads as the value.
fn pinned<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, json: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
}

#[test]
fn an_event_is_stored_with_its_clocks() {
    let event = Event { clocks: initiator().clocks, fact: Fact::Clock };
    pinned(
        &event,
        r#"{"clocks":{"alpha":{"height":1000,"time":"1774000000000","final_height":994,"healthy":true},"beta":{"height":1000,"time":"1774000000000","final_height":998,"healthy":true},"now":"1774000000"},"fact":"clock"}"#,
    );
}

#[test]
fn every_fact_has_its_form() {
    let preimage = initiator().preimage();
    let shown = hex::encode(preimage.expose());
    pinned(&Fact::Clock, r#""clock""#);
    pinned(&Fact::Cancelled, r#""cancelled""#);
    pinned(&Fact::Restored, r#""restored""#);
    pinned(
        &Fact::Seen(Side::Alpha, funded("txid:0", ChainTime(5000), 7)),
        r#"{"seen":["alpha",{"funded":{"htlc":"txid:0","by":"txid:0-tx","refund_after":"5000","at":{"block":7}}}]}"#,
    );
    let Sighting::Funded(bound) = funded("0xab", ChainTime(5000), 7) else { panic!("funded") };
    pinned(
        &Fact::Seen(Side::Beta, Sighting::Bound(bound)),
        r#"{"seen":["beta",{"bound":{"htlc":"0xab","by":"0xab-tx","refund_after":"5000","at":{"block":7}}}]}"#,
    );
    pinned(
        &Fact::Seen(Side::Beta, Sighting::Redeemed(spend("0xab", 0), preimage)),
        &format!(r#"{{"seen":["beta",{{"redeemed":[{{"by":"0xab","at":"mempool"}},"{shown}"]}}]}}"#),
    );
    pinned(&Fact::Seen(Side::Beta, Sighting::Refunded(spend("5-1", 9))), r#"{"seen":["beta",{"refunded":{"by":"5-1","at":{"block":9}}}]}"#);
    pinned(&Fact::Seen(Side::Alpha, Sighting::FundingLost), r#"{"seen":["alpha","funding_lost"]}"#);
    pinned(&Fact::Seen(Side::Alpha, Sighting::SpendLost), r#"{"seen":["alpha","spend_lost"]}"#);
    pinned(
        &Fact::Attempted(Action { step: Step::FundBeta, refund_after: Some(ChainTime(7)) }),
        r#"{"attempted":{"step":"fund_beta","refund_after":"7"}}"#,
    );
    pinned(
        &Fact::Attempted(Action { step: Step::RedeemAlpha, refund_after: None }),
        r#"{"attempted":{"step":"redeem_alpha","refund_after":null}}"#,
    );
}

#[test]
fn every_step_and_outcome_has_its_name() {
    let names = ["fund_alpha", "fund_beta", "redeem_beta", "redeem_alpha", "refund_alpha", "refund_beta"];
    for (step, name) in Step::ALL.into_iter().zip(names) {
        assert_eq!((step.name(), Step::by_name(name)), (name, Some(step)));
        pinned(&step, &format!("\"{name}\""));
    }
    assert_eq!(Step::by_name("fund"), None);
    for (outcome, name) in
        [(Outcome::Completed, "completed"), (Outcome::Refunded, "refunded"), (Outcome::Abandoned, "abandoned"), (Outcome::Lost, "lost")]
    {
        pinned(&outcome, &format!("\"{name}\""));
    }
}

#[test]
fn a_fresh_snapshot_and_a_full_one_have_their_form() {
    pinned::<Snapshot>(
        &initiator().swap.snapshot(),
        r#"{"role":"initiator","alpha":"unfunded","beta":"unfunded","attempted":{},"preimage":null,"cancelled":false,"outcome":null}"#,
    );
    // Only there when it is so: what older versions stored reads as it did.
    pinned::<Snapshot>(
        &initiator().fact(Fact::Restored).swap.snapshot(),
        r#"{"role":"initiator","alpha":"unfunded","beta":"unfunded","attempted":{},"preimage":null,"cancelled":false,"restored":true,"outcome":null}"#,
    );
    let board = participant().both_funded().redeemed(Side::Beta, 1000).does(Step::RedeemAlpha).redeemed(Side::Alpha, 990);
    let shown = hex::encode(board.preimage().expose());
    pinned::<Snapshot>(
        &board.swap.snapshot(),
        &format!(
            r#"{{"role":"participant","alpha":{{"redeemed":[{{"htlc":"alpha","by":"alpha-tx","refund_after":"1774057600000","at":{{"block":990}}}},{{"by":"redeem","at":{{"block":990}}}}]}},"beta":{{"redeemed":[{{"htlc":"beta","by":"beta-tx","refund_after":"1774007200000","at":{{"block":990}}}},{{"by":"redeem","at":{{"block":1000}}}}]}},"attempted":{{"fund_beta":"1774007200000","redeem_alpha":null}},"preimage":"{shown}","cancelled":false,"outcome":"completed"}}"#
        ),
    );
}

#[test]
fn a_snapshot_with_anything_unknown_is_refused() {
    let json = serde_json::to_string(&initiator().swap.snapshot()).unwrap();
    let newer = json.replacen('{', r#"{"more":1,"#, 1);
    assert!(serde_json::from_str::<Snapshot>(&newer).is_err());
}

#[test]
fn a_preimage_is_never_printed() {
    let board = participant().both_funded().redeemed(Side::Beta, 1000);
    let secret = hex::encode(board.preimage().expose());
    let event = Event { clocks: board.clocks, fact: Fact::Seen(Side::Beta, Sighting::Redeemed(spend("r", 1), board.preimage())) };
    for text in [format!("{:?}", board.swap), format!("{event:?}"), format!("{:?}", board.swap.snapshot())] {
        assert!(!text.contains(&secret));
    }
}
