//! One watched leg: the outputs that could be its HTLC, how they were spent, and what was told of it last.

use super::{PendingSpend, Tell};
use bitcoin::{Amount, FeeRate, OutPoint, Transaction, Txid};
use htlc_bitcoin::{Htlc, Spending};
use std::collections::HashSet;
use swap_contract::bytes::Preimage;
use swap_contract::leg::{Funding, HtlcRef, Inclusion, Sighting, Spend, TxRef};
use swap_contract::time::{ChainTime, Height};

/// Outputs of one leg that are remembered, in blocks and outside. One is the leg's, any other is money that its sender can
/// only refund; whoever makes more has paid for the joke.
const MAX_IN_BLOCKS: usize = 16;
const MAX_LOOSE: usize = 4;

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the mempool since this look at it.
    Mempool {
        /// Number of the look.
        epoch: u64,
    },
    /// In the block of this height.
    Block(u64),
    /// It was in a block that is disconnected, and was not found again yet.
    Detached,
}

/// A transaction that spends an output.
#[derive(Clone, Debug)]
pub struct SeenSpend {
    pub txid: Txid,
    pub how: Spending,
    pub rate: Option<FeeRate>,
    pub place: Place,
}

struct Candidate {
    outpoint: OutPoint,
    place: Place,
    /// Rises with every sighting: it orders outputs of one block.
    rank: u64,
    spend: Option<SeenSpend>,
}

/// What was told last.
#[derive(Default)]
struct Told {
    funding: Option<Funding>,
    spend: Option<Spend>,
}

pub struct Leg {
    htlc: Htlc,
    candidates: Vec<Candidate>,
    next_rank: u64,
    told: Told,
    tell: Tell,
}

impl Leg {
    pub fn new(htlc: Htlc, tell: Tell) -> Self {
        Self { htlc, candidates: Vec::new(), next_rank: 0, told: Told::default(), tell }
    }

    pub fn htlc(&self) -> &Htlc {
        &self.htlc
    }

    pub fn outpoints(&self) -> impl Iterator<Item = OutPoint> + '_ {
        self.candidates.iter().map(|candidate| candidate.outpoint)
    }

    /// An output with this leg's script and amount. Whether it is remembered.
    pub fn fund(&mut self, outpoint: OutPoint, place: Place) -> bool {
        let rank = self.next_rank;
        self.next_rank += 1;
        if let Some(known) = self.candidates.iter_mut().find(|candidate| candidate.outpoint == outpoint) {
            if known.place != place {
                known.rank = rank;
            }
            known.place = known.place.or_newer(place);
            return true;
        }
        let in_block = |place| matches!(place, Place::Block(_));
        let alike = self.candidates.iter().filter(|candidate| in_block(candidate.place) == in_block(place)).count();
        if alike >= if in_block(place) { MAX_IN_BLOCKS } else { MAX_LOOSE } {
            return false;
        }
        self.candidates.push(Candidate { outpoint, place, rank, spend: None });
        true
    }

    pub fn spend(&mut self, outpoint: OutPoint, seen: SeenSpend) {
        let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.outpoint == outpoint) else { return };
        candidate.spend = match candidate.spend.take() {
            Some(known) if known.txid == seen.txid => Some(SeenSpend { place: known.place.or_newer(seen.place), ..seen }),
            // What a block holds, no mempool replaces.
            Some(known) if matches!((known.place, seen.place), (Place::Block(_), Place::Mempool { .. })) => Some(known),
            Some(_) | None => Some(seen),
        };
    }

    /// What a transaction with one input, this HTLC, pays.
    pub fn fee_rate(&self, tx: &Transaction) -> Option<FeeRate> {
        if tx.input.len() != 1 {
            return None;
        }
        let paid = tx.output.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.value))?;
        let fee = self.htlc.terms().amount.checked_sub(paid)?;
        Some(FeeRate::from_sat_per_kwu(fee.to_sat().checked_mul(250)? / u64::try_from(tx.vsize()).ok()?.max(1)))
    }

    pub fn pending_spend(&self, outpoint: &OutPoint) -> Option<PendingSpend> {
        let candidate = self.candidates.iter().find(|candidate| candidate.outpoint == *outpoint)?;
        let spend = candidate.spend.as_ref().filter(|spend| matches!(spend.place, Place::Mempool { .. }))?;
        Some(PendingSpend { txid: spend.txid, rate: spend.rate })
    }

    /// Whether anything was in a block above `height`.
    pub fn detach_above(&mut self, height: u64) -> bool {
        let mut changed = false;
        for place in self.places() {
            if matches!(place, Place::Block(at) if *at > height) {
                *place = Place::Detached;
                changed = true;
            }
        }
        changed
    }

    /// Compares with the whole mempool. Says whether anything changed, and which outputs are gone.
    pub fn settle(&mut self, mempool: &HashSet<Txid>, epoch: u64) -> (bool, Vec<OutPoint>) {
        let mut changed = false;
        let mut settle = |txid: &Txid, place: &mut Place| -> bool {
            let waits = mempool.contains(txid);
            match *place {
                Place::Block(_) => true,
                Place::Mempool { epoch: since } => {
                    changed |= !waits && since < epoch;
                    waits || since >= epoch
                }
                Place::Detached => {
                    changed = true;
                    *place = Place::Mempool { epoch };
                    waits
                }
            }
        };
        let mut gone = Vec::new();
        self.candidates.retain_mut(|candidate| {
            if let Some(spend) = &mut candidate.spend
                && !settle(&spend.txid, &mut spend.place)
            {
                candidate.spend = None;
            }
            let stays = settle(&candidate.outpoint.txid, &mut candidate.place);
            if !stays {
                gone.push(candidate.outpoint);
            }
            stays
        });
        (changed, gone)
    }

    /// Whether anything stands outside a block.
    pub fn is_loose(&self) -> bool {
        self.all_places().any(|place| !matches!(place, Place::Block(_)))
    }

    /// Whether anything was disconnected and not found again yet.
    pub fn is_in_doubt(&self) -> bool {
        self.all_places().any(|place| place == Place::Detached)
    }

    /// Whether an absence is still to be told.
    pub fn has_more_to_tell(&self) -> bool {
        self.tell == Tell::Everything
    }

    /// What must be told so that who listens knows what this leg knows.
    pub fn changes(&mut self, mempool_known: bool) -> Vec<Sighting> {
        let (funding, spend) = self.view();
        let mut news = Vec::new();
        if self.told.funding != funding {
            self.move_to(funding, &mut news);
        }
        let now = spend.as_ref().map(|(spend, _)| spend.clone());
        if self.told.spend != now {
            news.push(match spend {
                Some((spend, Spending::Redeem { preimage })) => Sighting::Redeemed(spend, Preimage::new(preimage)),
                // The key path pays back too: the participant signs it away only before it has funded beta.
                Some((spend, Spending::Refund | Spending::Cooperative | Spending::Unknown)) => Sighting::Refunded(spend),
                None => Sighting::SpendLost,
            });
            self.told.spend = now;
        }
        if self.tell == Tell::Everything && mempool_known {
            self.tell = Tell::News;
            match (&self.told.funding, &self.told.spend) {
                (None, _) => news.push(Sighting::FundingLost),
                (Some(_), None) => news.push(Sighting::SpendLost),
                (Some(_), Some(_)) => {}
            }
        }
        news
    }

    /// Whoever listens stays bound to an HTLC it saw in a block until that is lost; one it saw only waiting may be replaced. While
    /// all is still to be told, what it remembers from before is unknown, and it is told which HTLC the leg has.
    fn move_to(&mut self, funding: Option<Funding>, news: &mut Vec<Sighting>) {
        let told = self.told.funding.take();
        let another = told.as_ref().map(|told| &told.htlc) != funding.as_ref().map(|now| &now.htlc);
        if another {
            self.told.spend = None;
        }
        match &funding {
            None => news.push(Sighting::FundingLost),
            Some(now) => {
                if another && told.is_some_and(|told| !told.at.is_pending()) {
                    news.push(Sighting::FundingLost);
                }
                news.push(match self.tell {
                    Tell::Everything => Sighting::Bound(now.clone()),
                    Tell::News => Sighting::Funded(now.clone()),
                });
            }
        }
        self.told.funding = funding;
    }

    fn view(&self) -> (Option<Funding>, Option<(Spend, Spending)>) {
        let Some(bound) = self.bound() else { return (None, None) };
        let Some(at) = bound.place.inclusion() else { return (None, None) };
        let funding = Funding {
            htlc: HtlcRef(bound.outpoint.to_string()),
            by: TxRef(bound.outpoint.txid.to_string()),
            refund_after: ChainTime::from_secs(u64::from(self.htlc.terms().refund_after)),
            at,
        };
        let spend = bound
            .spend
            .as_ref()
            .and_then(|spend| Some((Spend { by: TxRef(spend.txid.to_string()), at: spend.place.inclusion()? }, spend.how.clone())));
        (Some(funding), spend)
    }

    /// The one output that counts: a confirmed one before any other, then the one that was told so, then the first. It follows
    /// from the chain alone wherever the chain alone was told, so that a restart finds the same.
    fn bound(&self) -> Option<&Candidate> {
        let told = self.told.funding.as_ref().map(|told| (told.htlc.0.as_str(), told.at.is_pending()));
        self.candidates.iter().min_by_key(|candidate| {
            let height = match candidate.place {
                Place::Block(height) => Some(height),
                Place::Mempool { .. } | Place::Detached => None,
            };
            let told_so = told == Some((candidate.outpoint.to_string().as_str(), height.is_none()));
            (height.is_none(), !told_so, height, candidate.rank)
        })
    }

    fn places(&mut self) -> impl Iterator<Item = &mut Place> {
        self.candidates
            .iter_mut()
            .flat_map(|candidate| std::iter::once(&mut candidate.place).chain(candidate.spend.as_mut().map(|spend| &mut spend.place)))
    }

    fn all_places(&self) -> impl Iterator<Item = Place> + '_ {
        self.candidates
            .iter()
            .flat_map(|candidate| std::iter::once(candidate.place).chain(candidate.spend.as_ref().map(|spend| spend.place)))
    }
}

impl Place {
    /// The same transaction is seen again. Only a reorg takes it out of its block, and that says so.
    fn or_newer(self, seen: Place) -> Place {
        match (self, seen) {
            (Place::Block(_), Place::Mempool { .. }) => self,
            (Place::Block(_) | Place::Mempool { .. } | Place::Detached, _) => seen,
        }
    }

    fn inclusion(self) -> Option<Inclusion> {
        match self {
            Place::Mempool { .. } => Some(Inclusion::Mempool),
            Place::Block(height) => Some(Inclusion::Block(Height(height))),
            Place::Detached => None,
        }
    }
}
