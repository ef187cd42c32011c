//! A party's own copy of a contract, sealed so that only its owner can read it, in the hands of others; and how the owner asks
//! for it back. Whoever keeps one learns that an account has a swap, and nothing else of it.

use super::{Account, Document, DocumentError, Rules, Signed};
use crate::bytes::SwapId;
use crate::time::{Span, UnixTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No sealed copy is larger, in bytes. A contract with both signatures takes less than half of it.
pub const MAX_COPY_BYTES: usize = 6 * 1024;
/// No copy is kept for longer than this: T1 and the 28 days for which TF Chain keeps an outcome lie within.
pub const COPY_LIFETIME: Span = Span::hours(24 * 60);

/// "Keep this for me": signed by the account it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedCopy {
    /// Whose it is, and who signs.
    pub account: Account,
    /// The contract it is a copy of.
    pub swap: SwapId,
    /// It may be thrown away then.
    pub keep_until: UnixTime,
    /// What is kept, in lower-case hexadecimal: encrypted by the account's owner.
    pub sealed: String,
}

impl Document for SealedCopy {
    const NAME: &'static str = "copy";
}

impl SealedCopy {
    /// The sealed bytes. `None` if they are not hexadecimal, which [`Signed::verify`] refuses.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        hex::decode(&self.sealed).ok()
    }
}

impl Signed<SealedCopy> {
    /// Checks size, lifetime and signature.
    pub fn verify(&self, now: UnixTime) -> Result<&SealedCopy, DocumentError> {
        let copy = &self.document;
        if copy.bytes().is_none_or(|bytes| bytes.is_empty() || bytes.len() > MAX_COPY_BYTES) {
            return Err(DocumentError::OutOfBounds { field: "sealed", reason: format!("1 to {MAX_COPY_BYTES} bytes in hexadecimal") });
        }
        if copy.keep_until <= now {
            return Err(DocumentError::Expired { expires_at: copy.keep_until, now });
        }
        let latest = now.plus(COPY_LIFETIME);
        if copy.keep_until > latest {
            return Err(DocumentError::LivesTooLong { expires_at: copy.keep_until, latest });
        }
        self.by(&copy.account)
    }
}

/// "Give me what you keep for me": signed by the account it is kept for. Who repeats somebody else's request gets what it cannot
/// read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyRequest {
    /// Whose copies, and who signs.
    pub account: Account,
    /// When it was signed.
    pub at: UnixTime,
}

impl Document for CopyRequest {
    const NAME: &'static str = "copy-request";
}

impl Signed<CopyRequest> {
    /// Checks that it is of now, as far as two computers' clocks agree, and the signature.
    pub fn verify(&self, rules: &Rules) -> Result<&CopyRequest, DocumentError> {
        let lifetime = rules.policy.order_lifetime;
        rules.check_expiry(self.document.at.plus(lifetime), lifetime)?;
        self.by(&self.document.account)
    }
}

impl<D: Document> Signed<D> {
    pub(super) fn by(&self, account: &Account) -> Result<&D, DocumentError> {
        if self.signature.verifies(account, &self.document.signing_bytes()) {
            Ok(&self.document)
        } else {
            Err(DocumentError::BadSignature { signer: account.to_string() })
        }
    }
}
