"""How litespan handles each name that LiteLLM accepts in its callback lists.

An exporter serves the name (`EXPORTERS`), or LiteLLM keeps it for the reason in `STAYS`.
`docs/moving-over.md` has the table of all names.
https://docs.litellm.ai/docs/observability/callbacks
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from litespan.export import registry

_SAME: Final = (
    *("arize", "athina", "azure_storage", "braintrust", "datadog", "galileo", "gcs_bucket"),
    *("generic_api", "helicone", "langfuse", "langsmith", "langtrace", "levo", "logfire"),
    *("lunary", "mlflow", "newrelic", "opik", "pagerduty", "posthog", "s3", "sentry", "signoz"),
    *("slack", "supabase", "traceloop"),
)
EXPORTERS: Final[Mapping[str, str]] = {
    **{name: name for name in _SAME},
    "arize_phoenix": "phoenix",
    "datadog_llm_observability": "datadog",
    "langfuse_otel": "langfuse",
    "ms_teams": "teams",
    "s3_v2": "s3",
    "weave_otel": "weave",
}
"""LiteLLM's names → our exporters."""

_HOOK: Final = "it changes requests or answers, which only LiteLLM can do"
_GUARDRAIL: Final = "it checks content, which only LiteLLM can do; litespan records the result"
_LIMIT: Final = "it limits requests, which only LiteLLM can do"
_PROMPTS: Final = "it supplies prompts, which only LiteLLM can do"
_EMAIL: Final = "it sends e-mails about keys and budgets of the proxy, not about calls"
_BILLING: Final = "it reports usage for billing; litespan has no exporter for it"
_DATABASE: Final = "it exports the proxy's spend table, not calls"
_QUEUE: Final = "litespan has no exporter for it; generic_api or the Collector can feed a queue"
_PRODUCT: Final = "litespan has no exporter for it"
_GENERIC: Final = "it is LiteLLM's generic API with a preset; generic_api sends litespan's records"

STAYS: Final[Mapping[str, str]] = {
    # Another way to the same place.
    "otel": "OTEL_TRACES_EXPORTER=otlp sends litespan's spans to the same endpoint",
    "opentelemetry": "OTEL_TRACES_EXPORTER=otlp sends litespan's spans to the same endpoint",
    "prometheus": "OTEL_METRICS_EXPORTER=prometheus serves litespan's metrics, but not those of "
    "keys, budgets and deployments",
    "datadog_metrics": "OTEL_METRICS_EXPORTER=otlp sends litespan's metrics to Datadog's agent",
    "wandb": "it logs to W&B runs; the exporter weave sends calls to W&B Weave",
    "clickhouse": "the Collector's ClickHouse exporter writes litespan's spans",
    "azure_sentinel": "the Collector's Azure Monitor exporter writes litespan's spans to the "
    "tables of Application Insights",
    "agentops": "it exchanges the API key for a token that expires, so a preset cannot serve it",
    # Sinks without an exporter of ours.
    **dict.fromkeys(("argilla", "deepeval", "greenscale", "literalai"), _PRODUCT),
    **dict.fromkeys(("pointfive", "promptlayer", "zerobus"), _PRODUCT),
    "dynamodb": "litespan has no exporter for it; see its stores",
    **dict.fromkeys(("aws_sqs", "gcs_pubsub"), _QUEUE),
    **dict.fromkeys(("lago", "openmeter"), _BILLING),
    **dict.fromkeys(("rubrik", "sumologic", "qualifire_eval", "ramp", "sample_callback"), _GENERIC),
    # Not about calls, or more than watching them.
    **dict.fromkeys(("cloudzero", "datadog_cost_management", "focus"), _DATABASE),
    **dict.fromkeys(("mavvrik", "ternary", "vantage"), _DATABASE),
    **dict.fromkeys(("resend_email", "sendgrid_email", "smtp_email", "email"), _EMAIL),
    **dict.fromkeys(("bitbucket", "dotprompt", "gitlab", "humanloop"), _PROMPTS),
    **dict.fromkeys(("dynamic_rate_limiter", "dynamic_rate_limiter_v3"), _LIMIT),
    **dict.fromkeys(
        (
            *("anthropic_cache_control_hook", "vector_store_pre_call_hook", "batch_redis_requests"),
            *("code_interpreter_interception", "compression_interception", "litellm_agent"),
            "websearch_interception",
        ),
        _HOOK,
    ),
    **dict.fromkeys(
        (
            *("aporia_prompt_injection", "lakera_prompt_injection", "detect_prompt_injection"),
            *("llamaguard_moderations", "llmguard_moderations", "openai_moderations"),
            *("azure_content_safety", "google_text_moderation", "banned_keywords"),
            *("blocked_user_check", "hide_secrets", "presidio"),
        ),
        _GUARDRAIL,
    ),
    "cache": "it is LiteLLM's own response cache",
}
"""LiteLLM's names that no exporter replaces → why, or what does the same."""


@cache
def exporter_name(entry: str) -> str | None:
    """Our exporter for a name in LiteLLM's lists, or None."""
    name = EXPORTERS.get(entry, entry)
    entry_point = registry.find(name)
    return name if entry_point and entry_point.value.startswith("litespan_exporters.") else None


def answer(entry: str) -> str:
    """How litespan handles a name in LiteLLM's lists, in one line."""
    name = exporter_name(entry)
    if name is not None:
        return f"{entry!r}: litespan's exporter {name}"
    if entry in STAYS:
        return f"{entry!r} is left to LiteLLM: {STAYS[entry]}"
    return f"{entry!r} is left to LiteLLM: litespan does not know this name"
