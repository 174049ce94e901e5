"""Reads the answer of a finished call when its span or its metrics are read.

Reading takes a third of the time of a call, and exporters and metrics have threads of their own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from litespan.background.deferred import Deferred
from litespan.errors import record_error
from litespan.instrumentation.call_end import (
    add_outcome,
    answered_attributes,
    post_attributes,
    success_attributes,
)
from litespan.instrumentation.recorded_content import ON_LOG, record_content
from litespan.instrumentation.span import CallSpan
from litespan.instrumentation.state import CallState
from litespan.mapping.answer_copy import AnswerCopy, copy_answer
from litespan.mapping.request import Attributes
from litespan.mapping.response import read_answer


class UnreadAnswer(NamedTuple):
    """The answer of a successful call that is read later; the payload of its success stage.

    Attributes:
        raw: LiteLLM's result object.
        attributes: the span attributes at the end of the call.
        post: the attributes of the post-call stage, empty until `attributes` are computed.
        success: the attributes of the success stage, also empty until then.
    """

    raw: Any
    attributes: Deferred[Attributes]
    post: Attributes
    success: Attributes

    @property
    def cache_hit(self) -> bool:
        """False: an answer from LiteLLM's response cache is read at once."""
        return False


def defer_answer(call: CallState, raw: Any, hidden: Mapping[str, Any]) -> UnreadAnswer | None:
    """Have the span of `call` read a copy of the answer `raw` later, and record its content now.

    Return None if the answer must be read now: it cannot be copied, or log events, the conventions
    v0.1.0 or a redactor need its attributes at the end of the call.
    """
    signals, span = call.signals, call.span
    if (
        type(span) is not CallSpan
        or signals.stages_on_log
        or signals.generation.new
        or call.inner_calls
        or call.uncached_answer is not None
        or (
            call.record_content
            and (signals.redactor is not None or signals.settings.content in ON_LOG)
        )
    ):
        return None
    try:
        copied = copy_answer(call.request, raw, hidden, call.logging)
    except Exception:  # noqa: BLE001 - an unusual object, which is read now
        return None
    if copied is None:
        return None
    if call.record_content:
        content: Attributes = {}
        record_content(call, content, raw)
        if content:
            span.keep(content)
    answer = DeferredAnswer(call, copied)
    attributes = Deferred(answer.read, 0)
    if not span.defer("_answer", attributes):
        return None
    return UnreadAnswer(raw, attributes, answer.post, answer.success)


class DeferredAnswer(CallState):
    """The parts of a successful call that its answer is read with, without content.

    It fills `post` and `success`, which the span's events share.
    """

    ended = True

    def __init__(self, call: CallState, copied: AnswerCopy) -> None:
        self._fields, self._hidden, self.logging = copied
        self.request = call.request.without_arguments()
        self.called_url = call.called_url
        self.post: Attributes = {}
        self.success: Attributes = {}

    def read(self) -> Attributes:
        """Return the span attributes, and add those of the stages. Never raises."""
        attributes: Attributes = {}
        try:
            post = post_attributes(self._hidden)
            answer = read_answer(self.request, self._fields, self._hidden)
            attributes = answered_attributes(self, answer, post)
            self.post.update(post)
            self.success.update(success_attributes(attributes))
        except Exception as error:  # noqa: BLE001 - an exporter gets the rest of the span
            record_error("reading a result", error)
        add_outcome(self, "success", attributes)
        return attributes
