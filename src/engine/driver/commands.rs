//! What the owner and the market ask of the driver.

use super::{Command, Driver};
use crate::engine::host::{Deed, Moment};
use crate::engine::restore::restored;
use crate::error::ApiError;
use crate::store::{NewSwap, StoreError, StoredSwap};
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, Role, SignedContract};
use swap_contract::event::{Event, Fact, Step, Violation};
use swap_contract::leg::Side;
use swap_contract::time::ChainTime;
use tokio::sync::oneshot;
use tracing::{debug, info};

impl Driver {
    pub(super) async fn on_command(&mut self, command: Command) {
        match command {
            Command::Begin(new, reply) => {
                let result = self.begin(*new).await;
                answer(reply, result);
            }
            Command::Watch { contract, role, account, reply } => {
                let result = self.watch(&contract, role, &account).await;
                answer(reply, result);
            }
            Command::Refund(id, reply) => {
                let result = self.refund(&id).await;
                answer(reply, result);
            }
        }
    }

    async fn begin(&mut self, new: NewSwap) -> Result<(), StoreError> {
        let id = new.swap.id();
        // Watch first: nothing that happens from here on is missed.
        self.outside.chains.alpha.track(new.swap.terms(Side::Alpha));
        self.outside.chains.beta.track(new.swap.terms(Side::Beta));
        let (alpha, beta) = *self.outside.tips.borrow();
        let cursors = [(Side::Alpha, alpha), (Side::Beta, beta)];
        let cursors: Vec<_> = cursors.into_iter().filter_map(|(side, tip)| Some((side, tip?.final_height))).collect();
        self.outside.host.pass(Moment::Before(Deed::Begin)).await;
        // Before anybody can see the swap, and hand its copy over.
        self.outside.uncopied.begin(id, self.outside.host.elapsed());
        if let Err(failure) = self.outside.store.begin_swap(&new, &cursors).await {
            self.outside.uncopied.forget(&id);
            if !self.live.contains_key(&id) {
                self.outside.chains.alpha.untrack(&id);
                self.outside.chains.beta.untrack(&id);
            }
            return Err(failure);
        }
        self.outside.host.pass(Moment::After(Deed::Begin)).await;
        info!(swap_id = %id, role = ?new.swap.role(), "swap begins");
        self.adopt(StoredSwap { swap: new.swap, seq: 0, created_at: new.now, outbox: Vec::new() });
        self.drive(&id);
        Ok(())
    }

    /// A swap of somebody else's: whatever happened before is told, and nothing is funded.
    async fn watch(&mut self, contract: &SignedContract, role: Role, account: &Account) -> Result<(), StoreError> {
        let clocks = self.clocks();
        let (swap, event) = restored(contract.document.clone(), role, clocks.now);
        let id = swap.id();
        self.outside.host.pass(Moment::Before(Deed::Begin)).await;
        self.outside.store.watch_swap(contract, &swap, &event, account).await?;
        self.outside.host.pass(Moment::After(Deed::Begin)).await;
        let signed_at = contract.document.countersign_by.0.saturating_sub(contract.document.policy().countersign_within.0 / 1000);
        for (side, chain) in [(Side::Alpha, &self.outside.chains.alpha), (Side::Beta, &self.outside.chains.beta)] {
            chain.track_past(swap.terms(side), ChainTime::from_secs(signed_at));
        }
        info!(swap_id = %id, ?role, %account, "watching a swap");
        self.adopt(StoredSwap { swap, seq: 1, created_at: clocks.now, outbox: Vec::new() });
        Ok(())
    }

    /// The owner's wish to get out: cancel what is not committed, or try the refund at once.
    async fn refund(&mut self, id: &SwapId) -> Result<(), ApiError> {
        let clocks = self.clocks();
        let live = self.live.get_mut(id).ok_or(ApiError::WrongState { reason: "the swap has ended".into() })?;
        let mut trial = live.swap.clone();
        match trial.handle(&Event { clocks, fact: Fact::Cancelled }) {
            Ok(_) => {
                self.record(id, Fact::Cancelled, None).await;
                return Ok(());
            }
            Err(Violation::TooLateToCancel) => {}
            Err(violation) => return Err(ApiError::WrongState { reason: violation.to_string() }),
        }
        let wanted = live.swap.wants(&clocks).map(|action| action.step);
        match wanted {
            Some(Step::RefundAlpha | Step::RefundBeta) => {
                live.retry_at = Duration::ZERO;
                self.drive(id);
                Ok(())
            }
            Some(Step::FundAlpha | Step::FundBeta | Step::RedeemAlpha | Step::RedeemBeta) | None => match live.swap.own_refund() {
                Some((side, at)) => Err(ApiError::RefundNotDue { clock: crate::store::side_name(side), at: at.0 }),
                None => Err(ApiError::WrongState { reason: "nothing of yours is locked in this swap".into() }),
            },
        }
    }
}

fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    if reply.send(value).is_err() {
        debug!("the caller did not wait for the answer");
    }
}
