"""Amounts of prices as messages say them, and as rows keep them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from billing.catalog.v1 import catalog_pb2 as pb

from corebilling.mapping import decimal_text, optional_text
from corebilling.values.price import Tier


def optional_decimal(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def read_tiers(messages: Iterable[pb.PriceTier]) -> list[Tier]:
    return [
        Tier(
            up_to=optional_decimal(tier.up_to),
            unit_amount=Decimal(tier.unit_amount),
            flat_amount=Decimal(tier.flat_amount or 0),
            block_size=optional_decimal(tier.block_size),
            maximum_amount=optional_decimal(tier.maximum_amount),
        )
        for tier in messages
    ]


def tier_object(tier: Tier) -> Mapping[str, str]:
    """As rows keep it: a `PriceTier` in JSON."""
    return {
        "up_to": optional_text(tier.up_to),
        "unit_amount": decimal_text(tier.unit_amount),
        "flat_amount": decimal_text(tier.flat_amount),
        "block_size": optional_text(tier.block_size),
        "maximum_amount": optional_text(tier.maximum_amount),
    }
