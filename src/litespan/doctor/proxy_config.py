"""Checks of the configuration of LiteLLM's proxy."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from litespan.doctor.packages import numbers
from litespan.doctor.setup import Finding, Setup
from litespan.routing.litellm_names import exporter_name
from litespan.routing.takeover import STAGES

HANDLER: Final = "litespan.proxy.handler"
_ENVIRON: Final = "os.environ/"
_OTEL: Final = {"otel": "otlp", "langfuse_otel": "langfuse"}
_LANGFUSE: Final = (5,)  # LiteLLM's own callback fails with it, and with it every call


def check(setup: Setup) -> Iterator[Finding]:
    """All checks of the file; none without a file."""
    if setup.config is None:
        return
    try:
        config = _read(setup.config)
    except _Unusable as problem:
        yield Finding("error", f"{setup.config}: {problem}", str(problem.fix))
        return
    settings = config.get("litellm_settings")
    settings = settings if isinstance(settings, Mapping) else {}
    lists = {name: _entries(settings.get(name)) for name in STAGES}
    yield from _handler(setup, lists["callbacks"])
    for name, entries in lists.items():
        for entry in entries:
            yield from _entry(setup, name, entry)
    yield from _variables(setup, config)


class _Unusable(Exception):
    """The file cannot be used."""

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text)
        self.fix = fix


def _read(path: Path) -> Mapping[str, Any]:
    if find_spec("yaml") is None:
        raise _Unusable(
            "PyYAML, which LiteLLM's proxy needs, is not installed", "pip install pyyaml"
        )
    import yaml

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _Unusable(f"cannot be read: {error.strerror}", "pass an existing file") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not text, or no such date
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise _Unusable(f"is not valid YAML{where}", "correct the file") from None
    if not isinstance(read, Mapping):
        raise _Unusable("has no settings", "correct the file")
    return read


def _entries(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


def _handler(setup: Setup, callbacks: list[str]) -> Iterator[Finding]:
    ours = [name for name in callbacks if name.startswith("litespan.")]
    for name in ours:
        if name != HANDLER:
            text = f"litellm_settings.callbacks: there is no {name}"
            yield Finding("error", text, f"callbacks: {HANDLER}")
    if ours:
        yield Finding("ok", f"{setup.config}: {HANDLER} records the proxy's calls")
    else:
        text = f"{setup.config}: litespan records calls only if the proxy is started with it"
        fix = f"litespan run -- litellm --config {setup.config}"
        yield Finding("info", text, f"{fix}, or callbacks: {HANDLER}")


def _entry(setup: Setup, listed: str, entry: str) -> Iterator[Finding]:
    where = f"litellm_settings.{listed}"
    ours = exporter_name(entry)
    if setup.settings.adopt and (ours or entry in _OTEL):
        return
    if entry in _OTEL:
        text = f"{where}: LiteLLM's own {entry} reports the same calls as litespan"
        yield Finding("warning", text, f"use litespan's {_OTEL[entry]}, and remove {entry}")
        return
    if entry == "langfuse" and numbers(setup.versions.get("langfuse", "")) >= _LANGFUSE:
        text = (
            f"{where}: LiteLLM's langfuse needs langfuse<5; with the installed one every call fails"
        )
        yield Finding("error", text, "pip install 'langfuse<5', or LITESPAN_ADOPT=true")
    if ours in setup.exporters:
        text = (
            f"{where}: LiteLLM and litespan both send to {entry}, so each call appears twice there"
        )
        yield Finding("warning", text, f"remove {entry} from {where}, or LITESPAN_ADOPT=true")
    elif ours:
        text = f"{where}: litespan can send to {entry} instead of LiteLLM"
        yield Finding("info", text, "LITESPAN_ADOPT=true")
    elif "." in entry and not entry.startswith("litespan."):
        yield from _module(setup, where, entry)


def _module(setup: Setup, where: str, entry: str) -> Iterator[Finding]:
    """A handler must be in a file beside the configuration, or in an installed module."""
    module = entry.rpartition(".")[0]
    folder = setup.config.parent if setup.config is not None else Path()
    if (folder / f"{module.replace('.', '/')}.py").is_file():
        return
    try:
        found = find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        text = f"{where}: there is no module {module} for {entry}, so the proxy will not start"
        yield Finding("error", text, f"put {module.replace('.', '/')}.py beside {setup.config}")


def _variables(setup: Setup, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Variables that the file refers to, and that neither it nor the environment sets."""
    section = config.get("environment_variables")
    given = {*section} if isinstance(section, Mapping) else set()
    given |= {name for name, value in setup.environ.items() if value}
    for name in sorted({*_references(config)} - given):
        text = f"{setup.config} refers to {_ENVIRON}{name}, and {name} is not set"
        yield Finding("warning", text, f"export {name}=…")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(_ENVIRON):
        yield value.removeprefix(_ENVIRON)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
