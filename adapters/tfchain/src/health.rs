//! Whether the chain and the node that shows it are fit for new commitments and for the reveal. The judgement is pure; beside
//! it, the mean block time is sampled from headers, which no node forgets.

use crate::connect::{Block, Session};
use crate::error::AskError;
use std::time::{SystemTime, UNIX_EPOCH};
use swap_contract::policy::Policy;
use swap_contract::time::{ChainTime, Height, Span, Tip};

/// What the judgement is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signs {
    /// Newest block.
    pub(crate) height: u64,
    /// Its time.
    pub(crate) time: ChainTime,
    /// Newest finalised block.
    pub(crate) final_height: u64,
    /// Mean block time, where it is known.
    pub(crate) mean_block: Option<Span>,
    /// Whether the runtime has the HTLC pallet as this version knows it.
    pub(crate) known_runtime: bool,
}

impl Signs {
    /// The tip, judged at `now_ms` of this computer's clock. A chain whose clock is ahead of it is not old.
    pub(crate) fn tip(&self, policy: &Policy, now_ms: u64) -> Tip {
        let lag = self.height.saturating_sub(self.final_height);
        let healthy = self.known_runtime
            && lag <= policy.beta_max_finality_lag
            && is_recent(self.time, policy, now_ms)
            && self.mean_block.is_none_or(|mean| mean <= policy.beta_max_mean_block);
        Tip { height: Height(self.height), time: self.time, final_height: Height(self.final_height), healthy }
    }
}

/// Whether a block of this time is young enough.
pub(crate) fn is_recent(time: ChainTime, policy: &Policy, now_ms: u64) -> bool {
    now_ms.saturating_sub(time.0) <= policy.beta_max_age.0
}

/// This computer's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The mean block time over the last blocks, from the slots in two headers.
#[derive(Default)]
pub(crate) struct Pace {
    slot: Option<Span>,
    /// An older block's number and slot; renewed when it has become too old.
    anchor: Option<(u64, u64)>,
}

impl Pace {
    /// The mean up to `best`. Unknown on the first blocks of a chain, and where blocks carry no slots.
    pub(crate) async fn mean(&mut self, session: &Session, best: Block, over: u64) -> Result<Option<Span>, AskError> {
        let (Some(slot), true) = (best.slot, best.number > 1) else { return Ok(None) };
        let from = best.number.saturating_sub(over).max(1);
        let usable = |anchor: &(u64, u64)| anchor.0 < best.number && anchor.0 + over / 8 >= from;
        let anchor = match self.anchor.filter(usable) {
            Some(anchor) => anchor,
            None => {
                let Some(slot) = session.block_at(from).await?.slot else { return Ok(None) };
                *self.anchor.insert((from, slot))
            }
        };
        if self.slot.is_none() {
            self.slot = slot_length(session, best).await?;
        }
        Ok(self.slot.and_then(|length| mean(anchor, (best.number, slot), length)))
    }
}

fn mean(from: (u64, u64), to: (u64, u64), slot: Span) -> Option<Span> {
    let blocks = to.0.checked_sub(from.0)?;
    to.1.saturating_sub(from.1).saturating_mul(slot.0).checked_div(blocks).map(Span)
}

async fn slot_length(session: &Session, at: Block) -> Result<Option<Span>, AskError> {
    match session.rpc.state_call("AuraApi_slot_duration", None, Some(at.hash)).await {
        Ok(bytes) => Ok(bytes.try_into().map(u64::from_le_bytes).map(Span).ok()),
        // The runtime does not tell; the connection is fine.
        Err(subxt::rpcs::Error::User(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swap_contract::policy::MAINNET;

    const NOW: u64 = 1_700_000_000_000;

    fn fit() -> Signs {
        Signs { height: 100, time: ChainTime(NOW - 6_000), final_height: 98, mean_block: Some(Span(6_010)), known_runtime: true }
    }

    #[test]
    fn a_chain_is_fit_up_to_each_bound_and_not_beyond() {
        let cases = [
            (fit(), true),
            (Signs { final_height: 95, ..fit() }, true),
            (Signs { final_height: 94, ..fit() }, false),
            (Signs { time: ChainTime(NOW - 18_000), ..fit() }, true),
            (Signs { time: ChainTime(NOW - 18_001), ..fit() }, false),
            (Signs { mean_block: Some(Span(7_500)), ..fit() }, true),
            (Signs { mean_block: Some(Span(7_501)), ..fit() }, false),
            (Signs { mean_block: None, ..fit() }, true),
            (Signs { known_runtime: false, ..fit() }, false),
        ];
        for (signs, healthy) in cases {
            assert_eq!(signs.tip(&MAINNET, NOW).healthy, healthy, "{signs:?}");
        }
    }

    #[test]
    fn a_chain_ahead_of_this_computers_clock_is_fit() {
        let ahead = Signs { time: ChainTime(NOW + 3_600_000), ..fit() };
        assert!(ahead.tip(&MAINNET, NOW).healthy);
    }

    #[test]
    fn the_mean_counts_empty_slots() {
        assert_eq!(mean((100, 1_000), (700, 1_600), Span(6_000)), Some(Span(6_000)));
        assert_eq!(mean((100, 1_000), (700, 1_900), Span(6_000)), Some(Span(9_000)));
        assert_eq!(mean((700, 1_600), (700, 1_600), Span(6_000)), None);
    }
}
