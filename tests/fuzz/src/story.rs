//! Bytes as one thing after another. Whatever is missing at the end ends the story.

use swap_contract::leg::Side;

pub(crate) struct Story<'a>(pub(crate) &'a [u8]);

impl<'a> Story<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        Some(i64::from(i8::from_le_bytes([self.byte()?])))
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn side(&mut self) -> Option<Side> {
        Some(if self.byte()? & 1 == 0 { Side::Alpha } else { Side::Beta })
    }

    /// Two bytes of length, and so many bytes; fewer if there are not so many.
    pub(crate) fn part(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let (part, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(part)
    }
}

/// The bytes that [`Story::part`] reads as this part.
pub(crate) fn part(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a seed's parts are short");
    [&length.to_le_bytes()[..], bytes].concat()
}
