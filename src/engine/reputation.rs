//! What is known of a party's past, as a figure and with everything behind it.

use super::Engine;
use super::receipts::counterparty;
use crate::api::{AmountPair, CountedClaim, CountedReceipt, GetReputation, ListReceipts, MAX_PAGE, Page, ReputationView};
use crate::error::ApiError;
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, Misdeed, SharedReceipt};
use swap_contract::reputation::{RECEIPT, UNFUNDED, counted, figure, weight};
use swap_contract::time::UnixTime;

/// Receipts of one party that are looked at.
const MAX_RECEIPTS: u32 = 200;
/// Pages of receipts that are asked of somebody, and how long all of it may take.
const MAX_PAGES: usize = 5;
const ASKED_WITHIN: Duration = Duration::from_secs(30);

impl Engine {
    /// A party's reputation. What it has to show is asked of itself, at the address given or of a contact, and looked up on both chains.
    pub async fn reputation_get(&self, get: GetReputation) -> Result<ReputationView, ApiError> {
        let account = get.account;
        let reach = get.reach.or_else(|| self.discovery().gossip().contacts.reach_of(&account));
        let (mut wrong, mut asked) = (0, false);
        if let Some(reach) = reach.filter(|_| account != self.account()) {
            let shown = tokio::time::timeout(ASKED_WITHIN, self.ask_receipts(&reach, &account)).await;
            match shown.unwrap_or_else(|_| Err(ApiError::Counterparty { reason: "it takes too long".into() })) {
                Ok(found) => (wrong, asked) = (found, true),
                Err(failure) => tracing::debug!(reach, %failure, "its receipts cannot be had"),
            }
        }
        let (now, mut best) = (self.now(), std::collections::BTreeSet::new());
        let kept = self.store().receipts(&account, self.counts_since(), "", MAX_RECEIPTS).await?;
        let receipts: Vec<CountedReceipt> = kept
            .into_iter()
            .map(|kept| {
                let (contract, receipt) = (&kept.receipt.contract.document, &kept.receipt.receipt);
                let with = counterparty(contract, &account);
                CountedReceipt {
                    swap: receipt.contract,
                    counterparty: with,
                    amount: AmountPair { sats: contract.alpha_amount(), units: contract.beta.amount },
                    alpha: receipt.alpha.clone(),
                    beta: receipt.beta.clone(),
                    at: kept.at,
                    // The newest with each counterparty comes first, and counts.
                    counts: if best.insert(with) { weight(RECEIPT, kept.at, now) } else { 0 },
                }
            })
            .collect();
        let claims = self.not_funded(&account).await?;
        let contradictions = self.is_caught(&account).await?;
        let deeds: Vec<(Account, UnixTime)> = receipts.iter().map(|receipt| (receipt.counterparty, receipt.at)).collect();
        let times: Vec<UnixTime> = claims.iter().map(|(_, at)| *at).collect();
        let figure = if contradictions { 0 } else { figure(&deeds, &times, now) };
        let not_funded = claims.into_iter().map(|(swap, at)| CountedClaim { swap, at, counts: weight(UNFUNDED, at, now) }).collect();
        Ok(ReputationView { account, figure, counted: counted(figure), receipts, not_funded, contradictions, asked, wrong })
    }

    /// Asks somebody for the receipts of a party. Says how many were not what they should be.
    async fn ask_receipts(&self, reach: &str, account: &Account) -> Result<u32, ApiError> {
        let (mut after, mut wrong) = (None, 0);
        for _ in 0..MAX_PAGES {
            let page: Page<SharedReceipt> = self.call(reach, "receipt.list", &ListReceipts { account: *account, after }).await?;
            let shown = &page.items[..page.items.len().min(MAX_PAGE as usize)];
            wrong += self.learn_receipts(account, shown).await?;
            after = page.next.and_then(|next| next.parse().ok());
            // Whoever shows what is none is asked for no more of it.
            if after.is_none() || wrong > 0 {
                break;
            }
        }
        Ok(wrong)
    }

    /// What a taker's reputation counts in a choice between orders.
    pub(super) async fn counted(&self, taker: &Account) -> Result<u64, ApiError> {
        if self.is_caught(taker).await? {
            return Ok(0);
        }
        let dates = self.store().receipt_dates(taker, self.counts_since(), MAX_RECEIPTS).await?;
        let claims: Vec<UnixTime> = self.not_funded(taker).await?.into_iter().map(|(_, at)| at).collect();
        Ok(counted(figure(&dates, &claims, self.now())))
    }

    /// Contracts that a party signed and did not fund, and when.
    async fn not_funded(&self, account: &Account) -> Result<Vec<(SwapId, UnixTime)>, ApiError> {
        let misdeeds = self.store().misdeeds(Some(account), MAX_PAGE).await?;
        let claims = misdeeds.into_iter().filter_map(|misdeed| match misdeed {
            Misdeed::NotFunded { contract } => Some((contract.document.id(), contract.document.countersign_by)),
            Misdeed::Omission { .. } | Misdeed::OrderLeftOut { .. } | Misdeed::TwoDecisions { .. } => None,
        });
        Ok(claims.filter(|(_, at)| *at >= self.counts_since()).collect())
    }
}
