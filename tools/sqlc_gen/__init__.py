"""The sqlc plugin behind `tools/sqlc-gen-python`: typed asyncpg functions from named SQL queries."""
