//! The index of what is watched. Every output script and every spent outpoint of a block or of the mempool is looked up here
//! once, whatever the number of swaps. Pure: it is told what the chain shows and says what changed.

mod leg;
#[cfg(test)]
mod tests;

use bitcoin::{Block, OutPoint, ScriptBuf, Transaction, Txid};
use htlc_bitcoin::{Htlc, Spending};
use leg::{Leg, Place, SeenSpend};
use std::collections::{BTreeSet, HashMap, HashSet};
use swap_contract::bytes::SwapId;
use swap_contract::leg::Sighting;

/// Every watched leg, and two ways to find it.
#[derive(Default)]
pub struct Index {
    legs: HashMap<SwapId, Leg>,
    by_script: HashMap<ScriptBuf, SwapId>,
    by_outpoint: HashMap<OutPoint, SwapId>,
    /// Legs whose view may have changed since [`Index::changes`].
    touched: BTreeSet<SwapId>,
    /// Legs with anything outside a block: only these are judged by the mempool.
    loose: BTreeSet<SwapId>,
}

/// How much a new leg wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// What happens from now on.
    News,
    /// Also that something is absent: whoever tracks it may remember a funding or a spend that is gone.
    Everything,
}

/// Two legs would have the same output. The second is not watched: one output never counts twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output of swap {swap} is that of swap {other}")]
pub struct SameOutput {
    /// The new one.
    pub swap: SwapId,
    /// The one that is watched.
    pub other: SwapId,
}

/// A spend of an HTLC that waits in the mempool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingSpend {
    /// The transaction.
    pub txid: Txid,
    /// What it pays, if this HTLC is its only input.
    pub rate: Option<bitcoin::FeeRate>,
}

impl Index {
    /// Watches a leg; a leg that is watched already stays as it is.
    pub fn track(&mut self, swap: SwapId, htlc: Htlc, tell: Tell) -> Result<(), SameOutput> {
        let script = htlc.script_pubkey();
        if let Some(other) = self.by_script.get(&script) {
            return if *other == swap { Ok(()) } else { Err(SameOutput { swap, other: *other }) };
        }
        self.by_script.insert(script, swap);
        self.legs.insert(swap, Leg::new(htlc, tell));
        self.touched.insert(swap);
        Ok(())
    }

    /// Forgets a leg.
    pub fn untrack(&mut self, swap: &SwapId) {
        if let Some(leg) = self.legs.remove(swap) {
            self.by_script.remove(&leg.htlc().script_pubkey());
            for outpoint in leg.outpoints() {
                self.by_outpoint.remove(&outpoint);
            }
            self.touched.remove(swap);
            self.loose.remove(swap);
        }
    }

    /// The timelocks of all legs, in unix seconds: how far back their past reaches.
    pub fn timelocks(&self) -> impl Iterator<Item = u32> + '_ {
        self.legs.values().map(|leg| leg.htlc().terms().refund_after)
    }

    /// A block was connected at `height`.
    pub fn connect(&mut self, height: u64, block: &Block) {
        for tx in &block.txdata {
            self.transaction(tx, Place::Block(height));
        }
    }

    /// All blocks above `height` were disconnected. Their transactions are in doubt until [`Index::settle`] or a new block.
    pub fn disconnect_above(&mut self, height: u64) {
        for (swap, leg) in &mut self.legs {
            if leg.detach_above(height) {
                self.touched.insert(*swap);
                self.loose.insert(*swap);
            }
        }
    }

    /// A transaction waits in the mempool. `epoch` counts the looks at the mempool: see [`Index::settle`].
    pub fn pending(&mut self, tx: &Transaction, epoch: u64) {
        self.transaction(tx, Place::Mempool { epoch });
    }

    /// `mempool` is all that waits, read entirely within `epoch` and at the tip that was connected last. What was in the
    /// mempool before that epoch and is not now, is gone.
    pub fn settle(&mut self, mempool: &HashSet<Txid>, epoch: u64) {
        let legs = &mut self.legs;
        let (touched, by_outpoint) = (&mut self.touched, &mut self.by_outpoint);
        self.loose.retain(|swap| {
            let Some(leg) = legs.get_mut(swap) else { return false };
            let (changed, removed) = leg.settle(mempool, epoch);
            for outpoint in removed {
                by_outpoint.remove(&outpoint);
            }
            if changed {
                touched.insert(*swap);
            }
            leg.is_loose()
        });
    }

    /// What changed since the last call, in the order in which it must be told. Legs that are in doubt wait. Absences that
    /// nobody was told of yet are told only when the mempool is known entirely (`mempool_known`).
    pub fn changes(&mut self, mempool_known: bool) -> Vec<(SwapId, Sighting)> {
        let mut changes = Vec::new();
        let legs = &mut self.legs;
        self.touched.retain(|swap| {
            let Some(leg) = legs.get_mut(swap) else { return false };
            if leg.is_in_doubt() {
                return true;
            }
            changes.extend(leg.changes(mempool_known).into_iter().map(|sighting| (*swap, sighting)));
            leg.has_more_to_tell()
        });
        changes
    }

    /// Whether what a leg lacks is still to be told.
    pub fn has_more_to_tell(&self) -> bool {
        self.touched.iter().filter_map(|swap| self.legs.get(swap)).any(Leg::has_more_to_tell)
    }

    /// The spend of this output that waits in the mempool.
    pub fn pending_spend(&self, outpoint: &OutPoint) -> Option<PendingSpend> {
        self.legs.get(self.by_outpoint.get(outpoint)?)?.pending_spend(outpoint)
    }

    fn transaction(&mut self, tx: &Transaction, place: Place) {
        let mut txid = None;
        let mut txid = || *txid.get_or_insert_with(|| tx.compute_txid());
        for (vout, output) in tx.output.iter().enumerate() {
            if let Some(swap) = self.by_script.get(&output.script_pubkey).copied()
                && let Some(leg) = self.legs.get_mut(&swap)
                && output.value == leg.htlc().terms().amount
                && let Ok(vout) = u32::try_from(vout)
            {
                let outpoint = OutPoint { txid: txid(), vout };
                if leg.fund(outpoint, place) {
                    self.by_outpoint.insert(outpoint, swap);
                    self.note(swap);
                }
            }
        }
        for input in &tx.input {
            if let Some(swap) = self.by_outpoint.get(&input.previous_output).copied()
                && let Some(leg) = self.legs.get_mut(&swap)
            {
                let how: Spending = leg.htlc().classify(&input.witness);
                let rate = leg.fee_rate(tx);
                leg.spend(input.previous_output, SeenSpend { txid: txid(), how, rate, place });
                self.note(swap);
            }
        }
    }

    fn note(&mut self, swap: SwapId) {
        self.touched.insert(swap);
        if self.legs.get(&swap).is_some_and(Leg::is_loose) {
            self.loose.insert(swap);
        }
    }
}
