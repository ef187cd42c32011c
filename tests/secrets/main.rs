//! No secret leaves its place: not in a log at TRACE, not in the database, not in an answer or an error, not to another user
//! of the machine. A whole swap is played on chains in memory, and the daemon is started on a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod daemon;
mod demo;
mod log;
mod search;
mod wallet;
#[allow(dead_code, reason = "shared with the tests of whole engines")]
#[path = "../engine/world.rs"]
mod world;

use search::{Place, Secret, files, find};
use swap_contract::bytes::{Salt, SwapId};
use swap_contract::document::Asset;
use swap_contract::outcome::Outcome::Completed;
use swap_contract::port::SwapKeys;
use twinswap::api::LegWord;
use twinswap::engine::keys::Keys;
use twinswap::rpc::Token;
use twinswap::store::Store;
use world::{ALICE, BOB, Party, World};

/// Everything that follows from a mnemonic and never leaves an engine.
pub fn secrets_of(who: &str, words: &str) -> Vec<Secret> {
    let keys = Keys::from_words(words).unwrap();
    let mnemonic = bip39::Mnemonic::parse(words).unwrap();
    let [mini, secret] = account_secret(&mnemonic, &keys);
    let master = bitcoin::bip32::Xpriv::new_master(bitcoin::Network::Regtest, &keys.wallet_seed()[..]).unwrap();
    let path: bitcoin::bip32::DerivationPath = "m/86h/1h/0h".parse().unwrap();
    let account = master.derive_priv(&bitcoin::secp256k1::Secp256k1::new(), &path).unwrap();
    let mut secrets = vec![
        Secret::mnemonic(format!("{who}'s mnemonic"), words),
        Secret::bytes(format!("{who}'s entropy"), &mnemonic.to_entropy()),
        Secret::bytes(format!("{who}'s seed"), &keys.wallet_seed()[..]),
        Secret::bytes(format!("{who}'s account seed"), &mini),
        Secret::bytes(format!("{who}'s account key"), &secret),
    ];
    for (name, key) in [("master", master), ("Bitcoin account", account)] {
        secrets.push(Secret::text(format!("{who}'s {name} xprv"), &key.to_string()));
        secrets.push(Secret::bytes(format!("{who}'s {name} key"), &key.private_key.secret_bytes()));
    }
    secrets
}

/// The seed of the sr25519 account and the scalar that it is expanded to, as wallets make them of the words.
fn account_secret(mnemonic: &bip39::Mnemonic, keys: &Keys) -> [Vec<u8>; 2] {
    let mut seed = [0u8; 64];
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>(&mnemonic.to_entropy(), b"mnemonic", 2048, &mut seed);
    let pair = schnorrkel::MiniSecretKey::from_bytes(&seed[..32]).unwrap().expand_to_keypair(schnorrkel::ExpansionMode::Ed25519);
    assert_eq!(pair.public.to_bytes(), keys.account().0, "these are the account's secrets");
    [seed[..32].to_vec(), pair.secret.to_bytes()[..32].to_vec()]
}

/// The salt of a party in a swap, from its database.
fn salt(party: &Party, swap: SwapId) -> Salt {
    let file = party.folder.path().join("twinswap.db");
    let account = party.owner().account;
    party.ask(async move { Store::open(&file).await.unwrap().swap(&swap).await.unwrap().unwrap().swap.contract().salt_of(&account) })
}

fn preimage(world: &World, swap: SwapId) -> Secret {
    let preimage = Keys::from_words(ALICE).unwrap().preimage(&salt(&world.alice, swap));
    Secret::bytes("the preimage", preimage.expose())
}

/// The databases of both, what both answer, and the log.
fn places(world: &World, log: &log::Log, swap: SwapId) -> (Vec<Place>, Vec<Secret>) {
    let (mut places, mut tokens) = (Vec::new(), Vec::new());
    for (who, party) in [("alice", &world.alice), ("bob", &world.bob)] {
        let tokens_folder = tempfile::tempdir().unwrap();
        let token = Token::load_or_create(tokens_folder.path()).unwrap();
        tokens.push(Secret::text(format!("{who}'s token"), token.bearer().strip_prefix("Bearer ").unwrap()));
        let engine = party.engine().clone();
        let answers = party.ask(answers::all(engine, token, swap));
        assert!(answers.len() > 10_000 && answers.windows(6).any(|part| part == b"result"));
        places.push(Place { name: format!("{who}'s answers"), bytes: answers });
        places.extend(files(party.folder.path()));
    }
    let logged = log.bytes();
    assert!(logged.len() > 10_000, "something is logged");
    places.push(Place { name: "the log".into(), bytes: logged });
    (places, tokens)
}

#[test]
fn a_whole_swap_shows_no_secret_and_no_preimage_before_its_reveal() {
    let log = log::listen();
    let world = World::new();
    let swap = world.agree(Asset::Btc);
    let mut secrets = secrets_of("alice", ALICE);
    secrets.extend(secrets_of("bob", BOB));
    for (who, words, party) in [("alice", ALICE, &world.alice), ("bob", BOB, &world.bob)] {
        let key = Keys::from_words(words).unwrap().alpha_secret(&salt(party, swap));
        secrets.push(Secret::bytes(format!("{who}'s key of the swap"), &key[..]));
    }
    let preimage = preimage(&world, swap);

    // Beta holds the money, and is not final: alice may not show the preimage yet.
    world.beta.stall_finality(true);
    world.until("beta is funded", |world| world.alice.swap().is_some_and(|swap| swap.beta.status == LegWord::Funded));
    (0..3).for_each(|_| world.minute());
    let (before, tokens) = places(&world, &log, swap);
    secrets.extend(tokens);
    assert_eq!(find(&secrets, &before), Vec::<String>::new());
    assert_eq!(find(std::slice::from_ref(&preimage), &before), Vec::<String>::new());

    world.beta.stall_finality(false);
    world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
    let (after, tokens) = places(&world, &log, swap);
    secrets.extend(tokens);
    assert_eq!(find(&secrets, &after), Vec::<String>::new());
    // Now it is public, and both have stored it: what is stored is found.
    for party in [&world.alice, &world.bob] {
        let stored = files(party.folder.path());
        assert!(stored.iter().any(|place| preimage.is_in(&place.bytes)), "{}", party.owner().name);
    }
    let logged: Vec<Place> = after.into_iter().filter(|place| place.name == "the log").collect();
    assert_eq!(find(&[preimage], &logged), Vec::<String>::new(), "a preimage is logged not even then");
}

#[test]
fn what_is_planted_is_found() {
    let log = log::listen();
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::from_words(BOB).unwrap();
    let salt = Salt([3; 32]);
    let secrets = [Secret::bytes("the key", &keys.alpha_secret(&salt)[..]), Secret::mnemonic("the words", BOB)];
    tracing::trace!(key = %hex::encode(&keys.alpha_secret(&salt)[..]), words = BOB, "a slip");
    std::fs::create_dir(folder.path().join("below")).unwrap();
    std::fs::write(folder.path().join("below/file"), [&[0; 100][..], &keys.alpha_secret(&salt)[..]].concat()).unwrap();
    let mut places = files(folder.path());
    assert_eq!(find(&secrets, &places).len(), 1);
    places.push(Place { name: "the log".into(), bytes: log.bytes() });
    assert_eq!(find(&secrets, &places).len(), 3);
}

#[test]
fn an_error_or_a_debug_print_names_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::from_words(ALICE).unwrap();
    let salt = Salt([1; 32]);
    let misspelt = ALICE.replace("thank yellow", "thank yelow");
    let wrong = ALICE.replace("thank yellow", "thank wave");
    let passphrase = "correct horse battery staple";
    let create = |words: &str| twinswap::engine::keys::create(folder.path(), Some(words), passphrase).err().unwrap();
    let mut texts = vec![format!("{keys:?} {:?}", keys.preimage(&salt))];
    for error in [create(&misspelt), create(&wrong), Keys::from_words(&misspelt).unwrap_err()] {
        texts.push(format!("{error} {error:?}"));
    }
    twinswap::engine::keys::create(folder.path(), Some(ALICE), passphrase).unwrap();
    let error = twinswap::engine::keys::unlock(folder.path(), "correct horse battery").unwrap_err();
    texts.push(format!("{error} {error:?}"));
    let mut secrets = secrets_of("alice", ALICE);
    secrets.push(Secret::text("the passphrase", passphrase));
    secrets.push(Secret::text("a passphrase", "horse battery"));
    secrets.push(Secret::bytes("a preimage", keys.preimage(&salt).expose()));
    secrets.push(Secret::text("the word that is none", "yelow"));
    let mut places = files(folder.path());
    places.extend(texts.into_iter().map(|text| Place { name: text.clone(), bytes: text.into_bytes() }));
    assert_eq!(find(&secrets, &places), Vec::<String>::new());
}
