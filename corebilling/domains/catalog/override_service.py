"""Use cases of price overrides: amounts negotiated with a customer, or for a subscription."""

from datetime import datetime

from billing.catalog.v1 import price_override_events_pb2 as events
from billing.catalog.v1 import price_override_pb2 as pb
from billing.catalog.v1 import price_override_service_pb2 as rpc
from billing_db import price_override as override_sql
from billing_db import schedule as schedule_sql
from billing_db.models import Price, PriceOverride
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.catalog.amounts import optional_decimal, read_tiers, tier_object
from corebilling.domains.catalog.limits import check_price_amounts, max_quantity
from corebilling.domains.catalog.model import CurrencyAmounts, PriceTerms, PriceUsage, check_price_terms
from corebilling.domains.catalog.override_model import MAX_OVERRIDES, decide_validity
from corebilling.domains.catalog.rows import find_price
from corebilling.domains.customer.rows import find_present_customer
from corebilling.domains.subscription import rows as subscription_rows
from corebilling.errors import InvalidArgument, NotFound, ResourceExhausted
from corebilling.events import outbox
from corebilling.mapping import instant, timestamp, to_message
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.period import Period
from corebilling.values.price import BY_RECORD, PriceModel


class PriceOverrideService:
    """Sets and ends what customers pay instead of a price's own amounts; rating finds it."""

    async def set_price_override(
        self, tx: Transaction, request: rpc.SetPriceOverrideRequest
    ) -> rpc.SetPriceOverrideResponse:
        """Negotiates amounts. They take the place of those of the same price, for the same customer or
        subscription.

        Raises:
            NotFound: PRICE_NOT_FOUND, CUSTOMER_NOT_FOUND, SUBSCRIPTION_NOT_FOUND.
            InvalidArgument: PRICE_OVERRIDE_INVALID, PRICE_OVERRIDE_TIME_INVALID, PRICE_CURRENCY_MISSING,
                PRICE_INVALID, VALUE_OUT_OF_RANGE.
            ResourceExhausted: PRICE_OVERRIDE_LIMIT_REACHED.
        """
        price = await find_price(tx, request.price_id)
        customer_id, currency = await _payer(tx, request)
        await tx.lock(customer_id)
        _check_sold_in(price, currency)
        terms = _terms(price, request, currency)
        check_price_terms(terms)
        check_price_amounts(terms, currency)
        valid_from, valid_until = decide_validity(
            valid_from=_moment(request, "valid_from"),
            valid_until=_moment(request, "valid_until"),
            now=(await tenant_profile(tx)).now,
            unbilled=await _unbilled(tx, request.subscription_id),
        )
        override = PriceOverride(
            tenant_id=tx.tenant_id,
            id=new_id("pov"),
            price_id=price.id,
            customer_id=customer_id,
            subscription_id=request.subscription_id or None,
            currency=currency,
            unit_amount=terms.unit_amount,
            tiers=[tier_object(tier) for tier in terms.tiers],
            included_quantity=terms.included_quantity,
            minimum_amount=terms.minimum_amount,
            maximum_amount=terms.maximum_amount,
            max_quantity=max_quantity(terms, currency),
            valid_from=valid_from,
            valid_until=valid_until,
            created_at=tx.now,
            version=1,
        )
        await _check_room(tx, override)
        await _replace(tx, override)
        saved = await _insert(tx, override)
        return rpc.SetPriceOverrideResponse(price_override=to_message(saved, pb.PriceOverride))

    async def get_price_override(
        self, tx: Transaction, request: rpc.GetPriceOverrideRequest
    ) -> rpc.GetPriceOverrideResponse:
        override = await _find(tx, request.price_override_id)
        return rpc.GetPriceOverrideResponse(price_override=to_message(override, pb.PriceOverride))

    async def list_price_overrides(
        self, tx: Transaction, request: rpc.ListPriceOverridesRequest
    ) -> rpc.ListPriceOverridesResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await override_sql.list_price_overrides(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=request.customer_id,
            subscription_id=request.subscription_id,
            price_id=request.price_id,
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListPriceOverridesResponse(
            price_overrides=(to_message(row, pb.PriceOverride) for row in page), next_page_token=token
        )

    async def end_price_override(
        self, tx: Transaction, request: rpc.EndPriceOverrideRequest
    ) -> rpc.EndPriceOverrideResponse:
        """Ends it as of now; one that is over already stays as it is."""
        await tx.lock((await _find(tx, request.price_override_id)).customer_id)
        now = (await tenant_profile(tx)).now.replace(microsecond=0)
        ended = await override_sql.mark_price_override_ended(
            tx, tenant_id=tx.tenant_id, id=request.price_override_id, ends_at=now
        )
        if ended is not None:
            _announce_ended(tx, ended)
        override = ended or await _find(tx, request.price_override_id)
        return rpc.EndPriceOverrideResponse(price_override=to_message(override, pb.PriceOverride))


async def _find(tx: Transaction, override_id: str) -> PriceOverride:
    override = await override_sql.find_price_override(tx, tenant_id=tx.tenant_id, id=override_id)
    if override is None:
        raise NotFound(
            "PRICE_OVERRIDE_NOT_FOUND", "There is no such override.", {"price_override_id": override_id}
        )
    return override


async def _payer(tx: Transaction, request: rpc.SetPriceOverrideRequest) -> tuple[str, str]:
    """The customer that the override is for, and what is paid in."""
    if bool(request.customer_id) == bool(request.subscription_id):
        detail = "name either a customer_id or a subscription_id"
        raise InvalidArgument("PRICE_OVERRIDE_INVALID", f"Whose is it? {detail}.", {"detail": detail})
    if request.subscription_id:
        subscription = await subscription_rows.find(tx, request.subscription_id)
        return subscription.customer_id, subscription.currency
    customer = await find_present_customer(tx, request.customer_id)
    return customer.id, customer.currency


async def _unbilled(tx: Transaction, subscription_id: str) -> Period | None:
    """The current period of the subscription, if there is one of which nothing is invoiced: no earlier part,
    and no usage that came to a threshold."""
    if not subscription_id:
        return None
    cycle = await schedule_sql.find_running_cycle(tx, tenant_id=tx.tenant_id, subscription_id=subscription_id)
    if cycle is None or cycle.period_start > cycle.full_period_start:
        return None
    reached_minor = await schedule_sql.get_reached_threshold(
        tx,
        tenant_id=tx.tenant_id,
        subscription_id=subscription_id,
        full_period_start=cycle.full_period_start,
    )
    return None if reached_minor else Period(cycle.full_period_start, cycle.full_period_end)


def _check_sold_in(price: Price, currency: str) -> None:
    sold_in = [price.currency, *(option["currency"] for option in price.currency_options)]
    if currency not in sold_in:
        raise InvalidArgument(
            "PRICE_CURRENCY_MISSING",
            f"{currency} is paid, and price {price.code} is not sold in it: create its next version with a "
            f"currency option for {currency}.",
            {
                "price_id": price.id,
                "code": price.code,
                "currency": currency,
                "currencies": ", ".join(sold_in),
            },
        )


def _terms(price: Price, request: rpc.SetPriceOverrideRequest, currency: str) -> PriceTerms:
    """The price's terms with the negotiated amounts."""
    if price.model in BY_RECORD:
        detail = f"a {price.model} price has amounts for its records: make another price instead"
        raise InvalidArgument("PRICE_OVERRIDE_INVALID", f"Nothing to override: {detail}.", {"detail": detail})
    included = optional_decimal(request.included_quantity)
    terms = PriceTerms(
        model=PriceModel(price.model),
        usage=PriceUsage(price.usage),
        meter_id=price.meter_id,
        unit_amount=None,
        unit_size=price.unit_size,
        tiers=(),
        included_quantity=price.included_quantity if included is None else included,
        no_flat_amount_when_unused=price.no_flat_amount_when_unused,
        one_time=price.one_time,
        has_interval=not price.one_time,
    )
    amounts = CurrencyAmounts(
        currency=currency,
        unit_amount=optional_decimal(request.unit_amount),
        tiers=read_tiers(request.tiers),
        minimum_amount=optional_decimal(request.minimum_amount),
        maximum_amount=optional_decimal(request.maximum_amount),
    )
    return amounts.terms_of(terms)


def _moment(request: rpc.SetPriceOverrideRequest, field: str) -> datetime | None:
    moment: Timestamp = getattr(request, field)
    return instant(moment) if request.HasField(field) else None


async def _check_room(tx: Transaction, override: PriceOverride) -> None:
    """Refuses what would be too much to read, or to write on an invoice."""
    count = await override_sql.count_price_overrides(
        tx, tenant_id=tx.tenant_id, customer_id=override.customer_id, price_id=override.price_id
    )
    if count >= MAX_OVERRIDES:
        raise ResourceExhausted(
            "PRICE_OVERRIDE_LIMIT_REACHED",
            "The price was overridden too often for the customer; create its next version, override that.",
            {"limit": str(MAX_OVERRIDES)},
        )
    if override.max_quantity is None:
        return
    if await override_sql.has_items_beyond(
        tx,
        tenant_id=tx.tenant_id,
        customer_id=override.customer_id,
        subscription_id=override.subscription_id or "",
        currency=override.currency,
        price_id=override.price_id,
        valid_from=override.valid_from,
        max_quantity=override.max_quantity,
    ):
        limit = f"{override.max_quantity:f}"
        raise InvalidArgument(
            "VALUE_OUT_OF_RANGE",
            f"At these amounts an invoice line holds {limit} units, and the customer has more; lower them.",
            {"field": "unit_amount", "limit": limit},
        )


async def _replace(tx: Transaction, override: PriceOverride) -> None:
    """Ends those that would be in force beside it."""
    for replaced in await override_sql.replace_price_overrides(
        tx,
        tenant_id=tx.tenant_id,
        customer_id=override.customer_id,
        subscription_id=override.subscription_id or "",
        price_id=override.price_id,
        ends_at=override.valid_from,
    ):
        _announce_ended(tx, replaced, replaced_by_id=override.id)


async def _insert(tx: Transaction, override: PriceOverride) -> PriceOverride:
    saved = await override_sql.insert_price_override(
        tx,
        tenant_id=tx.tenant_id,
        id=override.id,
        price_id=override.price_id,
        customer_id=override.customer_id,
        subscription_id=override.subscription_id,
        currency=override.currency,
        unit_amount=override.unit_amount,
        tiers=override.tiers,
        included_quantity=override.included_quantity,
        minimum_amount=override.minimum_amount,
        maximum_amount=override.maximum_amount,
        max_quantity=override.max_quantity,
        valid_from=override.valid_from,
        valid_until=override.valid_until,
        created_at=tx.now,
    )
    await override_sql.mark_items_overridden(
        tx,
        tenant_id=tx.tenant_id,
        customer_id=saved.customer_id,
        subscription_id=saved.subscription_id or "",
        currency=saved.currency,
        price_id=saved.price_id,
        valid_from=saved.valid_from,
        max_quantity=saved.max_quantity,
    )
    made = events.PriceOverrideSet(
        price_override_id=saved.id,
        price_id=saved.price_id,
        customer_id=saved.customer_id,
        subscription_id=saved.subscription_id or "",
        valid_from=timestamp(saved.valid_from),
        valid_until=None if saved.valid_until is None else timestamp(saved.valid_until),
    )
    _announce(tx, saved, made)
    return saved


def _announce_ended(tx: Transaction, override: PriceOverride, *, replaced_by_id: str = "") -> None:
    assert override.valid_until is not None, "it has ended"
    ended = events.PriceOverrideEnded(
        price_override_id=override.id,
        valid_until=timestamp(override.valid_until),
        replaced_by_id=replaced_by_id,
    )
    _announce(tx, override, ended)


def _announce(tx: Transaction, override: PriceOverride, payload: Message) -> None:
    outbox.append(
        tx,
        payload,
        resource_id=override.id,
        resource_version=override.version,
        ordering_key=override.customer_id,
    )
