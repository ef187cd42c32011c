//! Who lost what, from what both engines say of a swap's two legs at its end.

use serde_json::Value;

/// Whose money a leg is before the swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The initiator.
    OfAlpha,
    /// The participant.
    OfBeta,
}

/// Whether a party ended with neither asset: nobody spends the HTLC it funded, or the other took it and it did not get the
/// other's. `views` are all engines' words on the swap; an engine that ended early may not have seen all of it.
pub fn has_lost(owner: Owner, views: &[&Value]) -> bool {
    let (own, others) = match owner {
        Owner::OfAlpha => ("alpha", "beta"),
        Owner::OfBeta => ("beta", "alpha"),
    };
    let is = |side: &str, status: &str| views.iter().any(|swap| swap[side]["status"] == status);
    let stranded = is(own, "funded") && !is(own, "redeemed") && !is(own, "refunded");
    let robbed = is(own, "redeemed") && !is(others, "redeemed");
    stranded || robbed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_has_neither_has_lost() {
        for (alpha, beta, alice_lost, bob_lost) in [
            ("unfunded", "unfunded", false, false),
            ("funded", "unfunded", true, false),
            ("refunded", "refunded", false, false),
            ("redeemed", "redeemed", false, false),
            ("refunded", "redeemed", false, true),
            ("redeemed", "refunded", true, false),
            ("refunded", "funded", false, true),
        ] {
            let swap = json!({ "alpha": { "status": alpha }, "beta": { "status": beta } });
            assert_eq!(has_lost(Owner::OfAlpha, &[&swap]), alice_lost, "{alpha} {beta}");
            assert_eq!(has_lost(Owner::OfBeta, &[&swap]), bob_lost, "{alpha} {beta}");
        }
    }
}
