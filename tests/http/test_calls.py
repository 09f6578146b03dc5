"""RPCs over HTTP: what is asked, what is answered, what is kept and announced."""

import asyncio

from multidict import CIMultiDict

from corebilling.status import CORRELATION_HEADER
from tests.support.catalog import new_meter, new_price, new_product
from tests.support.http import Http, http_to
from tests.support.platform import running_platform
from tests.support.postgres import TestDatabase

ADA = {"details": {"name": "Ada", "taxId": "T-1"}}


async def test_a_customer_is_created_by_post_kept_announced_and_found_by_get(http: Http) -> None:
    created = await http.post("/v1/customers", ADA, key="once", headers={"User-Agent": "shop/1"})
    assert created.status == 201
    customer = created.json["customer"]
    assert (customer["name"], customer["tax_id"], customer["version"]) == ("Ada", "T-1", "1")
    assert (customer["status"], customer["consolidate_invoices"]) == ("CUSTOMER_STATUS_ACTIVE", False)
    (row,) = await http.platform.rows("SELECT id, name, tax_id FROM customers")
    assert tuple(row) == (customer["id"], "Ada", "T-1")
    (event,) = await http.platform.events("customer.created")
    assert event.customer_id == customer["id"]
    (audit,) = await http.platform.rows(
        "SELECT ip, user_agent, correlation_id FROM audit_entries WHERE user_agent = 'shop/1'"
    )
    assert tuple(audit) == ("127.0.0.1", "shop/1", created.headers[CORRELATION_HEADER])
    found = await http.get(f"/v1/customers/{customer['id']}")
    assert (found.status, found.json["customer"]) == (200, customer)
    assert found.headers["Content-Type"] == "application/json"
    assert (found.headers["Cache-Control"], found.headers["X-Content-Type-Options"]) == (
        "no-store",
        "nosniff",
    )


async def test_a_customer_is_changed_by_patch_with_a_mask_in_names_of_the_contract(http: Http) -> None:
    customer = (await http.post("/v1/customers", ADA, key="a")).json["customer"]
    change = {"details": {"name": "Augusta", "tax_id": "T-2"}, "update_mask": "tax_id"}
    changed = await http.send("PATCH", f"/v1/customers/{customer['id']}", change, key="b")
    assert (changed.json["customer"]["name"], changed.json["customer"]["tax_id"]) == ("Ada", "T-2")
    (event,) = await http.platform.events("customer.updated")
    assert list(event.changed_fields) == ["tax_id"]


async def test_a_list_is_read_page_by_page(http: Http) -> None:
    for number in range(3):
        await http.post("/v1/customers", ADA, key=f"key-{number}")
    first = (await http.get("/v1/customers?page_size=2")).json
    rest = (await http.get("/v1/customers", params={"pageToken": first["next_page_token"]})).json
    assert (len(first["customers"]), len(rest["customers"]), rest["next_page_token"]) == (2, 1, "")


async def test_the_same_key_is_one_effect_and_other_input_is_refused(http: Http) -> None:
    first = await http.post("/v1/customers", ADA, key="once")
    again = await http.post("/v1/customers", {**ADA, "request_id": "once"})
    twice = await http.post("/v1/customers", ADA, headers={"Idempotency-Key": "once"})
    assert first.body == again.body == twice.body
    other = await http.post("/v1/customers", {"details": {"name": "Eve"}}, key="once")
    assert (other.status, other.refusal.reason) == (400, "REQUEST_ID_REUSED")
    assert len(await http.platform.events("customer.created")) == 1


async def test_calls_at_once_with_one_key_are_one_effect(http: Http) -> None:
    async def create() -> bytes:
        while (answer := await http.post("/v1/customers", ADA, key="once")).status == 409:
            assert (answer.refusal.reason, answer.headers["Retry-After"]) == ("REQUEST_IN_FLIGHT", "1")
        assert answer.status == 201
        return answer.body

    assert len(set(await asyncio.gather(*(create() for _ in range(20))))) == 1
    assert len(await http.platform.events("customer.created")) == 1


async def test_keys_that_differ_and_keys_that_miss_are_refused_by_name(http: Http) -> None:
    differing = await http.post("/v1/customers", {**ADA, "request_id": "one"}, key="other")
    assert (differing.status, differing.refusal.reason) == (400, "REQUEST_INVALID")
    assert differing.refusal.fields == ("request_id",)
    headers = {"X-Idempotency-Key": "one", "Idempotency-Key": "other"}
    assert (await http.post("/v1/customers", ADA, headers=headers)).refusal.fields == ("request_id",)
    for nothing in ({}, {"X-Idempotency-Key": ""}):
        missing = await http.post("/v1/customers", ADA, headers=nothing)
        assert missing.refusal.fields == ("request_id",)
        assert b"X-Idempotency-Key" in missing.body


async def test_wrong_fields_are_named_all_at_once_after_the_caller_is_known(http: Http) -> None:
    wrong = {"details": {"nam": "Ada", "email": 5}, "currency": "usd"}
    answer = await http.post("/v1/customers", wrong, key="once")
    assert (answer.status, answer.refusal.reason) == (400, "REQUEST_INVALID")
    assert answer.refusal.fields == ("details.nam", "details.email")
    stranger = await http.post("/v1/customers", wrong, headers={"X-API-Key": ""})
    assert stranger.refusal.reason == "CREDENTIAL_MISSING"


async def test_unknown_query_parameters_are_refused_by_name(http: Http) -> None:
    answer = await http.get("/v1/customers?page_sise=2&external_id=x")
    assert (answer.status, answer.refusal.fields) == (400, ("page_sise",))
    posted = await http.post("/v1/customers?name=Ada", ADA, key="once")
    assert (posted.status, posted.refusal.fields) == (400, ("name",))


async def test_a_path_and_a_body_that_differ_are_refused(http: Http) -> None:
    answer = await http.post("/v1/invoices/inv_1/void", {"invoice_id": "inv_2"}, key="once")
    assert (answer.status, answer.refusal.fields) == (400, ("invoice_id",))


async def test_who_is_not_known_is_asked_to_say_who_they_are(http: Http) -> None:
    for headers, reason in (
        ({}, "CREDENTIAL_MISSING"),
        ({"X-API-Key": "cbk_nonsense"}, "CREDENTIAL_INVALID"),
        ({"Authorization": "Bearer x"}, "CREDENTIAL_INVALID"),
    ):
        answer = await http.get("/v1/customers", headers={"X-API-Key": "", **headers})
        assert (answer.status, answer.refusal.reason) == (401, reason)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_who_calls_too_often_is_told_when_to_come_back(database: TestDatabase) -> None:
    async with (
        running_platform(database, rate_limit_rps=0.1, rate_limit_burst=1) as platform,
        http_to(platform) as http,
    ):
        assert (await http.get("/v1/customers")).status == 200
        answer = await http.get("/v1/customers")
        assert (answer.status, answer.refusal.reason) == (429, "RATE_LIMITED")
        assert answer.headers["Retry-After"] == "10"
        # Refused before its body is read.
        await http.post("/v1/customers", ADA, key="a")
        assert (await http.post("/v1/customers", b"{]", key="b")).status == 429


async def test_who_has_a_role_that_only_reads_changes_nothing(http: Http) -> None:
    made = await http.post("/v1/api-keys", {"name": "reader", "role": "ROLE_VIEWER"}, key="a")
    reader = {"X-API-Key": made.json["secret"]}
    assert (await http.get("/v1/customers", headers=reader)).status == 200
    answer = await http.post("/v1/customers", ADA, key="b", headers=reader)
    assert (answer.status, answer.refusal.reason) == (403, "PERMISSION_MISSING")
    assert await http.platform.events("customer.created") == []


async def test_an_operator_names_the_tenant_in_a_header(http: Http) -> None:
    await http.post("/v1/customers", ADA, key="once")
    operator = {"X-API-Key": "", "Authorization": f"Bearer {http.platform.operator_key}"}
    none = await http.get("/v1/customers", headers=operator)
    assert (none.status, none.refusal.reason) == (400, "TENANT_REQUIRED")
    found = await http.get("/v1/customers", headers={**operator, "X-Tenant-ID": http.platform.tenant_id})
    assert len(found.json["customers"]) == 1
    unknown = await http.get("/v1/customers", headers={**operator, "X-Tenant-ID": "ten_x"})
    assert (unknown.status, unknown.refusal.reason) == (404, "TENANT_NOT_FOUND")
    other_id, other_key = await http.platform.new_tenant("other")
    crossing = await http.get("/v1/customers", headers={"X-Tenant-ID": other_id})
    assert (crossing.status, crossing.refusal.reason) == (403, "TENANT_MISMATCH")
    assert (await http.get("/v1/customers", headers={"X-API-Key": other_key})).json["customers"] == []


async def test_other_tenant_gets_not_found(http: Http) -> None:
    customer = (await http.post("/v1/customers", ADA, key="once")).json["customer"]
    _, other_key = await http.platform.new_tenant("other")
    answer = await http.get(f"/v1/customers/{customer['id']}", headers={"X-API-Key": other_key})
    assert (answer.status, answer.refusal.reason) == (404, "CUSTOMER_NOT_FOUND")
    assert answer.json["code"] == 5
    assert answer.json["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"


async def test_a_clients_correlation_id_comes_back_and_is_kept(http: Http) -> None:
    answer = await http.post("/v1/customers", ADA, key="once", headers={"X-Correlation-ID": "order-7"})
    assert answer.headers["X-Correlation-ID"] == "order-7"
    (event,) = (await http.get("/v1/events/trace/order-7")).json["events"]
    assert event["event"]["subject"] == "customer.created"
    assert event["event"]["payload"]["currency"] == "USD"
    refused = await http.get("/v1/customers/none", headers={"X-Correlation-ID": "order-8"})
    assert refused.headers["X-Correlation-ID"] == "order-8"


async def test_paths_and_verbs_that_are_not_served_are_refused_in_the_same_shape(http: Http) -> None:
    unknown = await http.get("/v1/nothing")
    assert (unknown.status, unknown.refusal.reason) == (404, "PATH_UNKNOWN")
    assert unknown.refusal.facts == {"path": "/v1/nothing"}
    wrong = await http.send("DELETE", "/v1/customers")
    assert (wrong.status, wrong.refusal.reason) == (405, "VERB_NOT_ALLOWED")
    assert wrong.headers["Allow"] == "GET, POST"
    assert (await http.get("/v1/customers/")).status == 404


async def test_values_in_paths_are_decoded_once(http: Http) -> None:
    answer = await http.get("/v1/customers/a%2Fb%2520c")
    assert answer.refusal.facts == {"customer_id": "a/b%20c"}


async def test_a_feature_is_removed_by_delete_without_a_body(http: Http) -> None:
    feature = {"scope": "QUOTA_SCOPE_CUSTOMER", "code": "sso"}
    customer = (await http.post("/v1/customers", ADA, key="a")).json["customer"]["id"]
    assert (await http.post("/v1/features", {**feature, "subject_id": customer}, key="b")).status == 200
    removed = await http.send("DELETE", f"/v1/features/{customer}/sso", key="c")
    assert (removed.status, removed.json) == (200, {})
    assert (await http.get(f"/v1/features?subject_id={customer}")).json["features"] == []


async def test_usage_is_reported_as_the_record_alone(http: Http) -> None:
    meter = await new_meter(http.platform, "calls")
    price = await new_price(
        http.platform,
        (await new_product(http.platform)).id,
        "calls",
        usage="PRICE_USAGE_METERED",
        model="PRICE_MODEL_PER_UNIT",
        meter_id=meter.id,
        unit_amount="0.01",
    )
    customer = (await http.post("/v1/customers", ADA, key="a")).json["customer"]["id"]
    subscribed = await http.post(
        "/v1/subscriptions", {"customer_id": customer, "items": [{"price_id": price.id}]}, key="b"
    )
    record = {
        "idempotency_key": "r-1",
        "subscription_id": subscribed.json["subscription"]["id"],
        "meter_code": "calls",
        "quantity": "12.5",
        "recorded_at": http.platform.clock.now().isoformat(),
    }
    outcomes = [(await http.post("/v1/usage", record)).json["outcome"] for _ in range(2)]
    assert outcomes == ["USAGE_OUTCOME_ACCEPTED", "USAGE_OUTCOME_DUPLICATE"]
    totals = await http.get(f"/v1/usage/totals?subscription_id={record['subscription_id']}")
    assert totals.json["totals"][0]["quantity"] == "12.5"
    lines = b"\n".join(
        b'{"records": [{"idempotency_key": "s-%d", "subscription_id": "%s", "meter_code": "calls",'
        b' "quantity": "1", "recorded_at": "%s"}]}'
        % (number, record["subscription_id"].encode(), record["recorded_at"].encode())
        for number in range(3)
    )
    streamed = await http.post("/v1/usage/stream", lines, headers={"Content-Type": "application/x-ndjson"})
    assert (streamed.status, streamed.json["accepted"]) == (200, "3")
    broken = await http.post(
        "/v1/usage/stream", lines + b"\n{]", headers={"Content-Type": "application/x-ndjson"}
    )
    assert (broken.status, broken.refusal.reason) == (400, "REQUEST_INVALID")


async def test_a_path_may_hold_anything(http: Http) -> None:
    """Line breaks too, which no pattern's dot stands for."""
    refused = await http.get("/v1/customers/a%0Ab%2Fc")
    assert (refused.status, refused.refusal.reason) == (404, "CUSTOMER_NOT_FOUND")
    unknown = await http.get("/v2/a%0Ab")
    assert (unknown.status, unknown.refusal.reason) == (404, "PATH_UNKNOWN")


async def test_keys_that_would_look_the_same_are_refused(http: Http) -> None:
    for key in ("заказ", "отказ"):
        refused = await http.post("/v1/customers", ADA, key=key)
        assert (refused.status, refused.refusal.fields) == (400, ("request_id",))
    several = CIMultiDict(
        [("X-API-Key", http.platform.tenant_key), *(("X-Idempotency-Key", k) for k in "ab")]
    )
    url = f"{http.platform.app.http_address}/v1/customers"
    async with http.session.post(url, json=ADA, headers=several) as answer:
        assert answer.status == 400
        assert "It differs from x-idempotency-key" in await answer.text()
    assert await http.platform.rows("SELECT 1 FROM customers") == []


async def test_a_list_that_is_too_long_is_not_read(http: Http) -> None:
    body = {"name": "k", "role": "ROLE_VIEWER", "scopes": [7] * 5000}
    refused = await http.post("/v1/api-keys", body, key="once")
    assert (refused.status, refused.refusal.fields) == (400, ("scopes",))
