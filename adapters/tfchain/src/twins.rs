//! The twins of TF Chain's `TfgridModule`: which account a twin is, where it is reached over the Reliable Message Bus, and the key
//! that others seal to. And the making of this account's own.

use crate::TfChain;
use crate::connect::{Block, Runtime, Session};
use crate::error::{AskError, not_now, refused};
use crate::prepare::{MORTALITY, next_nonce};
use crate::storage::View;
use crate::wallet::{dispatch_info, existential_deposit, saturate};
use std::time::Duration;
use subxt::config::DefaultExtrinsicParamsBuilder;
use subxt::ext::scale_decode::DecodeAsType;
use subxt::ext::scale_encode::EncodeAsType;
use subxt::tx::Payload;
use subxt::utils::AccountId32;
use swap_contract::amount::Units;
use swap_contract::document::Account;
use swap_contract::leg::Side;
use swap_contract::port::ChainError;

/// Name of the pallet in the runtime.
const PALLET: &str = "TfgridModule";
/// ThreeFold's terms, which an account accepts before it makes a twin, as its own clients name them.
const TERMS_LINK: &str = "https://library.threefold.me/info/legal/";
const TERMS_HASH: &str = "threefold-legal";
/// A transaction is in a block by then, or something is wrong.
const IN_BLOCK_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// Its number; the first is 1.
    pub id: u32,
    /// Its account. It never changes.
    pub account: Account,
    /// Domains of its relays, joined by `_`.
    pub relay: Option<String>,
    /// Its compressed secp256k1 public key.
    pub pk: Option<Vec<u8>>,
}

/// What was done to have a twin as it shall be, and its fee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwinStep {
    /// ThreeFold's terms were accepted.
    TermsAccepted {
        /// Paid for it.
        fee: Units,
    },
    /// The twin was made.
    Created {
        /// Paid for it.
        fee: Units,
    },
    /// Its relay or key was changed.
    Updated {
        /// Paid for it.
        fee: Units,
    },
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct TwinRow {
    id: u32,
    account_id: AccountId32,
    relay: Option<Vec<u8>>,
    pk: Option<Vec<u8>>,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
struct AcceptTerms {
    document_link: Vec<u8>,
    document_hash: Vec<u8>,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
struct SetTwin {
    relay: Option<Vec<u8>>,
    pk: Option<Vec<u8>>,
}

/// What is still to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Todo {
    AcceptTerms,
    Create,
    Update,
}

impl TfChain {
    /// A twin in the best block.
    ///
    /// # Errors
    /// The node cannot be asked, or the runtime is not as this version knows it.
    pub async fn twin(&self, id: u32) -> Result<Option<Twin>, ChainError> {
        let session = self.link.session().await?;
        let best = session.best().await?;
        Ok(View::of(&session, best).await?.twin(id).await?)
    }

    /// The twin of an account in the best block.
    ///
    /// # Errors
    /// As of [`TfChain::twin`].
    pub async fn twin_of(&self, account: &Account) -> Result<Option<Twin>, ChainError> {
        let session = self.link.session().await?;
        let best = session.best().await?;
        Ok(View::of(&session, best).await?.twin_of(account).await?)
    }

    /// Makes this account's twin, or changes it, so that it is reached at `relay` and has the key `pk`. Does what is left to do: may
    /// be repeated. Returns the twin, and what was done.
    ///
    /// # Errors
    /// [`ChainError::InsufficientFunds`] before anything is sent that cannot be paid; [`ChainError::NotNow`] when another transaction
    /// of the account is in the way; [`ChainError::Unavailable`] if the node cannot be asked.
    pub async fn set_twin(&self, relay: &str, pk: &[u8]) -> Result<(Twin, Vec<TwinStep>), ChainError> {
        let mut done = Vec::new();
        loop {
            let session = self.link.session().await?;
            let best = session.best().await?;
            let view = View::of(&session, best).await?;
            let twin = view.twin_of(&self.account()).await?;
            let todo = match &twin {
                Some(twin) if twin.relay.as_deref() == Some(relay) && twin.pk.as_deref() == Some(pk) => return Ok((twin.clone(), done)),
                Some(_) => Todo::Update,
                None if view.has_accepted_terms(&self.account()).await? => Todo::Create,
                None => Todo::AcceptTerms,
            };
            let set = SetTwin { relay: Some(relay.as_bytes().to_vec()), pk: Some(pk.to_vec()) };
            let fee = match todo {
                Todo::AcceptTerms => {
                    let accept = AcceptTerms { document_link: TERMS_LINK.into(), document_hash: TERMS_HASH.into() };
                    self.sign_and_send(&session, best, &subxt::tx::dynamic(PALLET, "user_accept_tc", accept)).await?
                }
                Todo::Create => self.sign_and_send(&session, best, &subxt::tx::dynamic(PALLET, "create_twin", set)).await?,
                Todo::Update => self.sign_and_send(&session, best, &subxt::tx::dynamic(PALLET, "update_twin", set)).await?,
            };
            self.wait_until_done(todo, relay, pk).await?;
            done.push(match todo {
                Todo::AcceptTerms => TwinStep::TermsAccepted { fee },
                Todo::Create => TwinStep::Created { fee },
                Todo::Update => TwinStep::Updated { fee },
            });
        }
    }

    /// Signs a call with the account's next nonce and hands it to the pool. Returns its fee.
    async fn sign_and_send<C: Payload>(&self, session: &Session, best: Block, call: &C) -> Result<Units, ChainError> {
        let runtime = session.runtime_after(best.hash, best.number).await?;
        let account = AccountId32(self.account().0);
        let nonce = next_nonce(session, best, account.0).await?;
        if session.rpc.system_account_next_index(&account).await.map_err(AskError::from)? > nonce {
            return Err(not_now("another transaction of this account waits for a block"));
        }
        let bytes = self.sign_call(session, &runtime, call, nonce).await?;
        let fee = dispatch_info(session, best.hash, &bytes).await?.fee;
        let view = View::of(session, best).await?;
        let available = view.funds(account).await?.spendable(existential_deposit(&runtime)?);
        if available < fee {
            return Err(ChainError::InsufficientFunds { side: Side::Beta, available: saturate(available), needed: saturate(fee) });
        }
        session.rpc.author_submit_extrinsic(&bytes).await.map_err(AskError::from)?;
        Ok(Units(saturate(fee)))
    }

    async fn sign_call<C: Payload>(&self, session: &Session, runtime: &Runtime, call: &C, nonce: u64) -> Result<Vec<u8>, AskError> {
        let Block { number, hash, .. } = session.finalised().await?;
        let params = DefaultExtrinsicParamsBuilder::new().mortal_from_unchecked(MORTALITY, number, hash).nonce(nonce).build();
        Ok(runtime.tx().create_signable_offline(call, params)?.sign(&self.signer)?.encoded().to_vec())
    }

    /// Waits until the best block shows what was asked for.
    async fn wait_until_done(&self, todo: Todo, relay: &str, pk: &[u8]) -> Result<(), ChainError> {
        let look = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let session = self.link.session().await?;
                let view = View::of(&session, session.best().await?).await?;
                let is_done = match todo {
                    Todo::AcceptTerms => view.has_accepted_terms(&self.account()).await?,
                    Todo::Create | Todo::Update => view
                        .twin_of(&self.account())
                        .await?
                        .is_some_and(|twin| twin.relay.as_deref() == Some(relay) && twin.pk.as_deref() == Some(pk)),
                };
                if is_done {
                    return Ok(());
                }
            }
        };
        match tokio::time::timeout(IN_BLOCK_WITHIN, look).await {
            Ok(done) => done,
            Err(_) => {
                Err(refused(format!("no block shows the change within {} s; the chain may have refused it", IN_BLOCK_WITHIN.as_secs())))
            }
        }
    }
}

impl View<'_> {
    async fn twin(&self, id: u32) -> Result<Option<Twin>, AskError> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| AskError::Shape(format!("the relay of twin {id} is no text")));
        match self.entry::<(u32,), TwinRow>(PALLET, "Twins", (id,)).await? {
            Some(TwinRow { id, account_id, relay, pk }) => {
                Ok(Some(Twin { id, account: Account(account_id.0), relay: relay.map(text).transpose()?, pk }))
            }
            None => Ok(None),
        }
    }

    async fn twin_of(&self, account: &Account) -> Result<Option<Twin>, AskError> {
        match self.entry::<(AccountId32,), u32>(PALLET, "TwinIdByAccountID", (AccountId32(account.0),)).await? {
            // Zero is what some runtimes have for none.
            Some(0) | None => Ok(None),
            Some(id) => self.twin(id).await,
        }
    }

    async fn has_accepted_terms(&self, account: &Account) -> Result<bool, AskError> {
        self.has_entry(PALLET, "UsersTermsAndConditions", (AccountId32(account.0),)).await
    }
}
