//! The state diagram in ARCHITECTURE.md is the one the decision table gives.

use std::path::Path;
use swap_contract::document::Role;
use swap_contract::outcome::Outcome;
use swap_contract::testing::diagram::{LegState, mermaid, outcome, put_into, reachable};

/// `TWINSWAP_BLESS=1 cargo test -p swap-contract` writes it anew.
#[test]
fn the_diagram_in_the_documentation_is_the_tables_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let fresh = put_into(&text).expect("ARCHITECTURE.md has the two markers of the state diagram");
    if std::env::var_os("TWINSWAP_BLESS").is_some() {
        std::fs::write(&path, fresh).unwrap();
    } else {
        assert!(text == fresh, "ARCHITECTURE.md is behind the decision table; run: TWINSWAP_BLESS=1 cargo test -p swap-contract");
    }
}

#[test]
fn the_diagram_has_every_state_the_parties_lead_to_and_none_in_which_one_has_both() {
    let states = reachable();
    assert!(states.contains(&(LegState::Redeemed, LegState::Redeemed)));
    assert!(states.contains(&(LegState::Refunded, LegState::Refunded)));
    let diagram = mermaid();
    assert!(diagram.starts_with("stateDiagram-v2\n"));
    for state in &states {
        assert!(diagram.contains(&format!(
            "alpha {}, beta {}",
            format!("{:?}", state.0).to_lowercase(),
            format!("{:?}", state.1).to_lowercase()
        )));
    }
    assert_eq!(put_into("no markers"), None);
}

#[test]
fn a_swap_in_which_both_parties_acted_ends_well_for_both() {
    for role in [Role::Initiator, Role::Participant] {
        assert_eq!(outcome(role, (LegState::Redeemed, LegState::Redeemed)), Some(Outcome::Completed));
        assert_eq!(outcome(role, (LegState::Refunded, LegState::Refunded)), Some(Outcome::Refunded));
        assert_eq!(outcome(role, (LegState::Unfunded, LegState::Unfunded)), Some(Outcome::Abandoned));
    }
}
