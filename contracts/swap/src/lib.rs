//! What binds the two parties of a swap: the signed documents, the machine that follows both chains and decides, the table
//! of margins, and the ports through which an engine reaches the world. Pure: nothing here reads a clock, draws a random
//! number or opens a socket.

#![warn(missing_docs)]

pub mod amount;
pub mod bytes;
pub mod decide;
pub mod document;
pub mod event;
pub mod explain;
pub mod fees;
pub mod leg;
pub mod outcome;
pub mod policy;
pub mod port;
pub mod reputation;
pub mod swap;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
