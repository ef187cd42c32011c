//! `simulate --market`: twins that look for each other with hostile ones among them, and a maker whose orders come all at once.

mod fair;
pub mod network;
mod plan;
mod twin;

use crate::databases::Databases;
use network::{Reached, Shape};
use serde_json::{Value, json};

/// A hundred twins, thirty of them hostile, three makers.
const SHAPE: Shape = Shape { twins: 100, hostile: 30, makers: 3, searches: 3 };

/// What all seeds came to.
#[derive(Debug, Default)]
pub struct Sum {
    orders: u64,
    chosen: u64,
    draws: u64,
    revealed: u64,
    unrevealed: u64,
    agreed: u64,
    released: u64,
    reached: Reached,
}

/// Plays one seed of both.
///
/// # Errors
/// What went wrong.
pub async fn play(seed: u64, databases: &Databases) -> anyhow::Result<Sum> {
    let chosen = fair::play(seed, databases).await?;
    let reached = network::play(seed, SHAPE)?;
    Ok(Sum {
        orders: chosen.orders,
        chosen: chosen.chosen.len() as u64,
        draws: u64::from(chosen.drawn),
        revealed: chosen.revealed,
        unrevealed: chosen.unrevealed,
        agreed: chosen.agreed,
        released: chosen.released,
        reached,
    })
}

impl Sum {
    pub fn add(&mut self, other: &Sum) {
        self.orders += other.orders;
        self.chosen += other.chosen;
        self.draws += other.draws;
        self.revealed += other.revealed;
        self.unrevealed += other.unrevealed;
        self.agreed += other.agreed;
        self.released += other.released;
        let (all, one) = (&mut self.reached, &other.reached);
        all.searches += one.searches;
        all.found += one.found;
        all.deliveries += one.deliveries;
        all.copies += one.copies;
        all.messages += one.messages;
        all.hops += one.hops;
        all.millis += one.millis;
    }

    /// Whether an honest maker was found by 99 of 100 searches.
    pub fn is_found(&self) -> bool {
        self.reached.found * 100 >= self.reached.searches * 99
    }

    pub fn to_json(&self) -> Value {
        let Reached { searches, found, deliveries, copies, messages, hops, millis } = self.reached;
        json!({
            "orders": self.orders,
            "chosen": self.chosen,
            "rounds_drawn": self.draws,
            "sealed_revealed": self.revealed,
            "sealed_unrevealed": self.unrevealed,
            "agreed": self.agreed,
            "released": self.released,
            "hostile_percent": SHAPE.hostile,
            "searches": searches,
            "found_honest": found,
            "found_permille": found * 1000 / searches.max(1),
            "copies_per_delivery_permille": copies * 1000 / deliveries.max(1),
            "messages_per_search": messages / searches.max(1),
            "hops_permille": hops * 1000 / found.max(1),
            "virtual_millis_to_find": millis / found.max(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_market_with_hostile_twins_is_fair_and_found() {
        let mut sum = Sum::default();
        crate::runtime().unwrap().block_on(async {
            let databases = Databases::default();
            for seed in 0..20 {
                sum.add(&play(seed, &databases).await.unwrap_or_else(|failure| panic!("seed {seed}: {failure:#}")));
            }
        });
        assert!(sum.is_found(), "{}", sum.to_json());
        assert!(sum.draws > 0 && sum.released > 0 && sum.agreed > 0, "{}", sum.to_json());
        assert!(sum.revealed > 0 && sum.unrevealed > 0, "{}", sum.to_json());
    }

    #[test]
    fn a_thousand_twins_find_a_maker_with_few_copies() {
        let reached = network::play(1, Shape { twins: 1_000, hostile: 0, makers: 5, searches: 4 }).unwrap();
        assert_eq!(reached.found, reached.searches);
        assert!(reached.copies * 10 <= reached.deliveries * 63, "{reached:?}");
    }
}
