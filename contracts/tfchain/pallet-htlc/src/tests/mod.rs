//! What the pallet promises, sentence by sentence.

mod closing;
mod funding;
mod pool;
mod retention;
mod vectors;
