"""Exporters of teams and keys: each team's calls go to its own project.

A team may name vendors that receive data over HTTP, with credentials and a URL, but not stores,
which open the operator's files and databases. A team's exporter uses the team's settings only,
never the proxy's environment, which has the operator's secrets. `litespan.export.tenant` limits
the hosts.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from inspect import Parameter, signature
from typing import Any, Final, get_args

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from litespan import semconv as s
from litespan.background import fork
from litespan.counters import count
from litespan.errors import log_once, suppress_errors
from litespan.export import registry
from litespan.export.encodable import copy_of
from litespan.export.http import HttpExporter
from litespan.export.tenant import Tenant
from litespan.genai.copying import at_top
from litespan.genai.span import is_router
from litespan.instrumentation.call import Call
from litespan.instrumentation.remote_client import CLIENT_KEY
from litespan.instrumentation.router_call import RouterCall
from litespan.instrumentation.signals import Live
from litespan.instrumentation.state import current
from litespan.mapping.team_settings import Options, TeamSettings, team_settings
from litespan.redaction.text import printable

MAX_EXPORTERS: Final = 64
"""Open exporters; beyond it the least recently used is closed."""
IDLE: Final = 600.0
"""Seconds without a call after which a team's exporter is closed."""
_MAX_PROBLEM: Final = 200  # characters; a problem may quote a team's settings
_SUCCESS: Final = frozenset({"success", "abandoned"})
Key = tuple[str, Options]


class TeamExporters(SpanProcessor):
    """Sends each finished call to the exporters of its team or key."""

    def __init__(self, most: int = MAX_EXPORTERS, idle: float = IDLE) -> None:
        self._most = most
        self._idle = idle
        self._reset()
        fork.register(self, after_in_child=TeamExporters._reset)

    def _reset(self) -> None:
        """Start empty, also in a forked child: the exporters are the parent's."""
        self._lock = threading.Lock()
        self._live: dict[int, TeamSettings] = {}
        self._open: OrderedDict[Key, tuple[BatchSpanProcessor, float]] = OrderedDict()
        self._bad: OrderedDict[Key, None] = OrderedDict()
        self._reaper: threading.Thread | None = None
        self._ended = threading.Event()

    def settings_of(self, key: Any) -> TeamSettings:
        """The settings of a key, LiteLLM's `UserAPIKeyAuth`, and its team.

        Exporters that are off are left out, so that they do not replace the operator's.
        """
        wishes = team_settings(key)
        if not wishes.exporters:
            return wishes
        usable = [pair for pair in wishes.exporters.items() if self._batch(pair)]
        return replace(wishes, exporters=dict(usable))

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember the settings of the call's team."""
        call = current(parent_context)
        if isinstance(call, (Call, RouterCall)) and not call.ended:
            with suppress_errors("reading a team's settings"):
                client: Any = (parent_context or otel_context.get_current()).get(CLIENT_KEY)
                if client is not None and client.team.exporters and _is_ours(span):
                    self._live[span.get_span_context().span_id] = client.team

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the call for its team's exporters."""
        context = span.context
        wishes = self._live.pop(context.span_id, None) if context is not None else None
        if wishes is None:
            return
        with suppress_errors("queueing a call for its team's exporters"):
            attributes = dict(span.attributes or {})
            attributes.pop(s.MUTE, None)  # meant for the operator's exporters
            stage = "success" if attributes.get(s.OUTCOME) in _SUCCESS else "failure"
            parent = span.parent
            has_parent = parent is not None and parent.span_id in self._live  # the router's span
            own = copy_of(span, attributes)
            own = own if has_parent else at_top(own)
            wanted = wishes.wanted(stage)
            if is_router(span):  # to exporters that got its attempts, whatever its outcome
                wanted = [key for key in wishes.exporters.items() if key in self._open]
            for key in wanted:
                batch = self._batch(key)
                if batch is not None:
                    batch.on_end(own)

    def _batch(self, key: Key) -> BatchSpanProcessor | None:
        """The batch processor of one exporter, created if needed; None if the exporter is off."""
        evicted: list[BatchSpanProcessor] = []
        with self._lock:
            if key in self._bad or self._ended.is_set():
                return None
            found = self._open.pop(key, None)
            batch = found[0] if found is not None else self._create(key)
            if batch is None:
                self._bad[key] = None
                if len(self._bad) > self._most:
                    self._bad.popitem(last=False)
                return None
            self._open[key] = (batch, time.monotonic())
            while len(self._open) > self._most:
                evicted.append(self._open.popitem(last=False)[1][0])
            if self._reaper is None:
                self._reaper = threading.Thread(
                    target=self._close_idle, name="litespan-teams", daemon=True
                )
                self._reaper.start()
        if evicted:
            count("proxy.teams.evicted", len(evicted))
            threading.Thread(
                target=_shut_down, args=(evicted,), name="litespan-teams", daemon=True
            ).start()
        return batch

    def _create(self, key: Key) -> BatchSpanProcessor | None:
        name, options = key[0][:64], key[1]
        found = registry.find(name)
        try:
            kind: Any = found.load() if found is not None else None
            if kind is None or not issubclass(kind, HttpExporter):
                problem = "it is not an exporter that a team may use"
            elif unknown := [option for option, _ in options if option not in _options(kind)]:
                problem = f"it does not take {', '.join(unknown)}"
            else:
                hosts = Live.signals.settings.team_hosts if Live.signals is not None else ()
                exporter = kind(**dict(options), of_tenant=Tenant(hosts))
                problem = exporter.problem
                if not problem:
                    count("proxy.teams.opened")
                    return BatchSpanProcessor(exporter)
        except Exception as error:  # noqa: BLE001 - its text may contain the team's credentials
            problem = f"its settings cannot be used ({type(error).__name__})"
        problem = printable(" ".join(problem.split())[:_MAX_PROBLEM])
        log_once(
            f"team:{name}:{problem}",
            "a team's or key's metadata names exporter %r, which is off: %s. Calls of that team "
            "or key do not go there; correct `litespan` in the metadata",
            name,
            problem,
        )
        return None

    def _close_idle(self) -> None:
        while not self._ended.wait(min(self._idle / 2, 60.0)):
            with suppress_errors("closing idle exporters of teams"):
                before = time.monotonic() - self._idle
                with self._lock:
                    idle = [key for key, (_, used) in self._open.items() if used < before]
                    closed = [self._open.pop(key)[0] for key in idle]
                if closed:
                    count("proxy.teams.closed_idle", len(closed))
                    _shut_down(closed)

    def shutdown(self) -> None:
        """Export pending spans, and shut down all exporters."""
        self._ended.set()
        with self._lock:
            batches = [batch for batch, _ in self._open.values()]
            self._open.clear()
        _shut_down(batches)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export pending spans."""
        with self._lock:
            batches = [batch for batch, _ in self._open.values()]
        done = [batch.force_flush(timeout_millis) is not False for batch in batches]
        return all(done)


def _is_ours(span: Span) -> bool:
    scope = span.instrumentation_scope
    return scope is not None and scope.name == s.SCOPE


def _options(kind: type[HttpExporter]) -> frozenset[str]:
    """The text arguments of an exporter. The others are for code, not for metadata."""
    parameters = signature(kind).parameters.values()
    return frozenset(
        parameter.name
        for parameter in parameters
        if parameter.kind is not Parameter.VAR_KEYWORD
        and (
            parameter.annotation in (str, Parameter.empty) or str in get_args(parameter.annotation)
        )
    )


def _shut_down(batches: list[BatchSpanProcessor]) -> None:
    for batch in batches:
        with suppress_errors("closing a team's exporter"):
            batch.shutdown()
