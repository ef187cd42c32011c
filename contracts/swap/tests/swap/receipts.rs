//! Receipts: who may say what of which contract.

use swap_contract::bytes::SwapId;
use swap_contract::document::{Asset, Receipt, Settlement, SharedReceipt, SignedReceipt};
use swap_contract::leg::{HtlcRef, TxRef};
use swap_contract::outcome::Outcome;
use swap_contract::testing::fixture::{Deal, Person};

fn settlement(htlc: &str, by: &str) -> Settlement {
    Settlement { htlc: HtlcRef(htlc.into()), by: TxRef(by.into()), height: 1234 }
}

fn receipt(deal: &Deal, signer: &Person, change: impl FnOnce(&mut Receipt)) -> SignedReceipt {
    let contract = deal.contract().document;
    let mut document = Receipt {
        network: contract.network,
        contract: contract.id(),
        outcome: Outcome::Completed,
        alpha: settlement("bb:0", "aa"),
        beta: settlement("0xcc", "1234-2"),
    };
    change(&mut document);
    SignedReceipt { signature: signer.sign(&document), signer: signer.account(), document }
}

#[test]
fn either_party_may_sign_a_receipt() {
    let deal = Deal::new(Asset::Tft);
    for signer in [&deal.maker, &deal.taker] {
        receipt(&deal, signer, |_| {}).verify(&deal.contract().document).unwrap();
    }
}

#[test]
fn a_receipt_by_a_stranger_or_for_another_contract_is_refused() {
    let deal = Deal::new(Asset::Tft);
    let contract = deal.contract().document;
    let error = |receipt: SignedReceipt| receipt.verify(&contract).unwrap_err().error_type();
    assert_eq!(error(receipt(&deal, &Person::named("mallory"), |_| {})), "contract_mismatch");
    assert_eq!(error(receipt(&deal, &deal.maker, |receipt| receipt.contract = SwapId([1; 32]))), "contract_mismatch");
    assert_eq!(error(receipt(&deal, &deal.maker, |receipt| receipt.network.bitcoin.0[0] ^= 1)), "contract_mismatch");
    assert_eq!(error(receipt(&deal, &deal.maker, |receipt| receipt.beta.by.0.push('\n'))), "out_of_bounds");
    assert_eq!(error(receipt(&deal, &deal.maker, |receipt| receipt.alpha.htlc.0 = "a".repeat(200))), "out_of_bounds");
    let claimed = SignedReceipt { signer: deal.taker.account(), ..receipt(&deal, &deal.maker, |_| {}) };
    assert_eq!(error(claimed), "bad_signature");
    let mut altered = receipt(&deal, &deal.maker, |_| {});
    altered.document.outcome = Outcome::Refunded;
    assert_eq!(error(altered), "bad_signature");
}

/// A completed swap's receipt with everybody's signatures.
fn shared(deal: &Deal, change: impl Fn(&mut Receipt)) -> SharedReceipt {
    let [by_maker, by_taker] = [&deal.maker, &deal.taker].map(|signer| receipt(deal, signer, &change));
    SharedReceipt { contract: deal.contract(), receipt: by_maker.document, maker: by_maker.signature, taker: by_taker.signature }
}

#[test]
fn a_receipt_counts_only_with_all_four_signatures_and_of_a_completed_swap() {
    for gives in [Asset::Tft, Asset::Btc] {
        let deal = Deal::new(gives);
        let network = deal.rules().network;
        let good = shared(&deal, |_| {});
        assert_eq!(good.verify(&network).unwrap().id(), deal.contract().document.id());
        let error = |change: fn(&mut SharedReceipt)| {
            let mut changed = good.clone();
            change(&mut changed);
            changed.verify(&network).unwrap_err().error_type()
        };
        assert_eq!(error(|shared| std::mem::swap(&mut shared.maker, &mut shared.taker)), "bad_signature");
        assert_eq!(error(|shared| shared.contract.maker = shared.contract.taker.clone()), "bad_signature");
        assert_eq!(error(|shared| shared.contract.taker = shared.contract.maker.clone()), "bad_signature");
        assert_eq!(error(|shared| shared.receipt.alpha.height += 1), "bad_signature");
        assert_eq!(error(|shared| shared.receipt.contract = SwapId([1; 32])), "contract_mismatch");
        let mut elsewhere = network;
        elsewhere.tfchain.0[0] ^= 1;
        assert_eq!(good.verify(&elsewhere).unwrap_err().error_type(), "wrong_network");
        let refunded = shared(&deal, |receipt| receipt.outcome = Outcome::Refunded);
        assert_eq!(refunded.verify(&network).unwrap_err().error_type(), "contract_mismatch");
    }
}

#[test]
fn receipts_agree_that_name_the_same_end() {
    let deal = Deal::new(Asset::Tft);
    let one = receipt(&deal, &deal.maker, |_| {}).document;
    let agrees = |change: fn(&mut Receipt)| receipt(&deal, &deal.maker, change).document.agrees(&one);
    assert!(agrees(|_| {}));
    assert!(agrees(|receipt| receipt.beta.by.0 = "block:1234".into()), "the extrinsic may be unknown to one of them");
    assert!(!agrees(|receipt| receipt.beta.height += 1));
    assert!(!agrees(|receipt| receipt.beta.htlc.0.push('0')));
    assert!(!agrees(|receipt| receipt.alpha.by.0.push('0')));
    assert!(!agrees(|receipt| receipt.outcome = Outcome::Refunded));
}
