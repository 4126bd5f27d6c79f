//! Weight files under export: which blobs stay, which are new, and where they are in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anewrite_ir::{Opset, ValueId};
use anewrite_tensor::{DType, Payload, Tensor};
use bytes::Bytes;
use coreml_package::{BlobFile, BlobId, OpenProblem, WeightLayout, WeightPlan};
use coreml_proto::hollow::{OddityKind, hollow};
use coreml_proto::message;
use coreml_proto::rope::Rope;
use coreml_proto::splice::Edits;
use coreml_proto::wire::Value;
use rustc_hash::FxHashMap;

use crate::document::Document;
use crate::export::{ExportProblem, inside};
use crate::read::{Span, each_field};
use crate::weights::{BlobRef, WeightSource, WeightUses, blob_type};

/// Where a model's first weight file is by convention.
const USUAL_FILE: &str = "@model_path/weights/weight.bin";

/// Constants with fewer elements stand in the specification.
const MIN_BLOB_ELEMENTS: u64 = 10;

/// Dead blobs are counted out only where they pass this many bytes; what is done then is the plan's decision.
const MIN_DEAD_BYTES: u64 = 1 << 20;

pub(crate) struct Blobs<'a> {
    uses: &'a WeightUses,
    source: &'a dyn WeightSource,
    plans: Vec<Plan>,
    /// New blobs by part and value: which plan, and which blob of it.
    made: FxHashMap<(usize, ValueId), (usize, BlobId)>,
    /// Old blobs that new constants name: file and offset.
    named: BTreeSet<(u32, u64)>,
    /// Set when all offsets are known.
    layouts: BTreeMap<String, WeightLayout>,
}

struct Plan {
    name: Arc<str>,
    /// Taken when offsets are fixed.
    weights: Option<WeightPlan>,
    has_new: bool,
}

impl<'a> Blobs<'a> {
    pub(crate) fn new(uses: &'a WeightUses, source: &'a dyn WeightSource) -> Self {
        let (plans, made, named) = (Vec::new(), FxHashMap::default(), BTreeSet::new());
        Blobs { uses, source, plans, made, named, layouts: BTreeMap::new() }
    }

    /// The file and offset of a blob that the source names.
    pub(crate) fn of_source(&mut self, index: u32) -> Option<(Arc<str>, u64)> {
        let blob = self.uses.refs.get(index as usize)?;
        self.named.insert((blob.file, blob.offset));
        let (name, _) = self.uses.files.get(blob.file as usize)?;
        Some((Arc::clone(name), self.moved_to(name, blob.offset)))
    }

    /// The file and offset for a new constant; `None` where it belongs into the specification. Offsets are right once
    /// [`Blobs::settle`] was called.
    pub(crate) fn of_new(
        &mut self,
        part: usize,
        value: ValueId,
        tensor: &Tensor,
        opset: Option<Opset>,
    ) -> Result<Option<(Arc<str>, u64)>, ExportProblem> {
        if let Some(old) = self.same_bytes(tensor) {
            return Ok(Some(old));
        }
        let Some(dtype) = blob_type(tensor.dtype()) else { return Ok(None) };
        let fits =
            self.source.has_files() && tensor.count() >= MIN_BLOB_ELEMENTS && in_files(tensor.dtype(), opset);
        if !fits {
            return Ok(None);
        }
        let (plan, id) = match self.made.get(&(part, value)) {
            Some(&made) => made,
            None => {
                let bits = (tensor.count() % 8) * u64::from(tensor.dtype().bits());
                let padding = (8 - bits % 8) % 8;
                let plan = self.plan()?;
                let entry = self.plans.get_mut(plan);
                let Some(Plan { weights: Some(weights), has_new, .. }) = entry else { return Ok(None) };
                let id = weights.append(dtype, tensor.bytes()?, padding as u8)?;
                *has_new = true;
                self.made.insert((part, value), (plan, id));
                (plan, id)
            }
        };
        let Some(Plan { name, .. }) = self.plans.get(plan) else { return Ok(None) };
        let offset = self.layouts.get(&**name).and_then(|layout| layout.offset_of(id));
        Ok(Some((Arc::clone(name), offset.unwrap_or(0))))
    }

    /// The old blob that holds exactly this constant, perhaps under another shape.
    fn same_bytes(&mut self, tensor: &Tensor) -> Option<(Arc<str>, u64)> {
        let Payload::Bytes(bytes) = tensor.payload() else { return None };
        let (file, offset) = self.uses.find(bytes)?;
        let (name, weights) = self.uses.files.get(file as usize)?;
        let blob = weights.blob(offset).ok()?;
        if blob_type(tensor.dtype()) != Some(blob.dtype) || blob.elements != tensor.count() {
            return None;
        }
        self.named.insert((file, offset));
        Some((Arc::clone(name), self.moved_to(name, offset)))
    }

    fn moved_to(&self, name: &str, offset: u64) -> u64 {
        self.layouts.get(name).and_then(|layout| layout.relocated(offset)).unwrap_or(offset)
    }

    /// The plan that new blobs go into.
    fn plan(&mut self) -> Result<usize, ExportProblem> {
        let name = self.uses.files.first().map_or(USUAL_FILE, |(name, _)| name);
        self.plan_of(name)
    }

    fn plan_of(&mut self, name: &str) -> Result<usize, ExportProblem> {
        if let Some(at) = self.plans.iter().position(|plan| &*plan.name == name) {
            return Ok(at);
        }
        let base = match self.uses.files.iter().find(|(n, _)| &**n == name) {
            Some((_, file)) => Some(Arc::clone(file)),
            None => self.unnamed(name)?,
        };
        let weights = Some(WeightPlan::new(base));
        self.plans.push(Plan { name: name.into(), weights, has_new: false });
        Ok(self.plans.len() - 1)
    }

    /// A weight file that the model does not name and that may be there all the same.
    fn unnamed(&self, name: &str) -> Result<Option<Arc<BlobFile>>, ExportProblem> {
        match self.source.weight_file(name) {
            Ok(file) => Ok(Some(file)),
            Err(error) => match error.problem() {
                OpenProblem::NotFound { .. } | OpenProblem::MissingItem { .. } => Ok(None),
                _ => Err(error.into()),
            },
        }
    }

    /// Fixes all offsets, given the fields that are `gone` from the source. The answer is whether messages that name
    /// blobs have to be made again.
    pub(crate) fn settle(&mut self, document: &Document, gone: &[Span]) -> Result<bool, ExportProblem> {
        self.find_dead(document, gone)?;
        for plan in &mut self.plans {
            let Some(weights) = plan.weights.take() else { continue };
            let layout = weights.finish()?;
            if plan.has_new || layout.is_compacted() {
                self.layouts.insert(plan.name.to_string(), layout);
            }
        }
        Ok(!self.layouts.is_empty())
    }

    /// Tells the plans which blobs are still named, where enough are not.
    fn find_dead(&mut self, document: &Document, gone: &[Span]) -> Result<(), ExportProblem> {
        let uses = self.uses;
        let is_live = |blob: &&BlobRef| !inside(gone, &blob.span);
        let mut live: BTreeSet<(u32, u64)> =
            uses.refs.iter().filter(is_live).map(|b| (b.file, b.offset)).collect();
        live.extend(&self.named);
        let dead: BTreeSet<(u32, u64)> =
            uses.refs.iter().map(|b| (b.file, b.offset)).filter(|blob| !live.contains(blob)).collect();
        for (index, (name, file)) in uses.files.iter().enumerate() {
            let index = index as u32;
            let of_file = (index, 0)..=(index, u64::MAX);
            let mut bytes = 0u64;
            for &(_, offset) in dead.range(of_file.clone()) {
                let record = file.record(offset)?;
                bytes = bytes.saturating_add(record.data.end - record.data.start);
            }
            if bytes < MIN_DEAD_BYTES || !names_all(document) {
                continue;
            }
            let plan = self.plan_of(name)?;
            let Some(Plan { weights: Some(weights), .. }) = self.plans.get_mut(plan) else { continue };
            weights.track_live();
            for &(_, offset) in live.range(of_file) {
                weights.keep(offset)?;
            }
        }
        Ok(())
    }

    /// Adds the edits that give moved blobs their new offsets, for the messages that `wanted` accepts.
    pub(crate) fn relocate(
        &self,
        spec: &Bytes,
        edits: &mut Edits,
        wanted: impl Fn(&Span) -> bool,
    ) -> Result<(), ExportProblem> {
        if !self.layouts.values().any(WeightLayout::is_compacted) {
            return Ok(());
        }
        for blob in self.uses.refs.iter().filter(|blob| wanted(&blob.span)) {
            let Some((name, _)) = self.uses.files.get(blob.file as usize) else { continue };
            let offset = self.moved_to(name, blob.offset);
            if offset == blob.offset {
                continue;
            }
            let mut field = Rope::new();
            field.push_varint_field(2, offset);
            let mut found = false;
            each_field(spec, blob.span.clone(), |number, value, span| {
                if let (2, Value::Varint(_)) = (number, value) {
                    found = true;
                    edits.replace(span, field.clone());
                }
                Ok(true)
            })?;
            if !found {
                edits.append(blob.span.clone(), field);
            }
        }
        Ok(())
    }

    /// The weight files that are new or changed.
    pub(crate) fn finish(self) -> BTreeMap<String, WeightLayout> {
        self.layouts
    }
}

/// Whether weight files may hold an element type: the 16- and 32-bit integers only from iOS 18 on, as coremltools
/// writes them.
fn in_files(dtype: DType, opset: Option<Opset>) -> bool {
    match dtype {
        DType::I16 | DType::U16 | DType::I32 | DType::U32 => opset.is_some_and(|o| o >= Opset::Ios18),
        _ => true,
    }
}

/// Whether every blob that the model names is known: a field of a newer schema may name others.
fn names_all(document: &Document) -> bool {
    let Some(model) = message("CoreML.Specification.Model") else { return false };
    let split = hollow(&document.spec, &model, 1024);
    let unknown = |kind| matches!(kind, OddityKind::Unknown | OddityKind::WireType);
    split.is_ok_and(|split| !split.oddities.iter().any(|oddity| unknown(oddity.what)))
}
