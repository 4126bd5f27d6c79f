//! Numbers from a seed.

use std::io::{self, Write};

/// SplitMix64, of Steele, Lea and Flood: one multiplication chain a number, and any seed is good.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        // The remainder's bias is of no account for choosing among a few.
        (self.next() % end as u64) as usize
    }

    /// Writes `count` 16-bit floats, all finite and below 1 in size.
    pub(super) fn write_halves(&mut self, count: u64, to: &mut impl Write) -> io::Result<()> {
        // Without its top bit and its lowest, an exponent is at most 14, that of 0.5.
        self.write_masked(count * 2, 0xbbff_bbff_bbff_bbff, to)
    }

    /// Writes `count` 32-bit floats, all finite and below 2 in size.
    pub(super) fn write_singles(&mut self, count: u64, to: &mut impl Write) -> io::Result<()> {
        self.write_masked(count * 4, 0xbfff_ffff_bfff_ffff, to)
    }

    fn write_masked(&mut self, bytes: u64, mask: u64, to: &mut impl Write) -> io::Result<()> {
        let mut buffer = [0u8; 8192];
        let mut left = bytes;
        while left > 0 {
            for word in buffer.chunks_exact_mut(8) {
                word.copy_from_slice(&(self.next() & mask).to_le_bytes());
            }
            let now = left.min(buffer.len() as u64);
            to.write_all(&buffer[..now as usize])?;
            left -= now;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // The first numbers of the reference implementation for seed 1234567.
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn weights_are_finite_and_small() {
        let mut singles = Vec::new();
        Random::new(1).write_singles(5001, &mut singles).unwrap();
        assert_eq!(singles.len(), 5001 * 4);
        let largest = singles.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).abs());
        assert!(largest.fold(0.0, f32::max) < 2.0);
        let mut halves = Vec::new();
        Random::new(1).write_halves(5001, &mut halves).unwrap();
        assert_eq!(halves.len(), 5001 * 2);
        let exponents = halves.chunks_exact(2).map(|b| (u16::from_le_bytes([b[0], b[1]]) >> 10) & 31);
        assert!(exponents.max().unwrap() < 15);
    }
}
