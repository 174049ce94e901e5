"""Exporters by stage: `litespan.configure(…)`, `LITESPAN_INPUT`, `_SUCCESS` and `_FAILURE`."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from opentelemetry.sdk.trace.export import SpanExporter

from litespan.errors import log_once
from litespan.export import registry
from litespan.export.provider import traces_exporters
from litespan.genai.span import GenAISpan
from litespan.variables import otlp_protocol

StageList = Literal["input", "success", "failure"]
LISTS: Final[tuple[StageList, ...]] = ("input", "success", "failure")
_AUTO: Final = "opentelemetry.instrumentation.auto_instrumentation"


class BadRoute(ValueError):
    """An invalid entry of a stage list; the message says what is wrong and how to fix it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One exporter in a stage list, and the data that it receives.

    It receives content only if content is recorded at all: see the capture setting.

    Attributes:
        exporter: a name in the entry point group `opentelemetry_traces_exporter`, or a
            `SpanExporter`.
        content: the share of traces that it receives with content, 0 to 1. Everything else, such
            as cost and tokens, is always included. True and False are 1 and 0.
        only: a filter: the exporter receives the calls for which it returns True.
    """

    exporter: str | SpanExporter
    content: float = 1.0
    only: Callable[[GenAISpan], bool] | None = None


Entry = str | SpanExporter | Route
Key = str | int


@dataclass(eq=False, slots=True)
class Destination:
    """One exporter, and the lists that it is in."""

    name: str
    exporter: SpanExporter
    content: float
    only: Callable[[GenAISpan], bool] | None
    lists: frozenset[StageList]


def key_of(entry: Entry) -> Key:
    """The key of an entry's exporter: its name, or the `id()` of the object."""
    exporter = entry.exporter if isinstance(entry, Route) else entry
    return exporter if isinstance(exporter, str) else id(exporter)


def destinations(
    lists: Mapping[StageList, Sequence[Entry]],
    content: Mapping[str, float],
    existing: Mapping[Key, Destination],
) -> tuple[dict[Key, Destination], dict[Key, str]]:
    """(one destination per exporter in the lists, the problems with exporters).

    `content` has shares by exporter name, for entries without their own. Exporters of `existing`
    destinations are reused.
    """
    problems: dict[Key, str] = {}
    routes: dict[Key, tuple[Route, set[StageList]]] = {}
    for stage in LISTS:
        for entry in lists.get(stage, ()):
            route = entry if isinstance(entry, Route) else Route(entry)
            exporter = route.exporter
            if isinstance(exporter, str) and exporter in content and route.content == 1.0:
                route = Route(exporter, content[exporter], route.only)
            routes.setdefault(key_of(entry), (route, set()))[1].add(stage)
    found = {}
    for key, (route, stages) in routes.items():
        try:
            destination = _destination(route, frozenset(stages), existing.get(key))
        except BadRoute as error:
            problems[key] = str(error)
            continue
        if destination is None:
            continue
        if "input" in destination.lists and not hasattr(destination.exporter, "export_started"):
            problems[key] = (
                f"input: {destination.name} cannot record calls that have only started: remove it "
                "from that list (sqlite and the other stores can)"
            )
            destination.lists -= {"input"}
        if destination.lists:
            found[key] = destination
    return found, problems


def _destination(
    route: Route, stages: frozenset[StageList], existing: Destination | None
) -> Destination | None:
    entry = route.exporter
    name = entry if isinstance(entry, str) else name_of(entry)
    if not 0.0 <= route.content <= 1.0:
        raise BadRoute(f"{name}: content={route.content!r} is not a share between 0 and 1")
    if isinstance(entry, str) and created_by_sdk(entry):
        finished = stages & {"success", "failure"}
        if finished:
            log_once(
                f"routed twice:{entry}",
                "%s is also in OTEL_TRACES_EXPORTER, so it receives every span, each once; remove "
                "it from there to route it by stage",
                entry,
            )
        stages -= finished
        if not stages:
            return None
    if existing is not None:
        exporter = existing.exporter
    else:
        exporter = create_exporter(entry) if isinstance(entry, str) else entry
    if not isinstance(exporter, SpanExporter):
        raise BadRoute(f"{entry!r} is not an exporter: pass a name or a SpanExporter")
    if existing is None:
        return Destination(name, exporter, float(route.content), route.only, stages)
    existing.content, existing.only, existing.lists = float(route.content), route.only, stages
    return existing


def name_of(exporter: Any) -> str:
    """The exporter's name in `mute` and in logs."""
    name = getattr(exporter, "name", None)
    return name if isinstance(name, str) and name else type(exporter).__name__


def create_exporter(name: str) -> SpanExporter:
    """Create the exporter of that name as the SDK would. Raises BadRoute."""
    entry = name
    if name == "otlp":
        over_http = otlp_protocol(os.environ, "traces") == "http/protobuf"
        entry = "otlp_proto_http" if over_http else "otlp_proto_grpc"
    try:
        exporter: SpanExporter = registry.load(entry)()
    except registry.UnknownExporter as error:
        raise BadRoute(str(error)) from None
    except Exception as error:
        raise BadRoute(
            f"exporter {name} cannot be created: {type(error).__name__}: {error}"
        ) from error
    return exporter


def created_by_sdk(name: str) -> bool:
    """Whether `opentelemetry-instrument` or the proxy already sends every span to the exporter."""
    if _AUTO in sys.modules:
        names = os.environ.get("OTEL_TRACES_EXPORTER", "").split(",")
        return name in map(str.strip, names)
    return name in traces_exporters


def as_list(entries: Iterable[Entry] | Entry | None) -> tuple[Entry, ...] | None:
    """The entries of one argument, which may be a single entry; None stays None."""
    if entries is None:
        return None
    if isinstance(entries, (str, SpanExporter, Route)):
        return (entries,)
    return tuple(entries)
