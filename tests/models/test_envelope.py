"""How an event is shown in JSON."""

import pytest
from billing.event.v1 import event_pb2 as eventv1
from google.protobuf import json_format

from corebilling.events.envelope import as_object, pack

FILLED = json_format.ParseDict(
    {
        field.name: field.name if field.type == field.TYPE_STRING else field.number
        for field in eventv1.EventMetadata.DESCRIPTOR.fields
    },
    eventv1.EventMetadata(),
)


@pytest.mark.parametrize("metadata", [FILLED, eventv1.EventMetadata()], ids=["filled", "empty"])
def test_metadata_is_shown_with_every_field_of_the_contract(metadata: eventv1.EventMetadata):
    event = eventv1.Event(payload=pack(eventv1.CustomEvent()), metadata=metadata)
    assert as_object(event)["metadata"] == json_format.MessageToDict(
        metadata, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
