//! Finding out whether content was seen before, without hashing what has no likeness.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::dtype::BlobType;
use crate::plan::BlobData;

/// Contents by type, padding and length; the values are the indices that the caller gave.
#[derive(Default)]
pub(crate) struct Dedup(HashMap<(BlobType, u8, u64), Alike>);

type Holders = Vec<(u32, BlobData)>;

/// Contents of one type, padding and length. The first is hashed only when a second comes.
#[derive(Default)]
struct Alike {
    unhashed: Option<(u32, BlobData)>,
    by_hash: HashMap<u64, Holders>,
    streams: Holders,
}

impl Dedup {
    /// The index under which the same content was added, or else `index`, which it has from now on.
    pub(crate) fn find_or_add(
        &mut self,
        dtype: BlobType,
        padding_bits: u8,
        data: &BlobData,
        index: u32,
    ) -> u32 {
        match self.0.entry((dtype, padding_bits, data.byte_len())) {
            Entry::Vacant(entry) => {
                entry.insert(Alike::default()).unhashed = Some((index, data.clone()));
                index
            }
            Entry::Occupied(mut entry) => entry.get_mut().find_or_add(data, index),
        }
    }
}

impl Alike {
    fn find_or_add(&mut self, data: &BlobData, index: u32) -> u32 {
        if let Some((first, content)) = self.unhashed.take() {
            self.holders(&content).push((first, content));
        }
        let holders = self.holders(data);
        if let Some((earlier, _)) = holders.iter().find(|(_, content)| same(content, data)) {
            return *earlier;
        }
        holders.push((index, data.clone()));
        index
    }

    /// The list in which `data` stands, if it stands anywhere.
    fn holders(&mut self, data: &BlobData) -> &mut Holders {
        match data {
            BlobData::Bytes(bytes) => {
                let mut hasher = DefaultHasher::new();
                bytes.hash(&mut hasher);
                self.by_hash.entry(hasher.finish()).or_default()
            }
            BlobData::Stream(_) => &mut self.streams,
        }
    }
}

/// Streams are compared by identity: to compare what they give would mean to compute it twice.
fn same(a: &BlobData, b: &BlobData) -> bool {
    match (a, b) {
        (BlobData::Bytes(a), BlobData::Bytes(b)) => a == b,
        (BlobData::Stream(a), BlobData::Stream(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}
