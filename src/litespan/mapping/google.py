"""Reads answers of Google's `generateContent` and Interactions APIs.

https://ai.google.dev/api/generate-content, https://ai.google.dev/api/interactions-api
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from litespan.mapping.usage import Usage, read_usage
from litespan.objects import as_int, as_list, as_text, contents, get

Fields = Mapping[str, Any]
_INTERACTIONS: Final = "litellm.litellm_core_utils.llm_cost_calc.usage_object_transformation"
_ENDED: Final = frozenset(
    {"completed", "failed", "cancelled", "incomplete", "requires_action", "budget_exceeded"}
)
_TERMINAL_EVENTS: Final = frozenset(
    {"interaction.complete", "interaction.completed", "interaction.requires_action"}
)


def is_native(stated: Fields) -> bool:
    """Whether an answer has the shape of `generateContent`."""
    return "candidates" in stated or "usageMetadata" in stated


def normalized(stated: Fields) -> Fields:
    """Return the fields of an answer, also under the names of OpenAI's APIs."""
    return {
        **stated,
        "id": stated.get("responseId") or stated.get("response_id"),
        "model": stated.get("modelVersion") or stated.get("model_version"),
    }


def finish_reasons(stated: Fields) -> tuple[str, ...]:
    """Return the finish reason of each candidate, or why the prompt has none."""
    found = [
        as_text(get(each, "finishReason") or get(each, "finish_reason"))
        for each in as_list(stated.get("candidates"))
    ]
    found = [*found, as_text(get(stated.get("promptFeedback"), "blockReason"))]
    return tuple([reason for reason in found if reason])


def usage(stated: Fields) -> Usage | None:
    """Return the token counts of an answer of either API, as LiteLLM counts them.

    LiteLLM knows which counts include cached tokens, thoughts, tools and modalities, and its
    prices need the same details.
    """
    litellm: Any = sys.modules.get("litellm")
    counted: Any = None
    metadata, stated_usage = stated.get("usageMetadata"), stated.get("usage")
    try:
        if isinstance(metadata, Mapping):
            config = litellm.VertexGeminiConfig
            counted = config._calculate_usage({**stated})  # noqa: SLF001
            _count_searches(config, counted, stated)
        elif isinstance(stated_usage, Mapping) and "total_input_tokens" in stated_usage:
            convert = getattr(
                sys.modules.get(_INTERACTIONS), "InteractionsUsageObjectTransformation", None
            )
            if convert is None:
                counted = {
                    "prompt_tokens": stated_usage.get("total_input_tokens"),
                    "completion_tokens": stated_usage.get("total_output_tokens"),
                }
            else:
                counted = convert.transform_interactions_usage_object({**stated_usage})
    except Exception:  # noqa: BLE001 - a provider may send anything
        return None
    return read_usage(counted)


def _count_searches(config: Any, counted: Any, stated: Fields) -> None:
    """Add the searches of the web and of maps to `counted`, because LiteLLM charges for them."""
    found = [get(each, "groundingMetadata") for each in as_list(stated.get("candidates"))]
    grounding = [each for each in found if isinstance(each, Mapping)]
    if not grounding:
        return
    count = getattr(config, "_set_grounding_usage_counters", None)
    if count is not None:
        count(counted, grounding)
    else:  # older versions of LiteLLM
        searches = config._calculate_web_search_requests(grounding)  # noqa: SLF001
        counted.prompt_tokens_details.web_search_requests = searches


def joined(events: Iterable[Fields]) -> tuple[dict[str, Any], Any, bool]:
    """Return (the answer, its error or None, whether it is complete) of a `generateContent` stream.

    Every event is a partial answer; the last one has the usage.
    """
    answer: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    error: Any = None
    for event in events:
        error = event.get("error") or error
        answer.update({name: value for name, value in event.items() if value is not None})
        for position, each in enumerate(as_list(event.get("candidates"))):
            if not isinstance(each, Mapping):
                continue
            index = as_int(each.get("index"))
            kept = candidates.setdefault(position if index is None else index, {"parts": []})
            parts = contents(each.get("content")).get("parts")
            kept["parts"] += parts if isinstance(parts, list) else []
            kept["reason"] = each.get("finishReason") or kept.get("reason")
            kept["grounding"] = each.get("groundingMetadata") or kept.get("grounding")
    answer["candidates"] = [
        {
            "content": {"role": "model", "parts": _merged(kept["parts"])},
            "finishReason": kept.get("reason"),
            **({"groundingMetadata": kept["grounding"]} if kept["grounding"] else {}),
        }
        for _, kept in sorted(candidates.items())
    ]
    blocked = get(answer.get("promptFeedback"), "blockReason")
    finished = all(kept.get("reason") for kept in candidates.values())
    return answer, error, finished and bool(candidates or blocked)


def _merged(parts: Sequence[Any]) -> list[Any]:
    """Join consecutive texts."""
    merged: list[Any] = []
    for part in parts:
        before: Any = merged[-1] if merged else None
        if _is_text(part) and _is_text(before) and part.get("thought") == before.get("thought"):
            merged[-1] = {**before, "text": before["text"] + part["text"]}
        else:
            merged.append(part)
    return merged


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str) and len(part) <= 2


def interaction(chunks: Sequence[Any]) -> tuple[dict[str, Any], Any, bool]:
    """Return (the interaction, its error or None, whether it has ended) of a stream."""
    found: dict[str, Any] = {}
    texts: list[str] = []
    error: Any = None
    finished = False
    for chunk in chunks:
        event = contents(chunk)
        inner = contents(event.get("interaction")) or event
        kept = ("id", "model", "agent", "status", "usage", "outputs", "steps")
        found.update({name: inner[name] for name in kept if inner.get(name)})
        error = event.get("error") or error
        text = get(event.get("delta"), "text")
        if isinstance(text, str):
            texts.append(text)
        kind, status = as_text(event.get("event_type")), as_text(inner.get("status"))
        finished = finished or kind in _TERMINAL_EVENTS or status in _ENDED
    if texts and not (found.get("outputs") or found.get("steps")):
        found["outputs"] = [{"type": "text", "text": "".join(texts)}]
    return found, error, finished


def interaction_parts(stated: Fields) -> list[Any]:
    """Return the content blocks of an interaction's answer."""
    blocks: list[Any] = []
    for step in as_list(stated.get("steps") or stated.get("outputs")):
        inner = get(step, "content")
        if get(step, "type") in ("user_input", "function_result"):
            continue
        blocks += inner if isinstance(inner, list) else [step]
    return blocks
