//! The state diagram, drawn from the decision table itself: every pair of leg states that the parties' own steps lead to, what
//! each party wants there, and in which situations.

use super::fixture::{Deal, clocks, funded, spend};
use crate::document::{Asset, Role};
use crate::event::Step;
use crate::leg::{Funding, LegStatus, Side, Sighting};
use crate::outcome::Outcome;
use crate::swap::Swap;
use crate::time::{ChainTime, Clocks, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

/// The line before the diagram in a Markdown file.
pub const BEGIN: &str = "<!-- state diagram: generated -->";
/// The line behind it.
pub const END: &str = "<!-- /state diagram -->";

/// One leg without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegState {
    /// No HTLC.
    Unfunded,
    /// It holds the money.
    Funded,
    /// The money went to the other party.
    Redeemed,
    /// The money went back.
    Refunded,
}

impl LegState {
    /// All of them.
    pub const ALL: [LegState; 4] = [LegState::Unfunded, LegState::Funded, LegState::Redeemed, LegState::Refunded];

    fn name(self) -> &'static str {
        match self {
            LegState::Unfunded => "unfunded",
            LegState::Funded => "funded",
            LegState::Redeemed => "redeemed",
            LegState::Refunded => "refunded",
        }
    }

    fn status(self, htlc: &str, refund_after: ChainTime, height: u64) -> LegStatus {
        let Sighting::Funded(funding) = funded(htlc, refund_after, height) else { unreachable!("that is what it makes") };
        let with = |build: fn(Funding, crate::leg::Spend) -> LegStatus| build(funding.clone(), spend("spend", 995));
        match self {
            LegState::Unfunded => LegStatus::Unfunded,
            LegState::Funded => LegStatus::Funded(funding),
            LegState::Redeemed => with(LegStatus::Redeemed),
            LegState::Refunded => with(LegStatus::Refunded),
        }
    }
}

/// The circumstances that decide, apart from the two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// Fit chains, a deep alpha, a final beta, and time enough.
    InTime,
    /// The same, but a chain is not fit.
    Unfit,
    /// The same, but alpha is not deep and beta not final.
    Shallow,
    /// The reveal's cutoff has passed, T2 has not; no preimage has left.
    AfterCutoff,
    /// The preimage has left or is public, whatever the cutoff and the chains' fitness; before T2.
    Revealed,
    /// After T2, before T1; no preimage has left.
    AfterT2,
    /// After T2, before T1; the preimage is public.
    RevealedAfterT2,
    /// After T1; no preimage has left.
    AfterT1,
    /// After T1; the preimage is public.
    RevealedAfterT1,
}

impl Situation {
    /// All of them.
    pub const ALL: [Situation; 9] = [
        Situation::InTime,
        Situation::Unfit,
        Situation::Shallow,
        Situation::AfterCutoff,
        Situation::Revealed,
        Situation::AfterT2,
        Situation::RevealedAfterT2,
        Situation::AfterT1,
        Situation::RevealedAfterT1,
    ];

    fn words(self) -> &'static str {
        match self {
            Situation::InTime => "in time",
            Situation::Unfit => "unfit chain",
            Situation::Shallow => "not deep or final",
            Situation::AfterCutoff => "after the cutoff",
            Situation::Revealed => "preimage out",
            Situation::AfterT2 => "after T2",
            Situation::RevealedAfterT2 => "after T2 with preimage out",
            Situation::AfterT1 => "after T1",
            Situation::RevealedAfterT1 => "after T1 with preimage out",
        }
    }

    /// Whether it can be in that state: a redeemed leg has shown the preimage, and without a beta there is no T2,
    /// and what is not funded has no depth.
    pub fn occurs(self, (alpha, beta): State) -> bool {
        let shown = alpha == LegState::Redeemed || beta == LegState::Redeemed;
        let by_t2 = match self {
            Situation::AfterCutoff | Situation::AfterT2 | Situation::RevealedAfterT2 => true,
            Situation::InTime
            | Situation::Unfit
            | Situation::Shallow
            | Situation::Revealed
            | Situation::AfterT1
            | Situation::RevealedAfterT1 => false,
        };
        let funded = alpha != LegState::Unfunded || beta != LegState::Unfunded;
        (self.is_revealed() || !shown) && (beta != LegState::Unfunded || !by_t2) && (funded || self != Situation::Shallow)
    }

    fn is_revealed(self) -> bool {
        match self {
            Situation::Revealed | Situation::RevealedAfterT2 | Situation::RevealedAfterT1 => true,
            Situation::InTime
            | Situation::Unfit
            | Situation::Shallow
            | Situation::AfterCutoff
            | Situation::AfterT2
            | Situation::AfterT1 => false,
        }
    }
}

/// Both legs.
pub type State = (LegState, LegState);

/// What a party wants, taken from the table.
pub fn step(role: Role, state: State, situation: Situation) -> Option<Step> {
    let (swap, clocks) = scene(role, state, situation);
    swap.wants(&clocks).map(|action| action.step)
}

/// How the swap has ended for a party once everything is final and both timelocks are long past.
pub fn outcome(role: Role, state: State) -> Option<Outcome> {
    let (swap, mut clocks) = scene(role, state, Situation::AfterT1);
    for tip in [&mut clocks.alpha, &mut clocks.beta] {
        tip.final_height = tip.height;
        tip.time = tip.time.plus(Span::hours(48));
    }
    swap.ended(&clocks)
}

/// The diagram as Mermaid's `stateDiagram-v2`.
pub fn mermaid() -> String {
    let mut out = String::from("stateDiagram-v2\n    direction TB\n");
    let write = "writing to a string cannot fail";
    let states = reachable();
    for state in &states {
        writeln!(out, "    state \"alpha {}, beta {}\" as {}", state.0.name(), state.1.name(), id(*state)).expect(write);
    }
    writeln!(out, "    [*] --> {}", id((LegState::Unfunded, LegState::Unfunded))).expect(write);
    for state in &states {
        for ((role, step), situations) in wanted(*state) {
            let words: Vec<&str> = situations.iter().map(|situation| situation.words()).collect();
            let label = format!("{} {} ({})", role_name(role), verb(step), words.join(" / "));
            writeln!(out, "    {} --> {}: {label}", id(*state), id(after(*state, step))).expect(write);
        }
    }
    for state in &states {
        let ends: Vec<String> = [Role::Initiator, Role::Participant]
            .into_iter()
            .filter_map(|role| outcome(role, *state).map(|outcome| format!("{} {}", role_name(role), outcome_name(outcome))))
            .collect();
        if !ends.is_empty() {
            writeln!(out, "    {} --> [*]: {}", id(*state), ends.join(", ")).expect(write);
        }
    }
    out
}

/// A Markdown text with the diagram put between its two markers; [`None`] if it lacks them.
pub fn put_into(markdown: &str) -> Option<String> {
    let (head, rest) = markdown.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n```mermaid\n{}```\n{END}{tail}", mermaid()))
}

/// The states that the parties' own steps lead to, the first one first.
pub fn reachable() -> Vec<State> {
    let mut seen = vec![(LegState::Unfunded, LegState::Unfunded)];
    let mut queue = VecDeque::from(seen.clone());
    while let Some(state) = queue.pop_front() {
        for (_, step) in wanted(state).into_keys() {
            let next = after(state, step);
            if !seen.contains(&next) {
                seen.push(next);
                queue.push_back(next);
            }
        }
    }
    seen
}

fn wanted(state: State) -> BTreeMap<(Role, Step), BTreeSet<Situation>> {
    let mut wanted: BTreeMap<(Role, Step), BTreeSet<Situation>> = BTreeMap::new();
    for role in [Role::Initiator, Role::Participant] {
        for situation in Situation::ALL.into_iter().filter(|situation| situation.occurs(state)) {
            if let Some(step) = step(role, state, situation) {
                wanted.entry((role, step)).or_default().insert(situation);
            }
        }
    }
    wanted
}

fn after((alpha, beta): State, step: Step) -> State {
    let to = match step {
        Step::FundAlpha | Step::FundBeta => LegState::Funded,
        Step::RedeemAlpha | Step::RedeemBeta => LegState::Redeemed,
        Step::RefundAlpha | Step::RefundBeta => LegState::Refunded,
    };
    match step.side() {
        Side::Alpha => (to, beta),
        Side::Beta => (alpha, to),
    }
}

/// A swap in that state, as its party would have come there, and the clocks of that situation.
fn scene(role: Role, (alpha, beta): State, situation: Situation) -> (Swap, Clocks) {
    let deal = Deal::new(Asset::Tft);
    let mut swap = deal.swap(role);
    let mut clocks = clocks(&deal);
    let t1 = swap.contract.alpha_refund_after();
    let t2 = clocks.beta.time.plus(deal.policy.beta_window);
    let (alpha_at, beta_at) = if situation == Situation::Shallow { (1000, 1000) } else { (990, 990) };
    swap.alpha = alpha.status("alpha", t1, alpha_at);
    swap.beta = beta.status("beta", t2, beta_at);
    let shown = alpha == LegState::Redeemed || beta == LegState::Redeemed;
    swap.preimage = (shown || situation.is_revealed()).then(|| deal.preimage());
    if role == Role::Initiator && alpha != LegState::Unfunded {
        swap.attempted.insert(Step::FundAlpha, Some(t1));
    }
    if role == Role::Participant && beta != LegState::Unfunded {
        swap.attempted.insert(Step::FundBeta, Some(t2));
    }
    match situation {
        Situation::InTime | Situation::Shallow => {}
        Situation::Unfit => clocks.beta.healthy = false,
        Situation::AfterCutoff | Situation::Revealed => {
            clocks.beta.time = t2.minus(Span::secs(60));
            clocks.beta.healthy = situation != Situation::Revealed;
        }
        Situation::AfterT2 | Situation::RevealedAfterT2 => clocks.beta.time = t2.plus(Span::secs(60)),
        Situation::AfterT1 | Situation::RevealedAfterT1 => {
            clocks.beta.time = t1.plus(Span::secs(60));
            clocks.alpha.time = t1.plus(Span::secs(60));
        }
    }
    if situation != Situation::InTime && situation != Situation::Shallow && situation != Situation::Unfit {
        clocks.now = swap.contract.alpha_deep_by().plus(Span::hours(1));
    }
    (swap, clocks)
}

fn id((alpha, beta): State) -> String {
    format!("{}_{}", alpha.name(), beta.name())
}

fn verb(step: Step) -> &'static str {
    match step {
        Step::FundAlpha => "funds alpha",
        Step::FundBeta => "funds beta",
        Step::RedeemBeta => "redeems beta",
        Step::RedeemAlpha => "redeems alpha",
        Step::RefundAlpha => "refunds alpha",
        Step::RefundBeta => "refunds beta",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Initiator => "initiator",
        Role::Participant => "participant",
    }
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Refunded => "refunded",
        Outcome::Abandoned => "abandoned",
        Outcome::Lost => "lost",
    }
}
