//! Receipts: who may say what of which contract.

use swap_contract::bytes::SwapId;
use swap_contract::document::{Asset, Receipt, SignedReceipt};
use swap_contract::leg::TxRef;
use swap_contract::outcome::Outcome;
use swap_contract::testing::fixture::{Deal, Person};

fn receipt(deal: &Deal, signer: &Person, change: impl FnOnce(&mut Receipt)) -> SignedReceipt {
    let contract = deal.contract().document;
    let mut document = Receipt {
        network: contract.network,
        contract: contract.id(),
        outcome: Outcome::Completed,
        alpha: TxRef("aa".repeat(32)),
        beta: TxRef("1234-2".into()),
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
    assert_eq!(error(receipt(&deal, &deal.maker, |receipt| receipt.beta.0.push('\n'))), "out_of_bounds");
    assert_eq!(error(receipt(&deal, &deal.maker, |receipt| receipt.alpha.0 = "a".repeat(200))), "out_of_bounds");
    let claimed = SignedReceipt { signer: deal.taker.account(), ..receipt(&deal, &deal.maker, |_| {}) };
    assert_eq!(error(claimed), "bad_signature");
    let mut altered = receipt(&deal, &deal.maker, |_| {});
    altered.document.outcome = Outcome::Refunded;
    assert_eq!(error(altered), "bad_signature");
}
