"""What a vendor defines: its configuration, and the format of its requests and answers.

Credentials and URL are arguments, else environment variables.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan

from litespan import parsers
from litespan.errors import log_once, suppress_errors
from litespan.export.batching import Batch, Item, pack, shrink
from litespan.export.client import Answer, Secret, origin
from litespan.export.policy import Policy, Refusal, overridden
from litespan.export.safe_urls import is_exposed, url_problem
from litespan.export.tenant import Tenant
from litespan.genai.span import GenAISpan
from litespan.genai.values import parse
from litespan.objects import json_bytes

ALLOW_HTTP = "LITESPAN_ALLOW_HTTP"
"""`true`: also send to plain http URLs on the internet, and do not warn about others."""

_BAD_FLAG: Final = "%s=%r is %s: using the default, %s"


@dataclass(frozen=True, slots=True)
class Variables:
    """The names of a vendor's environment variables."""

    keys: tuple[str, ...]  # credentials, all required
    url: tuple[str, ...] = ()  # the base URL; the first variable that is set wins
    default_url: str = ""


class Vendor:
    """The part of an exporter that a `Sender` needs; `HttpExporter` is the rest.

    It is switched off if something in its configuration is missing.
    """

    name: ClassVar[str]
    """The name in `OTEL_TRACES_EXPORTER`."""
    variables: ClassVar[Variables]
    policy: ClassVar[Policy] = Policy()

    def __init__(self, of_tenant: Tenant | None, limits: Mapping[str, Any]) -> None:
        self.limits = overridden(self.policy, limits, type(self)) if limits else self.policy
        self.tenant = of_tenant
        self.problem = ""  # why the exporter is off
        self._secrets: list[Secret] = []

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables; none for a tenant's exporter."""
        return os.environ if self.tenant is None else {}

    def credentials(self, *unnamed: str | None, **named: str | None) -> list[Secret] | None:
        """One credential for each variable in `variables.keys`: the argument, else the variable.

        If one is missing or invalid, this returns None and logs one line that names what to set:
        for a tenant the argument if passed by name, else the variable.
        """
        keys = self.variables.keys
        names = (*keys[: len(unnamed)], *named) if self.tenant is not None else keys
        values = {
            name: (self.variable(variable) if argument is None else argument.strip())
            for name, variable, argument in zip(
                names, keys, (*unnamed, *named.values()), strict=True
            )
        }
        if missing := [name for name, value in values.items() if not value]:
            self.report_missing(*missing)
        elif invalid := [name for name, value in values.items() if not is_credential(value)]:
            self.disable(
                f"{invalid[0]} contains characters that are not valid in an API key", "set it again"
            )
        else:
            self._secrets = [Secret(value) for value in values.values()]
            return self._secrets
        return None

    def variable(self, *names: str) -> str:
        """The value of the first of these environment variables that is set, or an empty string."""
        found = (self.env.get(name, "").strip() for name in names)
        return next(filter(None, found), "")

    def flag(self, name: str, default: bool) -> bool:
        """A Boolean environment variable; `default` if it is unset or invalid, which is logged."""
        value = self.variable(name)
        try:
            return parsers.flag(value) if value else default
        except parsers.BadSetting as problem:
            log_once(f"flag.{name}", _BAD_FLAG, name, value, problem, default)
            return default

    def base_url(
        self, argument: str | None, default: str = "", name: str = "base_url"
    ) -> str | None:
        """The base URL without a trailing slash; None if it is missing or must not be used.

        Args:
            argument: takes precedence over the environment.
            default: the URL if none is set; by default that of `variables`.
            name: of the argument, for tenants.
        """
        names = self.variables.url
        url = argument or self.variable(*names) or default or self.variables.default_url
        if not url:
            self.report_missing(names[0], argument=name)
            return None
        return url.rstrip("/") if self.may_use(url) else None

    def may_use(self, url: str) -> bool:
        """Whether requests may go to `url`. If not, the exporter stays off and logs why."""
        names = (name for name in self.variables.url if self.variable(name).startswith(url or "-"))
        variable = next(names, "the URL")
        allowed = self.flag(ALLOW_HTTP, default=False)
        problem = url_problem(url, allow_http=allowed or self.tenant is not None)
        if not problem and self.tenant is not None:
            problem = self.tenant.url_problem(url)
        if problem:
            fix = f"use https, or set {ALLOW_HTTP}=true" if "https" in problem else "fix it"
            self.disable(f"{variable} {problem}", fix)
        elif not allowed and is_exposed(url):
            log_once(
                f"http.{self.name}.{origin(url)}",
                "%s: %s is not https: others on the network between here and %s can read the "
                "credentials and all recorded data; use https, or set %s=true if the network is "
                "trusted",
                self.name,
                variable,
                origin(url),
                ALLOW_HTTP,
            )
        return not problem

    def report_missing(self, *names: str, argument: str = "") -> None:
        """Stay off because these settings are missing; tenants know it as `argument`."""
        shown = [argument] if argument and self.tenant is not None else [*names]
        several = len(shown) > 1
        problem = f"{' and '.join(shown)} {'are' if several else 'is'} not set"
        fix = f"set {'them' if several else 'it'} or remove {self.name} from the exporters"
        self.disable(problem, fix)

    def disable(self, problem: str, fix: str) -> None:
        """Stay off: send nothing, and log what is wrong and how to fix it.

        For a tenant's exporter, the caller logs it together with the tenant's name.
        """
        if self.tenant is not None:
            self.problem = self.problem or problem
            return
        self.problem = f"{problem}: {self.name} export is off; {fix}"
        log_once(f"off.{self.name}.{problem}", "%s", self.problem)

    # --- format -----------------------------------------------------------------------

    def item(self, span: GenAISpan) -> Item | None:
        """Convert a span to the vendor's format; None if the vendor does not receive such spans."""
        raise NotImplementedError

    def items(self, spans: Sequence[ReadableSpan]) -> Iterator[Item]:
        """All items of one export. By default one `item` for each GenAI span."""
        mapping = f"export.{self.name}.mapping"
        for span in spans:
            with suppress_errors(mapping):
                view = GenAISpan.read(span)
                if view is not None and (item := self.item(view)) is not None:
                    yield item

    def encode(self, items: Sequence[Item]) -> bytes:
        """Encode the body of one request. By default a JSON array of the items."""
        return b"[" + b",".join([item.data for item in items]) + b"]"

    def shrink(self, item: Item, excess: int) -> Item | None:
        """Cut `excess` bytes of content from `item`; None if it has less."""
        smaller = shrink(parse(item.data.decode()), len(item.data) - excess)
        return None if smaller is None else replace(item, data=json_bytes(smaller))

    def refusals(self, answer: Answer, items: Sequence[Item]) -> Iterable[Refusal]:
        """Find the items that a 2xx answer rejects. By default none."""
        return ()

    def on_answer(self, answer: Answer) -> None:
        """Receive every answer before its items are settled. By default do nothing."""

    def forbidden(self, batch: Batch) -> str:
        """Return a one-word reason to drop `batch` unsent. By default it is sent."""
        return ""

    def pack(self, items: Iterable[Item]) -> Iterable[Batch]:
        """Put items into batches within the vendor's limits."""
        return pack(items, self.encode, self.limits.max_items, self.limits.max_bytes)


def is_credential(text: str) -> bool:
    """Whether `text` can be a credential: printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text
