//! Telling patches apart: those with the same key are verified once.

use std::sync::Mutex;

use anewrite_ir::infer::Facts;
use anewrite_ir::{OpId, Program, ValueId};
use anewrite_rewrite::{Claim, IndexMap};
use anewrite_tensor::{Payload, Tensor};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use crate::region::{Pair, Region, Side};

pub(crate) type Key = [u8; 32];

/// Digests of large constants, each made once.
#[derive(Default)]
pub(crate) struct Digests {
    /// By where the bytes lie; the payload is kept so that nothing else comes to lie there.
    known: Mutex<FxHashMap<(usize, usize), (Payload, Key)>>,
}

/// Smaller constants are digested anew each time.
const LARGE: usize = 1 << 12;

impl Digests {
    fn of(&self, t: &Tensor) -> Key {
        let payload = t.payload();
        let place = match payload {
            Payload::Bytes(b) | Payload::Varints(b) => Some(b.as_ptr() as usize),
            Payload::Chunks(c) => c.first().map(|b| b.as_ptr() as usize),
            Payload::Strings(_) => None,
        };
        let place = place.map(|at| (at, payload.stored_len())).filter(|&(_, n)| n >= LARGE);
        let Some(place) = place else { return digest(payload) };
        let mut known = match self.known.lock() {
            Ok(known) => known,
            Err(poisoned) => poisoned.into_inner(),
        };
        known.entry(place).or_insert_with(|| (payload.clone(), digest(payload))).1
    }
}

fn digest(payload: &Payload) -> Key {
    let mut h = Sha256::new();
    match payload {
        Payload::Bytes(b) => h.update(b),
        Payload::Varints(b) => {
            h.update(b"v");
            h.update(b);
        }
        Payload::Chunks(c) => c.iter().for_each(|b| h.update(b)),
        Payload::Strings(s) => {
            for s in s.iter() {
                h.update((s.len() as u64).to_le_bytes());
                h.update(s.as_bytes());
            }
        }
    }
    h.finalize().into()
}

/// The key of a claim: its rule, and region and patch with kinds, attributes, types and constants, but without names.
pub(crate) fn key(claim: &Claim<'_>, region: &Region, pairs: &[Pair], digests: &Digests) -> Key {
    let mut k = Keyed { h: Sha256::new(), ids: FxHashMap::default(), digests };
    k.text(&claim.rule.code.to_string());
    for &v in &region.inputs {
        k.declare(claim.program, claim.facts, v);
    }
    for &op in &region.ops {
        k.op(claim.program, claim.facts, op);
    }
    let outer = std::mem::take(&mut k.ids);
    let body = &claim.patch.body;
    for &(inner, from) in &claim.patch.taps {
        let n = outer.get(&from).copied().unwrap_or(u64::MAX);
        k.number(n);
        let next = k.ids.len() as u64;
        k.ids.insert(inner.id(), next);
        if let Some(c) = body.constant(inner.id()) {
            k.constant(&c.tensor);
        }
    }
    for op in body.all_ops() {
        k.op(body, &claim.patch.facts, op);
    }
    for pair in pairs {
        k.number(outer.get(&pair.old).copied().unwrap_or(u64::MAX));
        match pair.new {
            Side::Patch(v) => {
                let n = k.ids.get(&v).copied().unwrap_or(u64::MAX);
                k.number(n);
                if let Some(c) = body.constant(v) {
                    k.constant(&c.tensor);
                }
            }
            Side::Program(v) => k.number(outer.get(&v).copied().unwrap_or(u64::MAX)),
        }
        match &pair.map {
            IndexMap::Same => k.text("same"),
            IndexMap::Reshaped => k.text("reshaped"),
            IndexMap::Transposed(p) => k.text(&format!("{p:?}")),
        }
    }
    for (v, t) in &claim.patch.unrounded {
        k.number(k.ids.get(&v.id()).copied().unwrap_or(u64::MAX));
        k.constant(t);
    }
    k.h.finalize().into()
}

struct Keyed<'a> {
    h: Sha256,
    /// Values that were met, numbered in order.
    ids: FxHashMap<ValueId, u64>,
    digests: &'a Digests,
}

impl Keyed<'_> {
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.h.update(text.as_bytes());
    }

    fn number(&mut self, n: u64) {
        self.h.update(n.to_le_bytes());
    }

    fn declare(&mut self, p: &Program, facts: &Facts, v: ValueId) {
        let n = self.ids.len() as u64;
        self.ids.insert(v, n);
        self.text(&format!("{:?} {:?}", facts.ty(p, v), facts.ints(v)));
    }

    fn constant(&mut self, t: &Tensor) {
        self.text(&format!("{:?} {:?}", t.dtype(), t.dims()));
        let digest = self.digests.of(t);
        self.h.update(digest);
    }

    fn value(&mut self, p: &Program, v: ValueId) {
        match p.constant(v) {
            Some(c) => self.constant(&c.tensor),
            None => self.number(self.ids.get(&v).copied().unwrap_or(u64::MAX)),
        }
    }

    fn op(&mut self, p: &Program, facts: &Facts, op: OpId) {
        let o = p.op(op);
        self.text(&o.kind);
        if !o.attrs.is_empty() {
            self.text(&format!("{:?}", o.attrs));
        }
        for x in &o.operands {
            self.text(&x.param);
            self.value(p, x.value);
        }
        for &b in &o.blocks {
            self.text("{");
            for &arg in &p.block(b).args {
                self.declare(p, facts, arg);
            }
            for inner in p.ops(b) {
                self.op(p, facts, inner);
            }
            for &out in &p.block(b).outputs {
                self.value(p, out);
            }
            self.text("}");
        }
        for &r in &o.results {
            self.declare(p, facts, r);
        }
    }
}
