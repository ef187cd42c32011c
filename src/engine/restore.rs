//! Swaps that come back from copies in other hands: asked for, opened, checked and stored as restored. Used by `twinswap restore`
//! on a folder no engine runs on, and by an engine that starts on an old database.

use super::host::Host;
use super::keys::Keys;
use crate::api::{ListCopies, Page};
use crate::bus::Bus;
use crate::store::{Store, StoreError};
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};
use swap_contract::amount::{Sats, Units};
use swap_contract::bytes::{GenesisHash, SwapId};
use swap_contract::document::{Account, Contract, CopyRequest, Role, SealedCopy, Signed};
use swap_contract::event::{Event, Fact};
use swap_contract::swap::Swap;
use swap_contract::time::{ChainTime, Clocks, Tip, UnixTime};

/// Engines that are asked: the given ones, and counterparties that copies name.
const MAX_ASKED: usize = 64;
/// Pages that one engine may fill: more than it keeps for an account.
const MAX_PAGES: usize = 1000;

/// The networks whose swaps are restored.
#[derive(Clone, Copy, Debug)]
pub struct Networks {
    /// Bitcoin's genesis hash.
    pub bitcoin: GenesisHash,
    /// TF Chain's. Without it, that of the first copy: this account signed it.
    pub tfchain: Option<GenesisHash>,
}

/// What a restore found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Whose swaps.
    pub account: Account,
    /// TF Chain's genesis hash, if a copy or the caller said it.
    pub tfchain: Option<GenesisHash>,
    /// Who was asked.
    pub asked: Vec<Asked>,
    /// What they had.
    pub swaps: Vec<FoundSwap>,
}

/// One engine that was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Its address.
    pub from: String,
    /// Copies it keeps.
    pub copies: usize,
    /// Why it gave no more.
    pub error: Option<String>,
}

/// One contract that came back.
#[derive(Clone, Debug, Serialize)]
pub struct FoundSwap {
    /// Its id.
    pub id: SwapId,
    /// What became of it.
    pub state: FoundState,
    /// Why, if it was refused.
    pub reason: Option<String>,
    /// What it says, if it could be read.
    pub terms: Option<FoundTerms>,
}

/// What a contract that came back says.
#[derive(Clone, Debug, Serialize)]
pub struct FoundTerms {
    /// This account's part.
    pub role: Role,
    /// The other party.
    pub counterparty: Account,
    /// Alpha's amount.
    pub sats: Sats,
    /// Beta's amount.
    pub units: Units,
    /// T1.
    pub alpha_refund_after: ChainTime,
}

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundState {
    /// It was not in the database, and is now.
    Restored,
    /// It is in the database already.
    Known,
    /// It does not open, is of other networks, or is nothing these words can fulfil.
    Refused,
}

/// Asks engines for this seed's copies and stores the swaps that are not known yet. May be repeated.
pub async fn restore(
    store: &Store,
    keys: &Keys,
    host: &dyn Host,
    bus: &dyn Bus,
    from: &[String],
    mut networks: Networks,
) -> Result<Found, StoreError> {
    let mut queue: VecDeque<String> = from.iter().cloned().collect();
    let (mut seen, mut read) = (BTreeSet::new(), BTreeSet::new());
    let (mut asked, mut swaps) = (Vec::new(), Vec::new());
    while let Some(from) = queue.pop_front() {
        if seen.len() >= MAX_ASKED || !seen.insert(from.clone()) {
            continue;
        }
        let mut copies = Vec::new();
        let error = ask(keys, host, bus, &from, &mut copies).await.err();
        asked.push(Asked { from, copies: copies.len(), error });
        for copy in copies {
            if read.contains(&copy.swap) {
                continue;
            }
            let (found, reach) = take(store, keys, host, &copy, &mut networks).await?;
            // A copy that does not open may have been spoilt by who kept it: another may have it whole.
            if found.state != FoundState::Refused {
                read.insert(copy.swap);
                queue.extend(reach.filter(|reach| !reach.is_empty()));
            }
            swaps.push(found);
        }
    }
    swaps.retain(|found: &FoundSwap| found.state != FoundState::Refused || !read.contains(&found.id));
    Ok(Found { account: keys.account(), tfchain: networks.tfchain, asked, swaps })
}

/// All that one engine keeps, as far as it says.
async fn ask(keys: &Keys, host: &dyn Host, bus: &dyn Bus, from: &str, copies: &mut Vec<SealedCopy>) -> Result<(), String> {
    let mut after = None;
    for _ in 0..MAX_PAGES {
        let document = CopyRequest { account: keys.account(), at: host.now() };
        let list = ListCopies { signed: Signed { signature: keys.sign(&document), document }, after };
        let params = serde_json::to_value(&list).map_err(|error| error.to_string())?;
        let answer = bus.call(from, "copy.list", params).await.map_err(|error| error.to_string())?;
        let page: Page<Signed<SealedCopy>> = serde_json::from_value(answer).map_err(|error| format!("it answered nonsense: {error}"))?;
        copies.extend(page.items.into_iter().map(|signed| signed.document));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
    Err(format!("it has more than {MAX_PAGES} pages"))
}

/// Opens and checks one copy, and stores its swap. Also returns where its counterparty is reached.
async fn take(
    store: &Store,
    keys: &Keys,
    host: &dyn Host,
    copy: &SealedCopy,
    networks: &mut Networks,
) -> Result<(FoundSwap, Option<String>), StoreError> {
    let refused = |reason: String, terms| FoundSwap { id: copy.swap, state: FoundState::Refused, reason: Some(reason), terms };
    let content = match keys.open_copy(copy) {
        Ok(content) => content,
        Err(error) => return Ok((refused(error.to_string(), None), None)),
    };
    let document = &content.contract.document;
    let role = match keys.role_in(&content.contract) {
        Ok(role) => role,
        Err(reason) => return Ok((refused(reason, None), None)),
    };
    let counterparty = if document.maker == keys.account() { document.taker } else { document.maker };
    let terms = Some(FoundTerms {
        role,
        counterparty,
        sats: document.alpha_amount(),
        units: document.beta.amount,
        alpha_refund_after: document.alpha_refund_after(),
    });
    let tfchain = networks.tfchain.unwrap_or(document.network.tfchain);
    if document.network.bitcoin != networks.bitcoin || document.network.tfchain != tfchain {
        return Ok((refused("it is of other networks".into(), terms), None));
    }
    networks.tfchain = Some(tfchain);
    let (swap, event) = restored(document.clone(), role, host.now());
    let state = match store.restore_swap(&content.contract, &swap, &event).await {
        Ok(true) => FoundState::Restored,
        Ok(false) => FoundState::Known,
        Err(StoreError::Exists { what }) => return Ok((refused(format!("another swap stands in its way: {what}"), terms), None)),
        Err(failure) => return Err(failure),
    };
    Ok((FoundSwap { id: copy.swap, state, reason: None, terms }, Some(content.reach)))
}

/// A swap whose past is not remembered, and the event that says so.
pub(super) fn restored(contract: Contract, role: Role, now: UnixTime) -> (Swap, Event) {
    let clocks = Clocks { alpha: Tip::UNKNOWN, beta: Tip::UNKNOWN, now };
    let event = Event { clocks, fact: Fact::Restored };
    let swap = Swap::replay(contract, role, [event.clone()]).expect("a swap that has not ended may be restored");
    (swap, event)
}
