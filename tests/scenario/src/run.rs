//! One run, from a seed to a verdict.

use crate::judge::{Finding, Verdict, Wrong};
use crate::plan::{Mutant, Plan};
use crate::villain::Villain;
use crate::world::World;
use rand::Rng;
use swap_contract::time::Span;

/// All faults end here: until then no margin is used up.
const CALM_AFTER: u64 = 22 * 60;
/// Every swap has ended by then, in minutes.
const HORIZON: u64 = 80 * 60;
/// How often the market has its turn when no order can be waiting, in steps.
const MARKET_EVERY: u64 = 32;
/// From an offer to the last message about it, in minutes.
const ORDERS_WAIT: u64 = 20;
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
pub async fn play(seed: u64, mutant: Option<Mutant>, tell: bool) -> anyhow::Result<Run> {
    let plan = Plan::draw(seed, mutant);
    let mut world = World::new(plan.clone(), tell).await?;
    world.tell(|| format!("seed {seed}: dishonest {:?} {:?}, bus {:?}", plan.villain, plan.mischief, plan.bus));
    let mut villain = plan.villain.map(|who| Villain::new(&world, who));
    let (mut trades, mut faults, mut mischief) = (plan.trades, plan.faults, plan.mischief);
    let mut failures = Vec::new();
    let last_trade = trades.iter().map(|trade| trade.at).max().unwrap_or(0);
    let mut calm = false;
    let recent: Vec<u64> = trades.iter().map(|trade| trade.at).collect();
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
        // Orders live for minutes; when none can be waiting the market is looked at now and then only.
        let with_market = is_trading(&recent, minute) && step % 2 == 0 || step % MARKET_EVERY == 0;
        if let Some(villain) = &mut villain {
            for (_, deed) in mischief.extract_if(.., |(at, _)| *at <= minute) {
                villain.begin(&mut world, deed);
            }
            if step % LOOK_EVERY == 0 && is_trading(&recent, minute) {
                villain.look(&world).await?;
            }
            villain.act(&mut world).await;
        }
        let first = world.chance.random_range(0..2);
        for who in [first, 1 - first] {
            if let Err(reason) = world.turn(who, with_market).await {
                failures.push(Finding { who, swap: None, wrong: Wrong::Failed(reason) });
            }
        }
        if step % LOOK_EVERY == 0 {
            world.deliver_late().await;
            if minute > last_trade + 15 && is_over(&world).await? || minute >= HORIZON || !failures.is_empty() {
                break;
            }
        }
        world.advance(pace(minute.saturating_sub(last_trade)));
    }
    let mut verdict = Verdict::of(&world).await?;
    verdict.findings.extend(failures);
    for finding in &verdict.findings {
        let finding = finding.to_string();
        world.tell(|| format!("WRONG: {finding}"));
    }
    Ok(Run { minutes: world.minutes(), verdict, story: world.story() })
}

/// Whether an order may be waiting.
fn is_trading(trades: &[u64], minute: u64) -> bool {
    trades.iter().any(|at| (*at..*at + ORDERS_WAIT).contains(&minute))
}

/// Time from one block of TF Chain to the next: short while swaps begin and are redeemed, long while timelocks run.
fn pace(minutes: u64) -> Span {
    match minutes {
        0..=75 => Span::secs(20),
        76..=200 => Span::minutes(1),
        _ => Span::minutes(6),
    }
}

async fn is_over(world: &World) -> anyhow::Result<bool> {
    for (who, party) in world.parties.iter().enumerate() {
        let honest = world.plan.is_honest(who);
        if honest && (party.running.is_none() || party.store.count_open_swaps().await? > 0) {
            return Ok(false);
        }
    }
    Ok(true)
}
