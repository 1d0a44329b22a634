"""GitLab: requests and answers as on https://docs.gitlab.com/api/ (each operation's `source`)."""

from tests.domain.integrations.table import Case, http

API = "https://gitlab.com/api/v4"
PROJECT = f"{API}/projects/diaspora%2Fdiaspora"
AT = {"project": "diaspora/diaspora"}
ISSUE = {"id": 84, "iid": 14, "project_id": 4, "title": "Issues with auth", "state": "opened"}
MERGE = {"id": 1, "iid": 1, "title": "test1", "state": "opened"}

CASES: tuple[Case, ...] = (
    http(
        "issue.create",
        {
            **AT,
            "title": "Issues with {{ $json.what }}",
            "description": "d",
            "labels": "bug",
            "assignee_ids": [1],
            "more": {"confidential": True},
        },
        f"POST {PROJECT}/issues",
        {
            "title": "Issues with auth",
            "description": "d",
            "labels": "bug",
            "assignee_ids": [1],
            "confidential": True,
        },
        item={"what": "auth"},
        status=201,
        answer=ISSUE,
        items=[ISSUE],
    ),
    http("issue.get", {**AT, "number": 14}, f"GET {PROJECT}/issues/14", answer=ISSUE, items=[ISSUE]),
    http(
        "issue.get",
        {**AT, "number": 15},
        f"GET {PROJECT}/issues/15",
        status=404,
        answer={"message": "404 Not found"},
        failure=("not_found", False),
    ),
    http(
        "issue.get",
        {**AT, "number": 15},
        f"GET {PROJECT}/issues/15",
        status=429,
        answer="Retry later\n",
        answer_headers={
            "ratelimit-reset": "1767225660",
            "date": "Thu, 01 Jan 2026 00:00:00 GMT",
        },
        failure=("rate_limited", 60.0),
    ),
    http(
        "issue.list",
        {**AT, "state": "opened", "labels": "bug", "search": "auth", "limit": 1},
        f"GET {PROJECT}/issues",
        query={"state": "opened", "labels": "bug", "search": "auth", "per_page": 1},
        answer=[ISSUE],
        items=[ISSUE],
    ),
    http(
        "issue.update",
        {**AT, "number": 14, "title": "t", "description": "d", "state": "close", "labels": "bug"},
        f"PUT {PROJECT}/issues/14",
        {"title": "t", "description": "d", "state_event": "close", "labels": "bug"},
        answer=ISSUE,
        items=[ISSUE],
    ),
    http(
        "issue.comment",
        {**AT, "number": 14, "text": "Me too"},
        f"POST {PROJECT}/issues/14/notes",
        {"body": "Me too"},
        status=201,
        answer={"id": 302, "body": "Me too"},
        items=[{"id": 302, "body": "Me too"}],
    ),
    http(
        "merge_request.list",
        {**AT, "state": "merged", "target_branch": "main"},
        f"GET {PROJECT}/merge_requests",
        query={"state": "merged", "target_branch": "main", "per_page": 100},
        answer=[MERGE],
        items=[MERGE],
    ),
    http(
        "merge_request.create",
        {**AT, "source_branch": "test1", "target_branch": "main", "title": "test1", "description": "d"},
        f"POST {PROJECT}/merge_requests",
        {"source_branch": "test1", "target_branch": "main", "title": "test1", "description": "d"},
        status=201,
        answer=MERGE,
        items=[MERGE],
    ),
    http(
        "project.list",
        {"search": "dia"},
        f"GET {API}/projects",
        query={"membership": True, "search": "dia", "per_page": 100},
        answer=[{"id": 4, "name": "Diaspora Client"}],
        items=[{"id": 4, "name": "Diaspora Client"}],
    ),
    http(
        "pipeline.run",
        {**AT, "ref": "main", "variables": [{"key": "A", "value": "1"}]},
        f"POST {PROJECT}/pipeline",
        {"ref": "main", "variables": [{"key": "A", "value": "1"}]},
        status=201,
        answer={"id": 61, "status": "pending"},
        items=[{"id": 61, "status": "pending"}],
    ),
)
