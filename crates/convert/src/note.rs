//! What an import leaves aside.

use std::fmt;

/// Something that was kept as bytes and is not part of any program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A block for another opset than the one that the function names.
    InactiveSpecialization {
        /// The function.
        function: String,
        /// The opset of the block.
        opset: String,
    },
    /// A described output that no layer of the network makes.
    OutputNotMade {
        /// Its name.
        output: String,
    },
    /// A network none of whose blobs is a described output: every blob that no layer reads counts as one.
    NoOutput,
    /// A model of a pipeline that is no network.
    InnerModelKept {
        /// Its place in the model's message.
        path: String,
        /// Its type, as the schema names it.
        kind: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::InactiveSpecialization { function, opset } => {
                write!(
                    f,
                    "the block of function {function:?} for {opset} is not the active one; it is kept as it is"
                )
            }
            Note::OutputNotMade { output } => {
                write!(f, "the output {output:?} is described, but no layer makes it")
            }
            Note::NoOutput => {
                f.write_str("no described output is made by a layer; every blob that no layer reads is kept")
            }
            Note::InnerModelKept { path, kind } => {
                write!(f, "{path} is of type {kind}; it is kept as it is")
            }
        }
    }
}
