"""The page on stores matches the code: columns, types, indexes, statements, settings."""

import re
from pathlib import Path

from litespan.stores.buffer import Limits
from litespan.stores.columns import COLUMNS
from litespan.stores.schema import INDEXES
from litespan_exporters import duckdb_file, postgres

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/stores.md").read_text()
COLUMNS_PART = PAGE.partition("## Columns")[2].partition("## PostgreSQL")[0]


def test_the_page_lists_every_column_in_order() -> None:
    """With its kind and meaning."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \|$", COLUMNS_PART, re.MULTILINE)
    assert rows == [(c.name, c.kind, c.meaning) for c in COLUMNS]


def test_the_page_has_the_types_of_postgresql_and_duckdb() -> None:
    """For each kind."""
    for kind, theirs in postgres.TYPES.items():
        assert f"| {kind} | {theirs} | {duckdb_file.TYPES[kind]} |" in PAGE


def test_the_page_has_the_indexes() -> None:
    """Every index that stores create."""
    for index in INDEXES:
        assert f"`({', '.join(index)})`" in PAGE


def test_the_page_names_every_variable_of_a_store() -> None:
    """And no other variable of litespan's."""
    exporters = ROOT / "exporters/litespan_exporters"
    files = ("csv_file", "duckdb_file", "jsonl", "object_store", "parquet")
    folders = ("mongodb/__init__.py", "postgres/__init__.py", "sqlite/reading.py")
    modules = (*(f"{name}.py" for name in files), *folders)
    source = "".join((exporters / name).read_text() for name in modules)
    read = set(re.findall(r'"((?:LITESPAN_|DATABASE_URL|MONGODB_URI)\w*)"', source))
    composed = {"LITESPAN_JSONL_ROTATE", "LITESPAN_CSV_ROTATE", "LITESPAN_S3_FORMAT"}
    named = set(re.findall(r"\b(LITESPAN_[A-Z0-9_]+|DATABASE_URL|MONGODB_URI)\b", PAGE))
    assert named - {"LITESPAN_ADOPT"} == read | composed


def test_the_page_has_the_limits_of_the_code() -> None:
    """Waits and bounds."""
    limits = Limits()
    assert f"{limits.patience:.0f} seconds" in PAGE
    assert f"{limits.keep_rows:,} rows" in PAGE
    assert f"{limits.keep_bytes // 10**6} MB" in PAGE
    assert f"{limits.exit_patience + limits.hung_patience:.0f} seconds" in PAGE


def test_the_page_has_the_grants_that_tests_use() -> None:
    """The tests use the documented permissions."""
    for grant in ("grant usage on schema litespan", "grant select, insert, update on"):
        assert grant in PAGE
