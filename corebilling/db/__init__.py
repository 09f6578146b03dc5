"""Postgres: the pools, the transaction, the migrations and the embedded server."""
