"""GitHub's REST API (version 2022-11-28): issues, repositories, pull requests, releases, files, Actions.

Requests name the version (https://docs.github.com/en/rest/about-the-rest-api/api-versions); lists go on by the header
Link (https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api); a 403 may mean too many
requests (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api).
"""

from domain.credential.credential_type import CredentialField, CredentialType, HttpAuth
from domain.credential.http_test import http_test
from domain.integrations.errors import Errors
from domain.integrations.pages import link
from domain.integrations.servers import address_of_api
from domain.integrations.shape import Field, Integration, Operation, body, get, more, patch, path, post, put, query
from domain.nodes.node_type import MAIN, Example

_API = "https://api.github.com"
_DOCS = "https://docs.github.com/en/rest/"
_REPOSITORY: tuple[Field, ...] = (
    path("owner", docs="The account that owns the repository."),
    path("repo", docs="The repository's name."),
)
_ISSUE: tuple[Field, ...] = (*_REPOSITORY, path("number", "integer", docs="The issue's number."))
_PULL: tuple[Field, ...] = (*_REPOSITORY, path("number", "integer", docs="The pull request's number."))
_PAGES = link()

GITHUB_CREDENTIAL = CredentialType(
    "github",
    "GitHub",
    "A personal access token or the token of an app, for github.com or a GitHub Enterprise Server.",
    (
        CredentialField("token", "Token", secret=True, required=True),
        address_of_api(_API, "Of an Enterprise Server: https://HOST/api/v3."),
    ),
    HttpAuth(headers={"Authorization": "Bearer {token}"}, service=(_API, "base_url")),
    http_test("{base_url}/user"),
)

ERRORS = Errors(
    code=("errors.0.code",),
    message=("message",),
    remaining="x-ratelimit-remaining",
    limited="rate limit",
    reset=("retry-after", "x-ratelimit-reset"),
)

_ISSUES = (
    Operation(
        "create",
        "Create an issue",
        "Opens an issue.",
        post("/repos/{owner}/{repo}/issues"),
        (
            *_REPOSITORY,
            body("title", docs="The title.", required=True),
            body("text", docs="The text, in Markdown.", sent_as="body"),
            body("labels", "list", docs="Names of labels."),
            body("assignees", "list", docs="Logins of those who take care of it."),
            body("milestone", "integer", docs="The milestone's number."),
            more(),
        ),
        resource="issue",
        source=_DOCS + "issues/issues#create-an-issue",
    ),
    Operation(
        "get",
        "Get an issue",
        "One issue by its number.",
        get("/repos/{owner}/{repo}/issues/{number}"),
        _ISSUE,
        resource="issue",
        source=_DOCS + "issues/issues#get-an-issue",
    ),
    Operation(
        "list",
        "List issues",
        "The issues of a repository, one item each. Pull requests are issues too: they have `pull_request`.",
        get("/repos/{owner}/{repo}/issues"),
        (
            *_REPOSITORY,
            query("state", docs="Which ones.", choices=("open", "closed", "all")),
            query("labels", docs="Only with all of these labels, separated by commas."),
            query("assignee", docs="A login, `none` or `*`."),
            query("since", docs="Only those changed after this time, such as 2026-01-31T00:00:00Z."),
            query("sort", docs="By what.", choices=("created", "updated", "comments")),
            query("direction", docs="Which way.", choices=("asc", "desc")),
        ),
        resource="issue",
        items="[]",
        pages=_PAGES,
        source=_DOCS + "issues/issues#list-repository-issues",
    ),
    Operation(
        "update",
        "Update an issue",
        "Changes the given fields of an issue, or closes it.",
        patch("/repos/{owner}/{repo}/issues/{number}"),
        (
            *_ISSUE,
            body("title", docs="The title."),
            body("text", docs="The text, in Markdown.", sent_as="body"),
            body("state", docs="Close or open it.", choices=("open", "closed")),
            body("state_reason", docs="Why.", choices=("completed", "not_planned", "duplicate", "reopened")),
            body("labels", "list", docs="Names of all its labels."),
            body("assignees", "list", docs="Logins of all who take care of it."),
            more(),
        ),
        resource="issue",
        effect="idempotent",
        source=_DOCS + "issues/issues#update-an-issue",
    ),
    Operation(
        "comment",
        "Comment on an issue",
        "Adds a comment to an issue or a pull request.",
        post("/repos/{owner}/{repo}/issues/{number}/comments"),
        (*_ISSUE, body("text", docs="The comment, in Markdown.", sent_as="body", required=True)),
        resource="issue",
        source=_DOCS + "issues/comments#create-an-issue-comment",
    ),
    Operation(
        "comments",
        "List an issue's comments",
        "The comments of an issue or a pull request, oldest first, one item each.",
        get("/repos/{owner}/{repo}/issues/{number}/comments"),
        (*_ISSUE, query("since", docs="Only those changed after this time.")),
        resource="issue",
        items="[]",
        pages=_PAGES,
        source=_DOCS + "issues/comments#list-issue-comments",
    ),
    Operation(
        "add_labels",
        "Add labels to an issue",
        "Adds labels; those that it has stay. Puts out all its labels, one item each.",
        post("/repos/{owner}/{repo}/issues/{number}/labels"),
        (*_ISSUE, body("labels", "list", docs="Names of labels.", required=True)),
        resource="issue",
        effect="idempotent",
        items="[]",
        source=_DOCS + "issues/labels#add-labels-to-an-issue",
    ),
)

_REPOSITORIES = (
    Operation(
        "get",
        "Get a repository",
        "One repository.",
        get("/repos/{owner}/{repo}"),
        _REPOSITORY,
        resource="repository",
        source=_DOCS + "repos/repos#get-a-repository",
    ),
    Operation(
        "list",
        "List repositories",
        "The repositories that the credential's owner can reach, one item each.",
        get("/user/repos"),
        (
            query("visibility", docs="Which ones.", choices=("all", "public", "private")),
            query("affiliation", docs="Of owner, collaborator, organization_member: those wanted, with commas."),
            query("sort", docs="By what.", choices=("created", "updated", "pushed", "full_name")),
        ),
        resource="repository",
        items="[]",
        pages=_PAGES,
        source=_DOCS + "repos/repos#list-repositories-for-the-authenticated-user",
    ),
    Operation(
        "get",
        "Get a file",
        "A file's description with its `content` in Base64.",
        get("/repos/{owner}/{repo}/contents/{path*}"),
        (
            *_REPOSITORY,
            path("path", docs="The file's path in the repository."),
            query("ref", docs="Branch, tag or commit; else the default branch."),
        ),
        resource="file",
        source=_DOCS + "repos/contents#get-repository-content",
    ),
    Operation(
        "write",
        "Write a file",
        "Creates a file, or replaces the version that `sha` names, by a commit of its own.",
        put("/repos/{owner}/{repo}/contents/{path*}"),
        (
            *_REPOSITORY,
            path("path", docs="The file's path in the repository."),
            body("message", docs="The commit's message.", required=True),
            body("content", docs="The new content in Base64.", required=True),
            body("sha", docs="The `sha` of the file that is replaced."),
            body("branch", docs="The branch; else the default one."),
        ),
        resource="file",
        source=_DOCS + "repos/contents#create-or-update-file-contents",
    ),
)

_PULL_REQUESTS = (
    Operation(
        "list",
        "List pull requests",
        "The pull requests of a repository, one item each.",
        get("/repos/{owner}/{repo}/pulls"),
        (
            *_REPOSITORY,
            query("state", docs="Which ones.", choices=("open", "closed", "all")),
            query("head", docs="Only from this branch, as account:branch."),
            query("base", docs="Only into this branch."),
            query("sort", docs="By what.", choices=("created", "updated", "popularity", "long-running")),
            query("direction", docs="Which way.", choices=("asc", "desc")),
        ),
        resource="pull_request",
        items="[]",
        pages=_PAGES,
        source=_DOCS + "pulls/pulls#list-pull-requests",
    ),
    Operation(
        "get",
        "Get a pull request",
        "One pull request by its number.",
        get("/repos/{owner}/{repo}/pulls/{number}"),
        _PULL,
        resource="pull_request",
        source=_DOCS + "pulls/pulls#get-a-pull-request",
    ),
    Operation(
        "create",
        "Create a pull request",
        "Asks to merge a branch.",
        post("/repos/{owner}/{repo}/pulls"),
        (
            *_REPOSITORY,
            body("title", docs="The title.", required=True),
            body("head", docs="The branch with the changes (account:branch from a fork).", required=True),
            body("base", docs="The branch to merge into.", required=True),
            body("text", docs="The text, in Markdown.", sent_as="body"),
            body("draft", "boolean", docs="As a draft."),
        ),
        resource="pull_request",
        source=_DOCS + "pulls/pulls#create-a-pull-request",
    ),
    Operation(
        "merge",
        "Merge a pull request",
        "Merges it; with `sha` only if its head is still that commit.",
        put("/repos/{owner}/{repo}/pulls/{number}/merge"),
        (
            *_PULL,
            body("commit_title", docs="The title of the merge commit."),
            body("commit_message", docs="What is added to its message."),
            body("merge_method", docs="How.", choices=("merge", "squash", "rebase")),
            body("sha", docs="What the head must be."),
        ),
        resource="pull_request",
        source=_DOCS + "pulls/pulls#merge-a-pull-request",
    ),
)

_RELEASES = (
    Operation(
        "list",
        "List releases",
        "The releases of a repository, newest first, one item each.",
        get("/repos/{owner}/{repo}/releases"),
        _REPOSITORY,
        resource="release",
        items="[]",
        pages=_PAGES,
        source=_DOCS + "releases/releases#list-releases",
    ),
    Operation(
        "latest",
        "Get the latest release",
        "The newest release that is neither a draft nor a pre-release.",
        get("/repos/{owner}/{repo}/releases/latest"),
        _REPOSITORY,
        resource="release",
        source=_DOCS + "releases/releases#get-the-latest-release",
    ),
    Operation(
        "create",
        "Create a release",
        "Releases a tag, which is made if it is not there.",
        post("/repos/{owner}/{repo}/releases"),
        (
            *_REPOSITORY,
            body("tag_name", docs="The tag.", required=True),
            body("target_commitish", docs="Where a new tag is put: branch or commit."),
            body("name", docs="The release's name."),
            body("text", docs="What is new, in Markdown.", sent_as="body"),
            body("draft", "boolean", docs="As a draft."),
            body("prerelease", "boolean", docs="As a pre-release."),
            body("generate_release_notes", "boolean", docs="Let GitHub write name and text."),
        ),
        resource="release",
        source=_DOCS + "releases/releases#create-a-release",
    ),
)

_ACTIONS = (
    Operation(
        "dispatch",
        "Start a workflow of Actions",
        "Triggers a workflow that has `workflow_dispatch`. GitHub tells no run id.",
        post("/repos/{owner}/{repo}/actions/workflows/{workflow}/dispatches"),
        (
            *_REPOSITORY,
            path("workflow", docs="The workflow's id or file name, such as deploy.yml."),
            body("ref", docs="The branch or tag to run on.", required=True),
            body("inputs", "object", docs="The workflow's inputs."),
        ),
        resource="workflow",
        empty={"dispatched": True},
        source=_DOCS + "actions/workflows#create-a-workflow-dispatch-event",
    ),
    Operation(
        "runs",
        "List a workflow's runs",
        "The runs of a workflow, newest first, one item each.",
        get("/repos/{owner}/{repo}/actions/workflows/{workflow}/runs"),
        (
            *_REPOSITORY,
            path("workflow", docs="The workflow's id or file name."),
            query("branch", docs="Only on this branch."),
            query("status", docs="Only with this status or conclusion, such as success."),
        ),
        resource="workflow",
        items="workflow_runs[]",
        pages=_PAGES,
        source=_DOCS + "actions/workflow-runs#list-workflow-runs-for-a-workflow",
    ),
)

GITHUB = Integration(
    "github",
    "GitHub",
    "Works with issues, repositories, files, pull requests, releases and Actions on GitHub.",
    (*_ISSUES, *_REPOSITORIES, *_PULL_REQUESTS, *_RELEASES, *_ACTIONS),
    credential=GITHUB_CREDENTIAL,
    also_accepts=("oauth2",),
    base_url=_API,
    headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
    errors=ERRORS,
    examples=(
        Example(
            "Opens an issue for each report.",
            {
                "resource": "issue",
                "operation": "create",
                "owner": "octocat",
                "repo": "hello-world",
                "title": "{{ $json.subject }}",
                "labels": ["report"],
            },
            [{"subject": "Found a bug"}],
            {MAIN: [{"number": 1347, "state": "open", "title": "Found a bug"}]},
            answer={"status": 201, "body": {"number": 1347, "state": "open", "title": "Found a bug"}},
        ),
    ),
)
