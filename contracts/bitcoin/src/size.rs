//! Sizes of every transaction of a swap, exact and known before anything is signed.
//!
//! They are exact because Schnorr signatures with the default sighash are always 64 bytes (BIP-341).

use bitcoin::{Amount, FeeRate, Script, VarInt, Weight};

/// Serialized size of the output that holds the money: value, script length, script.
pub const HTLC_OUTPUT: usize = 8 + 1 + 34;
/// Leaf version, internal key, one sibling.
pub const CONTROL_BLOCK: usize = 1 + 32 + 32;
/// [`crate::Htlc::redeem_script`].
pub const REDEEM_SCRIPT: usize = 61;

/// Outpoint, empty script, sequence: what each input weighs before its witness.
const INPUT_BASE: u64 = 4 * (36 + 1 + 4);
const SIGNATURE: u64 = 1 + 64;
const CONTROL_BLOCK_PUSH: u64 = 1 + CONTROL_BLOCK as u64;

/// One more input that redeems.
pub const REDEEM_INPUT: Weight = Weight::from_wu(INPUT_BASE + 1 + SIGNATURE + 33 + 1 + REDEEM_SCRIPT as u64 + CONTROL_BLOCK_PUSH);
/// The witness of any key-path spend: one signature.
pub const KEY_WITNESS: Weight = Weight::from_wu(1 + SIGNATURE);
/// One more input that is spent by both parties together.
pub const COOPERATIVE_INPUT: Weight = Weight::from_wu(INPUT_BASE + KEY_WITNESS.to_wu());

/// One more input that is refunded: four bytes hold a time before 2038, five any later one.
pub const fn refund_input(refund_after: u32) -> Weight {
    let time = if refund_after > i32::MAX as u32 { 5 } else { 4 };
    let script = 33 + 1 + 1 + time + 1;
    Weight::from_wu(INPUT_BASE + 1 + SIGNATURE + 1 + script + CONTROL_BLOCK_PUSH)
}

/// Virtual bytes of a redeem of one HTLC to `payout`.
pub fn redeem_vsize(payout: &Script) -> u64 {
    transaction([REDEEM_INPUT], payout).to_vbytes_ceil()
}

/// Virtual bytes of a refund of one HTLC to `payout`, whatever its timelock: the byte more after 2038 fits in the rounding.
pub fn refund_vsize(payout: &Script) -> u64 {
    transaction([refund_input(u32::MAX)], payout).to_vbytes_ceil()
}

/// Virtual bytes of a cooperative spend of one HTLC to `payout`.
pub fn cooperative_vsize(payout: &Script) -> u64 {
    transaction([COOPERATIVE_INPUT], payout).to_vbytes_ceil()
}

/// Weight of a transaction of these inputs and one output.
pub fn transaction(inputs: impl IntoIterator<Item = Weight>, payout: &Script) -> Weight {
    let (count, inputs) = inputs.into_iter().fold((0u64, Weight::ZERO), |(count, sum), input| (count + 1, sum + input));
    let script = payout.len();
    let output = 8 + VarInt::from(script).size() + script;
    let base = 4 + VarInt(count).size() + 1 + output + 4;
    let marker_and_flag = 2;
    Weight::from_wu(4 * base as u64 + marker_and_flag) + inputs
}

/// The fee that reaches `rate`, rounded up; it saturates at what no sum of coins can pay. Nodes count whole virtual bytes, so
/// this does too: a fee by weight alone would fall a little short of what it claims.
pub fn fee(weight: Weight, rate: FeeRate) -> Amount {
    let sat_per_kvb = u128::from(rate.to_sat_per_kwu()) * 4;
    let sats = (sat_per_kvb * u128::from(weight.to_vbytes_ceil())).div_ceil(1000);
    Amount::from_sat(u64::try_from(sats).unwrap_or(u64::MAX))
}
