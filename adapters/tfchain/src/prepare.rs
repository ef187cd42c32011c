//! Making transactions. A funding is signed with the account's next nonce and lives 64 blocks; a redeem or refund is unsigned,
//! needs no account and costs nothing.
//!
//! Nothing here is kept by the engine: every operation is prepared anew each time, from what the chain shows then. What the
//! chain shows already is a transaction without bytes, whose broadcast succeeds and sends nothing.

use crate::TfChain;
use crate::connect::{Block, Runtime, Session};
use crate::error::{AskError, not_now, refused};
use crate::hash::blake2_256;
use crate::observe::tx_ref;
use crate::pallet::{self, Htlc, PALLET, Status};
use crate::storage::{self, View};
use crate::wallet::{dispatch_info, existential_deposit, saturate};
use subxt::config::DefaultExtrinsicParamsBuilder;
use subxt::tx::Payload;
use subxt::utils::{AccountId32, H256};
use swap_contract::bytes::Preimage;
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::port::{BetaTerms, ChainError, SignedTx};
use swap_contract::time::ChainTime;

/// Blocks for which a signed transaction stays valid.
pub(crate) const MORTALITY: u64 = 64;

/// The funding that was signed last. Asked for again while it may still be taken, it is the same transaction: two signatures
/// for one HTLC would stand in each other's way.
pub(crate) struct LastFunding {
    id: H256,
    nonce: u64,
    runtime: u32,
    expires: u64,
    tx: SignedTx,
}

impl TfChain {
    /// Signs a funding. Its `id` is the HTLC's id: the transaction's own hash says nothing once another block takes it.
    ///
    /// One transaction of the account waits for a block at a time, whoever sent it; a funding that has to wait its turn is
    /// refused for now.
    pub(crate) async fn prepare_fund(&self, terms: &BetaTerms, refund_after: ChainTime) -> Result<SignedTx, ChainError> {
        if terms.sender != self.account() {
            return Err(refused(format!("the sender {} is not this wallet's account {}", terms.sender, self.account())));
        }
        let mut last = self.last_funding.lock().await;
        let session = self.link.session().await?;
        let best = session.best().await?;
        let view = View::of(&session, best).await?;
        let runtime = session.runtime_after(best.hash, best.number).await?;
        if !self.shapes.knows(&runtime) {
            return Err(refused("the runtime does not have the HTLC pallet as this version knows it"));
        }
        let id = pallet::htlc_id(&runtime, terms, refund_after)?;
        if view.htlc(id).await?.is_some() {
            return Ok(nothing_to_send(TxRef(pallet::htlc_ref(id).0)));
        }
        let now = view.time().await?;
        within_limits(&runtime, terms, refund_after, now)?;
        let nonce = next_nonce(&session, best, self.account().0).await?;
        let waits = |last: &&LastFunding| {
            last.id == id && last.nonce == nonce && last.runtime == runtime.spec_version() && best.number < last.expires
        };
        if let Some(last) = last.as_ref().filter(waits) {
            return Ok(last.tx.clone());
        }
        let account = AccountId32(self.account().0);
        let after_pool = session.rpc.system_account_next_index(&account).await.map_err(AskError::from)?;
        if after_pool > nonce {
            return Err(not_now("another transaction of this account waits for a block"));
        }
        let (bytes, expires) = self.sign(&session, &runtime, terms, refund_after, nonce).await?;
        let fee = dispatch_info(&session, best.hash, &bytes).await?.fee;
        self.can_pay(&view, &runtime, u128::from(terms.amount.0).saturating_add(fee)).await?;
        let tx = SignedTx {
            side: Side::Beta,
            id: TxRef(pallet::htlc_ref(id).0),
            size: bytes.len() as u64,
            bytes,
            fee: saturate(fee),
            inputs: Vec::new(),
            durable: false,
        };
        *last = Some(LastFunding { id, nonce, runtime: runtime.spec_version(), expires, tx: tx.clone() });
        Ok(tx)
    }

    /// Signs the call that funds. Mortal from the finalised block on, which no reorg takes away.
    async fn sign(
        &self,
        session: &Session,
        runtime: &Runtime,
        terms: &BetaTerms,
        refund_after: ChainTime,
        nonce: u64,
    ) -> Result<(Vec<u8>, u64), AskError> {
        let Block { number, hash, .. } = session.finalised().await?;
        let params = DefaultExtrinsicParamsBuilder::new().mortal_from_unchecked(MORTALITY, number, hash).nonce(nonce).build();
        let call = pallet::fund(terms, refund_after);
        let tx = runtime.tx().create_signable_offline(&call, params)?.sign(&self.signer)?;
        Ok((tx.encoded().to_vec(), number.saturating_add(MORTALITY)))
    }

    async fn can_pay(&self, view: &View<'_>, runtime: &Runtime, needed: u128) -> Result<(), ChainError> {
        let funds = view.funds(AccountId32(self.account().0)).await?;
        let available = funds.spendable(existential_deposit(runtime)?);
        if available < needed {
            let (available, needed) = (saturate(available), saturate(needed));
            return Err(ChainError::InsufficientFunds { side: Side::Beta, available, needed });
        }
        Ok(())
    }

    /// Makes a redeem. Refused once the timelock has passed or the HTLC was refunded.
    pub(crate) async fn prepare_redeem(&self, terms: &BetaTerms, htlc: &HtlcRef, preimage: &Preimage) -> Result<SignedTx, ChainError> {
        if preimage.hashlock() != terms.hashlock {
            return Err(refused("the preimage does not open the hashlock"));
        }
        let exit = Exit::find(self, terms, htlc).await?;
        match exit.htlc.status {
            Status::Redeemed { at, .. } => Ok(nothing_to_send(tx_ref(at, None))),
            Status::Refunded { at } => Err(refused(format!("it was refunded in block {at}"))),
            Status::Funded if exit.time.0 >= exit.htlc.refund_after => Err(refused("its timelock has passed")),
            Status::Funded => exit.unsigned(&pallet::redeem(exit.id, *preimage.expose())),
        }
    }

    /// Makes a refund. Not possible before the best block's time has reached the timelock.
    pub(crate) async fn prepare_refund(&self, terms: &BetaTerms, htlc: &HtlcRef) -> Result<SignedTx, ChainError> {
        Exit::find(self, terms, htlc).await?.refund()
    }

    /// The same for an HTLC whose terms are not known: the money goes to whoever funded it.
    pub(crate) async fn prepare_refund_of(&self, htlc: &HtlcRef) -> Result<SignedTx, ChainError> {
        Exit::find_any(self, htlc).await?.refund()
    }
}

/// What a redeem or refund starts from.
struct Exit {
    id: H256,
    htlc: Htlc,
    time: ChainTime,
    runtime: Runtime,
}

impl Exit {
    async fn find(chain: &TfChain, terms: &BetaTerms, htlc: &HtlcRef) -> Result<Exit, ChainError> {
        let exit = Self::find_any(chain, htlc).await?;
        if exit.htlc.fulfils(terms) { Ok(exit) } else { Err(refused("this HTLC is not of the contract's terms")) }
    }

    async fn find_any(chain: &TfChain, htlc: &HtlcRef) -> Result<Exit, ChainError> {
        let id = pallet::id_of(htlc).ok_or_else(|| refused(format!("{} is not an HTLC of this chain", htlc.0)))?;
        let session = chain.link.session().await?;
        let exit = Self::read(&session, id).await.map_err(AskError::for_exit)?;
        exit.ok_or_else(|| not_now("the best block does not have this HTLC"))
    }

    fn refund(&self) -> Result<SignedTx, ChainError> {
        match self.htlc.status {
            Status::Refunded { at } => Ok(nothing_to_send(tx_ref(at, None))),
            Status::Redeemed { at, .. } => Err(refused(format!("it was redeemed in block {at}"))),
            Status::Funded if self.time.0 < self.htlc.refund_after => Err(not_now("its timelock has not passed")),
            Status::Funded => self.unsigned(&pallet::refund(self.id)),
        }
    }

    async fn read(session: &Session, id: H256) -> Result<Option<Exit>, AskError> {
        let best = session.best().await?;
        let view = View::of(session, best).await?;
        let runtime = session.runtime_after(best.hash, best.number).await?;
        let time = view.time().await?;
        Ok(view.htlc(id).await?.map(|htlc| Exit { id, htlc, time, runtime }))
    }

    fn unsigned<C: Payload>(&self, call: &C) -> Result<SignedTx, ChainError> {
        let tx = self.runtime.tx().create_unsigned(call).map_err(|error| AskError::from(error).for_exit())?;
        let bytes = tx.encoded().to_vec();
        Ok(SignedTx {
            side: Side::Beta,
            id: TxRef(format!("0x{}", hex::encode(blake2_256(&bytes)))),
            size: bytes.len() as u64,
            bytes,
            fee: 0,
            inputs: Vec::new(),
            durable: false,
        })
    }
}

fn nothing_to_send(id: TxRef) -> SignedTx {
    SignedTx { side: Side::Beta, id, bytes: Vec::new(), fee: 0, size: 0, inputs: Vec::new(), durable: false }
}

/// What the pallet would refuse in the block, and take the fee for.
fn within_limits(runtime: &Runtime, terms: &BetaTerms, refund_after: ChainTime, now: ChainTime) -> Result<(), ChainError> {
    let least = storage::constant::<u128>(runtime, PALLET, "MinAmount")?;
    let furthest = storage::constant::<u64>(runtime, PALLET, "MaxTimelock")?;
    if least.is_some_and(|least| u128::from(terms.amount.0) < least) {
        return Err(refused("the amount is below the chain's least"));
    }
    if refund_after <= now {
        return Err(refused("the timelock has passed already"));
    }
    if furthest.is_some_and(|furthest| refund_after.0 - now.0 > furthest) {
        return Err(refused("the timelock is further ahead than the chain allows"));
    }
    Ok(())
}

/// The account's next nonce in a block; what waits in the pool does not count.
pub(crate) async fn next_nonce(session: &Session, at: Block, account: [u8; 32]) -> Result<u64, AskError> {
    let bytes = session.rpc.state_call("AccountNonceApi_account_nonce", Some(&account), Some(at.hash)).await?;
    let mut nonce = [0; 8];
    let low = nonce.get_mut(..bytes.len()).ok_or_else(|| AskError::Shape("a nonce is longer than 64 bits".into()))?;
    low.copy_from_slice(&bytes);
    Ok(u64::from_le_bytes(nonce))
}
