"""Use cases of coupons and discounts."""

from decimal import Decimal

from billing.discount.v1 import discount_events_pb2 as events
from billing.discount.v1 import discount_pb2 as pb
from billing.discount.v1 import discount_service_pb2 as rpc
from billing_db import discount as discount_sql
from billing_db import subscription as subscription_sql
from billing_db.models import Coupon

from corebilling.db.failure import refuse_on
from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.customer.rows import find_present_customer
from corebilling.domains.discount.model import (
    CouponOffer,
    CouponStatus,
    DiscountDuration,
    check_coupon,
    decide_redemption,
    not_redeemable,
)
from corebilling.errors import AlreadyExists, NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_text, instant, to_message
from corebilling.values.currency import check_currency
from corebilling.values.discount import DiscountKind
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit


class DiscountService:
    """Offers coupons and keeps what customers made of them; invoices use the discounts."""

    async def create_coupon(
        self, tx: Transaction, request: rpc.CreateCouponRequest
    ) -> rpc.CreateCouponResponse:
        now = (await tenant_profile(tx)).now
        offer = check_coupon(
            CouponOffer(
                id=new_id("cpn"),
                kind=DiscountKind(enum_text(pb.DiscountKind, request.kind)),
                percent=Decimal(request.percent or 0),
                amount_minor=request.amount_minor,
                currency=check_currency(request.currency) if request.currency else "",
                duration=DiscountDuration(enum_text(pb.DiscountDuration, request.duration)),
                duration_invoices=request.duration_invoices,
                max_redemptions=request.max_redemptions,
                valid_from=instant(request.valid_from) if request.HasField("valid_from") else now,
                valid_until=instant(request.valid_until) if request.HasField("valid_until") else None,
            )
        )
        taken = AlreadyExists(
            "CODE_TAKEN", "A coupon with this code exists; choose another.", {"code": request.code}
        )
        with refuse_on({"coupons_code_taken": taken}):
            coupon = await discount_sql.insert_coupon(
                tx,
                tenant_id=tx.tenant_id,
                id=offer.id,
                code=request.code,
                name=request.name,
                kind=offer.kind,
                percent=offer.percent,
                amount_minor=offer.amount_minor,
                currency=offer.currency,
                duration=offer.duration,
                duration_invoices=offer.duration_invoices,
                max_redemptions=offer.max_redemptions,
                valid_from=offer.valid_from,
                valid_until=offer.valid_until,
                price_ids=list(request.price_ids),
                created_at=tx.now,
            )
        _announce(tx, coupon, events.CouponCreated(coupon_id=coupon.id, code=coupon.code))
        return rpc.CreateCouponResponse(coupon=to_message(coupon, pb.Coupon))

    async def get_coupon(self, tx: Transaction, request: rpc.GetCouponRequest) -> rpc.GetCouponResponse:
        return rpc.GetCouponResponse(coupon=to_message(await _coupon(tx, request.coupon_id), pb.Coupon))

    async def list_coupons(self, tx: Transaction, request: rpc.ListCouponsRequest) -> rpc.ListCouponsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await discount_sql.list_coupons(
            tx, tenant_id=tx.tenant_id, code=request.code, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListCouponsResponse(
            coupons=(to_message(row, pb.Coupon) for row in page), next_page_token=token
        )

    async def archive_coupon(
        self, tx: Transaction, request: rpc.ArchiveCouponRequest
    ) -> rpc.ArchiveCouponResponse:
        """Once; archiving it again changes nothing."""
        coupon = await discount_sql.mark_coupon_archived(tx, tenant_id=tx.tenant_id, id=request.coupon_id)
        if coupon is not None:
            _announce(tx, coupon, events.CouponArchived(coupon_id=coupon.id))
        found = coupon or await _coupon(tx, request.coupon_id)
        return rpc.ArchiveCouponResponse(coupon=to_message(found, pb.Coupon))

    async def redeem_coupon(
        self, tx: Transaction, request: rpc.RedeemCouponRequest
    ) -> rpc.RedeemCouponResponse:
        """Gives the customer the coupon's discount.

        Raises:
            NotFound: CUSTOMER_NOT_FOUND, SUBSCRIPTION_NOT_FOUND (also when it is another customer's),
                COUPON_NOT_FOUND.
            FailedPrecondition: COUPON_NOT_REDEEMABLE.
        """
        await tx.lock(request.customer_id)
        customer = await find_present_customer(tx, request.customer_id)
        await _check_subscription(tx, request)
        row = await discount_sql.find_coupon_by_code(tx, tenant_id=tx.tenant_id, code=request.code)
        if row is None:
            raise NotFound("COUPON_NOT_FOUND", "There is no such coupon.", {"code": request.code})
        now = (await tenant_profile(tx)).now
        remaining = decide_redemption(
            _offer(row),
            status=CouponStatus(row.status),
            redemptions=row.redemptions,
            currency=customer.currency,
            now=now,
        )
        with refuse_on({"discounts_once": not_redeemable(row.id, "the customer has it already")}):
            discount = await discount_sql.insert_discount(
                tx,
                tenant_id=tx.tenant_id,
                id=new_id("dsc"),
                coupon_id=row.id,
                customer_id=customer.id,
                subscription_id=request.subscription_id or None,
                remaining_invoices=remaining,
                redeemed_at=now,
            )
        await discount_sql.mark_coupon_redeemed(tx, tenant_id=tx.tenant_id, id=row.id)
        redeemed = events.CouponRedeemed(
            coupon_id=row.id,
            discount_id=discount.id,
            customer_id=customer.id,
            subscription_id=request.subscription_id,
        )
        outbox.append(
            tx,
            redeemed,
            resource_id=discount.id,
            resource_version=discount.version,
            ordering_key=customer.id,
        )
        return rpc.RedeemCouponResponse(discount=to_message(discount, pb.Discount))

    async def end_discount(self, tx: Transaction, request: rpc.EndDiscountRequest) -> rpc.EndDiscountResponse:
        """Once; ending it again changes nothing.

        Raises:
            NotFound: DISCOUNT_NOT_FOUND.
        """
        discount = await discount_sql.find_discount(tx, tenant_id=tx.tenant_id, id=request.discount_id)
        if discount is None:
            raise NotFound(
                "DISCOUNT_NOT_FOUND", "There is no such discount.", {"discount_id": request.discount_id}
            )
        await tx.lock(discount.customer_id)
        ended = await discount_sql.mark_discount_ended(
            tx, tenant_id=tx.tenant_id, id=discount.id, ended_at=(await tenant_profile(tx)).now
        )
        if ended is not None:
            outbox.append(
                tx,
                events.DiscountEnded(
                    discount_id=ended.id, coupon_id=ended.coupon_id, customer_id=ended.customer_id
                ),
                resource_id=ended.id,
                resource_version=ended.version,
                ordering_key=ended.customer_id,
            )
        found = ended or await discount_sql.find_discount(tx, tenant_id=tx.tenant_id, id=discount.id)
        return rpc.EndDiscountResponse(discount=to_message(found, pb.Discount))

    async def list_discounts(
        self, tx: Transaction, request: rpc.ListDiscountsRequest
    ) -> rpc.ListDiscountsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await discount_sql.list_discounts(
            tx, tenant_id=tx.tenant_id, customer_id=request.customer_id, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListDiscountsResponse(
            discounts=(to_message(row, pb.Discount) for row in page), next_page_token=token
        )


def _announce(tx: Transaction, coupon: Coupon, payload: events.CouponCreated | events.CouponArchived) -> None:
    outbox.append(tx, payload, resource_id=coupon.id, resource_version=coupon.version, ordering_key=coupon.id)


async def _coupon(tx: Transaction, coupon_id: str) -> Coupon:
    coupon = await discount_sql.find_coupon(tx, tenant_id=tx.tenant_id, id=coupon_id)
    if coupon is None:
        raise NotFound("COUPON_NOT_FOUND", "There is no such coupon.", {"coupon_id": coupon_id})
    return coupon


def _offer(coupon: Coupon) -> CouponOffer:
    return CouponOffer(
        id=coupon.id,
        kind=DiscountKind(coupon.kind),
        percent=coupon.percent,
        amount_minor=coupon.amount_minor,
        currency=coupon.currency,
        duration=DiscountDuration(coupon.duration),
        duration_invoices=coupon.duration_invoices,
        max_redemptions=coupon.max_redemptions,
        valid_from=coupon.valid_from,
        valid_until=coupon.valid_until,
    )


async def _check_subscription(tx: Transaction, request: rpc.RedeemCouponRequest) -> None:
    if not request.subscription_id:
        return
    subscription = await subscription_sql.find_subscription(
        tx, tenant_id=tx.tenant_id, id=request.subscription_id
    )
    if subscription is None or subscription.customer_id != request.customer_id:
        raise NotFound(
            "SUBSCRIPTION_NOT_FOUND",
            "The customer has no such subscription.",
            {"subscription_id": request.subscription_id},
        )
