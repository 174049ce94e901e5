"""The telemetry of this process, in memory, as plain dicts."""

from typing import Any

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as logs_export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from litespan.genai.span import GenAISpan
from litespan.testing import decode
from litespan.testing.decode import Record
from litespan.testing.fixed import FixedIds


class Telemetry:
    """A tracer, meter and logger provider with fixed ids that keep their data in memory.

    Call `LiteLLMInstrumentor().instrument(**telemetry.providers)` and LiteLLM, then compare
    `telemetry.spans`. The data is encoded to OTLP and decoded, so it is what a collector would
    receive. `litespan.testing.decode` documents the keys of the dicts.
    """

    def __init__(self) -> None:
        resource = Resource.get_empty()
        self._spans = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(resource=resource, id_generator=FixedIds())
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self._metrics = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self._metrics], resource=resource)
        self._logs = _in_memory_log_exporter()
        self.logger_provider = LoggerProvider(resource=resource)
        self.logger_provider.add_log_record_processor(
            logs_export.SimpleLogRecordProcessor(self._logs)
        )

    @property
    def providers(self) -> dict[str, Any]:
        """The three providers, as arguments of `instrument()`."""
        return {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
        }

    @property
    def spans(self) -> list[Record]:
        """The finished spans, ordered by end time."""
        return decode.spans(encode_spans(self._spans.get_finished_spans()))

    @property
    def calls(self) -> list[GenAISpan]:
        """The finished model calls, typed, in the order of their ends."""
        found = map(GenAISpan.read, self._spans.get_finished_spans())
        return [span for span in found if span is not None and span.is_call]

    @property
    def metrics(self) -> list[Record]:
        """All metric points since the start."""
        data = self._metrics.get_metrics_data()
        return decode.metrics(encode_metrics(data)) if data else []

    @property
    def logs(self) -> list[Record]:
        """The log records and events."""
        return decode.logs(encode_logs(self._logs.get_finished_logs()))

    def clear(self) -> None:
        """Clear spans and log records; metrics keep accumulating."""
        self._spans.clear()
        self._logs.clear()


def _in_memory_log_exporter() -> Any:
    """Renamed between SDK 1.33 and 1.45; the old name is deprecated, so try the new one first."""
    names = ("InMemoryLogRecordExporter", "InMemoryLogExporter")
    return next(getattr(logs_export, name) for name in names if hasattr(logs_export, name))()
