"""`litespan forward`: receives OTLP/HTTP and passes the spans to litespan's exporters."""

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial

from opentelemetry.sdk.trace import ReadableSpan

from litespan.cli import CommandError, Parser, argument, exporter_names
from litespan.export.safe_urls import is_loopback
from litespan.forward.destination import Destination, NoDestination
from litespan.forward.receiver import Limits, Receiver
from litespan.parsers import amount, size
from litespan.settings import Settings

_MIB = 2**20


def run(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status."""
    options = _parser().parse_args(argv)
    limits = Limits(
        memory=options.memory * _MIB,
        request=min(options.request, options.memory) * _MIB,
        timeout=options.timeout,
    )
    try:
        destinations = [Destination.named(name, limits.timeout) for name in options.to]
        prepare = _offload(options.offload, options.offload_above) if options.offload else None
        receiver = Receiver(destinations, options.host, options.port, limits, prepare)
    except (NoDestination, ImportError, ValueError) as problem:
        raise CommandError(problem) from None
    except (OSError, OverflowError) as error:  # OverflowError: invalid port
        address = f"{options.host}:{options.port}"
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"cannot listen on {address}: {reason}", 1) from None
    if not is_loopback(options.host):
        print("litespan forward: anyone who can reach this address can send spans", file=sys.stderr)
    _serve(receiver, ", ".join(options.to))
    return 0


def _offload(url: str, above: int) -> Callable[[Sequence[ReadableSpan]], Sequence[ReadableSpan]]:
    from litespan.offload import Store, offloaded

    return partial(offloaded, store=Store(url), above=above)


def _serve(receiver: Receiver, to: str) -> None:
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    threading.Thread(target=receiver.serve, name="litespan-forward", daemon=True).start()
    print(f"litespan forward: {receiver.url}/v1/traces to {to}", flush=True)
    stop.wait()
    receiver.stop()


def _parser() -> Parser:
    settings = Settings.from_env()
    parser = Parser(
        prog="litespan forward",
        description="Receive OTLP over HTTP and pass the spans to exporters, which are "
        "configured by their own environment variables. The answer is 200 when every exporter has "
        "delivered the spans; until then the sender keeps them.",
    )
    parser.add_argument(
        "--to",
        required=True,
        type=exporter_names,
        metavar="NAMES",
        help="exporters, such as helicone,datadog",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=4319,
        help="port to listen on; 0 for any free port (%(default)s)",
    )
    parser.add_argument(
        "--memory",
        type=argument(size),
        default=256,
        metavar="MIB",
        help="memory for all requests in progress, decoded; above it senders get 429 (%(default)s)",
    )
    parser.add_argument(
        "--request",
        type=argument(size),
        default=32,
        metavar="MIB",
        help="maximum size of one body (%(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=argument(amount),
        default=10.0,
        metavar="S",
        help="timeout of one export; then the sender gets 503 (%(default)s)",
    )
    parser.add_argument(
        "--offload",
        metavar="URL",
        default=settings.offload,
        help="store large content there (s3://…, gs://…, file:///…) and send a reference "
        "(LITESPAN_OFFLOAD)",
    )
    parser.add_argument(
        "--offload-above",
        type=argument(size),
        default=settings.offload_above,
        metavar="BYTES",
        help="size from which content is large (%(default)s)",
    )
    return parser
