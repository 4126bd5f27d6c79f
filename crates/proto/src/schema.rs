//! The schema as data: descriptors of every message.

use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};

static DESCRIPTORS: &[u8] = include_bytes!("gen/descriptors.bin");

/// The descriptors of all messages of the Core ML specification.
///
/// ```
/// let names = coreml_proto::pool().all_messages().map(|message| message.full_name().to_owned());
/// assert!(names.into_iter().any(|name| name == "CoreML.Specification.MILSpec.Operation"));
/// ```
pub fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        // These bytes are compiled in, not input: only a broken build of this crate could make them fail.
        DescriptorPool::decode(DESCRIPTORS).unwrap_or_else(|error| panic!("committed descriptors: {error}"))
    })
}

/// The descriptor of the message with this full name, such as `CoreML.Specification.Model`.
///
/// ```
/// let layer = coreml_proto::message("CoreML.Specification.NeuralNetworkLayer").unwrap();
/// assert_eq!(layer.oneofs().next().unwrap().fields().count(), 158);
/// assert!(coreml_proto::message("CoreML.Specification.Nonsense").is_none());
/// ```
pub fn message(name: &str) -> Option<MessageDescriptor> {
    pool().get_message_by_name(name)
}

/// The descriptor of a generated type.
///
/// `None` is only possible for a type from another schema.
///
/// ```
/// let operation = coreml_proto::descriptor_of::<coreml_proto::mil::Operation>().unwrap();
/// assert_eq!(operation.get_field_by_name("inputs").unwrap().number(), 2);
/// ```
pub fn descriptor_of<T: prost::Name>() -> Option<MessageDescriptor> {
    message(&T::full_name())
}
