//! Messages without their weights.
//!
//! Decoding a message with prost copies every `repeated float` and keeps it as long as the message lives; a network of
//! half a gigabyte would be in memory twice over. [`hollow`] splits a message in two: a small message of the same type,
//! fit for decoding, in which large payloads are missing, and a list of those [`Payload`]s as slices of the source, each with
//! its path in the message. All forms that protobuf allows for a repeated scalar are read: packed in one chunk or in
//! several, unpacked, and mixtures.
//!
//! What the schema does not explain is left out of the small message and reported as an [`Oddity`]. A message with
//! oddities is not one to rewrite: decline, and keep its bytes.

mod gather;
mod key;
mod path;
mod payload;
mod shape;
mod walk;

use bytes::Bytes;
use prost_reflect::MessageDescriptor;
use thiserror::Error;

pub use path::{At, PathStep, path_text};
pub use payload::{Element, Form, Payload};
pub use prost_reflect::MapKey;

use self::shape::Shapes;
use self::walk::Walk;
use crate::wire::WireError;

/// A message split into what is small and what is large. Made by [`hollow`].
#[derive(Clone, Debug)]
pub struct Hollow {
    /// The message without the payloads and without the oddities, encoded. Fields are in source order.
    pub message: Bytes,
    /// The payloads that were left out, sorted by path.
    pub payloads: Vec<Payload>,
    /// What does not fit the schema. Empty for any message that today's Core ML tools write.
    pub oddities: Vec<Oddity>,
}

/// A field that the schema does not explain, or explains in two ways.
///
/// In a message with one of these, the typed view is not all there is: whoever edits it would lose something or read it
/// differently from others.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("field {number}: {what}")]
pub struct Oddity {
    /// The message that the field is in: the path from the split message to it.
    pub path: Vec<PathStep>,
    /// The field's number.
    pub number: u32,
    /// What is odd.
    pub what: OddityKind,
}

/// The kinds of [`Oddity`]. One field of one message is reported once for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum OddityKind {
    /// The schema has no such field; not in the small message.
    #[error("not in the schema")]
    Unknown,
    /// The field has a wire type that its declared type cannot have; not in the small message.
    #[error("has a wire type that does not fit its declared type")]
    WireType,
    /// A singular field, another member of its oneof, or a map key occurs again. Readers merge or take the last: the
    /// payloads below such a field are those of all occurrences.
    #[error("occurs more than once where one is meant")]
    Repeated,
}

impl Hollow {
    /// Decodes the small message.
    ///
    /// Fails where prost does: on strings that are not UTF-8, and on small packed fields that are cut.
    pub fn decode<M: prost::Message + Default>(&self) -> Result<M, prost::DecodeError> {
        M::decode(self.message.clone())
    }

    /// The payload at `path`, if it was large enough to be left out.
    pub fn payload(&self, path: &[PathStep]) -> Option<&Payload> {
        let at = self.payloads.partition_point(|payload| payload.path.as_slice() < path);
        self.payloads.get(at).filter(|payload| payload.path == path)
    }
}

/// Splits off the payloads of `message`, which is of the type that `descriptor` describes.
///
/// A payload is a `bytes` field, or all occurrences of a repeated scalar in one message, of `threshold` bytes or more.
/// Payloads share the storage of `message`, so with a mapped file nothing is copied; the small message is new.
///
/// Fails where the message or one below it is malformed or nested deeper than [`crate::wire::MAX_DEPTH`], where a large
/// packed field is not a whole number of elements, and where paths of payloads and oddities would need more memory than
/// any real model does. Offsets in the error are relative to `message`.
///
/// ```
/// use bytes::Bytes;
/// use coreml_proto::hollow::{Element, PathStep, hollow};
/// use coreml_proto::{descriptor_of, spec};
/// use prost::Message;
///
/// let weights = spec::WeightParams { float_value: vec![0.5; 1000], ..Default::default() };
/// let layer = spec::InnerProductLayerParams {
///     input_channels: 100,
///     output_channels: 10,
///     weights: Some(weights),
///     ..Default::default()
/// };
/// let encoded = Bytes::from(layer.encode_to_vec());
///
/// let hollow = hollow(&encoded, &descriptor_of::<spec::InnerProductLayerParams>().unwrap(), 256).unwrap();
/// let small: spec::InnerProductLayerParams = hollow.decode().unwrap();
/// assert_eq!(small.input_channels, 100);
/// assert!(small.weights.unwrap().float_value.is_empty());
///
/// // Field 20 is `weights`, its field 1 is `floatValue`.
/// let payload = hollow.payload(&[PathStep::field(20), PathStep::field(1)]).unwrap();
/// assert_eq!((payload.element(), payload.elements()), (Element::Float, 1000));
/// assert_eq!(payload.contiguous()[..4], 0.5_f32.to_le_bytes());
/// assert!(hollow.message.len() < 20 && hollow.oddities.is_empty());
/// ```
pub fn hollow(
    message: &Bytes,
    descriptor: &MessageDescriptor,
    threshold: usize,
) -> Result<Hollow, WireError> {
    let shapes = Shapes::of(descriptor);
    Walk::new(&shapes, message, threshold).run(shapes.id(descriptor))
}
