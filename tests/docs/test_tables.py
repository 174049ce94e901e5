"""The tables of the documentation that are made from the code are up to date."""

import re
from pathlib import Path

import pytest
import yaml

from litespan.export.http import HttpExporter
from scripts import docs_tables, instrumentation_metadata
from tests.support import conventions

ROOT = Path(__file__).parents[2]
EXPORTERS = {name: cls for kind in docs_tables.exporters().values() for name, cls in kind.items()}


@pytest.mark.parametrize("name", docs_tables.TABLES)
def test_generated_tables_are_up_to_date(name: str) -> None:
    """`make docs-tables` would change nothing."""
    _, table = docs_tables.TABLES[name]
    assert docs_tables.parts(name)[1] == table(), "run `make docs-tables`"


def test_the_metadata_is_up_to_date() -> None:
    """Every name that spans and metrics can have, in the format of OpenTelemetry's explorer."""
    text = instrumentation_metadata.FILE.read_text(encoding="utf-8")
    assert text == instrumentation_metadata.text(), "run `make docs-tables`"
    telemetry = {part["when"]: part for part in yaml.safe_load(text)["telemetry"]}
    metrics = {
        metric["name"]: {label["name"] for label in metric["attributes"]}
        for part in telemetry.values()
        for metric in part["metrics"]
    }
    known = conventions.METRICS | conventions.OLD_METRICS
    assert metrics.keys() - known.keys() == {"gen_ai.client.operation.cost"}
    assert known.keys() - metrics.keys() == set()
    for name, rules in known.items():
        assert metrics[name] <= rules.labels | {"error.type"}
    for part in telemetry.values():
        (span,) = part["spans"]
        names = {attribute["name"] for attribute in span["attributes"]}
        assert {"gen_ai.request.model", "litellm.call_id", "error.type"} <= names


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_documents_the_variables_that_it_reads(name: str) -> None:
    """Its docstring has exactly the variables of its class."""
    cls = EXPORTERS[name]
    named = set(docs_tables.VARIABLE.findall(cls.__doc__ or ""))
    if issubclass(cls, HttpExporter):
        assert {*cls.variables.keys, *cls.variables.url} <= named
    sources = [*ROOT.glob("exporters/**/*.py"), *ROOT.glob("src/litespan/**/*.py")]
    code = "".join(path.read_text() for path in sources)
    added = re.compile("_(ROTATE|FORMAT|INTERVAL)$")  # by the stores' base classes
    read = {added.sub("", variable) for variable in named}
    assert {variable for variable in read if not re.search(rf'"{variable}\b', code)} == set()
