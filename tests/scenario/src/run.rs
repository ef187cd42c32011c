//! One run, from a seed to a verdict.

use crate::databases::Databases;
use crate::judge::{Finding, Verdict, Wrong};
use crate::party::Party;
use crate::plan::{Mutant, Plan};
use crate::villain::Villain;
use crate::world::World;
use rand::Rng;
use swap_contract::time::Span;

/// All faults end here: until then no margin is used up.
const CALM_AFTER: u64 = 22 * 60;
/// Every swap has ended by then, in minutes.
const HORIZON: u64 = 80 * 60;
/// How often the market has its turn while orders may wait, in steps.
const MARKET_EVERY: u64 = 2;
/// How often it is looked whether all is over, in steps.
const LOOK_EVERY: u64 = 8;

/// A run and what came of it.
pub struct Run {
    pub verdict: Verdict,
    /// Virtual minutes.
    pub minutes: u64,
    pub story: Vec<String>,
}

/// Plays one seed. With `tell`, the story comes with it.
pub async fn play(seed: u64, mutant: Option<Mutant>, tell: bool, databases: &Databases) -> anyhow::Result<Run> {
    let plan = Plan::draw(seed, mutant);
    let [alice, bob] = [databases.take().await?, databases.take().await?];
    let mut world = World::new(plan.clone(), tell, [alice.store(), bob.store()]).await?;
    world.tell(|| {
        format!("seed {seed}: dishonest {:?} {:?}, {} {:?}", plan.villain, plan.mischief, if plan.rmb { "RMB" } else { "bus" }, plan.bus)
    });
    let mut villain = plan.villain.map(|who| Villain::new(&world, who));
    let (mut trades, mut faults, mut mischief) = (plan.trades, plan.faults, plan.mischief);
    let mut failures = Vec::new();
    let last_trade = trades.iter().map(|trade| trade.at).max().unwrap_or(0);
    let (mut calm, mut may_have_begun) = (false, false);
    for step in 0.. {
        let minute = world.minutes();
        if minute >= CALM_AFTER && !calm {
            world.tell(|| "from here on nothing goes wrong any more".into());
            world.end_faults(true);
            calm = true;
        }
        world.end_faults(false);
        for (_, fault) in faults.extract_if(.., |(at, _)| *at <= minute) {
            if minute < CALM_AFTER {
                world.begin(fault);
            }
        }
        world.revive().await?;
        for trade in trades.extract_if(.., |trade| trade.at <= minute).collect::<Vec<_>>() {
            world.offer(trade).await;
        }
        world.take().await;
        may_have_begun |= world.has_orders();
        if let Some(villain) = &mut villain {
            for (_, deed) in mischief.extract_if(.., |(at, _)| *at <= minute) {
                villain.begin(&mut world, deed);
            }
            if step % LOOK_EVERY == 0 && std::mem::take(&mut may_have_begun) {
                villain.look(&world).await?;
            }
            villain.act(&mut world).await;
        }
        let first = world.chance.random_range(0..2);
        for who in [first, 1 - first] {
            if let Err(reason) = world.turn(who, step % MARKET_EVERY == 0).await {
                failures.push(Finding { who, swap: None, wrong: Wrong::Failed(reason) });
            }
        }
        if step % LOOK_EVERY == 0 {
            world.deliver_late().await;
            if minute > last_trade + 15 && is_over(&world) || minute >= HORIZON || !failures.is_empty() {
                break;
            }
        }
        world.advance(pace(minute.saturating_sub(last_trade)));
    }
    // What a late reorg has put back into the mempools gets into blocks again.
    world.end_faults(true);
    world.alpha.mine(2);
    let mut verdict = Verdict::of(&world).await?;
    verdict.findings.extend(failures);
    for finding in &verdict.findings {
        let finding = finding.to_string();
        world.tell(|| format!("WRONG: {finding}"));
    }
    let (minutes, story) = (world.minutes(), world.story());
    databases.give_back(bob);
    databases.give_back(alice);
    Ok(Run { verdict, minutes, story })
}

/// Time from one block of TF Chain to the next: short while swaps begin and are redeemed, long while timelocks run.
fn pace(minutes: u64) -> Span {
    match minutes {
        0..=75 => Span::secs(20),
        76..=200 => Span::minutes(1),
        _ => Span::minutes(6),
    }
}

/// Whether the honest have nothing left to do.
fn is_over(world: &World) -> bool {
    let is_done = |party: &Party| party.running.as_ref().is_some_and(|(_, turns)| turns.open_swaps() == 0);
    world.parties.iter().enumerate().all(|(who, party)| !world.plan.is_honest(who) || is_done(party))
}
