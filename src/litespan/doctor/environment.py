"""Checks of environment variables: litespan's settings and OpenTelemetry's."""

from collections.abc import Iterator
from typing import Final

from litespan.callbacks.handler import BadHandler, Handler
from litespan.callbacks.registration import find
from litespan.detect import detect
from litespan.doctor.setup import NOT_INSTRUMENTED, Finding, Setup
from litespan.instrumentation.signals import redactor_problem
from litespan.parsers import number, read
from litespan.redaction.text import scrub
from litespan.settings import CONTENT, Settings
from litespan.unknown_settings import unknown
from litespan.variables import (
    DISABLED,
    GRPC_PORT,
    corrected,
    disabled,
    otlp_endpoint,
    otlp_protocol,
    split_endpoint,
)

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
_HEADERS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_PATH: Final = "/v1/traces"
_ATTRIBUTES: Final = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
_ENOUGH: Final = 128  # attributes: OpenTelemetry's default


def check(setup: Setup) -> Iterator[Finding]:
    """All checks of variables."""
    env = setup.environ
    for line in [*unknown(env), *read(Settings, env)[1], *corrected(env)[1]]:
        yield Finding("error", line, "correct the variable, or unset it")
    yield from _switches(setup)
    yield from _otlp(setup)
    yield from _pairs(setup)
    yield from _imports(setup)
    yield from _content(setup)


def _switches(setup: Setup) -> Iterator[Finding]:
    """Settings that turn recording off."""
    env = setup.environ
    if disabled(env):
        yield Finding("error", f"{DISABLED}=true turns all recording off", f"unset {DISABLED}")
    for name in {"litespan", "*"} & {*setup.not_instrumented}:
        text = f"{NOT_INSTRUMENTED} includes {name}, so LiteLLM is not instrumented"
        yield Finding("error", text, f"remove {name} from {NOT_INSTRUMENTED}")
    sampler, share = env.get("OTEL_TRACES_SAMPLER", ""), env.get("OTEL_TRACES_SAMPLER_ARG", "")
    by_share = sampler.lower().endswith("traceidratio") and share
    if sampler.lower().endswith("always_off") or (by_share and number(share) == 0):
        text = f"OTEL_TRACES_SAMPLER={sampler} drops every call"
        yield Finding("error", text, "OTEL_TRACES_SAMPLER=parentbased_always_on")
    elif by_share:
        text = f"only {share} of the traces are recorded: sums of tokens and cost are partial"
        yield Finding("warning", text, "OTEL_TRACES_SAMPLER=parentbased_always_on")
    variable = next((name for name in _ATTRIBUTES if env.get(name)), "")
    limit = env.get(variable, "")
    if limit.isdecimal() and int(limit) < _ENOUGH:
        text = f"{variable}={limit} drops attributes of calls, among them tokens and cost"
        yield Finding("error", text, f"{variable}={_ENOUGH}")


def _otlp(setup: Setup) -> Iterator[Finding]:
    """Endpoints, protocols and headers that contradict each other."""
    env = setup.environ
    endpoint = otlp_endpoint(env, "traces")
    if not endpoint:
        return
    base, own = env.get(_ENDPOINT, "").strip(), env.get(_TRACES_ENDPOINT, "").strip()
    variable, shown = _TRACES_ENDPOINT if own else _ENDPOINT, scrub(endpoint)
    try:
        port = split_endpoint(endpoint).port
    except ValueError:
        text = f"the OTLP endpoint {shown} has no valid port"
        yield Finding("error", text, f"{variable}=http://127.0.0.1:4318")
        return
    # As `litespan run` chooses it.
    protocol = otlp_protocol(env, "traces") or ("grpc" if port == GRPC_PORT else "http/protobuf")
    if "://" not in endpoint and protocol != "grpc":
        text = f"the OTLP endpoint {shown} has no scheme, so nothing can be sent"
        yield Finding("error", text, f"{variable}=http://{shown}")
        return
    if (protocol, port) in (("grpc", 4318), ("http/protobuf", GRPC_PORT)):
        other = "http/protobuf" if protocol == "grpc" else "grpc"
        text = f"port {port} of the OTLP endpoint is usual for {other}, but {_PROTOCOL}={protocol}"
        yield Finding("warning", text, f"{_PROTOCOL}={other}")
    if protocol != "grpc" and base.rstrip("/").endswith(_PATH):
        text = f"OpenTelemetry appends {_PATH} to {_ENDPOINT}, which already ends with it"
        fix = f"{_ENDPOINT}={scrub(base.rstrip('/').removesuffix(_PATH))}"
        yield Finding("error", text, fix)
    if own and protocol != "grpc" and split_endpoint(own).path in ("", "/"):
        text = f"{_TRACES_ENDPOINT} is used unchanged, and it has no path"
        yield Finding("warning", text, f"{_TRACES_ENDPOINT}={shown.rstrip('/')}{_PATH}")
    for name in _HEADERS:
        if any("=" not in part for part in env.get(name, "").split(",") if part.strip()):
            text = f"{name} is not a list of name=value, so headers are missing"
            yield Finding("error", text, f"{name}='authorization=Bearer%20TOKEN'")


def _pairs(setup: Setup) -> Iterator[Finding]:
    """Credentials that are incomplete or swapped."""
    for line in detect(setup.environ)[1]:
        yield Finding("error", line, line.partition(": ")[2])
    public = setup.environ.get("LANGFUSE_PUBLIC_KEY", "")
    secret = setup.environ.get("LANGFUSE_SECRET_KEY", "")
    if public.startswith("sk-lf-") or secret.startswith("pk-lf-"):
        text = "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are swapped"
        yield Finding("error", text, "LANGFUSE_PUBLIC_KEY=pk-lf-… LANGFUSE_SECRET_KEY=sk-lf-…")


def _imports(setup: Setup) -> Iterator[Finding]:
    """Handlers and redactors that cannot be imported, and exporters that are not in use."""
    settings = setup.settings
    for name in settings.callbacks:
        try:
            Handler(find(name), {}, None)
        except BadHandler as error:
            yield Finding("error", f"LITESPAN_CALLBACKS: {name}: {error}", "correct the name")
    if settings.redact and (problem := redactor_problem(settings.redact)):
        yield Finding("error", problem, "LITESPAN_REDACT=module:function")
    listed = {*settings.input, *settings.success, *settings.failure}
    for name, _ in settings.exporter_content:
        if name not in listed:
            yield Finding(
                "error",
                f"LITESPAN_EXPORTER_CONTENT names {name}, which is in none of LITESPAN_INPUT, "
                "LITESPAN_SUCCESS and LITESPAN_FAILURE, so it has no effect",
                f"LITESPAN_SUCCESS={name} LITESPAN_FAILURE={name}",
            )


def _content(setup: Setup) -> Iterator[Finding]:
    mode = setup.settings.content
    if mode == "NO_CONTENT":
        yield Finding("ok", "messages are not recorded", f"to record them: {CONTENT}=SPAN_ONLY")
    else:
        how = "redacted by LITESPAN_REDACT" if setup.settings.redact else "without redaction"
        yield Finding("info", f"messages are recorded ({mode}), {how}", f"to stop: unset {CONTENT}")
