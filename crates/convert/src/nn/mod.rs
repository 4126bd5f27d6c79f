//! NeuralNetworks. A layer is an op `nn.<layer>`: its blobs are operands called `input`, the elements of its weights
//! constants whose parameter is the path of the field (`weights`, `weightParams.0.inputGateWeightMatrix`), all else of
//! its message attributes. A blob that is overwritten is a new value each time; what loops and branches overwrite
//! enters their blocks as arguments and leaves as results.

mod encode;
mod export;
mod header;
mod import;
mod message;
mod source;
mod types;
mod usage;
mod version;
mod view;

pub(crate) use export::export;
pub(crate) use header::NetworkKind;
pub(crate) use import::import;
pub(crate) use source::NetworkSource;

/// The parameter of the blobs that a layer reads.
const INPUT: &str = "input";
/// The parameter of the blobs that a layer's networks overwrite.
const CARRIED: &str = "carried";
/// The attribute that names the fields of a layer's networks, in order of its blocks.
const NETWORKS: &str = "layer.networks";
/// The kind of a layer that is not in the schema.
const UNKNOWN: &str = "nn.unknown";
