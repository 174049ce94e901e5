"""OpenAI's embeddings, images, audio, videos, moderations; rerank, OCR and search.

https://platform.openai.com/docs/api-reference, https://docs.cohere.com/v1/reference/rerank,
https://docs.mistral.ai/api/#tag/ocr, https://docs.perplexity.ai/api-reference/search-post
"""

import base64
import struct
from typing import Any, Final

from litespan.testing.provider import replies as r

PNG: Final = base64.b64decode(  # one transparent pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MP3: Final = b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x00" * 64
CATEGORIES: Final = ("harassment", "hate", "self-harm", "sexual", "violence")


def embeddings(request: r.Request) -> r.Reply:
    """One vector per input, as floats or base64-encoded float32."""
    inputs = request.body.get("input", "")
    one = isinstance(inputs, str) or (bool(inputs) and isinstance(inputs[0], int))
    count = 1 if one else len(inputs)
    size = int(request.body.get("dimensions") or 8)
    as_text = request.body.get("encoding_format") == "base64"
    items: list[r.Json] = []
    for index in range(count):
        vector = [(index + 1) / (position + 2) for position in range(size)]
        packed = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        value: Any = packed if as_text else vector
        items.append({"object": "embedding", "index": index, "embedding": value})
    answer: r.Json = {"object": "list", "data": items, "model": request.model}
    if request.behaviour.usage:
        tokens = request.behaviour.input_tokens
        answer["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return r.as_json(answer)


def images(request: r.Request) -> r.Reply:
    """Generated, edited or varied images: a URL from DALL·E, base64 and usage from GPT Image."""
    count = int(request.body.get("n") or 1)
    if not request.model.startswith("gpt-image"):
        url = "https://images.invalid/loopback.png"
        return r.as_json({"created": r.CREATED, "data": [{"url": url} for _ in range(count)]})
    behaviour = request.behaviour
    usage = {
        "input_tokens": behaviour.input_tokens,
        "input_tokens_details": {"text_tokens": behaviour.input_tokens, "image_tokens": 0},
        "output_tokens": behaviour.output_tokens,
        "total_tokens": behaviour.input_tokens + behaviour.output_tokens,
    }
    image = {"b64_json": base64.b64encode(PNG).decode()}
    answer: r.Json = {"created": r.CREATED, "data": [image for _ in range(count)]}
    return r.as_json(answer | ({"usage": usage} if behaviour.usage else {}))


def transcriptions(request: r.Request) -> r.Reply:
    """The transcript in the requested response format."""
    text, kind = request.behaviour.answer(), request.body.get("response_format", "json")
    if kind == "text":
        return r.Body(f"{text}\n".encode(), "text/plain; charset=utf-8")
    if kind == "verbose_json":
        segment = {"id": 0, "start": 0.0, "end": 2.5, "text": text}
        spoken = {"task": "transcribe", "language": "english", "duration": 2.5}
        return r.as_json({**spoken, "text": text, "segments": [segment]})
    return r.as_json({"text": text})


def speech(request: r.Request) -> r.Reply:
    """A short, silent piece of audio."""
    return r.Body(MP3, "audio/mpeg")


def moderations(request: r.Request) -> r.Reply:
    """One result per input: nothing is flagged."""
    inputs = request.body.get("input", "")
    result = {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": dict.fromkeys(CATEGORIES, 0.001),
    }
    count = 1 if isinstance(inputs, str) else len(inputs)
    model = request.model or "omni-moderation-latest"
    return r.as_json({"id": "modr-loopback", "model": model, "results": [result] * count})


def rerank(request: r.Request) -> r.Reply:
    """The documents in input order with falling scores; Cohere bills units, Jina tokens."""
    documents = request.body.get("documents") or []
    top = min(int(request.body.get("top_n") or len(documents)), len(documents))
    results = [{"index": i, "relevance_score": round(0.9 - i / 10, 2)} for i in range(top)]
    if request.model.startswith("jina"):
        usage = {"total_tokens": request.behaviour.input_tokens}
        return r.as_json(
            {"model": request.model, "object": "list", "usage": usage, "results": results}
        )
    billed = {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}}
    return r.as_json({"id": "rerank-loopback", "results": results, "meta": billed})


def ocr(request: r.Request) -> r.Reply:
    """Three pages."""
    pages: list[r.Json] = [
        {"index": index, "markdown": request.behaviour.text, "images": [], "dimensions": None}
        for index in range(3)
    ]
    used = {"pages_processed": len(pages), "doc_size_bytes": 1000}
    return r.as_json({"pages": pages, "model": request.model, "usage_info": used})


def search(request: r.Request) -> r.Reply:
    """Two results of a web search."""
    found = [
        {"title": f"Title {n}", "url": f"https://example.com/{n}", "snippet": "A snippet."}
        for n in (1, 2)
    ]
    return r.as_json({"id": "search-loopback", "results": found})


def vector_store_search(request: r.Request) -> r.Reply:
    """Two documents with falling scores."""
    found = [
        {
            "file_id": f"file-{number}",
            "filename": f"{number}.txt",
            "score": 1 - number / 10,
            "attributes": {},
            "content": [{"type": "text", "text": f"Text of file {number}."}],
        }
        for number in (1, 2)
    ]
    page = {"object": "vector_store.search_results.page", "has_more": False, "next_page": None}
    return r.as_json({**page, "search_query": [str(request.body.get("query"))], "data": found})


def video(request: r.Request) -> r.Reply:
    """A video: queued when created, completed when fetched."""
    fetched = request.method == "GET"
    answer = {
        "id": r.id_in_path(request) if fetched else "video_loopback",
        "object": "video",
        "created_at": r.CREATED,
        "status": (request.behaviour.finish or "completed") if fetched else "queued",
        "model": request.model or "sora-2",
        "seconds": str(request.body.get("seconds") or 4),
        "size": "720x1280",
        "progress": 100 if fetched else 0,
    }
    return r.as_json(answer)


def binary(_request: r.Request) -> r.Reply:
    """Bytes that are not text."""
    return r.Body(bytes(range(256)), "application/octet-stream")
