"""Python code: one run a process, which ends with it."""

import ast
import collections.abc
import datetime
import decimal
import io
import json
import math
import sys
import traceback

import lockdown
import wire

MOST_LINES, LONGEST_LINE, ROOM = 200, 2_000, 32_000
_SAFE = 2**53


class InvalidOutput(Exception):
    """What the code returned is no list of items."""


class Log:
    """Lines that the code printed, as many as are kept."""

    def __init__(self) -> None:
        self.lines: list[dict] = []
        self.item: int | None = None
        self._used = 0
        self._dropped = 0

    def add(self, level: str, text: str) -> None:
        if len(text) > LONGEST_LINE:
            text = text[:LONGEST_LINE] + "…"
        if len(self.lines) >= MOST_LINES or self._used + len(text) > ROOM:
            self._dropped += 1
            return
        self._used += len(text)
        self.lines.append({"level": level, "text": text} | ({} if self.item is None else {"item": self.item}))

    def kept(self) -> list[dict]:
        if self._dropped:
            return [*self.lines, {"level": "warn", "text": f"… {self._dropped} more lines were dropped"}]
        return self.lines


class Printed(io.TextIOBase):
    """Standard output of the code: whole lines go to its log."""

    def __init__(self, log: Log, level: str) -> None:
        self._log = log
        self._level = level
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + str(text)[: ROOM + 1]).split("\n")
        for line in whole:
            self._log.add(self._level, line)
        self._begun = self._begun[: LONGEST_LINE + 1]
        return len(text)

    def end(self) -> None:
        if self._begun:
            self._log.add(self._level, self._begun)
            self._begun = ""


class Object(dict):
    """A JSON object whose fields can be read and written as attributes as well."""

    def __getattr__(self, name: str) -> object:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no field {name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value


class Reference:
    """`_input` and `_("node")`."""

    def __init__(self, ports: dict, default: str | None, current: collections.abc.Callable[[], object]) -> None:
        self._ports, self._default, self._current = ports, default, current

    def all(self, port: str | None = None) -> list:
        return self._ports.get(port or self._default, [])

    def first(self, port: str | None = None) -> object:
        return next(iter(self.all(port)), None)

    def last(self, port: str | None = None) -> object:
        found = self.all(port)
        return found[-1] if found else None

    @property
    def item(self) -> object:
        return self._current()


def serve(channel: int, order: dict) -> None:
    lockdown.limit(memory=order["memory"], cpu_seconds=order["cpu_seconds"], address_space=True)
    lockdown.forbid_system_calls()
    received = wire.receive(channel)
    if received is None:
        return
    header, job = received
    log = Log()
    try:
        answer = text(
            json.dumps(run(json.loads(job, object_hook=Object), log) | {"logs": log.kept()}, ensure_ascii=False)
        )
    except MemoryError:
        answer = wire.no_memory(header["memory"])
    wire.send(channel, wire.bounded(answer, header["output"]))


def text(answer: str) -> bytes:
    """UTF-8, in which half a character is U+FFFD, as the expression language has it."""
    try:
        return answer.encode()
    except UnicodeEncodeError:
        return answer.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def run(job: dict, log: Log) -> dict:
    """What the code of a job puts out."""
    printed = [Printed(log, "log"), Printed(log, "error")]
    sys.stdout, sys.stderr = printed
    try:
        code = compiled(job["sources"][0])
        world = World(job)
        return each_item(code, world, log) if job["mode"] == "each_item" else all_items(code, world)
    except MemoryError:
        raise
    except BaseException as error:
        return {"error": failure(error)}
    finally:
        for stream in printed:
            stream.end()


def compiled(source: str) -> object:
    """The function body as a function `code()`; line numbers are those of the source."""
    tree = ast.parse("async def code():\n pass" if "await " in source else "def code():\n pass")
    body = ast.parse(_as_body(source))
    tree.body[0].body = body.body[0].body or tree.body[0].body
    return compile(ast.fix_missing_locations(tree), "<code>", "exec")


def _as_body(source: str) -> str:
    """`return` is only allowed in a function: wrap the source in one whose first line is the source's first."""
    lines = source.expandtabs(4).split("\n")
    try:
        ast.parse("def code():\n" + "\n".join(" " + line for line in lines) + "\n pass")
    except IndentationError:
        import textwrap

        lines = textwrap.dedent("\n".join(lines)).split("\n")
    return "def code():\n" + "\n".join(" " + line for line in lines) + "\n pass"


class World:
    """The names that the code sees."""

    def __init__(self, job: dict) -> None:
        self.job = job
        self.items = job["items"]
        self.origins = [item.pop("origin", None) for item in self.items]
        self.places = {id(item): place for place, item in enumerate(self.items)}
        self.places |= {id(item["json"]): place for place, item in enumerate(self.items)}
        self.runs = {(node, run): ports for node, run, ports in job["runs"]}
        zone = datetime.timezone(datetime.timedelta(minutes=job["offset"]))
        self.now = datetime.datetime.fromtimestamp(job["now"] / 1000, zone)
        source = job["sources"][0]
        self._copied = job["mode"] == "each_item" and ("_vars" in source or not source.isascii())  # or in odd letters

    def names(self, place: int) -> dict:
        items, variables = self.items, self.job["vars"]
        item = items[place] if place < len(items) else None
        reference = Reference({"main": items}, "main", lambda: item)

        def node(name: str) -> Reference:
            data = self.job["nodes"].get(name)
            if data is None:
                raise LookupError(f"node {name!r} has not run, so it has no data")
            return Reference(data["ports"], data["default"], lambda: self._source(name, data, place))

        json_ = item["json"] if item else None
        return {
            "_input": reference, "items": items, "_items": items, "_json": json_, "_item": item, "_": node,
            "_node": node, "_itemIndex": place, "_runIndex": self.job["run"], "_now": self.now,
            "_workflow": self.job["workflow"], "_execution": self.job["execution"],
            "_vars": own(variables) if self._copied else variables,
            "__name__": "__code__", "__builtins__": __builtins__,
        }  # fmt: skip

    def _source(self, name: str, data: dict, place: int) -> object:
        origin = self.origins[place] if place < len(self.origins) else None
        if data["followed"] and origin and name in origin:
            found = origin[name]
            if found is None:
                raise LookupError(f"the current item comes from several items of {name!r}; use first, last or all")
            run, port, index = found
            items = self.runs.get((name, run), {}).get(port, [])
            if index < len(items):
                return items[index]
        items = data["ports"].get(data["default"], [])
        return items[place] if place < len(items) else next(iter(items), None)


def own(value: object) -> object:
    """A copy of JSON, so that what code assigns to it is seen for no other item."""
    if isinstance(value, dict):
        return Object((name, own(each)) for name, each in value.items())
    return [own(each) for each in value] if isinstance(value, list) else value


def _call(code: object, names: dict) -> object:
    exec(code, names)
    result = names["code"]()
    if hasattr(result, "send") and hasattr(result, "cr_frame"):
        try:
            result.send(None)
        except StopIteration as done:
            return done.value
        raise RuntimeError("the code waits for something that never happens: there are no timers and no network")
    return result


def all_items(code: object, world: World) -> dict:
    value = _call(code, world.names(0))
    return {"items": items_of(value, world, None), "failures": []}


def each_item(code: object, world: World, log: Log) -> dict:
    made: list = []
    failures: list = []
    for place in range(len(world.items)):
        log.item = place
        try:
            made += items_of(_call(code, world.names(place)), world, place)
        except MemoryError:
            raise
        except BaseException as error:
            wrong = failure(error)
            failures.append([place, wrong["code"], wrong["message"], len(made)])
    return {"items": made, "failures": failures}


def items_of(value: object, world: World, own: int | None) -> list:
    """Items from what the code returned: a list, one object, or nothing."""
    if value is None:
        return []
    entries = value if isinstance(value, (list, tuple)) else [value]
    return [_item(entry, number, world, own) for number, entry in enumerate(entries)]


def _item(entry: object, number: int, world: World, own: int | None) -> dict:
    if not isinstance(entry, dict):
        raise InvalidOutput(
            f'the code must return items, objects like {{"json": {{…}}}}; entry {number} is {_kind(entry)}'
        )
    wrapped = "json" in entry
    json_ = entry["json"] if wrapped else entry
    if not isinstance(json_, dict):
        raise InvalidOutput(f"the json of entry {number} must be an object, not {_kind(json_)}")
    places = [own] if own is not None else _paired(entry.get("pairedItem") if wrapped else None)
    if not places:
        found = world.places.get(id(entry), world.places.get(id(json_)))
        places = [] if found is None else [found]
    item: dict = {"json": plain(json_)}
    if wrapped and isinstance(entry.get("binary"), dict):
        item["binary"] = plain(entry["binary"])
    if places:
        item["from"] = places
    return item


def _paired(given: object) -> list[int]:
    entries = given if isinstance(given, list) else [given]
    numbers = [entry.get("item") if isinstance(entry, dict) else entry for entry in entries]
    return [number for number in numbers if type(number) is int]


def plain(value: object) -> object:
    """The value as JSON. Dates become ISO text, sets and tuples lists, what JSON has no number for None."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value) if -_SAFE <= value <= _SAFE else float(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_name(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, collections.abc.KeysView, collections.abc.ValuesView)):
        return [plain(entry) for entry in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return plain(float(value))
    raise InvalidOutput(f"{_kind(value)} cannot be stored as JSON; turn it into text, numbers, lists or dicts")


def _name(name: object) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, (int, float)) and not isinstance(name, bool):
        return str(name)
    raise InvalidOutput(f"the names of fields must be text, not {_kind(name)}")


def _kind(value: object) -> str:
    if isinstance(value, Object):
        return "a dict"
    return "None" if value is None else f"a {type(value).__name__}"


def failure(error: BaseException) -> dict:
    code = "invalid_output" if isinstance(error, InvalidOutput) else "code_failed"
    message = str(error) if isinstance(error, InvalidOutput) else f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        message, line = f"SyntaxError: {error.msg}", error.lineno and error.lineno - 1
    else:
        lines = [entry.lineno for entry in traceback.extract_tb(error.__traceback__) if entry.filename == "<code>"]
        line = lines[-1] - 1 if lines and lines[-1] else None
    where = f" (line {line})" if line and code == "code_failed" else ""
    return {"code": code, "message": message[:1_000] + where}
