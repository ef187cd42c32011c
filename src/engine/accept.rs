//! Which orders the owner takes without being asked, and the owner's word on the others.
//!
//! A word counts until the waiting period is over and not longer: then the block becomes known that equal prices are drawn by, and
//! whoever could still confirm or refuse would choose among the winners. What the word leads to is in the signed decision.

use super::Engine;
use crate::api::{ConfirmState, Direction, OrderState, OrderView, RefuseOrder};
use crate::error::ApiError;
use crate::store::{OrderRow, OwnerWord};
use serde::{Deserialize, Serialize};
use swap_contract::amount::{Price, Units};
use swap_contract::bytes::OrderId;
use swap_contract::document::{Considered, Order};
use swap_contract::policy::Policy;
use swap_contract::time::Span;
use tracing::info;

/// Why an order is refused that its owner was to confirm and did not.
const NOT_CONFIRMED: &str = "its owner has not confirmed it in time";
/// Why an order is refused whose owner gave no reason.
const REFUSED: &str = "its owner has refused it";

/// Which of the orders for this engine's offers are accepted.
#[derive(Clone, Debug, Default)]
pub struct AcceptSettings {
    /// Swaps open at the same time, at most. No confirmation goes beyond it.
    pub max_open: Option<u32>,
    /// And with one counterparty.
    pub max_open_each: Option<u32>,
    /// No lower price than this.
    pub min_price: Option<Price>,
    /// No higher price than this.
    pub max_price: Option<Price>,
    /// No larger order than this.
    pub max_amount: Option<Units>,
    /// No taker whose reputation counts less than this.
    pub min_reputation: Option<u64>,
    /// Which orders wait for the owner's word.
    pub confirm: ConfirmWhen,
}

/// Which orders wait for the owner's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmWhen {
    /// None: what is outside of the above is refused.
    #[default]
    Never,
    /// Those.
    Outside,
    /// All.
    Always,
}

impl AcceptSettings {
    /// Why an order is not one that the owner takes without being asked, if so.
    pub(super) fn outside(&self, row: &OrderRow) -> Option<String> {
        self.outside_with(&row.signed.document, row.reputation())
    }

    fn outside_with(&self, order: &Order, reputation: u64) -> Option<String> {
        let mut reasons = Vec::new();
        if let Some(least) = self.min_price.filter(|least| order.price.compare(least).is_lt()) {
            reasons.push(format!("its price is below {} sat for {} units", least.sats, least.units));
        }
        if let Some(most) = self.max_price.filter(|most| order.price.compare(most).is_gt()) {
            reasons.push(format!("its price is above {} sat for {} units", most.sats, most.units));
        }
        if let Some(most) = self.max_amount.filter(|most| order.amount > *most) {
            reasons.push(format!("its amount is above {most} units"));
        }
        if let Some(least) = self.min_reputation.filter(|least| reputation < *least) {
            reasons.push(format!("its taker's reputation is below {least}"));
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Why an order is refused when its round is decided, if so.
    pub(super) fn refusal(&self, row: &OrderRow) -> Option<String> {
        self.refusal_with(row.word.as_ref(), self.outside(row))
    }

    fn refusal_with(&self, word: Option<&OwnerWord>, outside: Option<String>) -> Option<String> {
        match (word, self.confirm) {
            (Some(OwnerWord::Refused(reason)), _) => Some(reason.clone()),
            (Some(OwnerWord::Confirmed), ConfirmWhen::Outside | ConfirmWhen::Always) => None,
            (Some(OwnerWord::Confirmed) | None, ConfirmWhen::Never) => outside,
            (None, ConfirmWhen::Outside) => outside.map(|why| format!("{NOT_CONFIRMED}: {why}")),
            (None, ConfirmWhen::Always) => Some(NOT_CONFIRMED.into()),
        }
    }

    /// Whether an order needs the owner's word, and what it was. None of this engine's own orders does.
    pub(super) fn confirm_state(&self, row: &OrderRow) -> Option<ConfirmState> {
        match (row.direction, &row.word) {
            (Direction::Placed, _) => None,
            (Direction::Received, Some(OwnerWord::Confirmed)) => Some(ConfirmState::Confirmed),
            (Direction::Received, Some(OwnerWord::Refused(_))) => Some(ConfirmState::Refused),
            (Direction::Received, None) if row.state == OrderState::Waiting && self.needs_word(row) => Some(ConfirmState::Needed),
            (Direction::Received, None) => Some(ConfirmState::NotNeeded),
        }
    }

    /// How long an offer waits for orders if its owner does not say: as long as it may where a person is to answer.
    pub(super) fn waiting_period(&self, policy: &Policy) -> Span {
        let (least, most) = policy.waiting_period;
        match self.confirm {
            ConfirmWhen::Never => least,
            ConfirmWhen::Outside | ConfirmWhen::Always => most,
        }
    }

    fn needs_word(&self, row: &OrderRow) -> bool {
        match self.confirm {
            ConfirmWhen::Never => false,
            ConfirmWhen::Outside => self.outside(row).is_some(),
            ConfirmWhen::Always => true,
        }
    }
}

impl Engine {
    /// The owner takes an order that waits for its word. May be repeated, and taken back by [`Engine::order_refuse`], until the waiting
    /// period is over.
    pub async fn order_confirm(&self, id: OrderId) -> Result<OrderView, ApiError> {
        self.give_word(id, OwnerWord::Confirmed).await
    }

    /// The owner refuses a waiting order, be it one that waits for its word or not. May be repeated, and taken back by
    /// [`Engine::order_confirm`], until the waiting period is over. The taker reads the reason in the signed decision.
    pub async fn order_refuse(&self, refuse: RefuseOrder) -> Result<OrderView, ApiError> {
        let reason = refuse.reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| REFUSED.into());
        Considered::check_reason(&reason)?;
        self.give_word(refuse.id, OwnerWord::Refused(reason)).await
    }

    async fn give_word(&self, id: OrderId, word: OwnerWord) -> Result<OrderView, ApiError> {
        let _guard = self.market_lock().await;
        let wrong = |reason: String| Err(ApiError::WrongState { reason });
        let row = self.store().order(&id).await?.ok_or(ApiError::NotFound { what: "order" })?;
        match (row.direction, row.state) {
            (Direction::Placed, _) => return wrong("the order is this engine's own: its maker says yes or no to it".into()),
            (Direction::Received, OrderState::Waiting) if row.decide_at > self.now() => {}
            (Direction::Received, OrderState::Waiting) => return wrong("the order's waiting period is over".into()),
            (
                Direction::Received,
                state @ (OrderState::Offered | OrderState::Agreed | OrderState::Refused | OrderState::Expired | OrderState::Cancelled),
            ) => return wrong(format!("the order is {state:?}").to_lowercase()),
        }
        let never = word == OwnerWord::Confirmed && self.0.accept.confirm == ConfirmWhen::Never;
        if let Some(why) = self.0.accept.outside(&row).filter(|_| never) {
            return wrong(format!("{why}, and `accept.confirm` in the config is \"never\""));
        }
        if !self.keep("order.word", self.store().give_word(&id, &word)).await? {
            return wrong("the order is decided on".into());
        }
        info!(order = %id, ?word, "the owner's word on an order");
        self.order_get(id).await
    }

    /// Says in the log that an order which has just come needs the owner's word, if it does.
    pub(super) fn ask_for_word(&self, row: &OrderRow) {
        if self.0.accept.needs_word(row) {
            let why = self.0.accept.outside(row).unwrap_or_else(|| "every order does".into());
            info!(order = %row.id, why, until = row.decide_at.0, "the order waits for its owner: `twinswap order confirm` or `order refuse`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swap_contract::amount::Sats;
    use swap_contract::document::Asset;
    use swap_contract::testing::fixture::Deal;

    /// What becomes of an order within the rules and of one outside of them, without a word, confirmed and refused by the owner.
    #[test]
    fn the_owners_word_decides_where_the_config_lets_it() {
        let order = Deal::new(Asset::Tft).order().document;
        let refused = OwnerWord::Refused("no".into());
        let words = [None, Some(&OwnerWord::Confirmed), Some(&refused)];
        let (too_large, late) = ("its amount is above", "its owner has not confirmed it in time");
        let late_and_too_large = format!("{late}: {too_large}");
        for (confirm, within, outside) in [
            (ConfirmWhen::Never, [None, None, Some("no")], [Some(too_large), Some(too_large), Some("no")]),
            (ConfirmWhen::Outside, [None, None, Some("no")], [Some(&*late_and_too_large), None, Some("no")]),
            (ConfirmWhen::Always, [Some(late), None, Some("no")], [Some(late), None, Some("no")]),
        ] {
            for (most, expected) in [(order.amount.0, within), (order.amount.0 - 1, outside)] {
                let accept = AcceptSettings { max_amount: Some(Units(most)), confirm, ..AcceptSettings::default() };
                for (word, expected) in words.into_iter().zip(expected) {
                    let refusal = accept.refusal_with(word, accept.outside_with(&order, 0));
                    let same = refusal.as_deref().zip(expected).is_some_and(|(refusal, expected)| refusal.starts_with(expected));
                    assert!(same || refusal.is_none() && expected.is_none(), "{confirm:?}, at most {most}, {word:?}: {refusal:?}");
                }
            }
        }
    }

    #[test]
    fn a_band_of_prices_is_exact_and_its_ends_are_within() {
        let order = Deal::new(Asset::Tft).order().document;
        let Price { sats, units } = order.price;
        let finer = |sats: u64| Some(Price { sats: Sats(sats), units: Units(units.0 * 1_000) });
        let outside = |min_price, max_price| AcceptSettings { min_price, max_price, ..AcceptSettings::default() }.outside_with(&order, 0);
        assert_eq!(outside(finer(sats.0 * 1_000), finer(sats.0 * 1_000)), None);
        assert!(outside(finer(sats.0 * 1_000 + 1), None).unwrap().contains("below"));
        assert!(outside(None, finer(sats.0 * 1_000 - 1)).unwrap().contains("above"));
    }

    #[test]
    fn every_reason_of_the_engines_own_may_stand_in_a_decision() {
        let most = Price { sats: Sats(u64::MAX), units: Units(u64::MAX) };
        let accept = AcceptSettings {
            min_price: Some(Price { units: Units(u64::MAX - 1), ..most }),
            max_amount: Some(Units(u64::MAX - 1)),
            min_reputation: Some(10),
            confirm: ConfirmWhen::Outside,
            ..AcceptSettings::default()
        };
        let order = Order { price: Price { sats: Sats(1), ..most }, amount: Units(u64::MAX), ..Deal::new(Asset::Tft).order().document };
        Considered::check_reason(&accept.refusal_with(None, accept.outside_with(&order, 0)).unwrap()).unwrap();
        Considered::check_reason(REFUSED).unwrap();
    }
}
