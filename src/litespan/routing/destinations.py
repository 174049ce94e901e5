"""Exporters by stage: `litespan.configure(…)`, `LITESPAN_INPUT`, `_SUCCESS` and `_FAILURE`."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final, Literal

from opentelemetry.sdk.trace.export import SpanExporter

from litespan.errors import log_once
from litespan.export.provider import traces_exporters
from litespan.genai.span import GenAISpan

StageList = Literal["input", "success", "failure"]
LISTS: Final[tuple[StageList, ...]] = ("input", "success", "failure")
GROUP: Final = "opentelemetry_traces_exporter"
_AUTO: Final = "opentelemetry.instrumentation.auto_instrumentation"
_OTLP: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}


class BadRoute(ValueError):
    """A stage list that can not be followed; the message says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One exporter in a stage list, and what it is given.

    Content is given only as far as it is recorded at all: the capture setting is the ceiling.

    Attributes:
        exporter: a name out of `opentelemetry_traces_exporter`, or a `SpanExporter`.
        content: the share of traces whose content it is given, 0 to 1; all the rest of a call,
            its cost and tokens too, it is always given. True and False are 1 and 0.
        only: a function that says of a call whether the exporter is to have it.
    """

    exporter: str | SpanExporter
    content: float = 1.0
    only: Callable[[GenAISpan], bool] | None = None


Entry = str | SpanExporter | Route


@dataclass(eq=False, slots=True)
class Destination:
    """One exporter with its routes: it is in one or several lists."""

    name: str
    exporter: SpanExporter
    content: float
    only: Callable[[GenAISpan], bool] | None
    lists: frozenset[StageList]


def destinations(
    lists: Mapping[StageList, Sequence[Entry]],
    content: Mapping[str, float],
    there: Mapping[str | int, Destination],
) -> tuple[dict[str | int, Destination], list[str]]:
    """(one destination for each exporter of the lists, what is wrong with the others).

    `content` are shares by exporter name, for entries that do not say. Exporters that are
    `there` already are kept. Keys are names, or ids of exporters that were given as such.
    """
    problems: list[str] = []
    routes: dict[str | int, tuple[Route, set[StageList]]] = {}
    for stage in LISTS:
        for entry in lists.get(stage, ()):
            route = entry if isinstance(entry, Route) else Route(entry)
            exporter = route.exporter
            key = exporter if isinstance(exporter, str) else id(exporter)
            if isinstance(exporter, str) and exporter in content and route.content == 1.0:
                route = Route(exporter, content[exporter], route.only)
            routes.setdefault(key, (route, set()))[1].add(stage)
    found = {}
    for key, (route, stages) in routes.items():
        try:
            made = _destination(route, frozenset(stages), there.get(key))
        except BadRoute as error:
            problems.append(str(error))
        else:
            if made is not None:
                found[key] = made
    return found, problems


def _destination(
    route: Route, stages: frozenset[StageList], there: Destination | None
) -> Destination | None:
    given = route.exporter
    name = given if isinstance(given, str) else name_of(given)
    if not 0.0 <= route.content <= 1.0:
        raise BadRoute(f"{name}: content={route.content!r} is no share between 0 and 1")
    if isinstance(given, str) and _made_by_sdk(given):
        finished = stages & {"success", "failure"}
        if finished:
            log_once(
                f"routed twice:{given}",
                "%s is in OTEL_TRACES_EXPORTER, too, which gives it every span: it is given each "
                "span once; take it out of there to route it",
                given,
            )
        stages -= finished
        if not stages:
            return None
    if there is not None:
        exporter = there.exporter
    else:
        exporter = made(given) if isinstance(given, str) else given
    if not isinstance(exporter, SpanExporter):
        raise BadRoute(f"{given!r} is no exporter: give a name or a SpanExporter")
    if "input" in stages and not hasattr(exporter, "export_started"):
        raise BadRoute(
            f"input: {name} can not record calls that have only started: take it out of that "
            "list (sqlite and the other stores can)"
        )
    if there is None:
        return Destination(name, exporter, float(route.content), route.only, stages)
    there.content, there.only, there.lists = float(route.content), route.only, stages
    return there


def name_of(exporter: Any) -> str:
    """What an exporter is called, in `mute` and in logs."""
    name = getattr(exporter, "name", None)
    return name if isinstance(name, str) and name else type(exporter).__name__


def made(name: str) -> SpanExporter:
    """A new exporter of that name, as the SDK would make it. Raises BadRoute."""
    entry = name if name != "otlp" else _OTLP.get(_protocol(), "otlp_proto_grpc")
    found = list(entry_points(group=GROUP, name=entry))
    if not found:
        known = sorted({each.name for each in entry_points(group=GROUP)})
        raise BadRoute(f"no exporter is called {name!r}; there are {', '.join(known)}")
    try:
        exporter: SpanExporter = found[0].load()()
    except Exception as error:
        raise BadRoute(
            f"exporter {name} can not be made: {type(error).__name__}: {error}"
        ) from error
    return exporter


def _protocol() -> str:
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if os.environ.get(name, "").strip():
            return os.environ[name].strip()
    return "grpc"


def _made_by_sdk(name: str) -> bool:
    """Whether `opentelemetry-instrument`, or the proxy, gives the exporter every span already."""
    if _AUTO in sys.modules:
        names = os.environ.get("OTEL_TRACES_EXPORTER", "").split(",")
        return name in map(str.strip, names)
    return name in traces_exporters


def as_list(entries: Iterable[Entry] | Entry | None) -> tuple[Entry, ...] | None:
    """What the user gave for a list: also a single entry. None is not given."""
    if entries is None:
        return None
    if isinstance(entries, (str, SpanExporter, Route)):
        return (entries,)
    return tuple(entries)
