"""Descriptor of buf/validate/validate.proto, as the installed protovalidate carries it."""

from google.protobuf import (
    descriptor_pb2,  # noqa: F401 (must be loaded before the files that import them)
    descriptor_pool,
    duration_pb2,  # noqa: F401
    field_mask_pb2,  # noqa: F401
    timestamp_pb2,  # noqa: F401
)
from protovalidate import ViolationPb

DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(ViolationPb.desc().file.proto.to_binary())
