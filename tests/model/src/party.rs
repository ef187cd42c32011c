//! An honest party: the real machine, fed and obeyed as the engine's driver does. What a crash loses is here what is not in the
//! machine: where the chains stand, and what was told of them.

use crate::chain::{At, Htlc, Way};
use crate::clock::{Minute, POLICY, minutes};
use crate::rules::{Mutant, Rules};
use crate::state::{Player, Seen, State, exit, funding};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use swap_contract::bytes::Preimage;
use swap_contract::document::Role;
use swap_contract::event::{Action, Event, Fact, Step};
use swap_contract::leg::{Side, Sighting};
use swap_contract::swap::Swap;
use swap_contract::time::{Clocks, Tip};

/// The machine. Shared between states until it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Mind(Arc<Swap>);

/// All that a swap remembers but its contract, which is the same everywhere.
impl Hash for Mind {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let swap = &self.0;
        swap.leg(Side::Alpha).hash(hasher);
        swap.leg(Side::Beta).hash(hasher);
        Step::ALL.map(|step| swap.has_attempted(step)).hash(hasher);
        swap.beta_timelock().hash(hasher);
        swap.public_preimage().is_some().hash(hasher);
        swap.outcome().hash(hasher);
    }
}

/// What one chain's stream told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Told {
    /// Where the chain stands.
    tip: Seen,
    /// The leg's HTLC.
    htlc: Option<Htlc>,
}

/// One honest party.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Party {
    mind: Mind,
    /// What the chains' streams told last, alpha's first; [`None`] since a restart until both have told all there is.
    told: Option<[Told; 2]>,
    /// Whether it may still crash.
    pub may_crash: bool,
}

impl Party {
    /// A party whose swap has just begun, with nothing on the chains.
    pub fn new(rules: &Rules, role: Role, tips: [Seen; 2], may_crash: bool) -> Self {
        let told = tips.map(|tip| Told { tip, htlc: None });
        Self { mind: Mind(Arc::new(Swap::new(rules.contract.clone(), role))), told: Some(told), may_crash }
    }

    /// The machine.
    pub fn swap(&self) -> &Swap {
        &self.mind.0
    }

    /// Whether it was restarted and has not heard of the chains since.
    pub fn is_deaf(&self) -> bool {
        self.told.is_none()
    }

    /// Whether it has heard of both chains since time last moved.
    pub fn is_up_to_date(&self, state: &State) -> bool {
        self.told.is_some_and(|told| SIDES.iter().zip(told).all(|(side, told)| told.tip.time == state.seen(*side).time))
    }

    /// Whether a chain shows something of its leg that it has not heard.
    pub fn has_missed(&self, state: &State) -> bool {
        self.told.is_none_or(|told| SIDES.iter().zip(told).any(|(side, told)| told.htlc != state.shown(*side)))
    }

    /// The clocks it judges by.
    fn clocks(&self, state: &State) -> Option<Clocks> {
        let [alpha, beta] = self.told?;
        let fit = [alpha.tip.time == state.median(), beta.tip.time == state.now];
        Some(Clocks { alpha: alpha.tip.tip(Side::Alpha, fit[0]), beta: beta.tip.tip(Side::Beta, fit[1]), now: state.now.unix() })
    }

    /// What it wants, by what it has heard.
    pub fn wants(&self, state: &State) -> Option<Action> {
        self.swap().wants(&self.clocks(state)?)
    }
}

const SIDES: [Side; 2] = [Side::Alpha, Side::Beta];

/// What there is to tell a party of a chain.
fn there_is(state: &State, rules: &Rules, role: Role, side: Side) -> Told {
    let mut tip = state.seen(side);
    if rules.mutant == Some(Mutant::RevealAtDepth0) && role == Role::Initiator && side == Side::Beta {
        tip.final_height = tip.height;
    }
    Told { tip, htlc: state.shown(side) }
}

/// A party hears all that is new of a chain's leg, and where the chains stand; of the other chain only if its leg has no news.
/// [`None`] if nothing is new.
pub fn look(state: &State, rules: &Rules, role: Role, side: Side) -> Option<State> {
    let told = state.party(role)?.told?;
    let there = SIDES.map(|side| there_is(state, rules, role, side));
    let is_news = [0, 1].map(|at| told[at].htlc != there[at].htlc);
    let (this, other) = match side {
        Side::Alpha => (0, 1),
        Side::Beta => (1, 0),
    };
    // Without news both tips come at once.
    if !is_news[this] && (is_news[other] || side == Side::Beta || told == there) {
        return None;
    }
    let mut now = there;
    if is_news[other] {
        now[other] = told[other];
    }
    let sightings = news(side, told[this].htlc, now[this].htlc, &rules.preimage);
    Some(hear(state, role, sightings.into_iter().map(|sighting| (side, sighting)), now))
}

/// A restarted party hears of both chains: all of the leg's past that still matters, and what is absent.
pub fn wake(state: &State, rules: &Rules, role: Role) -> Option<State> {
    if !state.party(role)?.is_deaf() {
        return None;
    }
    let there = SIDES.map(|side| there_is(state, rules, role, side));
    let all = SIDES.into_iter().flat_map(|side| all(side, state.shown(side), &rules.preimage).map(move |sighting| (side, sighting)));
    Some(hear(state, role, all, there))
}

/// The sightings are judged by the tips before them, or after a restart by those behind them; then comes the tip, and with it
/// perhaps the end.
fn hear(state: &State, role: Role, sightings: impl Iterator<Item = (Side, Sighting)>, told: [Told; 2]) -> State {
    let mut next = state.clone();
    let Player::Honest(party) = next.player_mut(role) else { return next };
    party.told.get_or_insert(told);
    let mut refused = false;
    if let Some(clocks) = party.clocks(state) {
        for (side, sighting) in sightings {
            let swap = Arc::make_mut(&mut party.mind.0);
            refused |= swap.handle(&Event { clocks, fact: Fact::Seen(side, sighting) }).is_err();
        }
    }
    party.told = Some(told);
    if let Some(clocks) = party.clocks(state)
        && party.swap().has_ended(&clocks)
    {
        let swap = Arc::make_mut(&mut party.mind.0);
        refused |= swap.handle(&Event { clocks, fact: Fact::Clock }).is_err();
    }
    if let Some(outcome) = party.swap().outcome() {
        *next.player_mut(role) = Player::Ended(outcome);
    }
    next.faults.refused_sighting |= refused;
    next
}

/// The sightings that lead from what was told of a leg to what there is.
fn news(side: Side, before: Option<Htlc>, now: Option<Htlc>, preimage: &Preimage) -> Vec<Sighting> {
    let mut out = Vec::new();
    let same = before.filter(|before| now.is_some_and(|now| now.number == before.number));
    if before.is_some() && same.is_none() {
        out.push(Sighting::FundingLost);
    }
    let Some(now) = now else { return out };
    if same.is_none_or(|same| same.at != now.at) {
        out.push(Sighting::Funded(funding(side, &now)));
    }
    let known = same.and_then(|same| same.exit);
    match now.exit {
        Some(new) if known == Some(new) => {}
        Some(new) => out.push(exit(side, new, preimage)),
        None if known.is_some() => out.push(Sighting::SpendLost),
        None => {}
    }
    out
}

/// All there is to say to who may remember anything.
fn all(side: Side, now: Option<Htlc>, preimage: &Preimage) -> impl Iterator<Item = Sighting> {
    let spend = |htlc: Htlc| htlc.exit.map_or(Sighting::SpendLost, |spend| exit(side, spend, preimage));
    let sightings = match now {
        Some(htlc) => [Some(Sighting::Bound(funding(side, &htlc))), Some(spend(htlc))],
        None => [Some(Sighting::FundingLost), None],
    };
    sightings.into_iter().flatten()
}

/// How far a party gets with what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// It is stored, then sent.
    Sent,
    /// It is stored; then the party crashes.
    Stored,
}

/// A party does what it wants: the attempt is stored, then the transaction sent. [`None`] if it wants nothing that changes
/// anything: what its node knows already is not sent anew.
pub fn act(state: &State, rules: &Rules, role: Role, reach: Reach) -> Option<(Step, State)> {
    let party = state.party(role)?;
    let clocks = party.clocks(state)?;
    let action = party.swap().wants(&clocks)?;
    let mut next = state.clone();
    let first = !party.swap().has_attempted(action.step);
    if first {
        let Player::Honest(party) = next.player_mut(role) else { return None };
        // What cannot be stored is not sent.
        Arc::make_mut(&mut party.mind.0).handle(&Event { clocks, fact: Fact::Attempted(action) }).ok()?;
    }
    match reach {
        Reach::Sent => {
            let permitted = party.swap().reveal_permit(action.step, &clocks).is_some();
            let sent = send(&mut next, rules, action, permitted, &clocks);
            (sent || first).then_some((action.step, next))
        }
        Reach::Stored if first && party.may_crash => crash(&next, rules, role).map(|next| (action.step, next)),
        Reach::Stored => None,
    }
}

/// Sends what the chain takes. Returns whether the chain did not know it.
fn send(state: &mut State, rules: &Rules, action: Action, permitted: bool, clocks: &Clocks) -> bool {
    match action.step {
        Step::FundAlpha => {
            state.faults.funded_twice |= action.refund_after != Some(rules.t1.on_chain());
            state.fund(Side::Alpha, 0, rules.t1)
        }
        Step::FundBeta => {
            let Some(until) = action.refund_after.map(Minute::of) else { return false };
            state.faults.funded_twice |= state.funded_until.is_some_and(|before| before != until);
            state.funded_until = Some(until);
            until > state.now && state.fund(Side::Beta, 0, until)
        }
        Step::RedeemBeta => {
            let Some(htlc) = state.beta.htlc.filter(|htlc| !htlc.at.is_waiting()) else { return false };
            if !permitted || !rules.beta_allows(state.now, &htlc, Way::Redeem) {
                state.faults.unsafe_reveal |= !permitted;
                return false;
            }
            let first = !std::mem::replace(&mut state.shown, true);
            state.faults.unsafe_reveal |= first && !is_safe(state, rules, clocks);
            state.exit(Side::Beta, Way::Redeem)
        }
        Step::RefundBeta => {
            let due = state.beta.htlc.is_some_and(|htlc| !htlc.at.is_waiting() && rules.beta_allows(state.now, &htlc, Way::Refund));
            due && state.exit(Side::Beta, Way::Refund)
        }
        Step::RedeemAlpha => permitted && rules.alpha_allows(state, Way::Redeem) && state.exit(Side::Alpha, Way::Redeem),
        Step::RefundAlpha => rules.alpha_allows(state, Way::Refund) && state.exit(Side::Alpha, Way::Refund),
    }
}

fn is_safe(state: &State, rules: &Rules, clocks: &Clocks) -> bool {
    let Tip { time, .. } = clocks.alpha;
    let in_time = Minute::of(time).plus(minutes(POLICY.alpha_redeem_margin)) <= rules.t1;
    in_time && rules.is_safe_reveal(state, Minute::of(clocks.beta.time))
}

/// A party's process dies with what was told to it. A power cut, which may also lose what was seen since the last fsync, is no
/// different: the streams tell all of that again, and attempts and the preimage are synced at once.
fn crash(state: &State, rules: &Rules, role: Role) -> Option<State> {
    let party = state.party(role)?;
    if !party.may_crash || state.budget.troubles == 0 {
        return None;
    }
    let mind = Mind(Arc::new(Swap::restore(party.swap().id(), rules.contract.clone(), party.swap().snapshot())));
    let mut next = state.clone();
    *next.player_mut(role) = Player::Honest(Party { mind, told: None, may_crash: false });
    next.crashed = true;
    next.budget.troubles -= 1;
    Some(next)
}

/// A party's process dies, and is started again from what is stored. How long it is away makes no difference to looking late.
/// [`None`] if it would not notice that it was away.
pub fn restart(state: &State, rules: &Rules, role: Role) -> Option<State> {
    let before = state.party(role)?;
    let there = SIDES.map(|side| there_is(state, rules, role, side));
    if !before.may_crash || before.told.is_some_and(|told| told[0].htlc == there[0].htlc && told[1].htlc == there[1].htlc) {
        return None;
    }
    wake(&crash(state, rules, role)?, rules, role)
}

impl State {
    /// A funding is sent. Returns whether there was none.
    pub fn fund(&mut self, side: Side, number: u8, refund_after: Minute) -> bool {
        let chain = self.chain_mut(side);
        let free = chain.htlc.is_none();
        if free {
            chain.htlc = Some(Htlc { number, refund_after, at: At::Waiting, exit: None });
        }
        free
    }

    /// A spend is sent; one that takes the place of another needs what is left of that budget.
    pub fn exit(&mut self, side: Side, way: Way) -> bool {
        let replaces = self.chain(side).exit().is_some();
        if replaces && self.budget.replacements == 0 {
            return false;
        }
        let sent = self.chain_mut(side).send_exit(way);
        if sent && replaces {
            self.budget.replacements -= 1;
        }
        sent
    }
}
