"""`linkflow credentials`: over the HTTP API, as any client would. Secrets are asked for or read from stdin, never taken
from the command line, where every process of the machine could read them."""

import json
import sys
from typing import Annotated, Any

import typer

from services.cli.access import request, segment
from services.cli.output import Json, console, messages, print_json, print_more, print_table, short_time

app = typer.Typer(help="Credentials: list, show, create, change, try out, connect.", no_args_is_help=True)

BASE = "/api/v1/credentials"
CredentialId = Annotated[str, typer.Argument(help="Id of the credential.")]
Fields = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="FIELD=VALUE", help="A field that is not secret; repeat it.")
]
FromStdin = Annotated[
    bool, typer.Option("--stdin", help="Read secret fields from stdin: a JSON object, or the value if there is one.")
]


@app.command("types")
def list_types(as_json: Json = False) -> None:
    """List the types of credentials with their fields (* needed, ! secret)."""
    page = request("GET", "/api/v1/credential-types")
    if as_json:
        print_json(page)
        return
    print_table(["type", "title", "fields"], [[each["type"], each["title"], _marked(each)] for each in page["items"]])


@app.command("list")
def list_credentials(
    type_: Annotated[str | None, typer.Option("--type", "-t", help="Only those of this type.")] = None,
    name: Annotated[str | None, typer.Option(help="Only those with this in their name.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind a page (its next_cursor).")] = None,
    as_json: Json = False,
) -> None:
    """List credentials, newest first."""
    page = request("GET", BASE, query={"type": type_, "name": name, "limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    columns = ["id", "name", "type", "last used", "last test"]
    rows = [
        [each["id"], each["name"], each["type"], short_time(each["last_used_at"]), _verdict(each["last_test"])]
        for each in page["items"]
    ]
    print_table(columns, rows, empty="no credentials")
    print_more(page)


@app.command("show")
def show(credential_id: CredentialId, as_json: Json = False) -> None:
    """Show a credential: its plain fields, which secrets are set, and who uses it."""
    _print(request("GET", f"{BASE}/{segment(credential_id)}"), as_json)


@app.command("create")
def create(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="Its type (linkflow credentials types).")],
    name: Annotated[str, typer.Argument(help="Its name.")],
    fields: Fields = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    from_stdin: FromStdin = False,
    as_json: Json = False,
) -> None:
    """Create a credential. Secret fields are asked for, or come by stdin."""
    described = request("GET", f"/api/v1/credential-types/{segment(type_)}")
    needed = set(described["schema"]["required"])
    data = _plain(fields) | _secrets(described, needed, from_stdin)
    body = {"name": name, "type": type_, "description": description, "data": data}
    _print(request("POST", BASE, body=body), as_json)


@app.command("update")
def update(
    credential_id: CredentialId,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    fields: Fields = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    secrets: Annotated[
        list[str] | None, typer.Option("--secret", metavar="FIELD", help="Ask for a new value of this secret field.")
    ] = None,
    from_stdin: FromStdin = False,
    as_json: Json = False,
) -> None:
    """Change a credential. What is not given stays, secrets too."""
    there = request("GET", f"{BASE}/{segment(credential_id)}")
    described = request("GET", f"/api/v1/credential-types/{segment(there['type'])}")
    data = there["data"] | _plain(fields) | _secrets(described, set(secrets or ()), from_stdin)
    body = {
        "name": there["name"] if name is None else name,
        "description": there["description"] if description is None else description,
        "data": data,
    }
    changed = request(
        "PUT", f"{BASE}/{segment(credential_id)}", body=body, headers={"if-match": f'"{there["version"]}"'}
    )
    _print(changed, as_json)


@app.command("delete")
def delete(
    credential_id: CredentialId,
    force: Annotated[bool, typer.Option("--force", help="Also while workflows use it.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a credential and its secrets."""
    request("DELETE", f"{BASE}/{segment(credential_id)}", query={"force": "true" if force else None})
    if as_json:
        print_json({"id": credential_id, "deleted": True})
    else:
        messages().print(f"deleted {credential_id}", markup=False)


@app.command("test")
def try_out(
    credential_id: CredentialId,
    url: Annotated[str | None, typer.Option(help="Where to try it out; its test_url unless given.")] = None,
    as_json: Json = False,
) -> None:
    """Try a credential out by a worker; ends with code 1 if it does not work."""
    told = request("POST", f"{BASE}/{segment(credential_id)}/test", body={"url": url} if url else {})
    if as_json:
        print_json(told)
    else:
        console().print("it works" if told["ok"] else f"{told['code']}: {told['message']}", markup=False)
    if not told["ok"]:
        raise typer.Exit(1)


@app.command("connect")
def connect(credential_id: CredentialId, as_json: Json = False) -> None:
    """Print the address at which a person allows an OAuth 2 credential, in a browser."""
    shown = request("GET", f"{BASE}/{segment(credential_id)}/oauth2/authorize")
    if as_json:
        print_json(shown)
    else:
        messages().print(f"register {shown['redirect_uri']} with the provider, then open within 10 minutes:")
        print(shown["url"])


def _plain(fields: list[str] | None) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for each in fields or ():
        name, equals, value = each.partition("=")
        if not equals:
            raise typer.BadParameter(f"{each!r} is not FIELD=VALUE", param_hint="--set")
        data[name] = value
    return data


def _secrets(described: dict[str, Any], wanted: set[str], from_stdin: bool) -> dict[str, Any]:
    """The values of secret fields: of those `wanted` by prompts, or whatever stdin holds."""
    properties = described["schema"]["properties"]
    secret = [name for name in described["order"] if properties[name].get("writeOnly")]
    if from_stdin:
        return _read_stdin(secret)
    unknown = wanted - set(properties)
    if unknown:
        raise typer.BadParameter(f"{described['type']} has no secret field {', '.join(sorted(unknown))}")
    asked = {}
    for name in secret:
        if name in wanted:
            text = typer.prompt(properties[name]["title"], hide_input=True, err=True)
            asked[name] = json.loads(text) if properties[name]["type"] == "object" else text
    return asked


def _read_stdin(secret: list[str]) -> dict[str, Any]:
    text = sys.stdin.read()
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if isinstance(given, dict) and set(given) <= set(secret):
        return given
    if len(secret) == 1:
        return {secret[0]: text.removesuffix("\n")}
    raise typer.BadParameter(f"stdin must hold a JSON object with {', '.join(secret)}", param_hint="--stdin")


def _marked(described: dict[str, Any]) -> str:
    schema = described["schema"]
    return ", ".join(
        name
        + ("*" if name in schema["required"] else "")
        + ("!" if schema["properties"][name].get("writeOnly") else "")
        for name in described["order"]
    )


def _verdict(last_test: dict[str, Any] | None) -> str:
    return "" if last_test is None else "works" if last_test["ok"] else last_test["code"]


def _print(credential: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(credential)
        return
    uses = "; ".join(f"{use['name']} ({', '.join(use['nodes'])})" for use in credential["used_by"])
    rows = [
        ["id", credential["id"]],
        ["name", credential["name"]],
        ["type", credential["type"]],
        ["version", credential["version"]],
        *([name, value] for name, value in credential["data"].items()),
        *([name, "(set)"] for name in credential["secrets"]),
        ["used by", uses],
        ["last used", short_time(credential["last_used_at"])],
        ["last test", _verdict(credential["last_test"])],
    ]
    if credential["oauth2"] is not None:
        rows.append(["connected", "yes" if credential["oauth2"]["connected"] else "no"])
    print_table(["field", "value"], rows)
