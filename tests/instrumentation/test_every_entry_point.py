"""Every way that LiteLLM calls a provider has a span, or is listed here with a reason.

A LiteLLM release that adds a call type, a public function or a method of `Router` fails these
tests, until it has a row in `litespan.mapping.targets` or here.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import litellm
import pytest
from litellm.types.utils import CallTypes

from litespan.mapping.targets import AGENTS, TARGETS

COVERED: Final = frozenset(target.call_type for target in TARGETS)
WRAPPED: Final = frozenset((module, target.name) for target in TARGETS for module in target.modules)
SESSION: Final = "a session over a WebSocket, not one call"
PROXY: Final = "a request to LiteLLM's proxy, which has spans of its own"
RUNS: Final = "runs functions that have a span"
NO_FUNCTION: Final = "LiteLLM has no function for it"
HELPER: Final = "calls no provider"

CALL_TYPES: Final = {
    **dict.fromkeys(("_arealtime", "_aresponses_websocket"), SESSION),
    **dict.fromkeys(("call_mcp_tool", "list_mcp_tools", "pass_through_endpoint"), PROXY),
    "aanthropic_messages": "the function is `anthropic_messages`",
    **dict.fromkeys(("create_video", "acreate_video"), "the function is `video_generation`"),
    **dict.fromkeys(
        (
            *("video_retrieve", "avideo_retrieve", "video_retrieve_job", "avideo_retrieve_job"),
            *("video_delete", "avideo_delete"),
        ),
        NO_FUNCTION,
    ),
}
"""Call types without a target → why."""

FUNCTIONS: Final = {
    **dict.fromkeys(
        (
            *("batch_completion", "batch_completion_models"),
            *("batch_completion_models_all_responses", "completion_with_retries"),
            *("acompletion_with_retries", "responses_with_retries", "aresponses_with_retries"),
            *("completion_with_fallbacks", "async_completion_with_fallbacks"),
            *("adapter_completion", "aadapter_completion", "aadapter_generate_content"),
            *("anthropic_messages_handler", "aresponses_api_with_mcp"),
            *("arun_tool_loop", "run_tool_loop", "maybe_run_chat_completion_agentic_loop"),
            *("ahealth_check", "config_completion"),
        ),
        RUNS,
    ),
    "realtime_health_check": SESSION,
    **dict.fromkeys(
        (
            *("print_verbose", "mock_completion", "mock_responses_api_response"),
            *("admission_input_tokens", "admitted_prompt_token_counter"),
            *("stream_chunk_builder", "stream_chunk_builder_text_completion"),
            "responses_api_bridge_check",
            "close_litellm_async_clients",
            "bill_first_round_on_failure",
        ),
        HELPER,
    ),
    **dict.fromkeys(
        ("nlp_cloud_chat_completion", "replicate_chat_completion"), "runs inside `completion`"
    ),
}
"""Functions of the package `litellm` without a target → why."""

HELPERS: Final = re.compile(
    r"litellm(?:"
    r"|\.(?:_\w+|utils|types\..*|integrations\..*|litellm_core_utils\..*|rust_bridge\..*|router_\w+\..*)"
    r"|\.(?:secret_managers|caching|llms|compression|timeout|budget_manager|cost_calculator)\b.*"
    r"|\.\w+(?:\.\w+)*\.(?:\w+_utils|utils|bridge_check|tool_precheck|lite_sdk)"
    r"|\.proxy\..*"
    r")$"
)
"""Modules whose plain functions call no provider. A coroutine function, or one that LiteLLM logs,
needs a row above even so."""

METHODS: Final = {
    **dict.fromkeys(
        (
            *("abatch_completion", "abatch_completion_fastest_response"),
            "abatch_completion_one_model_multiple_requests",
            *("aadapter_completion", "aadapter_generate_content", "aanthropic_messages"),
            *("schedule_acompletion", "make_call", "function_with_fallbacks"),
            *("aguardrail", "aapply", "apply", "call", "health"),
            *("recover_stream", "recover_stream_sync", "retry_stream"),
        ),
        RUNS,
    ),
    **dict.fromkeys(
        (
            *("arefresh_model_info", "run_routing_cache_sync", "flush_cache"),
            *("arm_routing_read_prefetch", "io_token_usage_sync", "update_redis_cache"),
        ),
        "reads or writes LiteLLM's own state",
    ),
}
"""Methods of `Router` without a target → why."""

INTERNAL_METHODS: Final = re.compile(
    r"async_(?!search|completion)\w+"  # hooks and the choice of a deployment
    r"|(?:get|set|is|has|init|initialize|are|add|update|delete|upsert|map|resolve|resolved|reset)"
    r"(?:_\w+)?"
    r"|(?:routing|deployment|deployments|team|cached|config|cooldown|cooled|served|split|outcome)"
    r"_\w+"
    r"|(?:report|register|retire|repin|track|trigger|count|serve|bind|ran|params|per|priority)_\w+"
    r"|(?:wildcard|validate|should|sync|increment|generate|print|log|replay|auto|routable)_\w+"
    r"|(?:apply_default|factory|available|blocked|failure|python|routed|service|stream)_\w+"
    r"|discard|build|from_config|observe|registry|retire|select|settings|settings_dict"
)
"""Names of methods that choose a deployment, or read or change settings."""


def public_functions() -> Iterator[tuple[str, Any]]:
    """LiteLLM's functions that `litellm.NAME` finds."""
    for name in dir(litellm):
        function = getattr(litellm, name, None)
        if not name.startswith("_") and inspect.isroutine(function):
            yield name, function


def calls_a_provider(name: str, function: Any) -> bool:
    """Whether a function without a span may call a provider: it is no plain helper."""
    module = str(getattr(function, "__module__", ""))
    if not module.startswith("litellm") or (module, name) in WRAPPED:
        return False
    logged = hasattr(function, "__wrapped__") or inspect.iscoroutinefunction(function)
    return logged or not HELPERS.match(module)


def test_every_call_type_has_a_target_or_a_reason() -> None:
    """Every member of LiteLLM's `CallTypes` is a target or has a reason."""
    found = {str(call_type.value) for call_type in CallTypes}
    assert sorted(found - COVERED - set(CALL_TYPES)) == []


def test_every_public_function_has_a_target_or_a_reason() -> None:
    """Every function of the package `litellm` is a target, has a reason, or is a plain helper."""
    found = {name for name, function in public_functions() if calls_a_provider(name, function)}
    assert sorted(found - COVERED - set(FUNCTIONS)) == []


def test_every_method_of_the_router_has_a_target_or_a_reason() -> None:
    """Every public method of a `Router` runs a target, has a reason, or is internal."""
    deployment = {"model": "openai/gpt-4o-mini", "api_key": "sk-loopback"}
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": deployment}])
    found = {
        name
        for name in dir(router)
        if not name.startswith("_") and callable(getattr(router, name, None))
    }
    unknown = {name for name in found if not INTERNAL_METHODS.fullmatch(name)}
    assert sorted(unknown - COVERED - set(METHODS)) == []


@pytest.mark.recent_litellm
def test_every_target_exists_in_some_form() -> None:
    """Every row of the table is a function of LiteLLM, sync or async."""
    import_module(AGENTS)
    newer = {"extraction", "aextraction", "realtime_translation_calls"}
    found = {
        target.operation.name
        for target in TARGETS
        if any(callable(getattr(sys.modules.get(m), target.name, None)) for m in target.modules)
    }
    missing = {t.call_type for t in TARGETS if t.operation.name not in found} - newer
    assert sorted(name for name in missing if "translation" not in name) == []
