//! When the chains let an HTLC be spent, and what is broken on purpose: a mutant is a world in which one rule that the decision
//! table counts on does not hold. The checker must find money lost in each.

use crate::chain::{At, Htlc, Way};
use crate::clock::{Minute, POLICY, median_time_past, minutes};
use crate::state::State;
use swap_contract::bytes::Preimage;
use swap_contract::document::{Asset, Contract};
use swap_contract::testing::fixture::Deal;

/// One rule that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Mutant {
    /// The chains exchange T1 and T2: alpha goes back first.
    ExchangedTimelocks,
    /// Beta takes preimages of any length, alpha's script only 32 bytes.
    NoPreimageLengthCheck,
    /// Beta can be redeemed after T2 too.
    RedeemAfterT2,
    /// Alpha can be refunded before T1.
    EarlyAlphaRefund,
    /// The initiator takes the newest beta block for final.
    #[value(name = "reveal-at-depth-0")]
    RevealAtDepth0,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 5] = [
        Mutant::ExchangedTimelocks,
        Mutant::NoPreimageLengthCheck,
        Mutant::RedeemAfterT2,
        Mutant::EarlyAlphaRefund,
        Mutant::RevealAtDepth0,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mutant::ExchangedTimelocks => "exchanged-timelocks",
            Mutant::NoPreimageLengthCheck => "no-preimage-length-check",
            Mutant::RedeemAfterT2 => "redeem-after-t2",
            Mutant::EarlyAlphaRefund => "early-alpha-refund",
            Mutant::RevealAtDepth0 => "reveal-at-depth-0",
        }
    }
}

/// What both parties signed, and the chains' rules.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What is broken.
    pub mutant: Option<Mutant>,
    /// What both signed.
    pub contract: Contract,
    /// What opens the hashlock.
    pub preimage: Preimage,
    /// T1.
    pub t1: Minute,
    /// The latest T2.
    pub latest_t2: Minute,
}

impl Rules {
    /// The fixture's contract, drawn up while the median time past lags as usual.
    pub fn new(mutant: Option<Mutant>) -> Self {
        let mut deal = Deal::new(Asset::Tft);
        deal.alpha_now = median_time_past(Minute(0), false).on_chain();
        let contract = deal.contract().document;
        let (t1, latest_t2) = (Minute::of(contract.alpha_refund_after()), Minute::of(contract.beta_latest_refund_after()));
        Self { mutant, preimage: deal.preimage(), contract, t1, latest_t2 }
    }

    /// Whether alpha's HTLC may be spent this way at this moment.
    pub fn alpha_allows(&self, state: &State, way: Way) -> bool {
        match way {
            // Only the participant redeems alpha, and it has the preimage only once the initiator has shown it.
            Way::Redeem => state.shown && self.mutant != Some(Mutant::NoPreimageLengthCheck),
            Way::Refund => match self.mutant {
                Some(Mutant::EarlyAlphaRefund) => true,
                Some(Mutant::ExchangedTimelocks) => state.median() >= self.latest_t2,
                Some(Mutant::NoPreimageLengthCheck | Mutant::RedeemAfterT2 | Mutant::RevealAtDepth0) | None => state.median() >= self.t1,
            },
        }
    }

    /// Whether beta's HTLC may be spent this way at this moment, once its funding is in a block.
    pub fn beta_allows(&self, now: Minute, htlc: &Htlc, way: Way) -> bool {
        let t2 = if self.mutant == Some(Mutant::ExchangedTimelocks) { self.t1 } else { htlc.refund_after };
        match way {
            Way::Redeem => now < t2 || self.mutant == Some(Mutant::RedeemAfterT2),
            Way::Refund => now >= t2,
        }
    }

    /// Whether beta's HTLC can be redeemed now or as soon as it is in a block.
    pub fn beta_is_redeemable(&self, state: &State) -> bool {
        state.beta.htlc.is_some_and(|htlc| {
            let taken = htlc.exit.is_some_and(|exit| exit.way == Way::Refund && !exit.at.is_waiting());
            !taken && self.beta_allows(state.now, &htlc, Way::Redeem)
        })
    }

    /// Whether a reveal by redeeming beta is safe, by what is true of the chain: the rule the decision table must follow.
    pub fn is_safe_reveal(&self, state: &State, seen: Minute) -> bool {
        state.beta.htlc.is_some_and(|htlc| {
            let is_final = match htlc.at {
                At::Waiting => false,
                At::Block(step) => step <= state.beta.final_height,
            };
            is_final && htlc.refund_after <= self.latest_t2 && seen.plus(minutes(POLICY.reveal_cutoff)) <= htlc.refund_after
        })
    }
}
