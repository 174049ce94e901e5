"""`docs/exporters/fields.md`: which field of a call reaches which service, found by trying.

One call with every field set to a value of its own is mapped by each exporter. A field is
*sent* if its value is in the request, *derived* if the request changes without it, and not
there otherwise. `pytest --update-golden` writes the page.
"""

import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from litespan.alerting import AlertExporter
from litespan.export.http import HttpExporter
from tests.exporters.test_contract import shown
from tests.support.server import running
from tests.support.vendors import SECRET, Anyone

PAGE = Path(__file__).parents[2] / "docs" / "exporters" / "fields.md"
BEGIN, END = "<!-- fields: begin -->\n", "<!-- fields: end -->\n"
START = 1_795_165_987_123_000_000

ALWAYS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "litellm.outcome": "success",
}
FIELDS: dict[str, dict[str, Any]] = {
    "model asked for": {"gen_ai.request.model": "model-asked"},
    "model that answered": {"gen_ai.response.model": "model-answered"},
    "streamed": {"gen_ai.request.stream": True},
    "temperature": {"gen_ai.request.temperature": 0.7391},
    "max_tokens": {"gen_ai.request.max_tokens": 1907},
    "top_p": {"gen_ai.request.top_p": 0.9173},
    "seed": {"gen_ai.request.seed": 1913},
    "stop sequences": {"gen_ai.request.stop_sequences": ("stop-word",)},
    "number of choices": {"gen_ai.request.choice.count": 1931},
    "reasoning level": {"gen_ai.request.reasoning.level": "level-high"},
    "output type": {"gen_ai.output.type": "type-json"},
    "prompt name": {"gen_ai.prompt.name": "prompt-name"},
    "prompt version": {"gen_ai.prompt.version": "1933"},
    "server": {"server.address": "server.example"},
    "response id": {"gen_ai.response.id": "response-id"},
    "finish reason": {"gen_ai.response.finish_reasons": ("reason-x",)},
    "time to first chunk": {"gen_ai.response.time_to_first_chunk": 0.413},
    "input tokens": {"gen_ai.usage.input_tokens": 40961},
    "output tokens": {"gen_ai.usage.output_tokens": 8009},
    "cached tokens": {"gen_ai.usage.cache_read.input_tokens": 10007},
    "tokens written to a cache": {"gen_ai.usage.cache_creation.input_tokens": 1009},
    "reasoning tokens": {"gen_ai.usage.reasoning.output_tokens": 503},
    "source of the usage": {"litellm.usage.source": "source-usage"},
    "cost": {"gen_ai.usage.cost": 0.0912373, "litellm.cost.total": 0.0912373},
    "cost of input": {"litellm.cost.input": 0.0411271},
    "cost of output": {"litellm.cost.output": 0.0501102},
    "cost of cached input": {"litellm.cost.cache_read": 0.0030031},
    "cost of reasoning": {"litellm.cost.reasoning": 0.0070079},
    "source of the cost": {"litellm.cost.source": "source-cost"},
    "instructions": {"gen_ai.system_instructions": '[{"type":"text","content":"said-system"}]'},
    "input messages": {
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"said-in"}]}]'
    },
    "output messages": {
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "said-out"}]}]
        )
    },
    "tools": {"gen_ai.tool.definitions": '[{"type":"function","name":"tool-name"}]'},
    "user": {"user.id": "user-id"},
    "session": {"session.id": "session-id", "gen_ai.conversation.id": "session-id"},
    "tags": {"litellm.tags": ("tag-x",)},
    "metadata": {"litellm.metadata.feature": "feature-x"},
    "team": {"litellm.team.id": "team-id"},
    "organization": {"litellm.organization.id": "organization-id"},
    "project": {"litellm.project.id": "project-id"},
    "end user": {"litellm.end_user.id": "end-user-id"},
    "alias of the key": {"litellm.api_key.alias": "key-alias"},
    "route of the proxy": {"litellm.request.route": "/route-x"},
    "call id": {"litellm.call_id": "call-id"},
    "attempt": {"litellm.attempt": 1949},
    "model group": {"litellm.model_group": "group-x"},
    "deployment": {"litellm.deployment.id": "deployment-x"},
    "fallback from": {"litellm.fallback.from": "fallback-x"},
    "request id of the provider": {"litellm.provider.request_id": "request-x"},
    "answered from a cache": {"litellm.cache_hit": True},
    "environment": {"deployment.environment.name": "environment-x"},
    "service": {"service.name": "service-x"},
    "version": {"service.version": "version-x"},
    "start": {"start": START},
    "end": {"end": START + 1_777_000_000},
}
FAILURE: dict[str, dict[str, Any]] = {
    "error type": {"error.type": "error-type"},
    "error message": {"message": "error-message"},
    "HTTP status of the failure": {"litellm.provider.error.code": 417},
}
RESOURCE = ("deployment.environment.name", "service.name", "service.version")
HTTP: dict[str, type[HttpExporter]] = {
    found.name: found.load()
    for found in entry_points(group="opentelemetry_traces_exporter")
    if found.value.startswith("litespan_exporters.")
    and issubclass(found.load(), HttpExporter)
    and not issubclass(found.load(), AlertExporter)
}


def call(values: Mapping[str, Any], failed: bool) -> ReadableSpan:
    """A finished call with these values."""
    start = values.get("start", START - 1_000_000)
    apart = {*RESOURCE, "start", "end", "message"}
    message = values.get("message")
    event = {"exception.message": message} if message else {}
    return ReadableSpan(
        name="chat",
        context=SpanContext(0xABCDEF, 0x123456, False, TraceFlags(1)),
        resource=Resource({name: values[name] for name in RESOURCE if name in values}),
        attributes={**ALWAYS, **{k: v for k, v in values.items() if k not in apart}},
        events=[Event("exception", event, start)] if failed else (),
        status=Status(StatusCode.ERROR, message) if failed else Status(StatusCode.UNSET),
        start_time=start,
        end_time=values.get("end", START + 1_000_000_000),
        instrumentation_scope=InstrumentationScope("litespan"),
    )


def sent(exporter: HttpExporter, vendor: Any, span: ReadableSpan) -> str:
    """All that the exporter sends for the span."""
    vendor.received.clear()
    exporter.export([span])
    return json.dumps([shown(request) for request in vendor.received], sort_keys=True)


def column(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Field → sent, derived or a dash."""
    found: dict[str, str] = {}
    with running(Anyone()) as vendor:
        for variable, value in HTTP[name].variables_for(vendor.url, SECRET).items():
            monkeypatch.setenv(variable, value)
        exporter = HTTP[name]()
        for fields, failed in ((FIELDS, False), (FAILURE, True)):
            every = {k: v for values in fields.values() for k, v in values.items()}
            whole = sent(exporter, vendor, call(every, failed))
            for field, values in fields.items():
                less = {k: v for k, v in every.items() if k not in values}
                value = next(iter(values.values()))
                token = value[0] if isinstance(value, tuple) else value
                if "messages" in field or field in ("instructions", "tools"):
                    token = "said-" if field != "tools" else "tool-name"
                if sent(exporter, vendor, call(less, failed)) == whole:
                    found[field] = "-"
                else:
                    here = str(token) in whole and token is not True
                    found[field] = "sent" if here or token is True else "derived"
        exporter.shutdown()
    return found


def test_the_page_tells_the_truth(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The table of fields and services is what the exporters really send."""
    for cls in HTTP.values():
        for variable in cls.variables_for("http://127.0.0.1:9", SECRET):
            monkeypatch.delenv(variable, raising=False)
    columns = {name: column(name, monkeypatch) for name in sorted(HTTP)}
    lines = [f"| Field | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {field} | {' | '.join(told[field] for told in columns.values())} |"
        for field in (*FIELDS, *FAILURE)
    ]
    table = "\n".join(lines) + "\n"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    if request.config.getoption("--update-golden"):
        page = before + BEGIN + table + END + rest.partition(END)[2]
        PAGE.write_text(page, encoding="utf-8")
    assert table == page.partition(BEGIN)[2].partition(END)[0], "run pytest --update-golden"
