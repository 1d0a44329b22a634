"""`linkflow nodes`: the types of nodes that are installed, and a start for a package with types of one's own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.output import Json, messages, print_json, print_table
from services.cli.scaffold import NotMade, make_package

app = typer.Typer(help="Types of nodes, also of other packages.", no_args_is_help=True)


@app.command("list")
def list_types(as_json: Json = False) -> None:
    """List the types of nodes that are installed here, those of other packages too."""
    from domain.nodes.registry import NODE_TYPES, PACKAGES
    from infra.node_packages import load_node_packages

    load_node_packages()
    rows: list[dict[str, Any]] = [
        {
            "type": name,
            "title": NODE_TYPES[name].title,
            "operations": len(NODE_TYPES[name].variants) or 1,
            "credentials": list(NODE_TYPES[name].credential_types),
            "package": PACKAGES.get(name, ""),
        }
        for name in sorted(NODE_TYPES)
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["type", "title", "operations", "credentials", "package"],
        [
            [row["type"], row["title"], row["operations"], ", ".join(row["credentials"]), row["package"] or "LinkFlow"]
            for row in rows
        ],
        empty="no types of nodes",
    )


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Of the type: lower-case letters, digits and _, such as acme_shop.")],
    into: Annotated[Path, typer.Option("--into", help="The directory in which the package's folder is made.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write a small package with a node, its test and a README. It works; change it into yours."""
    try:
        folder, files = make_package(name, into)
    except NotMade as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json({"folder": str(folder), "files": files})
        return
    messages().print(f"made {folder}: {', '.join(files)}")
    messages().print(f"try it: cd {folder} && pip install -e . && pytest && linkflow nodes list")
