//! Compares our schema with the one inside a coremltools wheel: everything that decides what bytes mean.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
};

/// How many differences an error lists.
const SHOWN: usize = 20;

const DUMP: &str = include_str!("dump_descriptors.py");

/// Fails where `schema` and the descriptors of the coremltools that `python` imports differ.
pub(super) fn against_wheel(schema: &FileDescriptorSet, python: &Path) -> anyhow::Result<()> {
    let output = Command::new(python)
        .args(["-c", DUMP])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", python.display()))?;
    ensure!(
        output.status.success(),
        "{} could not dump the descriptors of coremltools: {}",
        python.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let wheel = FileDescriptorSet::decode(output.stdout.as_slice())
        .context("decoding the descriptors of coremltools")?;

    let (ours, theirs) = (facts(schema)?, facts(&wheel)?);
    let mut differences = Vec::new();
    for key in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        match (ours.get(key), theirs.get(key)) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => differences.push(format!(
                "{key}: proto/ has {}, coremltools has {}",
                a.map_or("nothing", String::as_str),
                b.map_or("nothing", String::as_str)
            )),
        }
    }
    if !differences.is_empty() {
        let first = &differences[..differences.len().min(SHOWN)];
        bail!("{} differences from coremltools, the first:\n{}", differences.len(), first.join("\n"));
    }
    let mut counts = BTreeMap::new();
    for key in ours.keys() {
        *counts.entry(key.split(' ').next().unwrap_or(key)).or_insert(0_usize) += 1;
    }
    let counts: Vec<_> = counts.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    println!("no differences from coremltools: {}", counts.join(", "));
    Ok(())
}

/// One line per thing that has a meaning on the wire or a name in the text form: kind and full name → its facts.
type Facts = BTreeMap<String, String>;

fn facts(set: &FileDescriptorSet) -> anyhow::Result<Facts> {
    let mut facts = Facts::new();
    for file in &set.file {
        file_facts(file, &mut facts)?;
    }
    Ok(facts)
}

fn file_facts(file: &FileDescriptorProto, facts: &mut Facts) -> anyhow::Result<()> {
    ensure!(file.extension.is_empty() && file.service.is_empty(), "{}: extensions and services", file.name());
    let dependencies: BTreeSet<_> = file.dependency.iter().collect();
    let public: BTreeSet<_> = file
        .public_dependency
        .iter()
        .filter_map(|&index| file.dependency.get(usize::try_from(index).ok()?))
        .collect();
    facts.insert(
        format!("file {}", file.name()),
        format!(
            "package {}, syntax {}, imports {dependencies:?}, public {public:?}",
            file.package(),
            file.syntax()
        ),
    );
    for message in &file.message_type {
        message_facts(message, file.package(), file.name(), facts);
    }
    for item in &file.enum_type {
        enum_facts(item, file.package(), file.name(), facts);
    }
    Ok(())
}

fn message_facts(message: &DescriptorProto, scope: &str, file: &str, facts: &mut Facts) {
    let name = format!("{scope}.{}", message.name());
    let map_entry = message.options.as_ref().is_some_and(|options| options.map_entry());
    let reserved: Vec<_> = message.reserved_range.iter().map(|range| (range.start(), range.end())).collect();
    facts.insert(
        format!("message {name}"),
        format!("in {file}, map entry {map_entry}, reserved {reserved:?} {:?}", message.reserved_name),
    );
    for oneof in &message.oneof_decl {
        facts.insert(format!("oneof {name}.{}", oneof.name()), String::new());
    }
    for field in &message.field {
        facts.insert(format!("field {name}.{}", field.name()), field_facts(field, message));
    }
    for nested in &message.nested_type {
        message_facts(nested, &name, file, facts);
    }
    for nested in &message.enum_type {
        enum_facts(nested, &name, file, facts);
    }
}

fn field_facts(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let options = field.options.clone().unwrap_or_default();
    let scalar = !matches!(field.r#type(), Type::Message | Type::Group | Type::String | Type::Bytes);
    // proto3 packs repeated scalars unless told otherwise.
    let packed = field.label() == Label::Repeated && scalar && options.packed.unwrap_or(true);
    let oneof = field
        .oneof_index
        .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?))
        .map_or("none", |oneof| oneof.name());
    format!(
        "number {}, {} {} {}, packed {packed} (stated {:?}), oneof {oneof}, explicit presence {}, default {:?}",
        field.number(),
        field.label().as_str_name(),
        field.r#type().as_str_name(),
        field.type_name(),
        options.packed,
        field.proto3_optional(),
        field.default_value
    )
}

fn enum_facts(item: &EnumDescriptorProto, scope: &str, file: &str, facts: &mut Facts) {
    let name = format!("{scope}.{}", item.name());
    let alias = item.options.as_ref().is_some_and(|options| options.allow_alias());
    facts.insert(format!("enum {name}"), format!("in {file}, aliases {alias}"));
    for value in &item.value {
        facts.insert(format!("value {name}.{}", value.name()), format!("number {}", value.number()));
    }
}
