"""The pages on the collector have every variable, overlay and metric of the configurations."""

import re

import yaml

from tests.collector.running import BASE, OVERLAYS, ROOT

PAGE = (ROOT / "docs/collector.md").read_text()
CONFIGS = [BASE, *OVERLAYS.glob("*.yaml"), *(ROOT / "collector").glob("*.yaml")]


def variables() -> set[str]:
    """Every variable that a configuration reads."""
    text = "".join(path.read_text() for path in CONFIGS)
    return set(re.findall(r"\$\{env:([A-Z_]+)", text))


def test_every_variable_on_the_page_exists() -> None:
    """The configuration reads it."""
    named = set(re.findall(r"`(OTELCOL_[A-Z_]+|KAFKA_[A-Z_]+)`", PAGE))
    assert named <= variables()


def test_the_page_has_every_vendors_variables() -> None:
    """Users need not read YAML to find the key of an overlay."""
    own = {name for name in variables() if not name.startswith("OTELCOL_")}
    assert {name for name in own if f"`{name}`" not in PAGE} <= {"DD_OTLP_TRACES_ENDPOINT"}


def test_the_page_has_every_overlay_and_metric() -> None:
    """Each has its row."""
    assert [path.stem for path in OVERLAYS.glob("*.yaml") if f"`{path.stem}`" not in PAGE] == []
    connector = yaml.safe_load(BASE.read_text())["connectors"]["signal_to_metrics"]
    shown = PAGE.replace("{input,output,cache_read,reasoning}", "input")
    for metric in connector["spans"]:
        name = metric["name"].replace(".", "_")
        assert name in shown or name.endswith("_tokens"), name
