"""The table of LiteLLM functions that litespan wraps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from litespan import semconv as s


@dataclass(frozen=True, slots=True)
class Operation:
    """The GenAI operation of a LiteLLM function.

    Attributes:
        name: `gen_ai.operation.name`. The conventions have no name for rerank, moderation, files,
            …, and allow custom values.
        output: `gen_ai.output.type` if the function determines it.
        model: whether it runs a model, so that its answer has tokens, a finish reason and content.
        charged: whether LiteLLM knows a price for it.
        id: the attribute for the `id` of the result.
        detailed: whether ids and counts of files, batches, … are recorded.
    """

    name: str
    output: str | None = None
    model: bool = True
    charged: bool = True
    id: str = s.RESPONSE_ID
    detailed: bool = False


AGENTS: Final = "litellm.a2a_protocol"
"""The package that sends messages to agents; LiteLLM imports it when it is first used."""

CHAT: Final = Operation("chat")
TEXT: Final = Operation("text_completion")
EMBEDDINGS: Final = Operation("embeddings")
CONTENT: Final = Operation("generate_content", detailed=True)
IMAGE: Final = Operation("generate_content", "image")
TRANSCRIPT: Final = Operation("generate_content", "text")
SPEECH: Final = Operation("generate_content", "speech")
VIDEO: Final = Operation("generate_content", "video", id=s.VIDEO_ID, detailed=True)
RERANK: Final = Operation("rerank")
MODERATION: Final = Operation("litellm.moderation")
DECISIONS: Final = Operation("litellm.decisions")
EXTRACTION: Final = Operation("litellm.extraction")
OCR: Final = Operation("litellm.ocr", "text", detailed=True)
SEARCH: Final = Operation("litellm.search", detailed=True)
PASS_THROUGH: Final = Operation("litellm.pass_through")
BATCH_RESULT: Final = Operation("litellm.batch_result", id=s.BATCH_ID, detailed=True)


def _without_model(
    name: str, identifier: str = s.RESPONSE_ID, *, charged: bool = False
) -> Operation:
    return Operation(name, model=False, charged=charged, id=identifier, detailed=True)


AGENT: Final = _without_model("invoke_agent", charged=True)
RETRIEVAL: Final = _without_model("retrieval", s.DATA_SOURCE_ID)
FETCH: Final = _without_model("fetch_response")
CONTAINER: Final = _without_model("litellm.create_container", s.CONTAINER_ID, charged=True)

# The sync function whose name starts with an "a", and its async form.
_ASYNC_NAMES: Final[Mapping[str, str]] = {"add_message": "a_add_message"}


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity, because it is a cache key
class Target:
    """One function; `call_type` is LiteLLM's name for it.

    Each of `modules` has the function under `attribute` (default `call_type`). These can be
    different functions, one of which calls the other. `provider` is the one that the function
    assumes if the caller names none.
    """

    call_type: str
    operation: Operation
    modules: tuple[str, ...] = ("litellm", "litellm.main")
    attribute: str = ""
    provider: str = ""
    streams: bool = field(init=False)
    """Whether its result is always a stream."""
    passed_on: bool = field(init=False)
    """Whether its result is the provider's own, unchanged."""
    asynchronous: bool = field(init=False)
    """Whether the function is async."""

    def __post_init__(self) -> None:
        streams = self.call_type.endswith(("_content_stream", "_streaming", "/resubscribe"))
        object.__setattr__(self, "streams", streams)
        passed_on = self.call_type.endswith("llm_passthrough_route")
        object.__setattr__(self, "passed_on", passed_on)
        sync = self.attribute == "create" or self.call_type in _ASYNC_NAMES
        asynchronous = self.call_type.startswith("a") and not sync
        object.__setattr__(self, "asynchronous", asynchronous)

    @property
    def name(self) -> str:
        """The name of the function in its modules."""
        return self.attribute or self.call_type


def _pair(
    call_type: str, operation: Operation, module: str = "", attribute: str = "", provider: str = ""
) -> tuple[Target, Target]:
    """Return the targets of a function and of its async form, whose name starts with "a"."""
    modules = ("litellm", f"litellm.{module or 'main'}")
    named = attribute and f"a{attribute}"
    return (
        Target(call_type, operation, modules[bool(attribute) :], attribute, provider),
        Target(f"a{call_type}", operation, modules[bool(attribute) :], named, provider),
    )


# Requests that run no model: module, attribute of the result's id, functions. A function that has
# another name in its module than as a call type is written as `name=call_type`.
_MANAGEMENT: Final = """
batches.main                 BATCH        create_batch retrieve_batch cancel_batch list_batches
files.main                   FILE         create_file file_retrieve file_delete file_list
files.main                   FILE         file_content file_content_streaming
fine_tuning.main             FINE_TUNING  create_fine_tuning_job retrieve_fine_tuning_job
fine_tuning.main             FINE_TUNING  cancel_fine_tuning_job list_fine_tuning_jobs
responses.main               RESPONSE     delete_responses cancel_responses list_input_items
interactions.main            RESPONSE     delete=delete_interaction cancel=cancel_interaction
interactions.agents.main     AGENT        create=create_agent list=list_agents get=get_agent
interactions.agents.main     AGENT        delete=delete_agent list_versions=list_agent_versions
vector_stores.main           DATA_SOURCE  create=vector_store_create list=vector_store_list
vector_stores.main           DATA_SOURCE  retrieve=vector_store_retrieve
vector_stores.main           DATA_SOURCE  update=vector_store_update delete=vector_store_delete
vector_store_files.main      FILE         create=vector_store_file_create
vector_store_files.main      FILE         list=vector_store_file_list
vector_store_files.main      FILE         retrieve=vector_store_file_retrieve
vector_store_files.main      FILE         retrieve_content=vector_store_file_content
vector_store_files.main      FILE         update=vector_store_file_update
vector_store_files.main      FILE         delete=vector_store_file_delete
rag.main                     DATA_SOURCE  ingest query
containers.main              CONTAINER    list_containers retrieve_container delete_container
containers.main              FILE         list_container_files upload_container_file
containers.endpoint_factory  FILE         list_container_files upload_container_file
containers.endpoint_factory  FILE         retrieve_container_file delete_container_file
containers.endpoint_factory  FILE         retrieve_container_file_content
skills.main                  SKILL        create_skill list_skills get_skill delete_skill
evals.main                   EVALUATION   create_eval list_evals get_eval delete_eval cancel_eval
evals.main                   RUN          create_run list_runs get_run cancel_run delete_run
videos.main                  VIDEO        video_status video_list video_content
videos.main                  VIDEO        video_create_character video_get_character
assistants.main              AGENT        get_assistants create_assistants delete_assistant
assistants.main              CONVERSATION create_thread get_thread
assistants.main              MESSAGE      add_message get_messages
assistants.main              RUN          run_thread run_thread_stream
sandbox.main                 SANDBOX      create_sandbox run_code delete_sandbox
sandbox.main                 SANDBOX      code_interpreter_tool
realtime_api.main            RESPONSE     create_realtime_client_secret
realtime_api.main            RESPONSE     create_realtime_transcription_session realtime_calls
realtime_api.main            RESPONSE     create_realtime_translation_client_secret
realtime_api.main            RESPONSE     realtime_translation_calls
"""


def _managed(row: str) -> tuple[Target, ...]:
    """Return the targets of one line of `_MANAGEMENT`."""
    module, resource, *functions = row.split()
    found: list[Target] = []
    for function in functions:
        name, _, call_type = function.partition("=")
        operation = _without_model(f"litellm.{call_type or name}", getattr(s, f"{resource}_ID"))
        pair = _pair(call_type or name, operation, module, name if call_type else "")
        if name in _ASYNC_NAMES:
            pair = pair[0], Target(_ASYNC_NAMES[name], operation, pair[1].modules)
        found += pair
    return tuple(found)


TARGETS: Final[tuple[Target, ...]] = (
    *_pair("completion", CHAT),
    *_pair("text_completion", TEXT),
    *_pair("embedding", EMBEDDINGS),
    *_pair("responses", CHAT),
    *_pair("compact_responses", CHAT, "responses.main"),
    *_pair("image_generation", IMAGE),
    *_pair("image_edit", IMAGE),
    *_pair("image_variation", IMAGE),
    *_pair("transcription", TRANSCRIPT),
    *_pair("speech", SPEECH),
    *_pair("rerank", RERANK),
    *_pair("moderation", MODERATION),
    Target("anthropic_messages", CHAT, ("litellm",)),
    Target("anthropic_messages", CHAT, ("litellm.anthropic_interface.messages",), "create"),
    *_pair("generate_content", CONTENT, "google_genai.main"),
    *_pair("generate_content_stream", CONTENT, "google_genai.main"),
    *_pair("create_interaction", CONTENT, "interactions.main", "create"),
    *_pair("video_generation", VIDEO, "videos.main"),
    *_pair("video_remix", VIDEO, "videos.main"),
    *_pair("video_edit", VIDEO, "videos.main"),
    *_pair("video_extension", VIDEO, "videos.main"),
    *_pair("ocr", OCR, "ocr.main"),
    *_pair("search", SEARCH, "search.main"),
    *_pair("decisions", DECISIONS, "decisions.main"),
    *_pair("systemone", DECISIONS, "systemone.main"),
    *_pair("extraction", EXTRACTION, "extraction.main"),
    *_pair("vector_store_search", RETRIEVAL, "vector_stores.main", "search"),
    *_pair("get_responses", FETCH, "responses.main"),
    *_pair("get_interaction", FETCH, "interactions.main", "get"),
    *_pair("create_container", CONTAINER, "containers.main"),
    *_pair("send_message", AGENT, "a2a_protocol.main", provider="a2a_agent"),
    Target("asend_message_streaming", AGENT, (f"{AGENTS}.main",), provider="a2a_agent"),
    *_pair("llm_passthrough_route", PASS_THROUGH, "passthrough.main"),
    *_pair("count_tokens", _without_model("litellm.count_tokens")),
    *(target for row in _MANAGEMENT.strip().splitlines() for target in _managed(row)),
)

# A batch that LiteLLM has priced in the background.
BATCH: Final = Target("aretrieve_batch", BATCH_RESULT)

# WebSocket sessions. Each of their responses is a call.
SESSIONS: Final[tuple[Target, ...]] = (
    Target("_arealtime", CHAT, ("litellm", "litellm.realtime_api.main")),
    Target("_aresponses_websocket", CHAT, ("litellm", "litellm.responses.main")),
)
# A piece of audio that the provider transcribed in a session for transcriptions.
TRANSCRIBED: Final = Target("_arealtime", TRANSCRIPT)
# What LiteLLM charges for the time of a session.
SESSION_TIME: Final = Target("_arealtime", Operation("litellm.session_time", model=False))

TOOL: Final = Operation("execute_tool", model=False)
# A call of an MCP tool by LiteLLM's proxy.
TOOL_CALL: Final = Target("call_mcp_tool", TOOL)

# Requests about a task of an agent, which LiteLLM's proxy forwards: method, name in A2A 1.0.
_TASKS: Final = """
tasks/get                            get_task
tasks/list                           list_tasks
tasks/cancel                         cancel_task
tasks/resubscribe                    subscribe_to_task
tasks/pushNotificationConfig/set     create_task_push_notification_config
tasks/pushNotificationConfig/get     get_task_push_notification_config
tasks/pushNotificationConfig/list    list_task_push_notification_configs
tasks/pushNotificationConfig/delete  delete_task_push_notification_config
agent/getAuthenticatedExtendedCard   get_extended_agent_card
"""
TASKS: Final[Mapping[str, Target]] = {
    method: Target(method, _without_model(f"litellm.{name}"), provider="a2a_agent")
    for method, name in (row.split() for row in _TASKS.strip().splitlines())
}

# All methods of `litellm.Router` run their attempts through this one.
ROUTER: Final = Target(
    s.ROUTER_SPAN, CHAT, ("litellm.router",), "Router.async_function_with_fallbacks"
)
