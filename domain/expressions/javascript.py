"""Names that JavaScript has and this evaluator does not: those that a sandbox may serve, and those that nobody may."""

from typing import Final

# Free names that lead out of the data (to the global object, to prototypes, to code): refused everywhere.
FORBIDDEN_GLOBALS: Final = frozenset({
    "globalThis", "Reflect", "Proxy", "WebAssembly", "Atomics", "SharedArrayBuffer", "FinalizationRegistry", "WeakRef",
    "AsyncFunction", "GeneratorFunction", "AsyncGeneratorFunction", "import", "this",
})  # fmt: skip

# Members of the built-ins that reach the inside of objects: refused everywhere.
FORBIDDEN_MEMBERS: Final = frozenset({
    f"Object.{name}" for name in (
        "create", "defineProperties", "defineProperty", "getOwnPropertyDescriptor", "getOwnPropertyDescriptors",
        "getPrototypeOf", "setPrototypeOf",
    )
})  # fmt: skip

# Valid JavaScript that is not covered here.
UNSUPPORTED_GLOBALS: Final = frozenset({
    "AggregateError", "Array", "ArrayBuffer", "BigInt", "BigInt64Array", "BigUint64Array", "DataView", "Error",
    "EvalError", "Float32Array", "Float64Array", "Int16Array", "Int32Array", "Int8Array", "Intl", "Iterator", "Map",
    "Promise", "RangeError", "ReferenceError", "Set", "Symbol", "SyntaxError", "TypeError", "URIError", "Uint16Array",
    "Uint32Array", "Uint8Array", "Uint8ClampedArray", "WeakMap", "WeakSet", "arguments", "escape", "unescape",
})  # fmt: skip
UNSUPPORTED_MEMBERS: Final = frozenset({
    "Array.fromAsync", "Date.UTC", "Date.parse", "JSON.isRawJSON", "JSON.rawJSON", "Math.f16round", "Math.sumPrecise",
    "Object.freeze", "Object.getOwnPropertyNames", "Object.getOwnPropertySymbols", "Object.isExtensible",
    "Object.isFrozen", "Object.isSealed", "Object.preventExtensions", "Object.seal", "String.raw",
})  # fmt: skip
UNSUPPORTED_CALLS: Final = frozenset({"Date"})

# Methods by the type that JavaScript has them for.
_OF_ANY: Final = frozenset({"isPrototypeOf", "propertyIsEnumerable", "toLocaleString"})
_OF_TEXTS: Final = frozenset({
    "anchor", "big", "blink", "bold", "fixed", "fontcolor", "fontsize", "isWellFormed", "italics", "link", "small",
    "strike", "sub", "sup", "toWellFormed", "trimLeft", "trimRight",
})  # fmt: skip
UNSUPPORTED_METHODS: Final[dict[str, frozenset[str]]] = {
    "str": _OF_TEXTS | _OF_ANY,
    "Function": _OF_ANY | {"apply", "bind", "call", "toString"},
    "RegExp": _OF_ANY | {"compile"},
}


def is_unsupported_method(owner: object, name: str) -> bool:
    """Whether JavaScript has a method of this name for such a value."""
    return name in UNSUPPORTED_METHODS.get(type(owner).__name__, _OF_ANY)
