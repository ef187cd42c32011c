//! A run in words, one line for each thing that happens.

use crate::adversary::Move;
use crate::chain::{At, Chain, Way};
use crate::model::{Happening, SwapModel};
use crate::party::{Reach, act};
use crate::state::{Player, State};
use stateright::Path;
use swap_contract::document::Role;
use swap_contract::leg::Side;

/// The path, from the contract on.
pub fn tell(model: &SwapModel, path: Path<State, Happening>) -> Vec<String> {
    let steps: Vec<(State, Option<Happening>)> = path.into_vec();
    let pairs = steps.iter().zip(steps.iter().skip(1));
    let mut lines: Vec<String> =
        pairs.filter_map(|((before, happening), (after, _))| Some(line(model, before, (*happening)?, after))).collect();
    if let Some((last, _)) = steps.last() {
        lines.push(format!("{} in the end: alpha {}; beta {}", last.now, words(&last.alpha), words(&last.beta)));
    }
    lines
}

fn line(model: &SwapModel, before: &State, happening: Happening, after: &State) -> String {
    let what = match happening {
        Happening::Look(role, side) => format!("{} sees {}: {}{}", name(role), chain(side), seen(before, side), aims(model, after, role)),
        Happening::Wake(role) => format!(
            "{} sees both chains again: alpha {}; beta {}{}",
            name(role),
            seen(before, Side::Alpha),
            seen(before, Side::Beta),
            aims(model, after, role)
        ),
        Happening::Act(role, reach) => {
            let step = act(before, &model.rules, role, Reach::Sent).map_or("nothing", |(step, _)| step.name());
            match reach {
                Reach::Sent => format!("{} sends {step}", name(role)),
                Reach::Stored => format!("{} stores {step} and crashes before it is sent", name(role)),
            }
        }
        Happening::Crash(role) => format!(
            "{} has crashed and starts again; alpha {}; beta {}{}",
            name(role),
            seen(before, Side::Alpha),
            seen(before, Side::Beta),
            aims(model, after, role)
        ),
        Happening::Play(role, one) => format!("the adversary, {}, {}", name(role), play(one)),
        Happening::Blocks(side, true) => format!("{} makes blocks: {}", chain(side), words(after.chain(side))),
        Happening::Blocks(side, false) => format!("{} makes blocks without what waits: {}", chain(side), words(after.chain(side))),
        Happening::Finalise => format!("TF Chain's blocks become final: {}", words(&after.beta)),
        Happening::Reorg(steps) => format!("a reorg of {} Bitcoin blocks: {}", if steps == 1 { 2 } else { 5 }, words(&after.alpha)),
        Happening::Fork => format!("TF Chain's blocks that are not final are replaced: {}", words(&after.beta)),
        Happening::Tick(leap) => {
            let leap = if leap { ", leaping ahead" } else { "" };
            format!("time passes; it is {}, Bitcoin's median time past is {}{leap}", after.now, after.median())
        }
    };
    format!("{} {what}", before.now)
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Initiator => "the initiator",
        Role::Participant => "the participant",
    }
}

fn chain(side: Side) -> &'static str {
    match side {
        Side::Alpha => "Bitcoin",
        Side::Beta => "TF Chain",
    }
}

fn play(one: Move) -> String {
    match one {
        Move::FundAlpha => "funds alpha".into(),
        Move::FundBeta(until) => format!("funds beta until {until}"),
        Move::RedeemBeta => "sends a redeem of beta, showing the preimage".into(),
        Move::RefundAlpha => "sends a refund of alpha".into(),
        Move::RedeemAlpha => "sends a redeem of alpha".into(),
        Move::RefundBeta => "sends a refund of beta".into(),
        Move::Withdraw(side) => format!("takes back what it has waiting on {}", chain(side)),
    }
}

/// What the party makes of it.
fn aims(model: &SwapModel, state: &State, role: Role) -> String {
    match state.player(role) {
        Player::Adversary => String::new(),
        Player::Ended(outcome) => format!("; for it the swap has ended: {outcome:?}"),
        Player::Honest(party) => match party.wants(state) {
            Some(action) if act(state, &model.rules, role, Reach::Sent).is_some() => format!("; it wants {}", action.step.name()),
            Some(action) => format!("; it waits for {}", action.step.name()),
            None => String::new(),
        },
    }
}

/// What an adapter shows of a leg.
fn seen(state: &State, side: Side) -> String {
    words(&Chain { htlc: state.shown(side), ..*state.chain(side) })
}

fn words(chain: &Chain) -> String {
    let Some(htlc) = chain.htlc else { return "nothing".into() };
    let funding = format!("funding {} until {} {}", htlc.number, htlc.refund_after, place(chain, htlc.at));
    let Some(exit) = htlc.exit else { return funding };
    let way = match exit.way {
        Way::Redeem => "redeem",
        Way::Refund => "refund",
    };
    format!("{funding}, {way} {}", place(chain, exit.at))
}

fn place(chain: &Chain, at: At) -> String {
    match at {
        At::Waiting => "waiting".into(),
        At::Block(_) if chain.is_final(at) => "final".into(),
        At::Block(step) => format!("in a block ({} of the newest)", chain.height + 1 - step),
    }
}
