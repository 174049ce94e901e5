"""`python -m litespan.testing.provider [--port N]`: print the base URL, serve until interrupted."""

import argparse
import signal
import sys

from litespan.testing.provider import LoopbackProvider


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    ends = {signal.SIGINT, signal.SIGTERM}
    # Blocked in all threads, so that `sigwait` gets them, even if the shell ignores SIGINT.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    parser = argparse.ArgumentParser(prog="python -m litespan.testing.provider")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (0: a free one)")
    options = parser.parse_args()
    try:
        provider = LoopbackProvider(options.port)
    except OSError as error:
        raise SystemExit(f"port {options.port}: {error.strerror}") from None
    with provider:
        sys.stdout.write(f"{provider.url}\n")
        sys.stdout.flush()
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
