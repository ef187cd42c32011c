//! This account's HTLCs that are open on the chain, whether or not anybody remembers what for. For who has lost its memory: a
//! refund needs neither a key nor the contract, only the HTLC's id and its timelock.

use crate::TfChain;
use crate::error::AskError;
use crate::pallet::{Status, htlc_ref};
use crate::storage::View;
use crate::wallet::saturate;
use swap_contract::amount::Units;
use swap_contract::bytes::SwapId;
use swap_contract::document::Account;
use swap_contract::leg::{HtlcRef, TxRef};
use swap_contract::port::ChainError;
use swap_contract::time::ChainTime;

/// An HTLC that holds money this account put in or may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHtlc {
    /// The HTLC.
    pub htlc: HtlcRef,
    /// The contract it says it is for.
    pub swap: SwapId,
    /// Who put the money in.
    pub sender: Account,
    /// Who gets it with the preimage.
    pub recipient: Account,
    /// How much.
    pub amount: Units,
    /// From when on it goes back to the sender.
    pub refund_after: ChainTime,
}

impl TfChain {
    /// All open HTLCs that this account sent or is to receive, and the chain's time at the best block. Reads the whole storage of
    /// the pallet: for a restore, not for every block.
    pub async fn open_htlcs(&self) -> Result<(ChainTime, Vec<OpenHtlc>), ChainError> {
        let session = self.link.session().await?;
        let own = self.account().0;
        let look = async {
            let view = View::of(&session, session.best().await?).await?;
            let found = view.scan(|htlc| htlc.status == Status::Funded && [htlc.sender.0, htlc.recipient.0].contains(&own)).await?;
            Ok::<_, AskError>((view.time().await?, found))
        };
        let (time, found) = look.await.map_err(AskError::for_exit)?;
        let open = found.into_iter().map(|(id, htlc)| OpenHtlc {
            htlc: htlc_ref(id),
            swap: SwapId(htlc.contract_id),
            sender: Account(htlc.sender.0),
            recipient: Account(htlc.recipient.0),
            amount: Units(saturate(htlc.amount)),
            refund_after: ChainTime(htlc.refund_after),
        });
        Ok((time, open.collect()))
    }

    /// Sends an HTLC's money back to who put it in. [`ChainError::NotNow`] before its timelock.
    pub async fn refund_open(&self, htlc: &HtlcRef) -> Result<TxRef, ChainError> {
        let tx = self.prepare_refund_of(htlc).await?;
        self.submit(&tx).await
    }
}
