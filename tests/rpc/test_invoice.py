import asyncio
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pypdf
import pytest
import typst
from billing.catalog.v1.catalog_pb2 import PriceTier
from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.ledger.v1 import ledger_pb2, ledger_service_pb2
from billing.subscription.v1 import subscription_service_pb2
from billing.types.v1.language_pb2 import LANGUAGE_AR
from structlog.testing import capture_logs

from corebilling.db.transaction import Transaction
from corebilling.domains.catalog.defaults import PLANS
from corebilling.domains.invoice.payment_service import PaymentService
from corebilling.domains.invoice.printing import missing_scripts
from corebilling.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.support.billing import CONTEXT, OTHER_TENANT, TENANT, Billing, billing, caller

__all__ = ["billing"]

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
SETTLED = APRIL + timedelta(hours=1)
RACERS = 64


async def month(billing: Billing, amount: str = "20", *, customer_id: str = "") -> pb.Invoice:
    """The invoice of one month of a flat fee."""
    price = await billing.price("plan", unit_amount=amount)
    subscription = await billing.subscribe(customer_id or await billing.customer(), price)
    await billing.advance(billing.clock.now() + timedelta(days=31, hours=1))
    (invoice,) = await billing.invoices_of(subscription.id)
    return invoice


async def drafts(billing: Billing) -> None:
    """From now on invoices wait to be finalized."""
    await billing.db.admin("UPDATE tenants SET auto_finalize = false")


async def pay(billing: Billing, invoice: pb.Invoice, amount_minor: int, currency: str = "USD") -> pb.Invoice:
    request = rpc.RecordPaymentRequest(
        invoice_id=invoice.id, amount_minor=amount_minor, currency=currency, reference="wire 7"
    )
    return (await billing.call(PaymentService(billing.ledger).record_payment, request)).invoice


async def void(billing: Billing, invoice: pb.Invoice) -> pb.Invoice:
    request = rpc.VoidInvoiceRequest(invoice_id=invoice.id)
    return (await billing.call(billing.invoices.void_invoice, request)).invoice


async def balances(billing: Billing) -> dict[str, int]:
    request = ledger_service_pb2.GetTrialBalanceRequest()
    trial = await billing.call(billing.statements.get_trial_balance, request)
    assert trial.balanced
    return {
        ledger_pb2.AccountType.Name(row.account_type).removeprefix("ACCOUNT_TYPE_"): row.balance_minor
        for row in trial.balances
    }


async def assert_versions_are_strictly_increasing(billing: Billing) -> None:
    rows = await billing.db.admin(
        "SELECT resource_id, array_agg(resource_version ORDER BY xid, seq) AS versions FROM billing_events "
        "GROUP BY resource_id"
    )
    for row in rows:
        assert row["versions"] == sorted(set(row["versions"])), row["resource_id"]


async def test_a_month_of_tokens_is_invoiced_line_by_line(billing: Billing) -> None:
    prices = [
        await billing.price("plan", unit_amount="20.00"),
        await billing.price("input", meter="input", unit_amount="0.15", unit_size="1000000"),
        await billing.price("output", meter="output", unit_amount="0.60", unit_size="1000000"),
    ]
    subscription = await billing.subscribe(await billing.customer(), *prices)
    await billing.use(subscription.id, "input", "22361870")
    await billing.use(subscription.id, "output", "4088665")
    await billing.advance(SETTLED)
    (invoice,) = await billing.invoices_of(subscription.id)
    assert [line.amount_minor for line in invoice.lines] == [2000, 335, 245]
    assert (invoice.total_minor, invoice.amount_due_minor, invoice.currency) == (2580, 2580, "USD")
    assert (invoice.state, invoice.number) == (pb.INVOICE_STATE_OPEN, "INV-2026-000001")
    assert invoice.finalized_at.ToDatetime(UTC) == SETTLED
    assert invoice.due_at.ToDatetime(UTC) == SETTLED + timedelta(days=30)
    assert (invoice.period.start.ToDatetime(UTC), invoice.period.end.ToDatetime(UTC)) == (
        datetime(2026, 3, 1, tzinfo=UTC),
        APRIL,
    )
    assert await balances(billing) == {"RECEIVABLE": 2580, "REVENUE": -2580}
    await assert_versions_are_strictly_increasing(billing)


async def test_an_invoice_announces_its_birth_and_each_step(billing: Billing) -> None:
    invoice = await month(billing)
    await pay(billing, invoice, 500)
    await pay(billing, invoice, 1500)
    subjects = ["invoice.generated", "invoice.status.changed", "invoice.payment.recorded", "invoice.paid"]
    announced = await billing.events(*subjects)
    assert [(event.subject, event.metadata.resource_version) for event, _ in announced] == [
        ("invoice.generated", 1),
        ("invoice.status.changed", 2),
        ("invoice.payment.recorded", 3),
        ("invoice.payment.recorded", 4),
        ("invoice.status.changed", 5),
        ("invoice.paid", 6),
    ]
    opened, paid = announced[1][1], announced[4][1]
    assert (getattr(opened, "from"), opened.to, opened.number) == (
        pb.INVOICE_STATE_DRAFT,
        pb.INVOICE_STATE_OPEN,
        "INV-2026-000001",
    )
    assert (getattr(paid, "from"), paid.to) == (pb.INVOICE_STATE_OPEN, pb.INVOICE_STATE_PAID)
    assert (await billing.invoice(invoice.id)).version == 6


async def test_a_cycle_has_one_invoice_however_often_it_is_asked_for(billing: Billing) -> None:
    invoice = await month(billing)
    await billing.call(billing.maker.generate, {invoice.cycle_id: eventv1.Event()})
    assert len(await billing.invoices_of(invoice.subscription_id)) == 1
    assert len(await billing.events("invoice.generated")) == 1


async def test_usage_is_told_what_was_billed(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", unit_amount="1")
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.use(subscription.id, "calls", "7")
    await billing.advance(SETTLED)
    (invoice,) = await billing.invoices_of(subscription.id)
    ((_, billed),) = await billing.events("usage.billed")
    assert (billed.invoice_id, billed.quantity) == (invoice.id, "7")


async def test_an_invoice_over_nothing_is_final_and_paid_without_a_journal(billing: Billing) -> None:
    invoice = await month(billing, "0")
    assert (invoice.state, invoice.number) == (pb.INVOICE_STATE_PAID, "INV-2026-000001")
    assert invoice.HasField("paid_at")
    assert await balances(billing) == {}
    assert [event.metadata.resource_version for event, _ in await billing.events("invoice.paid")] == [4]


async def test_yen_have_no_decimals_and_dinars_three(billing: Billing) -> None:
    for currency, amount, minor in (("JPY", "99.5", 100), ("KWD", "1.2345", 1235)):
        price = await billing.price(currency.lower(), unit_amount=amount, currency=currency)
        subscription = await billing.subscribe(await billing.customer(currency), price)
        await billing.advance(billing.clock.now() + timedelta(days=32))
        (invoice,) = await billing.invoices_of(subscription.id)
        assert (invoice.total_minor, invoice.currency) == (minor, currency)


async def test_without_auto_finalize_an_invoice_waits_as_a_draft(billing: Billing) -> None:
    await drafts(billing)
    draft = await month(billing)
    assert (draft.state, draft.number) == (pb.INVOICE_STATE_DRAFT, "")
    assert await balances(billing) == {}
    with pytest.raises(FailedPrecondition):
        await pay(billing, draft, 100)
    request = rpc.FinalizeInvoiceRequest(invoice_id=draft.id)
    final = (await billing.call(billing.invoices.finalize_invoice, request)).invoice
    assert (final.state, final.number) == (pb.INVOICE_STATE_OPEN, "INV-2026-000001")
    assert await balances(billing) == {"RECEIVABLE": 2000, "REVENUE": -2000}
    with pytest.raises(FailedPrecondition) as refused:
        await billing.call(billing.invoices.finalize_invoice, request)
    assert refused.value.facts == {"from": "open", "to": "open"}


async def test_partial_payments_lower_what_is_due_and_the_last_one_settles_it(billing: Billing) -> None:
    invoice = await month(billing)
    part = await pay(billing, invoice, 500)
    assert (part.state, part.amount_paid_minor, part.amount_due_minor) == (pb.INVOICE_STATE_OPEN, 500, 1500)
    rest = await pay(billing, invoice, 1500)
    assert (rest.state, rest.amount_paid_minor, rest.amount_due_minor) == (pb.INVOICE_STATE_PAID, 2000, 0)
    assert await balances(billing) == {"CASH": 2000, "RECEIVABLE": 0, "REVENUE": -2000}
    await assert_versions_are_strictly_increasing(billing)


@pytest.mark.parametrize(("amount_minor", "currency"), [(2001, "USD"), (100, "EUR")])
async def test_a_payment_above_the_due_or_in_another_currency_is_refused(
    billing: Billing, amount_minor: int, currency: str
) -> None:
    invoice = await month(billing)
    with pytest.raises(InvalidArgument) as refused:
        await pay(billing, invoice, amount_minor, currency)
    assert (refused.value.reason, refused.value.facts) == (
        "PAYMENT_AMOUNT_INVALID",
        {"amount_due_minor": "2000"},
    )


async def test_racing_payments_never_pay_more_than_is_due(billing: Billing) -> None:
    invoice = await month(billing)
    outcomes = await asyncio.gather(*(pay(billing, invoice, 500) for _ in range(8)), return_exceptions=True)
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 4
    assert await balances(billing) == {"CASH": 2000, "RECEIVABLE": 0, "REVENUE": -2000}


async def test_a_void_invoice_keeps_its_number_and_its_journal_is_reversed(billing: Billing) -> None:
    invoice = await month(billing)
    voided = await void(billing, invoice)
    assert (voided.state, voided.number, voided.amount_due_minor) == (
        pb.INVOICE_STATE_VOID,
        "INV-2026-000001",
        0,
    )
    assert await balances(billing) == {"RECEIVABLE": 0, "REVENUE": 0}
    with pytest.raises(FailedPrecondition) as again:
        await void(billing, invoice)
    assert (again.value.reason, again.value.facts) == (
        "INVOICE_TRANSITION_INVALID",
        {"from": "void", "to": "void"},
    )


async def test_an_invoice_with_payments_cannot_be_voided(billing: Billing) -> None:
    invoice = await month(billing)
    await pay(billing, invoice, 1)
    with pytest.raises(FailedPrecondition) as refused:
        await void(billing, invoice)
    assert (refused.value.reason, refused.value.facts) == ("INVOICE_HAS_PAYMENTS", {"amount_paid_minor": "1"})


async def preview(billing: Billing, subscription_id: str) -> pb.Invoice:
    request = rpc.PreviewInvoiceRequest(subscription_id=subscription_id)
    return (await billing.servicer().PreviewInvoice(request, CONTEXT)).invoice


async def test_a_preview_is_the_invoice_to_come_and_writes_nothing(billing: Billing) -> None:
    prices = [
        await billing.price("plan", unit_amount="20"),
        await billing.price("calls", meter="calls", unit_amount="0.015"),
    ]
    subscription = await billing.subscribe(await billing.customer(), *prices)
    await billing.use(subscription.id, "calls", "7")
    previewed = await preview(billing, subscription.id)
    assert (previewed.id, previewed.number, previewed.version) == ("", "", 0)
    assert await billing.invoices_of(subscription.id) == []
    await billing.advance(SETTLED)
    (invoice,) = await billing.invoices_of(subscription.id)
    assert previewed.total_minor == invoice.total_minor == 2011
    assert previewed.cycle_id == invoice.cycle_id
    for line in invoice.lines:
        line.id = line.charge_id = ""
    assert previewed.lines == invoice.lines


async def test_a_trial_previews_as_nothing_to_pay(billing: Billing) -> None:
    price = await billing.price("plan", unit_amount="20")
    subscription = await billing.subscribe(await billing.customer(), price, trial_days=14)
    previewed = await preview(billing, subscription.id)
    assert (previewed.total_minor, list(previewed.lines)) == (0, [])


async def test_an_ended_subscription_has_a_preview_until_its_last_invoice(billing: Billing) -> None:
    price = await billing.price("plan", unit_amount="31")
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.advance(datetime(2026, 3, 11, tzinfo=UTC))
    request = subscription_service_pb2.CancelSubscriptionRequest(subscription_id=subscription.id)
    await billing.call(billing.subscriptions.cancel_subscription, request)
    assert (await preview(billing, subscription.id)).total_minor == 1000
    await billing.advance(SETTLED)
    assert [invoice.total_minor for invoice in await billing.invoices_of(subscription.id)] == [1000]
    with pytest.raises(NotFound) as refused:
        await preview(billing, subscription.id)
    assert refused.value.reason == "BILLING_CYCLE_NOT_FOUND"


async def test_invoices_are_listed_newest_first_by_state_and_page(billing: Billing) -> None:
    customer_id = await billing.customer()
    first = await month(billing, customer_id=customer_id)
    await pay(billing, first, 2000)
    second = await month(billing, customer_id=customer_id)
    request = rpc.ListInvoicesRequest(customer_id=customer_id, page_size=1)
    seen = []
    while True:
        page = await billing.call(billing.invoices.list_invoices, request)
        seen += [invoice.id for invoice in page.invoices]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == sorted(seen, reverse=True)
    assert {first.id, second.id} < set(seen)
    paid = rpc.ListInvoicesRequest(state=pb.INVOICE_STATE_PAID)
    listed = await billing.call(billing.invoices.list_invoices, paid)
    assert [invoice.id for invoice in listed.invoices] == [first.id]


async def test_the_month_end_of_two_tenants_does_not_deadlock(billing: Billing) -> None:
    prices = {
        tenant_id: await billing.price("plan", unit_amount="20", tenant_id=tenant_id)
        for tenant_id in (TENANT, OTHER_TENANT)
    }
    # Alternating, and in both orders, so that shards hold the tenants mixed.
    tenants = [TENANT, OTHER_TENANT] * 40 + [OTHER_TENANT, TENANT] * 40
    for tenant_id in tenants:
        customer_id = await billing.customer(tenant_id=tenant_id)
        await billing.subscribe(customer_id, prices[tenant_id], tenant_id=tenant_id)
    with capture_logs() as logs:
        await billing.advance(SETTLED)
    assert [line for line in logs if line["event"].startswith(("router.", "dispatcher."))] == []
    (row,) = await billing.db.admin("SELECT count(*) FROM invoices WHERE number IS NOT NULL")
    assert row["count"] == len(tenants)


async def test_another_tenants_invoice_is_not_found(billing: Billing) -> None:
    invoice = await month(billing)
    with pytest.raises(NotFound) as refused:
        await billing.invoice(invoice.id, OTHER_TENANT)
    assert refused.value.reason == "INVOICE_NOT_FOUND"


def fonts_of(page: pypdf.PageObject) -> list[Any]:
    resources: Any = page["/Resources"]
    return [font.get_object() for font in resources["/Font"].values()]


async def test_the_pdf_shows_customer_lines_tiers_and_the_amount_due(billing: Billing) -> None:
    (plan,) = (plan for plan in PLANS if plan.code == "professional-volume")
    (calls,) = (price for price in plan.prices if price.code == "calls")
    price = await billing.price(
        "calls", meter="calls", tiers=calls.tiers, unit_size="1000", description="API calls"
    )
    customer_id = await billing.customer(
        company="Ткань & Söhne", address={"line1": "Main St 5", "city": "Paris"}
    )
    subscription = await billing.subscribe(customer_id, price)
    await billing.use(subscription.id, "calls", "75000000")
    await billing.advance(SETTLED)
    (invoice,) = await billing.invoices_of(subscription.id)
    request = rpc.RenderInvoiceRequest(invoice_id=invoice.id)
    rendered = await billing.servicer().RenderInvoice(request, CONTEXT)
    assert rendered.file_name == "INV-2026-000001.pdf"
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(rendered.pdf)).pages)
    for part in (
        "INV-2026-000001",
        "Acme Cloud",
        "Ткань & Söhne",
        "Main St 5",
        "Paris",
        "API calls",
        "75,000,000",
        "over 10,000,000, to 50,000,000",
        "0.003 per 1,000",
        "120.00",
        "50.00",
        "170.00 USD",
        "1 May 2026",
    ):
        assert part in text, part
    again = await billing.servicer().RenderInvoice(request, CONTEXT)
    assert again.pdf == rendered.pdf


async def test_the_pdf_shows_blocks_by_their_size_and_what_a_cap_takes_off(billing: Billing) -> None:
    tiers = [PriceTier(unit_amount="2.75", block_size="100")]
    price = await billing.price("calls", meter="calls", tiers=tiers, maximum_amount="5")
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.use(subscription.id, "calls", "101")
    await billing.advance(SETTLED)
    (invoice,) = await billing.invoices_of(subscription.id)
    request = rpc.RenderInvoiceRequest(invoice_id=invoice.id)
    rendered = await billing.servicer().RenderInvoice(request, CONTEXT)
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(rendered.pdf)).pages)
    for part in ("2.75 per 100", "5.50", "capped", "−0.50", "5.00 USD"):
        assert part in text, part


async def test_a_word_longer_than_its_column_breaks_instead_of_covering_the_figures(billing: Billing) -> None:
    price = await billing.price("plan", unit_amount="20", description="W" * 200)
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.advance(SETTLED)
    (invoice,) = await billing.invoices_of(subscription.id)
    request = rpc.RenderInvoiceRequest(invoice_id=invoice.id)
    rendered = await billing.servicer().RenderInvoice(request, CONTEXT)
    text = pypdf.PdfReader(io.BytesIO(rendered.pdf)).pages[0].extract_text()
    assert text.count("W") == 200
    assert max(line.count("W") for line in text.splitlines()) < 30


async def test_the_pdf_shows_arabic_and_japanese_where_fonts_for_them_are_installed(billing: Billing) -> None:
    missing = missing_scripts(typst.Fonts().families())
    if missing:
        pytest.skip(f"no font for {' and '.join(missing)} is installed")
    price = await billing.price("plan", unit_amount="20", description="月額料金")
    customer_id = await billing.customer(company="株式会社サンプル", language=LANGUAGE_AR)
    subscription = await billing.subscribe(customer_id, price)
    await billing.advance(SETTLED)
    (invoice,) = await billing.invoices_of(subscription.id)
    rendered = await billing.servicer().RenderInvoice(
        rpc.RenderInvoiceRequest(invoice_id=invoice.id), CONTEXT
    )
    reader = pypdf.PdfReader(io.BytesIO(rendered.pdf))
    text = reader.pages[0].extract_text()
    for part in ("株式会社サンプル", "月額料金", "20.00 USD", "2026"):
        assert part in text, part
    # A page of letters that no font has would name none but the first family.
    fonts = {str(font["/BaseFont"]) for font in fonts_of(reader.pages[0])}
    assert any("CJK" in name or "IPA" in name for name in fonts), fonts
    assert any("Arabic" in name or "Amiri" in name for name in fonts), fonts


async def test_a_draft_is_printed_as_such(billing: Billing) -> None:
    await drafts(billing)
    draft = await month(billing)
    rendered = await billing.servicer().RenderInvoice(rpc.RenderInvoiceRequest(invoice_id=draft.id), CONTEXT)
    text = pypdf.PdfReader(io.BytesIO(rendered.pdf)).pages[0].extract_text()
    assert "DRAFT" in text
    assert rendered.file_name == f"{draft.id}.pdf"


async def test_numbers_have_no_gaps_though_64_race_across_new_year_and_some_roll_back(
    billing: Billing,
) -> None:
    await drafts(billing)
    price = await billing.price("plan", unit_amount="20")
    for _ in range(RACERS):
        await billing.subscribe(await billing.customer(), price)
    await billing.advance(SETTLED)
    listed = await billing.call(billing.invoices.list_invoices, rpc.ListInvoicesRequest(page_size=500))
    assert len(listed.invoices) == RACERS
    new_year = datetime(2027, 1, 1, tzinfo=UTC)
    billing.clock.advance(seconds=(new_year - timedelta(seconds=1) - SETTLED).total_seconds())
    race = Race(billing)
    await asyncio.gather(*(race.finalize(nr, invoice.id) for nr, invoice in enumerate(listed.invoices)))
    rows = await billing.db.admin("SELECT number FROM invoices WHERE number IS NOT NULL ORDER BY number")
    numbers = [row["number"] for row in rows]
    old = [number for number in numbers if number.startswith("INV-2026-")]
    new = [number for number in numbers if number.startswith("INV-2027-")]
    assert old == [f"INV-2026-{nr:06d}" for nr in range(1, len(old) + 1)]
    assert new == [f"INV-2027-{nr:06d}" for nr in range(1, len(new) + 1)]
    assert len(old) + len(new) == RACERS
    assert min(len(old), len(new)) >= RACERS // 4
    counters = await billing.db.admin("SELECT year, last_number FROM invoice_counters ORDER BY year")
    assert [tuple(row) for row in counters] == [(2026, len(old)), (2027, len(new))]


class PulledPlug(Exception):
    pass


@dataclass
class Race:
    """Finalizers at once; every third loses its first transaction and number. Midway it is New Year."""

    billing: Billing
    finished: int = 0

    async def finalize(self, nr: int, invoice_id: str) -> None:
        request = rpc.FinalizeInvoiceRequest(invoice_id=invoice_id)
        if nr % 3 == 0:
            with pytest.raises(PulledPlug):
                await self.billing.call(self._fail_at_the_end, request)
        await self.billing.call(self.billing.invoices.finalize_invoice, request)
        self.finished += 1
        if self.finished == RACERS // 2:
            self.billing.clock.advance(seconds=1)

    async def _fail_at_the_end(self, tx: Transaction, request: rpc.FinalizeInvoiceRequest) -> None:
        finalized = await self.billing.invoices.finalize_invoice(tx, request)
        assert finalized.invoice.number
        raise PulledPlug


async def test_the_year_of_a_number_is_the_tenants_own(billing: Billing) -> None:
    await billing.db.admin("UPDATE tenants SET timezone = 'Asia/Tokyo', auto_finalize = false")
    draft = await month(billing)
    billing.clock.advance(
        seconds=(datetime(2026, 12, 31, 15, tzinfo=UTC) - billing.clock.now()).total_seconds()
    )
    async with billing.pool.transaction(caller(TENANT)) as tx:
        request = rpc.FinalizeInvoiceRequest(invoice_id=draft.id)
        finalized = await billing.invoices.finalize_invoice(tx, request)
    assert finalized.invoice.number == "INV-2027-000001"
