//! Proofs that somebody has signed two things that cannot both be: anybody can check them with nothing else at hand, whoever brings
//! them. And contracts that were agreed on and not funded: those the chain has to be asked about as well.

use super::{
    Account, Acknowledgement, Closing, Decision, Document, DocumentError, Kept, Listing, Network, Role, Signed, SignedContract, Snapshot,
    check_tags,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Misdeed {
    /// An aggregator left out what it had promised to list.
    Omission {
        /// The listing.
        listing: Box<Signed<Listing>>,
        /// The promise.
        kept: Box<Signed<Kept>>,
        /// The page on which it is missing.
        snapshot: Box<Signed<Snapshot>>,
    },
    /// A maker left out of its decision an order that it had acknowledged, or counted another reputation.
    OrderLeftOut {
        /// The maker's account, by which it signs.
        maker: Account,
        /// Its word on the order.
        acknowledgement: Box<Signed<Acknowledgement>>,
        /// The decision on that round.
        decision: Box<Signed<Decision>>,
    },
    /// A maker decided the same round twice, and differently.
    TwoDecisions {
        /// The maker's account, by which it signs.
        maker: Account,
        /// One decision.
        one: Box<Signed<Decision>>,
        /// The other.
        other: Box<Signed<Decision>>,
    },
    /// A maker decided on other orders than those that it had closed a round with: it added one that knew the sealed ones, or left
    /// one out.
    RoundChanged {
        /// The maker's account, by which it signs.
        maker: Account,
        /// The orders that it had.
        closing: Box<Signed<Closing>>,
        /// The decision on that round.
        decision: Box<Signed<Decision>>,
    },
    /// A taker who was to fund first countersigned a contract, and did not fund it. Only of takers: a maker signs first, and nothing shows
    /// that the countersignature came. Nor does anything show that the taker knew the maker had it: a claim counts for little.
    NotFunded {
        /// The contract.
        contract: Box<SignedContract>,
    },
}

impl Misdeed {
    /// Whether its subject has contradicted itself, and is traded with no more. Otherwise it only counts against it for a while.
    pub fn is_contradiction(&self) -> bool {
        match self {
            Misdeed::Omission { .. } | Misdeed::OrderLeftOut { .. } | Misdeed::TwoDecisions { .. } | Misdeed::RoundChanged { .. } => true,
            Misdeed::NotFunded { .. } => false,
        }
    }

    /// Checks the proof, and says against whom it is. That a contract was not funded is to be seen on Bitcoin, and not checked here.
    ///
    /// # Errors
    /// It proves nothing: a signature is another's, or both statements can be true.
    pub fn check(&self, network: &Network) -> Result<Account, DocumentError> {
        let proves_nothing = |reason: &str| DocumentError::Mismatch { field: "misdeed", reason: reason.to_owned() };
        let is_network = |found: &Network| match found == network {
            true => Ok(()),
            false => Err(DocumentError::WrongNetwork { found: Box::new(*found), expected: Box::new(*network) }),
        };
        match self {
            Misdeed::Omission { listing, kept, snapshot } => {
                let (promise, page) = (&kept.document, &snapshot.document);
                check_tags(&listing.document.tags)?;
                let document = listing.by(&listing.document.subject)?;
                is_network(&document.network)?;
                is_network(&promise.network)?;
                page.check(network)?;
                kept.by(&promise.aggregator)?;
                snapshot.by(&promise.aggregator)?;
                if promise.listing != document.id() {
                    return Err(proves_nothing("the promise is about another listing"));
                }
                if !document.fits(&page.tags) || !page.covers(&document.subject) {
                    return Err(proves_nothing("the page is about others"));
                }
                if page.at <= promise.at || page.at >= promise.until {
                    return Err(proves_nothing("the page is of another time"));
                }
                if page.row(&document.subject).is_some_and(|row| row.epoch >= document.epoch) {
                    return Err(proves_nothing("it is listed"));
                }
                Ok(promise.aggregator)
            }
            Misdeed::OrderLeftOut { maker, acknowledgement, decision } => {
                is_network(&decision.document.network)?;
                acknowledgement.by(maker)?;
                decision.by(maker)?;
                if !decision.document.leaves_out(&acknowledgement.document) {
                    return Err(proves_nothing("the order is in the decision as it was acknowledged, or the decision is about others"));
                }
                Ok(*maker)
            }
            Misdeed::TwoDecisions { maker, one, other } => {
                is_network(&one.document.network)?;
                one.by(maker)?;
                other.by(maker)?;
                let round = |decision: &Decision| (decision.network, decision.offer, decision.decide_at);
                if round(&one.document) != round(&other.document) || one.document == other.document {
                    return Err(proves_nothing("the decisions are the same, or about different rounds"));
                }
                Ok(*maker)
            }
            Misdeed::RoundChanged { maker, closing, decision } => {
                is_network(&decision.document.network)?;
                closing.by(maker)?;
                decision.by(maker)?;
                if !closing.document.is_broken_by(&decision.document) {
                    return Err(proves_nothing("the decision is on these orders, or about another round"));
                }
                Ok(*maker)
            }
            Misdeed::NotFunded { contract } => {
                is_network(&contract.document.network)?;
                let document = contract.verify()?;
                match document.role_of(&document.taker) {
                    Some(Role::Initiator) => Ok(document.taker),
                    Some(Role::Participant) | None => Err(proves_nothing("the taker was not to fund first")),
                }
            }
        }
    }

    /// A name of the proof: the same for the same pair of statements, whoever has put them together. Claims of one maker about one taker
    /// have one name: the newest counts.
    pub fn id(&self) -> [u8; 32] {
        let parts = match self {
            Misdeed::Omission { listing, kept, snapshot } => [listing.document.hash(), kept.document.hash(), snapshot.document.hash()],
            Misdeed::OrderLeftOut { maker, acknowledgement, decision } => {
                [maker.0, acknowledgement.document.hash(), decision.document.hash()]
            }
            Misdeed::TwoDecisions { maker, one, other } => {
                let (one, other) = (one.document.hash(), other.document.hash());
                [maker.0, one.min(other), one.max(other)]
            }
            Misdeed::RoundChanged { maker, closing, decision } => [maker.0, closing.document.hash(), decision.document.hash()],
            Misdeed::NotFunded { contract } => [contract.document.taker.0, contract.document.maker.0, [0; 32]],
        };
        Sha256::digest(parts.concat()).into()
    }
}
