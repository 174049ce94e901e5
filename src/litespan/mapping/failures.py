"""An exception of a call → `error.type`, its HTTP status, and a text that may leave."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litespan.mapping.request import Request
from litespan.objects import as_int, as_text, get
from litespan.redaction.text import scrub_error

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}")  # of a kind of error, not a text
_CHAIN: Final = 8  # exceptions, from LiteLLM's to the HTTP client's
_CUT_OFF: Final = "Stream ended before a finish_reason was received"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed, as it may be told.

    Attributes:
        type: the exception's class name, the provider's word for what it reports in an answer, or
            `stream_dropped`.
        message: the provider's text: secrets and echoes of content masked, at most 1 KB.
        code: the HTTP status that the provider answered with, if it did.
        error: the exception itself; never leaves the process.
    """

    type: str
    message: str
    code: int | None = None
    error: BaseException | None = None


def read_failure(request: Request, error: BaseException, content: Iterable[str]) -> Failure:
    """What may be told of `error`. `content` is the request's text."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception whose __str__ raises is not ours to judge
        text = ""
    return Failure(
        type=type(error).__name__,
        message=scrub_error(text, request.arguments, content),
        code=http_status(error),
        error=error,
    )


def stated_failure(request: Request, error: Any, content: Iterable[str]) -> Failure:
    """What may leave of an error object in an answer or a stream: the provider's name and text.

    OpenAI names the error in `code`, Anthropic in `type`, Google in `status`.
    """
    names = (as_text(get(error, name)) for name in ("code", "type", "status"))
    kind = next(
        (name for name in names if name and name != "error" and _NAME.fullmatch(name)), None
    )
    code = as_int(get(error, "code"))
    text = error if isinstance(error, str) else as_text(get(error, "message")) or ""
    return Failure(
        type=kind or "provider_error",
        message=scrub_error(text, request.arguments, content),
        code=code if code is not None and 400 <= code < 600 else None,
    )


def is_cut_off(error: BaseException | None) -> bool:
    """Whether LiteLLM says by `error`, as it does since 1.110, that a stream just ended."""
    return _CUT_OFF in str(error)


def http_status(error: Any) -> int | None:
    """The status of the provider's HTTP answer; None where there was no answer.

    LiteLLM gives a status, and a made-up response, to errors that had none, such as a refused
    connection or an argument that it does not take: only headers speak for the provider. It also
    puts another status in the place of some, such as 500 for Anthropic's 529: the one that came
    is in the HTTP client's exception, from which LiteLLM raises its own.
    """
    if not answer_headers(error):
        return None
    cause = error
    for _ in range(_CHAIN):
        response = getattr(cause, "response", None)
        if getattr(response, "headers", None):
            status = as_int(getattr(response, "status_code", None))
            if status is not None:
                return status
        cause = cause.__cause__ or cause.__context__
        if cause is None:
            break
    return as_int(getattr(error, "status_code", None))


def answer_headers(error: Any) -> Mapping[str, str]:
    """The headers of the provider's HTTP answer; none where there was no answer."""
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None)
    return headers if isinstance(headers, Mapping) else {}
