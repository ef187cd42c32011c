//! Looking up what a leg's HTLC came to, for whoever did not follow it: the pallet remembers it for 28 days.

use crate::TfChain;
use crate::connect::Session;
use crate::error::{AskError, not_now};
use crate::pallet::{Status, id_of};
use crate::storage::View;
use swap_contract::document::Settlement;
use swap_contract::port::{BetaTerms, ChainError, Closed};
use swap_contract::time::{ChainTime, Span};

/// Mean time between two blocks: a closing's time is counted back from the newest by it, since nodes forget the state of old blocks.
const BLOCK: Span = Span::secs(6);

impl TfChain {
    pub(crate) async fn ask_closed(&self, session: &Session, terms: &BetaTerms, there: &Settlement) -> Result<Option<Closed>, AskError> {
        let Some(id) = id_of(&there.htlc) else { return Ok(None) };
        let view = View::of(session, session.finalised().await?).await?;
        let Some(htlc) = view.htlc(id).await?.filter(|htlc| htlc.fulfils(terms) && htlc.closed_at() == Some(there.height)) else {
            return Ok(None);
        };
        let redeemed = match htlc.status {
            Status::Redeemed { .. } => true,
            Status::Funded | Status::Refunded { .. } => false,
        };
        let blocks = view.block.number.saturating_sub(there.height);
        Ok(Some(Closed { redeemed, time: view.time().await?.minus(Span(blocks.saturating_mul(BLOCK.0))) }))
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
