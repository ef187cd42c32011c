//! The real Bitcoin wallet on a real node: what it stores and what it logs while it follows the chain, funds an HTLC and signs
//! its refund.

#[allow(dead_code, reason = "shared with the adapter's own tests")]
#[path = "../../adapters/bitcoin/tests/common/bitcoind.rs"]
mod bitcoind;

use crate::log;
use crate::search::{Place, Secret, files, find};
use crate::secrets_of;
use chain_bitcoin::rpc::Auth;
use chain_bitcoin::{Bitcoin, Config};
use futures::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::amount::Sats;
use swap_contract::bytes::{Salt, SwapId};
use swap_contract::leg::HtlcRef;
use swap_contract::policy::REGTEST;
use swap_contract::port::{AlphaTerms, Chain, FeeRate, HtlcOp, LegTerms, OpKind, SwapKeys, Wallet};
use swap_contract::testing::fixture::Person;
use swap_contract::time::ChainTime;
use twinswap::engine::keys::Keys;
use twinswap::store::Store;

const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const SALT: Salt = Salt([5; 32]);
const REFUND_AFTER: ChainTime = ChainTime::from_secs(bitcoind::START + 86_400);

/// The owner's HTLC: funded by it, and refunded to it.
fn terms(keys: &Keys) -> AlphaTerms {
    AlphaTerms {
        swap: SwapId([6; 32]),
        amount: Sats(100_000),
        hashlock: keys.preimage(&SALT).hashlock(),
        redeem_key: Person::named("somebody else").alpha_key(&SALT),
        refund_key: keys.alpha_key(&SALT),
        refund_after: REFUND_AFTER,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bitcoin_wallet_stores_and_logs_no_secret() {
    let log = log::listen();
    let node = bitcoind::Bitcoind::start().await;
    let cookie = std::fs::read_to_string(node.cookie()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("db")).await.unwrap();
    let keys = Arc::new(Keys::from_words(WORDS).unwrap());
    let config = Config::new(bitcoin::Network::Regtest, node.url(), Auth::Cookie(node.cookie()), &REGTEST);
    let swap_keys: Arc<dyn SwapKeys> = keys.clone();
    let bitcoin = Bitcoin::open(config, &keys.wallet_seed()[..], swap_keys, Arc::new(store.clone())).await.unwrap();
    let mut stream = bitcoin.watch(None);
    let following = tokio::spawn(async move { while stream.next().await.is_some() {} });

    let address = until("the wallet has met the chain", || async { bitcoin.address().await.ok() }).await;
    node.mine_to(1, &address).await;
    node.mine(100).await;
    until("the wallet has money", || async { bitcoin.balance(&[]).await.ok().filter(|balance| balance.confirmed > 0) }).await;
    let op = |kind| HtlcOp { terms: LegTerms::Alpha(terms(&keys)), salt: SALT, kind, fee_rate: FeeRate::from_sat_per_vb(2) };
    let funding = bitcoin.prepare(&op(OpKind::Fund { refund_after: REFUND_AFTER, replaces: None }), &[]).await.unwrap();
    let sent = bitcoin.broadcast(&funding).await.unwrap();
    node.mine(1).await;
    let outputs = bitcoin::consensus::deserialize::<bitcoin::Transaction>(&funding.bytes).unwrap().output;
    let vout = outputs.iter().position(|output| output.value.to_sat() == 100_000).unwrap();
    let refund = OpKind::Refund { htlc: HtlcRef(format!("{}:{vout}", sent.0)) };
    let refund = bitcoin.prepare(&op(refund), &[]).await.unwrap();
    let early = bitcoin.broadcast(&refund).await.unwrap_err();
    following.abort();
    store.close().await;

    let mut secrets = secrets_of("the owner", WORDS);
    secrets.push(Secret::bytes("the key of the swap", &keys.alpha_secret(&SALT)[..]));
    secrets.push(Secret::bytes("the preimage", keys.preimage(&SALT).expose()));
    secrets.push(Secret::text("the node's password", cookie.split_once(':').unwrap().1));
    secrets.push(Secret::bytes("the node's cookie", cookie.as_bytes()));
    let mut places = files(folder.path());
    assert!(places.iter().any(|place| Secret::text("an xpub", "tpub").is_in(&place.bytes)), "the wallet is stored");
    let shown = format!("{early} {early:?} {funding:?} {refund:?} {:?}", bitcoin.descriptors());
    places.push(Place { name: "the log".into(), bytes: log.bytes() });
    places.push(Place { name: "what is shown".into(), bytes: shown.into_bytes() });
    assert_eq!(find(&secrets, &places), Vec::<String>::new());
}

async fn until<T, F: Future<Output = Option<T>>>(what: &str, so: impl Fn() -> F) -> T {
    for _ in 0..300 {
        if let Some(found) = so().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came about that {what}");
}
