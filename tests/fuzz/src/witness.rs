//! What anybody may put into blocks and the mempool: transactions that pay to an HTLC, or spend it with any witness.

use crate::seeds::Seed;
use crate::story::Story;
use bitcoin::consensus::encode::{deserialize_partial, serialize};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{All, Keypair, Secp256k1, SecretKey};
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, FeeRate, OutPoint, Transaction, TxIn, TxMerkleNode, TxOut, Txid, Witness, absolute, block,
    transaction,
};
use chain_bitcoin::fuzzing::{Index, Tell};
use htlc_bitcoin::{Htlc, Redeem, Refund, Spending, Terms, preimage_from_witness, redeem, refund, size};
use std::collections::HashSet;
use std::sync::LazyLock;
use swap_contract::bytes::{Hashlock, SwapId};
use swap_contract::leg::{LegStatus, Sighting};

const PREIMAGE: [u8; 32] = [5; 32];
const SWAP: SwapId = SwapId([1; 32]);
/// No story is longer.
const MAX_EVENTS: usize = 64;

/// One chain's story around one watched HTLC.
pub fn witness(data: &[u8]) -> bool {
    let mut story = Story(data);
    let mut chain = Chain::new();
    let mut read = 0;
    for _ in 0..MAX_EVENTS {
        let Some(kind) = story.byte() else { break };
        let told = match kind % 6 {
            0 => chain.block(&mut story),
            1 => chain.waits(&mut story),
            2 => chain.reorg(&mut story),
            3 => chain.look_at_mempool(&mut story),
            4 => chain.listen(true),
            _ => terms(&mut story),
        };
        if told.is_none() {
            break;
        }
        read += 1;
    }
    chain.listen(false);
    read > 0
}

/// What the adapter sees, and what the engine knows by it.
struct Chain {
    htlc: Htlc,
    index: Index,
    height: u64,
    epoch: u64,
    waiting: Vec<Txid>,
    /// Outputs that pay to the HTLC.
    fundings: Vec<OutPoint>,
    leg: LegStatus,
}

impl Chain {
    fn new() -> Self {
        let mut index = Index::default();
        index.track(SWAP, HTLC.clone(), Tell::Everything).unwrap();
        Self { htlc: HTLC.clone(), index, height: 100, epoch: 0, waiting: Vec::new(), fundings: Vec::new(), leg: LegStatus::Unfunded }
    }

    /// A transaction. An input of a transaction without a name spends one of the fundings so far: its number is the output's.
    fn transaction(&mut self, story: &mut Story<'_>) -> Option<Transaction> {
        let (mut tx, length): (Transaction, usize) = deserialize_partial(story.0).ok()?;
        story.0 = &story.0[length..];
        for input in &mut tx.input {
            if input.previous_output.txid == Txid::all_zeros()
                && let Some(funding) = usize::try_from(input.previous_output.vout).ok().and_then(|number| self.fundings.get(number))
            {
                input.previous_output = *funding;
            }
            check_witness(&self.htlc, &input.witness);
        }
        let txid = tx.compute_txid();
        for (vout, output) in tx.output.iter().enumerate() {
            if *output == self.htlc.tx_out() {
                self.fundings.push(OutPoint { txid, vout: u32::try_from(vout).unwrap() });
            }
        }
        Some(tx)
    }

    fn block(&mut self, story: &mut Story<'_>) -> Option<()> {
        let count = story.byte()? % 8;
        let txdata: Option<Vec<_>> = (0..count).map(|_| self.transaction(story)).collect();
        let header = block::Header {
            version: block::Version::TWO,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: 0,
            bits: CompactTarget::from_consensus(0),
            nonce: 0,
        };
        self.height += 1;
        self.index.connect(self.height, &Block { header, txdata: txdata? });
        Some(())
    }

    fn waits(&mut self, story: &mut Story<'_>) -> Option<()> {
        let tx = self.transaction(story)?;
        self.waiting.push(tx.compute_txid());
        self.index.pending(&tx, self.epoch);
        Some(())
    }

    fn reorg(&mut self, story: &mut Story<'_>) -> Option<()> {
        self.height = self.height.saturating_sub(u64::from(story.byte()? % 8));
        self.index.disconnect_above(self.height);
        Some(())
    }

    /// The whole mempool holds those of the waiting transactions whose bit is set.
    fn look_at_mempool(&mut self, story: &mut Story<'_>) -> Option<()> {
        let there = story.byte()?;
        self.epoch += 1;
        let mut number = 0;
        self.waiting.retain(|_| {
            number += 1;
            there >> ((number - 1) % 8) & 1 == 1
        });
        let mempool: HashSet<Txid> = self.waiting.iter().copied().collect();
        self.index.settle(&mempool, self.epoch);
        self.listen(true)
    }

    /// Whatever is told leads from one status to the next, and a preimage that is told opens the hashlock.
    fn listen(&mut self, mempool_known: bool) -> Option<()> {
        for (swap, sighting) in self.index.changes(mempool_known) {
            assert_eq!(swap, SWAP);
            if let Sighting::Redeemed(_, preimage) = &sighting {
                assert_eq!(preimage.hashlock(), Hashlock(self.htlc.terms().hashlock));
            }
            self.leg = self.leg.after(&sighting).expect("a funding is told before its spend");
        }
        for funding in &self.fundings {
            assert!(self.index.pending_spend(funding).is_none_or(|spend| spend.rate.is_none_or(|rate| rate <= FeeRate::MAX)));
        }
        Some(())
    }
}

/// A preimage is 32 bytes that open the hashlock asked for, and stands where a redeem shows it.
fn check_witness(htlc: &Htlc, witness: &Witness) {
    if let Spending::Redeem { preimage } = htlc.classify(witness) {
        assert_eq!(sha256::Hash::hash(&preimage).to_byte_array(), htlc.terms().hashlock);
        assert_eq!(preimage_from_witness(witness, &htlc.terms().hashlock), Some(preimage));
    }
    let shown = witness.nth(1).unwrap_or_default();
    let opens = preimage_from_witness(witness, &sha256::Hash::hash(shown).to_byte_array());
    let annex = witness.len() >= 2 && witness.last().is_some_and(|last| last.first() == Some(&0x50));
    let is_redeem = witness.len() - usize::from(annex) == 4 && shown.len() == 32;
    assert_eq!(opens.as_ref().map(|preimage| &preimage[..]), Some(shown).filter(|_| is_redeem));
    assert_eq!(preimage_from_witness(witness, &[0; 32]), None, "nothing is known to open this");
}

/// Terms of any contract: an output that is as large as it is said to be, or a refusal.
fn terms(story: &mut Story<'_>) -> Option<()> {
    let raw = story.byte()? & 1 == 1;
    let terms = Terms {
        amount: Amount::from_sat(story.number()?),
        hashlock: story.array()?,
        redeem_key: public_key(raw, story.array()?),
        refund_key: public_key(raw, story.array()?),
        refund_after: u32::from_le_bytes(story.array()?),
    };
    if let Ok(htlc) = Htlc::new(terms) {
        assert_eq!(htlc.tx_out().size(), size::HTLC_OUTPUT);
        assert_eq!(htlc.redeem_script().len(), size::REDEEM_SCRIPT);
        assert_eq!([htlc.redeem_control_block(), htlc.refund_control_block()].map(|block| block.len()), [size::CONTROL_BLOCK; 2]);
        assert!(htlc.script_pubkey().is_p2tr() && terms.amount <= Amount::MAX_MONEY);
        assert_eq!(htlc.address(bitcoin::Network::Regtest).script_pubkey(), htlc.script_pubkey());
    }
    Some(())
}

/// The bytes as they are, or as a secret key's number.
fn public_key(raw: bool, bytes: [u8; 33]) -> [u8; 33] {
    match SecretKey::from_slice(&bytes[1..]) {
        Ok(secret) if !raw => secret.public_key(&SECP).serialize(),
        Ok(_) | Err(_) => bytes,
    }
}

fn key(seed: u8) -> Keypair {
    Keypair::from_secret_key(&SECP, &SecretKey::from_slice(&[seed; 32]).unwrap())
}

static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// The one that is watched.
static HTLC: LazyLock<Htlc> = LazyLock::new(|| {
    Htlc::new(Terms {
        amount: Amount::from_sat(100_000),
        hashlock: sha256::Hash::hash(&PREIMAGE).to_byte_array(),
        redeem_key: key(1).public_key().serialize(),
        refund_key: key(2).public_key().serialize(),
        refund_after: 1_748_736_000,
    })
    .unwrap()
});

/// Blocks and mempools with fundings, redeems, refunds and reorgs.
pub(crate) fn seeds() -> Vec<Seed> {
    let (htlc, payout, rate) = (&*HTLC, HTLC.script_pubkey(), FeeRate::from_sat_per_kwu(500));
    // Spends the first funding, whatever its name.
    let outpoint = OutPoint { txid: Txid::all_zeros(), vout: 0 };
    let redeemed = redeem(&[Redeem { htlc, outpoint, preimage: PREIMAGE }], &payout, rate).unwrap();
    let redeemed = redeemed.sign(&[key(1)], &[0; 32]).unwrap();
    let refunded = refund(&[Refund { htlc, outpoint }], &payout, rate).unwrap().sign(&[key(2)], &[0; 32]).unwrap();
    let mut annexed = redeemed.clone();
    annexed.input[0].witness.push([0x50, 1, 2]);
    let mut together = refunded.clone();
    together.input[0].witness = Witness::from_slice(&[[1u8; 64]]);
    let funding = |salt: u32| {
        let input = TxIn { witness: Witness::from_slice(&[[0; 64]]), ..TxIn::default() };
        let output = vec![htlc.tx_out(), TxOut { value: Amount::from_sat(1_000), script_pubkey: payout.clone() }];
        serialize(&Transaction {
            version: transaction::Version::TWO,
            lock_time: absolute::LockTime::from_consensus(salt),
            input: vec![input],
            output,
        })
    };
    let in_block = |txs: &[&[u8]]| [&[0, u8::try_from(txs.len()).unwrap()][..], &txs.concat()].concat();
    let waits = |tx: &[u8]| [&[1][..], tx].concat();
    let (all, none, listen, reorg) = (vec![3, 0xff], vec![3, 0], vec![4], vec![2, 1]);
    let funded = in_block(&[&funding(1)]);
    let seed = |name: &str, parts: &[Vec<u8>]| Seed::new(name, parts.concat());
    let mut seeds: Vec<Seed> = [("redeem", &redeemed), ("refund", &refunded), ("redeem-annex", &annexed), ("together", &together)]
        .into_iter()
        .map(|(name, tx)| {
            let tx = serialize(tx);
            seed(name, &[funded.clone(), listen.clone(), waits(&tx), all.clone(), in_block(&[&tx]), listen.clone()])
        })
        .collect();
    let spend = serialize(&redeemed);
    seeds.push(seed("reorg", &[funded.clone(), in_block(&[&spend]), listen.clone(), reorg.clone(), reorg, none.clone(), funded.clone()]));
    seeds.push(seed("replaced", &[waits(&funding(2)), listen.clone(), none.clone(), waits(&funding(3)), all, waits(&spend), none]));
    seeds.push(seed("twice-in-a-block", &[in_block(&[&funding(4), &funding(5), &spend]), listen]));
    let keys = [[2u8; 33], [3u8; 33]].concat();
    seeds.push(Seed::new("terms", [&[5, 0][..], &100_000u64.to_le_bytes(), &[7; 32], &keys, &1_748_736_000u32.to_le_bytes()].concat()));
    seeds
}
