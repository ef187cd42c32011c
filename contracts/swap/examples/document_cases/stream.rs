//! Bytes without end that follow from a name, and what is picked with them.

use sha2::{Digest, Sha256};

/// What JSON escapes, what JavaScript and UTF-16 treat in their own way, and what is easily confused.
const CHARS: [&str; 34] = [
    "\"",
    "\\",
    "/",
    "\u{8}",
    "\t",
    "\n",
    "\u{c}",
    "\r",
    "\0",
    "\u{1f}",
    " ",
    "\u{7f}",
    "\u{80}",
    "a",
    "A",
    "z",
    "0",
    "9",
    "<",
    "&",
    "é",
    "e\u{301}",
    "ö",
    "ß",
    "€",
    "\u{200b}",
    "\u{2028}",
    "\u{2029}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fb33}",
    "\u{ffff}",
    "😀",
    "\u{10ffff}",
];
/// Where doubles, signed and unsigned numbers end.
const NUMBERS: [u64; 9] = [0, 1, 10, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX as u64, 1 << 63, u64::MAX];

pub struct Stream {
    name: String,
    taken: u64,
}

impl Stream {
    pub fn named(name: String) -> Self {
        Self { name, taken: 0 }
    }

    pub fn bytes(&mut self) -> [u8; 32] {
        self.taken += 1;
        Sha256::digest(format!("{} {}", self.name, self.taken)).into()
    }

    /// Less than `end`; it does not matter that some numbers are a little likelier than others.
    pub fn below(&mut self, end: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % end
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len() as u64);
        from[usize::try_from(at).expect("below the length of a slice")].clone()
    }

    pub fn number(&mut self) -> u64 {
        if self.below(2) == 0 { self.pick(&NUMBERS) } else { self.below(u64::MAX) }
    }

    pub fn text(&mut self) -> String {
        let length = self.below(10);
        (0..length).map(|_| self.char()).collect()
    }

    fn char(&mut self) -> String {
        if self.below(4) > 0 {
            return self.pick(&CHARS).to_owned();
        }
        let any = u32::try_from(self.below(0x11_0000)).ok().and_then(char::from_u32);
        any.unwrap_or('\u{fffd}').to_string()
    }
}
