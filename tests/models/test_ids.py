import re
import time
import uuid

from corebilling.values.ids import new_id

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _uuid_of(made: str) -> uuid.UUID:
    value = 0
    for character in made.split("_")[1]:
        value = value << 5 | _ALPHABET.index(character)
    return uuid.UUID(int=value)


def test_id_is_its_prefix_and_26_characters():
    assert re.fullmatch(f"sub_[{_ALPHABET}]{{26}}", new_id("sub"))


def test_id_is_a_uuid_of_version_7_made_now():
    before_ms = time.time_ns() // 1_000_000
    made = _uuid_of(new_id("inv"))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before_ms <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_later_ids_sort_later(monkeypatch):
    nanoseconds = iter(range(1_800_000_000_000_000_000, 1_800_000_000_010_000_000, 1_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(nanoseconds))
    ids = [new_id("evt") for _ in range(10_000)]
    assert ids == sorted(ids)


def test_ids_do_not_repeat():
    assert len({new_id("evt") for _ in range(100_000)}) == 100_000
