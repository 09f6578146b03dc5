"""The default plans: four of them, and Professional once more with its calls priced by volume.

Each is sold by the month and by the year.

| plan         | monthly | calls included | adapters | over, per call / GB stored / GB moved / seat |
|--------------|---------|----------------|----------|----------------------------------------------|
| Free         | 0       | 10,000         | 1        | 0.00001 / 0.50 / 0.50 / 0                    |
| Starter      | 99      | 1,000,000      | 5        | 0.000005 / 0.25 / 0.25 / 49                  |
| Professional | 499     | 10,000,000     | 25       | 0.000003 / 0.15 / 0.15 / 99                  |
| Enterprise   | 2,499   | 100,000,000    | any      | 0.000001 / 0.10 / 0.10 / 199                 |

What a plan includes is the first tier of a graduated price, at 0. Stored gigabytes are weighed by time: 100
held for half of the period are 50. Moved gigabytes are those going out. Adapters cost nothing: a quota
refuses those above the limit.

A year costs twelve months: fees, seats and stored gigabytes twelve times as much, and twelve times the calls
and moved gigabytes are included.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from billing.catalog.v1 import catalog_pb2 as pb
from billing.types.v1 import period_pb2

PRODUCT = ("platform", "Platform")

METERS: tuple[tuple[str, str, pb.Aggregation, str], ...] = (
    ("api_calls", "API calls", pb.AGGREGATION_SUM, "call"),
    ("storage_gb", "Storage", pb.AGGREGATION_TIME_WEIGHTED, "GB"),
    ("transfer_gb_in", "Transfer in", pb.AGGREGATION_SUM, "GB"),
    ("transfer_gb_out", "Transfer out", pb.AGGREGATION_SUM, "GB"),
    ("query_seconds", "Query time", pb.AGGREGATION_SUM, "second"),
    ("graphql_operations", "GraphQL operations", pb.AGGREGATION_SUM, "operation"),
    ("kafka_events", "Kafka events", pb.AGGREGATION_SUM, "event"),
    ("adapters_active", "Active adapters", pb.AGGREGATION_MAX, "adapter"),
)


@dataclass(frozen=True, slots=True)
class DefaultPrice:
    """A price of a plan; licensed unless it names a meter."""

    code: str
    description: str
    model: pb.PriceModel
    meter: str = ""
    unit_amount: str = ""
    unit_size: str = ""
    tiers: tuple[pb.PriceTier, ...] = field(default=())
    quantity: str = ""


@dataclass(frozen=True, slots=True)
class DefaultPlan:
    code: str
    name: str
    prices: tuple[DefaultPrice, ...]
    adapters: str
    """The most that may be active; empty for any number."""
    interval_unit: period_pb2.IntervalUnit = period_pb2.INTERVAL_UNIT_MONTH


def _beyond(included: str, unit_amount: str) -> tuple[pb.PriceTier, ...]:
    return (pb.PriceTier(up_to=included, unit_amount="0"), pb.PriceTier(unit_amount=unit_amount))


def _plan(
    code: str,
    name: str,
    *,
    monthly: str,
    included: tuple[str, str, str, str],
    over: tuple[str, str, str, str],
    adapters: str,
    calls: DefaultPrice | None = None,
) -> DefaultPlan:
    """`included` and `over` list calls, storage, transfer and seats."""
    graduated = pb.PRICE_MODEL_GRADUATED
    calls_in, storage_in, transfer_in, seats_in = included
    calls_over, storage_over, transfer_over, seats_over = over
    return DefaultPlan(
        code,
        name,
        (
            DefaultPrice("base", f"{name} plan", pb.PRICE_MODEL_FLAT, unit_amount=monthly),
            calls
            or DefaultPrice(
                "calls", "API calls", graduated, "api_calls", tiers=_beyond(calls_in, calls_over)
            ),
            DefaultPrice(
                "storage", "Storage, GB", graduated, "storage_gb", tiers=_beyond(storage_in, storage_over)
            ),
            DefaultPrice(
                "transfer",
                "Transfer, GB",
                graduated,
                "transfer_gb_out",
                tiers=_beyond(transfer_in, transfer_over),
            ),
            DefaultPrice("seats", "Seats", graduated, tiers=_beyond(seats_in, seats_over), quantity=seats_in),
            DefaultPrice(
                "adapters", "Active adapters", pb.PRICE_MODEL_PER_UNIT, "adapters_active", unit_amount="0"
            ),
        ),
        adapters,
    )


_SUMMED_UP = ("api_calls", "transfer_gb_out")


def _yearly(plan: DefaultPlan) -> DefaultPlan:
    return DefaultPlan(
        f"{plan.code}-annual",
        f"{plan.name}, by the year",
        tuple(_yearly_price(price) for price in plan.prices),
        plan.adapters,
        period_pb2.INTERVAL_UNIT_YEAR,
    )


def _yearly_price(price: DefaultPrice) -> DefaultPrice:
    """What adds up over the year is included twelve times; what is there throughout costs twelve months."""
    if price.meter in _SUMMED_UP:
        tiers = tuple(
            pb.PriceTier(up_to=_twelvefold(tier.up_to), unit_amount=tier.unit_amount) for tier in price.tiers
        )
        return replace(price, tiers=tiers)
    tiers = tuple(
        pb.PriceTier(up_to=tier.up_to, unit_amount=_twelvefold(tier.unit_amount)) for tier in price.tiers
    )
    return replace(price, unit_amount=_twelvefold(price.unit_amount), tiers=tiers)


def _twelvefold(number: str) -> str:
    return f"{12 * Decimal(number):f}" if number else ""


_PROFESSIONAL_INCLUDED = ("10000000", "500", "1000", "25")
_PROFESSIONAL_OVER = ("0.000003", "0.15", "0.15", "99")

# Per 1,000 calls, counted from the first.
_CALLS_BY_VOLUME = DefaultPrice(
    "calls",
    "API calls",
    pb.PRICE_MODEL_GRADUATED,
    "api_calls",
    unit_size="1000",
    tiers=(
        pb.PriceTier(up_to="10000000", unit_amount="0"),
        pb.PriceTier(up_to="50000000", unit_amount="0.003"),
        pb.PriceTier(up_to="100000000", unit_amount="0.002"),
        pb.PriceTier(unit_amount="0.001"),
    ),
)

_MONTHLY = (
    _plan(
        "free",
        "Free",
        monthly="0",
        included=("10000", "1", "1", "1"),
        over=("0.00001", "0.50", "0.50", "0"),
        adapters="1",
    ),
    _plan(
        "starter",
        "Starter",
        monthly="99",
        included=("1000000", "50", "100", "5"),
        over=("0.000005", "0.25", "0.25", "49"),
        adapters="5",
    ),
    _plan(
        "professional",
        "Professional",
        monthly="499",
        included=_PROFESSIONAL_INCLUDED,
        over=_PROFESSIONAL_OVER,
        adapters="25",
    ),
    _plan(
        "professional-volume",
        "Professional, calls by volume",
        monthly="499",
        included=_PROFESSIONAL_INCLUDED,
        over=_PROFESSIONAL_OVER,
        adapters="25",
        calls=_CALLS_BY_VOLUME,
    ),
    _plan(
        "enterprise",
        "Enterprise",
        monthly="2499",
        included=("100000000", "5000", "10000", "100"),
        over=("0.000001", "0.10", "0.10", "199"),
        adapters="",
    ),
)

PLANS = (*_MONTHLY, *map(_yearly, _MONTHLY))
