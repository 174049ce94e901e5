"""Checks of versions, and of other instrumentations that are installed."""

import re
from collections.abc import Iterator
from platform import python_version
from typing import Final

from litespan.doctor.setup import NOT_INSTRUMENTED, Finding, Setup
from litespan.instrumentor import COMPROMISED, OLDEST
from litespan.version import VERSION

_SDK: Final = (1, 33, 1)
_DISTRO: Final = (0, 54)
# Distribution → (name of its instrumentation, what turns it off in code).
_SAME_CALLS: Final = {
    "opentelemetry-instrumentation-litellm": "litellm",
    "openinference-instrumentation-litellm": "litellm",
    "openinference-instrumentation-openai": "openai",
    "openinference-instrumentation-anthropic": "anthropic",
}
_SDKS: Final = {
    "traceloop-sdk": "Traceloop.init(block_instruments={Instruments.LITELLM})",
    "openlit": 'openlit.init(disabled_instrumentors=["litellm"])',
}


def check(setup: Setup) -> Iterator[Finding]:
    """All checks of packages."""
    yield Finding("ok", f"litespan {VERSION}, Python {python_version()}")
    yield from _litellm(setup)
    yield from _opentelemetry(setup)
    yield from _others(setup)


def _litellm(setup: Setup) -> Iterator[Finding]:
    version = setup.versions.get("litellm")
    if version is None:
        text = "litellm is not installed in this environment: there is nothing to record"
        yield Finding("error", text, "pip install litellm")
    elif version in COMPROMISED:
        yield Finding(
            "error",
            f"litellm {version} is a compromised release that steals credentials: replace it, and "
            "rotate every credential that it could read",
            "pip install 'litellm!=1.82.7,!=1.82.8'",
        )
    elif numbers(version)[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        text = f"litellm {version} is older than {oldest} and is not instrumented"
        yield Finding("error", text, "pip install -U litellm")
    else:
        yield Finding("ok", f"LiteLLM {version}")


def _opentelemetry(setup: Setup) -> Iterator[Finding]:
    sdk = setup.versions.get("opentelemetry-sdk", "")
    distro = setup.versions.get("opentelemetry-distro")
    instrumentation = setup.versions.get("opentelemetry-instrumentation", "")
    if numbers(sdk) < _SDK:
        yield Finding(
            "error",
            f"opentelemetry-sdk {sdk} is older than 1.33.1, which litespan needs",
            "pip install -U 'opentelemetry-sdk>=1.33.1'",
        )
        return
    yield Finding("ok", f"OpenTelemetry {sdk}, instrumentation {instrumentation}")
    if distro is None:
        yield Finding(
            "info",
            "opentelemetry-distro is not installed: opentelemetry-instrument would record nothing; "
            "litespan run and litespan.start() do not need it",
            "pip install 'litespan[auto]'",
        )
    elif numbers(distro)[:2] < _DISTRO:
        yield Finding(
            "error",
            f"opentelemetry-distro {distro} is from 2024 and does not match the SDK {sdk}",
            "pip install -U 'opentelemetry-distro>=0.54b1'",
        )


def _others(setup: Setup) -> Iterator[Finding]:
    """Other instrumentations of the same calls, which `opentelemetry-instrument` would start."""
    disabled = {*setup.not_instrumented} - {""}
    for distribution, name in _SAME_CALLS.items():
        if distribution in setup.instrumentors.get(name, ()) and not {name, "*"} & disabled:
            yield Finding(
                "warning",
                f"{distribution} is installed and reports the same calls as litespan: each call "
                "appears twice",
                f"{NOT_INSTRUMENTED}={','.join(sorted({*disabled, name}))}",
            )
    for distribution, line in _SDKS.items():
        if distribution in setup.versions:
            yield Finding(
                "warning",
                f"{distribution} is installed: if the program starts it, each call appears twice",
                line,
            )


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
