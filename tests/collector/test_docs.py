"""The pages on the collector name what the configurations have, and all of it."""

import re

import yaml

from tests.collector.running import BASE, OVERLAYS, ROOT

PAGE = (ROOT / "docs/collector.md").read_text()
CONFIGS = [BASE, *OVERLAYS.glob("*.yaml"), *(ROOT / "collector").glob("*.yaml")]


def variables() -> set[str]:
    """Every variable that a configuration reads."""
    text = "".join(path.read_text() for path in CONFIGS)
    return set(re.findall(r"\$\{env:([A-Z_]+)", text))


def test_no_variable_is_invented() -> None:
    """What the page calls a variable of the collector is one."""
    named = set(re.findall(r"`(OTELCOL_[A-Z_]+|KAFKA_[A-Z_]+)`", PAGE))
    assert named <= variables()


def test_every_vendor_s_variables_are_told() -> None:
    """Nobody has to read YAML to find out which key an overlay needs."""
    own = {name for name in variables() if not name.startswith("OTELCOL_")}
    assert {name for name in own if f"`{name}`" not in PAGE} <= {"DD_OTLP_TRACES_ENDPOINT"}


def test_every_overlay_and_metric_is_told() -> None:
    """Each has its row."""
    assert [path.stem for path in OVERLAYS.glob("*.yaml") if f"`{path.stem}`" not in PAGE] == []
    connector = yaml.safe_load(BASE.read_text())["connectors"]["signal_to_metrics"]
    shown = PAGE.replace("{input,output,cache_read,reasoning}", "input")
    for metric in connector["spans"]:
        name = metric["name"].replace(".", "_")
        assert name in shown or name.endswith("_tokens"), name
