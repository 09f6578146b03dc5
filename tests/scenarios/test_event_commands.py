"""`corebilling events` as one runs it, against the platform."""

import asyncio
import json
import math
import os
import re
import shlex
import signal
import sys

import pytest
from billing.event.v1.event_pb2 import CustomEvent
from google.protobuf.struct_pb2 import Struct

from tests.rpc.test_watch_events import PATIENCE_S, publish
from tests.support.catalog import new_price, new_product, subscribe
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.replay import follow, replaying, working

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


async def begin(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "corebilling", *arguments),
        env={**os.environ, "COLUMNS": "200", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def command(*arguments: str, **environment: str) -> tuple[int | None, str, str]:
    process = await begin(*arguments, **environment)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def access(platform: Platform) -> dict[str, str]:
    return {
        "COREBILLING_TARGET": platform.app.grpc_address,
        "COREBILLING_API_KEY": platform.tenant_key,
    }


async def start(platform: Platform, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await begin("events", *arguments, **{**access(platform), **environment})


async def events(platform: Platform, *arguments: str, **environment: str) -> tuple[int | None, str, str]:
    return await command("events", *arguments, **{**access(platform), **environment})


async def run(platform: Platform, *arguments: str, **environment: str) -> str:
    code, out, err = await events(platform, *arguments, **environment)
    assert code == 0, err
    return out


async def billed(platform: Platform) -> tuple[str, str]:
    """A month later: the ids of the invoice's event and of what it is correlated with."""
    price = await new_price(platform, (await new_product(platform)).id, "fee")
    await subscribe(platform, price)
    await platform.pass_time(days=40)
    (row,) = await platform.rows(
        "SELECT id, correlation_id FROM billing_events WHERE subject = 'invoice.generated'"
    )
    return row["id"], row["correlation_id"]


async def next_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        line = await process.stdout.readline()
    return line.decode()


async def until_watched(platform: Platform) -> None:
    for _ in range(PATIENCE_S * 100):
        if platform.app.tail.watches(platform.tenant_id):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the command does not watch")


async def test_tail_prints_each_event_on_a_line_as_it_happens(platform: Platform):
    process = await start(platform, "tail", "--subject", "order.*", "--limit", "2")
    await until_watched(platform)
    first = await publish(platform, "o-1")
    await publish(platform, "unwanted", "parcel.sent")
    printed = (await next_line(process)).split()
    assert printed[1:] == ["order.shipped", "o-1", first.id, first.metadata.correlation_id]
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", printed[0])
    await publish(platform, "o-2", "order.returned.late")
    assert (await next_line(process)).split()[1:3] == ["order.returned.late", "o-2"]
    assert await process.wait() == 0


async def test_tail_for_machines_prints_what_webhooks_get_and_a_token_to_go_on_from(platform: Platform):
    process = await start(platform, "tail", "--json", "--limit", "1")
    await until_watched(platform)
    published = await publish(platform, "o-1", data={"to": {"city": "Łódź"}})
    shown = json.loads(await next_line(process))
    assert await process.wait() == 0
    assert shown["event"]["id"] == published.id
    assert shown["event"]["payload"] == {"to": {"city": "Łódź"}}
    assert shown["event"]["resource_id"] == "o-1"
    await publish(platform, "o-2")
    out = await run(platform, "tail", "--json", "--limit", "1", "--resume", shown["resume_token"])
    assert json.loads(out)["event"]["resource_id"] == "o-2"


async def test_tail_is_ended_by_a_key_and_tells_how_to_go_on(platform: Platform):
    process = await start(platform, "tail", "--subject", "order.*", "--json")
    await until_watched(platform)
    await publish(platform, "o-1")
    assert "o-1" in await next_line(process)
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"")
    assert "tail --subject 'order.*' --target" in err.decode()
    _, _, *again = shlex.split(err.decode().partition("Go on from here: ")[2])
    await publish(platform, "unwanted", "parcel.sent")
    await publish(platform, "o-2")
    assert json.loads(await run(platform, *again, "--limit", "1"))["event"]["resource_id"] == "o-2"


async def test_tail_takes_up_a_stream_that_ended(database: TestDatabase):
    async with running_platform(database, grpc_stream_deadline_seconds=0.4) as platform:
        process = await start(platform, "tail", "--limit", "8")
        await until_watched(platform)
        for number in range(8):
            await publish(platform, f"o-{number}")
            assert f"o-{number}" in await next_line(process)
            await asyncio.sleep(0.15)
        assert await process.wait() == 0


async def test_tail_says_what_the_server_refuses(platform: Platform):
    code, _, err = await events(platform, "tail", "--resume", "made-up")
    assert (code, "RESUME_TOKEN_INVALID" in err, "Traceback" in err) == (1, True, False)
    code, _, err = await events(platform, "tail", COREBILLING_TARGET="127.0.0.1:1")
    assert (code, "UNAVAILABLE no answer from 127.0.0.1:1: is the platform running?" in err) == (1, True)


async def test_show_prints_payload_state_and_handlers_and_what_to_do_next(platform: Platform):
    event_id, correlation_id = await billed(platform)
    out = await run(platform, "show", event_id)
    assert '"total_minor": "2000"' in out
    assert re.search(r"event +invoice\.generated +" + event_id, out)
    assert re.search(r"state +dispatched", out)
    assert re.search(
        r"✓ usage\.on_invoice_generated +handled [\d.,]+ ms after its commit, took [\d.]+ ms$",
        out,
        re.MULTILINE,
    )
    assert f"Next: corebilling events trace {correlation_id}" in out
    shown = json.loads(await run(platform, "show", event_id, "--json"))
    assert shown["event"]["payload"]["total_minor"] == "2000"
    assert {handler["state"] for handler in shown["handlers"]} == {"HANDLER_STATE_HANDLED"}


async def test_show_of_an_unknown_event_names_the_reason(platform: Platform):
    code, _, err = await events(platform, "show", "evt_1")
    assert (code, "EVENT_NOT_FOUND" in err) == (1, True)


async def test_trace_prints_the_tree_of_what_led_to_what(platform: Platform):
    event_id, correlation_id = await billed(platform)
    out = await run(platform, "trace", correlation_id, COLUMNS="40")
    depth = {
        line.split()[0]: len(indent)
        for indent, line in re.findall(r"^([│ ├└─]+)(.*)$", out, re.MULTILINE)
        if line[0] not in "✓✗…‖"
    }
    assert depth["billing.cycle.closed"] < depth["rating.completed"] < depth["invoice.generated"]
    # Below the handler that made it, which stands below its cause.
    place = out.index
    assert place("✓ rating.on_billing_cycle_closed") < place("rating.completed") < place("invoice.on_rating")
    assert "Next: corebilling events show evt_" in out
    assert await run(platform, "trace", event_id) == out
    found = json.loads(await run(platform, "trace", correlation_id, "--json"))
    assert "invoice.generated" in {one["event"]["subject"] for one in found["events"]}


async def test_trace_points_at_what_went_wrong(platform: Platform):
    event_id, correlation_id = await billed(platform)
    await platform.rows(
        "INSERT INTO event_handler_failures "
        "SELECT tenant_id, 'usage.on_invoice_generated', shard, epoch, xid, seq, id, ordering_key, 'failed', "
        "3, 'KeyError: no plan', now(), now() FROM billing_events WHERE id = $1",
        event_id,
    )
    out = await run(platform, "trace", correlation_id)
    assert re.search(
        r"✗ usage\.on_invoice_generated +failed after 3 tries, again at [\d:]+: KeyError: no plan", out
    )
    assert f"Next: corebilling events show {event_id}" in out


async def test_show_tells_times_as_people_do_and_when_it_was_replayed(platform: Platform):
    event_id, _ = await billed(platform)
    await platform.rows(
        "UPDATE event_batches SET started_at = started_at + interval '296.1 s', duration_us = 4900000"
    )
    out = await run(platform, "show", event_id)
    assert re.search(r"handled 5 min 1 s after its commit, took 4\.9 s$", out, re.MULTILINE)
    assert "replayed at" not in out
    async with working(platform):
        await follow(platform, replaying(ids=[event_id]))
    out = await run(platform, "show", event_id)
    assert re.search(r"replayed at +20\d\d-\d\d-\d\dT", out)


async def test_trace_of_nothing_says_so(platform: Platform):
    code, out, err = await events(platform, "trace", "cor_nothing")
    assert (code, out, "No event" in err) == (1, "", True)


async def test_publish_publishes_once_per_request_id_and_says_what_to_do_next(platform: Platform):
    arguments = ("publish", "order.shipped", "o-1", "-d", '{"parcels": 2}', "--request-id", "once")
    first = await run(platform, *arguments, "--correlation-id", "mine")
    assert first == await run(platform, *arguments)
    (event_id,) = re.findall(r"Next: corebilling events show (evt_\w+)", first)
    shown = json.loads(await run(platform, "show", event_id, "--json"))["event"]
    assert (shown["payload"], shown["metadata"]["correlation_id"]) == ({"parcels": 2}, "mine")
    code, _, err = await events(platform, "publish", "invoice.paid", "i-1")
    assert (code, "EVENT_SUBJECT_RESERVED" in err) == (1, True)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ("[1]", "The data is not a JSON object."),
        ("{", "The data is not JSON: "),
        ("9" * 5000, "The data is not JSON: "),
        ('{"a": "\\ud800"}', "The data has half of a character"),
        ("[" * 5000, "The data is nested too deeply."),
        ('{"a":' * 40 + "1" + "}" * 40, "The data is nested too deeply."),
        ('{"a":' * 300 + "1" + "}" * 300, "No event can hold the data: Message too deep."),
        ('{"a": %s}' % ("9" * 400), "No event can hold the data: int too large"),
    ],
)
async def test_publish_says_on_one_line_what_is_wrong_with_the_data(data: str, wrong: str):
    code, out, err = await command(
        "events", "publish", "order.shipped", "o-1", "-d", data, COREBILLING_TARGET="127.0.0.1:1"
    )
    assert (code, out, err.startswith(wrong), err.count("\n")) == (1, "", True, 1), err


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ('{"event_id": "\\ud800"}', "The data has half of a character"),
        ("[" * 5000, "The data is nested too deeply."),
        ("[]", "GetEvent takes one request, not 0."),
        ("5", "The request is not a JSON object."),
    ],
)
async def test_a_call_says_on_one_line_what_is_wrong_with_the_request(
    platform: Platform, data: str, wrong: str
):
    code, out, err = await command(
        *("call", "billing.event.v1.EventService/GetEvent", "-d", data),
        **access(platform),
    )
    assert (code, out, err.startswith(wrong), err.count("\n")) == (1, "", True, 1), err


async def spoil(platform: Platform, event_id: str) -> None:
    """Has the log hold a payload that JSON cannot show, as it may since before such were refused."""
    holding_nan = Struct()
    holding_nan.update({"n": math.nan})
    await platform.rows(
        "UPDATE billing_events SET payload = $2 WHERE id = $1",
        event_id,
        CustomEvent(data=holding_nan).SerializeToString(),
    )


async def test_an_event_that_json_cannot_show_is_shown_without_its_payload(platform: Platform):
    published = await publish(platform, "o-1")
    await spoil(platform, published.id)
    out = await run(platform, "show", published.id)
    assert '"@not_shown": "' in out
    assert re.search(r"state +pending", out)
    shown = json.loads(await run(platform, "show", published.id, "--json"))
    assert (shown["event"]["id"], shown["state"]) == (published.id, "EVENT_STATE_PENDING")
    assert shown["event"]["payload"].keys() == {"@type", "@not_shown"}
    traced = json.loads(await run(platform, "trace", published.metadata.correlation_id, "--json"))
    assert traced["events"][0]["event"] == shown["event"]
    await platform.rows(
        "INSERT INTO outbox_failures "
        "SELECT tenant_id, shard, epoch, xid, seq, id, 'dead_letter', 10, 'no', now(), now() "
        "FROM billing_events WHERE id = $1",
        published.id,
    )
    code, out, _ = await command("dead-letters", "show", published.id, **access(platform))
    letter = json.loads(out)
    assert (code, letter["event"], letter["dead_letter"]["error"]) == (0, shown["event"], "no")
    code, _, err = await command(
        *("call", "billing.event.v1.EventService/GetEvent", "-d", json.dumps({"event_id": published.id})),
        **access(platform),
    )
    assert (code, err.startswith("The response cannot be shown in JSON: ")) == (1, True)


async def test_tail_goes_on_past_an_event_that_json_cannot_show(platform: Platform):
    process = await start(platform, "tail", "--json", "--limit", "1")
    await until_watched(platform)
    await publish(platform, "o-1")
    token = json.loads(await next_line(process))["resume_token"]
    assert await process.wait() == 0
    await spoil(platform, (await publish(platform, "o-2")).id)
    await publish(platform, "o-3", data={"parcels": 2})
    lines = (await run(platform, "tail", "--json", "--limit", "2", "--resume", token)).splitlines()
    shown = [json.loads(line)["event"] for line in lines]
    assert [event["resource_id"] for event in shown] == ["o-2", "o-3"]
    assert "@not_shown" in shown[0]["payload"]
    assert shown[1]["payload"] == {"parcels": 2}


async def test_text_in_brackets_is_printed_as_it_is(platform: Platform):
    _, _, err = await events(platform, "trace", "corr[red] :heart:")
    assert "the correlation id corr[red] :heart:." in err
    published = await publish(platform, "o-1")
    await platform.rows("UPDATE billing_events SET actor = 'a[b]' WHERE id = $1", published.id)
    assert re.search(r"by +a\[b\] *$", await run(platform, "show", published.id), re.MULTILINE)
    _, _, err = await events(platform, "publish", "Order", "o-1")
    assert "[a-z][a-z0-9_]*" in err


async def test_output_is_coloured_for_people_and_plain_for_pipes(platform: Platform):
    published = await publish(platform, "o-1")
    plain = await run(platform, "show", published.id)
    coloured = await run(platform, "show", published.id, FORCE_COLOR="1")
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    assert COLOUR.sub("", coloured) == plain
