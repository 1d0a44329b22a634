"""The generated JSON Schema and AsyncAPI are the registry's, and stored versions keep their shape."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.log.port import Topic
from schemas import asyncapi, generate


def test_the_committed_files_are_up_to_date() -> None:
    assert generate.main(["--check"]) == 0


def completed() -> dict[str, Any]:
    return copy.deepcopy(generate.schemas()["execution.node_completed.v1"])


def test_an_optional_field_may_come_new() -> None:
    new = completed()
    new["$defs"]["NodeCompleted"]["properties"]["cost"] = {"type": "integer", "default": 0}
    assert generate.changes(completed(), new) == []


def test_descriptions_and_names_of_classes_are_free() -> None:
    new = json.loads(json.dumps(completed()).replace("NodeCompleted", "RunCompleted"))
    new["$defs"]["RunCompleted"]["description"] = "Other words."
    assert generate.changes(completed(), new) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda schema: schema["properties"].pop("attempts"), "attempts is gone"),
        (lambda schema: schema["properties"]["run"].update(type="string"), "run.type was"),
        (lambda schema: schema["required"].append("sources"), "required was"),
        (lambda schema: schema["required"].remove("run"), "required was"),
        (lambda schema: schema["properties"]["attempts"].update(default=1), "attempts.default was 0, is 1"),
        (lambda schema: schema["properties"]["node"].update(maxLength=5), "node.maxLength is new"),
    ],
)
def test_any_other_change_is_found(change: Any, found: str) -> None:
    new = completed()
    change(new["$defs"]["NodeCompleted"])
    assert found in "; ".join(generate.changes(completed(), new))


def test_a_changed_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = completed()
    old["$defs"]["NodeCompleted"]["properties"]["run"]["type"] = "string"
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "execution.node_completed.v1.json").write_text(json.dumps(old))
    with pytest.raises(generate.ChangedSchema, match=r"node_completed\.v1 .*add a new version and an upcaster"):
        generate.generated(tmp_path)


def test_asyncapi_names_the_topics_of_the_log() -> None:
    channels = asyncapi.asyncapi()["channels"]
    assert {channel["address"] for channel in channels.values()} == {topic.value for topic in Topic}


def test_every_reference_in_asyncapi_leads_somewhere() -> None:
    document = asyncapi.asyncapi()
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        place: Any = document
        for part in reference.split("/"):
            place = place[part]
