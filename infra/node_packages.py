"""Nodes of other packages: found by the entry points of the group `linkflow.nodes`, put into the registries at start.

Whatever is wrong with a package stops the process that needs it, and the message names the package: a workflow that
silently lost a node type would be worse.
"""

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NamedTuple

from domain.credential.credential_type import CredentialType
from domain.credential.types import CREDENTIAL_TYPES
from domain.integrations.compiling import compile_integration
from domain.integrations.shape import Integration
from domain.nodes.catalogue import describe
from domain.nodes.node_type import NodeType
from domain.nodes.registry import NODE_TYPES, PACKAGES

GROUP: Final = "linkflow.nodes"
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,99}")


class BrokenNodePackage(Exception):
    """A package that offers nodes cannot be used; the message says which and why."""

    code = "broken_node_package"


class Loaded(NamedTuple):
    """What one entry point offers. `package`: its distribution with version."""

    package: str
    entry_point: str
    node_types: tuple[str, ...]
    credential_types: tuple[str, ...]


def load_node_packages(entries: Iterable[EntryPoint] | None = None) -> list[Loaded]:
    """Load and register everything that installed packages offer, by their names. Once in a process: then it does
    nothing for what is registered already. Raises BrokenNodePackage."""
    found = entry_points(group=GROUP) if entries is None else entries
    return [_load(entry) for entry in sorted(found, key=lambda each: (each.name, each.value))]


def _load(entry: EntryPoint) -> Loaded:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a package without a name"
    where = f"the package {package} (entry point {entry.name} = {entry.value})"
    try:
        offered = entry.load()
    except Exception as error:
        raise BrokenNodePackage(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    node_types: list[str] = []
    credential_types: list[str] = []
    for each in _several(offered):
        if isinstance(each, Integration):
            if each.credential is not None:
                credential_types.append(_add_credential_type(each.credential, where))
            node_types.append(_add_node_type(_compiled(each, where), package, where))
        elif isinstance(each, NodeType):
            node_types.append(_add_node_type(each, package, where))
        elif isinstance(each, CredentialType):
            credential_types.append(_add_credential_type(each, where))
        else:
            raise BrokenNodePackage(
                f"{where} offers {type(each).__name__}; wanted: NodeType, Integration, CredentialType, a list"
            )
    return Loaded(package, entry.name, tuple(node_types), tuple(credential_types))


def _several(offered: Any) -> Sequence[Any]:
    return offered if isinstance(offered, list | tuple) else (offered,)


def _compiled(integration: Integration, where: str) -> NodeType:
    try:
        return compile_integration(integration)
    except ValueError as error:
        raise BrokenNodePackage(f"{where}: {error}") from None


def _add_node_type(node_type: NodeType, package: str, where: str) -> str:
    name = _checked(node_type.type, where)
    there = NODE_TYPES.get(name)
    if there is not None and PACKAGES.get(name) != package:
        owner = PACKAGES.get(name, "LinkFlow itself")
        raise BrokenNodePackage(f"{where}: there is a node type {name!r} already, of {owner}; give it another name")
    try:
        describe(node_type)
    except Exception as error:
        raise BrokenNodePackage(
            f"{where}: the node type {name!r} cannot be bound: {type(error).__name__}: {error}"
        ) from error
    NODE_TYPES[name] = node_type
    PACKAGES[name] = package
    return name


def _add_credential_type(type_: CredentialType, where: str) -> str:
    name = _checked(type_.name, where)
    if CREDENTIAL_TYPES.get(name, type_) is not type_ and CREDENTIAL_TYPES[name] != type_:
        raise BrokenNodePackage(f"{where}: there is a type of credentials {name!r} already; give it another name")
    CREDENTIAL_TYPES[name] = type_
    return name


def _checked(name: str, where: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BrokenNodePackage(f"{where}: {name!r} is no name for a type: lower-case letters, digits, and _ . -")
    return name
