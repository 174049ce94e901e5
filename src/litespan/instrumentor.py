"""`LiteLLMInstrumentor`: GenAI spans for LiteLLM calls."""

import os
import sys
from collections.abc import Collection
from dataclasses import fields
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from litespan.config_file import configured
from litespan.errors import did_you_mean, log_once, logger, record_error, suppress_errors
from litespan.instrumentation import conflicts
from litespan.instrumentation.signals import Live, Signals
from litespan.otlp.sdk_encoder import SdkEncoder
from litespan.settings import RUN, Settings

if TYPE_CHECKING:
    from litespan.callbacks.registration import NamedCallbacks
    from litespan.instrumentation.patches import Patches
    from litespan.offload.process import ProcessOffload
    from litespan.spool.process import ProcessSpool

OLDEST: Final = (1, 74)
PROXY: Final = "litellm.proxy.proxy_server"
_PROVIDERS: Final = frozenset({"tracer_provider", "meter_provider", "logger_provider"})
_OF_LOADER: Final = frozenset({"skip_dep_check", "raise_exception_on_conflict"})
"""What `opentelemetry-instrument` passes."""
# Published by an attacker in March 2026: https://github.com/BerriAI/litellm/issues/24521
COMPROMISED: Final = frozenset({"1.82.7", "1.82.8"})


class LiteLLMInstrumentor(BaseInstrumentor):
    """Instruments LiteLLM: every call in the process gets a GenAI span.

    The instrumentor does not import LiteLLM. It patches LiteLLM when the application imports it,
    or immediately if it is already imported. `instrument()` accepts:

    * `tracer_provider`, `meter_provider`, `logger_provider`: by default the global providers;
    * `redact`: a function `redact(key, value, attributes)` that receives each content attribute
      before it is recorded, and returns the value to record, or None to record nothing;
    * settings by the names of the fields of `litespan.settings.Settings`, such as
      `content="SPAN_ONLY"`. They have precedence over variables.

    A second `instrument()` has no effect. `uninstrument()` restores LiteLLM; references to
    wrapped functions remain usable and call the original.
    """

    _patches: "Patches | None" = None
    _parts: "tuple[NamedCallbacks | ProcessOffload | ProcessSpool | SdkEncoder, ...]" = ()
    _routed = False
    _implicit = False
    _by_file = False

    def instrument(self, **kwargs: Any) -> None:
        """Start instrumenting LiteLLM; see the class for the arguments."""
        if self._by_file and kwargs.keys() <= _OF_LOADER:
            return  # the SDK has done so as the configuration file says, with its settings
        had_takeover = self._implicit and Live.look is not None
        if self._implicit:
            self.uninstrument()
        super().instrument(**kwargs)
        if had_takeover:
            from litespan.routing.takeover import start_takeover

            start_takeover()

    def instrument_implicitly(self) -> None:
        """Instrument LiteLLM with the global providers unless it is instrumented already.

        A later `instrument()` replaces this implicit instrumentation.
        """
        if not self.is_instrumented_by_opentelemetry:
            self.instrument()
            self._implicit = True

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return no dependencies: an unmet one would silently skip the instrumentation."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        gevent = sys.modules.get("gevent.monkey")
        if gevent is not None and gevent.is_module_patched("threading"):
            logger.warning(
                "gevent has patched threading, which litespan does not support: spans are "
                "recorded, but handlers and exporters may stall; use threads or asyncio"
            )
        loaded = "litellm" in sys.modules
        if not loaded and not _installed():
            logger.warning(
                "litellm is not installed in this environment, so there is nothing to instrument: "
                "pip install litellm"
            )
        if RUN in os.environ:
            from litespan import running

            with suppress_errors("starting with litespan run"):
                running.begin()
        try:
            redact = kwargs.get("redact")
            Live.signals = Signals(
                Settings.from_env(given=_settings(kwargs)),
                kwargs.get("tracer_provider"),
                kwargs.get("meter_provider"),
                kwargs.get("logger_provider"),
                redact if callable(redact) else None,
            )
            self._by_file = configured(os.environ)
            conflicts.check_provider(kwargs.get("tracer_provider"))
        except Exception as error:  # noqa: BLE001 - the application must start anyway
            record_error("instrumenting", error)
            Live.signals = None
            return
        with suppress_errors("setting up handlers and stage lists"):
            self._set_up(Live.signals.settings)
        if loaded:
            self._patch(everywhere=True)
        else:
            wrapt.register_post_import_hook(self._imported, "litellm")
        wrapt.register_post_import_hook(_proxy_imported, PROXY)

    def _set_up(self, settings: Settings) -> None:
        """Set up the handlers and exporters that environment variables name."""
        self._parts += (SdkEncoder(),)
        if settings.input or settings.success or settings.failure:
            from litespan.routing import configuration

            configuration.configure_from(settings)
            self._routed = True
        if settings.spool:
            from litespan.spool.process import ProcessSpool

            self._parts += (ProcessSpool(settings),)
        if settings.offload:
            from litespan.offload.process import ProcessOffload

            self._parts += (ProcessOffload(settings),)
        if settings.adopt:
            from litespan.routing.takeover import start_takeover

            start_takeover()
        if settings.callbacks:
            from litespan.callbacks.registration import NamedCallbacks

            self._parts += (NamedCallbacks(settings.callbacks),)

    def _uninstrument(self, **kwargs: Any) -> None:
        Live.signals = None
        self._implicit = self._by_file = False
        if Live.look is not None:
            from litespan.routing.takeover import stop_takeover

            stop_takeover()
        if self._routed:
            from litespan.routing.configuration import Routes

            Routes.configure_from_environment({}, {})
            self._routed = False
        for part in reversed(self._parts):
            part.remove()
        self._parts = ()
        if self._patches is not None:
            self._patches.undo()
            self._patches = None
            conflicts.watch_recording(on=False)

    def _imported(self, _module: Any) -> None:
        if Live.signals is not None and self._patches is None:
            self._patch(everywhere=False)

    def _patch(self, *, everywhere: bool) -> None:
        if not _supported():
            Live.signals = None
            return
        # Imported here because programs that never import LiteLLM do not need it.
        from litespan.instrumentation.patches import Patches

        patches = Patches()
        try:
            patches.apply(everywhere=everywhere)
        except Exception as error:  # noqa: BLE001 - all patches or none
            record_error("patching LiteLLM (it is left as it was)", error)
            patches.undo()
            Live.signals = None
            return
        self._patches = patches
        conflicts.check_instrumentations()
        conflicts.watch_recording()
        from litespan.unknown_settings import unknown

        for line in unknown(os.environ):
            log_once(f"setting:{line}", "%s", line)


def _settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that are settings; report those that are nothing else either."""
    names = {row.name for row in fields(Settings)}
    for name in arguments.keys() - names - _OF_LOADER - _PROVIDERS:
        log_once(
            f"instrument:{name}",
            "litespan has no setting %r, so it is ignored%s",
            name,
            did_you_mean(name, [*names, *_PROVIDERS]),
        )
    given = {name: value for name, value in arguments.items() if name in names}
    if callable(given.get("redact")):
        del given["redact"]
    return given


def _proxy_imported(module: Any) -> None:
    """Instrument LiteLLM's proxy once its server module is imported."""
    if Live.signals is not None:
        from litespan.proxy import hooks

        hooks.install(module)


def _installed() -> bool:
    try:
        return find_spec("litellm") is not None  # reading its metadata takes ten times as long
    except (ImportError, ValueError):
        return False


def _supported() -> bool:
    """Whether the imported LiteLLM version is supported; logs the reason if not."""
    try:
        version = metadata.version("litellm")
        parts = tuple(int(part) for part in version.split(".")[:2])
    except Exception:  # noqa: BLE001 - a copy without package metadata
        return True
    problem = ""
    if version in COMPROMISED:
        problem = (
            "is a compromised release and is not instrumented: upgrade it and rotate every "
            "credential that it could read; pip install 'litellm!=1.82.7,!=1.82.8'"
        )
    elif parts < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        problem = f"is older than {oldest} and is not instrumented; pip install -U litellm"
    if problem:
        log_once("litellm version", "litellm %s %s", version, problem)
    return not problem
