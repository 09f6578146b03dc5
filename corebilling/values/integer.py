"""The whole numbers that rows and messages hold."""

MAX_BIGINT = 2**63 - 1
"""Of a BIGINT and an int64."""
