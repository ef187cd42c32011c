//! The model: what may happen next in a state, and what comes of it.

use crate::adversary::{self, Move};
use crate::chain::{At, Chain};
use crate::clock::Minute;
use crate::moments::tick;
use crate::party::{Party, Reach, act, look, restart, wake};
use crate::properties;
use crate::rules::{Mutant, Rules};
use crate::state::{Budget, Faults, Player, State};
use stateright::{Model, Property};
use swap_contract::document::Role;
use swap_contract::leg::Side;

/// Who plays whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Config {
    /// Two honest parties.
    BothHonest,
    /// An honest initiator against anybody.
    AdversarialParticipant,
    /// An honest participant against anybody.
    AdversarialInitiator,
}

impl Config {
    /// All of them.
    pub const ALL: [Config; 3] = [Config::BothHonest, Config::AdversarialParticipant, Config::AdversarialInitiator];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Config::BothHonest => "both-honest",
            Config::AdversarialParticipant => "adversarial-participant",
            Config::AdversarialInitiator => "adversarial-initiator",
        }
    }

    fn is_honest(self, role: Role) -> bool {
        match (self, role) {
            (Config::BothHonest, Role::Initiator | Role::Participant) => true,
            (Config::AdversarialParticipant, Role::Initiator) | (Config::AdversarialInitiator, Role::Participant) => true,
            (Config::AdversarialParticipant, Role::Participant) | (Config::AdversarialInitiator, Role::Initiator) => false,
        }
    }
}

/// How much goes wrong in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Whether each honest party may crash, once.
    pub crashes: bool,
    /// The rest.
    pub budget: Budget,
}

impl Bounds {
    /// One trouble at a time: seconds.
    pub const SHORT: Bounds = Bounds { budget: Budget { troubles: 1, ..Bounds::FULL.budget }, ..Bounds::FULL };

    /// What is checked by default.
    pub const FULL: Bounds =
        Bounds { crashes: true, budget: Budget { troubles: 2, reorgs: 1, withdrawals: 1, replacements: 2, fundings: 2 } };
}

/// One configuration of the model.
#[derive(Clone, Debug)]
pub struct SwapModel {
    /// Who plays whom.
    pub config: Config,
    /// How much goes wrong.
    pub bounds: Bounds,
    /// The contract and the chains.
    pub rules: Rules,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// A party hears what is new of a chain.
    Look(Role, Side),
    /// A restarted party hears of both chains.
    Wake(Role),
    /// A party does what it wants.
    Act(Role, Reach),
    /// A party's process dies and starts again.
    Crash(Role),
    /// An adversary does something.
    Play(Role, Move),
    /// Blocks are made. What waits gets in, or not.
    Blocks(Side, bool),
    /// What is in beta's blocks becomes final.
    Finalise,
    /// Alpha's newest steps are replaced: one or two.
    Reorg(u8),
    /// Beta's blocks that are not final are replaced.
    Fork,
    /// Time goes on, perhaps with Bitcoin's clock leaping ahead.
    Tick(bool),
}

impl SwapModel {
    /// A configuration under its bounds.
    pub fn new(config: Config, bounds: Bounds, mutant: Option<Mutant>) -> Self {
        Self { config, bounds, rules: Rules::new(mutant) }
    }

    fn start(&self) -> State {
        let mut state = State {
            now: Minute(0),
            leapt: false,
            alpha: Chain::START,
            beta: Chain::START,
            initiator: Player::Adversary,
            participant: Player::Adversary,
            shown: false,
            funded_until: None,
            budget: self.bounds.budget,
            crashed: false,
            faults: Faults::default(),
        };
        let tips = [state.seen(Side::Alpha), state.seen(Side::Beta)];
        for role in [Role::Initiator, Role::Participant] {
            if self.config.is_honest(role) {
                *state.player_mut(role) = Player::Honest(Party::new(&self.rules, role, tips, self.bounds.crashes));
            }
        }
        state
    }

    /// What happens by itself, whatever an adversary does: honest parties act, blocks come, time passes.
    fn course(state: &State, out: &mut Vec<Happening>) {
        for side in [Side::Alpha, Side::Beta] {
            if state.chain(side).has_waiting() || side == Side::Alpha && state.alpha.is_open() {
                out.push(Happening::Blocks(side, true));
            }
        }
        if state.beta.is_open() {
            out.push(Happening::Finalise);
        }
        for role in [Role::Initiator, Role::Participant] {
            if let Some(party) = state.party(role) {
                if party.is_deaf() {
                    out.push(Happening::Wake(role));
                } else {
                    out.extend([Side::Alpha, Side::Beta].map(|side| Happening::Look(role, side)));
                    out.push(Happening::Act(role, Reach::Sent));
                }
            }
        }
        out.push(Happening::Tick(false));
    }

    /// Whether nothing happens any more unless an adversary moves or something goes wrong.
    pub fn is_at_rest(&self, state: &State) -> bool {
        if [&state.alpha, &state.beta].into_iter().any(|chain| chain.has_waiting() || chain.is_open()) {
            return false;
        }
        let mut course = Vec::new();
        Self::course(state, &mut course);
        course.into_iter().all(|one| self.next_state(state, one).is_none())
    }
}

impl Model for SwapModel {
    type State = State;
    type Action = Happening;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, out: &mut Vec<Happening>) {
        if state.all_ended() {
            return;
        }
        Self::course(state, out);
        let trouble = state.budget.troubles > 0;
        // A leap takes time from a participant who must redeem alpha. Before beta is funded it only makes it refuse.
        if trouble && self.config == Config::AdversarialInitiator && state.beta.htlc.is_some() && !state.leapt {
            out.push(Happening::Tick(true));
        }
        // A block that what waits does not get into makes a difference if something else gets deeper.
        if state.alpha.has_waiting() && state.alpha.is_open() {
            out.push(Happening::Blocks(Side::Alpha, false));
        }
        for role in [Role::Initiator, Role::Participant] {
            if trouble && state.party(role).is_some_and(|party| party.may_crash) {
                out.extend([Happening::Crash(role), Happening::Act(role, Reach::Stored)]);
            }
            if state.is_adversary(role) {
                let mut moves = Vec::new();
                adversary::moves(state, &self.rules, role, &mut moves);
                out.extend(moves.into_iter().map(|one| Happening::Play(role, one)));
            }
        }
        if trouble && state.budget.reorgs > 0 {
            out.extend([1, 2].into_iter().filter(|steps| may_reorg(state, *steps)).map(Happening::Reorg));
            if state.beta.is_open() {
                out.push(Happening::Fork);
            }
        }
    }

    fn next_state(&self, state: &State, happening: Happening) -> Option<State> {
        let rules = &self.rules;
        match happening {
            Happening::Look(role, side) => look(state, rules, role, side),
            Happening::Wake(role) => wake(state, rules, role),
            Happening::Act(role, reach) => act(state, rules, role, reach).map(|(_, next)| next),
            Happening::Crash(role) => restart(state, rules, role),
            Happening::Play(role, one) => adversary::play(state, rules, role, one),
            Happening::Blocks(side, take) => {
                let mut next = state.clone();
                let chain = next.chain_mut(side);
                // Only the participant cares whether alpha is deep or final.
                if side == Side::Alpha && state.is_adversary(Role::Participant) && chain.is_open() {
                    chain.grow(false);
                }
                chain.grow(take);
                if side == Side::Alpha {
                    chain.final_height = chain.height - 2;
                }
                Some(next)
            }
            Happening::Finalise => {
                let mut next = state.clone();
                next.beta.final_height = next.beta.height;
                Some(next)
            }
            Happening::Reorg(steps) => {
                let mut next = state.clone();
                next.budget.reorgs -= 1;
                next.budget.troubles -= 1;
                next.alpha.take_back(next.alpha.height - steps);
                Some(next)
            }
            Happening::Fork => {
                let mut next = state.clone();
                next.budget.reorgs -= 1;
                next.budget.troubles -= 1;
                next.beta.take_back(next.beta.final_height);
                next.beta.drop_invalid(|htlc| state.now < htlc.refund_after, |htlc, way| rules.beta_allows(state.now, htlc, way));
                Some(next)
            }
            Happening::Tick(leap) => tick(state, rules, leap),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

/// Alpha's newest steps are replaced by empty blocks. One step, two blocks, takes out what is too shallow for beta; two, five
/// blocks, also what is deeper but not final. The policy's depth is the assumption that a funding is not taken out by that.
fn may_reorg(state: &State, steps: u8) -> bool {
    let alpha = &state.alpha;
    let above = |steps: u8| alpha.has_above(alpha.height - steps);
    let funding_is_deep = alpha.htlc.is_some_and(|htlc| matches!(htlc.at, At::Block(at) if at <= alpha.height - 2));
    match steps {
        1 => above(1),
        // What is in the newest step only, the smaller reorg takes out too.
        _ => funding_is_deep && above(2) && !above(1),
    }
}
