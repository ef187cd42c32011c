//! Hash and time locked contracts, the TF Chain side of an atomic swap.
//!
//! A sender puts an amount on hold for a recipient. Before `refund_after` whoever knows the preimage of the hashlock may
//! send it to the recipient; from that moment on anybody may send it back to the sender. Neither needs an account, fees
//! or a signature. The outcome stays readable for [`Config::Retention`].
//!
//! This pallet knows nothing of the other chain; what the two legs of a swap must agree on is in `contracts/vectors`.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod prune;
mod types;
#[cfg(any(feature = "try-runtime", test))]
mod try_state;
pub mod weights;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

use polkadot_sdk::*;

use frame_support::{
    pallet_prelude::*,
    traits::{
        Time,
        fungible::{Inspect, InspectHold, MutateHold},
        tokens::{Fortitude, Precision, Provenance, Restriction},
    },
};
use frame_system::pallet_prelude::*;

/// Balance type of the configured currency.
pub type BalanceOf<T> = <<T as Config>::Currency as Inspect<<T as frame_system::Config>::AccountId>>::Balance;

/// The stored contract of a runtime.
pub type HtlcOf<T> = Htlc<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>>;

/// Blocks for which an unsigned redeem or refund stays in the pool without being checked again.
const LONGEVITY: u64 = 64;

#[frame_support::pallet]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// What is held and paid.
        type Currency: MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + InspectHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;

        /// The runtime's hold reasons, this pallet's among them.
        type RuntimeHoldReason: From<HoldReason>;

        /// The chain's clock, in milliseconds since 1970.
        type Time: Time<Moment = Moment>;

        /// Least amount of a contract; at least the existential deposit, so that a redeem can create the recipient.
        #[pallet::constant]
        type MinAmount: Get<BalanceOf<Self>>;

        /// How far ahead `refund_after` may lie, in milliseconds; at most [`Self::Retention`], so that no id comes back.
        #[pallet::constant]
        type MaxTimelock: Get<Moment>;

        /// How long an outcome stays readable, in milliseconds.
        #[pallet::constant]
        type Retention: Get<Moment>;

        /// Most outcomes forgotten in one block.
        #[pallet::constant]
        type MaxPrunedPerBlock: Get<u32>;

        /// Measured weights.
        type WeightInfo: WeightInfo;
    }

    /// Why this pallet holds funds.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// A funded contract that is neither redeemed nor refunded.
        Funded,
    }

    /// Contracts by id, from their funding until their outcome is forgotten.
    #[pallet::storage]
    pub type Htlcs<T: Config> = StorageMap<_, Blake2_128Concat, HtlcId, HtlcOf<T>>;

    /// Outcomes in the order in which they are forgotten: `(id, first moment at which it may go)`.
    #[pallet::storage]
    pub type Closed<T: Config> = StorageMap<_, Twox64Concat, u64, (HtlcId, Moment)>;

    /// Index of the oldest entry of [`Closed`].
    #[pallet::storage]
    pub type ClosedHead<T: Config> = StorageValue<_, u64, ValueQuery>;

    /// Index of the next entry of [`Closed`].
    #[pallet::storage]
    pub type ClosedTail<T: Config> = StorageValue<_, u64, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// The sender's funds are on hold.
        Funded {
            /// See [`htlc_id`].
            id: HtlcId,
            /// Whose funds are held.
            sender: T::AccountId,
            /// Who may be paid.
            recipient: T::AccountId,
            /// In the smallest unit.
            amount: BalanceOf<T>,
            /// SHA-256 of the preimage.
            hashlock: Hashlock,
            /// Redeem before, refund from this moment on.
            refund_after: Moment,
            /// The swap this belongs to.
            contract_id: [u8; 32],
        },
        /// The recipient was paid, and the preimage is public.
        Redeemed {
            /// See [`htlc_id`].
            id: HtlcId,
            /// Who was paid.
            recipient: T::AccountId,
            /// In the smallest unit.
            amount: BalanceOf<T>,
            /// Opens the hashlock.
            preimage: Preimage,
        },
        /// The sender has its funds back.
        Refunded {
            /// See [`htlc_id`].
            id: HtlcId,
            /// Who got them back.
            sender: T::AccountId,
            /// In the smallest unit.
            amount: BalanceOf<T>,
        },
    }

    /// The index of an error is also the custom code with which the pool refuses an unsigned redeem or refund: as an
    /// unknown transaction if a later block may make it valid, else as an invalid one.
    #[pallet::error]
    pub enum Error<T> {
        /// 0: no contract has this id, or its outcome has been forgotten.
        UnknownHtlc,
        /// 1: the contract has been redeemed or refunded.
        AlreadyClosed,
        /// 2: SHA-256 of the preimage is not the hashlock.
        WrongPreimage,
        /// 3: a redeem at or after `refund_after`.
        TooLateToRedeem,
        /// 4: a refund before `refund_after`.
        TooEarlyToRefund,
        /// 5: a contract with exactly these terms exists.
        AlreadyFunded,
        /// 6: less than `MinAmount`.
        AmountTooSmall,
        /// 7: `refund_after` is not in the future.
        TimelockInThePast,
        /// 8: `refund_after` is more than `MaxTimelock` ahead.
        TimelockTooFar,
        /// 9: the recipient's account could not take the amount.
        RecipientCannotReceive,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Forgets outcomes whose retention is over, as far as the block has room.
        fn on_idle(_: BlockNumberFor<T>, room: Weight) -> Weight {
            Self::prune(room)
        }

        fn integrity_test() {
            assert!(T::MinAmount::get() >= T::Currency::minimum_balance(), "a redeem must be able to create the recipient");
            assert!(T::MaxTimelock::get() <= T::Retention::get(), "an id must not come back while its terms could be valid");
            assert!(T::MaxPrunedPerBlock::get() > 0, "outcomes must be forgotten some day");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Puts `amount` of the caller's funds on hold for `recipient`, who can be paid by [`Call::redeem`] before
        /// `refund_after` (milliseconds since 1970). The caller keeps at least the existential deposit beside it.
        ///
        /// The fee covers the one free redeem or refund that follows, and forgetting the outcome.
        ///
        /// Emits [`Event::Funded`]. Fails with [`Error::AmountTooSmall`], [`Error::TimelockInThePast`],
        /// [`Error::TimelockTooFar`], [`Error::AlreadyFunded`], [`Error::RecipientCannotReceive`] or, for want of funds,
        /// the currency's own error.
        #[pallet::call_index(0)]
        #[pallet::weight(Pallet::<T>::lifetime_weight())]
        pub fn fund(
            origin: OriginFor<T>,
            contract_id: [u8; 32],
            recipient: T::AccountId,
            amount: BalanceOf<T>,
            hashlock: Hashlock,
            refund_after: Moment,
        ) -> DispatchResult {
            let sender = ensure_signed(origin)?;
            let htlc = Htlc {
                sender,
                recipient,
                amount,
                hashlock,
                refund_after,
                contract_id,
                funded_at: frame_system::Pallet::<T>::block_number(),
                status: Status::Funded,
            };
            Self::do_fund(htlc)
        }

        /// Pays the recipient. Anybody may call this, signed or unsigned, before `refund_after`: the origin is ignored.
        ///
        /// Emits [`Event::Redeemed`]. Fails with [`Error::UnknownHtlc`], [`Error::AlreadyClosed`],
        /// [`Error::TooLateToRedeem`], [`Error::WrongPreimage`] or, if the transfer fails, the currency's own error; then
        /// the contract stays as it was.
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::redeem())]
        pub fn redeem(_origin: OriginFor<T>, id: HtlcId, preimage: Preimage) -> DispatchResult {
            Self::do_redeem(id, preimage)
        }

        /// Gives the sender its funds back. Anybody may call this, signed or unsigned, from `refund_after` on: the origin
        /// is ignored.
        ///
        /// Emits [`Event::Refunded`]. Fails with [`Error::UnknownHtlc`], [`Error::AlreadyClosed`] or
        /// [`Error::TooEarlyToRefund`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::refund())]
        pub fn refund(_origin: OriginFor<T>, id: HtlcId) -> DispatchResult {
            Self::do_refund(id)
        }
    }

    /// Lets a redeem or refund that would succeed now into the pool without a signature.
    ///
    /// `ValidateUnsigned` is what TF Chain's SDK has and what today's clients can submit. Its successor,
    /// `#[pallet::authorize]`, can call [`Pallet::check`] just the same.
    #[pallet::validate_unsigned]
    #[allow(deprecated)]
    impl<T: Config> ValidateUnsigned for Pallet<T> {
        type Call = Call<T>;

        fn validate_unsigned(_: TransactionSource, call: &Self::Call) -> TransactionValidity {
            let (id, action) = match call {
                Call::redeem { id, preimage } => (id, Action::Redeem(*preimage)),
                Call::refund { id } => (id, Action::Refund),
                _ => return InvalidTransaction::Call.into(),
            };
            Self::check(id, action).map_err(Self::pool_error)?;
            // One redeem and one refund of a contract in the pool at most; a stale redeem must not keep a refund out.
            ValidTransaction::with_tag_prefix("Htlc")
                .and_provides((id, matches!(action, Action::Refund)))
                .priority(TransactionPriority::MAX / 2)
                .longevity(LONGEVITY)
                .propagate(true)
                .build()
        }
    }
}

/// What anybody may do to a funded contract.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    Redeem(Preimage),
    Refund,
}

impl<T: Config> Pallet<T> {
    /// The contract, if `action` is possible now: the only place that decides so, for the pool and for dispatch.
    pub(crate) fn check(id: &HtlcId, action: Action) -> Result<HtlcOf<T>, Error<T>> {
        let htlc = Htlcs::<T>::get(id).ok_or(Error::<T>::UnknownHtlc)?;
        match htlc.status {
            Status::Funded => {}
            Status::Redeemed { .. } | Status::Refunded { .. } => return Err(Error::<T>::AlreadyClosed),
        }
        let refund_time = T::Time::now() >= htlc.refund_after;
        match action {
            Action::Redeem(_) if refund_time => Err(Error::<T>::TooLateToRedeem),
            Action::Redeem(preimage) if sp_io::hashing::sha2_256(&preimage) != htlc.hashlock => Err(Error::<T>::WrongPreimage),
            Action::Refund if !refund_time => Err(Error::<T>::TooEarlyToRefund),
            Action::Redeem(_) | Action::Refund => Ok(htlc),
        }
    }

    fn do_fund(htlc: HtlcOf<T>) -> DispatchResult {
        let now = T::Time::now();
        ensure!(htlc.amount >= T::MinAmount::get(), Error::<T>::AmountTooSmall);
        ensure!(htlc.refund_after > now, Error::<T>::TimelockInThePast);
        ensure!(htlc.refund_after - now <= T::MaxTimelock::get(), Error::<T>::TimelockTooFar);
        let id = htlc_id(&htlc.sender, &htlc.recipient, &htlc.amount, &htlc.hashlock, htlc.refund_after, &htlc.contract_id);
        ensure!(!Htlcs::<T>::contains_key(id), Error::<T>::AlreadyFunded);
        T::Currency::can_deposit(&htlc.recipient, htlc.amount, Provenance::Extant)
            .into_result()
            .map_err(|_| Error::<T>::RecipientCannotReceive)?;

        T::Currency::hold(&HoldReason::Funded.into(), &htlc.sender, htlc.amount)?;
        Self::deposit_event(Event::Funded {
            id,
            sender: htlc.sender.clone(),
            recipient: htlc.recipient.clone(),
            amount: htlc.amount,
            hashlock: htlc.hashlock,
            refund_after: htlc.refund_after,
            contract_id: htlc.contract_id,
        });
        Htlcs::<T>::insert(id, htlc);
        Ok(())
    }

    fn do_redeem(id: HtlcId, preimage: Preimage) -> DispatchResult {
        let htlc = Self::check(&id, Action::Redeem(preimage))?;
        // Forced: a freeze that the sender lets fall on its account later must not keep the recipient from its due.
        T::Currency::transfer_on_hold(
            &HoldReason::Funded.into(),
            &htlc.sender,
            &htlc.recipient,
            htlc.amount,
            Precision::Exact,
            Restriction::Free,
            Fortitude::Force,
        )?;
        Self::deposit_event(Event::Redeemed { id, recipient: htlc.recipient.clone(), amount: htlc.amount, preimage });
        let at = frame_system::Pallet::<T>::block_number();
        Self::close(id, Htlc { status: Status::Redeemed { preimage, at }, ..htlc });
        Ok(())
    }

    fn do_refund(id: HtlcId) -> DispatchResult {
        let htlc = Self::check(&id, Action::Refund)?;
        T::Currency::release(&HoldReason::Funded.into(), &htlc.sender, htlc.amount, Precision::Exact)?;
        Self::deposit_event(Event::Refunded { id, sender: htlc.sender.clone(), amount: htlc.amount });
        let at = frame_system::Pallet::<T>::block_number();
        Self::close(id, Htlc { status: Status::Refunded { at }, ..htlc });
        Ok(())
    }

    /// Everything one contract costs the chain, paid by who funds it.
    fn lifetime_weight() -> Weight {
        T::WeightInfo::fund()
            .saturating_add(T::WeightInfo::redeem().max(T::WeightInfo::refund()))
            .saturating_add(T::WeightInfo::prune_one())
    }

    /// A pool bans the bytes of an invalid transaction for half an hour, and those of an unsigned redeem or refund are always
    /// the same. So whoever is early, or asks a node that lags behind, or on another fork, must not be called invalid: it
    /// would keep the same call out when its time has come.
    fn pool_error(error: Error<T>) -> TransactionValidityError {
        let code = error.encode().first().copied().unwrap_or(u8::MAX);
        match error {
            Error::UnknownHtlc | Error::AlreadyClosed | Error::TooEarlyToRefund => UnknownTransaction::Custom(code).into(),
            Error::WrongPreimage
            | Error::TooLateToRedeem
            | Error::AlreadyFunded
            | Error::AmountTooSmall
            | Error::TimelockInThePast
            | Error::TimelockTooFar
            | Error::RecipientCannotReceive
            | Error::__Ignore(..) => InvalidTransaction::Custom(code).into(),
        }
    }
}
