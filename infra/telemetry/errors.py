"""How a failure is told to people: in one line."""

from infra.telemetry.redaction import redact_text


def explain(error: BaseException) -> str:
    """`code: message` of the innermost cause of a group, in one line, secrets hidden."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    code = getattr(error, "code", None)
    name = code if isinstance(code, str) else type(error).__name__
    message = " ".join(str(error).split()) or "no message"
    return redact_text(f"{name}: {message}")
