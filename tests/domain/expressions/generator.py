"""Seeded random expressions of the covered language, by the type that they (mostly) give."""

# ruff: noqa: E501 - tables

import random
from typing import Any

DATA: dict[str, Any] = {
    "n": 7, "zero": 0, "neg": -3, "f": 2.5, "big": 9007199254740991, "tiny": 1e-7, "huge": 1e21,
    "s": "Hello, World", "empty": "", "num": "42", "blank": "  padded\t", "emoji": "a😀b", "umlaut": "Größe",
    "yes": True, "no": False, "nil": None,
    "xs": [3, 1, 2], "words": ["pear", "Apple", "fig", "10", "9"], "mixed": [1, "1", None, True, [2, [3]], {"k": 1}], "none": [],
    "o": {"a": 1, "b": "two", "c": {"d": [1, 2, {"e": None}]}, "10": "ten", "2": "zwei"},
    "rows": [{"id": 1, "t": "x", "v": 1.5}, {"id": 2, "t": "y", "v": 2}, {"id": 3, "t": "x"}],
}  # fmt: skip

NUMBERS = [
    "0", "1", "-1", "2", "10", "0.1", "0.2", "1.005", "3.7", "-2.5", "1e21", "1e-7", "123456789", "0xff", "1_000", "NaN", "Infinity",
    "2147483648", "4294967297", "9007199254740992", "-0", ".5", "5e-324", "1.7976931348623157e308", "$json.n",
    "$json.zero", "$json.neg", "$json.f", "$json.big", "$json.tiny", "$json.huge",
]  # fmt: skip
STRINGS = [
    "''", "'a'", '"b c"', "'1'", "'10'", "'-5.5'", "' 12 '", "'0x1f'", "'abc'", "'😀'", "'ß'", "'a,b,,c'", "'\\u{1F600}\\n\\x41'",
    "'x😀y\ue000'", "'Infinity'", "$json.s", "$json.empty", "$json.num", "$json.blank", "$json.emoji", "$json.umlaut",
    "$json.o.b", "`t`",
]  # fmt: skip
ARRAYS = [
    "[]",
    "[1, 2, 3]",
    "['b', 'a']",
    "[1, undefined, 3]",
    "$json.xs",
    "$json.words",
    "$json.mixed",
    "$json.none",
    "$json.o.c.d",
]
OBJECTS = ["{}", "{a: 1}", "{b: 2, 1: 'x', a: 0}", "$json.o", "$json.o.c", "$json.rows[0]", "$json.rows[2]"]
OTHERS = ["null", "undefined", "true", "false", "$json.nil", "$json.missing", "$json.yes", "$json.no", "$json.rows"]
BINARY = ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>"]
COMPARE = ["<", ">", "<=", ">=", "==", "!=", "===", "!=="]


class Generator:
    """Expressions of bounded depth from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: list[str] = []

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def expression(self, depth: int = 4) -> str:
        return self.any(depth)

    def any(self, depth: int) -> str:
        kinds = [self.number, self.number, self.string, self.string, self.boolean, self.array, self.object, self.other]
        return self.random.choice(kinds)(depth)

    def leaf(self, options: list[str]) -> str:
        if self.names and self.random.random() < 0.4:
            return self.random.choice(self.names)
        return self.random.choice(options)

    def arrow(self, depth: int, result: str, parameters: int = 2) -> str:
        names = [f"p{len(self.names) + i}" for i in range(self.random.randint(1, parameters))]
        self.names += names
        make = {
            "any": self.any,
            "number": self.number,
            "string": self.string,
            "boolean": self.boolean,
            "array": self.array,
        }[result]
        body = make(depth - 1)
        style = self.random.random()
        if style < 0.15:
            body = f"{{ const q = {self.any(depth - 1)}; if ({self.boolean(1)}) return q; return {body}; }}"
        elif body.startswith("{"):
            body = f"({body})"
        del self.names[-len(names) :]
        return f"({', '.join(names)}) => {body}" if len(names) != 1 or style < 0.5 else f"{names[0]} => {body}"

    def number(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf(NUMBERS)
        d = depth - 1
        s, a = self.string, self.array
        return self.random.choice([
            lambda: f"({self.any(d)} {self.pick(*BINARY)} {self.any(d)})",
            lambda: f"({self.number(d)} {self.pick(*BINARY)} {self.number(d)})",
            lambda: f"({self.number(0)} ** {self.pick('0', '1', '2', '3', '-1')})",
            lambda: f"{self.pick('-', '+', '~')}({self.any(d)})",
            lambda: f"Math.{self.pick('floor', 'ceil', 'round', 'trunc', 'abs', 'sign', 'sqrt', 'fround', 'clz32')}({self.any(d)})",
            lambda: f"Math.{self.pick('max', 'min')}({self.any(d)}, {self.number(d)})",
            lambda: f"Math.max(...{a(d)})",
            lambda: f"{self.pick('Number', 'parseInt', 'parseFloat')}({self.any(d)})",
            lambda: f"parseInt({s(d)}, {self.pick('2', '10', '16', '36', '0', '37')})",
            lambda: f"({s(d)}).length",
            lambda: f"({a(d)}).length",
            lambda: f"({s(d)}).{self.pick('indexOf', 'lastIndexOf', 'charCodeAt', 'codePointAt')}({self.any(0)})",
            lambda: f"({s(d)}).{self.pick('indexOf', 'lastIndexOf')}({s(0)}, {self.number(0)})",
            lambda: f"({a(d)}).{self.pick('indexOf', 'lastIndexOf')}({self.any(0)})",
            lambda: f"({a(d)}).{self.pick('findIndex', 'findLastIndex')}({self.arrow(d, 'boolean')})",
            lambda: f"({a(d)}).{self.pick('reduce', 'reduceRight')}({self.arrow(d, 'number', 3)}, {self.number(0)})",
            lambda: f"({a(d)}).reduce((t, x) => t + x)",
            lambda: f"({self.boolean(d)} ? {self.number(d)} : {self.number(d)})",
        ])()  # fmt: skip

    def string(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf(STRINGS)
        d = depth - 1
        s, n = self.string, self.number
        return self.random.choice([
            lambda: f"({s(d)} + {self.any(d)})",
            lambda: f"({self.any(d)} + {s(d)})",
            lambda: f"`a${{{self.any(d)}}}b${{{self.any(d)}}}`",
            lambda: f"String({self.any(d)})",
            lambda: f"typeof {self.any(0)}",
            lambda: f"({s(d)}).{self.pick('trim', 'trimStart', 'trimEnd', 'toLowerCase', 'toUpperCase', 'toString')}()",
            lambda: f"({s(d)}).{self.pick('slice', 'substring', 'substr')}({n(0)}, {self.any(0)})",
            lambda: f"({s(d)}).{self.pick('slice', 'substring', 'substr', 'charAt', 'at')}({self.any(0)})",
            lambda: f"({s(d)})[{self.pick('0', '1', '2', '-1', '100')}]",
            lambda: f"({s(d)}).{self.pick('padStart', 'padEnd')}({self.pick('0', '5', '12', 'NaN')}, {s(0)})",
            lambda: f"({s(d)}).repeat({self.pick('0', '1', '3', '-1', '2.9', 'undefined')})",
            lambda: f"({s(d)}).{self.pick('replace', 'replaceAll')}({s(0)}, {self.pick(s(0), self.quoted_dollars())})",
            lambda: f"({s(d)}).{self.pick('replace', 'replaceAll')}({s(0)}, {self.arrow(1, 'string', 3)})",
            lambda: f"({s(d)}).concat({self.any(0)}, {self.any(0)})",
            lambda: f"({self.array(d)}).join({self.pick('', s(0))})",
            lambda: f"({n(d)}).toFixed({self.pick('0', '1', '2', '5', '20', '')})",
            lambda: f"({n(d)}).toPrecision({self.pick('1', '3', '17', '21', '')})",
            lambda: f"({n(d)}).toExponential({self.pick('0', '3', '')})",
            lambda: f"({self.pick('255', '0.1', '-3.75', '1e-7', '123456789.125', '-0', 'NaN', '4294967297')}).toString({self.pick('2', '8', '16', '36', '7', '10', '')})",
            lambda: f"JSON.stringify({self.any(d)}{self.pick('', ', null, 2', ', null, ' + s(0))})",
            lambda: f"{self.pick('encodeURIComponent', 'encodeURI')}({self.any(d)})",
            lambda: f"{self.pick('decodeURIComponent', 'decodeURI')}(encodeURIComponent({s(d)}))",
            lambda: f"String.{self.pick('fromCharCode', 'fromCodePoint')}({self.pick('65', '128512', '55357, 56832')})",
        ])()  # fmt: skip

    def quoted_dollars(self) -> str:
        return self.pick("'$&'", "'[$$]'", "'$`'", '"$\'x"', "'$1$'", "'$$$&$'")

    def boolean(self, depth: int) -> str:
        if depth <= 0:
            return self.pick("true", "false", self.leaf(OTHERS))
        d = depth - 1
        return self.random.choice([
            lambda: f"({self.any(d)} {self.pick(*COMPARE)} {self.any(d)})",
            lambda: f"({self.string(d)} {self.pick(*COMPARE)} {self.string(d)})",
            lambda: f"!{self.any(0)}",
            lambda: f"({self.any(d)} {self.pick('&&', '||', '??')} {self.any(d)})",
            lambda: f"({self.string(d)}).{self.pick('includes', 'startsWith', 'endsWith')}({self.any(0)}, {self.any(0)})",
            lambda: f"({self.array(d)}).{self.pick('some', 'every')}({self.arrow(d, 'boolean')})",
            lambda: f"({self.array(d)}).includes({self.any(0)})",
            lambda: f"{self.pick('Array.isArray', 'isNaN', 'isFinite', 'Boolean', 'Number.isInteger', 'Number.isNaN', 'Number.isSafeInteger')}({self.any(d)})",
            lambda: f"({self.pick(chr(39) + 'a' + chr(39), '1', chr(39) + 'length' + chr(39))} in {self.pick(self.object(d), self.array(d))})",
            lambda: f"Object.is({self.any(d)}, {self.any(d)})",
            lambda: f"Object.hasOwn({self.object(d)}, {self.string(0)})",
        ])()  # fmt: skip

    def array(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf(ARRAYS)
        d = depth - 1
        a = self.array
        return self.random.choice([
            lambda: f"[{self.any(d)}, {self.any(d)}]",
            lambda: f"[...{a(d)}, {self.any(d)}, ...{self.pick(a(d), self.string(d))}]",
            lambda: f"({a(d)}).map({self.arrow(d, 'any', 3)})",
            lambda: f"({a(d)}).map({self.pick('Number', 'String', 'parseInt', 'Boolean')})",
            lambda: f"({a(d)}).filter({self.arrow(d, 'boolean', 3)})",
            lambda: f"({a(d)}).flatMap({self.arrow(d, 'array')})",
            lambda: f"({a(d)}).flat({self.pick('', '0', '2', 'Infinity')})",
            lambda: f"({a(d)}).slice({self.any(0)}, {self.any(0)})",
            lambda: f"({a(d)}).concat({self.any(d)}, {self.any(d)})",
            lambda: f"({a(d)}).{self.pick('toSorted', 'toReversed')}()",
            lambda: f"[...{a(d)}].{self.pick('sort', 'reverse')}()",
            lambda: f"({a(d)}).toSorted((x, y) => x - y)",
            lambda: "$json.rows.toSorted(({v = 0}, {v: w = 0}) => w - v)",
            lambda: f"({a(d)}).with({self.pick('0', '-1', '1')}, {self.any(0)})",
            lambda: f"({a(d)}).toSpliced({self.number(0)}, {self.number(0)}, {self.any(0)})",
            lambda: f"[...{a(d)}].fill({self.any(0)}, {self.number(0)})",
            lambda: f"[...({a(d)}).{self.pick('keys', 'entries', 'values')}()]",
            lambda: f"({self.string(d)}).split({self.pick('', self.string(0), self.string(0) + ', 2')})",
            lambda: f"Object.{self.pick('keys', 'values', 'entries')}({self.any(d)})",
            lambda: f"Array.from({self.pick('{length: 3}', self.string(d), a(d))}, {self.arrow(d, 'any')})",
            lambda: f"Array.of({self.any(d)})",
            lambda: f"(([x, , ...rest]) => [rest, x])({a(d)})",
            lambda: f"((x, y = {self.any(0)}, ...z) => [x, y, z])(...{a(d)})",
        ])()  # fmt: skip

    def object(self, depth: int) -> str:
        if depth <= 0:
            return f"({self.leaf(OBJECTS)})"
        d = depth - 1
        key = self.pick("a", "'b c'", "3", f"[{self.string(0)}]")
        return "(" + self.random.choice([
            lambda: f"{{{key}: {self.any(d)}, z: {self.any(d)}}}",
            lambda: f"{{...{self.any(d)}, {key}: {self.any(d)}}}",
            lambda: f"Object.assign({{}}, {self.any(d)}, {self.object(d)})",
            lambda: f"Object.fromEntries(Object.entries({self.object(d)}))",
            lambda: f"Object.fromEntries(({self.array(d)}).map((x, i) => ['k' + i, x]))",
            lambda: f"JSON.parse(JSON.stringify({self.object(d)}))",
            lambda: f"(({{a, b: [c] = [], ...rest}}) => ({{a, c, rest}}))({self.object(d)})",
        ])() + ")"  # fmt: skip

    def other(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf(OTHERS)
        d = depth - 1
        return self.random.choice([
            lambda: f"({self.any(d)})?.{self.pick('a', 'length', 'c?.d[2].e', 'b.c', '[0]', '[' + self.any(0) + ']')}",
            lambda: f"({self.any(d)})?.{self.pick('slice', 'zork')}?.(1)",
            lambda: f"({self.array(d)})[{self.number(0)}]",
            lambda: f"({self.object(d)})[{self.pick(self.string(0), self.number(0))}]",
            lambda: f"({self.array(d)}).{self.pick('at', 'find', 'findLast')}({self.arrow(d, 'boolean')})",
            lambda: f"({self.array(d)}).at({self.number(0)})",
            lambda: f"void {self.any(0)}",
            lambda: f"({self.any(d)} {self.pick('??', '||', '&&')} {self.any(d)})",
            lambda: f"({self.boolean(d)} ? {self.any(d)} : {self.any(d)})",
            lambda: f"JSON.parse({self.string(d)})",
        ])()  # fmt: skip
