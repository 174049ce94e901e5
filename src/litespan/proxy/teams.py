"""Exporters of teams and keys: each team's calls go to its own project.

A team may name vendors that are reached over HTTP, with credentials and a URL. Not stores: those
take paths on the proxy's own disk. Nor references to the proxy's environment: whoever may edit
a key could read the operator's secrets with them.
"""

import os
import threading
import time
from collections import OrderedDict
from importlib.metadata import entry_points
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from litespan import semconv as s
from litespan.counters import count
from litespan.errors import log_once, quiet
from litespan.export.http import HttpExporter
from litespan.export.otlp import copy_of
from litespan.genai.span import at_top, is_router
from litespan.instrumentation import call as live
from litespan.instrumentation.router_call import RouterCall
from litespan.mapping.team_settings import Options, TeamWishes, team_wishes

MOST: Final = 64
"""Exporters at once; the one that was used least recently makes room for another."""
IDLE: Final = 600.0
"""Seconds without a call after which a team's exporter is closed."""
_GROUP: Final = "opentelemetry_traces_exporter"
_SUCCESS: Final = frozenset({"success", "abandoned"})
Key = tuple[str, Options]


class TeamExporters(SpanProcessor):
    """Gives each finished call to the exporters of its team or key."""

    def __init__(self, most: int = MOST, idle: float = IDLE) -> None:
        self._most = most
        self._idle = idle
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        """Start anew: also in a forked child, whose parent's exporters are not its own."""
        self._lock = threading.Lock()
        self._live: dict[int, TeamWishes] = {}
        self._open: OrderedDict[Key, tuple[BatchSpanProcessor, float]] = OrderedDict()
        self._bad: OrderedDict[Key, None] = OrderedDict()
        self._reaper: threading.Thread | None = None
        self._ended = threading.Event()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note what the call's team asks for."""
        call = live.current(parent_context)
        if isinstance(call, (live.Call, RouterCall)) and not call.ended:
            with quiet("reading a team's settings"):
                wishes = team_wishes(call.request.metadata)
                context = span.get_span_context()
                if wishes.exporters and _is_ours(span):
                    self._live[context.span_id] = wishes

    def on_end(self, span: ReadableSpan) -> None:
        """Hand the call over. Nothing is sent on this thread."""
        context = span.context
        wishes = self._live.pop(context.span_id, None) if context is not None else None
        if wishes is None:
            return
        with quiet("handing a call to its team's exporters"):
            attributes = dict(span.attributes or {})
            attributes.pop(s.MUTE, None)  # that is for the operator's exporters of the same name
            stage = "success" if attributes.get(s.OUTCOME) in _SUCCESS else "failure"
            above = span.parent
            given_too = above is not None and above.span_id in self._live  # the router's span
            own = copy_of(span, attributes)
            own = own if given_too else at_top(own)
            wanted = wishes.wanted(stage)
            if is_router(span):  # of attempts that went out, whatever came of it in the end
                wanted = [key for key in wishes.exporters.items() if key in self._open]
            for key in wanted:
                batch = self._batch(key)
                if batch is not None:
                    batch.on_end(own)

    def _batch(self, key: Key) -> BatchSpanProcessor | None:
        """The pipeline of one exporter, made if it is not there."""
        gone: list[BatchSpanProcessor] = []
        with self._lock:
            if key in self._bad or self._ended.is_set():
                return None
            found = self._open.pop(key, None)
            batch = found[0] if found is not None else self._make(key)
            if batch is None:
                self._bad[key] = None
                if len(self._bad) > self._most:
                    self._bad.popitem(last=False)
                return None
            self._open[key] = (batch, time.monotonic())
            while len(self._open) > self._most:
                gone.append(self._open.popitem(last=False)[1][0])
            if self._reaper is None:
                self._reaper = threading.Thread(
                    target=self._reap, name="litespan-teams", daemon=True
                )
                self._reaper.start()
        if gone:
            count("proxy.teams.evicted", len(gone))
            threading.Thread(target=_shut, args=(gone,), name="litespan-teams", daemon=True).start()
        return batch

    def _make(self, key: Key) -> BatchSpanProcessor | None:
        name, options = key
        found = next(iter(entry_points(group=_GROUP, name=name)), None)
        try:
            kind: Any = found.load() if found is not None else None
            if kind is None or not issubclass(kind, HttpExporter):
                problem = "is no vendor that a team may name"
            else:
                exporter = kind(**dict(options))
                problem = getattr(exporter, "problem", "")
                if not problem:
                    count("proxy.teams.opened")
                    return BatchSpanProcessor(exporter)
        except Exception as error:  # noqa: BLE001 - its text may hold the team's credentials
            problem = f"does not take {', '.join(dict(options))} ({type(error).__name__})"
        log_once(
            f"team:{name}:{problem}",
            "a team's or key's metadata names exporter %r, which %s: its calls do not go there; "
            "mend `litespan` in that metadata",
            name[:64],
            problem,
        )
        return None

    def _reap(self) -> None:
        while not self._ended.wait(min(self._idle / 2, 60.0)):
            with quiet("closing idle exporters of teams"):
                before = time.monotonic() - self._idle
                with self._lock:
                    idle = [key for key, (_, used) in self._open.items() if used < before]
                    gone = [self._open.pop(key)[0] for key in idle]
                if gone:
                    count("proxy.teams.closed_idle", len(gone))
                    _shut(gone)

    @property
    def open(self) -> int:
        """How many exporters there are now."""
        return len(self._open)

    def shutdown(self) -> None:
        """Deliver what waits, and end all exporters."""
        self._ended.set()
        with self._lock:
            gone = [batch for batch, _ in self._open.values()]
            self._open.clear()
        _shut(gone)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what waits."""
        with self._lock:
            batches = [batch for batch, _ in self._open.values()]
        return all(batch.force_flush(timeout_millis) is not False for batch in batches)


def _is_ours(span: Span) -> bool:
    scope = span.instrumentation_scope
    return scope is not None and scope.name == s.SCOPE


def _shut(batches: list[BatchSpanProcessor]) -> None:
    for batch in batches:
        with quiet("closing a team's exporter"):
            batch.shutdown()
