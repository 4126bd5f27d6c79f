//! Compiles the schema with protox and generates the types with prost-build, all in memory of this process: no `protoc`.

use std::path::Path;

use anyhow::Context;
use prost::Message;
use prost_types::FileDescriptorSet;

use super::Output;

/// Large parameter messages, boxed so that the enum of all layers does not take their size for every layer.
const BOXED: &[&str] = &[
    ".CoreML.Specification.NeuralNetworkLayer.layer.convolution",
    ".CoreML.Specification.NeuralNetworkLayer.layer.convolution3d",
    ".CoreML.Specification.NeuralNetworkLayer.layer.batchnorm",
    ".CoreML.Specification.NeuralNetworkLayer.layer.simpleRecurrent",
    ".CoreML.Specification.NeuralNetworkLayer.layer.gru",
    ".CoreML.Specification.NeuralNetworkLayer.layer.uniDirectionalLSTM",
    ".CoreML.Specification.NeuralNetworkLayer.layer.biDirectionalLSTM",
    ".CoreML.Specification.NeuralNetworkLayer.layer.branch",
    ".CoreML.Specification.NeuralNetworkLayer.layer.loop",
];

/// Compiles every `.proto` file in `folder`. The result carries source positions and comments.
pub(super) fn compile(folder: &Path) -> anyhow::Result<FileDescriptorSet> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry.with_context(|| format!("listing {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            names.push(path);
        }
    }
    names.sort();
    let mut compiler = protox::Compiler::new([folder])?;
    compiler.include_source_info(true).include_imports(true).open_files(&names)?;
    let mut set = compiler.file_descriptor_set();
    // The compiler lists files in the order in which it meets them: by name is steadier under changes of imports.
    set.file.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(set)
}

/// The generated files, sorted by name: one Rust file per package, and the encoded descriptors without source positions.
pub(super) fn outputs(schema: &FileDescriptorSet) -> anyhow::Result<Vec<Output>> {
    let mut files = rust_files(schema)?;
    let mut bare = schema.clone();
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    files.push(Output { name: "descriptors.bin".to_owned(), bytes: bare.encode_to_vec() });
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn rust_files(schema: &FileDescriptorSet) -> anyhow::Result<Vec<Output>> {
    let folder = tempfile::tempdir().context("making a temporary folder for the generated code")?;
    let mut config = prost_build::Config::new();
    config
        .out_dir(folder.path())
        // Encoding must give the same bytes in every process: maps keep their keys in order.
        .btree_map(["."])
        .bytes(["."])
        .enable_type_names();
    for path in BOXED {
        config.boxed(path);
    }
    config.compile_fds(schema.clone()).context("generating Rust from the schema")?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.path()).context("listing the generated code")? {
        let entry = entry.context("listing the generated code")?;
        let bytes = std::fs::read(entry.path()).context("reading the generated code")?;
        files.push(Output { name: entry.file_name().to_string_lossy().into_owned(), bytes });
    }
    Ok(files)
}
