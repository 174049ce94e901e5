"""The tables of the documentation that are made from the code are up to date."""

import re
from pathlib import Path

import pytest

from litespan.export.http import HttpExporter
from scripts import docs_tables

ROOT = Path(__file__).parents[2]
EXPORTERS = {name: cls for kind in docs_tables.exporters().values() for name, cls in kind.items()}


@pytest.mark.parametrize("name", docs_tables.TABLES)
def test_a_table_is_what_the_code_says(name: str) -> None:
    """`make docs-tables` would change nothing."""
    _, table = docs_tables.TABLES[name]
    assert docs_tables.parts(name)[1] == table(), "run `make docs-tables`"


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_documents_the_variables_that_it_reads(name: str) -> None:
    """Its docstring names all that its class lists, and nothing that no code reads."""
    cls = EXPORTERS[name]
    named = set(docs_tables.VARIABLE.findall(cls.__doc__ or ""))
    if issubclass(cls, HttpExporter):
        assert {*cls.variables.keys, *cls.variables.url} <= named
    sources = [*ROOT.glob("exporters/**/*.py"), *ROOT.glob("src/litespan/**/*.py")]
    code = "".join(path.read_text() for path in sources)
    added = re.compile("_(ROTATE|FORMAT|INTERVAL)$")  # by the stores' base classes
    read = {added.sub("", variable) for variable in named}
    assert {variable for variable in read if not re.search(rf'"{variable}\b', code)} == set()
