//! BLAKE2b with 32 bytes of output: block hashes, extrinsic hashes and HTLC ids.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};

pub(crate) fn blake2_256(bytes: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::digest(bytes).into()
}
