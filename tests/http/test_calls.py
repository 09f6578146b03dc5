"""RPCs over HTTP: what is asked, what is answered, what is kept."""

from tests.support.http import Http


async def test_a_customer_is_created_by_post_and_found_by_get(http: Http) -> None:
    created = await http.post("/v1/customers", {"details": {"name": "Ada", "taxId": "T-1"}}, key="once")
    assert created.status == 201, created.body
    print(created.headers, created.body)
    customer = created.json["customer"]
    found = await http.get(f"/v1/customers/{customer['id']}")
    assert (found.status, found.json["customer"]) == (200, customer)
