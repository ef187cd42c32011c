//! The Bitcoin leg of a swap as data: the Taproot output that holds the money and every transaction that can spend it.
//!
//! ```text
//!                    Htlc (terms, scripts, output key)
//!        funded by any wallet: one output of exactly `amount`
//!          |                    |                        |
//!   redeem: preimage     refund: from `refund_after`   cooperative: both keys
//!   + redeem key         + refund key                  (MuSig2, looks like any payment)
//! ```
//!
//! It owns the script, the sizes, the signatures and the reading of a spending witness. It does not own fee policy, wallets,
//! nodes, or the decision when to do what; it reads no clock and no random source, and it never broadcasts.
//!
//! Sources: BIP-65 (CLTV), BIP-199 (HTLC), BIP-327 (MuSig2), BIP-340/341/342 (Taproot).

mod cooperative;
mod htlc;
mod presign;
pub mod size;
mod spend;
mod witness;

pub use cooperative::{CooperativeError, CooperativeSpend, NonceRound, SignatureRound};
pub use htlc::{Htlc, MIN_REFUND_AFTER, Terms, TermsError};
pub use presign::{Presigned, PresignedError, complete_redeem, complete_refund, presign_redeem};
pub use spend::{MAX_INPUTS, Redeem, Refund, SignError, SpendError, UnsignedSpend, redeem, refund};
pub use witness::{Spending, preimage_from_witness};
