//! Sending transactions, and what the pool's answer means.

use crate::TfChain;
use crate::connect::{Runtime, Session};
use crate::error::{AskError, not_now, refused, unavailable};
use crate::pallet::{self, PALLET, Status};
use crate::storage::View;
use parity_scale_codec::Decode;
use subxt::utils::H256;
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::port::{ChainError, SignedTx};

impl TfChain {
    /// Hands a transaction to the pool, and does not wait for a block.
    pub(crate) async fn submit(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        if tx.side != Side::Beta {
            return Err(refused("the transaction is of another chain"));
        }
        if tx.bytes.is_empty() {
            return Ok(tx.id.clone());
        }
        let session = self.link.session().await?;
        let Err(error) = session.rpc.author_submit_extrinsic(&tx.bytes).await else { return Ok(tx.id.clone()) };
        match verdict(error) {
            Ok(()) => Ok(tx.id.clone()),
            Err(refusal @ ChainError::Unavailable { .. }) => Err(refusal),
            // The pool refuses what has happened already.
            Err(refusal) => match is_done(&session, tx).await {
                Ok(true) => Ok(tx.id.clone()),
                Ok(false) => Err(refusal),
                Err(error) => Err(error.for_exit()),
            },
        }
    }
}

/// Whether the best block shows the effect of a transaction that was made here.
async fn is_done(session: &Session, tx: &SignedTx) -> Result<bool, AskError> {
    let best = session.best().await?;
    let runtime = session.runtime_after(best.hash, best.number).await?;
    let Some((effect, id)) = effect(&runtime, tx) else { return Ok(false) };
    let htlc = View::of(session, best).await?.htlc(id).await?;
    Ok(htlc.is_some_and(|htlc| match effect {
        Effect::Funded => true,
        Effect::Redeemed => matches!(htlc.status, Status::Redeemed { .. }),
        Effect::Refunded => matches!(htlc.status, Status::Refunded { .. }),
    }))
}

/// What a transaction of ours brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Funded,
    Redeemed,
    Refunded,
}

/// The effect of a transaction and the HTLC it has it on: a funding is signed and named by its HTLC; a redeem or refund has no
/// signature, and its HTLC's id comes first in the call.
fn effect(runtime: &Runtime, tx: &SignedTx) -> Option<(Effect, H256)> {
    let bytes = Vec::<u8>::decode(&mut tx.bytes.as_slice()).ok()?;
    let [4 | 5, call @ ..] = bytes.as_slice() else {
        return Some((Effect::Funded, pallet::id_of(&HtlcRef(tx.id.0.clone()))?));
    };
    let id = H256(*call.get(2..)?.first_chunk()?);
    let payload = runtime.tx().from_call_data_bytes(call).ok()?;
    match (payload.pallet_name(), payload.call_name()) {
        (PALLET, "redeem") => Some((Effect::Redeemed, id)),
        (PALLET, "refund") => Some((Effect::Refunded, id)),
        _ => None,
    }
}

/// The node's error codes for a submitted transaction (`sc-rpc-api`, `author/error.rs`).
mod code {
    pub(super) const BAD_FORMAT: i32 = 1001;
    pub(super) const POOL_FIRST: i32 = 1010;
    pub(super) const POOL_INVALID: i32 = 1010;
    pub(super) const POOL_KNOWN: i32 = 1013;
    pub(super) const POOL_LAST: i32 = 1021;
}

/// What the pool calls a transaction whose call is never taken in this form.
const UNEXPECTED_CALL: &str = "Transaction call is not expected";

/// What a refusal by the pool means. Most pass with the next block: a stale nonce, another transaction in the way, a ban, a
/// signature made for the runtime before an upgrade, an HTLC that was closed meanwhile. The next `prepare` looks again.
fn verdict(error: subxt::rpcs::Error) -> Result<(), ChainError> {
    let subxt::rpcs::Error::User(error) = error else {
        return Err(unavailable(error.to_string()));
    };
    let data = error.data.as_ref().map(|data| data.get()).unwrap_or_default();
    let reason = format!("{} {data}", error.message);
    match error.code {
        code::POOL_KNOWN => Ok(()),
        code::POOL_INVALID if data.contains(UNEXPECTED_CALL) => Err(refused(reason)),
        code::POOL_FIRST..=code::POOL_LAST => Err(not_now(reason)),
        code::BAD_FORMAT => Err(refused(reason)),
        _ => Err(unavailable(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use subxt::rpcs::UserError;

    #[test]
    fn a_refusal_by_the_pool_is_final_only_where_no_later_block_takes_the_transaction() {
        let judge = |code, data: &str| {
            let error = format!(r#"{{"code":{code},"message":"said the pool","data":{data:?}}}"#);
            verdict(subxt::rpcs::Error::User(serde_json::from_str::<UserError>(&error).unwrap()))
        };
        assert!(judge(1013, "").is_ok(), "already imported");
        for (code, data) in [
            (1010, "Transaction is outdated"),
            (1010, "Transaction will be valid in the future"),
            (1010, "Transaction has a bad signature"),
            (1010, "Custom error: 1"),
            (1011, "Unknown validity"),
            (1012, "Transaction is temporarily banned"),
            (1014, "Priority is too low"),
            (1016, "Immediately dropped"),
        ] {
            assert!(matches!(judge(code, data), Err(ChainError::NotNow { .. })), "{data}");
        }
        assert!(matches!(judge(1010, UNEXPECTED_CALL), Err(ChainError::Refused { .. })));
        assert!(matches!(judge(1001, "bad bytes"), Err(ChainError::Refused { .. })));
        assert!(matches!(judge(-32603, "internal"), Err(ChainError::Unavailable { .. })));
    }
}
