//! What the taker checks before it signs, and what both parties' signatures bind.

use serde_json::Value;
use swap_contract::bytes::{PublicKey, Salt};
use swap_contract::document::{Asset, Contract, Document, DocumentError, Role, SignedContract, parse};
use swap_contract::policy::{MAINNET, Policy, REGTEST};
use swap_contract::testing::fixture::{Deal, Person};
use swap_contract::time::{ChainTime, Span, UnixTime, latest_beta_timelock};

fn deals() -> [Deal; 4] {
    let regtest = |gives| {
        let mut deal = Deal::new(gives);
        deal.policy = &REGTEST;
        deal
    };
    [Deal::new(Asset::Btc), Deal::new(Asset::Tft), regtest(Asset::Btc), regtest(Asset::Tft)]
}

fn check(deal: &Deal, contract: &Contract) -> Result<(), DocumentError> {
    contract.check(&deal.offer().document, &deal.order().document, deal.alpha_now, &deal.rules())
}

#[test]
fn a_contract_that_follows_from_offer_and_order_is_taken() {
    for deal in deals() {
        let contract = deal.contract();
        check(&deal, &contract.document).unwrap();
        contract.verify().unwrap();
    }
}

#[test]
fn whoever_sells_btc_initiates_and_funds_alpha() {
    for (gives, maker_role) in [(Asset::Btc, Role::Initiator), (Asset::Tft, Role::Participant)] {
        let deal = Deal::new(gives);
        let contract = deal.contract().document;
        let maker = deal.maker.account();
        assert_eq!(contract.role_of(&maker), Some(maker_role));
        assert_ne!(contract.role_of(&deal.taker.account()), Some(maker_role));
        assert_eq!(contract.role_of(&Person::named("somebody else").account()), None);
        assert_eq!(contract.alpha.refund_key, deal.person(Role::Initiator).alpha_key(&deal.salt(Role::Initiator)));
        assert_eq!(contract.alpha.redeem_key, deal.person(Role::Participant).alpha_key(&deal.salt(Role::Participant)));
        assert_eq!(contract.beta.sender, deal.person(Role::Participant).account());
        assert_eq!(contract.beta.recipient, deal.person(Role::Initiator).account());
        assert_eq!(contract.hashlock, deal.preimage().hashlock());
        assert_eq!(contract.salt_of(&maker), contract.maker_salt);
        assert_eq!(contract.salt_of(&deal.taker.account()), contract.taker_salt);
    }
}

#[test]
fn the_terms_for_the_adapters_are_those_of_the_contract() {
    let contract = Deal::new(Asset::Tft).contract().document;
    let (alpha, beta) = (contract.alpha_terms(), contract.beta_terms());
    assert_eq!((alpha.swap, beta.swap), (contract.id(), contract.id()));
    assert_eq!((alpha.hashlock, beta.hashlock), (contract.hashlock, contract.hashlock));
    assert_eq!((alpha.amount, alpha.refund_after), (contract.alpha.amount, contract.alpha.refund_after));
    assert_eq!((alpha.redeem_key, alpha.refund_key), (contract.alpha.redeem_key, contract.alpha.refund_key));
    assert_eq!((beta.amount, beta.sender, beta.recipient), (contract.beta.amount, contract.beta.sender, contract.beta.recipient));
    assert_eq!(beta.latest_refund_after, contract.beta.latest_refund_after);
}

/// Every path to a string in a JSON value.
fn leaves(value: &Value, path: String, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| leaves(value, format!("{path}/{key}"), out)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| leaves(item, format!("{path}/{at}"), out)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => out.push(path),
    }
}

/// Other values of the same form: another number, another id, another account, another name.
fn mutations(text: &str) -> Vec<String> {
    let last = text.chars().last().unwrap();
    let swapped = |c: char| format!("{}{c}", &text[..text.len() - last.len_utf8()]);
    let mut out = vec![swapped(if last == '0' { '1' } else { '0' }), swapped(if last == '7' { '8' } else { '7' })];
    if let Ok(number) = text.parse::<u64>() {
        out.extend([number.wrapping_add(1), number.wrapping_sub(1), number.saturating_mul(2), 0, u64::MAX].map(|n| n.to_string()));
    }
    out.push(Person::named("mallory").account().to_string());
    out.extend(["BTC", "TFT", "mainnet", "regtest", "", "x"].map(str::to_owned));
    out.retain(|other| other != text);
    out
}

/// What the maker may choose alone, within bounds; the signatures bind these too.
fn is_the_makers_choice(deal: &Deal, path: &str) -> bool {
    match path {
        "/maker_salt" | "/countersign_by" => true,
        "/hashlock" | "/alpha/refund_key" => deal.gives == Asset::Btc,
        "/alpha/redeem_key" => deal.gives == Asset::Tft,
        _ => false,
    }
}

#[test]
fn a_contract_with_any_field_altered_is_refused_by_the_taker_or_by_its_signatures() {
    for deal in deals() {
        let signed = deal.contract();
        let json = serde_json::to_value(&signed.document).unwrap();
        let mut paths = Vec::new();
        leaves(&json, String::new(), &mut paths);
        assert_eq!(paths.len(), 20, "{paths:?}");
        for path in paths {
            for mutation in mutations(json.pointer(&path).unwrap().as_str().unwrap()) {
                let mut altered = json.clone();
                *altered.pointer_mut(&path).unwrap() = Value::String(mutation.clone());
                let Ok(document) = parse::<Contract>(&altered.to_string()) else { continue };
                let refused = check(&deal, &document).is_err();
                assert!(refused || is_the_makers_choice(&deal, &path), "{path} = {mutation}");
                let resigned = SignedContract { document, ..signed.clone() };
                assert!(resigned.verify().is_err(), "{path} = {mutation}");
            }
        }
    }
}

#[test]
fn a_contract_with_a_field_missing_or_of_the_wrong_kind_is_no_contract() {
    let json = serde_json::to_value(Deal::new(Asset::Tft).contract().document).unwrap();
    let mut paths = Vec::new();
    leaves(&json, String::new(), &mut paths);
    for path in paths {
        let (parent, name) = path.rsplit_once('/').unwrap();
        for wrong in
            [None, Some(Value::Null), Some(Value::from(1)), Some(Value::from(1.5)), Some(Value::from(true)), Some(Value::from([0]))]
        {
            let mut altered = json.clone();
            let fields = altered.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            match wrong {
                None => fields.remove(name),
                Some(wrong) => fields.insert(name.to_owned(), wrong),
            };
            assert!(parse::<Contract>(&altered.to_string()).is_err(), "{path}");
        }
        let mut altered = json.clone();
        altered.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert("more".into(), Value::from("1"));
        assert!(parse::<Contract>(&altered.to_string()).is_err(), "{path}");
    }
}

#[test]
fn t1_may_differ_by_as_much_as_two_views_of_the_median_time_may() {
    let deal = Deal::new(Asset::Tft);
    let fair = deal.contract().document;
    let with = |t1: ChainTime| {
        let mut contract = fair.clone();
        contract.alpha.refund_after = t1;
        contract.beta.latest_refund_after = latest_beta_timelock(t1, deal.policy);
        check(&deal, &contract).is_ok()
    };
    let t1 = fair.alpha.refund_after;
    let tolerance = deal.policy.alpha_redeem_margin;
    assert!(with(t1.plus(tolerance)) && with(t1.minus(tolerance)));
    assert!(!with(t1.plus(tolerance).plus(Span::secs(1))));
    assert!(!with(t1.minus(tolerance).minus(Span::secs(1))));
    assert!(!with(t1.plus(Span(1))), "T1 is a whole second");
}

#[test]
fn t1_counts_from_real_time_when_the_median_time_is_behind() {
    let fresh = Deal::new(Asset::Tft);
    let mut behind = Deal::new(Asset::Tft);
    behind.alpha_now = fresh.alpha_now.minus(Span::hours(1));
    assert_eq!(behind.contract().document.alpha.refund_after, fresh.contract().document.alpha.refund_after);
    let mut ahead = Deal::new(Asset::Tft);
    ahead.alpha_now = fresh.alpha_now.plus(Span::hours(1));
    assert_eq!(ahead.contract().document.alpha.refund_after, fresh.contract().document.alpha.refund_after.plus(Span::hours(1)));
}

#[test]
fn a_contract_is_countersigned_from_now_until_its_short_deadline() {
    let deal = Deal::new(Asset::Tft);
    let fair = deal.contract().document;
    let latest = deal.now.0 + 120 + 30;
    for (at, fits) in [(deal.now.0 - 1, false), (deal.now.0, true), (latest, true), (latest + 1, false)] {
        let contract = Contract { countersign_by: UnixTime(at), ..fair.clone() };
        assert_eq!(check(&deal, &contract).is_ok(), fits, "{at}");
    }
    assert_eq!(fair.fund_alpha_by(), fair.countersign_by.plus(deal.policy.alpha_seen_within));
    assert_eq!(fair.alpha_deep_by(), fair.countersign_by.plus(deal.policy.alpha_deep_within));
}

#[test]
fn each_party_has_its_own_key_and_salt() {
    let deal = Deal::new(Asset::Tft);
    let fair = deal.contract().document;
    let mut same_key = fair.clone();
    same_key.alpha.redeem_key = fair.alpha.refund_key;
    assert!(check(&deal, &same_key).is_err());
    let mut mirrored = fair.clone();
    mirrored.alpha.redeem_key = fair.alpha.refund_key;
    mirrored.alpha.redeem_key.0[0] ^= 1;
    assert!(check(&deal, &mirrored).is_err(), "the same x-only key");
    let same_salt = Contract { maker_salt: fair.taker_salt, ..fair.clone() };
    assert!(check(&deal, &same_salt).is_err());
    let mut off_curve = fair.clone();
    off_curve.alpha.redeem_key = PublicKey([0; 33]);
    assert!(check(&deal, &off_curve).is_err());
}

#[test]
fn two_contracts_between_the_same_people_differ_in_id_and_hashlock() {
    let first = Deal::new(Asset::Btc);
    let mut second = first.clone();
    second.number = 2;
    assert_ne!(first.contract().document.id(), second.contract().document.id());
    assert_ne!(first.contract().document.hashlock, second.contract().document.hashlock);
}

#[test]
fn signatures_of_strangers_or_in_each_others_place_are_refused() {
    let deal = Deal::new(Asset::Tft);
    let fair = deal.contract();
    let swapped = SignedContract { maker: fair.taker.clone(), taker: fair.maker.clone(), ..fair.clone() };
    let mallory = Person::named("mallory").sign(&fair.document);
    let forged = [
        swapped,
        SignedContract { maker: mallory.clone(), ..fair.clone() },
        SignedContract { taker: mallory, ..fair.clone() },
        SignedContract { taker: fair.maker.clone(), ..fair.clone() },
        SignedContract { maker: deal.offer().signature, ..fair.clone() },
    ];
    for contract in forged {
        assert_eq!(contract.verify().unwrap_err().error_type(), "bad_signature");
    }
}

#[test]
fn a_contract_by_unknown_margins_is_refused_even_if_both_signed_it() {
    let deal = Deal::new(Asset::Tft);
    let document = Contract { policy: "reckless".into(), ..deal.contract().document };
    let signed = SignedContract { maker: deal.maker.sign(&document), taker: deal.taker.sign(&document), document };
    assert_eq!(signed.verify().unwrap_err().error_type(), "out_of_bounds");
    let policy: &Policy = signed.document.policy();
    assert_eq!(policy, &MAINNET, "and until then it is judged by the widest margins");
}

#[test]
fn an_order_at_a_better_price_is_settled_at_that_price() {
    let deal = Deal::new(Asset::Tft);
    let mut order = deal.order().document;
    order.price.sats.0 = 60;
    let salt: Salt = deal.maker.salt(1);
    let key = deal.maker.alpha_key(&salt);
    let offer = deal.offer().document;
    let contract = Contract::draw_up(&offer, &order, key, deal.preimage().hashlock(), salt, deal.alpha_now, &deal.rules()).unwrap();
    assert_eq!(contract.alpha.amount.0, 60_000);
    contract.check(&offer, &order, deal.alpha_now, &deal.rules()).unwrap();
    assert_eq!(contract.signing_bytes()[..21], *b"twinswap:contract:v1:");
}
