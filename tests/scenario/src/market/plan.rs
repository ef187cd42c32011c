//! What takers do in a market, drawn from a seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::document::Asset;

/// One TFT, in units.
pub(super) const TFT: u64 = 10_000_000;
/// 250 satoshis for a TFT.
pub(super) const PRICE: Price = Price { sats: Sats(250), units: Units(TFT) };

/// Whether a taker shows its order before its round is closed, then, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    AtOnce,
    WhenClosed,
    Never,
}

/// What one taker does.
#[derive(Clone, Debug)]
pub(super) struct Taker {
    pub number: u32,
    pub amount: Units,
    pub price: Price,
    pub shown: Shown,
    /// Signs the contract that it is offered.
    pub signs: bool,
    /// Comes when the period is over.
    pub late: bool,
    /// Sends its order again, which changes nothing.
    pub repeats: bool,
}

/// What a seed plays.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub gives: Asset,
    /// All that is offered.
    pub max: Units,
    pub takers: Vec<Taker>,
    pub seed: u64,
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed ^ 0xfa1);
        let lots = chance.random_range(1..=4);
        let takers = (0..chance.random_range(2..=9)).map(|number| Taker {
            number,
            amount: Units(TFT * 1_000 * chance.random_range(2..=4) / 4),
            // Equal prices are what a draw is for.
            price: Price { sats: Sats(PRICE.sats.0), units: PRICE.units },
            shown: Shown::AtOnce,
            signs: chance.random_bool(0.6),
            late: chance.random_bool(0.15),
            repeats: chance.random_bool(0.3),
        });
        let mut takers: Vec<Taker> = takers.collect();
        let gives = if chance.random_bool(0.5) { Asset::Tft } else { Asset::Btc };
        for taker in &mut takers {
            let better = [0, 0, 0, 1, 3][chance.random_range(0..5)];
            taker.price.sats.0 = if gives == Asset::Tft { PRICE.sats.0 + better } else { PRICE.sats.0 - better };
        }
        // Drawn behind everything else: what a seed played before there were seals, it plays still.
        for taker in &mut takers {
            taker.shown = [Shown::AtOnce, Shown::AtOnce, Shown::AtOnce, Shown::WhenClosed, Shown::WhenClosed, Shown::Never]
                [chance.random_range(0..6)];
        }
        Self { gives, max: Units(TFT * 1_000 * lots), takers, seed }
    }
}
