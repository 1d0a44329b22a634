"""Who runs the installation: until there are accounts, the keys of the workspace `default`."""

from services.api.principal import Principal
from services.api.problems import Problem
from services.registration import DEFAULT_WORKSPACE, workspace_id_of

_OPERATORS = workspace_id_of(DEFAULT_WORKSPACE)


def is_operator(principal: Principal) -> bool:
    return principal.workspace_id == _OPERATORS


def require_operator(principal: Principal) -> None:
    """Raises Problem 403 `operator_only`."""
    if not is_operator(principal):
        raise Problem(403, "operator_only", "Only the operator of this installation may ask for this.")
