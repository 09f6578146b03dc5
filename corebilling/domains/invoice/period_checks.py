"""The spans that a charge is for, against its shares and its price."""

from collections.abc import Iterator
from fractions import Fraction

from billing.catalog.v1 import catalog_pb2
from billing.rating.v1 import rating_pb2
from billing.types.v1 import period_pb2

from corebilling.domains.invoice.bundle_reading import fraction, moments, named
from corebilling.domains.invoice.checks import Check, Checking
from corebilling.domains.invoice.recharging import Recharged

_DAY_S = 24 * 60 * 60
_YEAR_DAYS = Fraction("365.2425")
_INTERVAL_DAYS = {"day": Fraction(1), "week": Fraction(7), "month": _YEAR_DAYS / 12, "year": _YEAR_DAYS}


def period_checks(
    part: str,
    basis: rating_pb2.ChargeBasis,
    price: catalog_pb2.Price,
    made: Recharged,
    *,
    adjusts_usage: bool = False,
) -> Iterator[Check]:
    """Shares are those of the spans; a full period is as long as the price says.

    Args:
        adjusts_usage: It may be that of a period that never came, and so has no length.
    """
    check = Checking(part, "period")
    yield check.of("share", fraction(basis.share, "share"), made.share)
    before = fraction(basis.share_before, "share before") if basis.share_before else Fraction(0)
    yield check.of("share before", before, made.share_before)
    full_s = moments(basis.full_period).seconds
    if not price.one_time and (full_s or not adjusts_usage):
        unit = named(period_pb2.IntervalUnit, price.interval_unit, "interval of a price")
        # By and large: its days are not counted in any time zone.
        found = round(full_s / _DAY_S / _INTERVAL_DAYS[unit])
        yield check.of(f"{unit}s", price.interval_count, found)
