//! The folder around an ML Program.

use std::fs;
use std::io;
use std::path::Path;

use coreml_proto::spec::{Model, feature_type};
use prost::Message;

use super::blobs::Blobs;

const DATA: &str = "Data/com.apple.CoreML";

/// A manifest with fixed identifiers: the same arguments give the same bytes.
const MANIFEST: &str = r#"{
    "fileFormatVersion": "1.0.0",
    "itemInfoEntries": {
        "11111111-1111-4111-8111-111111111111": {
            "author": "com.apple.CoreML",
            "description": "CoreML Model Specification",
            "name": "model.mlmodel",
            "path": "com.apple.CoreML/model.mlmodel"
        },
        "22222222-2222-4222-8222-222222222222": {
            "author": "com.apple.CoreML",
            "description": "CoreML Model Weights",
            "name": "weights",
            "path": "com.apple.CoreML/weights"
        }
    },
    "rootModelIdentifier": "11111111-1111-4111-8111-111111111111"
}
"#;

/// Makes the folder, which must not exist, and begins its weight file.
pub(super) fn begin(path: &Path) -> io::Result<Blobs> {
    fs::create_dir(path)?;
    let weights = path.join(DATA).join("weights");
    fs::create_dir_all(&weights)?;
    Blobs::create(&weights.join("weight.bin"))
}

/// Writes what [`begin`] left open.
pub(super) fn finish(path: &Path, model: &Model, blobs: Blobs) -> io::Result<()> {
    blobs.finish()?;
    fs::write(path.join(DATA).join("model.mlmodel"), model.encode_to_vec())?;
    fs::write(path.join("Manifest.json"), MANIFEST)
}

/// The type of an input or output that is an array of 32-bit floats.
pub(super) fn array(shape: &[i64]) -> coreml_proto::spec::FeatureType {
    use coreml_proto::spec::array_feature_type::ArrayDataType;
    let array = coreml_proto::spec::ArrayFeatureType {
        shape: shape.to_vec(),
        data_type: ArrayDataType::Float32 as i32,
        ..Default::default()
    };
    coreml_proto::spec::FeatureType {
        r#type: Some(feature_type::Type::MultiArrayType(array)),
        is_optional: false,
    }
}
