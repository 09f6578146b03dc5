"""The audit log: what it tells, how it is sealed, exported and proven."""

from collections.abc import Sequence

import asyncpg
from billing.audit.v1 import audit_pb2 as pb
from billing.audit.v1 import audit_service_pb2 as rpc
from billing.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub
from google.protobuf import field_mask_pb2

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.rpc.test_customer import details, update
from tests.support.app import refused
from tests.support.catalog import new_customer, new_product
from tests.support.platform import Platform

CREATE = "billing.customer.v1.CustomerService/CreateCustomer"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def entries(platform: Platform, **wanted: object) -> Sequence[pb.AuditEntry]:
    request = rpc.ListAuditEntriesRequest(**wanted)  # type: ignore[arg-type]
    return (await platform.stub(AuditServiceStub).ListAuditEntries(request)).entries


async def export(platform: Platform, after: int = 0) -> list[rpc.ExportAuditEntriesResponse]:
    request = rpc.ExportAuditEntriesRequest(after_position=after)
    return [record async for record in platform.stub(AuditServiceStub).ExportAuditEntries(request)]


async def verdict(
    platform: Platform, key: str | None = None, **kept: object
) -> tuple[rpc.VerifyAuditLogResponse, list[pb.AuditFinding]]:
    request = rpc.VerifyAuditLogRequest(**kept)  # type: ignore[arg-type]
    answers = [answer async for answer in platform.stub(AuditServiceStub, key=key).VerifyAuditLog(request)]
    assert [answer.complete for answer in answers] == [False] * (len(answers) - 1) + [True]
    return answers[-1], [finding for answer in answers for finding in answer.findings]


async def test_an_entry_tells_who_did_what_from_where_and_what_became_of_it(platform: Platform) -> None:
    created = await platform.stub(CustomerServiceStub).CreateCustomer(
        customer_service_pb2.CreateCustomerRequest(request_id="req-9", details=details(name="Ada")),
        metadata=(("x-correlation-id", "order-7"), ("traceparent", TRACE)),
    )
    (entry,) = await entries(platform, resource_id=created.customer.id)
    assert (entry.tenant_id, entry.action, entry.request_id) == (platform.tenant_id, CREATE, "req-9")
    assert (entry.correlation_id, entry.trace_id) == ("order-7", TRACE.split("-")[1])
    assert entry.actor.startswith("key_")
    assert entry.ip == "127.0.0.1"
    assert entry.user_agent.startswith("grpc-python-asyncio/")
    assert entry.occurred_at == timestamp(platform.clock.now())
    (change,) = entry.changes
    assert (change.resource_type, change.resource_id) == ("customers", created.customer.id)
    assert (change.operation, change.old_json) == (pb.AUDIT_OPERATION_INSERT, "")
    assert '"currency": "USD"' in change.new_json
    assert '"name": "***"' in change.new_json


async def test_old_and_new_of_an_update(platform: Platform) -> None:
    customer = await new_customer(platform, details=details(timezone="Europe/Paris"))
    await update(platform, customer.id, ["timezone"], timezone="Asia/Tokyo")
    entry, _ = await entries(platform, resource_id=customer.id)
    assert '"timezone": "Europe/Paris"' in entry.changes[0].old_json
    assert '"timezone": "Asia/Tokyo"' in entry.changes[0].new_json
    assert "currency" not in entry.changes[0].old_json


async def test_of_a_webhooks_url_is_told_where_it_leads_and_no_secret_in_it(platform: Platform) -> None:
    stub = platform.stub(WebhookServiceStub)
    created = await stub.CreateWebhook(
        webhook_service_pb2.CreateWebhookRequest(
            request_id="1", url="https://hooks.example.com:8443/services/p4th?token=qu3ry", filters=["*"]
        )
    )
    for number, url in enumerate(("https://example.org?k=0th3r", "https://example.org/n3w")):
        await stub.UpdateWebhook(
            webhook_service_pb2.UpdateWebhookRequest(
                request_id=f"u{number}",
                webhook_id=created.webhook.id,
                url=url,
                update_mask=field_mask_pb2.FieldMask(paths=["url"]),
            )
        )
    path, moved, first = [
        entry.changes[0] for entry in await entries(platform, resource_id=created.webhook.id)
    ]
    for secret in ("p4th", "qu3ry", "0th3r", "n3w"):
        assert secret not in str((first, moved, path))
    assert '"origin": "https://hooks.example.com:8443"' in first.new_json
    assert '"origin": "https://hooks.example.com:8443"' in moved.old_json
    assert '"origin": "https://example.org"' in moved.new_json
    assert ('"url": "***"' in path.new_json, "origin" in path.new_json) == (True, False)


async def test_a_repetition_and_a_refusal_change_nothing_and_leave_no_entry(platform: Platform) -> None:
    request = customer_service_pb2.CreateCustomerRequest(
        request_id="once", external_id="crm-1", details=details(name="Ada")
    )
    await platform.stub(CustomerServiceStub).CreateCustomer(request)
    before = await entries(platform)
    await platform.stub(CustomerServiceStub).CreateCustomer(request)
    await refused(new_customer(platform, external_id="crm-1"))
    assert await entries(platform) == before


async def test_lists_are_filtered_and_paged(platform: Platform) -> None:
    first = await new_customer(platform)
    platform.clock.advance(hours=1)
    noon = timestamp(platform.clock.now())
    second = await new_customer(platform)
    await new_product(platform)

    def resources(found: Sequence[pb.AuditEntry]) -> list[str]:
        return [entry.changes[0].resource_id for entry in found]

    assert resources(await entries(platform, action="CreateCustomer")) == [second.id, first.id]
    assert resources(await entries(platform, action=CREATE, until_time=noon)) == [first.id]
    assert resources(await entries(platform, action=CREATE, from_time=noon)) == [second.id]
    assert resources(await entries(platform, resource_id=second.id)) == [second.id]
    assert await entries(platform, actor="key_nobody") == []
    everything = await entries(platform)
    stub, token = platform.stub(AuditServiceStub), ""
    seen: list[pb.AuditEntry] = []
    while True:
        page = await stub.ListAuditEntries(rpc.ListAuditEntriesRequest(page_size=2, page_token=token))
        seen += page.entries
        token = page.next_page_token
        if not token:
            break
    assert seen == everything


async def test_a_tenant_reads_its_own_log_and_no_other(platform: Platform) -> None:
    await new_customer(platform)
    other_id, other_key = await platform.new_tenant("other")
    stub = platform.stub(AuditServiceStub, key=other_key)
    answer = await stub.ListAuditEntries(rpc.ListAuditEntriesRequest())
    assert {entry.tenant_id for entry in answer.entries} == {other_id}
    refusal = await refused(stub.ListAuditEntries(rpc.ListAuditEntriesRequest(tenant_id=platform.tenant_id)))
    assert refusal.reason == "TENANT_MISMATCH"


async def test_entries_are_sealed_in_one_chain_and_announced(platform: Platform) -> None:
    await new_customer(platform)
    assert not (await entries(platform))[0].HasField("seal")
    await platform.app.sealer.run_once()
    await new_customer(platform)
    await platform.app.sealer.run_once()
    positions = [entry.seal.position for entry in await entries(platform)]
    assert positions == list(range(len(positions), 0, -1))
    first, second = await platform.events("audit.sealed")
    assert (first.count, second.count) == (len(positions) - 1, len(positions))
    assert second.hash == (await entries(platform))[0].seal.hash
    answer, findings = await verdict(platform)
    assert (answer.sound, findings, answer.checked) == (True, [], len(positions))
    assert (answer.head.count, answer.head.hash) == (second.count, second.hash)


async def test_sealing_again_with_nothing_new_says_nothing(platform: Platform) -> None:
    await new_customer(platform)
    assert await platform.app.sealer.run_once() > 0
    assert await platform.app.sealer.run_once() == 0
    assert len(await platform.events("audit.sealed")) == 1


async def test_an_entry_that_commits_late_is_sealed_late_and_not_passed_over(platform: Platform) -> None:
    """Its transaction began first; nothing that began after it is sealed before it has ended."""
    late = await asyncpg.connect(platform.database.url("corebilling_app"))
    try:
        await late.execute("BEGIN")
        await late.execute("SELECT set_config('corebilling.tenant_id', $1, true)", platform.tenant_id)
        await late.execute(
            "INSERT INTO audit_entries (tenant_id, id, occurred_at, actor, action, request_id, "
            "correlation_id, trace_id, ip, user_agent, reason) "
            "VALUES ($1, 'aud_0late', $2, '', '', '', '', '', '', '', '')",
            platform.tenant_id,
            platform.clock.now(),
        )
        await platform.app.sealer.run_once()
        before = len(await platform.rows("SELECT FROM audit_seals"))
        await new_customer(platform)
        await platform.app.sealer.run_once()
        assert len(await platform.rows("SELECT FROM audit_seals")) == before
        await late.execute("COMMIT")
    finally:
        await late.close()
    assert await platform.app.sealer.run_once() == 2
    assert [entry.seal.position for entry in await entries(platform)][-1] > 0
    assert (await verdict(platform))[0].sound


async def test_tenants_have_chains_of_their_own(platform: Platform) -> None:
    _, other_key = await platform.new_tenant("other")
    await new_customer(platform)
    await platform.stub(CustomerServiceStub, key=other_key).CreateCustomer(
        customer_service_pb2.CreateCustomerRequest(request_id=new_id("req"), details=details(name="Bob"))
    )
    await platform.app.sealer.run_once()
    for key in (platform.tenant_key, other_key):
        answer, findings = await verdict(platform, key)
        assert (answer.sound, findings) == (True, [])
        assert answer.checked > 0


async def test_a_kept_head_is_held_against_the_log(platform: Platform) -> None:
    await new_customer(platform)
    await platform.app.sealer.run_once()
    (kept,) = await platform.events("audit.sealed")
    await new_customer(platform)
    await platform.app.sealer.run_once()
    assert (await verdict(platform, kept_count=kept.count, kept_hash=kept.hash))[0].sound
    answer, (finding,) = await verdict(platform, kept_count=kept.count, kept_hash="0" * 64)
    assert (answer.sound, finding.fault) == (False, pb.AUDIT_FAULT_REWRITTEN)
    _, (finding,) = await verdict(platform, kept_count=kept.count + 5, kept_hash=kept.hash)
    assert finding.fault == pb.AUDIT_FAULT_TRUNCATED
    refusal = await refused(
        anext(aiter(platform.stub(AuditServiceStub).VerifyAuditLog(rpc.VerifyAuditLogRequest(kept_count=1))))
    )
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("kept_hash",))


async def test_an_export_holds_the_key_the_sealed_entries_and_the_heads(platform: Platform) -> None:
    await new_customer(platform)
    await platform.app.sealer.run_once()
    await new_customer(platform)  # not sealed yet
    records = await export(platform)
    kinds = [record.WhichOneof("record") for record in records]
    assert kinds == ["key", *["entry"] * (len(kinds) - 2), "head"]
    assert records[-1].head.count == records[-2].entry.seal.position
    (key,) = {record.key.key_id for record in records if record.HasField("key")}
    assert records[-1].head.key_id == key
    await platform.app.sealer.run_once()
    rest = await export(platform, after=records[-1].head.count)
    assert [record.WhichOneof("record") for record in rest] == ["key", "head", "entry", "head"]
    assert rest[1].head == records[-1].head
