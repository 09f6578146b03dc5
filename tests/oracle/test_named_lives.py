"""Lives that chance seldom brings about: what happens at boundaries, and in the hour after them."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.oracle.engine import live
from tests.oracle.life import Life
from tests.oracle.test_years import told
from tests.oracle.world import (
    Action,
    Cancel,
    Change,
    Correct,
    Customer,
    Item,
    Pause,
    Price,
    Redeem,
    Rerate,
    Resume,
    Seller,
    Subscribe,
    Threshold,
    Tier,
    Use,
    Visit,
    Watch,
)
from tests.support.platform import Platform

START = datetime(2024, 1, 31, 10, tzinfo=UTC)
RENEWAL = datetime(2024, 2, 29, 10, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FEE = Price("fee", "flat", unit_amount="31")
OTHER = Price("other", "flat", unit_amount="62")
USED = Price("used", "graduated", meter="requests", tiers=(Tier("10", "2", "3"), Tier("", "1")))
LEAST = Price("least", "per_unit", meter="requests", unit_amount="1", minimum_amount="58")
CALLS = Price("calls", "per_unit", meter="jobs", unit_amount="20")
CAPPED = Price("capped", "per_unit", meter="requests", unit_amount="1", maximum_amount="31")
SETUP = Price("setup", "per_unit", unit_amount="9.995", one_time=True)
PRICES = (FEE, OTHER, USED, LEAST, CALLS, CAPPED, SETUP)
ITEMS = (Item(FEE, "1"), Item(USED))
OTHER_ITEMS = (Item(OTHER, "1"), Item(USED))
BOTH = Change((Item(USED), Item(CALLS)))
AT_TEN = Watch((Threshold(1000),))
AT_EACH_TEN = Watch((Threshold(1000, recurring=True),))
SET_UP = (*ITEMS, Item(SETUP, "3"))


def at(time: datetime, *actions: Action) -> Visit:
    return Visit(time, actions)


def now(items: tuple[Item, ...]) -> Change:
    return Change(items, "invoice_immediately")


LIVES = {
    "canceled in the instant of renewal": [at(RENEWAL, Cancel())],
    "canceled in the instant of renewal, with late usage": [
        at(RENEWAL, Cancel()),
        at(RENEWAL + 2 * DAY, Use("requests", "4", RENEWAL - DAY)),
    ],
    "canceled at once": [at(START, Cancel())],
    "paused and canceled in one instant": [at(START + 9 * DAY, Pause(), Cancel())],
    "paused and resumed in one instant": [
        at(START + 9 * DAY, Use("requests", "4", START), Pause(), Resume())
    ],
    "used and replaced in the instant of resuming": [
        at(START + 9 * DAY, Pause()),
        at(START + 10 * DAY, Resume(), Use("requests", "4", START + 10 * DAY), Change((Item(LEAST),))),
    ],
    "used and canceled in one instant, and corrected": [
        at(START, Use("requests", "4", START), Cancel()),
        at(START + DAY, Correct(0, "3")),
    ],
    "used and canceled in the instant of renewal, and corrected": [
        at(RENEWAL, Use("requests", "4", RENEWAL), Use("requests", "4", RENEWAL - DAY), Cancel()),
        at(RENEWAL + DAY, Correct(0, "3"), Correct(1)),
    ],
    "used ahead of the clock, and canceled in the instant of renewal": [
        at(RENEWAL, Use("requests", "4", RENEWAL + MINUTE), Cancel()),
    ],
    "used ahead of a period that never comes, and corrected": [
        at(RENEWAL - MINUTE, Use("requests", "14", RENEWAL + MINUTE), Cancel()),
        at(RENEWAL + DAY, Correct(0, "3")),
    ],
    "used and canceled in the instant of resuming, and corrected": [
        at(START + DAY, Use("requests", "8", START)),
        at(START + 2 * DAY, Pause()),
        at(START + 3 * DAY, Resume(), Use("requests", "8", START + 3 * DAY), Cancel()),
        at(START + 4 * DAY, Correct(1, "6"), Correct(0, "5")),
    ],
    "used, paused and canceled in the instant of resuming, with a minimum": [
        at(START, Change((Item(LEAST),))),
        at(START + DAY, Use("requests", "1", START + DAY), Pause()),
        at(START + 3 * DAY, Resume(), Use("requests", "2", START + 3 * DAY), Pause(), Cancel()),
    ],
    "used and canceled in the instant of a change": [
        at(START + DAY, Use("requests", "8", START)),
        at(START + 9 * DAY, Change((Item(LEAST),)), Use("requests", "2", START + 9 * DAY), Cancel()),
    ],
    "used and canceled in the instant of an invoice at once": [
        at(START + DAY, Use("requests", "8", START)),
        at(
            START + 9 * DAY,
            now((Item(FEE, "1"), Item(CAPPED))),
            Use("requests", "2", START + 9 * DAY),
            Cancel(),
        ),
        at(START + 10 * DAY, Correct(1, "50")),
    ],
    "used again after an invoice at once, and canceled in the instant of it": [
        at(START + DAY, Use("requests", "8", START)),
        at(
            START + 9 * DAY,
            now(OTHER_ITEMS),
            Pause(),
            Resume(),
            Use("requests", "8", START + 9 * DAY),
            Cancel(),
        ),
    ],
    "late usage of an unused period with a minimum": [
        at(START, Change((Item(LEAST),))),
        at(RENEWAL + 2 * DAY, Use("requests", "70", RENEWAL - DAY)),
    ],
    "late usage of an unused period that was cut short": [
        at(START, Change((Item(LEAST),))),
        at(START + 9 * DAY, Cancel()),
        at(START + 10 * DAY, Use("requests", "70", START)),
    ],
    "unused after a pause, with a minimum": [
        at(START + DAY, Change((Item(LEAST),))),
        at(START + 2 * DAY, Use("requests", "4", START + 2 * DAY)),
        at(START + 3 * DAY, Pause()),
        at(START + 4 * DAY, Resume()),
    ],
    "changed at once, twice in one instant": [
        at(START + DAY, now(OTHER_ITEMS)),
        at(START + DAY, now(ITEMS)),
    ],
    "changed at once in two periods, before the first is closed": [
        at(START + DAY, Use("requests", "4", START + DAY)),
        at(RENEWAL - 30 * MINUTE, now(OTHER_ITEMS)),
        at(RENEWAL + 20 * MINUTE, now(ITEMS)),
    ],
    "at a threshold, and again in the next period": [
        at(START + DAY, AT_TEN, Use("requests", "3.499", START)),
        at(START + 2 * DAY, Use("requests", "0.001", START + DAY)),
        at(START + 3 * DAY, Use("requests", "40", START + DAY)),
        at(RENEWAL + 30 * MINUTE, Use("requests", "40", RENEWAL)),
        at(RENEWAL + DAY, Use("requests", "2", RENEWAL - DAY)),
    ],
    "at thresholds before and after a pause": [
        at(START + DAY, AT_EACH_TEN, Use("requests", "8", START)),
        at(START + 2 * DAY, Pause()),
        at(START + 3 * DAY, Resume(), Use("requests", "8", START + 3 * DAY)),
        at(START + 4 * DAY, Use("requests", "8", START + DAY)),
    ],
    "at thresholds before and after a pause, with a cap": [
        at(START, AT_EACH_TEN, Change((Item(CAPPED),))),
        at(START + DAY, Use("requests", "12", START)),
        at(START + 2 * DAY, Pause()),
        at(START + 3 * DAY, Resume(), Use("requests", "12", START + 3 * DAY)),
        at(START + 4 * DAY, Use("requests", "30", START + 4 * DAY)),
        at(START + 5 * DAY, Cancel()),
    ],
    "at a threshold, of a price that is replaced": [
        at(START + DAY, AT_EACH_TEN, Use("requests", "8", START)),
        at(START + 2 * DAY, Use("requests", "1", START), Change((Item(LEAST),))),
        at(START + 3 * DAY, Use("requests", "30", START + 3 * DAY), Use("requests", "5", START + DAY)),
        at(START + 4 * DAY, now((Item(CAPPED),)), Use("requests", "30", START + 4 * DAY)),
        at(START + 5 * DAY, Use("requests", "7", START + 3 * DAY)),
    ],
    "at a threshold, in the instant of an invoice at once": [
        at(START + DAY, AT_TEN),
        at(START + 2 * DAY, Use("requests", "30", START), now((Item(OTHER, "1"), Item(CALLS)))),
        at(START + 3 * DAY, Use("jobs", "1", START + 3 * DAY)),
    ],
    "at a threshold, and all of it taken back": [
        at(START + DAY, AT_TEN, Use("requests", "8", START)),
        at(START + 2 * DAY, Correct(0)),
    ],
    "at a threshold, and taken back with another one": [
        at(START, BOTH, AT_EACH_TEN),
        at(START + DAY, Use("requests", "8", START)),
        at(START + 2 * DAY, Correct(0, "0"), Use("jobs", "1", START), Use("jobs", "1", START + DAY)),
    ],
    "at a threshold in the instant of resuming, and the same said again": [
        at(START + DAY, AT_TEN, Pause()),
        at(START + 2 * DAY, Resume(), Use("requests", "8", START + 2 * DAY)),
        at(START + 3 * DAY, Correct(0, "8")),
        at(START + 4 * DAY, Use("requests", "1", START + 4 * DAY)),
    ],
    "at a threshold in the hour after a period, and in the instant of cancellation": [
        at(RENEWAL + 30 * MINUTE, AT_TEN, Use("requests", "40", RENEWAL - DAY)),
        at(RENEWAL + 40 * MINUTE, Use("requests", "40", RENEWAL)),
        at(RENEWAL + DAY, Use("requests", "40", RENEWAL + DAY), Cancel()),
    ],
    "rated again: a fee, and what is charged once": [
        at(START + DAY, Change(SET_UP), Redeem(percent="33.333")),
        at(RENEWAL + DAY, Rerate(0, FEE, OTHER), Rerate(0, SETUP, FEE), Rerate(1, FEE, OTHER)),
        at(RENEWAL + 2 * DAY, Rerate(1, FEE, OTHER), Rerate(1, OTHER, FEE), Rerate(0, OTHER, FEE)),
    ],
    "rated again: usage, before more of it comes late and some is taken back": [
        at(START + DAY, Redeem(percent="10"), Use("requests", "8", START)),
        at(RENEWAL + 2 * DAY, Rerate(0, USED, LEAST), Use("requests", "30", RENEWAL - DAY)),
        at(RENEWAL + 9 * DAY, Rerate(1, LEAST, CAPPED), Correct(0)),
    ],
    "rated again: usage that thresholds billed in part": [
        at(START + DAY, AT_EACH_TEN, Use("requests", "8", START)),
        at(START + 2 * DAY, Use("requests", "30", START)),
        at(RENEWAL + 2 * DAY, Rerate(1, USED, LEAST), Rerate(0, USED, LEAST)),
    ],
    "rated again: usage before and after a pause": [
        at(START + DAY, Use("requests", "8", START)),
        at(START + 2 * DAY, Pause()),
        at(START + 3 * DAY, Resume(), Use("requests", "8", START + 3 * DAY)),
        at(RENEWAL + 2 * DAY, Rerate(0, USED, LEAST), Rerate(0, FEE, OTHER)),
    ],
    "rated again: a part of a fee": [
        at(START + 9 * DAY, now((Item(FEE, "1"), Item(CALLS)))),
        at(START + 10 * DAY, Rerate(0, FEE, OTHER), Rerate(0, USED, LEAST)),
        at(RENEWAL + 2 * DAY, Rerate(0, FEE, OTHER)),
    ],
    "rated again: what had been free": [
        at(START + DAY, Redeem(percent="100", invoices=1)),
        at(RENEWAL + 2 * DAY, Rerate(0, FEE, OTHER), Redeem(percent="50"), Rerate(1, USED, CAPPED)),
        at(RENEWAL + 9 * DAY, Rerate(1, CAPPED, USED), Rerate(2, CAPPED, USED)),
    ],
    "set up in the instant of renewal, and in that of cancellation": [
        at(RENEWAL, Change(SET_UP)),
        at(RENEWAL + 9 * DAY, Change((*SET_UP, Item(SETUP, "3"))), Cancel()),
    ],
    "set up at a period's end that is the last": [
        at(START + 9 * DAY, Change(SET_UP, at_period_end=True), Cancel(at_period_end=True)),
    ],
    "set up with the next period": [
        at(START + 9 * DAY, Change(SET_UP, at_period_end=True)),
        at(RENEWAL + 9 * DAY, Pause(), Resume()),
    ],
    "set up, and taken back at once": [at(START + 9 * DAY, Change(SET_UP), Change(ITEMS))],
    "set up, and left out when it is invoiced at once": [
        at(START + 9 * DAY, Change(SET_UP)),
        at(START + 10 * DAY, now(OTHER_ITEMS)),
        at(START + 12 * DAY, now(SET_UP)),
    ],
    "set up without proration, on another day than the fee begins": [
        at(START + 9 * DAY, Change((Item(OTHER, "1"), Item(SETUP, "2"), Item(USED)), "none")),
        at(START + 12 * DAY, Change(SET_UP)),
    ],
}


@pytest.mark.parametrize("grain", ["second", "day", "none"])
async def test_named_lives_come_to_what_the_oracle_says(platform: Platform, grain: str):
    seller = Seller(grain, "exclusive", "per_invoice", "before_tax", (), START - DAY, RENEWAL + 70 * DAY)
    begin = at(START, Subscribe(ITEMS, START))
    customers = [
        Customer(f"c{n}", "USD", "UTC", "DE", "", "", ("month", 1), PRICES, (begin, *visits))
        for n, visits in enumerate(LIVES.values())
    ]
    lived = await live(platform, seller, customers)
    wrong = {}
    for name, customer, year in zip(LIVES, customers, lived, strict=True):
        expected = Life(customer, seller).live()
        if year != expected:
            wrong[name] = told(seller, customer, expected, year)
    assert not wrong, "\n\n".join(f"{name}:\n{text}" for name, text in wrong.items())
