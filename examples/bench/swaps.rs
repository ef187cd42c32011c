//! Swaps of a participant who has funded beta and waits for the preimage.

use swap_contract::amount::{Sats, Units};
use swap_contract::bytes::{GenesisHash, OfferId, OrderId, Preimage, PublicKey, Salt};
use swap_contract::document::{Account, Alpha, Asset, Beta, Contract, Network, Role, Scheme, Signature, SignedContract};
use swap_contract::event::{Event, Fact};
use swap_contract::leg::{Funding, HtlcRef, Inclusion, Side, Sighting, Spend, TxRef};
use swap_contract::policy::REGTEST;
use swap_contract::swap::Swap;
use swap_contract::time::{ChainTime, Clocks, Height, Tip, UnixTime, latest_beta_timelock};
use twinswap::engine::keys::Keys;

pub const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
pub const START: UnixTime = UnixTime(1_790_000_000);

pub struct Waiting {
    pub swap: Swap,
    pub contract: SignedContract,
    pub order: OrderId,
    pub preimage: Preimage,
}

pub fn network() -> Network {
    Network { bitcoin: GenesisHash([1; 32]), tfchain: GenesisHash([2; 32]) }
}

pub fn tip(side: Side) -> Tip {
    let final_height = match side {
        Side::Alpha => Height(995),
        Side::Beta => Height(998),
    };
    Tip { height: Height(1000), time: ChainTime::from_secs(START.0), final_height, healthy: true }
}

pub fn clocks() -> Clocks {
    Clocks { alpha: tip(Side::Alpha), beta: tip(Side::Beta), now: START }
}

pub fn spend() -> Spend {
    Spend { by: TxRef("1000-1".into()), at: Inclusion::Block(Height(1000)) }
}

pub fn waiting_for_the_preimage(keys: &Keys, number: u32) -> Waiting {
    let bytes = |kind: u8| {
        let mut bytes = [kind; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    let preimage = Preimage::new(bytes(3));
    let (maker_salt, taker_salt) = (Salt(bytes(4)), Salt(bytes(5)));
    let refund_after = ChainTime::from_secs(START.0).plus(REGTEST.alpha_window);
    let key = keys.alpha_key(&maker_salt);
    let contract = Contract {
        network: network(),
        offer: OfferId(bytes(6)),
        order: OrderId(bytes(7)),
        maker: keys.account(),
        taker: Account([9; 32]),
        maker_gives: Asset::Tft,
        hashlock: preimage.hashlock(),
        alpha: Alpha { amount: Sats(250_000), redeem_key: key, refund_key: PublicKey([2; 33]), refund_after },
        beta: Beta {
            amount: Units(10_000_000_000),
            sender: keys.account(),
            recipient: Account([9; 32]),
            latest_refund_after: latest_beta_timelock(refund_after, &REGTEST),
        },
        policy: REGTEST.name.into(),
        maker_salt,
        taker_salt,
        countersign_by: START,
    };
    let mut swap = Swap::new(contract.clone(), Role::Participant);
    let mut tell = |fact| swap.handle(&Event { clocks: clocks(), fact }).expect("this is how a swap goes");
    let at = Inclusion::Block(Height(990));
    let alpha = Funding { htlc: HtlcRef(format!("{}:0", contract.id())), by: TxRef(contract.id().to_string()), refund_after, at };
    tell(Fact::Seen(Side::Alpha, Sighting::Funded(alpha)));
    let t2 = clocks().beta.time.plus(REGTEST.beta_window);
    let action = swap_contract::event::Action { step: swap_contract::event::Step::FundBeta, refund_after: Some(t2) };
    tell(Fact::Attempted(action));
    let beta = Funding { htlc: HtlcRef(format!("0x{}", contract.id())), by: TxRef("990-1".into()), refund_after: t2, at };
    tell(Fact::Seen(Side::Beta, Sighting::Funded(beta)));
    let signature = Signature { scheme: Scheme::Sr25519, value: String::new() };
    let order = contract.order;
    Waiting { swap, contract: SignedContract { document: contract, maker: signature.clone(), taker: signature }, order, preimage }
}
