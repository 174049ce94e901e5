"""`litespan demo`: runs a LiteLLM program under `opentelemetry-instrument`, shows its spans."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from shutil import which
from typing import Final

from litespan import semconv as s
from litespan.cli import CommandError, Parser, report
from litespan.testing import LoopbackProvider, OtlpReceiver, span_tree
from litespan.testing.decode import Record

APP: Final = Path(__file__).with_name("programs") / "help_desk.py"
MODEL: Final = "openai/gpt-4o-mini"
FALLBACK: Final = "anthropic/claude-sonnet-4-5"
EMBEDDING: Final = "openai/text-embedding-3-small"
SHOWN: Final = (s.ATTEMPT, s.ERROR_TYPE, s.INPUT_TOKENS, s.OUTPUT_TOKENS, s.COST)
ANSWER: Final = "I am the local provider of this demo: this is my only answer."


def run(argv: Sequence[str]) -> int:
    """Run the demo with command-line arguments. Returns the exit status."""
    options = _parser().parse_args(argv)
    _require("litellm", "pip install litellm")
    _require("mcp", "LiteLLM needs it for tool calls: pip install mcp")
    _require("opentelemetry-distro", "pip install 'litespan[auto]'")
    if options.live:
        _require_key(options.live)
    _demo(options)
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="litespan demo",
        description="Run a LiteLLM program under opentelemetry-instrument against a local "
        "provider; show a span tree and the report. It needs no API key and no network.",
    )
    parser.add_argument(
        "--live",
        metavar="MODEL",
        help="call this model at its real provider, with the API key in the environment; this "
        "costs money. The calls that fail still go to the local provider",
    )
    parser.add_argument(
        "--embedding", metavar="MODEL", help="with --live: also call this embedding model"
    )
    parser.add_argument(
        "--db", type=Path, metavar="FILE", help="SQLite file to write (default: a new file)"
    )
    return parser


def _require(distribution: str, fix: str) -> None:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise CommandError(f"{distribution} is not installed: {fix}", 1) from None


def _require_key(model: str) -> None:
    import litellm  # takes seconds, and only a live run needs it

    litellm.suppress_debug_info = True  # or it prints hints
    try:
        litellm.get_llm_provider(model)
    except litellm.BadRequestError:
        problem = f"LiteLLM knows no model {model!r}: name it as provider/model"
        raise CommandError(problem, 1) from None
    keys = litellm.validate_environment(model)
    if not keys["keys_in_environment"]:
        names = ", ".join(keys["missing_keys"]) or "the provider's key"
        raise CommandError(f"no key for {model}: set {names}", 1)


def _demo(options: argparse.Namespace) -> None:
    database = options.db or Path(tempfile.mkdtemp(prefix="litespan-demo-")) / "litespan.db"
    models = [options.live or MODEL, options.live or FALLBACK]
    embedding = options.embedding if options.live else EMBEDDING
    arguments = [*models, "--embedding", embedding] if embedding else models
    with LoopbackProvider() as provider, OtlpReceiver() as receiver:
        env = {
            **_inherited(),
            **({} if options.live else _loopback_keys(provider)),
            **_failing_bases(provider),
            **receiver.env,
            "OTEL_SERVICE_NAME": "litespan-demo",
            "OTEL_TRACES_EXPORTER": "sqlite,otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "LITESPAN_SQLITE": str(database),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        instrument = str(Path(sys.executable).with_name("opentelemetry-instrument"))
        _print(f"$ opentelemetry-instrument python {APP.name} {' '.join(arguments)}")
        command = [instrument, sys.executable, str(APP), *arguments]
        code = subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - our own
        spans = receiver.spans
    if code:
        raise CommandError(f"the program ended with status {code}; see its output above", 1)
    _print("\nThe router's call, attempt by attempt:\n" + _router_tree(spans))
    for column in ("model", "user"):
        _print(f"\n$ litespan report --by {column} {database}")
        report.run(["--by", column, str(database)])
    _print(f"\nNext: {_litespan()} calls {database}")


def _litespan() -> str:
    """The command as the user can type it: `make demo` has it in an environment of its own."""
    here = Path(sys.executable).with_name("litespan")
    return "litespan" if which("litespan") else os.path.relpath(here)


def _inherited() -> dict[str, str]:
    """The environment without telemetry settings, and without an HTTP proxy for 127.0.0.1."""
    telemetry = ("OTEL_", "LITESPAN_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(telemetry)}
    direct = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1"]))
    return {**kept, "NO_PROXY": direct, "no_proxy": direct}


def _loopback_keys(provider: LoopbackProvider) -> dict[str, str]:
    """Variables that point LiteLLM's providers to the local one."""
    base = provider.url_for(text=ANSWER, input_tokens=640, cached_tokens=512, output_tokens=85)
    spare = provider.url_for(text=ANSWER, input_tokens=702, output_tokens=93)
    return {
        "OPENAI_BASE_URL": base,
        "OPENAI_API_BASE": base,
        "OPENAI_API_KEY": "sk-demo",
        "ANTHROPIC_API_BASE": spare.removesuffix("/v1"),
        "ANTHROPIC_API_KEY": "sk-demo",
    }


def _failing_bases(provider: LoopbackProvider) -> dict[str, str]:
    return {
        "REFUSING_API_BASE": provider.url_for(status=401),
        "BUSY_API_BASE": provider.url_for(status=429, retry_after=0),
    }


def _router_tree(spans: list[Record]) -> str:
    """The trace of the router's call as a tree, with the cost of each attempt."""
    routed = {span["trace_id"] for span in spans if span["name"].startswith(s.ROUTER_SPAN)}
    return span_tree([span for span in spans if span["trace_id"] in routed], SHOWN, events=True)


def _print(text: str) -> None:
    print(text, flush=True)  # before the output of the next process
