import asyncio, subprocess, sys, time, os
from datetime import datetime, UTC
import aiohttp, pytest
from contextlib import AsyncExitStack, suppress
from billing.event.v1 import event_pb2 as eventv1
from billing_db import webhook as webhook_sql
from billing.webhook.v1 import webhook_service_pb2 as rpc
from corebilling.domains.webhook.handlers import WebhookHandlers
from corebilling.domains.webhook.jobs import WebhookWorker
from corebilling.domains.webhook.model import WebhookPolicy
from corebilling.domains.webhook.service import WebhookService
from corebilling.events import outbox
from corebilling.secrets import Secrets
from tests.support.pipeline import pipeline, caller, append
from corebilling.values.ids import new_id
SEED = "INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at) VALUES ($1, $1, $1, 'live', 'USD', 'UTC', now())"
N=5000
PORT=18999
@pytest.mark.parametrize("tenants,limit",[(1,100),(1,300),(50,100),(50,300)])
async def test_bench(database, tenants, limit):
    proc=subprocess.Popen([sys.executable,'/tmp/webhook/recv.py',str(PORT)])
    try:
        url=f"http://127.0.0.1:{PORT}/hook"
        ids=[f"ten_{n:026d}" for n in range(tenants)]
        for t in ids: await database.admin(SEED,t)
        async with AsyncExitStack() as stack:
            p=await stack.enter_async_context(pipeline(database,[WebhookHandlers().on_any_event]))
            pol=WebhookPolicy(allow_private=True,limit=limit)
            svc=WebhookService(Secrets(bytes(32)),pol)
            # no endpoint cost
            evs=[]
            for t in ids:
                async with p.writer.transaction(caller(t)) as tx:
                    for n in range(N//tenants): evs.append(append(tx,f"r{n}"))
            h=WebhookHandlers()
            for label in ("none","one"):
                t0=time.perf_counter()
                for i,t in enumerate(ids):
                    async with p.worker.transaction(caller(t)) as tx:
                        for e in evs[i*(N//tenants):(i+1)*(N//tenants)]: await h.on_any_event(tx,e)
                dt=time.perf_counter()-t0
                print(f"\nfan-out {label} endpoint: {dt/N*1e6:.0f} us/event")
                if label=="none":
                    for t in ids:
                        async with p.writer.transaction(caller(t)) as tx:
                            await svc.create_webhook(tx, rpc.CreateWebhookRequest(url=url,filters=["thing.*"]))
            # bare
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as s:
                body=b"x"*400
                sem=asyncio.Semaphore(100)
                async def one():
                    async with sem:
                        async with s.post(url,data=body) as r: await r.read()
                await asyncio.gather(*(one() for _ in range(500)))
                c0=time.process_time(); t0=time.perf_counter()
                await asyncio.gather(*(one() for _ in range(N)))
                bare=N/(time.perf_counter()-t0); bc=(time.process_time()-c0)/N*1e6
            p.clock.advance(seconds=1)
            async with WebhookWorker.open(p.worker,Secrets(bytes(32)),p.clock,pol) as w:
                c0=time.process_time(); t0=time.perf_counter()
                from corebilling.domains.webhook import metrics
                s0=metrics.SUCCESS._value.get()
                task=asyncio.create_task(w.run())
                while True:
                    await asyncio.sleep(0.01)
                    if task.done(): task.result()
                    if metrics.SUCCESS._value.get()-s0>=N: break
                ours=N/(time.perf_counter()-t0); oc=(time.process_time()-c0)/N*1e6
                task.cancel()
                with suppress(asyncio.CancelledError): await task
            print(f"tenants={tenants} limit={limit} {type(asyncio.get_running_loop()).__module__} bare {bare:.0f}/s ({bc:.0f} us cpu) ours {ours:.0f}/s ({oc:.0f} us cpu) ratio {ours/bare:.2f}")
            # idle claim
            t0=time.perf_counter()
            async with WebhookWorker.open(p.worker,Secrets(bytes(32)),p.clock,pol) as w:
                for _ in range(200): await w.run_once()
            print(f"idle round {(time.perf_counter()-t0)/200*1e6:.0f} us")
    finally:
        proc.terminate(); proc.wait()
