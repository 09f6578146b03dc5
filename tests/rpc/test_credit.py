"""Credits of customers beside invoices: balances, and who sees them."""

from collections.abc import Awaitable
from typing import Any

from billing.credit.v1 import credit_pb2
from billing.credit.v1 import credit_service_pb2 as rpc
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub

from tests.support.app import refused
from tests.support.catalog import new_customer
from tests.support.money import credit
from tests.support.platform import Platform, platform

__all__ = ["platform"]


async def test_a_balance_beyond_64_bits_is_told_exactly_in_the_refusal(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    await credit(platform, ada, 7, kind=credit_pb2.CREDIT_KIND_PREPAID)
    most = 2**63 - 1
    await platform.rows(
        "INSERT INTO credits (tenant_id, id, customer_id, kind, currency, amount_minor, remaining_minor,"
        " valid_from, priority, description, created_at)"
        " SELECT $1, 'crd_' || n, $2, 'promotional', 'USD', $3, $3, '2020-01-01', 0, '', '2020-01-01'"
        " FROM generate_series(1, 2) AS n",
        platform.tenant_id,
        ada,
        most,
    )
    call = platform.stub(CreditServiceStub).GetCreditBalance(rpc.GetCreditBalanceRequest(customer_id=ada))
    refusal = await refused(call)
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "BALANCE_OUT_OF_RANGE")
    assert refusal.facts == {
        "customer_id": ada,
        "currency": "USD",
        "prepaid_minor": "7",
        "other_minor": str(2 * most),
    }


async def test_other_tenant_gets_not_found(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    held = await credit(platform, ada, 1000)
    _, key = await platform.new_tenant("other")
    theirs = platform.stub(CreditServiceStub, key=key)
    calls: list[tuple[Awaitable[Any], str]] = [
        (theirs.GetCredit(rpc.GetCreditRequest(credit_id=held.id)), "CREDIT_NOT_FOUND"),
        (theirs.VoidCredit(rpc.VoidCreditRequest(request_id="r", credit_id=held.id)), "CREDIT_NOT_FOUND"),
        (theirs.GetCreditBalance(rpc.GetCreditBalanceRequest(customer_id=ada)), "CUSTOMER_NOT_FOUND"),
        (
            theirs.GrantCredit(
                rpc.GrantCreditRequest(
                    request_id="r", customer_id=ada, kind="CREDIT_KIND_REFUND", amount_minor=1
                )
            ),
            "CUSTOMER_NOT_FOUND",
        ),
    ]
    for call, reason in calls:
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", reason)
    assert not (await theirs.ListCredits(rpc.ListCreditsRequest(customer_id=ada))).credits
