import asyncio
import shutil

import pytest

from corebilling.db import migrate
from tests.support.postgres import MIGRATIONS

_CATALOG = """
SELECT 'relation ' || c.relkind::text || ' ' || c.relname || ' ' || coalesce(c.relacl::text, '') AS thing
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'schema_migrations%'
UNION ALL
SELECT 'function ' || p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'policy ' || p.tablename || ' ' || p.policyname || ' ' || p.qual FROM pg_policies p
ORDER BY thing
"""
_FOUNDATION = MIGRATIONS / "0001_foundation.sql"


async def _things(database):
    return [row["thing"] for row in await database.admin(_CATALOG)]


@pytest.fixture
def folder(tmp_path):
    shutil.copy(_FOUNDATION, tmp_path)
    _write(tmp_path, "0002_first.sql", "CREATE TABLE first (id bigint);", "DROP TABLE first;")
    _write(tmp_path, "0003_second.sql", "CREATE TABLE second (id bigint);", "DROP TABLE second;")
    return tmp_path


def _write(folder, name, up, down=""):
    (folder / name).write_text(f"-- migrate:up\n{up}\n\n-- migrate:down\n{down}\n")


async def test_all_migrations_go_up_down_and_up_to_the_same_schema(empty_database):
    url, files = empty_database.admin_url, [path.name for path in sorted(MIGRATIONS.glob("*.sql"))]
    assert await migrate.up(url, MIGRATIONS) == files
    first = await _things(empty_database)

    assert await migrate.down(url, MIGRATIONS, len(files)) == files[::-1]
    assert await _things(empty_database) == []

    assert await migrate.up(url, MIGRATIONS) == files
    assert await _things(empty_database) == first


async def test_up_again_changes_nothing(empty_database, folder):
    await migrate.up(empty_database.admin_url, folder)
    assert await migrate.up(empty_database.admin_url, folder) == []


async def test_everything_belongs_to_the_owner_role(database):
    strangers = await database.admin(
        """
        SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
            AND c.relowner <> 'corebilling_owner'::regrole
            AND c.oid NOT IN ('schema_migrations'::regclass, 'schema_migrations_pkey'::regclass)
        UNION ALL
        SELECT p.proname FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proowner <> 'corebilling_owner'::regrole
        """
    )
    assert strangers == []


async def test_every_table_of_tenants_has_forced_row_level_security(database):
    open_tables = await database.admin(
        """
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
        """
    )
    assert open_tables == []


async def test_every_view_is_a_security_invoker(database):
    lax = await database.admin(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
            AND NOT coalesce(reloptions @> '{security_invoker=true}', false)
        """
    )
    assert lax == []


async def test_failed_migration_leaves_nothing_of_itself(empty_database, folder):
    _write(folder, "0004_broken.sql", "CREATE TABLE half (id bigint); SELECT 1 / 0;")
    with pytest.raises(Exception, match="division by zero"):
        await migrate.up(empty_database.admin_url, folder)

    applied = [s.file for s in await migrate.status(empty_database.admin_url, folder) if s.applied]
    assert applied == ["0001_foundation.sql", "0002_first.sql", "0003_second.sql"]
    assert "half" not in " ".join(await _things(empty_database))


async def test_two_migrators_at_once_apply_each_file_once(empty_database, folder):
    done = await asyncio.gather(*(migrate.up(empty_database.admin_url, folder) for _ in range(4)))
    assert sorted(file for files in done for file in files) == [p.name for p in sorted(folder.glob("*.sql"))]


async def test_down_undoes_the_last_migrations_alone(empty_database, folder):
    await migrate.up(empty_database.admin_url, folder)
    assert await migrate.down(empty_database.admin_url, folder, 1) == ["0003_second.sql"]
    states = {s.file: s.applied for s in await migrate.status(empty_database.admin_url, folder)}
    assert states == {"0001_foundation.sql": True, "0002_first.sql": True, "0003_second.sql": False}


async def test_applied_migration_whose_file_is_missing_is_named(empty_database, folder):
    await migrate.up(empty_database.admin_url, folder)
    (folder / "0003_second.sql").unlink()
    with pytest.raises(migrate.MigrationError, match="0003, whose file is missing"):
        await migrate.up(empty_database.admin_url, folder)


async def test_new_migration_older_than_the_last_applied_is_refused(empty_database, folder):
    (folder / "0002_first.sql").rename(folder.parent / "later")
    await migrate.up(empty_database.admin_url, folder)
    (folder.parent / "later").rename(folder / "0002_first.sql")
    with pytest.raises(migrate.MigrationError, match=r"0002_first\.sql is older than 0003"):
        await migrate.up(empty_database.admin_url, folder)


async def test_file_without_a_way_down_is_refused(folder):
    (folder / "0004_up.sql").write_text("-- migrate:up\nSELECT 1;\n")
    with pytest.raises(migrate.MigrationError, match=r"0004_up\.sql"):
        migrate.load(folder)
