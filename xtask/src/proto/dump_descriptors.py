"""Writes to standard output the FileDescriptorSet of the schema that the installed coremltools was built with."""

import os
import sys

# Importing coremltools prints notices; only the descriptors may reach the reader.
out = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)

from coremltools.proto import Model_pb2
from google.protobuf import descriptor_pb2

# Every file of the schema is imported by Model.proto, directly or through others.
files = {}
pending = [Model_pb2.DESCRIPTOR]
while pending:
    file = pending.pop()
    if file.name not in files:
        files[file.name] = file
        pending.extend(file.dependencies)

descriptors = descriptor_pb2.FileDescriptorSet()
for name in sorted(files):
    files[name].CopyToProto(descriptors.file.add())
out.write(descriptors.SerializeToString())
out.close()
