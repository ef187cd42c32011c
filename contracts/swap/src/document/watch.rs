//! A swap that its owner asks a third party to watch: the contract, and exits of the Bitcoin leg that the owner signed in advance
//! and sealed. Nothing in it moves money anywhere but to the owner.

use super::{Account, Document, DocumentError, Role, Rules, Signed, SignedContract, check_text};
use crate::leg::HtlcRef;
use crate::time::{Span, UnixTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No package is larger, in bytes. Ten exits of Bitcoin take half of it.
pub const MAX_PACKAGE_BYTES: usize = 6 * 1024;
/// A swap is watched until so long after T1.
pub const WATCH_LIFETIME: Span = Span::hours(24 * 28);
/// `txid:vout` is shorter.
const MAX_HTLC_BYTES: usize = 80;

/// "Watch this swap for me": signed by one of its parties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchRequest {
    /// For whom, and who signs.
    pub account: Account,
    /// The contract with both signatures.
    pub contract: SignedContract,
    /// The owner's exits from alpha, once that is on the chain.
    pub package: Option<Package>,
}

/// Exits from one HTLC of Bitcoin, the same at rising fees, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The HTLC that they spend.
    pub htlc: HtlcRef,
    /// The transactions, in lower-case hexadecimal: encrypted with a key that follows from the HTLC.
    pub sealed: String,
}

impl Document for WatchRequest {
    const NAME: &'static str = "watch";
}

impl Package {
    /// The sealed bytes. `None` if they are not hexadecimal, which [`Signed::verify`] refuses.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        hex::decode(&self.sealed).ok()
    }

    fn check(&self) -> Result<(), DocumentError> {
        check_text("package.htlc", &self.htlc.0, MAX_HTLC_BYTES)?;
        if self.htlc.0.is_empty() {
            return Err(DocumentError::OutOfBounds { field: "package.htlc", reason: "the name of an HTLC".into() });
        }
        if self.sealed.len() > 2 * MAX_PACKAGE_BYTES || self.bytes().is_none_or(|bytes| bytes.is_empty()) {
            let reason = format!("1 to {MAX_PACKAGE_BYTES} bytes in hexadecimal");
            return Err(DocumentError::OutOfBounds { field: "package.sealed", reason });
        }
        Ok(())
    }
}

impl Signed<WatchRequest> {
    /// Checks all three signatures, the networks, the time and the sizes. Returns the owner's role too.
    pub fn verify(&self, rules: &Rules) -> Result<(&WatchRequest, Role), DocumentError> {
        let request = &self.document;
        let contract = &request.contract.document;
        rules.check_network(&contract.network)?;
        let not_a_party = || DocumentError::Mismatch { field: "account", reason: "a party of the contract".into() };
        let role = contract.role_of(&request.account).ok_or_else(not_a_party)?;
        request.package.as_ref().map_or(Ok(()), Package::check)?;
        self.by(&request.account)?;
        request.contract.verify()?;
        let t1 = UnixTime(contract.alpha_refund_after().secs());
        let expires_at = t1.plus(WATCH_LIFETIME);
        if expires_at <= rules.now {
            return Err(DocumentError::Expired { expires_at, now: rules.now });
        }
        // Both parties check T1 to the margin when they sign.
        let policy = contract.policy();
        let latest = rules.now.plus(policy.alpha_window).plus(policy.alpha_redeem_margin).plus(policy.alpha_redeem_margin);
        if t1 > latest {
            return Err(DocumentError::LivesTooLong { expires_at: t1, latest });
        }
        Ok((request, role))
    }
}
