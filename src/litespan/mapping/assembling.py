"""Assembles messages and output items from the deltas of a stream."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from litespan.genai.parts import loads
from litespan.objects import as_int, as_list, contents, get, safe_str


class Assembled:
    """A stream in the shape of a non-streaming response; `choices` is assembled on first use.

    `whole` is the answer that LiteLLM itself assembled, or None.
    """

    def __init__(self, chunks: Sequence[Any], reasons: Mapping[int, str], whole: Any) -> None:
        self.chunks = chunks
        self.whole = whole
        self._reasons = reasons

    def __getattr__(self, name: str) -> Any:
        if name == "choices":
            self.choices = _assemble(self.chunks, self._reasons)
            return self.choices
        if name.startswith("__"):
            raise AttributeError(name)
        return get(self.chunks[-1], name) if self.chunks else None


def _assemble(chunks: Sequence[Any], reasons: Mapping[int, str]) -> list[dict[str, Any]]:
    messages: dict[int, _Message] = {}
    texts: dict[int, list[str]] = {}
    for chunk in plain_texts(chunks):
        if type(chunk) is tuple:
            index, text = chunk
            if index not in texts:
                texts[index] = messages.setdefault(index, _Message()).content
            if text:
                texts[index].append(text)
            continue
        for choice in as_list(get(chunk, "choices")):
            stated = contents(choice)
            index = as_int(stated.get("index")) or 0
            messages.setdefault(index, _Message()).grow(stated)
    return [
        {"message": messages[index].whole(), "finish_reason": reasons.get(index)}
        for index in sorted(messages)
    ]


def plain_texts(chunks: Sequence[Any]) -> list[Any]:
    """Replace the chunks of LiteLLM that are only a text by (index of the choice, text).

    These are nearly all chunks. They are read without function calls, which would take most of the
    time that litespan needs for a stream.
    """
    found: list[Any] = []
    for chunk in chunks:
        found.append(None if type(chunk) is tuple else chunk)  # no provider sends one
        try:
            (choice,) = chunk.__dict__["choices"]
            stated = choice.__pydantic_extra__
            delta = stated["delta"]
            extra = delta.__pydantic_extra__
            text, index = extra["content"], stated["index"]
            plain = type(text) is str and not choice.__dict__
            for fields in (extra, delta.__dict__):
                for name in fields:
                    if fields[name] is not None and name not in _PLAIN_FIELDS:
                        plain = False
        except (AttributeError, KeyError, TypeError, ValueError):
            continue  # another kind of chunk
        if plain:
            found[-1] = (index or 0, text)
    return found


_PLAIN_FIELDS: Final = frozenset({"content", "role"})
_TEXTS: Final = ("content", "reasoning_content", "refusal")
_RESULTS: Final = ("web_search_results", "tool_results")  # each chunk repeats all results so far


class _Message:
    """The message of one choice, assembled from deltas."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {name: [] for name in _TEXTS}
        self._audio: dict[str, list[str]] = {"transcript": [], "data": []}
        self._images: list[Any] = []
        self._results: dict[str, Any] = {}
        self._calls: list[dict[str, Any]] = []
        self._open: dict[int, dict[str, Any]] = {}  # index → last tool call

    @property
    def content(self) -> list[str]:
        """Its texts so far."""
        return self._texts["content"]

    def grow(self, choice: Mapping[str, Any]) -> None:
        """Add the delta of one choice of a chunk."""
        delta = contents(choice.get("delta")) or {"content": choice.get("text")}
        for name in _TEXTS:
            _add(self._texts[name], delta.get(name))
        audio = delta.get("audio")
        if audio:
            for name, texts in self._audio.items():
                _add(texts, get(audio, name))
        self._images += as_list(delta.get("images"))
        extra = contents(delta.get("provider_specific_fields"))
        self._results.update({name: extra[name] for name in _RESULTS if extra.get(name)})
        for call in as_list(delta.get("tool_calls")):
            self._add_call(call, as_int(get(call, "index")) or 0)
        if delta.get("function_call") is not None:  # deprecated form of `tool_calls`
            self._add_call({"function": delta["function_call"]}, 0)

    def _add_call(self, delta: Any, index: int) -> None:
        named = get(delta, "function") or get(delta, "custom")
        identifier, name = get(delta, "id"), get(named, "name")
        call = self._open.get(index)
        if call is None or _another(call, identifier, name):
            call = {"id": identifier, "function": {"name": safe_str(name or ""), "arguments": ""}}
            self._open[index] = call
            self._calls.append(call)
        elif name and name != call["function"]["name"]:  # some repeat it in every chunk
            call["function"]["name"] += safe_str(name)
        call["id"] = call["id"] or identifier
        arguments = get(named, "arguments") or get(named, "input")
        call["function"]["arguments"] += safe_str(arguments or "")

    def whole(self) -> dict[str, Any]:
        """Return the message as in a non-streaming response."""
        audio = {name: "".join(texts) for name, texts in self._audio.items()}
        return {
            "role": "assistant",
            **{name: "".join(texts) or None for name, texts in self._texts.items()},
            "audio": audio if any(audio.values()) else None,
            "images": self._images,
            "provider_specific_fields": self._results,
            "tool_calls": self._calls,
        }


def _add(texts: list[str], text: Any) -> None:
    if text:
        texts.append(safe_str(text))


def _another(call: Mapping[str, Any], identifier: Any, name: Any) -> bool:
    """Whether a delta starts another tool call although it has the index of `call`."""
    if identifier and call["id"]:
        return bool(identifier != call["id"])
    so_far = call["function"]["arguments"]  # parsed only if it may be whole: it may grow for long
    return bool(name) and so_far.rstrip().endswith("}") and isinstance(loads(so_far), dict)


def kind_of(event: Any) -> str:
    """Return the type of an event, which LiteLLM may have as an enum; "" if it has none."""
    kind = get(event, "type")
    return safe_str(getattr(kind, "value", kind) or "")


# Responses API delta kinds → the field they append to, unless it is text.
_FIELDS: Final = {
    "function_call_arguments": "arguments",
    "mcp_call_arguments": "arguments",
    "custom_tool_call_input": "input",
    "code_interpreter_call_code": "code",
}


def items(events: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the output items that a Responses API stream has delivered."""
    found: dict[int, dict[str, Any]] = {}
    done: set[int] = set()
    grown: dict[tuple[int, str, int], list[str]] = {}
    for each in events:
        event = contents(each)
        kind = kind_of(event).removeprefix("response.")
        index = as_int(event.get("output_index")) or 0
        if event.get("item") is not None:
            found[index] = dict(contents(event["item"]))
            if kind == "output_item.done":
                done.add(index)
        elif isinstance(event.get("delta"), str) and kind.endswith(".delta"):
            at = as_int(event.get("content_index") or event.get("summary_index")) or 0
            grown.setdefault((index, kind[: -len(".delta")], at), []).append(event["delta"])
    for (index, kind, _), texts in grown.items():
        if index not in done:
            _fill(found.setdefault(index, {}), kind, "".join(texts))
    return [found[index] for index in sorted(found)]


def _fill(item: dict[str, Any], kind: str, text: str) -> None:
    if kind in _FIELDS:
        item.setdefault("type", kind.rpartition("_")[0])
        item[_FIELDS[kind]] = text
    elif kind.startswith("reasoning"):
        item.setdefault("type", "reasoning")
        item["summary"] = [*as_list(item.get("summary")), {"type": "summary_text", "text": text}]
    elif kind in ("output_text", "refusal"):
        item.update({"type": "message", "role": "assistant"})
        item["content"] = [*as_list(item.get("content")), {"type": "output_text", "text": text}]


def anthropic_message(events: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], Any, bool]:
    """Return (the message, its error or None, whether it is complete) of a Messages API stream."""
    message: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    finished = False
    error: Any = None
    for event in events:
        kind = event.get("type")
        index = as_int(event.get("index")) or 0
        error = error or event.get("error")
        if kind == "message_start":
            message = {**contents(event.get("message"))}
            usage.update(contents(message.get("usage")))
        elif kind == "content_block_start":
            blocks[index] = {**contents(event.get("content_block"))}
        elif kind == "content_block_delta":
            _grow(blocks.setdefault(index, {}), contents(event.get("delta")))
        elif kind == "message_delta":
            message.update(contents(event.get("delta")))
            stated = contents(event.get("usage"))
            usage.update({name: count for name, count in stated.items() if count is not None})
        finished = finished or kind == "message_stop"
    for block in blocks.values():
        if written := block.pop("json", None):
            block["input"] = loads(written)
    message["content"] = [blocks[index] for index in sorted(blocks)]
    return {**message, "usage": usage}, error, finished


_GROWING: Final = {
    "input_json_delta": ("json", "partial_json"),
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "compaction_delta": ("content", "content"),
}
"""Type of a delta → the field of its block that it extends, and its own field."""


def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    name, field = _GROWING.get(safe_str(delta.get("type")), ("", ""))
    if name:
        if name != "json":
            block["type"] = block.get("type") or name
        block[name] = safe_str(block.get(name) or "") + safe_str(delta.get(field) or "")
