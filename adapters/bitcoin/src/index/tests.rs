//! Blocks, reorgs and mempools, without a node.

use super::*;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Keypair, Secp256k1, SecretKey};
use bitcoin::{Amount, BlockHash, CompactTarget, FeeRate, TxIn, TxMerkleNode, TxOut, Witness, absolute::LockTime, block, transaction};
use htlc_bitcoin::{Redeem, Refund, Terms, redeem, refund};
use swap_contract::leg::{Funding, Inclusion};
use swap_contract::time::Height;

const PREIMAGE: [u8; 32] = [5; 32];
const SWAP: SwapId = SwapId([1; 32]);

fn key(seed: u8) -> Keypair {
    Keypair::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&[seed; 32]).unwrap())
}

fn htlc() -> Htlc {
    Htlc::new(Terms {
        amount: Amount::from_sat(100_000),
        hashlock: sha256::Hash::hash(&PREIMAGE).to_byte_array(),
        redeem_key: key(1).public_key().serialize(),
        refund_key: key(2).public_key().serialize(),
        refund_after: 1_748_736_000,
    })
    .unwrap()
}

fn tx(salt: u32, inputs: &[OutPoint], outputs: Vec<TxOut>) -> Transaction {
    let input =
        inputs.iter().map(|outpoint| TxIn { previous_output: *outpoint, witness: Witness::from_slice(&[[0; 64]]), ..TxIn::default() });
    Transaction { version: transaction::Version::TWO, lock_time: LockTime::from_consensus(salt), input: input.collect(), output: outputs }
}

fn funding(salt: u32) -> Transaction {
    tx(salt, &[OutPoint::null()], vec![htlc().tx_out()])
}

fn at(tx: &Transaction) -> OutPoint {
    OutPoint { txid: tx.compute_txid(), vout: 0 }
}

fn redeeming(funding: &Transaction) -> Transaction {
    let (htlc, payout) = (htlc(), htlc().script_pubkey());
    let input = Redeem { htlc: &htlc, outpoint: at(funding), preimage: PREIMAGE };
    redeem(&[input], &payout, FeeRate::from_sat_per_kwu(500)).unwrap().sign(&[key(1)], &[0; 32]).unwrap()
}

fn refunding(funding: &Transaction) -> Transaction {
    let (htlc, payout) = (htlc(), htlc().script_pubkey());
    refund(&[Refund { htlc: &htlc, outpoint: at(funding) }], &payout, FeeRate::from_sat_per_kwu(500))
        .unwrap()
        .sign(&[key(2)], &[0; 32])
        .unwrap()
}

fn block(txdata: &[&Transaction]) -> Block {
    let header = block::Header {
        version: block::Version::TWO,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::all_zeros(),
        time: 0,
        bits: CompactTarget::from_consensus(0),
        nonce: 0,
    };
    Block { header, txdata: txdata.iter().map(|tx| (*tx).clone()).collect() }
}

fn watching() -> Index {
    let mut index = Index::default();
    index.track(SWAP, htlc(), Tell::News).unwrap();
    assert_eq!(index.changes(true), []);
    index
}

fn mempool(txs: &[&Transaction]) -> HashSet<Txid> {
    txs.iter().map(|tx| tx.compute_txid()).collect()
}

/// Sightings in short: what, where.
fn news(index: &mut Index) -> Vec<String> {
    let place = |at: Inclusion| match at {
        Inclusion::Mempool => "mempool".to_owned(),
        Inclusion::Block(Height(height)) => height.to_string(),
    };
    let told = index.changes(true).into_iter().map(|(swap, sighting)| {
        assert_eq!(swap, SWAP);
        match sighting {
            Sighting::Funded(Funding { at, .. }) => format!("funded {}", place(at)),
            Sighting::Bound(Funding { at, .. }) => format!("bound {}", place(at)),
            Sighting::Redeemed(spend, preimage) => {
                assert_eq!(preimage.expose(), &PREIMAGE);
                format!("redeemed {}", place(spend.at))
            }
            Sighting::Refunded(spend) => format!("refunded {}", place(spend.at)),
            Sighting::FundingLost => "funding lost".to_owned(),
            Sighting::SpendLost => "spend lost".to_owned(),
        }
    });
    told.collect()
}

#[test]
fn a_leg_is_told_from_mempool_to_block_to_redeem() {
    let mut index = watching();
    let fund = funding(1);
    let spend = redeeming(&fund);
    index.pending(&fund, 1);
    assert_eq!(news(&mut index), ["funded mempool"]);
    index.connect(10, &block(&[&fund]));
    assert_eq!(news(&mut index), ["funded 10"]);
    index.pending(&spend, 1);
    assert_eq!(news(&mut index), ["redeemed mempool"]);
    index.connect(11, &block(&[&spend]));
    assert_eq!(news(&mut index), ["redeemed 11"]);
    assert_eq!(news(&mut index), Vec::<String>::new());
}

#[test]
fn funding_and_refund_in_one_block_are_told_in_order() {
    let mut index = watching();
    let fund = funding(1);
    index.connect(10, &block(&[&fund, &refunding(&fund)]));
    assert_eq!(news(&mut index), ["funded 10", "refunded 10"]);
}

#[test]
fn a_funding_that_leaves_the_mempool_is_lost() {
    let mut index = watching();
    index.pending(&funding(1), 1);
    assert_eq!(news(&mut index), ["funded mempool"]);
    index.settle(&mempool(&[]), 2);
    assert_eq!(news(&mut index), ["funding lost"]);
}

#[test]
fn a_look_that_began_before_a_transaction_was_sent_does_not_judge_it() {
    let mut index = watching();
    index.pending(&funding(1), 2);
    index.settle(&mempool(&[]), 2);
    assert_eq!(news(&mut index), ["funded mempool"]);
}

#[test]
fn a_replaced_funding_moves_the_leg_to_the_replacement() {
    let mut index = watching();
    let (first, second) = (funding(1), funding(2));
    index.pending(&first, 1);
    assert_eq!(news(&mut index), ["funded mempool"]);
    index.pending(&second, 2);
    index.settle(&mempool(&[&second]), 2);
    let changes = index.changes(true);
    let [(_, Sighting::Funded(told))] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(told.htlc.0, at(&second).to_string());
}

#[test]
fn a_reorg_takes_back_what_the_new_chain_lacks() {
    let mut index = watching();
    let fund = funding(1);
    let spend = redeeming(&fund);
    index.connect(10, &block(&[&fund]));
    index.connect(11, &block(&[&spend]));
    assert_eq!(news(&mut index), ["funded 10", "redeemed 11"]);

    index.disconnect_above(10);
    assert_eq!(news(&mut index), Vec::<String>::new(), "in doubt");
    index.settle(&mempool(&[&spend]), 1);
    assert_eq!(news(&mut index), ["redeemed mempool"]);
    index.settle(&mempool(&[]), 2);
    assert_eq!(news(&mut index), ["spend lost"]);

    index.disconnect_above(9);
    index.connect(10, &block(&[]));
    index.connect(11, &block(&[&fund]));
    assert_eq!(news(&mut index), ["funded 11"]);
    index.disconnect_above(5);
    index.settle(&mempool(&[]), 3);
    assert_eq!(news(&mut index), ["funding lost"]);
}

#[test]
fn a_block_decides_against_the_mempool() {
    let mut index = watching();
    let fund = funding(1);
    index.connect(10, &block(&[&fund]));
    index.pending(&redeeming(&fund), 1);
    assert_eq!(news(&mut index), ["funded 10", "redeemed mempool"]);
    index.connect(11, &block(&[&refunding(&fund)]));
    assert_eq!(news(&mut index), ["refunded 11"]);
    index.pending(&redeeming(&fund), 2);
    assert_eq!(news(&mut index), Vec::<String>::new());
}

#[test]
fn only_the_exact_amount_under_the_exact_script_counts() {
    let mut index = watching();
    let short = TxOut { value: Amount::from_sat(99_999), ..htlc().tx_out() };
    let more = TxOut { value: Amount::from_sat(100_001), ..htlc().tx_out() };
    let other = Htlc::new(Terms { refund_after: 1_748_736_001, ..*htlc().terms() }).unwrap().tx_out();
    index.connect(10, &block(&[&tx(1, &[OutPoint::null()], vec![short, more, other])]));
    assert_eq!(news(&mut index), Vec::<String>::new());
}

#[test]
fn one_output_is_bound_and_a_confirmed_one_before_any_other() {
    let mut index = watching();
    let (first, second) = (funding(1), tx(2, &[OutPoint::null()], vec![htlc().tx_out(), htlc().tx_out()]));
    index.pending(&first, 1);
    assert_eq!(news(&mut index), ["funded mempool"]);
    index.connect(10, &block(&[&second]));
    let changes = index.changes(true);
    let [(_, Sighting::Funded(told))] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(told.htlc.0, at(&second).to_string());
    index.connect(11, &block(&[&first]));
    assert_eq!(news(&mut index), Vec::<String>::new(), "an extra output is only the sender's to refund");
    index.connect(12, &block(&[&refunding(&first)]));
    assert_eq!(news(&mut index), Vec::<String>::new());
}

#[test]
fn of_two_outputs_in_one_block_the_first_counts_whatever_waited_before() {
    let mut index = watching();
    let (first, second) = (funding(1), funding(2));
    index.pending(&second, 1);
    assert_eq!(news(&mut index), ["funded mempool"]);
    index.connect(10, &block(&[&first, &second]));
    let changes = index.changes(true);
    let [(_, Sighting::Funded(told))] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(told.htlc.0, at(&first).to_string());
}

#[test]
fn a_confirmed_htlc_gives_way_to_another_only_when_it_is_lost() {
    let mut index = watching();
    let (first, second) = (funding(1), funding(2));
    index.connect(10, &block(&[&first]));
    index.connect(11, &block(&[&refunding(&first), &second]));
    assert_eq!(news(&mut index), ["funded 10", "refunded 11"]);
    index.disconnect_above(9);
    index.connect(10, &block(&[&second]));
    index.settle(&mempool(&[]), 1);
    assert_eq!(news(&mut index), ["funding lost", "funded 10"]);
}

#[test]
fn a_flood_of_outputs_is_bounded_and_does_not_hide_a_confirmed_one() {
    let mut index = watching();
    for salt in 0..1_000 {
        index.pending(&funding(salt), 1);
    }
    assert_eq!(index.by_outpoint.len(), 4);
    index.connect(10, &block(&[&funding(5_000)]));
    assert_eq!(news(&mut index), ["funded 10"]);
    for salt in 10_000..11_000 {
        index.connect(11, &block(&[&funding(salt)]));
    }
    assert_eq!(index.by_outpoint.len(), 20);
    index.untrack(&SWAP);
    assert!(index.by_outpoint.is_empty() && index.by_script.is_empty() && index.touched.is_empty() && index.loose.is_empty());
}

#[test]
fn whoever_comes_back_is_told_of_what_is_gone() {
    for (present, told) in [(false, vec!["funding lost"]), (true, vec!["bound 10", "spend lost"])] {
        let mut index = Index::default();
        index.track(SWAP, htlc(), Tell::Everything).unwrap();
        assert_eq!(index.changes(false), [], "not before the mempool is known");
        assert!(index.has_more_to_tell());
        if present {
            index.connect(10, &block(&[&funding(1)]));
        }
        assert_eq!(news(&mut index), told);
        assert!(!index.has_more_to_tell());
        assert_eq!(news(&mut index), Vec::<String>::new());
        if present {
            index.disconnect_above(9);
            index.connect(10, &block(&[]));
            index.connect(11, &block(&[&funding(1)]));
            assert_eq!(news(&mut index), ["funded 11"], "it is bound already");
        }
    }
}

#[test]
fn two_swaps_never_share_an_output() {
    let mut index = watching();
    let other = SwapId([2; 32]);
    assert_eq!(index.track(other, htlc(), Tell::News), Err(SameOutput { swap: other, other: SWAP }));
    assert_eq!(index.track(SWAP, htlc(), Tell::News), Ok(()));
    index.untrack(&other);
    index.connect(10, &block(&[&funding(1)]));
    assert_eq!(news(&mut index), ["funded 10"]);
}

#[test]
fn the_rate_of_a_waiting_spend_is_known() {
    let mut index = watching();
    let fund = funding(1);
    let spend = redeeming(&fund);
    index.pending(&fund, 1);
    index.pending(&spend, 1);
    let waiting = index.pending_spend(&at(&fund)).unwrap();
    assert_eq!((waiting.txid, waiting.rate), (spend.compute_txid(), Some(FeeRate::from_sat_per_kwu(500))));
    index.connect(10, &block(&[&fund, &spend]));
    assert_eq!(index.pending_spend(&at(&fund)), None);
}
