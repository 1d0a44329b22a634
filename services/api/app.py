"""The API as one ASGI application: FastAPI for the many routes, plain ASGI at the edge for the hot ones."""

from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from services.api.edge import REQUEST_ID, Edge
from services.api.openapi import describe_api
from services.api.parts import Parts
from services.api.problems import PROBLEM_JSON, Problem, of_failure
from services.api.routes import (
    admin,
    credentials,
    dead_letters,
    deliveries,
    executions,
    installation,
    node_types,
    oauth2,
    page,
    repair,
    schedules,
    subscriptions,
    usage,
    variables,
    workflows,
)

_CODES = {404: "not_found", 405: "method_not_allowed"}
_DETAILS = {404: "There is nothing at this address.", 405: "This address does not answer this method."}


def make_app(parts: Parts) -> Edge:
    """The ASGI application over running parts."""
    return Edge(parts, make_framework(parts))


def make_framework(parts: Parts) -> FastAPI:
    app = FastAPI(
        title="LinkFlow",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.include_router(workflows.make_router(parts), prefix="/api/v1")
    app.include_router(repair.make_router(parts), prefix="/api/v1")
    app.include_router(executions.make_router(parts), prefix="/api/v1")
    app.include_router(credentials.make_router(parts), prefix="/api/v1")
    app.include_router(credentials.make_type_router(), prefix="/api/v1")
    app.include_router(dead_letters.make_router(parts), prefix="/api/v1")
    app.include_router(admin.make_router(parts), prefix="/api/v1")
    app.include_router(usage.make_router(parts), prefix="/api/v1")
    app.include_router(deliveries.make_router(parts), prefix="/api/v1")
    app.include_router(oauth2.make_router(parts))
    app.include_router(schedules.make_router(parts), prefix="/api/v1")
    app.include_router(subscriptions.make_router(parts), prefix="/api/v1")
    app.include_router(variables.make_router(parts), prefix="/api/v1")
    app.include_router(node_types.make_router(), prefix="/api/v1")
    app.include_router(installation.make_router(parts, app))
    app.include_router(page.make_router(parts))
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(Exception, _on_failure)
    describe_api(app)
    return app


def _answer(problem: Problem, request: Request) -> Response:
    return Response(
        msgspec.json.encode(problem.document(request.scope.get(REQUEST_ID, ""))),
        problem.status,
        {name.decode(): value.decode() for name, value in problem.headers},
        PROBLEM_JSON.decode(),
    )


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(error, request)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    headers = tuple((name.encode(), value.encode()) for name, value in (error.headers or {}).items())
    detail = _DETAILS.get(error.status_code, str(error.detail))
    return _answer(Problem(error.status_code, code, detail, headers=headers), request)


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [(_path(each["loc"]), str(each["msg"])) for each in error.errors()]
    detail = "; ".join(f"{path}: {message}" for path, message in problems)
    return _answer(Problem(422, "invalid_parameters", detail, problems), request)


async def _on_failure(request: Request, error: Exception) -> Response:
    """The answer; the edge logs the failure, which goes on to it."""
    return _answer(of_failure(error), request)


def _path(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location[1:])
