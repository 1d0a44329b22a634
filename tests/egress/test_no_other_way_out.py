"""There is one way out: raw clients and sockets stand in named places only, each with its reason."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "schemas", "projections", "infra", "services", "linkflow")

CLIENTS = {
    "aiohttp": {"ClientSession", "TCPConnector", "UnixConnector", "request"},
    "asyncio": {"open_connection", "open_unix_connection"},
    "asyncpg": {"connect", "create_pool"},
    "socket": {"create_connection", "socket", "socketpair", "fromfd"},
}
"""Names of modules that open connections."""
MODULES = frozenset(
    {
        "aioredis", "aiosmtplib", "ftplib", "http.client", "httpcore", "httpcore2", "httpx", "httpx2", "imaplib",
        "nntplib", "paramiko", "poplib", "psycopg", "psycopg2", "redis", "requests", "smtplib", "telnetlib",
        "urllib.request", "urllib3", "websocket", "websockets", "xmlrpc.client",
    }
)  # fmt: skip
"""Modules that are clients as a whole."""
METHODS = frozenset({"create_connection", "sock_connect", "create_datagram_endpoint", "create_unix_connection"})
"""Methods of event loops that connect, whatever the loop is called."""

ALLOWED = {
    "infra/egress/connector.py": {"aiohttp.ClientSession", "aiohttp.TCPConnector", "socket.socket"},
    "infra/egress/guard.py": {"asyncio.open_connection", "socket.socket", "sock_connect"},
    "infra/log/postgres_connection.py": {"asyncpg.connect"},
    "infra/postgres/migrate.py": {"asyncpg.connect"},
    "infra/postgres/pool.py": {"asyncpg.connect", "asyncpg.create_pool"},
    "infra/sandbox/inside/zygote.py": {"socket.socket"},  # handed down by its parent
    "infra/sandbox/zygote.py": {"asyncio.open_connection", "socket.socket", "socket.socketpair"},  # to its own children
    "services/worker/effects/mail.py": {"aiosmtplib"},  # on a socket of the guard's
    "services/worker/effects/sql.py": {"asyncpg.connect"},  # to an address that the guard judged
    "services/cli/access.py": {"http.client"},  # this machine's API
    "services/cli/health.py": {"asyncio.open_connection"},  # whether it listens
    "services/cli/up.py": {"socket.socket"},  # whether its port is free
}
"""File → what it may use: LinkFlow's own connections, to addresses from its settings, and the guard itself."""


def uses(source: str) -> set[str]:
    """The raw clients that a module names, be it in an annotation."""
    found: set[str] = set()
    names: dict[str, str] = {}
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name] = alias.name
                found |= _client_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found |= _client_module(f"{node.module}.{alias.name}")
                if alias.name in CLIENTS.get(node.module, ()):
                    found.add(f"{node.module}.{alias.name}")
    for node in nodes:
        if isinstance(node, ast.Attribute):
            if node.attr in METHODS:
                found.add(node.attr)
            if isinstance(node.value, ast.Name):
                module = names.get(node.value.id, node.value.id)
                if node.attr in CLIENTS.get(module, ()):
                    found.add(f"{module}.{node.attr}")
    return found


def _client_module(name: str) -> set[str]:
    return {client for client in MODULES if name == client or name.startswith(client + ".")}


def test_raw_clients_stand_in_named_places_only() -> None:
    wrong = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            extra = uses(path.read_text(encoding="utf-8")) - ALLOWED.get(name, set())
            if extra:
                wrong[name] = sorted(extra)
    assert not wrong, "connections that pass by the egress guard (infra/egress): " + repr(wrong)


def test_the_list_of_places_is_not_longer_than_needed() -> None:
    unused = {}
    for name, allowed in ALLOWED.items():
        path = ROOT / name
        left = allowed - uses(path.read_text(encoding="utf-8")) if path.exists() else allowed
        if left:
            unused[name] = left
    assert not unused


def test_the_lint_finds_what_it_should() -> None:
    for line in (
        "import aiohttp\naiohttp.ClientSession()",
        "import aiohttp as a\na.ClientSession()",
        "from aiohttp import ClientSession",
        "import httpx",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import urllib.request as r",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "from socket import create_connection",
        "loop.create_connection(x, 'a', 1)",
        "import asyncpg\nasyncpg.connect('x')",
        "import smtplib",
        "import redis.asyncio as redis",
    ):
        assert uses(line), line
    assert not uses("from urllib.parse import urlsplit\nimport socket\nsocket.gethostname()")
