use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// Where the elements of a constant are: little-endian, dense, row-major, in one of the forms that files use.
///
/// Cloning is cheap: every form shares its storage.
#[derive(Clone, Debug)]
pub enum Payload {
    /// One contiguous run of bytes, unaligned. Sub-byte elements are packed from the low bit up.
    Bytes(Bytes),
    /// A run that the file splits into pieces (several packed chunks of one `repeated float`). No element
    /// straddles two pieces.
    Chunks(Arc<[Bytes]>),
    /// Integers (or booleans) as protobuf varints, whose width in the file differs from the dtype's.
    Varints(Bytes),
    /// Text elements.
    Strings(Arc<[Arc<str>]>),
}

impl Payload {
    /// The elements as one run of dtype-wide bytes: shared where the file has them so, gathered otherwise.
    /// `width` is the byte width of one element and matters for [`Payload::Varints`] only.
    /// `None` for text and for varints that do not decode.
    pub fn contiguous(&self, width: usize) -> Option<Bytes> {
        match self {
            Payload::Bytes(b) => Some(b.clone()),
            Payload::Chunks(chunks) => {
                let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
                for c in chunks.iter() {
                    all.extend_from_slice(c);
                }
                Some(all.freeze())
            }
            Payload::Varints(b) => {
                let mut all = BytesMut::new();
                let mut rest = b.as_ref();
                while !rest.is_empty() {
                    let (v, used) = varint(rest)?;
                    all.extend_from_slice(v.to_le_bytes().get(..width)?);
                    rest = rest.get(used..)?;
                }
                Some(all.freeze())
            }
            Payload::Strings(_) => None,
        }
    }

    /// Bytes that the payload occupies in its file.
    pub fn stored_len(&self) -> usize {
        match self {
            Payload::Bytes(b) | Payload::Varints(b) => b.len(),
            Payload::Chunks(c) => c.iter().map(Bytes::len).sum(),
            Payload::Strings(s) => s.iter().map(|s| s.len()).sum(),
        }
    }
}

impl From<Bytes> for Payload {
    fn from(b: Bytes) -> Self {
        Payload::Bytes(b)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(b: Vec<u8>) -> Self {
        Payload::Bytes(b.into())
    }
}

/// Decodes one varint: the value and the number of bytes it took.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut v = 0u64;
    for (i, b) in bytes.iter().take(10).enumerate() {
        v |= u64::from(b & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
        if b & 0x80 == 0 {
            return Some((v, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_narrow_to_the_dtype_width() {
        // 5, -1 (ten bytes on the wire), 300
        let b = Bytes::from_static(&[5, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0xac, 2]);
        let out = Payload::Varints(b).contiguous(4).unwrap();
        assert_eq!(&out[..], [5, 0, 0, 0, 255, 255, 255, 255, 44, 1, 0, 0]);
    }

    #[test]
    fn unfinished_varint_is_none() {
        assert!(Payload::Varints(Bytes::from_static(&[0x80])).contiguous(4).is_none());
        assert!(Payload::Varints(Bytes::from_static(&[0xff; 11])).contiguous(8).is_none());
    }
}
