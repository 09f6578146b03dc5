"""A process that runs the platform: embedded with its own Postgres, or some roles against a given one."""

import asyncio
import contextlib
import gc
import json
import os
import secrets
import signal
from base64 import b64encode
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TypeVar

import uvloop
from rich.console import Console

from corebilling.app import App, DatabaseUrls, issue_platform_key
from corebilling.config import Settings
from corebilling.db import migrate
from corebilling.db.embedded import SUPERUSER, EmbeddedPostgres, EmbeddedPostgresError
from corebilling.db.migrate import MIGRATIONS, MigrationError
from corebilling.db.pool import ExcessPrivileges, RoleNotGranted
from corebilling.errors import BillingError
from corebilling.greeting import greeting, serving
from corebilling.listening import AddressUnavailable
from corebilling.rpc.certificates import CertificateInvalid
from corebilling.rpc.issuers import IssuersInvalid
from corebilling.secrets import MasterKeyInvalid
from corebilling.telemetry.logs import configure_logs
from corebilling.values.clock import SystemClock

DATABASE = "corebilling"

T = TypeVar("T")

console = Console(highlight=False, markup=False, emoji=False)

_REASONS = (
    AddressUnavailable,
    CertificateInvalid,
    EmbeddedPostgresError,
    ExcessPrivileges,
    IssuersInvalid,
    MasterKeyInvalid,
    MigrationError,
    RoleNotGranted,
)


class StartFailed(Exception):
    """The platform cannot start; the message says why and what to do."""


def run_embedded(settings: Settings, folder: Path) -> None:
    """Everything in this process, on a Postgres in the folder, until SIGINT or SIGTERM.

    Raises:
        StartFailed: The folder, an address or the database cannot be used.
    """
    configure_logs(settings.log_format, settings.log_level)
    try:
        postgres = EmbeddedPostgres.start(folder)
    except EmbeddedPostgresError as error:
        raise StartFailed(str(error)) from error
    try:
        _run(_embedded(settings, folder, postgres))
    finally:
        postgres.stop()


def run_roles(settings: Settings, url: str, roles: Sequence[str]) -> None:
    """These roles against the database of the URL, until SIGINT or SIGTERM.

    Raises:
        StartFailed: An address or the database cannot be used.
    """
    configure_logs(settings.log_format, settings.log_level)
    _run(_serve(settings, DatabaseUrls(app=url, worker=url), roles))


def new_platform_key(settings: Settings, url: str) -> str:
    """The text of another key of the operators, for when they lost theirs.

    Raises:
        StartFailed: The database or the master key cannot be used.
    """
    return _until_done(issue_platform_key(settings, url, SystemClock()))


def collect_garbage_seldom() -> None:
    """What was loaded so far stays: looking through it again and again took a tenth of all time. And nearly
    everything a call makes is freed by its last reference: looking after every 700 took a twentieth."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _run(work: Coroutine[None, None, None]) -> None:
    collect_garbage_seldom()
    _until_done(work)


def _until_done(work: Coroutine[None, None, T]) -> T:
    try:
        return uvloop.run(work)
    except _REASONS as error:
        raise StartFailed(str(error)) from error
    except BillingError as error:
        raise StartFailed(error.message) from error


async def _embedded(settings: Settings, folder: Path, postgres: EmbeddedPostgres) -> None:
    await migrate.create_database(postgres.url(SUPERUSER, "postgres"), DATABASE)
    await migrate.up(postgres.url(SUPERUSER, DATABASE), MIGRATIONS)
    settings = settings.model_copy(
        update={"master_key_file": _master_key_file(folder), "webhook_allow_private": True}
    )
    urls = DatabaseUrls(
        app=postgres.url("corebilling_app", DATABASE), worker=postgres.url("corebilling_worker", DATABASE)
    )
    key_file = folder / "platform.key"
    async with App.open(
        settings, urls, SystemClock(), issue_platform_key=not key_file.exists(), worker_id="embedded"
    ) as app:
        if app.new_platform_key:
            _write_private(key_file, app.new_platform_key)
        _write_private(
            folder / "endpoints.json", json.dumps({"grpc": app.grpc_address, "http": app.http_address})
        )
        console.print(
            greeting(settings, app.grpc_address, app.http_address, folder, key_file), soft_wrap=True
        )
        await _until_stopped(app)


async def _serve(settings: Settings, urls: DatabaseUrls, roles: Sequence[str]) -> None:
    async with App.open(settings, urls, SystemClock(), roles) as app:
        console.print(serving(settings, ", ".join(roles), app.grpc_address, app.http_address), soft_wrap=True)
        if app.new_platform_key:
            console.print(f"operators' key, shown this once: {app.new_platform_key}", soft_wrap=True)
        await _until_stopped(app)


async def _until_stopped(app: App) -> None:
    """Runs the roles until SIGINT or SIGTERM. A role that dies takes the process down with its error."""
    running = asyncio.create_task(app.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _master_key_file(folder: Path) -> Path:
    """The embedded installation's own master key, made at its first start."""
    file = folder / "master.key"
    if not file.exists():
        _write_private(file, b64encode(secrets.token_bytes(32)).decode())
    return file


def _write_private(file: Path, text: str) -> None:
    """Whole or not at all, and for the owner's eyes only."""
    unfinished = file.with_suffix(".unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    unfinished.replace(file)
