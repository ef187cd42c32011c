//! The contract: both legs in full, signed by both parties' delegates.

use super::order::check_key;
use super::{Account, Asset, Document, DocumentError, Network, Offer, Order, Role, Rules, Signature};
use crate::amount::{Sats, Units};
use crate::bytes::{Hashlock, OfferId, OrderId, PublicKey, Salt, SwapId};
use crate::policy::Policy;
use crate::port::{AlphaTerms, BetaTerms};
use crate::time::{ChainTime, UnixTime, latest_beta_timelock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Bitcoin leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alpha {
    /// Exact amount of the HTLC's output.
    pub amount: Sats,
    /// The participant's key.
    pub redeem_key: PublicKey,
    /// The initiator's key.
    pub refund_key: PublicKey,
    /// T1, in milliseconds but a whole second.
    pub refund_after: ChainTime,
}

/// The TF Chain leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beta {
    /// Exact amount.
    pub amount: Units,
    /// The participant.
    pub sender: Account,
    /// The initiator.
    pub recipient: Account,
    /// The latest T2 the participant may choose when it funds.
    pub latest_refund_after: ChainTime,
}

/// What both parties are bound by. Its id names the swap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// The offer it follows from.
    pub offer: OfferId,
    /// The order it follows from.
    pub order: OrderId,
    /// The maker's delegate, who signs.
    pub maker: Account,
    /// The taker's delegate, who signs.
    pub taker: Account,
    /// What the maker gives.
    pub maker_gives: Asset,
    /// SHA-256 of the initiator's preimage, for both legs.
    pub hashlock: Hashlock,
    /// The Bitcoin leg.
    pub alpha: Alpha,
    /// The TF Chain leg.
    pub beta: Beta,
    /// The table of margins both engines go by.
    pub policy: String,
    /// The maker's salt.
    pub maker_salt: Salt,
    /// The taker's salt.
    pub taker_salt: Salt,
    /// The taker signs by then, or the contract is void.
    pub countersign_by: UnixTime,
}

impl Document for Contract {
    const NAME: &'static str = "contract";
}

impl Contract {
    /// The contract that follows from an offer and an order under it ([`Order::check`]). `maker_key` and `maker_hashlock` are the
    /// maker's own part: its Bitcoin key, and its hashlock if it sells BTC. `alpha_now` is Bitcoin's median time past. T1 counts
    /// from the later of that and this computer's clock: the median is usually an hour behind, and that hour would be missing from
    /// the time for alpha to get deep, since beta's clock is not behind.
    pub fn draw_up(
        offer: &Offer,
        order: &Order,
        maker_key: PublicKey,
        maker_hashlock: Hashlock,
        maker_salt: Salt,
        alpha_now: ChainTime,
        rules: &Rules,
    ) -> Result<Self, DocumentError> {
        let amount = order.price.cost(order.amount).ok_or(DocumentError::OutOfBounds { field: "price", reason: "no cost".into() })?;
        let (redeem_key, refund_key, sender, recipient) = match offer.gives {
            Asset::Tft => (maker_key, order.alpha_key, offer.delegate, order.delegate),
            Asset::Btc => (order.alpha_key, maker_key, order.delegate, offer.delegate),
        };
        let start = alpha_now.max(ChainTime::from_secs(rules.now.0));
        let refund_after = ChainTime::from_secs(start.plus(rules.policy.alpha_window).secs());
        Ok(Self {
            network: rules.network,
            offer: order.offer,
            order: order.id(),
            maker: offer.delegate,
            taker: order.delegate,
            maker_gives: offer.gives,
            hashlock: order.hashlock.unwrap_or(maker_hashlock),
            alpha: Alpha { amount, redeem_key, refund_key, refund_after },
            beta: Beta { amount: order.amount, sender, recipient, latest_refund_after: latest_beta_timelock(refund_after, rules.policy) },
            policy: rules.policy.name.to_owned(),
            maker_salt,
            taker_salt: order.salt,
            countersign_by: rules.now.plus(rules.policy.countersign_within),
        })
    }

    /// What the taker checks before it signs: every field is the one that follows from the offer and its own order under it, and
    /// the fields the maker chose are within bounds. `alpha_now` is the taker's own view of Bitcoin's median time past.
    pub fn check(&self, offer: &Offer, order: &Order, alpha_now: ChainTime, rules: &Rules) -> Result<(), DocumentError> {
        rules.check_network(&self.network)?;
        let maker_key = match offer.gives {
            Asset::Tft => self.alpha.redeem_key,
            Asset::Btc => self.alpha.refund_key,
        };
        check_key("alpha", &maker_key)?;
        let mut expected = Contract::draw_up(offer, order, maker_key, self.hashlock, self.maker_salt, alpha_now, rules)?;
        let tolerance = rules.policy.alpha_redeem_margin;
        let t1 = self.alpha.refund_after;
        if t1 < expected.alpha.refund_after.minus(tolerance)
            || t1 > expected.alpha.refund_after.plus(tolerance)
            || !t1.0.is_multiple_of(1000)
        {
            let reason = format!("T1 within {} ms of {}, in whole seconds", tolerance.0, expected.alpha.refund_after.0);
            return Err(DocumentError::OutOfBounds { field: "alpha.refund_after", reason });
        }
        expected.alpha.refund_after = t1;
        expected.beta.latest_refund_after = latest_beta_timelock(t1, rules.policy);
        if self.countersign_by > expected.countersign_by.plus(rules.policy.clock_skew) || self.countersign_by < rules.now {
            let reason = format!("now to {}", expected.countersign_by.0);
            return Err(DocumentError::OutOfBounds { field: "countersign_by", reason });
        }
        expected.countersign_by = self.countersign_by;
        // Taproot keys are x-only: the first byte, the parity of y, makes no difference.
        if self.alpha.redeem_key.0[1..] == self.alpha.refund_key.0[1..] || self.maker_salt == self.taker_salt {
            return Err(DocumentError::Mismatch { field: "alpha", reason: "each party has its own key and salt".into() });
        }
        if expected != *self {
            return Err(DocumentError::Mismatch {
                field: "contract",
                reason: "a field does not follow from the offer and the order".into(),
            });
        }
        Ok(())
    }

    /// The swap's id.
    pub fn id(&self) -> SwapId {
        SwapId(self.hash())
    }

    /// The margins both engines go by. Of an unknown name, which [`SignedContract::verify`] and [`Contract::check`] refuse, the
    /// margins for real money.
    pub fn policy(&self) -> &'static Policy {
        Policy::by_name(&self.policy).unwrap_or(&crate::policy::MAINNET)
    }

    /// The role of one of its parties.
    pub fn role_of(&self, account: &Account) -> Option<Role> {
        let maker = Role::of_giver(self.maker_gives);
        match () {
            () if *account == self.maker => Some(maker),
            () if *account == self.taker => Some(match maker {
                Role::Initiator => Role::Participant,
                Role::Participant => Role::Initiator,
            }),
            () => None,
        }
    }

    /// The party of this role.
    pub fn party(&self, role: Role) -> &Account {
        if Role::of_giver(self.maker_gives) == role { &self.maker } else { &self.taker }
    }

    /// The salt of one of its parties.
    pub fn salt_of(&self, account: &Account) -> Salt {
        if *account == self.maker { self.maker_salt } else { self.taker_salt }
    }

    /// The hashlock of both legs.
    pub fn hashlock(&self) -> Hashlock {
        self.hashlock
    }

    /// Alpha's amount.
    pub fn alpha_amount(&self) -> Sats {
        self.alpha.amount
    }

    /// T1.
    pub fn alpha_refund_after(&self) -> ChainTime {
        self.alpha.refund_after
    }

    /// The latest T2.
    pub fn beta_latest_refund_after(&self) -> ChainTime {
        self.beta.latest_refund_after
    }

    /// The initiator's funding leaves by then, or never.
    pub fn fund_alpha_by(&self) -> UnixTime {
        self.countersign_by.plus(self.policy().alpha_seen_within)
    }

    /// The participant gives up waiting for alpha then.
    pub fn alpha_deep_by(&self) -> UnixTime {
        self.countersign_by.plus(self.policy().alpha_deep_within)
    }

    /// The Bitcoin leg for an adapter.
    pub fn alpha_terms(&self) -> AlphaTerms {
        self.alpha_terms_of(self.id())
    }

    /// The TF Chain leg for an adapter.
    pub fn beta_terms(&self) -> BetaTerms {
        self.beta_terms_of(self.id())
    }

    /// Its id takes a while to compute: whoever knows it says so.
    pub(crate) fn alpha_terms_of(&self, swap: SwapId) -> AlphaTerms {
        AlphaTerms {
            swap,
            amount: self.alpha.amount,
            hashlock: self.hashlock,
            redeem_key: self.alpha.redeem_key,
            refund_key: self.alpha.refund_key,
            refund_after: self.alpha.refund_after,
        }
    }

    pub(crate) fn beta_terms_of(&self, swap: SwapId) -> BetaTerms {
        BetaTerms {
            swap,
            amount: self.beta.amount,
            hashlock: self.hashlock,
            sender: self.beta.sender,
            recipient: self.beta.recipient,
            latest_refund_after: self.beta.latest_refund_after,
        }
    }
}

/// A contract with both signatures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedContract {
    /// What both signed.
    pub document: Contract,
    /// The maker's delegate's signature.
    pub maker: Signature,
    /// The taker's delegate's signature.
    pub taker: Signature,
}

impl SignedContract {
    /// Checks both signatures, and that the margins it goes by are known.
    pub fn verify(&self) -> Result<&Contract, DocumentError> {
        if Policy::by_name(&self.document.policy).is_none() {
            return Err(DocumentError::OutOfBounds { field: "policy", reason: "a table of margins this engine knows".into() });
        }
        let bytes = self.document.signing_bytes();
        verify(&bytes, &self.document.maker, &self.maker)?;
        verify(&bytes, &self.document.taker, &self.taker)?;
        Ok(&self.document)
    }
}

/// Checks one party's signature under a contract.
pub fn verify_party(contract: &Contract, party: &Account, signature: &Signature) -> Result<(), DocumentError> {
    verify(&contract.signing_bytes(), party, signature)
}

fn verify(bytes: &[u8], party: &Account, signature: &Signature) -> Result<(), DocumentError> {
    if signature.verifies(party, bytes) { Ok(()) } else { Err(DocumentError::BadSignature { signer: party.to_string() }) }
}
