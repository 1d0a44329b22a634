// Expressions that the closed evaluator does not cover: __start(job text), then pending promises, then __answer().
// Nothing leads out of the data: prototypes have no constructors, and whatever could reach them is gone.
(() => {
  const world = globalThis, describe = Object.getOwnPropertyDescriptors, Plain = Function, stringify = JSON.stringify, parse = JSON.parse, own = Object.hasOwn, is = Object.is;
  const Failure = Error, Kinds = {TypeError, ReferenceError, RangeError, SyntaxError, URIError};
  const forbidden = new Set(['constructor', 'prototype', 'eval', 'Function']);
  class Forbidden extends Error {}
  const key = (value) => {
    if (typeof value === 'symbol' || typeof value === 'number') return value;
    const name = String(value);
    if (forbidden.has(name) || name.startsWith('__')) throw new Forbidden(`the name '${name.slice(0, 60)}' cannot be used in expressions`);
    return name;
  };
  const stepsOut = {
    Object: ['create', 'defineProperties', 'defineProperty', 'getOwnPropertyDescriptor', 'getOwnPropertyDescriptors', 'getPrototypeOf', 'setPrototypeOf'],
  };
  for (const owner in stepsOut) for (const name of stepsOut[owner]) delete globalThis[owner][name];
  // Without arguments a date is the run's $now, so that an expression sees one time.
  let clock = 0;
  const construct = Reflect.construct, Real = Date;
  const Fixed = function Date(...given) {
    return new.target ? construct(Real, given.length ? given : [clock], new.target) : String(new Real(clock));
  };
  Fixed.prototype = Real.prototype;
  Object.assign(Fixed, {UTC: Real.UTC, parse: Real.parse, now: () => clock});
  globalThis.Date = Fixed;
  for (const name of ['__defineGetter__', '__defineSetter__', '__lookupGetter__', '__lookupSetter__', '__proto__']) delete Object.prototype[name];

  const seen = new Set(), work = [world, Plain.prototype, (async () => {}).constructor, (function* () {}).constructor,
    (async function* () {}).constructor, [][Symbol.iterator](), new Map().entries(), new Set().entries(), ''[Symbol.iterator](), 'x'.matchAll(/x/g)];
  const above = Reflect.getPrototypeOf, keys = Reflect.ownKeys, freeze = Object.freeze;
  while (work.length) {
    const object = work.pop();
    if (object === null || (typeof object !== 'object' && typeof object !== 'function') || seen.has(object)) continue;
    seen.add(object);
    const properties = describe(object);
    for (const name of keys(properties)) work.push(properties[name].value, properties[name].get, properties[name].set);
    work.push(above(object));
  }
  for (const name of ['eval', 'Function', 'globalThis', 'Reflect', 'Proxy']) delete world[name];
  for (const object of seen) if (object !== world) { delete object.constructor; freeze(object); }

  const coded = (error) => {
    if (error instanceof Forbidden) return ['e', 'expression_forbidden', error.message];
    if (!(error instanceof Failure)) return ['e', 'expression_failed', `thrown: ${String(error).slice(0, 300)}`];
    const codes = {TypeError: 'type', ReferenceError: 'reference', RangeError: 'range', SyntaxError: 'syntax', URIError: 'range'};
    for (const name in codes) if (error instanceof Kinds[name]) return ['e', `expression_${codes[name]}`, String(error.message).slice(0, 500)];
    return ['e', 'expression_failed', String(error.message).slice(0, 500)];
  };
  const value = (given) => {
    if (given === undefined || typeof given === 'function') return ['u'];
    if (typeof given === 'number' && (given !== given || given === Infinity || given === -Infinity || is(given, -0))) return ['n', is(given, -0) ? '-0' : String(given)];
    if (typeof given === 'bigint' || typeof given === 'symbol') throw new TypeError(`a ${typeof given} is no data; use String(…) or Number(…)`);
    const text = stringify(given);
    return text === undefined ? ['u'] : ['v', parse(text)];
  };

  let done = null;
  world.__start = (text) => {
    const job = parse(text), origins = job.items.map(__origin);
    const items = job.items.map((item) => stringify(item)), nodes = {}, runs = {};
    for (const id in job.nodes) {
      for (const port in job.nodes[id].ports) job.nodes[id].ports[port].forEach(__origin);
      nodes[id] = stringify(job.nodes[id]);
    }
    for (const [id, run, ports] of job.runs) runs[id + '/' + run] = ports;
    const names = ['$json', '$input', '$', '$itemIndex', '$runIndex', '$now', '$today', '$workflow', '$execution', '$vars', '$if', '$ifEmpty', '__key'];
    const now = __instant(job.now, job.offset, job.zone), today = __instant(job.today, job.today_offset, job.zone);
    const choose = (test, then, otherwise) => test ? then : otherwise;
    const orElse = (given, otherwise) => {
      const empty = given === undefined || given === null || given === '' || (Array.isArray(given) && !given.length)
        || (typeof given === 'object' && !Array.isArray(given) && !(given instanceof Date) && !keys(given).length);
      return empty ? otherwise : given;
    };
    const facts = stringify([job.workflow, job.execution, job.vars]);
    clock = job.now;
    const one = async (code, index) => {
      const input = () => items.map((item) => parse(item));
      const node = (id) => {
        if (!own(nodes, id)) throw new ReferenceError(`node '${id}' has not run, so $('${id}') has no data`);
        const data = parse(nodes[id]);
        return __reference(data, () => __source(id, data, parse(stringify(runs)), origins[index], index));
      };
      const [workflow, execution, vars] = parse(facts);
      const reference = {all: input, first: () => input()[0], last: () => input().at(-1), get item() { return parse(items[index]); }};
      const given = code(parse(items[index] ?? '{"json":{}}').json, reference, node, index, job.run, now, today, workflow, execution, vars, choose, orElse, key);
      return value(given instanceof Promise ? await given : given);
    };
    const every = async () => {
      const answers = [];
      for (const source of job.sources) {
        let code = null, broken = null;
        try { code = new Plain(...names, '"use strict"; return (' + source + '\n)'); } catch (error) { broken = coded(error); }
        const answer = [];
        for (let index = 0; index < Math.max(1, items.length); index++) {
          if (broken) { answer.push(broken); continue; }
          try { answer.push(await one(code, index)); } catch (error) { answer.push(coded(error)); }
        }
        answers.push(answer);
      }
      done = __wellFormed(stringify({values: answers}));
    };
    every().catch((error) => { done = stringify({error: {code: 'expression_failed', message: String(error)}}); });
  };
  world.__answer = () => done ?? stringify({error: {code: 'expression_failed', message: 'the expression waits for something that never happens'}});
})();
