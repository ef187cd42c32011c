//! The twins of TF Chain's `TfgridModule`, for development chains.
//!
//! Names, call and event indices and encodings are those of TF Chain, so that its own clients work here. Farms, nodes,
//! entities and pricing are left out, and so are their storage items.

#![cfg_attr(not(feature = "std"), no_std)]

mod types;

#[cfg(test)]
mod tests;

pub use pallet::*;
pub use types::*;

use polkadot_sdk::*;

use frame_support::{pallet_prelude::*, traits::Time};
use frame_system::pallet_prelude::*;

#[frame_support::pallet]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// The chain's clock, in milliseconds since 1970.
        type Time: Time<Moment = u64>;
    }

    /// Twins by id.
    #[pallet::storage]
    pub type Twins<T: Config> = StorageMap<_, Blake2_128Concat, u32, Twin<T::AccountId>>;

    /// The twin of an account.
    #[pallet::storage]
    pub type TwinIdByAccountID<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32>;

    /// The highest twin id given out.
    #[pallet::storage]
    pub type TwinID<T> = StorageValue<_, u32, ValueQuery>;

    /// The documents that an account has accepted.
    #[pallet::storage]
    pub type UsersTermsAndConditions<T: Config> = StorageMap<
        _,
        Blake2_128Concat,
        T::AccountId,
        BoundedVec<TermsAndConditions<T::AccountId>, ConstU32<MAX_DOCUMENTS>>,
    >;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A twin was made.
        #[codec(index = 11)]
        TwinStored(Twin<T::AccountId>),
        /// A twin's relay or key changed.
        #[codec(index = 12)]
        TwinUpdated(Twin<T::AccountId>),
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The account has a twin.
        TwinWithPubkeyExists,
        /// The account has no twin.
        TwinNotExists,
        /// The account has accepted no document.
        UserDidNotSignTermsAndConditions,
        /// The account has accepted as many documents as it can.
        TooManyDocuments,
        /// Not a list of domain names joined by `_`.
        InvalidRelayAddress,
        /// Other characters than letters, digits, `-` and `_`.
        InvalidDocumentHash,
        /// No twin id is left.
        NoTwinIdLeft,
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Makes the caller's twin. Emits [`Event::TwinStored`].
        ///
        /// Fails with [`Error::UserDidNotSignTermsAndConditions`], [`Error::TwinWithPubkeyExists`] or
        /// [`Error::InvalidRelayAddress`].
        #[pallet::call_index(17)]
        #[pallet::weight(Weight::from_parts(50_000_000, 4_000) + T::DbWeight::get().reads_writes(3, 3))]
        pub fn create_twin(origin: OriginFor<T>, relay: Relay, pk: PublicKey) -> DispatchResult {
            let account_id = ensure_signed(origin)?;
            ensure!(UsersTermsAndConditions::<T>::contains_key(&account_id), Error::<T>::UserDidNotSignTermsAndConditions);
            ensure!(!TwinIdByAccountID::<T>::contains_key(&account_id), Error::<T>::TwinWithPubkeyExists);
            check_relay::<T>(&relay)?;

            let id = TwinID::<T>::get().checked_add(1).ok_or(Error::<T>::NoTwinIdLeft)?;
            let twin = Twin { id, account_id: account_id.clone(), relay, entities: BoundedVec::new(), pk };
            TwinID::<T>::put(id);
            TwinIdByAccountID::<T>::insert(account_id, id);
            Twins::<T>::insert(id, &twin);
            Self::deposit_event(Event::TwinStored(twin));
            Ok(())
        }

        /// Changes relay and key of the caller's twin. Emits [`Event::TwinUpdated`].
        ///
        /// Fails with [`Error::TwinNotExists`] or [`Error::InvalidRelayAddress`].
        #[pallet::call_index(18)]
        #[pallet::weight(Weight::from_parts(50_000_000, 4_000) + T::DbWeight::get().reads_writes(2, 1))]
        pub fn update_twin(origin: OriginFor<T>, relay: Relay, pk: PublicKey) -> DispatchResult {
            let account_id = ensure_signed(origin)?;
            check_relay::<T>(&relay)?;
            let id = TwinIdByAccountID::<T>::get(&account_id).ok_or(Error::<T>::TwinNotExists)?;
            let twin = Twins::<T>::get(id).ok_or(Error::<T>::TwinNotExists)?;
            let twin = Twin { relay, pk, ..twin };
            Twins::<T>::insert(id, &twin);
            Self::deposit_event(Event::TwinUpdated(twin));
            Ok(())
        }

        /// Accepts a document, which an account has to do before it makes a twin.
        ///
        /// Fails with [`Error::InvalidDocumentHash`] or [`Error::TooManyDocuments`].
        #[pallet::call_index(25)]
        #[pallet::weight(Weight::from_parts(30_000_000, 8_000) + T::DbWeight::get().reads_writes(2, 1))]
        pub fn user_accept_tc(
            origin: OriginFor<T>,
            document_link: DocumentLink,
            document_hash: DocumentHash,
        ) -> DispatchResult {
            let account_id = ensure_signed(origin)?;
            ensure!(is_valid_document_hash(&document_hash), Error::<T>::InvalidDocumentHash);
            let accepted =
                TermsAndConditions { account_id: account_id.clone(), timestamp: T::Time::now() / 1000, document_link, document_hash };
            let mut documents = UsersTermsAndConditions::<T>::get(&account_id).unwrap_or_default();
            documents.try_push(accepted).map_err(|_| Error::<T>::TooManyDocuments)?;
            UsersTermsAndConditions::<T>::insert(account_id, documents);
            Ok(())
        }
    }
}

fn check_relay<T: Config>(relay: &Relay) -> DispatchResult {
    match relay {
        Some(relay) => ensure!(is_valid_relay(relay), Error::<T>::InvalidRelayAddress),
        None => {}
    }
    Ok(())
}
