//! The owner's offers: previewed, signed or taken in, listed, cancelled; and whether the money for them is there.

use super::Engine;
use crate::api::{
    AmountPair, BrowseOffers, Deadlines, ListQuery, OfferPreview, OfferState, OfferSubmit, OfferTerms, OfferView, Page, StepCost, UsdLot,
};
use crate::error::ApiError;
use crate::store::{OfferRow, StoreError};
use swap_contract::amount::{Sats, Units};
use swap_contract::bytes::OfferId;
use swap_contract::document::{Asset, Document, Offer, Role, Sequence, Signed};
use swap_contract::event::Step;
use swap_contract::leg::Side;
use swap_contract::port::QuoteFor;
use swap_contract::time::{ChainTime, latest_beta_timelock};

impl Engine {
    /// What an offer would lead to. Stores nothing.
    pub async fn offer_preview(&self, terms: OfferTerms) -> Result<OfferPreview, ApiError> {
        let min_sats = self.min_swap().await?;
        let (draft, lot_usd) = self.draft(&terms, min_sats).await?;
        draft.check(&self.rules())?;
        let pair = |units: Units| AmountPair { sats: draft.cost(units).unwrap_or_default(), units };
        let (lot, all) = (pair(draft.lot), pair(draft.max));
        let fees = self.step_costs(Role::of_giver(draft.gives), lot).await?;
        let funding_fee = fees.first().map_or(0, |cost| cost.fee);
        let free_balance = self.free(draft.gives).await?;
        let needed = match draft.gives {
            Asset::Btc => all.sats.0,
            Asset::Tft => all.units.0,
        };
        Ok(OfferPreview {
            signing_bytes: hex::encode(draft.signing_bytes()),
            lot,
            lot_usd,
            all,
            fees,
            free_balance,
            covered: free_balance >= needed.saturating_add(funding_fee),
            economic_under_stress: pair(draft.min).sats >= min_sats,
            min_sats,
            deadlines: self.deadlines()?,
            draft,
        })
    }

    /// Takes in an offer signed by an owner, or signs one.
    pub async fn offer_submit(&self, submit: OfferSubmit) -> Result<OfferView, ApiError> {
        let _guard = self.market_lock().await;
        let rules = self.rules();
        let min_sats = self.min_swap().await?;
        let signed = match submit {
            OfferSubmit::Signed(signed) => signed,
            OfferSubmit::Terms(terms) => {
                let (document, _) = self.draft(&terms, min_sats).await?;
                Signed { signature: self.keys().sign(&document), document }
            }
        };
        let offer = signed.verify(&rules)?;
        if !self.is_owner(&offer.owner) {
            return Err(ApiError::UnknownOwner);
        }
        if offer.delegate != self.account() {
            let reason = format!("this engine's account is {}", self.account());
            return Err(ApiError::InvalidParams { field: "delegate", reason });
        }
        if offer.reach != self.reach() {
            return Err(ApiError::InvalidParams { field: "reach", reason: format!("this engine is reached at {}", self.reach()) });
        }
        // An offer that was taken before is no newer than the newest.
        if offer.sequence.0 <= self.store().newest_sequence(&offer.owner).await? {
            return Err(ApiError::Replayed { what: "offer" });
        }
        let least = offer.cost(offer.min).unwrap_or_default();
        if least < min_sats {
            return Err(ApiError::BelowMinimum { sats: least.0, min_sats: min_sats.0 });
        }
        self.check_funds(offer.gives, offer.cost(offer.max).unwrap_or_default(), offer.max).await?;
        let new = OfferRow { id: offer.id(), signed, cancelled: false, taken: 0 };
        self.keep("offer", self.store().insert_offer(&new, rules.now)).await.map_err(|error| match error {
            StoreError::Exists { .. } => ApiError::Replayed { what: "offer" },
            other => ApiError::Store(other),
        })?;
        let offer = &new.signed.document;
        tracing::info!(offer = %new.id, gives = ?offer.gives, max = %offer.max, "offer is open");
        Ok(super::views::offer_view(&new, self.now()))
    }

    /// What a counterparty offers, as it tells.
    pub async fn offer_browse(&self, browse: BrowseOffers) -> Result<Page<OfferView>, ApiError> {
        let BrowseOffers { reach, after, limit } = browse;
        self.call(&reach, "offer.list", &ListQuery { after, limit, open_only: true }).await
    }

    /// This engine's offers, newest first.
    pub async fn offer_list(&self, query: ListQuery) -> Result<Page<OfferView>, ApiError> {
        let (after, limit) = super::page_of(&query)?;
        let now = self.now();
        let rows = self.store().offer_page(&after, limit, query.open_only.then_some(now)).await?;
        let full = rows.len() == usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| row.id.to_string());
        let items = rows.iter().map(|row| super::views::offer_view(row, now));
        let items = items.filter(|view| !query.open_only || view.state == OfferState::Open).collect();
        Ok(Page { items, next })
    }

    /// One offer.
    pub async fn offer_get(&self, id: OfferId) -> Result<OfferView, ApiError> {
        let row = self.store().offer(&id).await?.ok_or(ApiError::NotFound { what: "offer" })?;
        Ok(super::views::offer_view(&row, self.now()))
    }

    /// Takes an offer back. Contracts that are signed already stand.
    pub async fn offer_cancel(&self, id: OfferId) -> Result<OfferView, ApiError> {
        let _guard = self.market_lock().await;
        self.offer_get(id).await?;
        self.store().cancel_offer(&id).await?;
        self.offer_get(id).await
    }

    /// The document, and by what its lot was sized if that was dollars.
    async fn draft(&self, terms: &OfferTerms, min_sats: Sats) -> Result<(Offer, Option<UsdLot>), ApiError> {
        let rules = self.rules();
        let policy = rules.policy;
        let price = terms.price;
        if price.sats.0 == 0 || price.units.0 == 0 {
            return Err(ApiError::InvalidParams { field: "price", reason: "two whole numbers above zero".into() });
        }
        let (lot, lot_usd) = self.lot(terms).await?;
        let least = (u128::from(min_sats.0) * u128::from(price.units.0)).div_ceil(u128::from(price.sats.0));
        let least = Units(u64::try_from(least).unwrap_or(u64::MAX));
        let lifetime = terms.lifetime.unwrap_or(policy.offer_lifetime);
        let sequence = self.store().newest_sequence(&self.account()).await?.saturating_add(1).max(self.now().0.saturating_mul(1000));
        let offer = Offer {
            network: rules.network,
            owner: self.account(),
            delegate: self.account(),
            gives: terms.gives,
            price,
            min: terms.min.unwrap_or(least.min(lot)),
            max: terms.max,
            lot,
            waiting_period: terms.waiting_period.unwrap_or_else(|| self.0.accept.waiting_period(policy)),
            sequence: Sequence(sequence),
            expires_at: rules.now.plus(lifetime),
            policy: policy.name.to_owned(),
            tags: terms.tags.clone(),
            reach: self.reach().to_owned(),
        };
        Ok((offer, lot_usd))
    }

    /// The fees of all steps this party may take in a swap, its funding first.
    async fn step_costs(&self, role: Role, amounts: AmountPair) -> Result<Vec<StepCost>, ApiError> {
        let steps = match role {
            Role::Initiator => [Step::FundAlpha, Step::RedeemBeta, Step::RefundAlpha],
            Role::Participant => [Step::FundBeta, Step::RedeemAlpha, Step::RefundBeta],
        };
        let mut costs = Vec::with_capacity(steps.len());
        for step in steps {
            let (chain, amount) = match step.side() {
                Side::Alpha => (&self.chains().alpha, amounts.sats.0),
                Side::Beta => (&self.chains().beta, amounts.units.0),
            };
            let quote = chain.quote(quote_for(step), amount).await?;
            costs.push(StepCost { step, fee: quote.fee, size: quote.size });
        }
        Ok(costs)
    }

    /// The least swap: ten redeems at the stress fee rate.
    pub(super) async fn min_swap(&self) -> Result<Sats, ApiError> {
        let redeem = self.chains().alpha.quote(QuoteFor::Redeem, 100_000).await?;
        let policy = self.policy();
        Ok(Sats(redeem.size.saturating_mul(policy.stress_fee_rate).saturating_mul(policy.min_swap_redeems)))
    }

    pub(super) async fn check_minimum(&self, sats: Sats) -> Result<(), ApiError> {
        let min_sats = self.min_swap().await?;
        if sats < min_sats { Err(ApiError::BelowMinimum { sats: sats.0, min_sats: min_sats.0 }) } else { Ok(()) }
    }

    /// Whether the money for one more swap is there, with the fee of its funding.
    pub(super) async fn check_funds(&self, gives: Asset, sats: Sats, units: Units) -> Result<(), ApiError> {
        let (chain, amount, asset) = match gives {
            Asset::Btc => (&self.chains().alpha, sats.0, "BTC"),
            Asset::Tft => (&self.chains().beta, units.0, "TFT"),
        };
        let fee = chain.quote(QuoteFor::Fund, amount).await?.fee;
        let (free, needed) = (self.free(gives).await?, amount.saturating_add(fee));
        if free < needed { Err(ApiError::InsufficientFunds { asset, free, needed }) } else { Ok(()) }
    }

    async fn free(&self, asset: Asset) -> Result<u64, ApiError> {
        let balances = self.wallet_balances().await?;
        Ok(match asset {
            Asset::Btc => balances.bitcoin.free,
            Asset::Tft => balances.tfchain.free,
        })
    }

    fn deadlines(&self) -> Result<Deadlines, ApiError> {
        let policy = self.policy();
        let refund_after = ChainTime::from_secs(self.alpha_tip()?.time.plus(policy.alpha_window).secs());
        Ok(Deadlines {
            alpha_refund_after: refund_after,
            beta_latest_refund_after: latest_beta_timelock(refund_after, policy),
            reveal_cutoff: policy.reveal_cutoff,
            alpha_depth: policy.alpha_depth.0,
        })
    }
}

fn quote_for(step: Step) -> QuoteFor {
    match step {
        Step::FundAlpha | Step::FundBeta => QuoteFor::Fund,
        Step::RedeemAlpha | Step::RedeemBeta => QuoteFor::Redeem,
        Step::RefundAlpha | Step::RefundBeta => QuoteFor::Refund,
    }
}
