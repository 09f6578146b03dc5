"""One process of the platform under fire: `python -m tests.faults.campaign.worker ROLE[,ROLE…]`.

It is the platform as `corebilling serve` runs it, with two additions: a handler that writes down every event
it is given, without any key that would hide a repetition; and failpoints, at which the process kills itself
the n-th time it comes by (FAILPOINT=name:n).
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from billing.event.v1 import event_pb2 as eventv1
from billing_db import audit as audit_sql

from corebilling.config import Settings
from corebilling.db.transaction import Transaction
from corebilling.events import outbox
from corebilling.events.dispatcher import Dispatcher
from corebilling.events.handling import Handler
from corebilling.events.inbox import IdempotencyTracker
from corebilling.events.refusals import Refusals
from corebilling.events.router import Router
from corebilling.running import StartFailed, run_roles
from corebilling.services import Services
from corebilling.values.subject import ANY_SUBJECT

WITNESS_TABLE = """
CREATE TABLE campaign_effects (
    nr bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id text NOT NULL, event_id text NOT NULL, resource_id text NOT NULL, version bigint NOT NULL
);
GRANT INSERT ON campaign_effects TO corebilling_worker;
"""

FAILPOINTS: Mapping[str, tuple[type | Any, str]] = {
    "write": (outbox, "flush"),  # of any role that writes events: just before and after they are in the log
    "publish": (Refusals, "publish"),  # dispatcher: before the bus has them, and before the cursor moves
    "cursor": (Dispatcher, "_move_cursors"),
    "handle": (Router, "consume"),  # router: before any effect, and after the commit, before the bus knows
    "seal": (audit_sql, "move_audit_sealing"),  # scheduler: what is sealed is written, but not committed
    "effects": (IdempotencyTracker, "advance"),  # router: effects and watermark written, not yet committed
}


async def witness(tx: Transaction, event: eventv1.Event) -> None:
    await tx.execute(
        "INSERT INTO campaign_effects (tenant_id, event_id, resource_id, version) VALUES ($1, $2, $3, $4)",
        tx.tenant_id,
        event.id,
        event.resource_id,
        event.metadata.resource_version,
    )


def watch() -> None:
    """Adds the witness to the platform's handlers."""
    original = Services.handler_table

    def watched(self: Services) -> Mapping[str, Sequence[Handler]]:
        table = original(self)
        return {**table, ANY_SUBJECT: [*table[ANY_SUBJECT], Handler("campaign.witness", witness)]}

    Services.handler_table = watched  # type: ignore[method-assign]


def arm(failpoint: str) -> None:
    """`name.before:n` or `name.after:n`: dies there at the n-th passing."""
    place, _, number = failpoint.partition(":")
    name, _, moment = place.partition(".")
    owner, attribute = FAILPOINTS[name]
    passed: Counter[str] = Counter()

    def pass_by(here: str) -> None:
        passed[here] += 1
        if here == moment and passed[here] == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    original: Callable[..., Any] = getattr(owner, attribute)

    async def dying(*args: Any, **more: Any) -> Any:
        pass_by("before")
        result = await original(*args, **more)
        pass_by("after")
        return result

    setattr(owner, attribute, dying)


def main() -> None:
    watch()
    if failpoint := os.environ.get("FAILPOINT"):
        arm(failpoint)
    settings = Settings()
    try:
        run_roles(settings, settings.database_url.get_secret_value(), sys.argv[1].split(","))
    except StartFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
