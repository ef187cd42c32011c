//! Many twins that gossip, some of them hostile, with messages that take their time: who finds whom, and at what cost.

use super::twin::{NETWORK, Twin};
use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;
use std::time::Duration;
use swap_contract::bytes::Salt;
use swap_contract::document::{
    Account, Document, LISTING_LIFETIME, Listing, Rules, SEARCH_LIFETIME, Search, Sequence, Signature, Signed, Tags,
};
use swap_contract::policy::MAINNET;
use swap_contract::time::UnixTime;
use twinswap::api::{AskGossip, GossipAnswer, GossipWord};
use twinswap::discovery::gossip::Gossip;
use twinswap::discovery::{Ask, Call, Checked, Finder, Heard, MAX_LISTINGS, SELLS_TFT, Verify, label};

const NOW: UnixTime = UnixTime(1_790_000_000);
const RULES: Rules = Rules { network: NETWORK, policy: &MAINNET, now: NOW };
/// A call that is not answered by then has failed, in milliseconds.
const TIMEOUT: u64 = 5_000;
/// A search that has found nobody by then has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Caches of one twin, in bytes.
const MOST_CACHED: (usize, usize) = (50_000_000, 5_000_000);
/// Searches that a flooding twin makes.
const FLOOD: u32 = 5;
/// Keys of twins that do not exist, for those who invent some.
const INVENTED: u32 = 32;

/// What a twin does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Never answers.
    Silent,
    /// Answers with listings that nobody signed.
    Forger,
    /// Answers with twins that do not exist, all properly signed.
    Inventor,
    /// Names earlier seekers that do not exist.
    Misleader,
    /// Honest, but for searches without end to everybody it can reach.
    Flooder,
}

/// A network to be played.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub twins: u32,
    /// Of a hundred.
    pub hostile: u32,
    pub makers: u32,
    pub searches: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    pub searches: u64,
    /// Searches that found an honest maker.
    pub found: u64,
    /// Twins that a search came to.
    pub deliveries: u64,
    /// First questions about a search, wherever they were sent.
    pub copies: u64,
    /// All messages for it.
    pub messages: u64,
    /// Twins between the seeker and the nearest honest maker's listing, the one that told being the first.
    pub hops: u64,
    /// Virtual milliseconds until the first honest maker was found.
    pub millis: u64,
}

struct Node {
    reach: String,
    manner: Manner,
    gossip: Gossip,
}

/// A message under way, in the order of its arrival.
enum Message {
    Question(usize, Call),
    Answered(usize, Call, Option<GossipAnswer>),
}

struct Network {
    nodes: Vec<Node>,
    by_reach: HashMap<String, usize>,
    waiting: BTreeMap<(u64, u64), Message>,
    next: u64,
    chance: StdRng,
    /// Listings and searches that were checked before: the same signature is not checked a thousand times.
    checked: Known,
    invented: Vec<Signed<Listing>>,
}

#[derive(Default)]
struct Known {
    listings: HashMap<String, Option<Checked<Listing>>>,
    searches: HashMap<String, Option<Checked<Search>>>,
}

fn twins() -> anyhow::Result<&'static [Twin]> {
    static TWINS: OnceLock<Vec<Twin>> = OnceLock::new();
    if let Some(twins) = TWINS.get() {
        return Ok(twins);
    }
    let made = (0..1_100).map(Twin::new).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(TWINS.get_or_init(|| made))
}

fn listing(twin: &Twin, tags: Tags) -> Signed<Listing> {
    let expires_at = NOW.plus(LISTING_LIFETIME);
    twin.sign(Listing { network: NETWORK, subject: twin.account(), reach: twin.reach(), tags, epoch: Sequence(1), expires_at })
}

fn search(twin: &Twin, number: u32) -> Signed<Search> {
    let (seeker, reach, tags) = (twin.account(), twin.reach(), label(SELLS_TFT));
    let mut salt = Salt([0; 32]);
    salt.0[..4].copy_from_slice(&number.to_le_bytes());
    let expires_at = NOW.plus(SEARCH_LIFETIME);
    twin.sign(Search { network: NETWORK, seeker, reach, tags, may_be_named: true, expires_at, salt })
}

/// Plays a network.
///
/// # Errors
/// A cache grew beyond its bounds.
pub fn play(seed: u64, shape: Shape) -> anyhow::Result<Reached> {
    let mut network = Network::new(seed, shape)?;
    let makers: BTreeSet<Account> = network.nodes[..shape.makers as usize].iter().filter_map(|node| own(&node.gossip)).collect();
    let mut reached = Reached::default();
    for number in 0..shape.searches {
        let honest = (shape.makers as usize..network.nodes.len()).filter(|node| network.nodes[*node].manner == Manner::Honest);
        let seeker = honest.choose(&mut network.chance).context("somebody is honest")?;
        network.seek(seeker, number, &makers, &mut reached)?;
    }
    for node in &network.nodes {
        let cached = node.gossip.cached_bytes();
        ensure!(cached.0 <= MOST_CACHED.0 && cached.1 <= MOST_CACHED.1, "{} has {cached:?} bytes cached", node.reach);
    }
    Ok(reached)
}

fn own(gossip: &Gossip) -> Option<Account> {
    gossip.own_listing().map(|listing| listing.document().subject)
}

impl Network {
    fn new(seed: u64, shape: Shape) -> anyhow::Result<Self> {
        let mut chance = StdRng::seed_from_u64(seed ^ 0x9e7);
        let twins = twins()?;
        let mut known = Known::default();
        let mut nodes = Vec::new();
        for number in 0..shape.twins {
            // Makers are honest: whoever finds none of them has lost to the others.
            let hostile = number >= shape.makers && chance.random_range(0..100) < shape.hostile;
            let manners = [Manner::Silent, Manner::Forger, Manner::Inventor, Manner::Misleader, Manner::Flooder];
            let manner = if hostile { manners[chance.random_range(0..manners.len())] } else { Manner::Honest };
            let contacts: Vec<u32> = (0..shape.twins).filter(|other| *other != number).choose_multiple(&mut chance, 12);
            let given: Vec<String> = contacts.iter().map(|other| twins[*other as usize].reach()).collect();
            let twin = &twins[number as usize];
            let mut gossip = Gossip::new(twin.account(), twin.reach(), &given, [seed.to_le_bytes()[0] ^ number.to_le_bytes()[0]; 32]);
            let tags = if number < shape.makers { label(SELLS_TFT) } else { Tags::new() };
            gossip.list_as(known.listing(listing(twin, tags)).context("an honest listing")?);
            nodes.push(Node { reach: twin.reach(), manner, gossip });
        }
        let by_reach = nodes.iter().enumerate().map(|(place, node)| (node.reach.clone(), place)).collect();
        let invented = (0..INVENTED).map(|number| listing(&twins[1_000 + number as usize], label(SELLS_TFT))).collect();
        let mut network = Self { nodes, by_reach, waiting: BTreeMap::new(), next: 0, chance, checked: known, invented };
        network.meet();
        Ok(network)
    }

    /// Everybody calls its contacts, which answer unless they are silent.
    fn meet(&mut self) {
        let elapsed = Duration::from_secs(2);
        for place in 0..self.nodes.len() {
            for reach in self.nodes[place].gossip.contacts.due(elapsed) {
                let other = self.by_reach[&reach];
                let node = &self.nodes[other];
                let listing = node.gossip.own_listing().cloned().filter(|_| node.manner != Manner::Silent);
                match listing {
                    Some(listing) => self.nodes[place].gossip.contacts.answered(&reach, listing, &[], elapsed),
                    None => self.nodes[place].gossip.contacts.missed(&reach, elapsed),
                }
            }
        }
    }

    fn seek(&mut self, seeker: usize, number: u32, makers: &BTreeSet<Account>, reached: &mut Reached) -> anyhow::Result<()> {
        let begin = Duration::from_secs(10 + 60 * u64::from(number));
        let twin = twins()?.get(seeker).context("a twin of the network")?;
        let search = self.checked.search(search(twin, number)).context("an honest search")?;
        self.flood(number, begin)?;
        let id = search.id();
        self.nodes[seeker].gossip.seek(search, begin + PATIENCE);
        let mut asked = BTreeSet::new();
        let mut first = None;
        let until = begin + PATIENCE;
        let mut now = begin;
        while now <= until {
            let millis = u64::try_from(now.as_millis())?;
            for place in 0..self.nodes.len() {
                for call in self.nodes[place].gossip.due(now) {
                    if call.search == id {
                        reached.messages += 1;
                        if matches!(&call.ask, Ask::Gossip(ask) if !ask.pass_on && ask.ticket.is_none()) {
                            reached.copies += 1;
                            asked.insert(call.reach.clone());
                        }
                    }
                    self.send(millis, Message::Question(place, call));
                }
            }
            while let Some(at) = self.waiting.first_key_value().map(|(at, _)| *at).filter(|at| at.0 <= millis) {
                let Some(message) = self.waiting.remove(&at) else { break };
                self.deliver(message, millis, now);
            }
            if first.is_none() && now.as_millis().is_multiple_of(100) {
                let progress = self.nodes[seeker].gossip.progress(&id, now);
                first =
                    progress.found.iter().filter(|found| makers.contains(&found.listing.document().subject)).map(|found| found.hops).min();
                if let Some(hops) = first {
                    (reached.found, reached.hops) = (reached.found + 1, reached.hops + u64::from(hops));
                    reached.millis += u64::try_from((now - begin).as_millis())?;
                }
                if progress.ended {
                    break;
                }
            }
            now += Duration::from_millis(20);
        }
        reached.searches += 1;
        reached.deliveries += asked.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Those who flood ask everybody they know for the same, again and again.
    fn flood(&mut self, number: u32, begin: Duration) -> anyhow::Result<()> {
        if number > 0 {
            return Ok(());
        }
        let flooders: Vec<usize> = (0..self.nodes.len()).filter(|place| self.nodes[*place].manner == Manner::Flooder).collect();
        for place in flooders {
            for count in 0..FLOOD {
                let flood = search(&twins()?[place], 100 + count);
                let Some(search) = self.checked.search(flood.clone()) else { continue };
                for to in 0..self.nodes.len() {
                    let ask = AskGossip { search: flood.clone(), hops: 2, pass_on: false, ticket: None };
                    self.nodes[to].gossip.ask(search.clone(), &ask, NOW, begin);
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, millis: u64, message: Message) {
        let delay = match &message {
            Message::Answered(_, _, None) => TIMEOUT,
            Message::Answered(..) | Message::Question(..) => self.chance.random_range(5..120),
        };
        self.next += 1;
        self.waiting.insert((millis + delay, self.next), message);
    }

    fn deliver(&mut self, message: Message, millis: u64, now: Duration) {
        match message {
            Message::Question(from, call) => {
                let answer = match self.by_reach.get(&call.reach).copied() {
                    Some(to) => self.answer(to, &call, now),
                    None => None,
                };
                self.send(millis, Message::Answered(from, call, answer));
            }
            Message::Answered(to, call, answer) => {
                let heard = answer.map(|answer| self.checked.heard(answer));
                self.nodes[to].gossip.answered(&call, heard, now);
            }
        }
    }

    fn answer(&mut self, to: usize, call: &Call, now: Duration) -> Option<GossipAnswer> {
        let Ask::Gossip(ask) = &call.ask else { return None };
        let nothing = GossipAnswer { listings: Vec::new(), earlier: Vec::new(), word: GossipWord::Nothing };
        let some = |invented: &[Signed<Listing>], chance: &mut StdRng| invented.iter().cloned().choose_multiple(chance, MAX_LISTINGS);
        match self.nodes[to].manner {
            Manner::Honest | Manner::Flooder => {
                let search = self.checked.search(ask.search.clone())?;
                Some(self.nodes[to].gossip.ask(search, ask, NOW, now))
            }
            Manner::Silent => None,
            Manner::Forger => {
                let mut listings = some(&self.invented, &mut self.chance);
                listings.iter_mut().for_each(|listing| listing.document.epoch = Sequence(2));
                Some(GossipAnswer { listings, word: GossipWord::Known { hops: 1 }, ..nothing })
            }
            Manner::Inventor => {
                let listings = some(&self.invented, &mut self.chance);
                Some(GossipAnswer { listings, word: GossipWord::Known { hops: 1 }, ..nothing })
            }
            Manner::Misleader => {
                let earlier = (1_000..1_004).filter_map(|number| Some(search(twins().ok()?.get(number)?, 0))).collect();
                Some(GossipAnswer { earlier, word: GossipWord::MayAsk, ..nothing })
            }
        }
    }
}

impl Known {
    fn listing(&mut self, signed: Signed<Listing>) -> Option<Checked<Listing>> {
        remembered(&mut self.listings, signed)
    }

    fn search(&mut self, signed: Signed<Search>) -> Option<Checked<Search>> {
        remembered(&mut self.searches, signed)
    }

    fn heard(&mut self, answer: GossipAnswer) -> Heard {
        let told = answer.listings.len() + answer.earlier.len();
        let listings: Vec<_> = answer.listings.into_iter().filter_map(|signed| self.listing(signed)).collect();
        let earlier: Vec<_> = answer.earlier.into_iter().filter_map(|signed| self.search(signed)).collect();
        let junk = listings.len() + earlier.len() < told;
        Heard::Gossip { listings, earlier, word: answer.word, junk }
    }
}

fn remembered<D: Verify + Clone>(known: &mut HashMap<String, Option<Checked<D>>>, signed: Signed<D>) -> Option<Checked<D>> {
    let key = format!("{}{}", hex(&signed.signature), hex_hash(&signed.document));
    known.entry(key).or_insert_with(|| Checked::new(signed, &RULES).ok()).clone()
}

fn hex(signature: &Signature) -> String {
    serde_json::to_string(signature).unwrap_or_default()
}

fn hex_hash(document: &impl Document) -> String {
    format!("{:?}", document.hash())
}
