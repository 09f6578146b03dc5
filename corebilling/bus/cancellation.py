"""Cancellation that is not lost."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class CanceledFromInside(Exception):
    """Work ended as if canceled, which nobody asked for."""


async def answer_of(work: Awaitable[T]) -> T:
    """Awaits work that may forget that it was canceled, and raises CancelledError then.

    Raises CanceledFromInside where a CancelledError is the work's own: it would end our task without a word.

    asyncio.wait_for, which libraries wait with, forgets a cancellation that meets the answer (before Python
    3.12), and a task group one that meets an error. Call it in a task that has no task group of its own: a
    group leaves its task as if canceled (before Python 3.13).
    """
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    try:
        return await work
    except asyncio.CancelledError as error:
        raise CanceledFromInside from error
    finally:
        if task.cancelling():
            raise asyncio.CancelledError
