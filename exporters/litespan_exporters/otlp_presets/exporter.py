"""`PresetExporter`: the class of all OTLP services that differ only in a row of settings."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Any, ClassVar, Final
from urllib.parse import quote

from opentelemetry.sdk.resources import Resource

from litespan.export import (
    GenAISpan,
    Item,
    OtlpExporter,
    Policy,
    Secret,
    Variables,
    renamed_attributes,
)
from litespan_exporters.otlp_presets.otlp_json import as_json

_FIELD: Final = re.compile(r"{(\w+)}")
_BASIC: Final = "Basic "


@dataclass(frozen=True, slots=True)
class Preset:
    """One service.

    Attributes:
        name: in `OTEL_TRACES_EXPORTER`.
        title: the service's name in text.
        url: the base URL if no variable is set; empty if the user must set one.
        url_variables: variables with the base URL; the first one that is set wins.
        path: of the traces endpoint, below the base URL.
        needs: required argument → its variables.
        takes: optional argument → its variables.
        defaults: optional argument → its value if it is not set.
        regions: value of the argument `region` → base URL.
        headers: name → value with `{argument}` in it. A header is left out if an argument is not
            set. After `Basic `, the rest of the value is encoded in base64. Of several templates
            the first complete one applies.
        resource: resource attributes, in the same form.
        attributes: the attributes to add to a GenAI span. Pure.
        json: whether the service reads OTLP as JSON only.
    """

    name: str
    title: str
    url: str = ""
    url_variables: tuple[str, ...] = ()
    path: str = "/v1/traces"
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    resource: Mapping[str, str] = field(default_factory=dict)
    attributes: Callable[[GenAISpan], Mapping[str, Any]] = renamed_attributes
    json: bool = False

    def exporter(self) -> "type[PresetExporter]":
        """The exporter class of the row, for `OTEL_TRACES_EXPORTER` and for code."""
        needs, takes = self.needs, self.takes
        keys = tuple(variables[0] for variables in needs.values())
        first = ", ".join((*keys, *self.url_variables[:1]))
        others = [name for group in (*needs.values(), *takes.values()) for name in group]
        rest = [
            name for name in (*others, *self.url_variables[1:]) if name not in first.split(", ")
        ]
        also = f" Also {', '.join(rest)}." if rest else ""
        members: dict[str, Any] = {
            "__module__": f"{__package__}",
            "__doc__": f"Sends GenAI spans to {self.title}.\n\nReads {first}.{also}",
            "__signature__": Signature(
                [
                    Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=str | None)
                    for name in ("base_url", *needs, *takes)
                ]
                + [Parameter("limits", Parameter.VAR_KEYWORD)]
            ),
            "name": self.name,
            "preset": self,
            "variables": Variables(keys, self.url_variables, self.url),
        }
        title = "".join(word.capitalize() for word in self.name.split("_"))
        return type(f"{title}Exporter", (PresetExporter,), members)


class PresetExporter(OtlpExporter):
    """Sends GenAI spans to the service of its row."""

    preset: ClassVar[Preset]
    policy = Policy(split=frozenset({400, 413}))

    def __init__(self, *, base_url: str | None = None, **options: Any) -> None:
        """Arguments take precedence over the environment.

        Args:
            base_url: default: from the service's variables, else the service's own.
            options: the arguments of the row, and fields of `Policy`.
        """
        preset = self.preset
        given = {name: options.pop(name, None) for name in (*preset.needs, *preset.takes)}
        super().__init__(**options)
        settings = self._settings(given)
        base = self._base(base_url, settings) if settings is not None else None
        if settings is None or base is None:
            return
        found = {name: filled(preset.resource[name], settings) for name in preset.resource}
        self.resource = Resource({name: value for name, value in found.items() if value})
        headers = {name: filled(value, settings) for name, value in preset.headers.items()}
        self.connect(
            base.removesuffix(preset.path) + preset.path,
            {
                **({"Content-Type": "application/json"} if preset.json else {}),
                **{name: _secret(value) for name, value in headers.items() if value},
            },
        )

    def _settings(self, given: Mapping[str, str | None]) -> dict[str, str] | None:
        """The value of each argument of the row; None if a required one is missing."""
        needs = self.preset.needs
        row = {**needs, **self.preset.takes}
        values = {name: (given[name] or "").strip() or self.variable(*row[name]) for name in row}
        # Only credentials must not contain spaces: a project's name may.
        needed = {name: values[name] if is_secret(name) else quote(values[name]) for name in needs}
        if needed and self.credentials(**needed) is None:
            return None
        self._secrets = [Secret(values[name]) for name in row if is_secret(name)]
        return {**self.preset.defaults, **{name: value for name, value in values.items() if value}}

    def _base(self, argument: str | None, settings: Mapping[str, str]) -> str | None:
        regions, region = self.preset.regions, settings.get("region", "").lower()
        if region and region not in regions:
            known = ", ".join(regions)
            self.disable(f"{self.preset.takes['region'][0]} is not a region", f"set {known}")
            return None
        url = argument or self.variable(*self.variables.url) or regions.get(region, "")
        if url.startswith(("grpc://", "grpcs://")) or url.endswith(":4317"):
            self.disable(f"{self.variables.url[0]} is a gRPC address", "use the http(s) URL")
            return None
        if url and "://" not in url:
            url = f"https://{url}"
        return self.base_url(url or None)

    def attributes(self, span: GenAISpan) -> Mapping[str, Any]:
        """The attributes that the service reads."""
        return self.preset.attributes(span)

    def encode(self, items: Sequence[Item]) -> bytes:
        """Protobuf, or JSON if the service reads nothing else."""
        body = super().encode(items)
        return as_json(body) if self.preset.json else body


def filled(templates: str | tuple[str, ...], settings: Mapping[str, str]) -> str:
    """The first template whose arguments are all set, with their values; else empty. Pure."""
    for template in (templates,) if isinstance(templates, str) else templates:
        if all(name in settings for name in _FIELD.findall(template)):
            return _FIELD.sub(lambda found: settings[found[1]], template)
    return ""


def _secret(header: str) -> Secret:
    """The value of a header; after `Basic `, the rest is encoded in base64."""
    if header.startswith(_BASIC):
        return Secret(header.removeprefix(_BASIC)).basic()
    return Secret(header)


def is_secret(argument: str) -> bool:
    """Whether an argument is a credential."""
    return any(word in argument for word in ("key", "token", "password"))
