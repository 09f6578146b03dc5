"""protoc plugin: Python messages, their .pyi files and gRPC stubs, by the protoc inside grpcio-tools.

buf can call that protoc for python and pyi but not for grpc_python; this one plugin serves all three.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import _protoc_compiler


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Return what protoc writes for the requested files; protoc's own messages go to stderr."""
    response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        out.mkdir()
        descriptors = Path(folder, "request.binpb")
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        flags = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
        arguments = ["protoc", f"--descriptor_set_in={descriptors}", *flags, *request.file_to_generate]
        if _protoc_compiler.run_main([argument.encode() for argument in arguments]) != 0:
            response.error = "protoc failed; its messages stand above"
            return response
        for path in sorted(path for path in out.rglob("*") if path.is_file()):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text("utf-8"))
    return response


if __name__ == "__main__":
    incoming = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(generate(incoming).SerializeToString())
