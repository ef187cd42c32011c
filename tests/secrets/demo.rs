//! A whole demo on real nodes with engines that logged at TRACE, played by `cargo regtest secrets` (and `cargo regtest test`): what
//! they logged, stored and answered holds no secret.

use crate::search::{Place, Secret, files, find};
use crate::secrets_of;
use std::path::{Path, PathBuf};
use swap_contract::document::Role;
use swap_contract::leg::{LegStatus, Side};
use swap_contract::port::SwapKeys;
use twinswap::engine::keys::Keys;
use twinswap::store::Store;

/// Where the demo left everything.
const FOLDER: &str = "TWINSWAP_DEMO";

/// Keys of an engine's swaps, and preimages that no chain has seen. `usize` is the number of swaps.
async fn secrets_of_swaps(who: &str, keys: &Keys, database: &Path) -> (usize, Vec<Secret>) {
    let store = Store::open(database).await.unwrap();
    let swaps = store.swap_page("", 100, false).await.unwrap();
    let mut secrets = Vec::new();
    for stored in &swaps {
        let (swap, salt) = (&stored.swap, stored.swap.contract().salt_of(&keys.account()));
        secrets.push(Secret::bytes(format!("{who}'s key of {}", swap.id()), &keys.alpha_secret(&salt)[..]));
        if swap.role() == Role::Initiator && !matches!(swap.leg(Side::Beta), LegStatus::Redeemed(..)) {
            secrets.push(Secret::bytes(format!("the preimage of {}", swap.id()), keys.preimage(&salt).expose()));
        }
    }
    store.close().await;
    (swaps.len(), secrets)
}

#[tokio::test]
async fn a_demo_on_real_nodes_shows_no_secret() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        eprintln!("SKIPPED: there is no demo to search; `cargo regtest secrets` plays one");
        return;
    };
    let (mut secrets, mut places) = (Vec::new(), Vec::new());
    let mut unrevealed = 0;
    for who in ["alice", "bob"] {
        let words = std::fs::read_to_string(folder.join(format!("{who}.words"))).unwrap();
        let data = folder.join(who);
        secrets.extend(secrets_of(who, &words));
        let (swaps, of_swaps) = secrets_of_swaps(who, &Keys::from_words(&words).unwrap(), &data.join("twinswap.db")).await;
        assert!(swaps >= 4, "{who} has {swaps} swaps");
        unrevealed += of_swaps.len() - swaps;
        secrets.extend(of_swaps);
        let token = std::fs::read_to_string(data.join("token")).unwrap();
        secrets.push(Secret::text(format!("{who}'s token"), token.trim()));
        // The one place where the token is.
        places.extend(files(&data).into_iter().filter(|place| !place.name.ends_with("/token")));
        for (file, sign) in [("log", " TRACE "), ("answers", "\"result\"")] {
            let name = format!("{who}.{file}");
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            assert!(Secret::text("sign", sign).is_in(&bytes), "{name} is what it should be");
            places.push(Place { name, bytes });
        }
    }
    assert!(unrevealed >= 1, "a swap was refunded");
    assert_eq!(find(&secrets, &places), Vec::<String>::new());
}
