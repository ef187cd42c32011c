//! Changes to an input as libFuzzer makes them, but each a function of a seed: what fails once fails again.

/// A generator of numbers (SplitMix64): small, and the same in every version.
pub struct Rng(u64);

impl Rng {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a bound; 0 if there is none below it.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("it is below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Pieces of text and numbers at which readers go wrong.
const PIECES: [&[u8]; 24] = [
    b"0",
    b"-1",
    b"1e9",
    b"0.5",
    b"18446744073709551615",
    b"18446744073709551616",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\"mainnet\"",
    b"\"regtest\"",
    b"\"BTC\"",
    b"\"initiator\"",
    b"\"mempool\"",
    b"{\"block\":18446744073709551615}",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\xfe\xff\xff\xff",
    b"\xc3\x28",
];
/// No mutated input is longer.
const MAX_BYTES: usize = 16 * 1024;

/// An input made from two others by one to four changes.
pub fn mutate(base: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut data = base.to_vec();
    for _ in 0..=rng.below(4) {
        change(&mut data, other, rng);
    }
    data.truncate(MAX_BYTES);
    data
}

fn change(data: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.below(data.len());
    let end = at + rng.below(data.len() - at.min(data.len()) + 1).min(64);
    match rng.below(12) {
        0 => flip(data, at, 1 << rng.below(8)),
        1 => flip(data, at, rng.byte()),
        2 => data.insert(at, rng.byte()),
        3 => drop(data.drain(at..end)),
        4 => {
            let part = data[at..end].to_vec();
            data.splice(at..at, part);
        }
        5 => {
            let piece = PIECES[rng.below(PIECES.len())];
            data.splice(at..end, piece.iter().copied());
        }
        6 => {
            let from = rng.below(other.len());
            let to = from + rng.below(other.len() - from + 1).min(128);
            data.splice(at..at, other[from..to].iter().copied());
        }
        7 => data.truncate(at),
        _ => digit(data, at, rng),
    }
}

fn flip(data: &mut [u8], at: usize, mask: u8) {
    if let Some(byte) = data.get_mut(at) {
        *byte ^= mask;
    }
}

/// The next digit behind `at` becomes another: numbers and hexadecimal stay what they are.
fn digit(data: &mut [u8], at: usize, rng: &mut Rng) {
    if let Some(byte) = data[at..].iter_mut().find(|byte| byte.is_ascii_digit()) {
        *byte = b"0123456789"[rng.below(10)];
    }
}
