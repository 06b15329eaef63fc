"""Alembic with the shop's migrations: upgrade, downgrade, autogenerate, two at once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service import ALEMBIC_INI, run_alembic

TABLES = "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
ENUMS = "SELECT typname AS name FROM pg_type WHERE typtype = 'e' ORDER BY 1"


def names(way, query):
    return [row["name"] for row in way.sql(query)]


def revision(way):
    return [row["version_num"] for row in way.sql("SELECT version_num FROM alembic_version")]


@pytest.fixture
def empty(open_way):
    return open_way(template="template0")


@pytest.fixture
def migrations(tmp_path):
    """A copy that may grow; its alembic.ini."""
    folder = tmp_path / "own"
    shutil.copytree(ALEMBIC_INI.parent / "migrations", folder / "migrations")
    return Path(shutil.copy(ALEMBIC_INI, folder))


def test_upgrade_and_downgrade(empty):
    run_alembic(empty.url, "upgrade", "0001")
    assert names(empty, TABLES) == ["alembic_version", "products"]
    assert names(empty, ENUMS) == ["channel", "product_status"]
    run_alembic(empty.url, "upgrade", "head")
    assert revision(empty) == ["0002"]
    assert names(empty, TABLES) == ["alembic_version", "order_lines", "orders", "products"]
    assert "No new upgrade operations" in run_alembic(empty.url, "check")
    run_alembic(empty.url, "downgrade", "base")
    assert (names(empty, TABLES), names(empty, ENUMS)) == (["alembic_version"], [])
    assert revision(empty) == []
    empty.wait_for_rest()


def test_failing_migration_changes_nothing(empty, migrations):
    (migrations.parent / "migrations/versions/0003_bad.py").write_text(
        '"""Bad."""\n\nfrom alembic import op\n\nrevision = "0003"\ndown_revision = "0002"\n\n\n'
        'def upgrade():\n    op.execute("CREATE TABLE half (a int)")\n    op.execute("SELECT 1/0")\n'
    )
    with pytest.raises(AssertionError, match="division by zero"):
        run_alembic(empty.url, "upgrade", "head", ini=migrations)
    assert names(empty, TABLES) == []
    empty.wait_for_rest()


def test_autogenerate(empty, migrations):
    run_alembic(empty.url, "upgrade", "head", ini=migrations)
    empty.sql(
        "ALTER TABLE products DROP COLUMN tags",
        "ALTER TABLE orders ADD COLUMN extra int",
        "ALTER TABLE orders ALTER COLUMN customer TYPE varchar(10)",
        "DROP INDEX ix_order_lines_product_id",
        "CREATE TABLE stranger (a int PRIMARY KEY)",
    )
    run_alembic(empty.url, "revision", "--autogenerate", "-m", "repair", "--rev-id", "0003", ini=migrations)
    text = (migrations.parent / "migrations/versions/0003_repair.py").read_text()
    upgrade = text.partition("def upgrade")[2].partition("def downgrade")[0]
    for expected in (
        "op.add_column('products', sa.Column('tags', postgresql.ARRAY(sa.Text())",
        "op.drop_column('orders', 'extra')",
        "op.alter_column('orders', 'customer'",
        "op.create_index(op.f('ix_order_lines_product_id')",
        "op.drop_table('stranger')",
    ):
        assert expected in upgrade, text
    run_alembic(empty.url, "upgrade", "head", ini=migrations)
    assert "No new upgrade operations" in run_alembic(empty.url, "check", ini=migrations)
    assert "stranger" not in names(empty, TABLES)


def test_two_at_once(empty):
    # The advisory lock of migrations/env.py makes one wait for the other.
    with ThreadPoolExecutor(2) as threads:
        logs = list(threads.map(lambda _: run_alembic(empty.url, "upgrade", "head"), range(2)))
    assert sorted(log.count("Running upgrade") for log in logs) == [0, 2]
    assert revision(empty) == ["0002"]
