//! The index of what is watched, for the fuzzer. No part of the API.

pub use crate::index::{Index, Tell};
