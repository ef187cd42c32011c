//! A package: one exit from alpha at rising fees, signed by its owner in advance and sealed for a watcher. Its key follows from the
//! HTLC it spends, as in Lightning's watchtowers, so that it can be read by who follows the chain and by nobody else. What keeps the
//! money safe is not the seal: a redeem lacks the preimage, a refund is not valid before T1, and both pay to their owner alone.

use super::seal::{NotOurs, seal, unseal};
use hkdf::Hkdf;
use sha2::Sha256;
use swap_contract::bytes::SwapId;
use swap_contract::leg::HtlcRef;
use swap_contract::port::ExitKind;
use zeroize::Zeroizing;

/// No package has more transactions, and none of them is longer: its length takes two bytes.
const MAX_TRANSACTIONS: usize = 10;

/// What a package is for. Its key follows from it, so that it opens for nothing else.
pub(super) struct For<'a> {
    pub(super) swap: &'a SwapId,
    /// The HTLC that the transactions spend.
    pub(super) htlc: &'a HtlcRef,
    pub(super) exit: ExitKind,
}

impl For<'_> {
    fn purpose(&self) -> &'static str {
        match self.exit {
            ExitKind::Redeem => "twinswap redeem package v1",
            ExitKind::Refund => "twinswap refund package v1",
        }
    }

    fn key(&self) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0u8; 32]);
        Hkdf::<Sha256>::new(Some(&self.swap.0), self.htlc.0.as_bytes())
            .expand(self.purpose().as_bytes(), &mut out[..])
            .expect("32 bytes are within HKDF's bound");
        out
    }
}

/// Why a package cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PackageError {
    /// It was sealed for something else, or was altered.
    #[error("it was not sealed for this exit from this HTLC")]
    Sealed,
    /// It opens, and holds something else.
    #[error("it does not hold 1 to {MAX_TRANSACTIONS} transactions")]
    Content,
}

/// Seals transactions.
pub(super) fn close(what: &For<'_>, transactions: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    for bytes in transactions.iter().take(MAX_TRANSACTIONS) {
        let Ok(length) = u16::try_from(bytes.len()) else { continue };
        text.extend(length.to_be_bytes());
        text.extend(bytes);
    }
    seal(&what.key(), what.purpose().as_bytes(), what.swap, &text)
}

/// Opens what was sealed for the same.
pub(super) fn open(what: &For<'_>, sealed: &[u8]) -> Result<Vec<Vec<u8>>, PackageError> {
    let text = unseal(&what.key(), what.purpose().as_bytes(), what.swap, sealed).map_err(|NotOurs| PackageError::Sealed)?;
    let mut rest = &text[..];
    let mut transactions = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (bytes, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(PackageError::Content)?;
        transactions.push(bytes.to_vec());
        rest = after;
    }
    let whole = rest.is_empty() && (1..=MAX_TRANSACTIONS).contains(&transactions.len());
    if whole { Ok(transactions) } else { Err(PackageError::Content) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_opens_for_what_it_was_sealed_for_alone() {
        let (swap, other) = (SwapId([7; 32]), SwapId([8; 32]));
        let (htlc, moved) = (HtlcRef(format!("{}:0", "ab".repeat(32))), HtlcRef(format!("{}:1", "ab".repeat(32))));
        let transactions = vec![vec![1; 300], vec![2; 310]];
        let what = For { swap: &swap, htlc: &htlc, exit: ExitKind::Redeem };
        let sealed = close(&what, &transactions);
        assert_eq!(open(&what, &sealed), Ok(transactions));
        for wrong in [
            For { exit: ExitKind::Refund, ..what },
            For { swap: &other, exit: ExitKind::Redeem, htlc: &htlc },
            For { htlc: &moved, exit: ExitKind::Redeem, swap: &swap },
        ] {
            assert_eq!(open(&wrong, &sealed), Err(PackageError::Sealed));
        }
    }

    #[test]
    fn what_was_altered_or_holds_something_else_is_refused() {
        let (swap, htlc) = (SwapId([7; 32]), HtlcRef("aa:0".into()));
        let what = For { swap: &swap, htlc: &htlc, exit: ExitKind::Refund };
        let sealed = close(&what, &[vec![1; 300]]);
        for at in [0, 24, sealed.len() - 1] {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(open(&what, &altered), Err(PackageError::Sealed), "{at}");
        }
        for short in [0, 23, 24, 39] {
            assert_eq!(open(&what, &sealed[..short]), Err(PackageError::Sealed), "{short}");
        }
        for text in [vec![], vec![0], vec![0, 9, 1], [0, 1, 5].repeat(11)] {
            let odd = seal(&what.key(), what.purpose().as_bytes(), &swap, &text);
            assert_eq!(open(&what, &odd), Err(PackageError::Content), "{text:?}");
        }
    }
}
