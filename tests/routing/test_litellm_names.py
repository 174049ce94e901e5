"""Every name in LiteLLM's lists has an exporter or a reason; a release with a new name fails."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import litellm
import pytest

from litespan.routing.litellm_names import EXPORTERS, STAYS, answer, exporter_name

SOURCE = Path(litellm.__file__).parent
NOT_SENT = {"dd_"}  # part of a comparison in LiteLLM's source, not a name


def known() -> Iterator[str]:
    """The names that the installed LiteLLM accepts, from its type and its source."""
    yield from get_args(litellm._custom_logger_compatible_callbacks_literal)
    registry = (SOURCE / "litellm_core_utils/custom_logger_registry.py").read_text()
    yield from re.findall(r'^\s+"(\w+)": \w+,$', registry, re.MULTILINE)
    logging = (SOURCE / "litellm_core_utils/litellm_logging.py").read_text()
    yield from re.findall(r'callback == "(\w+)"', logging)
    proxy = (SOURCE / "proxy/common_utils/callback_utils.py").read_text()
    yield from re.findall(r'callback == "(\w+)"', proxy)
    presets = SOURCE / "integrations/generic_api/generic_api_compatible_callbacks.json"
    if presets.exists():
        yield from json.loads(presets.read_text())


def test_every_name_of_litellm_has_an_exporter_or_a_reason() -> None:
    """The reason why it stays with LiteLLM."""
    names = {*known()} - NOT_SENT
    assert len(names) > 50
    assert sorted(names - {*EXPORTERS, *STAYS}) == []


def test_no_name_has_both_an_exporter_and_a_reason() -> None:
    """A name is served or it is not."""
    assert {*EXPORTERS} & {*STAYS} == set()


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_named_exporter_exists(name: str) -> None:
    """With that name."""
    (found,) = entry_points(group="opentelemetry_traces_exporter", name=EXPORTERS[name])
    assert found.value.startswith("litespan_exporters.")
    assert exporter_name(name) == EXPORTERS[name]


def test_reasons_are_one_line_and_never_advise_to_remove_a_callback() -> None:
    """A callback that litespan does not replace must stay."""
    assert answer("arize_phoenix") == "'arize_phoenix': litespan's exporter phoenix"
    assert answer("prometheus").startswith("'prometheus' is left to LiteLLM: OTEL_METRICS_EXPORTER")
    assert answer("mine") == "'mine' is left to LiteLLM: litespan does not know this name"
    for name in STAYS:
        line = answer(name)
        assert line.startswith(f"{name!r} is left to LiteLLM: ")
        assert "\n" not in line
        assert "remove" not in line.lower()
