//! The points of a sweep: a moment of an engine's life, in a role, in a direction.

use super::Extent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Initiator,
    Participant,
}

/// What the swap goes through, apart from the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Both engines are there: it completes.
    Completes,
    /// The counterparty is gone for ever once alpha is funded: the initiator is refunded.
    AlphaComesBack,
    /// The counterparty is gone for ever once beta is funded: the participant is refunded.
    BetaComesBack,
}

impl Scene {
    pub const ALL: [Scene; 3] = [Scene::Completes, Scene::AlphaComesBack, Scene::BetaComesBack];

    pub fn name(self) -> &'static str {
        match self {
            Scene::Completes => "completes",
            Scene::AlphaComesBack => "alpha_comes_back",
            Scene::BetaComesBack => "beta_comes_back",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Scene::Completes => "swaps that complete",
            Scene::AlphaComesBack => "swaps whose participant vanishes after alpha is funded",
            Scene::BetaComesBack => "swaps whose initiator vanishes after beta is funded",
        }
    }

    /// How the swap must end for the party that is killed and started again.
    pub fn expected(self) -> &'static str {
        match self {
            Scene::Completes => "completed",
            Scene::AlphaComesBack | Scene::BetaComesBack => "refunded",
        }
    }

    pub fn moves_clocks(self) -> bool {
        match self {
            Scene::Completes => false,
            Scene::AlphaComesBack | Scene::BetaComesBack => true,
        }
    }
}

/// One kill.
#[derive(Clone, Debug)]
pub struct Point {
    /// As the engine names it.
    pub moment: String,
    /// Of the engine that is killed.
    pub role: Role,
    /// `BTC` or `TFT`.
    pub maker_gives: &'static str,
    pub scene: Scene,
}

impl Point {
    /// Whether the killed engine made the offer.
    pub fn is_maker(&self) -> bool {
        (self.role == Role::Initiator) == (self.maker_gives == "BTC")
    }
}

/// What an engine does in a swap that completes, in its order.
const INITIATOR: &[&str] = &[
    "begin",
    "store.fund_alpha",
    "send.fund_alpha",
    "store.alpha.funded",
    "store.beta.funded",
    "store.redeem_beta",
    "send.redeem_beta",
    "store.beta.redeemed",
    "store.alpha.redeemed",
    "store.end",
];
const PARTICIPANT: &[&str] = &[
    "begin",
    "store.alpha.funded",
    "store.fund_beta",
    "send.fund_beta",
    "store.beta.funded",
    "store.beta.redeemed",
    "store.redeem_alpha",
    "send.redeem_alpha",
    "store.alpha.redeemed",
    "store.end",
];
/// What a maker and a taker do before there is a swap.
const MAKER: &[&str] = &["store.offer", "store.order", "store.order.offered"];
const TAKER: &[&str] =
    &["call.offer.get", "store.order", "call.order.place", "call.order.answer", "store.order.offered", "call.contract.countersign"];
/// The way out.
const ALPHA_BACK: &[&str] = &["store.refund_alpha", "send.refund_alpha", "store.alpha.refunded", "store.end"];
const BETA_BACK: &[&str] = &["store.refund_beta", "send.refund_beta", "store.beta.refunded", "store.end"];
/// Where a crash is most dangerous: something has left, or is about to.
const DANGEROUS: &[&str] = &[
    "after.store.fund_alpha",
    "after.send.fund_alpha",
    "after.store.fund_beta",
    "after.send.fund_beta",
    "after.store.redeem_beta",
    "after.send.redeem_beta",
    "after.store.redeem_alpha",
    "after.send.refund_alpha",
    "after.send.refund_beta",
    "after.call.contract.countersign",
];

/// All points of a scene, those of both roles and directions.
pub fn points(scene: Scene, extent: Extent) -> Vec<Point> {
    let mut points = Vec::new();
    for maker_gives in ["TFT", "BTC"] {
        for role in [Role::Initiator, Role::Participant] {
            let is_maker = (role == Role::Initiator) == (maker_gives == "BTC");
            let deeds: Vec<&str> = match (scene, role) {
                (Scene::Completes, Role::Initiator) => [if is_maker { MAKER } else { TAKER }, INITIATOR].concat(),
                (Scene::Completes, Role::Participant) => [if is_maker { MAKER } else { TAKER }, PARTICIPANT].concat(),
                (Scene::AlphaComesBack, Role::Initiator) => ALPHA_BACK.to_vec(),
                (Scene::BetaComesBack, Role::Participant) => BETA_BACK.to_vec(),
                (Scene::AlphaComesBack, Role::Participant) | (Scene::BetaComesBack, Role::Initiator) => continue,
            };
            for deed in deeds {
                for when in ["before", "after"] {
                    points.push(Point { moment: format!("{when}.{deed}"), role, maker_gives, scene });
                }
            }
        }
    }
    if extent == Extent::Short {
        points.retain(|point| DANGEROUS.contains(&point.moment.as_str()));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_sweep_has_every_dangerous_moment() {
        let mut short: Vec<String> =
            Scene::ALL.into_iter().flat_map(|scene| points(scene, Extent::Short)).map(|point| point.moment).collect();
        short.sort();
        short.dedup();
        assert_eq!(short.len(), DANGEROUS.len());
    }

    #[test]
    fn both_directions_make_both_roles_makers_and_takers() {
        let all = points(Scene::Completes, Extent::Whole);
        for role in [Role::Initiator, Role::Participant] {
            for maker in [true, false] {
                assert!(all.iter().any(|point| point.role == role && point.is_maker() == maker));
            }
        }
    }
}
