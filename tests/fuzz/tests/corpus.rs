//! Every target on its committed corpus and on seeded mutations of it: what libFuzzer goes on with for hours.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use fuzz::mutate::{Rng, mutate};
use fuzz::{TARGETS, Target, close_house, seeds};

/// Mutated inputs for each target.
const MUTATIONS: usize = 3_000;

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

/// The corpus, and what it turns into: some of it is still accepted, most is not, and nothing panics.
fn play(name: &str) {
    let (target, corpus) = (target(name), seeds::committed(name).unwrap());
    assert!(corpus.iter().any(|seed| !seed.name.starts_with("refused")), "nothing is accepted");
    for seed in &corpus {
        assert_eq!((target.run)(&seed.bytes), !seed.name.starts_with("refused"), "{}", seed.name);
    }
    let mut rng = Rng::new(1);
    let mut accepted = 0;
    for number in 0..MUTATIONS {
        let base = &corpus[number % corpus.len()].bytes;
        let other = &corpus[rng.below(corpus.len())].bytes;
        accepted += usize::from((target.run)(&mutate(base, other, &mut rng)));
    }
    assert!(0 < accepted && accepted < MUTATIONS, "{accepted} of {MUTATIONS} mutations were accepted");
    println!("{name}: {} seeds, {accepted} of {MUTATIONS} mutations accepted", corpus.len());
}

#[test]
fn config_stands_whatever_is_in_the_file() {
    play("config");
}

#[test]
fn database_rows_of_any_content_are_read_or_refused() {
    play("database_rows");
}

#[test]
fn documents_of_strangers_are_read_or_refused() {
    play("documents");
}

#[test]
fn json_rpc_answers_whatever_is_asked() {
    play("json_rpc");
    close_house();
}

#[test]
fn machine_follows_any_story() {
    play("machine");
}

#[test]
fn rmb_frames_are_taken_in_or_refused_whatever_a_relay_says() {
    play("rmb_frames");
}

#[test]
fn scale_events_of_any_bytes_are_read_or_refused() {
    play("scale_events");
}

#[test]
fn witness_of_any_transaction_is_told_apart() {
    play("witness");
}

#[test]
fn the_corpus_holds_what_the_fixtures_give() {
    for target in TARGETS {
        let committed = seeds::committed(target.name).unwrap();
        for seed in (target.seeds)() {
            let same = committed.iter().any(|kept| kept.name == seed.name && kept.bytes == seed.bytes);
            assert!(same, "{}/{}: `cargo run --package fuzz --example seeds` writes it anew", target.name, seed.name);
        }
    }
}
