use crate::databases::Databases;
use crate::plan::Mutant;
use crate::run::{Run, play};
use clap::ValueEnum;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    crate::runtime().unwrap().block_on(future)
}

#[test]
fn a_seed_plays_the_same_run_again() {
    block_on(async {
        let databases = Databases::default();
        let mut stories = Vec::new();
        for seed in [3, 7, 8, 9, 3, 7, 8, 9] {
            stories.push(play(seed, None, true, &databases).await.unwrap().story);
        }
        assert!(stories.iter().all(|story| story.len() > 5));
        assert_eq!(stories[..4], stories[4..], "in databases that were used before");
        assert_eq!(stories[0], play(3, None, true, &Databases::default()).await.unwrap().story, "in new ones");
    });
}

#[test]
fn nothing_goes_wrong_in_a_few_seeds() {
    block_on(async {
        let databases = Databases::default();
        let mut swaps = 0;
        for seed in 0..30 {
            let Run { verdict, .. } = play(seed, None, false, &databases).await.unwrap();
            assert!(verdict.findings.is_empty(), "seed {seed}: {:?}", verdict.findings);
            swaps += verdict.swaps;
        }
        assert!(swaps > 30);
    });
}

#[test]
fn every_mutant_is_noticed() {
    block_on(async {
        let databases = Databases::default();
        for mutant in Mutant::value_variants() {
            let mut noticed = false;
            for seed in 0..100 {
                noticed |= !play(seed, Some(*mutant), false, &databases).await.unwrap().verdict.findings.is_empty();
                if noticed {
                    break;
                }
            }
            assert!(noticed, "{mutant:?}");
        }
    });
}
