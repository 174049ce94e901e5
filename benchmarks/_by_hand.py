"""A LiteLLM proxy callback that creates litespan's three spans of a request by hand.

Around `Router.acompletion`, from constants, with the fewest calls of the SDK's public API, and
exported as litespan's are: what of litespan's cost is OpenTelemetry's.
"""

from typing import Any

from litellm import Router
from litellm.integrations.custom_logger import CustomLogger
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, set_span_in_context
from opentelemetry.util.types import AttributeValue

from benchmarks._call import CALL_ID

Attributes = dict[str, AttributeValue]
SERVER: Attributes = {
    "http.request.method": "POST",
    "url.path": "/v1/chat/completions",
    "url.scheme": "http",
    "network.protocol.version": "1.1",
    "server.address": "127.0.0.1",
    "server.port": 4000,
    "client.address": "127.0.0.1",
    "user_agent.original": "python-httpx/0.28.1",
}
SERVED: Attributes = {
    "litellm.end_user.id": "ada",
    "user.id": "default_user_id",
    "litellm.request.route": "/v1/chat/completions",
    "litellm.api_key.hash": "litellm_proxy_master_key",
    "litellm.call_id": CALL_ID,
    "http.route": "/v1/chat/completions",
    "http.response.status_code": 200,
    "litellm.outcome": "success",
}
ROUTER: Attributes = {"litellm.call_type": "litellm.router", "litellm.model_group": "chat"}
ROUTED: Attributes = {"litellm.outcome": "success", "litellm.attempts": 1}
CALL: Attributes = {
    "litellm.metadata.trace_id": "0af7651916cd43dd8448eb211c80319c",
    "user.id": "ada",
    "litellm.end_user.id": "ada",
    "litellm.api_key.hash": "litellm_proxy_master_key",
    "litellm.request.route": "/v1/chat/completions",
    "user_agent.original": "python-httpx/0.28.1",
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "litellm.call_type": "acompletion",
    "gen_ai.request.model": "gpt-4o-mini",
    "litellm.model_group": "chat",
    "litellm.attempt": 1,
}
SPENT: Attributes = {
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cost": 9e-06,
}
ANSWERED: Attributes = {
    "gen_ai.response.id": "chatcmpl-loopback",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "openai.response.service_tier": "default",
    "openai.response.system_fingerprint": "fp_loopback",
    "litellm.provider.model": "openai/gpt-4o-mini",
    "litellm.deployment.id": "5ae439a880cc553c104b953fb33a84019245279519c54f78778631a9e16c7bc1",
    "gen_ai.response.finish_reasons": ("stop",),
    "server.address": "127.0.0.1",
    "server.port": 4001,
    "litellm.provider.request_id": "req_loopback",
    "litellm.usage.source": "provider",
    "litellm.cost.source": "litellm",
    "litellm.cost.total": 9e-06,
    "litellm.cost.input": 3e-06,
    "litellm.cost.output": 6e-06,
    "litellm.call_id": CALL_ID,
    "litellm.outcome": "success",
    **SPENT,
}
POST: Attributes = {
    "http.response.status_code": 200,
    "litellm.provider.request_id": "req_loopback",
    "litellm.rate_limit.remaining_requests": "9999",
    "litellm.rate_limit.remaining_tokens": "199970",
    "litellm.rate_limit.limit_requests": "10000",
    "litellm.rate_limit.limit_tokens": "200000",
}

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("by hand")
handler = CustomLogger()
answer = Router.acompletion


async def acompletion(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Run LiteLLM's hook and create three spans."""
    server = tracer.start_span("POST /v1/chat/completions", None, SpanKind.SERVER, SERVER)
    inside = set_span_in_context(server)
    router = tracer.start_span("litellm.router chat", inside, attributes=ROUTER)
    inside = set_span_in_context(router, inside)
    call = tracer.start_span("chat gpt-4o-mini", inside, SpanKind.CLIENT, CALL)
    call.add_event("litellm.pre_api_call", {"litellm.attempt": 1})
    result = await answer(self, *args, **kwargs)
    call.add_event("litellm.post_api_call", POST)
    call.set_attributes(ANSWERED)
    call.add_event("litellm.success", SPENT)
    call.end()
    router.set_attributes(ROUTED)
    router.end()
    server.set_attributes(SERVED)
    server.end()
    return result


Router.acompletion = acompletion
