"""What a call leaves behind in the database."""

from typing import Any

from tests.support.platform import Platform


async def footprint(platform: Platform) -> dict[str, Any]:
    """How much there is of everything, and where all sequences stand."""
    tables = await platform.rows(
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind IN ('r', 'p', 'S') AND relname NOT IN ('request_log')"
    )
    counts: dict[str, Any] = {}
    for table in tables:
        name = table["relname"]
        what = "last_value" if table["relkind"] == b"S" else "count(*)"
        ((counts[name],),) = await platform.rows(f'SELECT {what} FROM "{name}"')
    kept = ("subscriptions", "billing_cycles", "subscription_items", "usage_totals", "credits", "coupons")
    rows = " UNION ALL ".join(f"SELECT row(t.*)::text AS t FROM {table} t" for table in kept)
    marks = await platform.rows(f"SELECT md5(string_agg(t, '' ORDER BY t)) AS mark FROM ({rows}) t")
    return {**counts, "rows": marks[0]["mark"]}
