"""GitLab's REST API, version 4: issues, merge requests, projects, pipelines (https://docs.gitlab.com/api/rest/).

A project is named by its id or its path, which is escaped as one segment. Lists go on by the header Link.
"""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import Errors
from domain.integrations.pages import link
from domain.integrations.servers import address_of_api
from domain.integrations.shape import Integration, Operation, body, get, more, path, post, put, query
from domain.nodes.node_type import MAIN, Example

_API = "https://gitlab.com/api/v4"
_DOCS = "https://docs.gitlab.com/api/"
_PROJECT = path("project", docs="The project's id or path, such as group/name.")
_NUMBER = path("number", "integer", docs="Its number in the project (iid).")
_PAGES = link()

GITLAB = Integration(
    "gitlab",
    "GitLab",
    "Works with issues, merge requests, projects and pipelines on GitLab.",
    (
        Operation(
            "create",
            "Create an issue",
            "Opens an issue.",
            post("/projects/{project}/issues"),
            (
                _PROJECT,
                body("title", docs="The title.", required=True),
                body("description", docs="The text, in Markdown."),
                body("labels", docs="Labels, separated by commas."),
                body("assignee_ids", "list", docs="Ids of those who take care of it."),
                more(),
            ),
            resource="issue",
            source=_DOCS + "issues/#create-an-issue",
        ),
        Operation(
            "get",
            "Get an issue",
            "One issue by its number.",
            get("/projects/{project}/issues/{number}"),
            (_PROJECT, _NUMBER),
            resource="issue",
            source=_DOCS + "issues/#retrieve-a-project-issue",
        ),
        Operation(
            "list",
            "List issues",
            "The issues of a project, one item each.",
            get("/projects/{project}/issues"),
            (
                _PROJECT,
                query("state", docs="Which ones.", choices=("opened", "closed", "all")),
                query("labels", docs="Only with all of these labels, separated by commas."),
                query("search", docs="Only with this in title or text."),
            ),
            resource="issue",
            items="[]",
            pages=_PAGES,
            source=_DOCS + "issues/#list-project-issues",
        ),
        Operation(
            "update",
            "Update an issue",
            "Changes the given fields of an issue, or closes it.",
            put("/projects/{project}/issues/{number}"),
            (
                _PROJECT,
                _NUMBER,
                body("title", docs="The title."),
                body("description", docs="The text, in Markdown."),
                body("state", docs="Close or open it.", sent_as="state_event", choices=("close", "reopen")),
                body("labels", docs="All its labels, separated by commas."),
                more(),
            ),
            resource="issue",
            source=_DOCS + "issues/#update-an-issue",
        ),
        Operation(
            "comment",
            "Comment on an issue",
            "Adds a comment to an issue.",
            post("/projects/{project}/issues/{number}/notes"),
            (_PROJECT, _NUMBER, body("text", docs="The comment, in Markdown.", sent_as="body", required=True)),
            resource="issue",
            source=_DOCS + "notes/#create-an-issue-note",
        ),
        Operation(
            "list",
            "List merge requests",
            "The merge requests of a project, one item each.",
            get("/projects/{project}/merge_requests"),
            (
                _PROJECT,
                query("state", docs="Which ones.", choices=("opened", "closed", "locked", "merged", "all")),
                query("target_branch", docs="Only into this branch."),
            ),
            resource="merge_request",
            items="[]",
            pages=_PAGES,
            source=_DOCS + "merge_requests/#list-project-merge-requests",
        ),
        Operation(
            "create",
            "Create a merge request",
            "Asks to merge a branch.",
            post("/projects/{project}/merge_requests"),
            (
                _PROJECT,
                body("source_branch", docs="The branch with the changes.", required=True),
                body("target_branch", docs="The branch to merge into.", required=True),
                body("title", docs="The title.", required=True),
                body("description", docs="The text, in Markdown."),
                more(),
            ),
            resource="merge_request",
            source=_DOCS + "merge_requests/#create-a-merge-request",
        ),
        Operation(
            "list",
            "List projects",
            "The projects that the credential's owner is a member of, one item each.",
            get("/projects", membership=True),
            (query("search", docs="Only with this in their names."),),
            resource="project",
            items="[]",
            pages=_PAGES,
            source=_DOCS + "projects/#list-all-projects",
        ),
        Operation(
            "run",
            "Run a pipeline",
            "Starts a pipeline on a branch or a tag.",
            post("/projects/{project}/pipeline"),
            (
                _PROJECT,
                body("ref", docs="The branch or tag.", required=True),
                body("variables", "list", docs="Variables: objects with key and value."),
            ),
            resource="pipeline",
            source=_DOCS + "pipelines/#create-a-new-pipeline",
        ),
    ),
    credential=CredentialType(
        "gitlab",
        "GitLab",
        "A personal, group or project access token, for gitlab.com or a GitLab of one's own.",
        (
            CredentialField("token", "Token", secret=True, required=True),
            address_of_api(_API, "Of another GitLab: https://HOST/api/v4."),
        ),
        HttpAuth(headers={"PRIVATE-TOKEN": "{token}"}, service=(_API, "base_url")),
        http_test("{base_url}/user"),
    ),
    also_accepts=("oauth2",),
    base_url=_API,
    errors=Errors(
        code=("error",), message=("message", "error_description", "error"), reset=("retry-after", "ratelimit-reset")
    ),
    examples=(
        Example(
            "Opens an issue for each report.",
            {"resource": "issue", "operation": "create", "project": "shop/web", "title": "{{ $json.subject }}"},
            [{"subject": "It is slow"}],
            {MAIN: [{"iid": 14, "title": "It is slow", "state": "opened"}]},
            answer={"status": 201, "body": {"iid": 14, "title": "It is slow", "state": "opened"}},
        ),
    ),
)
