"""Cancellation that is not lost."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def answer_of(work: Awaitable[T]) -> T:
    """Awaits work that may forget that it was canceled, and raises CancelledError then.

    asyncio.wait_for, which libraries wait with, forgets a cancellation that meets the answer (before Python
    3.12), and a task group one that meets an error. Call it in a task that has no task group of its own: a
    group leaves its task as if canceled (before Python 3.13).
    """
    try:
        return await work
    finally:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
