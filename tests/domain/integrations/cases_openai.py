"""OpenAI: requests and answers as on the pages https://platform.openai.com/docs/api-reference/…."""

from typing import Any

from tests.domain.integrations.table import Case, http

API = "https://api.openai.com/v1"
MESSAGES = [{"role": "developer", "content": "You are a helpful assistant."}, {"role": "user", "content": "Hello!"}]
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion",
    "created": 1741569952,
    "model": "gpt-5.4",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello! How can I assist you today?", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
}
EMBEDDING = {"object": "embedding", "embedding": [0.0023064255, -0.009327292], "index": 0}
MODERATION = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.8599265510337075}}
MODEL = {"id": "gpt-5.4", "object": "model", "created": 1686935002, "owned_by": "openai"}


def chat(status: int, error: dict[str, Any], failure: tuple[str, bool | float], headers: dict[str, str]) -> Case:
    return http(
        "chat.complete",
        {"model": "m", "messages": MESSAGES},
        f"POST {API}/chat/completions",
        {"model": "m", "messages": MESSAGES},
        status=status,
        answer={"error": error},
        answer_headers=headers,
        failure=failure,
    )


CASES: tuple[Case, ...] = (
    http(
        "chat.complete",
        {"model": "gpt-5.4", "messages": [MESSAGES[0], {"role": "user", "content": "{{ $json.said }}"}]},
        f"POST {API}/chat/completions",
        {"model": "gpt-5.4", "messages": MESSAGES},
        item={"said": "Hello!"},
        answer=COMPLETION,
        items=[{**COMPLETION, "text": "Hello! How can I assist you today?"}],
    ),
    http(
        "chat.complete",
        {
            "model": "gpt-5.4",
            "messages": MESSAGES,
            "temperature": 0.2,
            "top_p": 1,
            "max_completion_tokens": 100,
            "n": 1,
            "stop": ["\n"],
            "response_format": {"type": "json_object"},
            "tools": [{"type": "function", "function": {"name": "get_current_weather"}}],
            "tool_choice": "auto",
            "seed": 7,
            "reasoning_effort": "low",
            "more": {"store": False},
        },
        f"POST {API}/chat/completions",
        {
            "model": "gpt-5.4",
            "messages": MESSAGES,
            "temperature": 0.2,
            "top_p": 1,
            "max_completion_tokens": 100,
            "n": 1,
            "stop": ["\n"],
            "response_format": {"type": "json_object"},
            "tools": [{"type": "function", "function": {"name": "get_current_weather"}}],
            "tool_choice": "auto",
            "seed": 7,
            "reasoning_effort": "low",
            "store": False,
        },
        answer={**COMPLETION, "choices": []},
        items=[{**COMPLETION, "choices": [], "text": None}],
    ),
    chat(
        401,
        {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"},
        ("unauthorized", False),
        {},
    ),
    chat(
        429,
        {"message": "Rate limit reached for requests", "type": "requests", "code": "rate_limit_exceeded"},
        ("rate_limited", 361.5),
        {"x-ratelimit-reset-requests": "6m1.5s"},
    ),
    chat(
        429,
        {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"},
        ("forbidden", False),
        {},
    ),
    chat(503, {"message": "That model is overloaded", "type": "server_error", "code": None}, ("unavailable", True), {}),
    http(
        "embedding.create",
        {
            "input": "The food was delicious and the waiter...",
            "model": "text-embedding-ada-002",
            "encoding_format": "float",
            "dimensions": 2,
        },
        f"POST {API}/embeddings",
        {
            "input": "The food was delicious and the waiter...",
            "model": "text-embedding-ada-002",
            "encoding_format": "float",
            "dimensions": 2,
        },
        answer={"object": "list", "data": [EMBEDDING], "model": "text-embedding-ada-002", "usage": {"total_tokens": 8}},
        items=[EMBEDDING],
    ),
    http(
        "moderation.create",
        {"input": "...text to classify goes here...", "model": "omni-moderation-latest"},
        f"POST {API}/moderations",
        {"input": "...text to classify goes here...", "model": "omni-moderation-latest"},
        answer={"id": "modr-970d409ef3bef3b70c73d8232df86e7d", "results": [MODERATION]},
        items=[MODERATION],
    ),
    http("model.list", {}, f"GET {API}/models", answer={"object": "list", "data": [MODEL]}, items=[MODEL]),
    http("model.get", {"model": "gpt-5.4"}, f"GET {API}/models/gpt-5.4", answer=MODEL, items=[MODEL]),
)
