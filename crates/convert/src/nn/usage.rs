//! Which blobs of a network are written once and read after that, so that each is one value, and which are overwritten
//! or leave the nested network that writes them.

use bytes::Bytes;
use coreml_proto::wire::Value;
use prost_reflect::MessageDescriptor;
use rustc_hash::{FxHashMap, FxHashSet};

use super::view::LayerView;
use crate::error::{At, Read};
use crate::read::{Depth, Span, each_field, text};

/// Numbers of the layers that hold networks, and of the networks in them.
pub(super) const BRANCH: u32 = 605;
pub(super) const LOOP: u32 = 615;

/// The blobs of a network.
pub(super) struct Usage<'a> {
    blobs: FxHashMap<&'a str, Blob>,
    /// Blobs that were read before anything wrote them.
    early: FxHashSet<&'a str>,
    /// The enclosing network of each network.
    parents: Vec<usize>,
    /// Names that each nested network writes, itself or in networks nested in it, in order; by where its content begins.
    written: FxHashMap<usize, Vec<&'a str>>,
}

struct Blob {
    writes: u32,
    network: usize,
    leaves: bool,
}

impl<'a> Usage<'a> {
    /// Looks through the network at `range`, whose inputs and outputs are given.
    pub(super) fn of(
        spec: &'a Bytes,
        layer: &MessageDescriptor,
        range: Span,
        inputs: impl Iterator<Item = &'a str>,
        outputs: impl Iterator<Item = &'a str>,
        depth: Depth,
    ) -> Read<Usage<'a>> {
        let mut usage = Usage {
            blobs: FxHashMap::default(),
            early: FxHashSet::default(),
            parents: vec![0],
            written: FxHashMap::default(),
        };
        for input in inputs {
            usage.write(input, 0);
        }
        usage.network(spec, layer, range, 0, depth)?;
        for output in outputs {
            usage.read(output, 0);
        }
        Ok(usage)
    }

    /// Whether several writers share the name, or a value of it leaves the nested network that writes it: then it may
    /// stand for different values at different places.
    pub(super) fn is_shared(&self, name: &str) -> bool {
        self.blobs.get(name).is_some_and(|b| b.writes > 1 || b.leaves)
    }

    /// Whether something writes the blob.
    pub(super) fn is_written(&self, name: &str) -> bool {
        self.blobs.contains_key(name)
    }

    /// The shared blobs that the nested network at `range` writes.
    pub(super) fn shared_in(&self, range: &Span) -> impl Iterator<Item = &'a str> + '_ {
        let names = self.written.get(&range.start).filter(|_| !range.is_empty());
        names.into_iter().flatten().copied().filter(|name| self.is_shared(name))
    }

    fn network(
        &mut self,
        spec: &'a Bytes,
        layer: &MessageDescriptor,
        range: Span,
        id: usize,
        depth: Depth,
    ) -> Read<Vec<&'a str>> {
        let depth = depth.down(1)?;
        let mut names = Vec::new();
        let mut index = 0;
        each_field(spec, range, |number, value, _| {
            if let (1, Value::Bytes(r)) = (number, value) {
                self.layer(spec, layer, r.clone(), id, depth, &mut names)
                    .at(|| format!("layers[{index}]"))?;
                index += 1;
            }
            Ok(true)
        })?;
        Ok(names)
    }

    fn layer(
        &mut self,
        spec: &'a Bytes,
        layer: &MessageDescriptor,
        range: Span,
        id: usize,
        depth: Depth,
        names: &mut Vec<&'a str>,
    ) -> Read<()> {
        let view = LayerView::read(spec, layer, range)?;
        for (_, r) in &view.inputs {
            self.read(text(spec, r.clone())?, id);
        }
        if let Some((number @ (BRANCH | LOOP), content)) = &view.member {
            let depth = depth.down(2)?;
            let mut networks = Vec::new();
            let mut condition = None;
            each_field(spec, content.clone(), |field, value, _| {
                match (*number, field, value) {
                    (LOOP, 2, Value::Bytes(r)) => condition = Some(r.clone()),
                    (LOOP, 3 | 4, Value::Bytes(r)) | (BRANCH, 1 | 2, Value::Bytes(r)) => {
                        networks.push((field, r.clone()));
                    }
                    _ => {}
                }
                Ok(true)
            })?;
            networks.sort_by_key(|(field, _)| *field);
            for (_, r) in networks {
                let inner = self.parents.len();
                self.parents.push(id);
                let written = self.network(spec, layer, r.clone(), inner, depth)?;
                names.extend(&written);
                self.written.insert(r.start, written);
            }
            if let Some(r) = condition {
                self.read(text(spec, r)?, id);
            }
        }
        for (_, r) in &view.outputs {
            let name = text(spec, r.clone())?;
            self.write(name, id);
            names.push(name);
        }
        Ok(())
    }

    fn write(&mut self, name: &'a str, network: usize) {
        let leaves = self.early.contains(name);
        let blob = self.blobs.entry(name).or_insert(Blob { writes: 0, network, leaves });
        blob.writes += 1;
    }

    fn read(&mut self, name: &'a str, network: usize) {
        let Some(blob) = self.blobs.get_mut(name) else {
            self.early.insert(name);
            return;
        };
        let mut at = network;
        while at != blob.network {
            if at == 0 {
                blob.leaves = true;
                return;
            }
            at = self.parents.get(at).copied().unwrap_or(0);
        }
    }
}
