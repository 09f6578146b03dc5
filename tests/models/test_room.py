"""Nobody takes all the room, however many try to."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from corebilling.errors import ResourceExhausted
from corebilling.room import Room


def greedy(room: Room, tenant_id: str, account: str | None = None) -> int:
    """How often they may take one more."""
    return sum(1 for _ in _taken(room, tenant_id, account))


def _taken(room: Room, tenant_id: str, account: str | None) -> Iterator[None]:
    while True:
        try:
            room.take(tenant_id, account)
        except ResourceExhausted:
            return
        yield


@pytest.mark.parametrize(("size", "half"), [(1, 1), (2, 1), (3, 2), (4, 2), (256, 128)])
def test_one_tenant_takes_half(size: int, half: int) -> None:
    assert greedy(Room("calls", size), "a") == half


@pytest.mark.parametrize("tenants", [1, 2, 7])
def test_whoever_comes_next_finds_room_however_many_take_all_they_can(tenants: int) -> None:
    room = Room("calls", 256)
    for tenant in range(tenants):
        assert greedy(room, f"t{tenant}") >= 1
    assert greedy(room, "next") >= 1


def test_two_tenants_that_come_at_once_take_a_third_each() -> None:
    room = Room("calls", 300)
    for _ in range(100):
        room.take("a", None)
        room.take("b", None)
    assert (greedy(room, "a"), greedy(room, "b")) == (0, 0)


@pytest.mark.parametrize(("size", "quarter"), [(1, 1), (2, 1), (300, 75)])
def test_an_account_leaves_most_to_its_tenant(size: int, quarter: int) -> None:
    assert greedy(Room("calls", size), "a", "ada") == quarter


@pytest.mark.parametrize("accounts", [2, 10, 100])
def test_accounts_together_leave_room_to_their_tenant_however_many_there_are(accounts: int) -> None:
    room = Room("calls", 300)
    assert sum(greedy(room, "a", f"account {number}") for number in range(accounts)) <= 100
    assert greedy(room, "a") >= 50


def test_an_account_that_takes_all_it_can_leaves_room_to_others_of_its_tenant_and_to_the_tenant() -> None:
    room = Room("calls", 300)
    assert greedy(room, "a", "ada") == 75
    assert greedy(room, "a", "bob") == 19
    assert greedy(room, "a") >= 10
    assert greedy(room, "b", "ada") >= 10


def test_what_is_given_back_can_be_taken_again_and_nothing_is_kept_of_it() -> None:
    room = Room("calls", 8)
    for _ in range(3):
        assert greedy(room, "a", "ada") == 2
        room.give_back("a", "ada")
        room.give_back("a", "ada")
    assert vars(room)["_by"] == {}


def test_a_full_room_refuses_everybody_and_says_so() -> None:
    room = Room("calls", 1)
    room.take("a", None)
    with pytest.raises(ResourceExhausted) as caught:
        room.take("b", None)
    assert (caught.value.reason, caught.value.facts) == ("OVERLOADED", {"what": "calls", "limit": "1"})
    assert caught.value.retry_after_s == 1.0


def test_a_tenant_beyond_its_share_is_told_so_and_the_log_names_it_once() -> None:
    room = Room("calls", 8)
    with capture_logs() as logs:
        for _ in range(3):
            greedy(room, "a")
            with pytest.raises(ResourceExhausted) as caught:
                room.take("a", None)
            room.give_back("a", None)
    assert (caught.value.reason, caught.value.facts) == ("TENANT_OVERLOADED", {"what": "calls", "limit": "4"})
    assert [(entry["event"], entry["tenant_id"]) for entry in logs] == [("tenant_overloaded", "a")]


def test_bytes_are_taken_by_the_amount() -> None:
    room = Room("bytes", 100)
    room.take("a", None, 40)
    with pytest.raises(ResourceExhausted):
        room.take("a", None, 21)
    room.take("b", None, 30)
    room.give_back("b", None, 30)
    room.take("a", None, 10)
