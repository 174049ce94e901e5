"""Every route of the proxy for models, agents and tools is traced, or listed with a reason.

A release of LiteLLM with a new one fails this test. Add its endpoint to one of the tables.
"""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from litespan.mapping.targets import SESSIONS, TARGETS, TASKS, TOOL_CALL
from tests.support.program import run

pytestmark = pytest.mark.recent_litellm  # older ones have other names
PASS_THROUGH: Final = "litellm.proxy.pass_through_endpoints"
# Endpoint, and the function that it calls if that has another name; an async one has an "a" before.
CALLS: Final = """
chat_completion=completion          completion=text_completion        embeddings=embedding
moderations=moderation              image_generation                  image_edit_api=image_edit
audio_transcriptions=transcription  audio_speech=speech               rerank
responses_api=responses             compact_response=compact_responses
get_response=get_responses          delete_response=delete_responses
cancel_response=cancel_responses    get_response_input_items=list_input_items
cursor_chat_completions=responses   anthropic_response=anthropic_messages
google_generate_content=generate_content
google_stream_generate_content=generate_content_stream
create_interaction  get_interaction  delete_interaction  cancel_interaction
create_gemini_agent=create_agent  list_gemini_agents=list_agents  get_gemini_agent=get_agent
delete_gemini_agent=delete_agent  list_gemini_agent_versions=list_agent_versions
create_batch        retrieve_batch   cancel_batch        list_batches
create_file         delete_file=file_delete  get_file=file_retrieve  list_files=file_list
get_file_content=file_content
create_fine_tuning_job  cancel_fine_tuning_job  list_fine_tuning_jobs
create_container  list_containers  retrieve_container  delete_container
handler_container_id=list_container_files  handler_container_file=delete_container_file
handler_binary_content=retrieve_container_file_content
handler_multipart_upload=upload_container_file
video_generation  video_list  video_status  video_content  video_remix  video_edit
video_extension   video_create_character
ocr  search  rag_ingest=ingest  rag_query=query  decisions  systemone
create_skill  list_skills  get_skill  delete_skill
vector_store_create  vector_store_list  vector_store_retrieve  vector_store_update
vector_store_delete  vector_store_search
vector_store_file_create  vector_store_file_list  vector_store_file_retrieve
vector_store_file_content  vector_store_file_update  vector_store_file_delete
get_assistants  create_assistant=create_assistants  delete_assistant  create_threads=create_thread
get_thread  add_messages=add_message  get_messages  run_thread
create_realtime_client_secret  create_realtime_transcription_session
proxy_realtime_calls=realtime_calls
realtime_websocket_endpoint=_arealtime  live_sessions_websocket_endpoint=_arealtime
responses_websocket_endpoint=_aresponses_websocket
call_tool_rest_api=call_mcp_tool  aggregate_mcp_route=call_mcp_tool
proxy_mcp_route=call_mcp_tool     _LegacySseEndpoint=call_mcp_tool
invoke_agent_a2a=send_message
"""
# Served by LiteLLM's pass-through functions, outside of their package.
PASSED_ON: Final = {"vertex_ai_live_passthrough_endpoint", "langfuse_proxy_route"}
OTHERS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("count_tokens", "google_count_tokens", "token_counter", "responses_input_tokens"),
        "counts tokens; LiteLLM's counters may ask a provider, which charges nothing",
    ),
    **dict.fromkeys(
        ("model_list", "model_info_lookup", "cursor_model_list", "list_search_tools"),
        "lists what the operator has configured",
    ),
    **dict.fromkeys(
        ("transform_request", "list_vector_stores", "get_mcp_server_enabled", "get_mcp_tools"),
        "answers from the proxy itself",
    ),
    **dict.fromkeys(
        ("openapi", "redoc_html", "swagger_ui_html"), "the documentation of the MCP gateway"
    ),
    **dict.fromkeys(
        ("token_endpoint", "introspect_endpoint"), "OAuth of the MCP gateway, no tool call"
    ),
    "list_tool_rest_api": "lists tools; MCP's own package has a span for the request",
    "get_agent_card": "describes an agent, and does not call it",
    **dict.fromkeys(
        (
            *("delete_plugin", "get_marketplace", "get_plugin", "list_plugins"),
            *("register_plugin", "update_plugin"),
        ),
        "the marketplace of Claude Code's plugins, no model",
    ),
    **dict.fromkeys(
        (
            *("get_agent_trace", "get_agent_trace_span", "get_agent_trace_span_error"),
            *("help_agent_trace_queries", "ingest_otlp_traces", "list_agent_traces"),
            *("list_trace_agents", "query_agent_traces"),
        ),
        "LiteLLM's own trace viewer",
    ),
}


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each endpoint and its module. Another process: it imports all of the proxy."""
    program = Path(__file__).with_name("routes.py").read_text()
    done = run(program, env={"LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    assert not done.code, done.stderr
    routes = json.loads(done.stdout.splitlines()[-1])
    return {name: module for name, module, _ in routes}


def test_every_route_is_covered_or_has_a_reason(endpoints: dict[str, str]) -> None:
    """The tables have all routes, and no others."""
    listed = {entry.partition("=")[0] for entry in CALLS.split()} | PASSED_ON | {*OTHERS}
    unlisted = {
        name: module
        for name, module in endpoints.items()
        if name not in listed and not module.startswith(PASS_THROUGH)
    }
    assert not unlisted
    assert not listed - {*endpoints}


@pytest.mark.parametrize("entry", CALLS.split())
def test_each_endpoint_calls_a_traced_function(entry: str) -> None:
    """The function is in litespan's table of wrapped functions."""
    endpoint, _, function = entry.partition("=")
    known = {target.call_type for target in (*TARGETS, *SESSIONS, TOOL_CALL)}
    assert {function or endpoint, f"a{function or endpoint}"} & known


MESSAGES: Final = {"message/send", "message/stream"}
"""Methods of the A2A gateway that are calls of `litellm.a2a_protocol`; it forwards all others."""


def test_every_method_of_the_agent_gateway_is_a_call() -> None:
    """One endpoint serves all methods, so its source says which there are."""
    found = find_spec("litellm")
    assert found is not None
    assert found.origin is not None
    endpoints = Path(found.origin).parent / "proxy/agent_endpoints/a2a_endpoints.py"
    methods = set(re.findall(r'"((?:message|tasks|agent)/[\w/]+)"', endpoints.read_text()))
    assert methods == MESSAGES | {*TASKS}


def test_the_documentation_lists_the_methods() -> None:
    """With the operation of each."""
    page = (Path(__file__).parents[2] / "docs/calls.md").read_text()
    rows = re.findall(r"\| `(\w+/[\w/]+)` \| `([\w.]+)` \|", page)
    assert dict(rows) == {method: target.operation.name for method, target in TASKS.items()}
