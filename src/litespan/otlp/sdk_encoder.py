"""The SDK's OTLP exporters with litespan's encoder, which takes a fifth of the time.

The SDK has no option for an encoder, so its function is wrapped where the exporters over HTTP and
gRPC call it. The result is the same protobuf message. The first batch is encoded both ways: an SDK
whose message differs keeps its own encoder.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import wrapt
from opentelemetry.instrumentation.utils import unwrap

from litespan.errors import logger

_FUNCTION: Final = "encode_spans"
_EXPORTERS: Final = tuple(
    f"opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter" for protocol in ("http", "grpc")
)


class SdkEncoder:
    """Replaces the encoder of the SDK's OTLP exporters, until `remove()`.

    Exporters that are imported later are included.
    """

    same: ClassVar[bool | None] = None
    """Whether litespan's messages are those of the SDK; None before the first batch."""

    def __init__(self) -> None:
        self._wrapped: list[Any] = []
        self._removed = False
        for name in _EXPORTERS:
            wrapt.register_post_import_hook(self._wrap, name)

    def _wrap(self, module: Any) -> None:
        if not self._removed and hasattr(module, _FUNCTION):
            wrapt.wrap_function_wrapper(module, _FUNCTION, _encode)
            self._wrapped.append(module)

    def remove(self) -> None:
        """Restore the SDK's encoder."""
        self._removed = True
        for module in self._wrapped:
            unwrap(module, _FUNCTION)
        self._wrapped.clear()


def _encode(
    by_sdk: Callable[..., Any],
    _instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Return an ExportTraceServiceRequest. Raises what the SDK's encoder raises."""
    spans = args[0] if len(args) == 1 and not kwargs else ()
    if SdkEncoder.same is False or not spans:
        return by_sdk(*args, **kwargs)
    # Only programs that export need these modules.
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from litespan.otlp.encoding import encode

    try:
        message = ExportTraceServiceRequest.FromString(encode(spans))
    except Exception:  # noqa: BLE001 - the SDK reports what it cannot encode
        return by_sdk(spans)
    if SdkEncoder.same is None:
        expected = by_sdk(spans)
        SdkEncoder.same = message.SerializeToString() == expected.SerializeToString()
        if not SdkEncoder.same:
            logger.debug("OpenTelemetry's SDK encodes spans in another way, so it encodes them")
        return expected
    return message
