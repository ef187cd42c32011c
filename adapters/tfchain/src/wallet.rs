//! The engine's own TFT: one account, its balance, and what moving it costs.

use crate::TfChain;
use crate::connect::{Block, Runtime, Session};
use crate::error::AskError;
use crate::pallet;
use crate::prepare::MORTALITY;
use crate::storage::{self, View};

use async_trait::async_trait;
use parity_scale_codec::{Compact, Decode, Encode};
use subxt::config::DefaultExtrinsicParamsBuilder;
use subxt::utils::{AccountId32, H256, MultiSignature};
use swap_contract::amount::Units;
use swap_contract::bytes::{Hashlock, SwapId};
use swap_contract::leg::TxRef;
use swap_contract::port::{Balance, BetaTerms, ChainError, FeeRate, Quote, QuoteFor, UsdPrice, Wallet};
use swap_contract::time::{ChainTime, Height};

#[async_trait]
impl Wallet for TfChain {
    /// What a funding of this amount costs with the runtime of the best block. A redeem and a refund cost nothing.
    async fn quote(&self, what: QuoteFor, amount: u64) -> Result<Quote, ChainError> {
        let session = self.link.session().await?;
        Ok(self.ask_quote(&session, what, amount).await?)
    }

    /// Fees do not depend on how soon.
    async fn fee_rate(&self, _blocks: u16) -> Result<FeeRate, ChainError> {
        Ok(FeeRate(0))
    }

    /// What the account may spend and stay alive: without what is held or frozen, and without the existential deposit. No
    /// coins are reserved on this chain, and nothing is pending: a block comes every six seconds.
    async fn balance(&self, _reserved: &[String]) -> Result<Balance, ChainError> {
        let session = self.link.session().await?;
        Ok(self.ask_balance(&session).await?)
    }

    /// The account in SS58.
    async fn address(&self) -> Result<String, ChainError> {
        Ok(self.account().to_string())
    }

    /// By `TFTPriceModule` in the best block.
    async fn usd_price(&self) -> Result<Option<UsdPrice>, ChainError> {
        let session = self.link.session().await?;
        Ok(self.ask_usd_price(&session).await?)
    }
}

impl TfChain {
    /// What this account paid for a transaction that was reported as `block-extrinsic`. `None` where it paid nothing, as for
    /// every redeem and refund, or where the reference does not tell the extrinsic.
    pub async fn fee_paid(&self, tx: &TxRef) -> Result<Option<Units>, ChainError> {
        let parts = tx.0.split_once('-').and_then(|(block, index)| Some((block.parse().ok()?, index.parse().ok()?)));
        let Some((block, extrinsic)) = parts else { return Ok(None) };
        let session = self.link.session().await?;
        let paid = async {
            let block = session.block_at(block).await?;
            View::of(&session, block).await?.fee_paid(extrinsic, AccountId32(self.account().0)).await
        };
        Ok(paid.await.map_err(AskError::for_exit)?.map(|fee| Units(saturate(fee))))
    }

    /// All of the account's units in a block of the best chain, held ones too: for reckoning, not for spending.
    pub async fn total_at(&self, height: Height) -> Result<Units, ChainError> {
        let session = self.link.session().await?;
        let total = async {
            let block = session.block_at(height.0).await?;
            let funds = View::of(&session, block).await?.funds(AccountId32(self.account().0)).await?;
            Ok(Units(saturate(funds.free.saturating_add(funds.reserved))))
        };
        total.await.map_err(AskError::for_exit)
    }

    async fn ask_quote(&self, session: &Session, what: QuoteFor, amount: u64) -> Result<Quote, AskError> {
        let best = session.best().await?;
        let runtime = session.runtime_after(best.hash, best.number).await?;
        let bytes = match what {
            QuoteFor::Fund => self.unsigned_sample(&runtime, best, amount)?,
            QuoteFor::Redeem => runtime.tx().create_unsigned(&pallet::redeem(H256::zero(), [0; 32]))?.encoded().to_vec(),
            QuoteFor::Refund => runtime.tx().create_unsigned(&pallet::refund(H256::zero()))?.encoded().to_vec(),
        };
        let DispatchInfo { ref_time, fee } = dispatch_info(session, best.hash, &bytes).await?;
        let fee = match what {
            QuoteFor::Fund => saturate(fee),
            QuoteFor::Redeem | QuoteFor::Refund => 0,
        };
        Ok(Quote { fee, size: ref_time })
    }

    /// A funding as long and as heavy as a real one, with a signature that is none.
    fn unsigned_sample(&self, runtime: &Runtime, best: Block, amount: u64) -> Result<Vec<u8>, AskError> {
        let terms = BetaTerms {
            swap: SwapId([0; 32]),
            amount: Units(amount),
            hashlock: Hashlock([0; 32]),
            sender: self.account(),
            recipient: self.account(),
            latest_refund_after: ChainTime(0),
        };
        let mortal = DefaultExtrinsicParamsBuilder::new().mortal_from_unchecked(MORTALITY, best.number, best.hash);
        let params = mortal.nonce(0).build();
        let call = pallet::fund(&terms, ChainTime(0));
        let mut tx = runtime.tx().create_signable_offline(&call, params)?;
        let none = MultiSignature::Sr25519([0; 64]);
        Ok(tx.sign_with_account_and_signature(&AccountId32(self.account().0), &none)?.encoded().to_vec())
    }

    async fn ask_balance(&self, session: &Session) -> Result<Balance, AskError> {
        let best = session.best().await?;
        let view = View::of(session, best).await?;
        let funds = view.funds(AccountId32(self.account().0)).await?;
        let deposit = existential_deposit(view.runtime())?;
        Ok(Balance { confirmed: saturate(funds.spendable(deposit)), pending: 0 })
    }
}

/// What the chain says of a transaction before it is sent.
pub(crate) struct DispatchInfo {
    /// Weight, in picoseconds.
    pub(crate) ref_time: u64,
    /// Fee without a tip.
    pub(crate) fee: u128,
}

/// Asks `TransactionPaymentApi_query_info`: `RuntimeDispatchInfo { weight, class, partial_fee }`, the fee as wide as the
/// runtime's balances.
pub(crate) async fn dispatch_info(session: &Session, at: H256, bytes: &[u8]) -> Result<DispatchInfo, AskError> {
    let mut asked = bytes.to_vec();
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).encode_to(&mut asked);
    let answer = session.rpc.state_call("TransactionPaymentApi_query_info", Some(&asked), Some(at)).await?;
    read_dispatch_info(&answer).ok_or_else(|| AskError::Shape("what a transaction costs cannot be read".into()))
}

fn read_dispatch_info(mut bytes: &[u8]) -> Option<DispatchInfo> {
    let (Compact(ref_time), Compact(_), _) = <(Compact<u64>, Compact<u64>, u8)>::decode(&mut bytes).ok()?;
    let fee = match bytes.len() {
        8 => u64::decode(&mut bytes).ok()?.into(),
        16 => u128::decode(&mut bytes).ok()?,
        _ => return None,
    };
    Some(DispatchInfo { ref_time, fee })
}

/// The least an account keeps.
pub(crate) fn existential_deposit(runtime: &Runtime) -> Result<u128, AskError> {
    storage::constant(runtime, "Balances", "ExistentialDeposit")?.ok_or_else(|| AskError::Shape("there is no existential deposit".into()))
}

/// There are fewer units than fit: the supply is below 2^64.
pub(crate) fn saturate(units: u128) -> u64 {
    u64::try_from(units).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Funds;

    #[test]
    fn what_is_held_counts_toward_what_is_frozen_and_the_deposit_stays() {
        let funds = |free, reserved, frozen| Funds { free, reserved, frozen };
        assert_eq!(funds(10_000, 0, 0).spendable(500), 9_500);
        assert_eq!(funds(10_000, 2_000, 0).spendable(500), 9_500);
        assert_eq!(funds(10_000, 2_000, 3_000).spendable(500), 9_000);
        assert_eq!(funds(10_000, 2_000, 2_100).spendable(500), 9_500);
        assert_eq!(funds(400, 0, 0).spendable(500), 0);
    }

    #[test]
    fn a_fee_is_read_in_either_width_and_nothing_else() {
        let encode = |fee: Vec<u8>| [(Compact(7u64), Compact(1u64), 0u8).encode(), fee].concat();
        assert_eq!(read_dispatch_info(&encode(9u64.encode())).unwrap().fee, 9);
        assert_eq!(read_dispatch_info(&encode(9u128.encode())).unwrap().fee, 9);
        assert_eq!(read_dispatch_info(&encode(9u128.encode())).unwrap().ref_time, 7);
        assert!(read_dispatch_info(&encode(9u32.encode())).is_none());
        assert!(read_dispatch_info(&[]).is_none());
    }
}
