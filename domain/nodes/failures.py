"""How a node says that a run, or one of its items, failed."""

from domain.errors import DomainError


class NodeFailure(DomainError):
    """A run, or one item of it, failed. `retriable`: another try may succeed, not before `retry_after_seconds`.

    `status`: the HTTP status that came back, if one did.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retriable: bool = False,
        retry_after_seconds: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retriable = retriable
        self.retry_after_seconds = retry_after_seconds
        self.status = status


BAD_PARAMETER = "bad_parameter"
