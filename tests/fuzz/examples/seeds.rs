//! Writes the seeds of every target into its corpus: `cargo run --package fuzz --example seeds`. What was found and put
//! there otherwise stays.

use fuzz::{TARGETS, seeds};
use std::{fs, io};

fn main() -> io::Result<()> {
    for target in TARGETS {
        let folder = seeds::folder(target.name);
        fs::create_dir_all(&folder)?;
        for seed in (target.seeds)() {
            fs::write(folder.join(&seed.name), &seed.bytes)?;
        }
    }
    Ok(())
}
