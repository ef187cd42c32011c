//! Copies of contracts over real sockets, and `twinswap restore` as a user runs it.

use crate::cli::{program, text};
use crate::house::{Answer, House};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swap_contract::bytes::SwapId;
use swap_contract::document::{CopyRequest, SealedCopy, Signed};
use swap_contract::time::UnixTime;
use twinswap::engine::keys::Keys;

const WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn copy(keys: &Keys, number: u8) -> Value {
    let document =
        SealedCopy { account: keys.account(), swap: SwapId([number; 32]), keep_until: UnixTime(now() + 86_400), sealed: "ab".repeat(5000) };
    json!({ "signed": Signed { signature: keys.sign(&document), document } })
}

async fn list(house: &House, keys: &Keys, at: u64, after: Option<&Value>) -> Answer {
    let document = CopyRequest { account: keys.account(), at: UnixTime(at) };
    let signed = Signed { signature: keys.sign(&document), document };
    house.call_bus("copy.list", json!({ "signed": signed, "after": after })).await
}

#[tokio::test]
async fn copies_are_kept_for_those_in_the_config_and_given_back_page_by_page_to_who_can_sign() {
    let keys = Keys::from_words(WORDS).unwrap();
    let account = keys.account();
    let house = House::open(|config| config.copies.keep_for.push(account)).await;
    for number in [1, 2, 3, 4, 5, 5] {
        let kept = house.call_bus("copy.keep", copy(&keys, number)).await;
        assert_eq!(kept.json["result"], json!({ "mine": null }), "{}", kept.json);
    }
    let first = list(&house, &keys, now(), None).await.json["result"].clone();
    let second = list(&house, &keys, now(), Some(&first["next"])).await.json["result"].clone();
    assert_eq!((first["items"].as_array().unwrap().len(), second["items"].as_array().unwrap().len()), (4, 1));
    assert_eq!(first["items"][0], copy_of(&first["items"][0], &keys, 1));
    assert_eq!(list(&house, &keys, now() - 3600, None).await.error_type(), "document_expired");
    let stranger = Keys::from_words("letter advice cage absurd amount doctor acoustic avoid letter advice cage above").unwrap();
    assert_eq!(list(&house, &stranger, now(), None).await.json["result"]["items"], json!([]));
    let mut forged = serde_json::to_value(CopyRequest { account: keys.account(), at: UnixTime(now()) }).unwrap();
    let signature = stranger.sign(&serde_json::from_value::<CopyRequest>(forged.clone()).unwrap());
    forged = json!({ "signed": { "document": forged, "signature": signature } });
    assert_eq!(house.call_bus("copy.list", forged).await.error_type(), "bad_signature");
    house.close().await;
}

/// What was given to be kept, whatever its lifetime was.
fn copy_of(kept: &Value, keys: &Keys, number: u8) -> Value {
    let mut document: SealedCopy = serde_json::from_value(copy(keys, number)["signed"]["document"].clone()).unwrap();
    document.keep_until = serde_json::from_value(kept["document"]["keep_until"].clone()).unwrap();
    json!({ "document": document, "signature": kept["signature"] })
}

#[tokio::test]
async fn a_strangers_copy_and_one_of_no_swap_of_ours_are_refused() {
    let house = House::open(|_| {}).await;
    let keys = Keys::from_words(WORDS).unwrap();
    assert_eq!(house.call_bus("copy.keep", copy(&keys, 1)).await.error_type(), "not_found");
    let mut altered = copy(&keys, 1);
    altered["signed"]["document"]["sealed"] = json!("abcd");
    assert_eq!(house.call_bus("copy.keep", altered).await.error_type(), "bad_signature");
    assert_eq!(house.call("copy.list", json!({})).await.error_type(), "method_not_found", "not on the owner's listener");
    house.close().await;
}

fn restore(folder: &Path, args: &[&str]) -> Output {
    let args = [&["restore", "--json", "--offline", "--data-dir", folder.to_str().unwrap()], args].concat();
    program(env!("CARGO_BIN_EXE_twinswap"), &args).env("TWINSWAP_PASSPHRASE", "correct horse").output().unwrap()
}

async fn restore_from(folder: &Path, house: &House, args: &[&str]) -> (Option<i32>, Value) {
    let from = format!("http://{}", house.bus.address());
    let (folder, args) = (folder.to_owned(), args.iter().map(|arg| arg.to_string()).chain(["--from".into(), from]).collect::<Vec<_>>());
    let run = move || restore(&folder, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    (output.status.code(), json)
}

/// A maker and a taker who have agreed on a swap.
async fn agreed() -> (House, House) {
    let maker = House::open(|_| {}).await;
    let taker = House::open_as(WORDS, |_| {}).await;
    let terms = json!({ "gives": "TFT", "price": { "sats": "250", "units": "10000000" }, "max": "50000000000", "min": "40000000000" });
    let offer = maker.call("offer.submit", json!({ "terms": terms })).await.json["result"]["id"].clone();
    let reach = format!("http://{}", maker.bus.address());
    let order = taker.call("order.submit", json!({ "reach": reach, "offer": offer, "amount": "50000000000" })).await;
    assert_eq!(order.error_type(), "none", "{}", order.json);
    for _ in 0..200 {
        if taker.call("swap.list", json!({})).await.json["result"]["items"][0].is_object() {
            return (maker, taker);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("they did not agree");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_folder_comes_back_from_the_words_and_the_makers_copy() {
    let (maker, taker) = agreed().await;
    let id = taker.call("swap.list", json!({})).await.json["result"]["items"][0]["id"].clone();
    let folder = tempfile::tempdir().unwrap();
    let (data, words) = (folder.path().join("data"), folder.path().join("words"));
    std::fs::write(&words, WORDS).unwrap();
    let new = ["--network", "regtest", "--mnemonic-file", words.to_str().unwrap()];
    // The hand-over does not hold up the swap, so it may come a moment later.
    let mut states = Vec::new();
    for _ in 0..50 {
        let (code, json) = restore_from(&data, &maker, &new).await;
        assert_eq!(code, Some(0), "{json}");
        if let Some(state) = json["swaps"][0]["state"].as_str() {
            assert_eq!((&json["swaps"][0]["id"], &json["swaps"][0]["terms"]["role"]), (&id, &json!("initiator")));
            states.push(state.to_owned());
        }
        if states.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(states, ["restored", "known"]);
    let config = std::fs::read_to_string(data.join("config.toml")).unwrap();
    assert!(config.contains("birthday = 0") && config.contains("policy = \"regtest\""));
    // What the maker needs lies with the taker.
    let makers = folder.path().join("makers");
    std::fs::write(&words, "bottom drive obey lake curtain smoke basket hold race lonely fit walk").unwrap();
    let (code, json) = restore_from(&makers, &taker, &new).await;
    assert!(code == Some(0) && json["swaps"][0]["state"] == "restored" && json["swaps"][0]["terms"]["role"] == "participant", "{json}");
    let wrong = restore(&data, &["--mnemonic-file", words.to_str().unwrap(), "--from", "http://127.0.0.1:1"]);
    assert!(wrong.status.code() == Some(2) && text(&wrong.stderr).contains("another mnemonic"), "{}", text(&wrong.stderr));
    maker.close().await;
    taker.close().await;
}

#[test]
fn a_restore_without_anybody_to_ask_or_to_answer_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (data, words) = (folder.path().join("data"), folder.path().join("words"));
    std::fs::write(&words, WORDS).unwrap();
    let new = ["--network", "regtest", "--mnemonic-file", words.to_str().unwrap()];
    let nobody = restore(&data, &new);
    assert!(nobody.status.code() == Some(2) && text(&nobody.stderr).contains("--from"), "{}", text(&nobody.stderr));
    let silent = restore(&data, &["--from", "http://127.0.0.1:1"]);
    assert!(silent.status.code() == Some(3) && text(&silent.stderr).contains("no_answer"), "{}", text(&silent.stderr));
    let bad = restore(&folder.path().join("other"), &["--from", "http://127.0.0.1:1"]);
    assert!(bad.status.code() == Some(2) && text(&bad.stderr).contains("--mnemonic-file"), "{}", text(&bad.stderr));
    assert!(!folder.path().join("other").exists());
    let held = twinswap::engine::lock_folder(&data, "an engine").unwrap();
    let locked = restore(&data, &["--from", "http://127.0.0.1:1"]);
    assert!(locked.status.code() == Some(2) && text(&locked.stderr).contains("an engine"), "{}", text(&locked.stderr));
    drop(held);
}
