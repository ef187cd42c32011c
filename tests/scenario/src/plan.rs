//! What happens in one run, drawn from its seed: who trades what, which faults strike when, and what the party that is not honest
//! does. A plan says all of it before the run begins, so that it can be told as a story.

use crate::bus::Reliability;
use chain_sim::Flaw;
use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use swap_contract::amount::Units;
use swap_contract::document::Asset;
use swap_contract::leg::Side;
use swap_contract::policy::MAINNET;

/// One of the two parties.
pub type Who = usize;

/// A trade that one party offers and the other takes.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    pub at: u64,
    pub maker: Who,
    pub gives: Asset,
    pub amount: Units,
    /// Whether the order is sealed: the taker reveals it if its turn comes in time.
    pub sealed: bool,
}

/// Something that goes wrong though nobody is dishonest. Minutes say how long it lasts.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A party's node is cut off.
    Cut(Who, Side, u64),
    /// A party is cut off from the bus.
    Offline(Who, u64),
    /// A party's node finds its chain unfit.
    Unfit(Who, Side, u64),
    /// An engine is killed, and started again after so long.
    Away(Who, u64),
    /// An engine dies at the so manieth moment from now on, and is started again after so long.
    Dies(Who, u32, u64),
    /// A node takes the next transactions and tells nobody.
    Swallow(Who, Side, u32),
    /// Blocks of Bitcoin are replaced by others, with the same transactions or without.
    ReorgAlpha(u64, bool),
    /// The newest block of TF Chain, which is not final, is replaced by another.
    ForkBeta(bool),
    /// Everything that waits is thrown out of the mempools.
    Evict,
    /// Bitcoin finds no block.
    SlowAlpha(u64),
    /// TF Chain makes no block.
    StallBeta(u64),
    /// TF Chain makes blocks and finalises none.
    NoFinality(u64),
    /// TF Chain's runtime is upgraded.
    Upgrade,
    /// The estimate moves to so many sat/vB.
    Estimate(u64),
    /// The mempool is full: it takes nothing below the first rate and blocks nothing below the second (sat/vB), whatever the
    /// estimate says.
    FullMempool(u64, u64, u64),
}

/// What the dishonest party does, from its minute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// Its engine stops for ever.
    Silent,
    /// Its engine stops for so many minutes.
    Late(u64),
    /// It funds a leg a second time.
    FundTwice,
    /// It funds a leg with one unit less, before anything else.
    FundShort,
    /// It funds beta with a timelock that leaves hardly any time.
    FundHasty,
    /// It spends the coins of a funding that waits elsewhere.
    DoubleSpend,
    /// The same, with the newest two blocks taken out.
    DoubleSpendDeep,
    /// It shows the preimage as soon as it sees beta, in whatever state.
    RevealAtOnce,
    /// It stops, and shows the preimage just before T2, or whenever the chain still lets it.
    RevealLate,
    /// It takes its money back with every block, whether the chain lets it or not, and outbids whoever is in the way.
    RefundAlways,
    /// It refunds alpha first and shows the preimage then.
    RefundThenReveal,
    /// It shows something that is longer than a preimage.
    RevealOversized,
    /// It cycles the redeem of alpha out of the mempool, again and again: replaces it by a refund that spends a coin of its own
    /// too, and that refund by a payment of this coin alone. The chain lets it from T1 on: before, nothing else is valid.
    ReplacementCycle,
    /// After a reveal the newest block of TF Chain is replaced by one without beta.
    ForkAfterReveal,
}

/// A mutant: a rule that is broken, which somebody must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutant {
    /// T1 and T2 are exchanged.
    ExchangedTimelocks,
    /// TF Chain does not check a preimage's length.
    NoPreimageLengthCheck,
    /// TF Chain lets a redeem happen after T2.
    RedeemAfterT2,
    /// Bitcoin lets a refund of alpha happen before T1.
    EarlyAlphaRefund,
    /// The initiator takes a beta for final that is not.
    #[value(name = "reveal-at-depth-0")]
    RevealAtDepth0,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub trades: Vec<Trade>,
    pub faults: Vec<(u64, Fault)>,
    pub villain: Option<Who>,
    pub mischief: Vec<(u64, Mischief)>,
    pub bus: Reliability,
    /// Whether calls go by the Reliable Message Bus.
    pub rmb: bool,
    pub mutant: Option<Mutant>,
}

/// No reorg that somebody makes use of is deeper.
pub const SAFE_REORG: u64 = MAINNET.alpha_depth.0 - 1;
/// One seed in so many plays over the Reliable Message Bus, whose signatures take time.
const RMB_EVERY: u64 = 4;
/// And no other one is deeper than this.
pub const DEEPEST_REORG: u64 = 7;
/// A swap ends at this depth, and is not watched any more.
const FINAL: u64 = MAINNET.alpha_final_depth.0;
/// Trades begin within this many minutes.
const TRADING: u64 = 40;
/// 100 TFT, for 25,000 satoshis at the price of a simulation.
const HUNDRED_TFT: u64 = 1_000_000_000;

impl Plan {
    pub fn draw(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let villain = chance.random_bool(0.5).then(|| chance.random_range(0..2));
        let trades = (0..chance.random_range(1..=5)).map(|_| trade(&mut chance)).collect();
        let mut faults: Vec<_> = (0..chance.random_range(0..10)).map(|_| (minute(&mut chance), fault(&mut chance))).collect();
        // Whoever double spends in a reorg deeper than alpha's depth wins: that is what the depth is chosen for.
        faults.retain(|(_, fault)| villain.is_none() || !matches!(fault, Fault::ReorgAlpha(blocks, _) if *blocks > SAFE_REORG));
        // A swap that has ended is sent again by nobody: what a reorg takes out that deep must at least stay in the mempools.
        if faults.iter().any(|(_, fault)| matches!(fault, Fault::Evict | Fault::FullMempool(..))) {
            for (_, fault) in &mut faults {
                if let Fault::ReorgAlpha(blocks, _) = fault {
                    *blocks = (*blocks).min(FINAL - 1);
                }
            }
        }
        let mischief = match villain {
            Some(_) => (0..chance.random_range(1..4)).map(|_| (chance.random_range(0..240), mischief(&mut chance))).collect(),
            None => Vec::new(),
        };
        let bus = if chance.random_bool(0.4) { reliability(&mut chance) } else { Reliability::default() };
        let rmb = seed % RMB_EVERY == RMB_EVERY - 1;
        let plan = Self { seed, trades, faults, villain, mischief, bus, rmb, mutant };
        match mutant {
            Some(mutant) => plan.with(mutant, &mut chance),
            None => plan,
        }
    }

    /// A mutant is noticed when somebody makes use of it: so the plan has somebody who does.
    fn with(self, mutant: Mutant, chance: &mut StdRng) -> Self {
        let villain = chance.random_range(0..2);
        let (mischief, villain_gives) = match mutant {
            Mutant::ExchangedTimelocks => (Mischief::RefundThenReveal, Asset::Btc),
            Mutant::NoPreimageLengthCheck => (Mischief::RevealOversized, Asset::Btc),
            Mutant::RedeemAfterT2 => (Mischief::RevealLate, Asset::Btc),
            Mutant::EarlyAlphaRefund => (Mischief::RefundAlways, Asset::Btc),
            Mutant::RevealAtDepth0 => (Mischief::ForkAfterReveal, Asset::Tft),
        };
        let trade = Trade { at: 0, maker: villain, gives: villain_gives, amount: Units(HUNDRED_TFT * 20), sealed: false };
        let (trades, mischief) = (vec![trade], vec![(0, mischief)]);
        Self { villain: Some(villain), trades, mischief, faults: Vec::new(), bus: Reliability::default(), ..self }
    }

    pub fn is_honest(&self, who: Who) -> bool {
        self.villain != Some(who)
    }

    /// The flaw of a chain.
    pub fn flaw(&self, side: Side) -> Option<Flaw> {
        // So much T1 has over T2 at the least: exchanged, beta's timelock ends so much later and alpha's so much earlier.
        let apart = MAINNET.alpha_after_beta();
        match (self.mutant?, side) {
            (Mutant::ExchangedTimelocks, Side::Alpha) => Some(Flaw::Earlier(apart)),
            (Mutant::ExchangedTimelocks, Side::Beta) => Some(Flaw::Later(apart)),
            (Mutant::NoPreimageLengthCheck, Side::Beta) => Some(Flaw::AnyPreimageLength),
            (Mutant::RedeemAfterT2, Side::Beta) => Some(Flaw::RedeemAfterTimelock),
            (Mutant::EarlyAlphaRefund, Side::Alpha) => Some(Flaw::EarlyRefund),
            (Mutant::RevealAtDepth0 | Mutant::NoPreimageLengthCheck | Mutant::RedeemAfterT2 | Mutant::EarlyAlphaRefund, _) => None,
        }
    }
}

fn trade(chance: &mut StdRng) -> Trade {
    let at = chance.random_range(0..TRADING);
    Trade {
        at,
        maker: chance.random_range(0..2),
        gives: if chance.random_bool(0.5) { Asset::Btc } else { Asset::Tft },
        // 250,000 to 2,500,000 satoshis.
        amount: Units(HUNDRED_TFT * chance.random_range(10..=100)),
        sealed: at % 4 == 3,
    }
}

/// Most faults hit a swap under way; a few come around the refunds.
fn minute(chance: &mut StdRng) -> u64 {
    match chance.random_range(0..10) {
        0..=6 => chance.random_range(0..150),
        7..=8 => chance.random_range(150..600),
        _ => chance.random_range(900..1200),
    }
}

fn side(chance: &mut StdRng) -> Side {
    if chance.random_bool(0.5) { Side::Alpha } else { Side::Beta }
}

/// No fault lasts longer than the margins are made for.
fn fault(chance: &mut StdRng) -> Fault {
    let who = chance.random_range(0..2);
    match chance.random_range(0..17) {
        0 => Fault::Cut(who, side(chance), chance.random_range(1..50)),
        1 => Fault::Unfit(who, side(chance), chance.random_range(1..200)),
        2 => Fault::Away(who, chance.random_range(1..50)),
        3..=6 => Fault::Dies(who, chance.random_range(0..12), chance.random_range(0..20)),
        7 => Fault::Swallow(who, side(chance), chance.random_range(1..4)),
        8 => Fault::ReorgAlpha(chance.random_range(1..=SAFE_REORG), false),
        9 => Fault::ReorgAlpha(chance.random_range(1..=DEEPEST_REORG), true),
        10 => Fault::ForkBeta(chance.random_bool(0.5)),
        11 => Fault::Evict,
        12 => Fault::SlowAlpha(chance.random_range(10..120)),
        13 => match chance.random_range(0..3) {
            0 => Fault::StallBeta(chance.random_range(1..60)),
            1 => Fault::NoFinality(chance.random_range(1..120)),
            _ => Fault::Upgrade,
        },
        14 => Fault::Estimate(chance.random_range(1..120)),
        15 => Fault::Offline(who, chance.random_range(1..=60)),
        _ => {
            let relay = chance.random_range(1..60);
            Fault::FullMempool(relay, relay + chance.random_range(0..300), chance.random_range(30..300))
        }
    }
}

fn mischief(chance: &mut StdRng) -> Mischief {
    match chance.random_range(0..13) {
        0 => Mischief::Silent,
        1 => Mischief::Late(chance.random_range(30..900)),
        2 => Mischief::FundTwice,
        3 => Mischief::FundShort,
        4 => Mischief::FundHasty,
        5 => Mischief::DoubleSpend,
        6 => Mischief::DoubleSpendDeep,
        7 => Mischief::RevealAtOnce,
        8 => Mischief::RevealLate,
        9 => Mischief::RefundAlways,
        10 => Mischief::RefundThenReveal,
        11 => Mischief::ReplacementCycle,
        _ => Mischief::ForkAfterReveal,
    }
}

fn reliability(chance: &mut StdRng) -> Reliability {
    Reliability {
        loss: chance.random_range(0..30),
        repeat: chance.random_range(0..20),
        delay: chance.random_range(0..10),
        lies: chance.random_range(0..20),
    }
}
