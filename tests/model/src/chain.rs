//! One abstract chain with at most one HTLC of the swap on it: what waits, what is in which block, what is final. When an exit
//! is valid is in `rules`.
//!
//! Heights count in steps that make a difference. On alpha a step is three blocks, so that a transaction is one, four or seven
//! blocks deep: too shallow for beta, deep, final. On beta a step is a block, and finality comes apart from it.

use crate::clock::Minute;

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// Sent, in no block.
    Waiting,
    /// In the block of this step.
    Block(u8),
}

/// How an HTLC's money leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// By the preimage.
    Redeem,
    /// By the timelock.
    Refund,
}

/// The spend of an HTLC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exit {
    /// By what.
    pub way: Way,
    /// Where.
    pub at: At,
}

/// An HTLC with the contract's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Htlc {
    /// The how manyeth funding of this leg it is: another number is another HTLC.
    pub number: u8,
    /// The timelock the contract or its funder gave it.
    pub refund_after: Minute,
    /// Where its funding stands.
    pub at: At,
    /// Its spend, if one is waiting or in a block. Of two that wait only the one that replaced the other is known.
    pub exit: Option<Exit>,
}

/// One chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The newest step.
    pub height: u8,
    /// The newest step that no reorg takes out.
    pub final_height: u8,
    /// The swap's HTLC.
    pub htlc: Option<Htlc>,
}

impl At {
    /// Whether it waits for a block.
    pub fn is_waiting(self) -> bool {
        self == At::Waiting
    }

    /// Whether it is in a block above this step.
    fn is_above(self, step: u8) -> bool {
        matches!(self, At::Block(at) if at > step)
    }
}

impl Chain {
    /// Nothing has happened.
    pub const START: Chain = Chain { height: 2, final_height: 0, htlc: None };

    /// The spend, if there is one.
    pub fn exit(&self) -> Option<Exit> {
        self.htlc.and_then(|htlc| htlc.exit)
    }

    /// Whether the HTLC was spent this way and the spend is in a block.
    pub fn is_spent_by(&self, way: Way) -> bool {
        self.exit().is_some_and(|exit| exit.way == way && !exit.at.is_waiting())
    }

    /// Whether the HTLC was spent this way for good.
    pub fn is_closed_by(&self, way: Way) -> bool {
        self.exit().is_some_and(|exit| exit.way == way && self.is_final(exit.at))
    }

    /// Whether no reorg takes it out.
    pub fn is_final(&self, at: At) -> bool {
        matches!(at, At::Block(step) if step <= self.final_height)
    }

    /// Where the funding and the spend stand.
    fn places(&self) -> impl Iterator<Item = At> {
        self.htlc.into_iter().flat_map(|htlc| [Some(htlc.at), htlc.exit.map(|exit| exit.at)]).flatten()
    }

    /// Whether something waits for a block.
    pub fn has_waiting(&self) -> bool {
        self.places().any(At::is_waiting)
    }

    /// Whether something is in a block that a reorg may take out.
    pub fn is_open(&self) -> bool {
        self.has_above(self.final_height)
    }

    /// Whether something is in a block above this step.
    pub fn has_above(&self, step: u8) -> bool {
        self.places().any(|at| at.is_above(step))
    }

    /// A step more. With `take`, what waits gets into it; a spend only over a funding that is in a block.
    pub fn grow(&mut self, take: bool) {
        self.height += 1;
        let here = At::Block(self.height);
        if let Some(htlc) = &mut self.htlc
            && take
        {
            if htlc.at.is_waiting() {
                htlc.at = here;
            }
            if let Some(exit) = &mut htlc.exit
                && exit.at.is_waiting()
            {
                exit.at = here;
            }
        }
    }

    /// A reorg: what is in blocks above this step waits again, and the new blocks are empty.
    pub fn take_back(&mut self, step: u8) {
        if let Some(htlc) = &mut self.htlc {
            if htlc.at.is_above(step) {
                htlc.at = At::Waiting;
            }
            if let Some(exit) = &mut htlc.exit
                && exit.at.is_above(step)
            {
                exit.at = At::Waiting;
            }
        }
    }

    /// What waits and is no longer valid is dropped.
    pub fn drop_invalid(&mut self, fundable: impl Fn(&Htlc) -> bool, valid: impl Fn(&Htlc, Way) -> bool) {
        let Some(htlc) = &mut self.htlc else { return };
        if htlc.at.is_waiting() && !fundable(htlc) {
            self.htlc = None;
            return;
        }
        if htlc.exit.is_some_and(|exit| exit.at.is_waiting() && !valid(htlc, exit.way)) {
            htlc.exit = None;
        }
    }

    /// Whether a spend that is sent changes anything: the same one may be known already, or another is in a block.
    pub fn takes_exit(&self, way: Way) -> bool {
        self.htlc.is_some_and(|htlc| htlc.exit.is_none_or(|exit| exit.way != way && exit.at.is_waiting()))
    }

    /// A spend is sent. Returns whether anything changed.
    pub fn send_exit(&mut self, way: Way) -> bool {
        let takes = self.takes_exit(way);
        if let Some(htlc) = &mut self.htlc
            && takes
        {
            htlc.exit = Some(Exit { way, at: At::Waiting });
        }
        takes
    }
}
