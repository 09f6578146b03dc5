"""Whether the database is there, and is the one this program was built for."""

from collections.abc import Sequence

from corebilling.db.migrate import Migration
from corebilling.db.pool import Database
from corebilling.errors import BillingError


async def problem_of(database: Database, migrations: Sequence[Migration]) -> str:
    """Why calls would fail now; '' when they would not. Later migrations than ours do no harm."""
    try:
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT version FROM public.schema_migrations")
    except BillingError as error:
        return error.message
    applied = {row["version"] for row in rows}
    missing = [migration.file for migration in migrations if migration.version not in applied]
    return f"migration {missing[0]} is not applied; run: corebilling migrate up" if missing else ""
