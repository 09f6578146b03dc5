from dataclasses import dataclass

import pytest

from corebilling.domains.event.model import causation_tree, check_custom_subject
from corebilling.errors import InvalidArgument
from corebilling.events.envelope import SHARDS, catalogue, follow_up_id, shard_of


@dataclass
class Event:
    id: str
    causation_id: str = ""


def test_each_cause_comes_before_what_it_led_to():
    events = [
        Event("a"),
        Event("b", "a"),
        Event("x"),
        Event("c", "b"),
        Event("d", "a"),
        Event("e", "elsewhere"),
    ]
    assert [(t.event.id, t.depth) for t in causation_tree(events)] == [
        ("a", 0),
        ("b", 1),
        ("c", 2),
        ("d", 1),
        ("x", 0),
        ("e", 0),
    ]


@pytest.mark.parametrize("subject", ["invoice.paid", "invoice.printed", "usage.reported"])
def test_subjects_of_the_platforms_resources_are_reserved(subject):
    with pytest.raises(InvalidArgument) as refused:
        check_custom_subject(subject, catalogue().keys())
    assert refused.value.reason == "EVENT_SUBJECT_RESERVED"


def test_a_subject_of_ones_own_is_free():
    check_custom_subject("order.shipped", catalogue().keys())


def test_shards_spread_and_stay_what_they_were():
    assert shard_of("ten_a", "cus_1") == 41
    assert {shard_of("ten_a", f"cus_{n}") for n in range(2000)} == set(range(SHARDS))


def test_a_follow_up_sorts_with_its_cause_and_depends_on_all_its_parts():
    cause = "evt_01jd0000000000000000000000"
    ids = {
        follow_up_id(handler, cause, subject, resource, nth)
        for handler in "ab"
        for subject in "ab"
        for resource in "ab"
        for nth in (0, 1)
    }
    assert len(ids) == 16
    assert {(len(derived), derived[:14]) for derived in ids} == {(len(cause), cause[:14])}
