//! A funding that waits is replaced by one that pays more: the same output, every coin of the old one, and nothing else is lost.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::Transaction;
use common::{Bitcoind, Eyes, Party};
use swap_contract::amount::Sats;
use swap_contract::port::{Chain, ChainError, FeeRate, HtlcOp, LegTerms, OpKind, SignedTx, Wallet};
use swap_contract::testing::fixture::{Person, alpha_terms};
use swap_contract::time::ChainTime;

const REWARD: u64 = 5_000_000_000;
const AMOUNT: u64 = 1_000_000;

fn fund(number: u64, rate: u64, replaces: Option<&SignedTx>) -> HtlcOp {
    let refund_after = ChainTime::from_secs(1_900_000_000);
    let terms = alpha_terms(&Person::named("initiator"), &Person::named("participant"), number, Sats(AMOUNT), refund_after);
    HtlcOp {
        terms: LegTerms::Alpha(terms),
        salt: Person::named("initiator").salt(number),
        kind: OpKind::Fund { refund_after, replaces: replaces.map(|tx| tx.bytes.clone()) },
        fee_rate: FeeRate::from_sat_per_vb(rate),
    }
}

fn tx(signed: &SignedTx) -> Transaction {
    bitcoin::consensus::deserialize(&signed.bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_funding_is_replaced_by_one_with_the_same_output_and_coins_that_pays_more() {
    let bitcoind = Bitcoind::start().await;
    let (port, mut eyes): (_, Eyes) = Party::named("alice").open_with_money(&bitcoind, 2).await;
    let old = port.prepare(&fund(1, 2, None), &[]).await.unwrap();
    port.broadcast(&old).await.unwrap();
    let new = port.prepare(&fund(1, 20, Some(&old)), &old.inputs).await.unwrap();
    assert!(old.inputs.iter().all(|coin| new.inputs.contains(coin)), "any of the two can happen, never both");
    assert!(new.fee >= 20 * new.size);
    let htlc = |signed: &SignedTx| tx(signed).output.into_iter().find(|out| out.value.to_sat() == AMOUNT).unwrap();
    assert_eq!(htlc(&old), htlc(&new));
    assert_ne!(old.id, new.id);

    port.broadcast(&new).await.unwrap();
    bitcoind.mine(1).await;
    eyes.until_tip(bitcoind.height().await).await;
    assert_eq!(port.balance(&[]).await.unwrap().confirmed, 2 * REWARD - AMOUNT - new.fee);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_funding_whose_change_is_promised_elsewhere_is_not_replaced() {
    let bitcoind = Bitcoind::start().await;
    let (port, _eyes) = Party::named("alice").open_with_money(&bitcoind, 1).await;
    let first = port.prepare(&fund(1, 2, None), &[]).await.unwrap();
    port.broadcast(&first).await.unwrap();
    // Signed and stored, not sent yet: only the reservation says so.
    let second = port.prepare(&fund(2, 2, None), &first.inputs).await.unwrap();
    let refused = port.prepare(&fund(1, 20, Some(&first)), &second.inputs).await.unwrap_err();
    assert!(matches!(refused, ChainError::Refused { .. }), "{refused}");
    // Sent: the wallet itself knows.
    port.broadcast(&second).await.unwrap();
    assert!(port.prepare(&fund(1, 20, Some(&first)), &[]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_built_on_a_funding_that_is_about_to_be_replaced() {
    let bitcoind = Bitcoind::start().await;
    let (port, _eyes) = Party::named("alice").open_with_money(&bitcoind, 1).await;
    let old = port.prepare(&fund(1, 2, None), &[]).await.unwrap();
    port.broadcast(&old).await.unwrap();
    port.prepare(&fund(1, 20, Some(&old)), &old.inputs).await.unwrap();
    let next = port.prepare(&fund(2, 2, None), &old.inputs).await;
    assert!(matches!(next, Err(ChainError::InsufficientFunds { .. })), "its change may never be there");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_funding_of_the_same_htlc_is_replaced_and_none_that_is_in_a_block() {
    let bitcoind = Bitcoind::start().await;
    let (port, mut eyes) = Party::named("alice").open_with_money(&bitcoind, 2).await;
    let other = port.prepare(&fund(1, 2, None), &[]).await.unwrap();
    port.broadcast(&other).await.unwrap();
    assert!(port.prepare(&fund(2, 20, Some(&other)), &[]).await.is_err(), "it funds another HTLC");
    bitcoind.mine(1).await;
    eyes.until_tip(bitcoind.height().await).await;
    assert!(port.prepare(&fund(1, 20, Some(&other)), &[]).await.is_err(), "it is in a block");
}
