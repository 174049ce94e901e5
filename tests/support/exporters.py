"""Tests of exporters start with a clean log and leave no connection open, by their conftest."""

from collections.abc import Iterator
from typing import Any

import pytest

from litespan.errors import _seen
from litespan.export.http import HttpExporter
from litespan_exporters.object_store import ObjectStoreExporter
from litespan_exporters.otlp_presets.exporter import PresetExporter

STANDING_FOR_ALL = ("langsmith", "s3")
"""The exporters that stand for all presets and all object stores, which have one class each."""


def stands_for_others(name: str, cls: type[Any]) -> bool:
    """Whether the contract is tested with this exporter; each preset is in `test_presets`."""
    return name in STANDING_FOR_ALL or not issubclass(cls, (PresetExporter, ObjectStoreExporter))


@pytest.fixture(autouse=True)
def fresh_exporters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lines that are logged once are logged; exporters that were connected are shut down."""
    _seen.clear()
    connected: list[HttpExporter] = []
    connect = HttpExporter.connect

    def remember(self: HttpExporter, *args: Any, **more: Any) -> None:
        connected.append(self)
        connect(self, *args, **more)

    monkeypatch.setattr(HttpExporter, "connect", remember)
    yield
    for exporter in connected:
        exporter.shutdown()
