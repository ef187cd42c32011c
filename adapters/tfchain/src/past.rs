//! Looking up what a leg's HTLC came to, for whoever did not follow it: the pallet remembers it for 28 days.

use crate::TfChain;
use crate::connect::{Block, Session};
use crate::error::{AskError, not_now};
use crate::pallet::{Htlc, Status, id_of};
use crate::storage::View;
use swap_contract::document::Settlement;
use swap_contract::leg::TxRef;
use swap_contract::port::{BetaTerms, ChainError, Closed};
use swap_contract::time::ChainTime;

impl TfChain {
    pub(crate) async fn ask_closed(&self, session: &Session, terms: &BetaTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        let newest = session.finalised().await.map_err(AskError::for_exit)?;
        if there.height > newest.number {
            return Err(not_now("the block is not final here"));
        }
        self.ask_settled(session, newest, terms, there).await.map_err(AskError::for_exit)
    }

    async fn ask_settled(
        &self,
        session: &Session,
        newest: Block,
        terms: &BetaTerms,
        there: &Settlement,
    ) -> Result<Option<Closed>, AskError> {
        let Some(id) = id_of(&there.htlc) else { return Ok(None) };
        let view = View::of(session, newest).await?;
        let is_it = |htlc: &Htlc| htlc.fulfils(terms) && htlc.closed_at() == Some(there.height);
        let Some(htlc) = view.htlc(id).await?.filter(|htlc| is_it(htlc) && is_in(&there.by, there.height)) else {
            return Ok(None);
        };
        let redeemed = match htlc.status {
            Status::Redeemed { .. } => true,
            Status::Funded | Status::Refunded { .. } => false,
        };
        let time = time_of(session.block_at(there.height).await?, view.block, view.time().await?);
        let time = time.ok_or_else(|| AskError::Node("blocks carry no slots".into()))?;
        Ok(Some(Closed { redeemed, time }))
    }

    /// All that was ever funded with these terms and is not forgotten, whenever that was.
    pub(crate) async fn ask_was_funded(&self, session: &Session, terms: &BetaTerms, until: ChainTime) -> Result<bool, ChainError> {
        let look = async {
            let view = View::of(session, session.finalised().await?).await?;
            let is_over = view.time().await? > until;
            Ok::<_, AskError>(if is_over { Some(view.scan(|htlc| htlc.fulfils(terms)).await?) } else { None })
        };
        match look.await.map_err(AskError::for_exit)? {
            Some(found) => Ok(!found.is_empty()),
            None => Err(not_now("that time is not over on this chain")),
        }
    }
}

/// Whether a name of a transaction is of this block.
fn is_in(by: &TxRef, height: u64) -> bool {
    let named = by.0.strip_prefix("block:").or_else(|| by.0.split_once('-').map(|(block, _)| block));
    named.and_then(|block| block.parse().ok()) == Some(height)
}

/// When a block was made, by its slot, of which every header tells: nodes forget the state, and with it the time, of old blocks. A slot is
/// as long as the newest block's time says.
fn time_of(block: Block, newest: Block, now: ChainTime) -> Option<ChainTime> {
    let (slot, newest) = (u128::from(block.slot?), u128::from(newest.slot?));
    let millis = slot.checked_mul(u128::from(now.0))?.checked_div(newest)?;
    u64::try_from(millis).ok().map(ChainTime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use subxt::utils::H256;

    #[test]
    fn a_blocks_time_follows_from_its_slot() {
        let at = |number, slot| Block { hash: H256([0; 32]), number, parent: H256([0; 32]), slot };
        let now = ChainTime(6_000 * 290_000_000 + 1_234);
        let time = time_of(at(1, Some(289_999_900)), at(90, Some(290_000_000)), now).unwrap();
        assert!((599_000..=601_300).contains(&now.since(time).0), "{}", now.since(time).0);
        assert_eq!(time_of(at(0, None), at(90, Some(1)), now), None);
    }

    #[test]
    fn a_transaction_is_of_the_block_that_it_names() {
        assert!(is_in(&TxRef("12-3".into()), 12) && is_in(&TxRef("block:12".into()), 12));
        for other in ["12", "13-3", "block:13", "x-12", "", "-12", "anything"] {
            assert!(!is_in(&TxRef(other.into()), 12), "{other}");
        }
    }
}
