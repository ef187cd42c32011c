//! What is known of one chain's HTLC. The same small machine observes both legs; a reorg moves it back.

use crate::bytes::Preimage;
use crate::time::{ChainTime, Depth, Height, Tip};
use serde::{Deserialize, Serialize};

/// The two legs: alpha (Bitcoin) is funded first and refunded last, beta is TF Chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Funded by the initiator, redeemed by the participant.
    Alpha,
    /// Funded by the participant, redeemed by the initiator.
    Beta,
}

/// A funded HTLC as its chain names it: `txid:vout` on Bitcoin, the pallet's id in `0x` hexadecimal on TF Chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HtlcRef(pub String);

/// A transaction as its chain names it: a txid on Bitcoin, an extrinsic's hash or `block-index` on TF Chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TxRef(pub String);

/// Where a transaction stands on the best chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inclusion {
    /// Waiting for a block.
    Mempool,
    /// In the block of this height.
    Block(Height),
}

impl Inclusion {
    /// 0 in the mempool, 1 in the newest block.
    pub fn depth(self, tip: &Tip) -> Depth {
        match self {
            Inclusion::Mempool => Depth(0),
            Inclusion::Block(at) => Depth(tip.height.0.saturating_add(1).saturating_sub(at.0)),
        }
    }

    /// Whether it still waits for a block.
    pub fn is_pending(self) -> bool {
        self == Inclusion::Mempool
    }

    /// Whether the chain will not take it back.
    pub fn is_final(self, tip: &Tip) -> bool {
        match self {
            Inclusion::Mempool => false,
            Inclusion::Block(at) => at <= tip.final_height,
        }
    }
}

/// The funding, as the chain shows it. Only an HTLC with exactly the contract's terms is ever reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Funding {
    /// The one HTLC this leg is bound to.
    pub htlc: HtlcRef,
    /// The transaction that funded it.
    pub by: TxRef,
    /// The timelock on the chain: T1 on alpha, the T2 that the participant chose on beta.
    pub refund_after: ChainTime,
    /// Where it stands.
    pub at: Inclusion,
}

/// A spend of the HTLC, as the chain shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spend {
    /// The transaction.
    pub by: TxRef,
    /// Where it stands.
    pub at: Inclusion,
}

/// What an adapter saw of one leg. An adapter reports one HTLC of a leg at a time, the first it saw: a second one with the
/// same terms is its funder's to refund. It reports another only after [`Sighting::FundingLost`], or when a replacement put
/// it in the place of one that was in no block. Losses and spends speak of the HTLC reported last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sighting {
    /// The HTLC is there, or is seen at another place of the chain.
    Funded(Funding),
    /// As [`Sighting::Funded`], and this is the leg's one HTLC whatever is remembered. An adapter says so when it tells of a leg
    /// for the first time since it started: what was told before that is unknown to it, and losses of that are never told.
    Bound(Funding),
    /// It was redeemed; the preimage is public from here on.
    Redeemed(Spend, Preimage),
    /// It was refunded.
    Refunded(Spend),
    /// The funding is on the chain no longer: a reorg, or a replacement.
    FundingLost,
    /// The redeem or refund is on the chain no longer.
    SpendLost,
}

/// What is known of a leg. A state holds exactly what exists in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum LegStatus {
    /// No HTLC with the contract's terms is on the chain.
    #[default]
    Unfunded,
    /// The HTLC holds the money.
    Funded(Funding),
    /// The money went to who knew the preimage.
    Redeemed(Funding, Spend),
    /// The money went back to its sender.
    Refunded(Funding, Spend),
}

impl LegStatus {
    /// The funding, if there is one.
    pub fn funding(&self) -> Option<&Funding> {
        match self {
            LegStatus::Unfunded => None,
            LegStatus::Funded(funding) | LegStatus::Redeemed(funding, _) | LegStatus::Refunded(funding, _) => Some(funding),
        }
    }

    /// Whether a redeem or refund is final.
    pub fn is_closed(&self, tip: &Tip) -> bool {
        match self {
            LegStatus::Unfunded | LegStatus::Funded(_) => false,
            LegStatus::Redeemed(_, spend) | LegStatus::Refunded(_, spend) => spend.at.is_final(tip),
        }
    }

    /// The spend, if there is one.
    pub fn spend(&self) -> Option<&Spend> {
        match self {
            LegStatus::Unfunded | LegStatus::Funded(_) => None,
            LegStatus::Redeemed(_, spend) | LegStatus::Refunded(_, spend) => Some(spend),
        }
    }

    /// The status after a sighting. A sighting of what is known already changes nothing; a spend of an HTLC that was never
    /// seen funded is [`None`]: adapters report the funding first. A leg stays bound to the HTLC it saw in a block until that
    /// one is lost, or until an adapter that read the whole chain anew says which it is: who could swap it for another would swap
    /// it for one that can still be taken back.
    #[must_use]
    pub fn after(&self, sighting: &Sighting) -> Option<LegStatus> {
        let funding = self.funding();
        let is_other = |new: &Funding| funding.is_some_and(|old| old.htlc != new.htlc);
        match sighting {
            Sighting::Funded(new) if is_other(new) && funding.is_some_and(|old| !old.at.is_pending()) => Some(self.clone()),
            Sighting::Funded(new) | Sighting::Bound(new) if is_other(new) => Some(LegStatus::Funded(new.clone())),
            Sighting::Funded(new) | Sighting::Bound(new) => match self {
                LegStatus::Unfunded | LegStatus::Funded(_) => Some(LegStatus::Funded(new.clone())),
                LegStatus::Redeemed(_, spend) => Some(LegStatus::Redeemed(new.clone(), spend.clone())),
                LegStatus::Refunded(_, spend) => Some(LegStatus::Refunded(new.clone(), spend.clone())),
            },
            Sighting::Redeemed(spend, _) => funding.map(|funding| LegStatus::Redeemed(funding.clone(), spend.clone())),
            Sighting::Refunded(spend) => funding.map(|funding| LegStatus::Refunded(funding.clone(), spend.clone())),
            Sighting::FundingLost => Some(LegStatus::Unfunded),
            Sighting::SpendLost => Some(funding.map_or(LegStatus::Unfunded, |funding| LegStatus::Funded(funding.clone()))),
        }
    }
}
