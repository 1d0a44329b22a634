"""OpenAI's API, and every endpoint that speaks it: chat completions, embeddings, moderations, models.

The address of another endpoint stands in the credential. Answers are not streamed. A completion is asked for again
after a crash: it changes nothing, it only costs again.
Errors: https://platform.openai.com/docs/guides/error-codes
Limits: https://platform.openai.com/docs/guides/rate-limits
"""

from typing import Any

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.answers import at
from domain.integrations.errors import FORBIDDEN, UNAUTHORIZED, Errors
from domain.integrations.servers import address_of_api
from domain.integrations.shape import Integration, Operation, body, get, more, path, post
from domain.nodes.node_type import MAIN, Example

_API = "https://api.openai.com/v1"
_DOCS = "https://platform.openai.com/docs/api-reference/"

OPENAI_CREDENTIAL = CredentialType(
    "openai",
    "OpenAI",
    "An API key of OpenAI, or of any endpoint that speaks its API.",
    (
        CredentialField("api_key", "API key", secret=True, required=True, docs="Any text where none is needed."),
        address_of_api(_API, "Up to and with its version, such as http://127.0.0.1:11434/v1."),
    ),
    HttpAuth(headers={"Authorization": "Bearer {api_key}"}, service=(_API, "base_url")),
    http_test("{base_url}/models"),
)


def _with_text(answer: Any) -> list[Any]:
    """The answer, with the first choice's text where expressions find it easily."""
    text = at(answer, "choices.0.message.content")
    return [{**answer, "text": text} if isinstance(answer, dict) else answer]


OPERATIONS = (
    Operation(
        "complete",
        "Complete a chat",
        "Asks a model for the next message. `text` is the first choice's text; all that the API answers is beside it.",
        post("/chat/completions"),
        (
            body("model", docs="The model's id.", required=True),
            body(
                "messages",
                "list",
                docs='The chat so far: objects such as {"role": "user", "content": "…"}; roles: developer, system, '
                "user, assistant, tool.",
                required=True,
            ),
            body("temperature", "number", docs="How varied the answers are, 0 to 2.", minimum=0, maximum=2),
            body("top_p", "number", docs="Choose among the likeliest tokens with this share.", minimum=0, maximum=1),
            body("max_completion_tokens", "integer", docs="At most so many tokens.", minimum=1),
            body("n", "integer", docs="How many choices.", minimum=1),
            body("stop", "any", docs="Texts before which it stops: one or a list."),
            body("response_format", "object", docs='The form of the answer, such as {"type": "json_object"}.'),
            body("tools", "list", docs="The functions that the model may ask to call."),
            body("tool_choice", "any", docs="Which of them it must ask for."),
            body("seed", "integer", docs="The same seed makes similar answers."),
            body("reasoning_effort", docs="How long it thinks.", choices=("none", "minimal", "low", "medium", "high")),
            more("Further fields, such as those of compatible endpoints (`max_tokens`, …)."),
        ),
        resource="chat",
        effect="read",
        items=_with_text,
        source=_DOCS + "chat/create",
    ),
    Operation(
        "create",
        "Make embeddings",
        "Turns texts into vectors, one item each: `index`, `embedding`.",
        post("/embeddings"),
        (
            body("model", docs="The model's id.", required=True),
            body("input", "any", docs="A text or a list of texts.", required=True),
            body("dimensions", "integer", docs="How long the vectors are.", minimum=1),
            body("encoding_format", docs="Numbers or Base64.", choices=("float", "base64")),
            more(),
        ),
        resource="embedding",
        effect="read",
        items="data[]",
        source=_DOCS + "embeddings/create",
    ),
    Operation(
        "create",
        "Moderate texts",
        "Says whether texts are harmful, and in which way: one item each.",
        post("/moderations"),
        (
            body("input", "any", docs="A text, a list of texts, or a list of text and image parts.", required=True),
            body("model", docs="The model's id."),
        ),
        resource="moderation",
        effect="read",
        items="results[]",
        source=_DOCS + "moderations/create",
    ),
    Operation(
        "list",
        "List models",
        "The models that the credential can use, one item each.",
        get("/models"),
        resource="model",
        items="data[]",
        source=_DOCS + "models/list",
    ),
    Operation(
        "get",
        "Get a model",
        "One model.",
        get("/models/{model}"),
        (path("model", docs="The model's id."),),
        resource="model",
        source=_DOCS + "models/retrieve",
    ),
)

OPENAI = Integration(
    "openai",
    "OpenAI",
    "Completes chats, makes embeddings and moderates texts, at OpenAI or at any endpoint that is compatible with it.",
    OPERATIONS,
    credential=OPENAI_CREDENTIAL,
    base_url=_API,
    errors=Errors(
        code=("error.code", "error.type"),
        message=("error.message", "message"),
        codes={
            "invalid_api_key": UNAUTHORIZED,
            # a 429 that no waiting mends
            "insufficient_quota": FORBIDDEN,
        },
        reset=("retry-after", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"),
    ),
    timeout_seconds=120.0,
    examples=(
        Example(
            "Sums up each mail in a sentence.",
            {
                "resource": "chat",
                "operation": "complete",
                "model": "gpt-5-mini",
                "messages": [
                    {"role": "developer", "content": "Sum up in one sentence."},
                    {"role": "user", "content": "{{ $json.mail }}"},
                ],
            },
            [{"mail": "The train was late, but we came in time."}],
            {
                MAIN: [
                    {
                        "id": "chatcmpl-1",
                        "choices": [{"index": 0, "message": {"role": "assistant", "content": "All went well."}}],
                        "text": "All went well.",
                    }
                ]
            },
            answer={
                "status": 200,
                "body": {
                    "id": "chatcmpl-1",
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "All went well."}}],
                },
            },
        ),
    ),
)
