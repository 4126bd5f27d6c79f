//! Numbers that stand for what a constant or a field holds: equal content gives equal numbers.

use std::hash::{Hash, Hasher};

use anewrite_ir::Attr;
use anewrite_tensor::{Payload, Tensor};
use rustc_hash::FxHasher;

/// Bytes of a large payload that a fingerprint reads, spread over it: two weights that differ are hardly ever
/// read in full, and a model of gigabytes is not read to find that it has no twins.
const SAMPLE: usize = 64;
const SAMPLES: usize = 4;

/// The number of dtype, shape and some of the bytes: different content may share it.
pub(super) fn fingerprint(t: &Tensor) -> u64 {
    of_tensor(t, |b, h| {
        if b.len() <= SAMPLE * SAMPLES * 2 {
            return b.hash(h);
        }
        let step = b.len() / SAMPLES;
        for i in 0..SAMPLES {
            b.get(i * step..i * step + SAMPLE).hash(h);
        }
    })
}

/// The number of dtype, shape and all bytes: it keeps many constants that look alike from being compared with each
/// other in full.
pub(super) fn digest(t: &Tensor) -> u64 {
    of_tensor(t, |b, h| b.hash(h))
}

fn of_tensor(t: &Tensor, bytes: impl Fn(&[u8], &mut FxHasher)) -> u64 {
    let mut h = FxHasher::default();
    t.dtype().hash(&mut h);
    t.dims().hash(&mut h);
    match t.payload() {
        Payload::Strings(s) => s.hash(&mut h),
        Payload::Bytes(b) => bytes(b, &mut h),
        _ => {
            if let Ok(b) = t.bytes() {
                bytes(&b, &mut h);
            }
        }
    }
    h.finish()
}

/// Adds a layer's field to a number.
pub(super) fn hash_field(a: &Attr, h: &mut FxHasher) {
    std::mem::discriminant(a).hash(h);
    match a {
        Attr::Bool(b) => b.hash(h),
        Attr::Int(n) => n.hash(h),
        // Equal floats may have other bits only where they are zeros.
        Attr::Float(x) => (x + 0.0).to_bits().hash(h),
        Attr::Text(s) | Attr::Enum(s) => s.hash(h),
        Attr::Bytes(b) => (b.len(), b.get(..SAMPLE)).hash(h),
        Attr::List(items) => {
            items.len().hash(h);
            items.iter().for_each(|item| hash_field(item, h));
        }
        Attr::Message(fields) => {
            fields.len().hash(h);
            for (name, field) in fields {
                name.hash(h);
                hash_field(field, h);
            }
        }
    }
}
