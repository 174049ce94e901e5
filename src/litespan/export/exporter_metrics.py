"""Exporter metrics under the names of the OpenTelemetry SDK's metrics.

https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/
"""

from collections import Counter
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import metrics

from litespan import semconv as s
from litespan.counters import observe
from litespan.export.policy import Tally

EXPORTED: Final = "otel.sdk.exporter.span.exported"  # {span}; lost spans have error.type
INFLIGHT: Final = "otel.sdk.exporter.span.inflight"  # {span}
DURATION: Final = "otel.sdk.exporter.operation.duration"  # s, retries included
COMPONENT_TYPE: Final = "otel.component.type"
COMPONENT_NAME: Final = "otel.component.name"
_PORTS: Final = {"http": 80, "https": 443}

_instances: Final[Counter[str]] = Counter()


class ExporterMetrics:
    """Counts the spans of one exporter, through the global meter provider."""

    def __init__(self, component: type, url: str, *, tenant: bool = False) -> None:
        """Create the instruments. All exporters of tenants share one series."""
        observe()
        meter = metrics.get_meter(s.SCOPE)
        kind = f"{component.__module__}.{component.__qualname__}"
        self.attributes: dict[str, str | int] = {
            COMPONENT_TYPE: kind,
            COMPONENT_NAME: f"{kind}/{'tenants' if tenant else _instances[kind]}",
        }
        if not tenant:
            self.attributes |= _server(url)
        _instances[kind] += not tenant
        self._exported = meter.create_counter(
            EXPORTED, "{span}", "The number of spans for which the export has finished."
        )
        self._inflight = meter.create_up_down_counter(
            INFLIGHT, "{span}", "The number of spans whose export has not finished yet."
        )
        self._duration = meter.create_histogram(
            DURATION, "s", "The duration of exporting a batch of telemetry records."
        )

    def begin(self, spans: int) -> None:
        """Record the start of an export."""
        self._inflight.add(spans, self.attributes)

    def end(self, spans: int, tally: Tally, seconds: float) -> None:
        """Record the end of an export."""
        self._inflight.add(-spans, self.attributes)
        if tally.sent:
            self._exported.add(tally.sent, self.attributes)
        attributes = self.attributes
        for cause, lost in tally.dropped.items():
            attributes = {**self.attributes, s.ERROR_TYPE: cause}
            self._exported.add(lost, attributes)
        self._duration.record(seconds, attributes)


def _server(url: str) -> dict[str, str | int]:
    """The attributes of the server; none for a file. A store's URL may have no valid port."""
    parts = urlsplit(url)
    if not parts.hostname:
        return {}
    port = None
    with suppress(ValueError):
        port = parts.port or _PORTS.get(parts.scheme)
    return {s.SERVER_ADDRESS: parts.hostname, **({s.SERVER_PORT: port} if port else {})}
