//! An engine whose turns somebody else takes: the same driver, outbox, market and store, without a task or a timer of its own.
//! A simulation takes the turns of several engines in one order, and so plays the same run again from the same seed.

use super::Engine;
use super::driver::Driver;
use crate::error::ApiError;

/// The turns of one engine.
pub struct Turns {
    driver: Driver,
}

impl Turns {
    pub(super) fn new(driver: Driver) -> Self {
        Self { driver }
    }

    /// Takes in all that both chains have to tell, and does all that can be done now.
    pub async fn settle(&mut self) -> Result<(), String> {
        self.driver.settle().await.map_err(|failure| failure.to_string())
    }

    /// How many swaps the engine works on.
    pub fn open_swaps(&self) -> usize {
        self.driver.open_swaps()
    }

    /// Handles one request of the engine's other half. To be polled beside anything that calls the engine.
    pub async fn serve(&mut self) {
        self.driver.serve().await;
    }
}

impl Engine {
    /// The maker's turn: decides on orders whose waiting period is over. Says how many orders there were, decided or not.
    /// For engines started by hand.
    pub async fn maker_turn(&self) -> Result<usize, ApiError> {
        self.decide().await
    }

    /// The taker's turn: asks the makers of placed orders, one after the other. Says how many orders there were, answered or not.
    /// For engines started by hand.
    pub async fn taker_turn(&self) -> Result<usize, ApiError> {
        self.pursue_all(1).await
    }
}
