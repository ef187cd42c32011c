//! The engine's bitcoins: exact fundings, coins that must not be spent, restarts, recovery.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::{Amount, OutPoint, Transaction};
use chain_bitcoin::{Bitcoin, WalletError};
use common::bitcoind::address;
use common::party::MemoryStore;
use common::{Bitcoind, Eyes, Party};
use std::sync::Arc;
use swap_contract::amount::Sats;
use swap_contract::port::{Balance, Chain, ChainError, FeeRate, HtlcOp, LegTerms, OpKind, QuoteFor, SignedTx, Wallet};
use swap_contract::testing::fixture::{Person, alpha_terms};
use swap_contract::time::ChainTime;

const REWARD: u64 = 5_000_000_000;

fn fund(number: u64, amount: u64) -> HtlcOp {
    let refund_after = ChainTime::from_secs(1_900_000_000);
    let terms = alpha_terms(&Person::named("initiator"), &Person::named("participant"), number, Sats(amount), refund_after);
    HtlcOp {
        terms: LegTerms::Alpha(terms),
        salt: Person::named("initiator").salt(number),
        kind: OpKind::Fund { refund_after, replaces: None },
        fee_rate: FeeRate::from_sat_per_vb(3),
    }
}

fn tx(signed: &SignedTx) -> Transaction {
    bitcoin::consensus::deserialize(&signed.bytes).unwrap()
}

async fn confirm(bitcoind: &Bitcoind, eyes: &mut Eyes) {
    bitcoind.mine(1).await;
    eyes.until_tip(bitcoind.height().await).await;
}

/// Ends an adapter, and waits until its stream has written what it was about to.
async fn close(port: Bitcoin, eyes: Eyes) {
    drop((port, eyes));
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_funding_pays_the_exact_amount_and_can_be_replaced_but_not_sniped() {
    let bitcoind = Bitcoind::start().await;
    let (port, mut eyes) = Party::named("alice").open_with_money(&bitcoind, 1).await;
    assert_eq!(port.balance(&[]).await.unwrap(), Balance { confirmed: REWARD, pending: 0 });

    let quote = port.quote(QuoteFor::Fund, 1_234_567).await.unwrap();
    let signed = port.prepare(&fund(1, 1_234_567), &[]).await.unwrap();
    let tx = tx(&signed);
    assert_eq!(tx.output.iter().filter(|out| out.value == Amount::from_sat(1_234_567)).count(), 1);
    assert!(tx.is_explicitly_rbf());
    assert_eq!(u64::from(tx.lock_time.to_consensus_u32()), bitcoind.height().await);
    assert_eq!(signed.size, quote.size);
    assert!((3 * signed.size..3 * signed.size + 4).contains(&signed.fee));
    assert_eq!(signed.inputs, [tx.input[0].previous_output.to_string()]);
    assert_eq!(bitcoind.verdict(&tx).await, Ok(signed.size));
    assert_eq!(port.balance(&[]).await.unwrap().confirmed, REWARD, "nothing depends on whether it is ever sent");

    port.broadcast(&signed).await.unwrap();
    let left = REWARD - 1_234_567 - signed.fee;
    assert_eq!(port.balance(&[]).await.unwrap(), Balance { confirmed: left, pending: 0 }, "at once, and own change is spendable");
    confirm(&bitcoind, &mut eyes).await;
    assert_eq!(port.balance(&[]).await.unwrap().confirmed, left);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_change_is_spent_before_it_is_in_a_block() {
    let bitcoind = Bitcoind::start().await;
    let (port, _eyes) = Party::named("alice").open_with_money(&bitcoind, 1).await;
    let first = port.prepare(&fund(1, 1_000_000), &[]).await.unwrap();
    port.broadcast(&first).await.unwrap();
    let second = port.prepare(&fund(2, 1_000_000), &[]).await.unwrap();
    port.broadcast(&second).await.unwrap();
    assert_eq!(tx(&second).input[0].previous_output.txid, tx(&first).compute_txid());
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_coins_are_never_spent() {
    let bitcoind = Bitcoind::start().await;
    let (port, _eyes) = Party::named("alice").open_with_money(&bitcoind, 3).await;
    let first = port.prepare(&fund(1, 1_000_000), &[]).await.unwrap();
    let second = port.prepare(&fund(2, 1_000_000), &first.inputs).await.unwrap();
    let both = [first.inputs.clone(), second.inputs.clone()].concat();
    let third = port.prepare(&fund(3, 1_000_000), &both).await.unwrap();
    let mut all = [both, third.inputs.clone()].concat();
    assert_eq!(port.balance(&all).await.unwrap().confirmed, 0);
    let short = port.prepare(&fund(4, 1_000_000), &all).await.unwrap_err();
    assert!(matches!(short, ChainError::InsufficientFunds { available: 0, needed, .. } if needed > 1_000_000), "{short}");
    all.dedup();
    assert_eq!(all.len(), 3);
    assert!(matches!(port.prepare(&fund(5, 1_000), &["nonsense".into()]).await, Err(ChainError::Refused { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_sent_is_not_spent_before_it_is_in_a_block() {
    let bitcoind = Bitcoind::start().await;
    let (rich, mut rich_eyes) = Party::named("alice").open_with_money(&bitcoind, 1).await;
    let (poor, mut eyes) = Party::named("bob").open_with_money(&bitcoind, 0).await;
    let gift = pay(&rich, &poor.address().await.unwrap(), 2_000_000).await;
    bitcoind.send(&gift).await;
    while poor.balance(&[]).await.unwrap().pending == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(poor.balance(&[]).await.unwrap(), Balance { confirmed: 0, pending: 2_000_000 });
    assert!(matches!(poor.prepare(&fund(1, 1_000_000), &[]).await, Err(ChainError::InsufficientFunds { .. })));
    confirm(&bitcoind, &mut eyes).await;
    assert_eq!(poor.balance(&[]).await.unwrap(), Balance { confirmed: 2_000_000, pending: 0 });
    poor.prepare(&fund(1, 1_000_000), &[]).await.unwrap();
    confirm(&bitcoind, &mut rich_eyes).await;
}

/// A payment to any address, made by tampering with a funding: the engine itself pays nobody but HTLCs and itself.
async fn pay(from: &Bitcoin, to: &str, amount: u64) -> Transaction {
    use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv};
    use bitcoin::key::TapTweak;
    use bitcoin::secp256k1::{Message, Secp256k1};
    use bitcoin::sighash::{Prevouts, SighashCache};
    let secp = Secp256k1::new();
    let template = tx(&from.prepare(&fund(99, amount), &[]).await.unwrap());
    let mut payment = template.clone();
    let output = payment.output.iter_mut().find(|out| out.value == Amount::from_sat(amount)).unwrap();
    output.script_pubkey = address(to).script_pubkey();
    let seed = [b"alice".as_slice(), &[0; 64]].concat();
    let root = Xpriv::new_master(bitcoin::Network::Regtest, &seed[..64]).unwrap();
    let hardened = |index| ChildNumber::Hardened { index };
    let normal = |index| ChildNumber::Normal { index };
    let path = DerivationPath::from(vec![hardened(86), hardened(1), hardened(0), normal(0), normal(0)]);
    let key = root.derive_priv(&secp, &path).unwrap().to_keypair(&secp);
    let spent = bitcoin::TxOut {
        value: Amount::from_sat(REWARD),
        script_pubkey: bitcoin::ScriptBuf::new_p2tr(&secp, key.x_only_public_key().0, None),
    };
    let sighash = SighashCache::new(&payment)
        .taproot_key_spend_signature_hash(0, &Prevouts::All(&[spent]), bitcoin::TapSighashType::Default)
        .unwrap();
    let tweaked = key.tap_tweak(&secp, None).to_keypair();
    let signature = secp.sign_schnorr_no_aux_rand(&Message::from_digest(bitcoin::hashes::Hash::to_byte_array(sighash)), &tweaked);
    payment.input[0].witness = bitcoin::Witness::from_slice(&[signature.serialize()]);
    payment
}

#[tokio::test(flavor = "multi_thread")]
async fn young_rewards_are_pending() {
    let bitcoind = Bitcoind::start().await;
    let port = Party::named("alice").open(&bitcoind).await;
    let mut eyes = Eyes::on(&port, None);
    eyes.until_tip(bitcoind.height().await).await;
    bitcoind.mine_to(1, &port.address().await.unwrap()).await;
    bitcoind.mine(98).await;
    eyes.until_tip(bitcoind.height().await).await;
    assert_eq!(port.balance(&[]).await.unwrap(), Balance { confirmed: 0, pending: REWARD });
    confirm(&bitcoind, &mut eyes).await;
    assert_eq!(port.balance(&[]).await.unwrap(), Balance { confirmed: REWARD, pending: 0 });
    let funding = port.prepare(&fund(1, 1_000_000), &[]).await.unwrap();
    assert!(bitcoind.verdict(&tx(&funding)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_store_ends() {
    let bitcoind = Bitcoind::start().await;
    let alice = Party::named("alice");
    let (port, mut eyes) = alice.open_with_money(&bitcoind, 2).await;
    let signed = port.prepare(&fund(1, 1_000_000), &[]).await.unwrap();
    port.broadcast(&signed).await.unwrap();
    confirm(&bitcoind, &mut eyes).await;
    let before = port.balance(&[]).await.unwrap();
    let next_address = port.address().await.unwrap();
    close(port, eyes).await;

    // Blocks while nobody looks, one of them with money.
    bitcoind.mine_to(1, &next_address).await;
    bitcoind.mine(120).await;
    let port = alice.open(&bitcoind).await;
    let mut eyes = Eyes::on(&port, None);
    eyes.until_tip(bitcoind.height().await).await;
    let after = port.balance(&[]).await.unwrap();
    // The reward comes with the fee of nothing: the subsidy halves every 150 blocks on regtest.
    assert!(after.confirmed > before.confirmed && after.pending == 0, "{before:?} {after:?}");
    assert_ne!(port.address().await.unwrap(), next_address, "an address that was paid is not given out again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_is_recovered_from_the_seed_and_a_birthday() {
    let bitcoind = Bitcoind::start().await;
    let alice = Party::named("alice");
    let (port, mut eyes) = alice.open_with_money(&bitcoind, 2).await;
    let signed = port.prepare(&fund(1, 1_000_000), &[]).await.unwrap();
    port.broadcast(&signed).await.unwrap();
    confirm(&bitcoind, &mut eyes).await;
    let before = port.balance(&[]).await.unwrap();
    close(port, eyes).await;

    let again = Party { store: MemoryStore::default(), ..alice };
    let mut config = again.config(&bitcoind);
    config.birthday = Some(0);
    let port = again.open_with(config).await;
    let mut eyes = Eyes::on(&port, None);
    eyes.until_tip(bitcoind.height().await).await;
    assert_eq!(port.balance(&[]).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_wallet_of_another_seed_is_refused() {
    let bitcoind = Bitcoind::start_empty().await;
    let alice = Party::named("alice");
    drop(alice.open(&bitcoind).await);
    let opened = Bitcoin::open(alice.config(&bitcoind), &[7; 64], Arc::new(alice.person.clone()), Arc::new(alice.store.clone())).await;
    assert!(matches!(opened.err(), Some(WalletError::Foreign(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_stays_small_and_holds_no_secret() {
    let bitcoind = Bitcoind::start().await;
    let alice = Party::named("alice");
    let (port, mut eyes) = alice.open_with_money(&bitcoind, 2).await;
    let count = || alice.store.changes.lock().unwrap().len();
    let before = count();
    bitcoind.mine(200).await;
    eyes.until_tip(bitcoind.height().await).await;
    assert!(count() - before <= 12, "blocks without own transactions are stored together, not {} times", count() - before);
    for n in 0..80 {
        port.broadcast(&port.prepare(&fund(n, 100_000), &[]).await.unwrap()).await.unwrap();
        confirm(&bitcoind, &mut eyes).await;
    }
    let balance = port.balance(&[]).await.unwrap();
    close(port, eyes).await;
    let port = alice.open(&bitcoind).await;
    assert_eq!(count(), 1, "pressed together when opened");
    assert_eq!(port.balance(&[]).await.unwrap(), balance);
    let mut eyes = Eyes::on(&port, None);
    confirm(&bitcoind, &mut eyes).await;
    assert_eq!(port.balance(&[]).await.unwrap(), balance);
    let text = alice.store.changes.lock().unwrap().concat();
    assert!(!text.contains("prv") && text.contains("tpub"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_nothing_and_is_made_up_for() {
    let bitcoind = Bitcoind::start().await;
    let alice = Party::named("alice");
    let (port, mut eyes) = alice.open_with_money(&bitcoind, 1).await;
    *alice.store.full.lock().unwrap() = true;
    assert!(matches!(port.address().await, Err(ChainError::Unavailable { .. }) | Ok(_)));
    port.broadcast(&port.prepare(&fund(1, 100_000), &[]).await.unwrap()).await.unwrap();
    confirm(&bitcoind, &mut eyes).await;
    let balance = port.balance(&[]).await.unwrap();
    *alice.store.full.lock().unwrap() = false;
    confirm(&bitcoind, &mut eyes).await;
    // The save follows the tip.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    close(port, eyes).await;
    assert_eq!(alice.open(&bitcoind).await.balance(&[]).await.unwrap(), balance);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_takes_back_what_the_wallet_had() {
    let bitcoind = Bitcoind::start().await;
    let (port, mut eyes) = Party::named("alice").open_with_money(&bitcoind, 1).await;
    let reward = bitcoind.mine_to(1, &port.address().await.unwrap()).await;
    eyes.until_tip(bitcoind.height().await).await;
    assert!(port.balance(&[]).await.unwrap().pending > 0);
    bitcoind.invalidate(&reward[0]).await;
    bitcoind.mine(2).await;
    eyes.until_tip(bitcoind.height().await).await;
    assert_eq!(port.balance(&[]).await.unwrap(), Balance { confirmed: REWARD, pending: 0 });
    let coin: OutPoint = port.prepare(&fund(1, 1_000), &[]).await.unwrap().inputs[0].parse().unwrap();
    assert_ne!(coin.txid, bitcoin::Txid::from_raw_hash(bitcoin::hashes::Hash::all_zeros()));
}
