//! The points of a sweep: what hits an engine, at which moment of its life, in a role, in a direction.

use std::fmt;

use super::Extent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Initiator,
    Participant,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Initiator => "initiator",
            Role::Participant => "participant",
        }
    }
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

/// What hits an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blow {
    /// It is killed (SIGKILL) and started again.
    Kill,
    /// So is the other, at this moment of its own.
    KillBoth(String),
    /// It is killed, and what it wrote since the last fsync is gone, as after a power cut.
    PowerCut,
    /// From its so manieth write on its disk takes nothing for a while. It may die of it.
    Disk(DiskError, u32),
    /// It is killed, and so is the relay, which stays away for a while and has forgotten all when it is back.
    RelayGone,
    /// It is killed, and its data folder is gone: it comes back from its words and the copies that others keep.
    FolderLost,
}

/// What a disk answers that takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// ENOSPC.
    Full,
    /// EIO.
    Broken,
}

impl DiskError {
    /// Linux's error number.
    pub fn number(self) -> i32 {
        match self {
            DiskError::Full => 28,
            DiskError::Broken => 5,
        }
    }
}

/// One blow.
#[derive(Clone, Debug)]
pub struct Point {
    pub blow: Blow,
    /// As the engine names it. Nothing happens at it when the disk fails.
    pub moment: String,
    /// Of the engine that is hit.
    pub role: Role,
    /// `BTC` or `TFT`.
    pub maker_gives: &'static str,
    pub scene: Scene,
    /// Whether the order is sealed.
    pub sealed: bool,
}

impl Point {
    /// Whether the engine that is hit made the offer.
    pub fn is_maker(&self) -> bool {
        (self.role == Role::Initiator) == (self.maker_gives == "BTC")
    }

    /// Whether the engine is hit while it gets the swap's receipt.
    pub fn is_about_receipts(&self) -> bool {
        self.moment.contains("receipt")
    }
}

impl fmt::Display for Point {
    /// A name without spaces, such as `power_cut.after.send.redeem_beta`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sealed {
            f.write_str("sealed.")?;
        }
        match &self.blow {
            Blow::Kill => write!(f, "{}", self.moment),
            Blow::KillBoth(others) => write!(f, "{}+{others}", self.moment),
            Blow::PowerCut => write!(f, "power_cut.{}", self.moment),
            Blow::Disk(DiskError::Full, write) => write!(f, "disk_full.write_{write}"),
            Blow::Disk(DiskError::Broken, write) => write!(f, "disk_broken.write_{write}"),
            Blow::RelayGone => write!(f, "relay_gone.{}", self.moment),
            Blow::FolderLost => write!(f, "folder_lost.{}", self.moment),
        }
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
/// The same of an order that is sealed first.
const SEALED_MAKER: &[&str] = &["store.order.sealed", "store.closing", "store.order"];
const SEALED_TAKER: &[&str] = &["call.order.seal", "store.closing", "call.order.place"];
/// What they do when the swap has ended.
const MAKER_BEHIND: &[&str] = &["store.receipt"];
const TAKER_BEHIND: &[&str] = &["call.receipt.sign", "store.receipt"];
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

/// Where something is on its way over the bus, or money is.
const WITHOUT_RELAY: &[&str] = &[
    "before.call.order.place",
    "after.call.order.place",
    "after.store.order",
    "before.call.order.answer",
    "after.store.order.offered",
    "before.call.contract.countersign",
    "after.call.contract.countersign",
    "after.store.fund_alpha",
    "after.send.fund_beta",
    "after.send.redeem_beta",
];

/// Writes after which the disk fails: while the engine starts, while the swap is agreed on, and during it.
const WRITES: &[u32] = &[1, 12, 30, 45, 60, 80];
/// Of the kills of both engines that are not at two dangerous moments each so manieth is played.
const SAMPLE: usize = 23;

/// All points of a scene in which engines are killed, those of both roles and directions.
pub fn kills(scene: Scene, extent: Extent) -> Vec<Point> {
    let mut points = moments(scene, Blow::Kill, &["before", "after"]);
    if extent == Extent::Short {
        points.retain(is_dangerous);
        if scene == Scene::Completes {
            let power_cuts = moments(scene, Blow::PowerCut, &["after"]).into_iter().filter(is_dangerous);
            points.extend(power_cuts.step_by(3));
            points.extend(disk_failures().into_iter().skip(3).step_by(7));
            points.extend(both().into_iter().step_by(16));
            points.extend(relay_gone().into_iter().step_by(7));
            points.extend(sealed_or_behind().into_iter().step_by(4));
        }
        return points;
    }
    points.extend(moments(scene, Blow::PowerCut, &["after"]).into_iter().filter(is_dangerous));
    if scene == Scene::Completes {
        points.extend(disk_failures());
        points.extend(both());
        points.extend(relay_gone());
        points.extend(sealed_or_behind());
    }
    points
}

/// All points of a scene in which a data folder is lost.
pub fn losses(scene: Scene, extent: Extent) -> Vec<Point> {
    let mut points = moments(scene, Blow::FolderLost, &["after"]);
    if extent == Extent::Short {
        // One round: as many as there are pairs of engines.
        points.retain(|point| is_dangerous(point) && scene == Scene::Completes);
        points = points.into_iter().step_by(3).collect();
    }
    points
}

fn is_dangerous(point: &Point) -> bool {
    DANGEROUS.contains(&point.moment.as_str())
}

fn deeds(scene: Scene, role: Role, is_maker: bool) -> Vec<&'static str> {
    match (scene, role) {
        (Scene::Completes, Role::Initiator) => [if is_maker { MAKER } else { TAKER }, INITIATOR].concat(),
        (Scene::Completes, Role::Participant) => [if is_maker { MAKER } else { TAKER }, PARTICIPANT].concat(),
        (Scene::AlphaComesBack, Role::Initiator) => ALPHA_BACK.to_vec(),
        (Scene::BetaComesBack, Role::Participant) => BETA_BACK.to_vec(),
        (Scene::AlphaComesBack, Role::Participant) | (Scene::BetaComesBack, Role::Initiator) => Vec::new(),
    }
}

fn moments(scene: Scene, blow: Blow, whens: &[&str]) -> Vec<Point> {
    let mut points = Vec::new();
    for maker_gives in ["TFT", "BTC"] {
        for role in [Role::Initiator, Role::Participant] {
            let point = Point { blow: blow.clone(), moment: String::new(), role, maker_gives, scene, sealed: false };
            points.extend(at_deeds(&point, &deeds(scene, role, point.is_maker()), whens));
        }
    }
    points
}

fn at_deeds(point: &Point, deeds: &[&str], whens: &[&str]) -> Vec<Point> {
    let moments = deeds.iter().flat_map(|deed| whens.iter().map(move |when| format!("{when}.{deed}")));
    moments.map(|moment| Point { moment, ..point.clone() }).collect()
}

/// What depends on who made the offer and not on what it gives.
fn sealed_or_behind() -> Vec<Point> {
    let mut points = Vec::new();
    for role in [Role::Initiator, Role::Participant] {
        let point = Point { blow: Blow::Kill, moment: String::new(), role, maker_gives: "TFT", scene: Scene::Completes, sealed: false };
        let (sealed, behind) = if point.is_maker() { (SEALED_MAKER, MAKER_BEHIND) } else { (SEALED_TAKER, TAKER_BEHIND) };
        points.extend(at_deeds(&Point { sealed: true, ..point.clone() }, sealed, &["before", "after"]));
        points.extend(at_deeds(&point, behind, &["before", "after"]));
    }
    points
}

/// Kills of both engines in one swap: at every two dangerous moments, and a sample of all others.
fn both() -> Vec<Point> {
    let kills = moments(Scene::Completes, Blow::Kill, &["before", "after"]);
    let mut all = Vec::new();
    for one in kills.iter().filter(|point| point.role == Role::Initiator) {
        for two in kills.iter().filter(|point| point.role == Role::Participant && point.maker_gives == one.maker_gives) {
            let blow = Blow::KillBoth(two.moment.clone());
            all.push((is_dangerous(one) && is_dangerous(two), Point { blow, ..one.clone() }));
        }
    }
    let (dangerous, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(dangerous, _)| *dangerous);
    // A swap in one direction is as good as in the other when both are killed within it.
    let dangerous = dangerous.into_iter().filter(|(_, point)| point.maker_gives == "TFT");
    dangerous.chain(others.into_iter().step_by(SAMPLE * 3)).map(|(_, point)| point).collect()
}

fn relay_gone() -> Vec<Point> {
    let mut points = moments(Scene::Completes, Blow::RelayGone, &["before", "after"]);
    points.retain(|point| WITHOUT_RELAY.contains(&point.moment.as_str()));
    points
}

fn disk_failures() -> Vec<Point> {
    let mut points = Vec::new();
    for (place, write) in WRITES.iter().enumerate() {
        for (error, maker_gives) in [(DiskError::Full, ["TFT", "BTC"][place % 2]), (DiskError::Broken, ["BTC", "TFT"][place % 2])] {
            for role in [Role::Initiator, Role::Participant] {
                let (blow, scene) = (Blow::Disk(error, *write), Scene::Completes);
                points.push(Point { blow, moment: String::new(), role, maker_gives, scene, sealed: false });
            }
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_sweep_has_every_dangerous_moment() {
        let mut short: Vec<String> = Scene::ALL
            .into_iter()
            .flat_map(|scene| kills(scene, Extent::Short))
            .map(|point| point.moment)
            .filter(|moment| DANGEROUS.contains(&moment.as_str()))
            .collect();
        short.sort();
        short.dedup();
        assert_eq!(short.len(), DANGEROUS.len());
    }

    #[test]
    fn both_directions_make_both_roles_makers_and_takers() {
        let all = kills(Scene::Completes, Extent::Whole);
        for role in [Role::Initiator, Role::Participant] {
            for maker in [true, false] {
                assert!(all.iter().any(|point| point.role == role && point.is_maker() == maker));
            }
        }
    }

    #[test]
    fn no_two_points_have_the_same_name_role_and_direction() {
        let all: Vec<Point> =
            Scene::ALL.into_iter().flat_map(|scene| [kills(scene, Extent::Whole), losses(scene, Extent::Whole)].concat()).collect();
        let names: std::collections::BTreeSet<String> =
            all.iter().map(|point| format!("{point} {:?} {} {}", point.role, point.maker_gives, point.scene.name())).collect();
        assert_eq!(names.len(), all.len());
    }
}
