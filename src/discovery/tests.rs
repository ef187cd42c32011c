//! What one engine answers another, and whom it knows.

use super::aggregator::{Aggregator, MAX_PROMISED, NotKept};
use super::aggregators::{Aggregators, Page};
use super::book::{Book, MAX_PER_MAKER, NotAdmitted};
use super::contacts::{Contacts, MAX_CONTACTS, MAX_NAMED_BY_ONE, MAX_UNASKED, Origin};
use super::gossip::{FAN_OUT, Gossip, MAX_HOPS, Way};
use super::{Ask, Call, Checked, Finder, Heard, MAX_LISTINGS, SELLS_TFT, label};
use crate::api::{AskGossip, EntryPage, GossipAnswer, GossipWord, ListEntries};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::time::Duration;
use subxt_signer::sr25519::Keypair;
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::bytes::{GenesisHash, Salt, SearchId};
use swap_contract::document::{
    Account, Asset, Document, DocumentError, KEPT_FOR, Listing, Misdeed, Network, Offer, Rules, Scheme, Search, Sequence, Signature,
    Signed, Tags,
};
use swap_contract::policy::REGTEST;
use swap_contract::time::{Span, UnixTime};

const NETWORK: Network = Network { bitcoin: GenesisHash([1; 32]), tfchain: GenesisHash([2; 32]) };
const NOW: UnixTime = UnixTime(1_800_000_000);
const RULES: Rules = Rules { network: NETWORK, policy: &REGTEST, now: NOW };
const START: Duration = Duration::from_secs(100);

fn keys(number: u32) -> Keypair {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    Keypair::from_secret_key(seed).unwrap()
}

fn account(number: u32) -> Account {
    Account(keys(number).public_key().0)
}

fn reach(number: u32) -> String {
    format!("rmb:{number}")
}

fn sign<D: Document>(number: u32, document: D) -> Signed<D> {
    Signed { signature: Signature::new(Scheme::Sr25519, &keys(number).sign(&document.signing_bytes()).0), document }
}

fn listing_of(number: u32, tags: Tags) -> Listing {
    let (subject, reach) = (account(number), reach(number));
    Listing { network: NETWORK, subject, reach, tags, epoch: Sequence(1), expires_at: NOW.plus(Span::minutes(20)) }
}

fn listing(number: u32, tags: Tags) -> Checked<Listing> {
    Checked::new(sign(number, listing_of(number, tags)), &RULES).unwrap()
}

fn seller(number: u32) -> Checked<Listing> {
    listing(number, label(SELLS_TFT))
}

fn search_by(number: u32, may_be_named: bool) -> Checked<Search> {
    let (seeker, reach) = (account(number), reach(number));
    let search = Search {
        network: NETWORK,
        seeker,
        reach,
        tags: label(SELLS_TFT),
        may_be_named,
        expires_at: NOW.plus(Span::minutes(5)),
        salt: Salt([5; 32]),
    };
    Checked::new(sign(number, search), &RULES).unwrap()
}

/// An engine that knows these, all of them alive.
fn engine(number: u32, contacts: &[u32]) -> Gossip {
    let given: Vec<String> = contacts.iter().map(|contact| reach(*contact)).collect();
    let mut gossip = Gossip::new(account(number), reach(number), &given, [9; 32]);
    gossip.list_as(listing(number, Tags::new()));
    gossip.contacts.due(START);
    contacts.iter().for_each(|contact| gossip.contacts.answered(&reach(*contact), listing(*contact, Tags::new()), &[], START));
    gossip
}

fn first_ask(search: &Checked<Search>, hops: u8) -> AskGossip {
    AskGossip { search: search.signed().clone(), hops, pass_on: false, ticket: None }
}

fn asked(gossip: &mut Gossip, ask: &AskGossip) -> GossipAnswer {
    gossip.ask(Checked::new(ask.search.clone(), &RULES).unwrap(), ask, NOW, START)
}

fn as_heard(answer: GossipAnswer) -> Heard {
    let listings = answer.listings.into_iter().map(|signed| Checked::new(signed, &RULES).unwrap()).collect();
    let earlier = answer.earlier.into_iter().map(|signed| Checked::new(signed, &RULES).unwrap()).collect();
    Heard::Gossip { listings, earlier, word: answer.word, junk: false }
}

/// Begins a search for who sells TFT.
fn seek(gossip: &mut Gossip, number: u32, may_be_named: bool) -> SearchId {
    let search = search_by(number, may_be_named);
    gossip.seek(search.clone(), LATE);
    search.id()
}

/// Engines that only know each other as given here. Every message arrives at once.
struct Neighbours(BTreeMap<String, Gossip>);

impl Neighbours {
    fn new(who: &[(u32, &[u32])]) -> Self {
        Self(who.iter().map(|(number, contacts)| (reach(*number), engine(*number, contacts))).collect())
    }

    fn of(&mut self, number: u32) -> &mut Gossip {
        self.0.get_mut(&reach(number)).unwrap()
    }

    /// Lets everybody talk until nobody has anything to say for a while.
    fn talk(&mut self) -> Vec<(String, Call)> {
        let mut said = Vec::new();
        for step in 0..200 {
            let elapsed = START + Duration::from_millis(50 * step);
            let from: Vec<String> = self.0.keys().cloned().collect();
            for from in from {
                for call in self.0.get_mut(&from).unwrap().due(elapsed) {
                    let Ask::Gossip(ask) = &call.ask else { panic!("{call:?}") };
                    let search = Checked::new(ask.search.clone(), &RULES).unwrap();
                    let answer = self.0.get_mut(&call.reach).map(|other| as_heard(other.ask(search, ask, NOW, elapsed)));
                    self.0.get_mut(&from).unwrap().answered(&call, answer, elapsed);
                    said.push((from.clone(), call));
                }
            }
        }
        said
    }
}

const LATE: Duration = Duration::from_secs(120);

#[test]
fn a_contact_that_is_wanted_or_knows_one_is_found_at_once() {
    let mut all = Neighbours::new(&[(1, &[2, 3]), (2, &[]), (3, &[4])]);
    all.of(2).list_as(seller(2));
    all.of(3).contacts.answered(&reach(4), seller(4), &[], START);
    let id = seek(all.of(1), 1, true);
    let said = all.talk();
    assert_eq!(said.len(), 2, "nobody is told to ask on once somebody is found: {said:?}");
    let progress = all.of(1).progress(&id, START);
    let mut found: Vec<_> = progress.found.iter().map(|found| (found.listing.document().subject, found.way, found.hops)).collect();
    found.sort();
    let mut expected = [(account(2), Way::Contact, 1), (account(4), Way::Contact, 1)];
    expected.sort();
    assert_eq!(found, expected);
    assert!(progress.ended && progress.asked == 2 && progress.calls == 2);
}

#[test]
fn whoever_knows_nobody_asks_on_only_when_it_is_told_to() {
    let mut all = Neighbours::new(&[(1, &[2]), (2, &[3]), (3, &[4]), (4, &[])]);
    all.of(4).list_as(seller(4));
    let search = search_by(1, false);
    let word = asked(all.of(2), &first_ask(&search, MAX_HOPS)).word;
    assert_eq!(word, GossipWord::MayAsk);
    assert!(all.of(2).due(START).is_empty(), "it was not told to");
    assert_eq!(asked(all.of(2), &first_ask(&search, 0)).word, GossipWord::Nothing, "it may not be passed on");

    let mut all = Neighbours::new(&[(1, &[2]), (2, &[3]), (3, &[4]), (4, &[])]);
    all.of(4).list_as(seller(4));
    let id = seek(all.of(1), 1, false);
    all.talk();
    let found = all.of(1).progress(&id, START).found;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].way, found[0].hops, found[0].from.as_str()), (Way::PassedOn, 3, "rmb:2"));
    // All on the way have it now.
    for number in [1, 2, 3] {
        let listings = asked(all.of(number), &first_ask(&search_by(50, false), 0)).listings;
        assert_eq!(listings.iter().map(|signed| signed.document.subject).collect::<Vec<_>>(), [account(4)], "{number}");
    }
}

#[test]
fn an_earlier_seeker_is_named_if_it_wants_to_be_and_is_asked() {
    let mut all = Neighbours::new(&[(1, &[2]), (2, &[]), (5, &[]), (6, &[])]);
    // 5 has looked for the same, found 9, and had asked 2; 6 does not want to be named.
    asked(all.of(2), &first_ask(&search_by(5, true), 0));
    asked(all.of(2), &first_ask(&search_by(6, false), 0));
    all.of(5).contacts.came_by(&seller(9), START);
    all.of(5).contacts.answered(&reach(9), seller(9), &[], START);
    let id = seek(all.of(1), 1, true);
    let said = all.talk();
    let found = all.of(1).progress(&id, START).found;
    assert_eq!(found.iter().map(|found| (found.way, found.hops, found.from.as_str())).collect::<Vec<_>>(), [(Way::Earlier, 2, "rmb:5")]);
    assert!(said.iter().all(|(_, call)| call.reach != reach(6)));
}

#[test]
fn a_circle_of_contacts_ends_without_anybody() {
    let mut all = Neighbours::new(&[(1, &[2]), (2, &[3]), (3, &[1, 2])]);
    let id = seek(all.of(1), 1, true);
    let said = all.talk();
    let progress = all.of(1).progress(&id, START);
    assert!(progress.ended && progress.found.is_empty());
    assert!(said.len() < 30, "{}", said.len());
}

#[test]
fn one_liar_stops_no_search() {
    // 2 claims to know many; 3 and 4 can reach the real one.
    let mut all = Neighbours::new(&[(1, &[2, 3]), (2, &[]), (3, &[4]), (4, &[])]);
    all.of(4).list_as(seller(4));
    for invented in 100..120 {
        all.of(2).contacts.came_by(&seller(invented), START);
        all.of(2).contacts.answered(&reach(invented), seller(invented), &[], START);
    }
    let id = seek(all.of(1), 1, true);
    all.talk();
    let found = all.of(1).progress(&id, START).found;
    assert!(found.iter().any(|found| found.listing.document().subject == account(4)));
    assert!(found.iter().filter(|found| found.from == reach(2)).count() <= MAX_LISTINGS);
}

#[test]
fn a_search_asks_a_few_and_then_others() {
    let contacts: Vec<u32> = (10..30).collect();
    let mut gossip = engine(1, &contacts);
    let id = seek(&mut gossip, 1, true);
    let first = gossip.due(START);
    assert_eq!(first.len(), FAN_OUT);
    for call in &first {
        gossip.answered(call, None, START);
    }
    let second = gossip.due(START);
    assert_eq!(second.len(), FAN_OUT);
    assert!(second.iter().all(|call| first.iter().all(|before| before.reach != call.reach)));
    assert!(!gossip.progress(&id, START).ended);
    assert!(gossip.progress(&id, LATE).ended && gossip.due(LATE).is_empty());
}

#[test]
fn listings_and_searches_are_refused_unless_they_are_what_they_should_be() {
    let listing = || listing_of(3, label(SELLS_TFT));
    assert!(Checked::new(sign(3, listing()), &RULES).is_ok());
    let refused = |by: u32, document: Listing| Checked::new(sign(by, document), &RULES).unwrap_err().error_type();
    assert_eq!(refused(4, listing()), "bad_signature");
    assert_eq!(refused(3, Listing { expires_at: UnixTime(NOW.0 - 100), ..listing() }), "document_expired");
    assert_eq!(refused(3, Listing { expires_at: NOW.plus(Span::minutes(40)), ..listing() }), "lives_too_long");
    assert_eq!(refused(3, Listing { epoch: Sequence(u64::MAX), ..listing() }), "out_of_bounds");
    assert_eq!(refused(3, Listing { reach: "ftp://x".into(), ..listing() }), "out_of_bounds");
    let many: Tags = (0..9).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(refused(3, Listing { tags: many, ..listing() }), "out_of_bounds");
    let network = Network { bitcoin: GenesisHash([9; 32]), ..NETWORK };
    assert_eq!(refused(3, Listing { network, ..listing() }), "wrong_network");
    let search = Search { tags: Tags::new(), ..search_by(3, true).document().clone() };
    assert!(matches!(Checked::new(sign(3, search), &RULES), Err(DocumentError::OutOfBounds { field: "tags", .. })));
    let search = Search { expires_at: NOW.plus(Span::minutes(12)), ..search_by(3, true).document().clone() };
    assert!(matches!(Checked::new(sign(3, search), &RULES), Err(DocumentError::LivesTooLong { .. })));
}

fn contacts(given: &[&str], own: &str) -> Contacts {
    let given: Vec<String> = given.iter().map(|reach| (*reach).to_owned()).collect();
    Contacts::new(own.to_owned(), &given, SmallRng::seed_from_u64(1))
}

#[test]
fn nobody_fills_the_table_alone() {
    let mut table = contacts(&["rmb:1"], "rmb:99");
    table.due(START);
    // A contact that names others again and again.
    for first in (1_000..1_400).step_by(8) {
        let others: Vec<_> = (first..first + 8).map(seller).collect();
        table.answered("rmb:1", listing(1, Tags::new()), &others, START);
    }
    let named = |table: &Contacts| table.all().filter(|(_, contact)| matches!(contact.origin, Origin::Named(_))).count();
    assert_eq!(named(&table), MAX_NAMED_BY_ONE);
    // Ten thousand would be no more than these.
    (2_000..2_200).for_each(|number| table.came_by(&seller(number), START));
    assert_eq!(table.all().count(), 1 + MAX_NAMED_BY_ONE + MAX_UNASKED);
    assert!(table.all().count() < MAX_CONTACTS);
    assert_eq!(table.alive().count(), 1, "whoever was only told of is asked nothing before it has answered");
}

#[test]
fn the_dead_are_out_after_three_calls_and_back_when_they_are_heard() {
    let mut table = contacts(&["rmb:1"], "rmb:99");
    table.came_by(&seller(2), START);
    let mut now = START + Duration::from_secs(5);
    assert_eq!(table.due(now), ["rmb:1", "rmb:2"]);
    assert!(table.due(now).is_empty(), "not called twice at a time");
    table.answered("rmb:1", seller(1), &[], now);
    table.answered("rmb:2", seller(2), &[], now);
    assert_eq!(table.alive().count(), 2);
    for round in 1..=3 {
        now += Duration::from_secs(80);
        assert_eq!(table.due(now).len(), 2, "{round}");
        table.missed("rmb:1", now);
        table.missed("rmb:2", now);
        assert_eq!(table.alive().count(), 0);
    }
    assert_eq!(table.all().map(|(reach, _)| reach.as_str()).collect::<Vec<_>>(), ["rmb:1"], "who was given stays");
    now += Duration::from_secs(80);
    table.due(now);
    table.answered("rmb:1", seller(1), &[seller(2)], now);
    assert_eq!(table.all().count(), 2);
}

#[test]
fn junk_gets_its_sender_out_and_keeps_it_out() {
    let mut table = contacts(&[], "rmb:99");
    table.came_by(&seller(2), START);
    (0..3).for_each(|_| table.junk("rmb:2", START));
    assert_eq!(table.all().count(), 0);
    table.came_by(&seller(2), START + Duration::from_secs(60));
    assert_eq!(table.all().count(), 0);
    table.came_by(&seller(2), START + Duration::from_secs(3601));
    assert_eq!(table.all().count(), 1);
    // Somebody who speaks for another address.
    table.due(START + Duration::from_secs(3700));
    table.answered("rmb:2", seller(3), &[], START + Duration::from_secs(3700));
    assert_eq!(table.all().count(), 0);
}

#[test]
fn strangers_make_nobody_call_into_its_own_network() {
    let public = contacts(&[], "https://engine.example.org");
    let here = "http://127.0.0.1:1 http://localhost:1 http://10.0.0.1 http://192.168.1.1 http://169.254.169.254 http://[::1]:1 \
                http://[fd00::1] http://0.0.0.0 http://[::ffff:10.0.0.1] http://a.localhost http://2130706433 http://localhost. http://x.internal http://0.1.2.3 \
                http://[64:ff9b::a00:1] http://[2002:a00:1::1] http://[::a00:1]";
    for reach in here.split_whitespace() {
        assert!(!public.may_call(reach), "{reach}");
    }
    assert!(public.may_call("https://other.example.org") && public.may_call("http://8.8.8.8:9556"));
    assert!(!public.may_call("rmb:3"), "a twin cannot be reached by an engine that is not on that bus");
    assert!(contacts(&[], "http://127.0.0.1:5").may_call("http://127.0.0.1:6"), "engines on one machine");
    let twin = contacts(&[], "rmb:1");
    assert!(twin.may_call("rmb:2") && !twin.may_call("http://127.0.0.1:80"));
    let home = contacts(&[], "http://127.0.0.1:9556");
    for reach in ["http://192.168.1.1", "http://169.254.169.254", "http://router.lan", "http://printer", "http://100.64.0.1"] {
        assert!(!home.may_call(reach), "{reach}");
    }
}

fn offer_of(number: u32, gives: Asset, price: (u64, u64), sequence: u64) -> Checked<Offer> {
    let document = Offer {
        network: NETWORK,
        owner: account(number),
        delegate: account(number),
        gives,
        price: Price { sats: Sats(price.0), units: Units(price.1) },
        min: Units(1_000),
        max: Units(10_000),
        lot: Units(10_000),
        waiting_period: REGTEST.waiting_period.0,
        sequence: Sequence(sequence),
        expires_at: NOW.plus(Span::minutes(1)),
        policy: REGTEST.name.into(),
        tags: Tags::new(),
        reach: reach(number),
    };
    Checked::new(sign(number, document), &RULES).unwrap()
}

#[test]
fn the_best_offer_of_each_side_comes_first_by_its_exact_price() {
    let mut book = Book::default();
    // 1/3, 333/1000 and 334/1000.
    for (number, price) in [(1, (1, 3)), (2, (333, 1_000)), (3, (334, 1_000))] {
        for gives in [Asset::Tft, Asset::Btc] {
            book.admit(offer_of(number, gives, price, u64::from(number) * 10), Units(5_000), NOW).unwrap();
        }
    }
    let makers = |book: &Book, gives| book.offers(gives).map(|entry| entry.offer.document().reach.clone()).collect::<Vec<_>>();
    assert_eq!(makers(&book, Asset::Tft), ["rmb:2", "rmb:1", "rmb:3"]);
    assert_eq!(makers(&book, Asset::Btc), ["rmb:3", "rmb:1", "rmb:2"]);
}

#[test]
fn no_offer_is_there_twice_and_none_is_a_ghost() {
    let mut book = Book::default();
    let offer = offer_of(1, Asset::Tft, (250, 1_000), 1);
    let other = offer_of(1, Asset::Tft, (251, 1_000), 2);
    book.admit(offer.clone(), Units(9_000), NOW).unwrap();
    book.admit(offer.clone(), Units(4_000), NOW).unwrap();
    book.admit(other.clone(), Units(u64::MAX), NOW).unwrap();
    let left: Vec<_> = book.offers(Asset::Tft).map(|entry| entry.remaining.0).collect();
    assert_eq!(left, [4_000, 10_000], "no more is left than was offered");
    assert_eq!(book.admit(offer.clone(), Units(999), NOW), Err(NotAdmitted::Empty));
    assert_eq!(book.len(), 1, "filled");
    book.admit(offer.clone(), Units(9_000), NOW).unwrap();
    book.remove(&other.id());
    assert_eq!(book.offers(Asset::Tft).map(|entry| entry.offer.id()).collect::<Vec<_>>(), [offer.id()], "taken back");
    book.remove_maker(&account(1));
    assert!(book.is_empty());
    book.admit(offer.clone(), Units(9_000), NOW).unwrap();
    book.expire(NOW.plus(Span::minutes(2)));
    assert!(book.is_empty());
    assert_eq!(book.admit(offer, Units(9_000), NOW.plus(Span::minutes(2))), Err(NotAdmitted::Expired));
}

#[test]
fn one_maker_does_not_fill_the_book() {
    let mut book = Book::default();
    for sequence in 0..150 {
        let admitted = book.admit(offer_of(1, Asset::Tft, (250, 1_000), sequence), Units(5_000), NOW);
        assert_eq!(admitted.is_ok(), sequence < MAX_PER_MAKER as u64);
    }
    book.admit(offer_of(2, Asset::Tft, (900, 1_000), 1), Units(5_000), NOW).unwrap();
    assert_eq!(book.len(), MAX_PER_MAKER + 1);
}

#[test]
fn caches_stay_within_their_bounds_whoever_asks() {
    let mut gossip = engine(1, &[2]);
    let nobody = |gossip: &mut Gossip, number: u32| {
        let search = search_by(number, true);
        gossip.ask(search.clone(), &first_ask(&search, 2), NOW, START);
    };
    (1_000..12_500).for_each(|number| nobody(&mut gossip, number));
    let (listings, searches) = gossip.cached();
    assert!(listings == 0 && searches <= 10_000, "{searches}");
    let bytes = gossip.cached_bytes();
    assert!(bytes.1 <= 5_000_000 && bytes.1 > 4_000_000, "{bytes:?}");
}

/// An aggregator and its key.
fn lists(number: u32) -> Aggregator {
    Aggregator::new(account(number), NETWORK)
}

fn page_of(aggregator: &mut Aggregator, number: u32, question: &ListEntries, now: UnixTime) -> EntryPage {
    let (snapshot, listings) = aggregator.list(&question.tags, question.after, now);
    EntryPage { snapshot: sign(number, snapshot), listings }
}

fn rules(now: UnixTime) -> Rules {
    Rules { now, ..RULES }
}

#[test]
fn an_aggregator_lists_by_all_labels_page_by_page() {
    let mut aggregator = lists(1);
    for number in 10..50 {
        let mut tags = label(SELLS_TFT);
        tags.insert("place".into(), (number % 2).to_string());
        aggregator.keep(listing(number, tags), NOW).unwrap();
    }
    let mut tags = label(SELLS_TFT);
    tags.insert("place".into(), "1".into());
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let question = ListEntries { tags: tags.clone(), after };
        let page = page_of(&mut aggregator, 1, &question, NOW);
        assert!(page.listings.len() <= MAX_LISTINGS);
        found.extend(page.snapshot.document.rows.iter().map(|row| row.subject));
        after = page.snapshot.document.rows.last().map(|row| row.subject);
        let more = page.snapshot.document.more;
        Page::new(page, &question, &RULES).unwrap();
        if !more {
            break;
        }
    }
    let mut expected: Vec<Account> = (10..50).filter(|number| number % 2 == 1).map(account).collect();
    expected.sort();
    assert_eq!(found, expected);
    // Whoever is not heard of again is gone.
    let (snapshot, _) = aggregator.list(&tags, None, NOW.plus(KEPT_FOR));
    assert!(snapshot.rows.is_empty() && aggregator.is_empty());
}

#[test]
fn an_aggregator_keeps_its_promise_though_its_subject_changes() {
    let mut aggregator = lists(1);
    aggregator.keep(seller(3), NOW).unwrap();
    let changed = |epoch| Checked::new(sign(3, Listing { epoch: Sequence(epoch), ..listing_of(3, Tags::new()) }), &RULES).unwrap();
    aggregator.keep(changed(2), NOW).unwrap();
    assert_eq!(aggregator.keep(seller(3), NOW), Err(NotKept::Older));
    let still = aggregator.list(&label(SELLS_TFT), None, NOW.plus(Span::minutes(2))).0;
    assert_eq!(still.rows.len(), 1, "it was promised for three minutes");
    for epoch in 3..=MAX_PROMISED as u64 {
        aggregator.keep(changed(epoch), NOW).unwrap();
    }
    assert_eq!(aggregator.keep(changed(99), NOW), Err(NotKept::Full));
    assert_eq!(aggregator.len(), 1);
}

fn using(aggregators: &[u32]) -> Aggregators {
    let reaches: Vec<String> = aggregators.iter().map(|number| reach(*number)).collect();
    Aggregators::new(account(9), &reaches, SmallRng::seed_from_u64(1))
}

/// Asks all aggregators, which answer as they are.
fn look(client: &mut Aggregators, lists: &mut BTreeMap<u32, Aggregator>, now: UnixTime) -> super::gossip::Progress {
    let search = search_by(9, false);
    client.seek(search.clone(), LATE);
    loop {
        let calls = client.due(START);
        if calls.is_empty() {
            return client.progress(&search.id(), START);
        }
        for call in calls {
            let Ask::Entries(question) = &call.ask else { panic!("{call:?}") };
            let number = lists.keys().copied().find(|number| reach(*number) == call.reach).unwrap();
            let page = page_of(lists.get_mut(&number).unwrap(), number, question, now);
            let heard = Page::new(page, question, &rules(now)).ok().map(|page| Heard::Entries(Box::new(page)));
            client.answered(&call, heard, START);
        }
    }
}

#[test]
fn what_one_aggregator_leaves_out_the_other_has() {
    let mut all = BTreeMap::from([(1, lists(1)), (2, lists(2))]);
    for number in 20..60 {
        all.get_mut(&1).unwrap().keep(seller(number), NOW).unwrap();
        if number != 33 {
            all.get_mut(&2).unwrap().keep(seller(number), NOW).unwrap();
        }
    }
    let mut client = using(&[1, 2]);
    let progress = look(&mut client, &mut all, NOW);
    assert_eq!((progress.found.len(), progress.missing, progress.ended), (40, 1, true));
    assert!(progress.found.iter().all(|found| found.way == Way::Aggregator));
}

#[test]
fn an_aggregator_that_breaks_its_promise_is_caught_with_a_proof() {
    let mut honest = lists(1);
    let own = seller(9);
    let kept = sign(1, honest.keep(own.clone(), NOW).unwrap());
    assert!(kept.verify(own.document(), &RULES).is_ok());
    let mut client = using(&[1]);
    client.due_keeps(START);
    client.kept(&reach(1), Some((own.signed().clone(), kept.clone())), START);
    let mut all = BTreeMap::from([(1, honest)]);
    let later = NOW.plus(Span::secs(20));
    look(&mut client, &mut all, later);
    assert!(client.proofs().is_empty(), "it lists what it promised to list");
    // The same aggregator, with a list that somebody has been struck off.
    let mut all = BTreeMap::from([(1, lists(1))]);
    look(&mut client, &mut all, later);
    let proofs = client.proofs();
    assert_eq!(proofs.len(), 1);
    assert_eq!(proofs[0].check(&NETWORK), Ok(account(1)));
    let progress = look(&mut client, &mut all, later);
    assert_eq!((progress.calls, progress.found.len()), (0, 0), "it is asked no more");

    // Nothing else is a proof: another time, another page, other labels, another's signature.
    let Misdeed::Omission { listing, kept, snapshot } = &proofs[0] else { panic!("{proofs:?}") };
    let with = |change: &dyn Fn(&mut swap_contract::document::Snapshot), by: u32| {
        let mut document = snapshot.document.clone();
        change(&mut document);
        let snapshot = Box::new(sign(by, document));
        Misdeed::Omission { listing: listing.clone(), kept: kept.clone(), snapshot }.check(&NETWORK)
    };
    assert_eq!(with(&|_| {}, 1), Ok(account(1)));
    assert!(with(&|_| {}, 2).is_err(), "signed by another");
    assert!(with(&|page| page.at = NOW, 1).is_err(), "as old as the promise");
    assert!(with(&|page| page.at = NOW.plus(KEPT_FOR), 1).is_err(), "the promise is over");
    assert!(with(&|page| page.after = Some(account(9)), 1).is_err(), "it is on another page");
    assert!(with(&|page| page.tags = [("sells-btc".to_owned(), "yes".to_owned())].into(), 1).is_err(), "it has no such label");
    assert!(
        with(&|page| page.rows.push(swap_contract::document::Row { subject: account(9), epoch: Sequence(7) }), 1).is_err(),
        "it is there"
    );
}

#[test]
fn a_page_is_refused_unless_it_answers_the_question() {
    let mut aggregator = lists(1);
    (20..40).for_each(|number| drop(aggregator.keep(seller(number), NOW)));
    let question = ListEntries { tags: label(SELLS_TFT), after: None };
    let good = page_of(&mut aggregator, 1, &question, NOW);
    assert!(Page::new(good.clone(), &question, &RULES).is_ok());
    let refused = |page: EntryPage| Page::new(page, &question, &RULES).unwrap_err().error_type();
    assert_eq!(refused(EntryPage { snapshot: sign(2, good.snapshot.document.clone()), ..good.clone() }), "bad_signature");
    assert_eq!(refused(EntryPage { listings: good.listings[1..].to_vec(), ..good.clone() }), "contract_mismatch");
    let mut forged = good.clone();
    forged.listings[3].document.reach = "rmb:666".into();
    assert_eq!(refused(forged), "bad_signature");
    let mut other = good.clone();
    other.listings.swap(1, 2);
    assert_eq!(refused(other), "contract_mismatch");
    let mut document = good.snapshot.document.clone();
    document.rows.swap(1, 2);
    assert_eq!(refused(EntryPage { snapshot: sign(1, document), ..good.clone() }), "out_of_bounds");
    let behind = ListEntries { after: Some(account(5)), ..question.clone() };
    assert!(Page::new(good.clone(), &behind, &RULES).is_err());
    assert!(Page::new(good, &question, &rules(NOW.plus(Span::minutes(10)))).is_err(), "it is old");
}

#[test]
fn nobody_makes_an_honest_aggregator_contradict_itself() {
    let other = |epoch| Checked::new(sign(9, Listing { epoch: Sequence(epoch), ..listing_of(9, Tags::new()) }), &RULES).unwrap();
    let mut aggregator = lists(1);
    let kept = sign(1, aggregator.keep(seller(9), NOW).unwrap());
    // Its subject signs two listings of one epoch, and has the other promised.
    assert_eq!(aggregator.keep(other(1), NOW), Err(NotKept::Older));
    let later = NOW.plus(Span::secs(5));
    let page = |aggregator: &mut Aggregator, now| sign(1, aggregator.list(&label(SELLS_TFT), None, now).0);
    let proof = |listing: &Checked<Listing>, snapshot| Misdeed::Omission {
        listing: Box::new(listing.signed().clone()),
        kept: Box::new(kept.clone()),
        snapshot: Box::new(snapshot),
    };
    let empty = sign(1, lists(1).list(&label(SELLS_TFT), None, later).0);
    assert!(proof(&seller(9), empty.clone()).check(&NETWORK).is_ok(), "this one is a proof");
    let as_new = Checked::new(sign(9, Listing { reach: "rmb:77".into(), ..listing_of(9, label(SELLS_TFT)) }), &RULES).unwrap();
    assert!(proof(&as_new, empty).check(&NETWORK).is_err(), "another listing of the same epoch was never promised");
    // Its clock is set forward, and back again.
    let ahead = page(&mut aggregator, NOW.plus(Span::minutes(2)));
    let back = page(&mut aggregator, later);
    assert!(proof(&seller(9), ahead).check(&NETWORK).is_err());
    assert_eq!(back.document.at, NOW.plus(Span::minutes(2)), "what it signs is never earlier than what it has signed");
    assert!(proof(&seller(9), back).check(&NETWORK).is_err());
}

#[test]
fn one_host_has_few_places_and_the_owners_choice_is_always_asked() {
    let mut table = contacts(&["rmb:1", "rmb:2"], "rmb:99");
    let at = |reach: &str, number| {
        Checked::new(sign(number, Listing { reach: reach.into(), ..listing_of(number, Tags::new()) }), &RULES).unwrap()
    };
    for session in 0..20 {
        table.came_by(&at(&format!("rmb:42:{session}"), 42), START);
    }
    assert_eq!(table.all().count(), 2 + 2);
    (100..130).for_each(|number| table.came_by(&seller(number), START));
    for reach in table.due(LATE) {
        let number = reach.split(':').nth(1).unwrap().parse().unwrap();
        table.answered(&reach, at(&reach, number), &[], LATE);
    }
    for _ in 0..50 {
        let asked = table.some(FAN_OUT, |_| false);
        assert!(asked.len() == FAN_OUT && ["rmb:1", "rmb:2"].iter().all(|given| asked.iter().any(|reach| reach == given)), "{asked:?}");
    }
}

#[test]
fn one_contact_and_those_it_names_are_one_voice() {
    // 2 names four who do not exist but for their listings; 3 would ask on, and knows the way.
    let mut all = Neighbours::new(&[(1, &[2, 3]), (2, &[]), (3, &[4]), (4, &[]), (5, &[]), (6, &[]), (7, &[])]);
    all.of(4).list_as(seller(4));
    for named in [5, 6, 7] {
        asked(all.of(2), &first_ask(&search_by(named, true), 0));
        all.of(named).list_as(seller(named));
    }
    let id = seek(all.of(1), 1, true);
    all.talk();
    let found = all.of(1).progress(&id, START).found;
    assert!(found.iter().any(|found| found.listing.document().subject == account(4)), "{found:?}");
}
