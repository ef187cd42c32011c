//! How much a twin may send.

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use rmb::TwinId;
use std::num::NonZeroU32;

/// What one twin may send in a minute. Without a figure there is no limit, as with the original relay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Envelopes.
    pub count: Option<NonZeroU32>,
    /// Bytes.
    pub bytes: Option<NonZeroU32>,
}

/// The limits at work.
pub(crate) struct Limiter {
    count: Option<DefaultKeyedRateLimiter<TwinId>>,
    bytes: Option<DefaultKeyedRateLimiter<TwinId>>,
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Self {
        let keyed = |limit: NonZeroU32| RateLimiter::keyed(Quota::per_minute(limit));
        Self { count: limits.count.map(keyed), bytes: limits.bytes.map(keyed) }
    }

    /// Whether a twin may send so many bytes more.
    pub(crate) fn admits(&self, twin: TwinId, bytes: usize) -> bool {
        let bytes = NonZeroU32::new(u32::try_from(bytes).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let in_count = self.count.as_ref().is_none_or(|limiter| limiter.check_key(&twin).is_ok());
        in_count && self.bytes.as_ref().is_none_or(|limiter| matches!(limiter.check_key_n(&twin, bytes), Ok(Ok(()))))
    }
}
