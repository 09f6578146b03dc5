"""When an event that failed is tried again."""

import random
from datetime import timedelta

_BASE_S = 1.0
_MAX_S = 300.0


def backoff(attempts: int) -> timedelta:
    """The wait after so many attempts: a second, doubling to five minutes, within a fifth more or less."""
    seconds = min(_BASE_S * 2 ** (attempts - 1), _MAX_S)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))
