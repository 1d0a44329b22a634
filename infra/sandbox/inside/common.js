// What both programs share: the same world in QuickJS and in V8, the job's data, and references to nodes.
'use strict';
const __keep = new Set(('Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol ' +
  'Date Promise RegExp Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError ' +
  'globalThis JSON Math ArrayBuffer Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array BigUint64Array ' +
  'BigInt64Array Uint8ClampedArray Float32Array Float64Array DataView Map BigInt Set Iterator WeakMap WeakSet Proxy ' +
  'Reflect decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape eval isFinite isNaN ' +
  '__job').split(' '));
for (const name of Object.getOwnPropertyNames(globalThis)) if (!__keep.has(name)) Reflect.deleteProperty(globalThis, name);
// Whatever depends on a locale does the same everywhere: as the expression language does it.
Object.defineProperty(String.prototype, 'localeCompare', {configurable: true, writable: true, value: function localeCompare(other) {
  const left = String(this).normalize('NFC'), right = String(other).normalize('NFC');
  return left === right ? 0 : left < right ? -1 : 1;
}});
for (const name of ['toLocaleString', 'toLocaleDateString', 'toLocaleTimeString']) {
  const plain = {toLocaleString: 'toString', toLocaleDateString: 'toDateString', toLocaleTimeString: 'toTimeString'}[name];
  Object.defineProperty(Date.prototype, name, {configurable: true, writable: true, value: Date.prototype[plain]});
}
delete Number.prototype.toLocaleString;
delete BigInt.prototype.toLocaleString;

// JSON in which half a character, which no text can hold, is U+FFFD, as the expression language has it.
function __wellFormed(json) {
  return json.includes('\\ud') ? json.replace(/\\(?:\\|ud[89a-f][0-9a-f]{2})/g, (sign) => sign === '\\\\' ? sign : '\ufffd') : json;
}

function __instant(millis, offsetMinutes, zone) {
  const wall = new Date(millis + offsetMinutes * 60000);
  const two = (n) => String(n).padStart(2, '0');
  const sign = offsetMinutes < 0 ? '-' : '+', away = Math.abs(offsetMinutes);
  const offset = sign + two(Math.floor(away / 60)) + ':' + two(away % 60);
  const date = wall.toISOString().slice(0, wall.toISOString().indexOf('T'));
  const text = wall.toISOString().slice(0, -1) + offset;
  return Object.freeze({
    year: wall.getUTCFullYear(), month: wall.getUTCMonth() + 1, day: wall.getUTCDate(), hour: wall.getUTCHours(),
    minute: wall.getUTCMinutes(), second: wall.getUTCSeconds(), millisecond: wall.getUTCMilliseconds(),
    weekday: wall.getUTCDay() || 7, zoneName: zone, offset: offsetMinutes,
    toISO: () => text, toISODate: () => date, toMillis: () => millis, toSeconds: () => millis / 1000,
    toUnixInteger: () => Math.floor(millis / 1000), toJSDate: () => new Date(millis), toString: () => text,
    toJSON: () => text, valueOf: () => millis,
  });
}

// $input and $('id'): `data` is {ports, default}; `current()` the item that .item stands for.
function __reference(data, current) {
  const at = (port) => data.ports[port ?? data.default] ?? [];
  return Object.freeze({
    all: (port) => at(port), first: (port) => at(port)[0], last: (port) => at(port).at(-1), get item() { return current(); },
  });
}

function __origin(item) {
  const origin = item.origin;
  delete item.origin;
  return origin;
}

// The item of node `id` that an item with this origin was made of; where nothing is known, the one at the same place.
function __source(id, node, runs, origin, index) {
  if (node.followed && origin && id in origin) {
    const place = origin[id];
    if (place === null) throw new ReferenceError(`the current item comes from several items of $('${id}'); use .first(), .last() or .all()`);
    const found = runs[id + '/' + place[0]]?.[place[1]]?.[place[2]];
    if (found !== undefined) return found;
  }
  const items = node.ports[node.default] ?? [];
  return items[index] ?? items[0];
}
