"""Checks of environment variables: litespan's settings and OpenTelemetry's."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from litespan.callbacks.handler import BadHandler, Handler
from litespan.callbacks.registration import find
from litespan.detect import detect
from litespan.doctor.setup import Finding, Setup
from litespan.instrumentation.signals import redactor_problem
from litespan.settings import CONTENT, Settings
from litespan.unknown_settings import unknown
from litespan.variables import DISABLED, corrected, disabled, otlp_endpoint, otlp_protocol

_OFF: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
_HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
_PATH: Final = "/v1/traces"
_ATTRIBUTES: Final = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"
_ENOUGH: Final = 128  # attributes: OpenTelemetry's default


def check(setup: Setup) -> Iterator[Finding]:
    """All checks of variables."""
    env = setup.environ
    for line in [*unknown(env), *Settings.read(env)[1], *corrected(env)[1]]:
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
    if "litespan" in map(str.strip, env.get(_OFF, "").split(",")):
        text = f"{_OFF} includes litespan, so LiteLLM is not instrumented"
        yield Finding("error", text, f"remove litespan from {_OFF}")
    sampler, share = env.get("OTEL_TRACES_SAMPLER", ""), env.get("OTEL_TRACES_SAMPLER_ARG", "")
    if sampler.endswith("always_off") or (
        sampler.endswith("traceidratio") and share in ("0", "0.0")
    ):
        text = f"OTEL_TRACES_SAMPLER={sampler} drops every call"
        yield Finding("error", text, "OTEL_TRACES_SAMPLER=parentbased_always_on")
    elif sampler.endswith("traceidratio") and share:
        text = f"only {share} of the traces are recorded: sums of tokens and cost are partial"
        yield Finding("warning", text, "OTEL_TRACES_SAMPLER=parentbased_always_on")
    limit = env.get(_ATTRIBUTES, "")
    if limit.isdigit() and int(limit) < _ENOUGH:
        text = f"{_ATTRIBUTES}={limit} drops attributes of calls, among them tokens and cost"
        yield Finding("error", text, f"{_ATTRIBUTES}={_ENOUGH}")


def _otlp(setup: Setup) -> Iterator[Finding]:
    """Endpoints, protocols and headers that contradict each other."""
    env = setup.environ
    endpoint = otlp_endpoint(env, "traces")
    if not endpoint:
        return
    if "://" not in endpoint:
        text = f"the OTLP endpoint {endpoint} has no scheme, so nothing can be sent"
        yield Finding("error", text, f"{_ENDPOINT}=http://{endpoint}")
        return
    try:
        port = urlsplit(endpoint).port
    except ValueError:
        text = f"the OTLP endpoint {endpoint} has no valid port"
        yield Finding("error", text, f"{_ENDPOINT}=http://127.0.0.1:4318")
        return
    protocol = otlp_protocol(env, "traces")
    if (protocol, port) in (("grpc", 4318), ("http/protobuf", 4317)):
        other = "http/protobuf" if protocol == "grpc" else "grpc"
        text = f"port {port} of the OTLP endpoint is usual for {other}, but {_PROTOCOL}={protocol}"
        yield Finding("warning", text, f"{_PROTOCOL}={other}")
    base = env.get(_ENDPOINT, "")
    if protocol != "grpc" and base.rstrip("/").endswith(_PATH):
        text = f"OpenTelemetry appends {_PATH} to {_ENDPOINT}, which already ends with it"
        yield Finding("error", text, f"{_ENDPOINT}={base.rstrip('/').removesuffix(_PATH)}")
    own = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    if own and protocol != "grpc" and urlsplit(own).path in ("", "/"):
        text = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used unchanged, and it has no path"
        fix = f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={own.rstrip('/')}{_PATH}"
        yield Finding("warning", text, fix)
    headers = env.get(_HEADERS, "")
    if any("=" not in part for part in headers.split(",") if part.strip()):
        text = f"{_HEADERS} is not a list of name=value, so headers are missing"
        yield Finding("error", text, f"{_HEADERS}='authorization=Bearer%20TOKEN'")


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
