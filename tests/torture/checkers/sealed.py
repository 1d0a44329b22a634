"""C17 and C18: two workspaces with canaries; API keys and credentials as secrets."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

from tests.torture.evidence import Evidence, Verdict, verdict
from tests.torture.facts import start_of
from tests.torture.workflows import parent_of, secret_of, shown


def tenant_sealed(evidence: Evidence) -> Verdict:
    """Every stream, call, list and read carries its own workspace's canary and no other."""
    wrong: list[str] = []
    canaries = set(evidence.keys)
    owner: dict[str, str] = {}
    workspaces: dict[str, str] = {}
    streams = evidence.facts.executions()
    for execution, events in streams.items():
        canary = owner[execution] = start_of(events)[1]
        for workspace in {event.commit.value["workspace"] for event in events}:
            if (theirs := workspaces.setdefault(workspace, canary)) != canary:
                wrong += [f"{execution} of {canary} lies in the workspace of {theirs}"]
        text = json.dumps([event.data for event in events])
        wrong += [f"{execution} of {canary} holds {each}" for each in canaries - {canary} if each in text]
    credentials = {canary: shown(f"Bearer {secret_of(key)}") for canary, key in evidence.keys.items()}
    sent = {each["key"]: each["canary"] for each in evidence.history if each["op"] == "start"}
    sent |= {each["key"]: each["canary"] for each in evidence.letters if each["op"] == "put"}
    for request in (each for each in evidence.sink if each["what"] == "in"):
        key = request["key"]
        if request["canary"] != sent.get(parent_of(key) if key.startswith("child-") else key):
            wrong.append(f"a call for {request['key']} carried {request['canary']}")
        if request.get("credential", credentials.get(request["canary"])) != credentials.get(request["canary"]):
            wrong.append(f"a call for {request['key']} carried another credential than that of {request['canary']}")
    for canary, ids in evidence.lists.items():
        wrong += [
            f"the list of {canary} shows {each} of {owner.get(each)}" for each in ids if owner.get(each) != canary
        ]
    foreign = [each for each in evidence.polls if each["foreign"]]
    wrong += [f"{each['execution']} was shown to another workspace" for each in foreign if each["status"] == 200]
    return verdict("C17 tenant_sealed", len(streams) + len(foreign), wrong, f"{len(foreign)} reads with the wrong key")


def no_secret_leak(evidence: Evidence) -> Verdict:
    """No API key and no credential's secret in any spelling in records, rows, logs of the processes, calls."""
    secrets = [
        (f"the {what} of {canary}", secret)
        for canary, key in evidence.keys.items()
        for what, secret in (("key", key), ("credential", secret_of(key)))
    ]
    wrong = [
        f"{whose} stands in {name} ({how})"
        for name, content in evidence.haystacks.items()
        for whose, secret in secrets
        for how, spelling in _spellings(secret)
        if spelling in content
    ]
    size = sum(len(content) for content in evidence.haystacks.values())
    return verdict("C18 no_secret_leak", len(evidence.haystacks), wrong, f"{size / 1e6:.0f} MB searched")


def _spellings(secret: str) -> Iterator[tuple[str, bytes]]:
    plain = secret.encode()
    yield "plain", plain
    yield "hex", plain.hex().encode()
    yield "url", quote(secret, safe="").encode()
    for shift in range(3):
        # Base64 of a text that holds the secret somewhere: what its neighbours do not change
        whole = base64.b64encode(b"\0" * shift + plain)
        yield f"base64+{shift}", whole[-(-shift * 4 // 3) + 1 : -4]
