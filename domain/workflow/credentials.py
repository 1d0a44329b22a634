"""Which credential a node names. Whether it exists and fits is known outside: at save, and again when it is opened."""

from domain.effects import CredentialRef
from domain.nodes.node_type import NodeType
from domain.workflow.document import NodeDocument
from domain.workflow.fields import Problems


def credential_of(node: NodeDocument, node_type: NodeType, path: str, problems: Problems) -> CredentialRef | None:
    """The credential of `node`, given as an id or as `{type: id}`; everything wrong with it is noted."""

    def refuse(message: str) -> None:
        problems.add(f"{path}.credentials", f"node {node.id!r}: {message}")

    accepts = list(node_type.credential_types)
    given = node.credentials
    if not given:
        if node_type.credential_required:
            refuse(f"{node.type!r} needs a credential of type {' or '.join(accepts)}; give its id in 'credentials'")
        return None
    if not accepts:
        refuse(f"{node.type!r} uses no credential; leave 'credentials' out")
        return None
    if isinstance(given, str):
        return CredentialRef(given, accepts)
    if len(given) != 1:
        refuse("give one credential: its id, or {type: id}")
        return None
    (named, credential_id), *_ = given.items()
    if named not in accepts and "http" not in accepts:
        refuse(f"{node.type!r} takes credentials of type {', '.join(accepts)}, not {named!r}")
        return None
    return CredentialRef(credential_id, [named])
