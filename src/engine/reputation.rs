//! What is known of a party's past, as a figure and with everything behind it.

use super::Engine;
use super::receipts::counterparty;
use crate::api::{AmountPair, CountedClaim, CountedReceipt, GetReputation, ListReceipts, MAX_PAGE, Page, ReputationView};
use crate::error::ApiError;
use std::time::Duration;
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
        let (mut shown_falsely, mut asked) = (false, false);
        if let Some(reach) = reach.filter(|_| account != self.account()) {
            let shown = tokio::time::timeout(ASKED_WITHIN, self.ask_receipts(&reach, &account)).await;
            match shown.unwrap_or_else(|_| Err(ApiError::Counterparty { reason: "it takes too long".into() })) {
                Ok(found) => (shown_falsely, asked) = (found, true),
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
        let times: Vec<(Account, UnixTime)> = claims.iter().map(|claim| (claim.counterparty, claim.at)).collect();
        let figure = if contradictions { 0 } else { figure(&deeds, &times, now) };
        Ok(ReputationView { account, figure, counted: counted(figure), receipts, not_funded: claims, contradictions, asked, shown_falsely })
    }

    /// Asks somebody for the receipts of a party. Says whether there was one that is none: then no more are asked for.
    async fn ask_receipts(&self, reach: &str, account: &Account) -> Result<bool, ApiError> {
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let page: Page<SharedReceipt> = self.call(reach, "receipt.list", &ListReceipts { account: *account, after }).await?;
            let shown = &page.items[..page.items.len().min(MAX_PAGE as usize)];
            if self.learn_receipts(account, shown).await? {
                return Ok(true);
            }
            after = page.next.and_then(|next| next.parse().ok());
            if after.is_none() {
                break;
            }
        }
        Ok(false)
    }

    /// What a taker's reputation counts in a choice between orders.
    pub(super) async fn counted(&self, taker: &Account) -> Result<u64, ApiError> {
        if self.is_caught(taker).await? {
            return Ok(0);
        }
        let dates = self.store().receipt_dates(taker, self.counts_since(), MAX_RECEIPTS).await?;
        if dates.is_empty() {
            return Ok(0);
        }
        let claims: Vec<(Account, UnixTime)> = self.not_funded(taker).await?.iter().map(|claim| (claim.counterparty, claim.at)).collect();
        Ok(counted(figure(&dates, &claims, self.now())))
    }

    /// Contracts that a party signed and did not fund.
    async fn not_funded(&self, account: &Account) -> Result<Vec<CountedClaim>, ApiError> {
        let (now, since) = (self.now(), self.counts_since());
        let misdeeds = self.store().misdeeds(Some(account), MAX_PAGE).await?;
        let claims = misdeeds.into_iter().filter_map(|misdeed| match misdeed {
            Misdeed::NotFunded { contract } => {
                let (at, swap) = (contract.document.countersign_by, contract.document.id());
                Some(CountedClaim { swap, counterparty: contract.document.maker, at, counts: weight(UNFUNDED, at, now) })
            }
            Misdeed::Omission { .. } | Misdeed::OrderLeftOut { .. } | Misdeed::TwoDecisions { .. } | Misdeed::RoundChanged { .. } => None,
        });
        Ok(claims.filter(|claim| claim.at >= since).collect())
    }
}
