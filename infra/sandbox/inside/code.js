// A Code node's run: __start(job text), then pending promises, then __answer().
(() => {
  const Asynchronous = (async () => {}).constructor, stringify = JSON.stringify, parse = JSON.parse;
  const logs = [], most = 200, longest = 2000, room = 32000;
  let used = 0, dropped = 0, index = null, done = null;

  const shown = (value) => {
    if (typeof value === 'string') return value;
    if (value instanceof Error) return value.stack ? `${value}` : String(value);
    try { return stringify(value, (_, v) => typeof v === 'bigint' ? `${v}n` : v) ?? String(value); } catch { return String(value); }
  };
  const log = (level) => (...values) => {
    let text = values.map(shown).join(' ');
    if (text.length > longest) text = text.slice(0, longest) + '…';
    if (logs.length >= most || used + text.length > room) { dropped++; return; }
    used += text.length;
    logs.push(index === null ? {level, text} : {level, text, item: index});
  };
  const finish = (answer) => {
    if (dropped) logs.push({level: 'warn', text: `… ${dropped} more lines were dropped`});
    done = __wellFormed(stringify({...answer, logs}));
  };
  const failure = (error) => {
    const stack = error instanceof Error ? String(error.stack ?? '') : '';
    // The lines of this program start at ten thousand (javascript.py), a function's first line is its third.
    const lines = [...stack.matchAll(/(?:<anonymous>|<input>):(\d+)/g)].map((found) => Number(found[1]) - 2);
    const line = lines.find((number) => number > 0 && number < 9000);
    if (error?.invalid === true) return {code: 'invalid_output', message: error.message};
    const text = error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${shown(error)}`;
    const code = /InternalError: out of memory/.test(text) ? 'out_of_memory' : 'code_failed';
    return {code, message: text.slice(0, 1000) + (line > 0 ? ` (line ${line})` : '')};
  };
  const refuse = (message) => { const error = new TypeError(message); error.invalid = true; throw error; };

  globalThis.console = {log: log('log'), info: log('info'), warn: log('warn'), error: log('error'), debug: log('debug')};

  const kind = (value) => value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value === 'undefined' ? 'nothing' : `a ${typeof value}`;
  const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
  const sources = (paired) => {
    const one = (entry) => typeof entry === 'number' ? entry : isObject(entry) ? entry.item : undefined;
    const found = (Array.isArray(paired) ? paired : [paired]).map(one).filter((entry) => Number.isInteger(entry));
    return found.length ? found : null;
  };

  globalThis.__start = (text) => {
    const job = JSON.parse(text);
    const items = job.items, origins = items.map(__origin), runs = {};
    const places = new WeakMap();
    items.forEach((item, place) => { places.set(item, place); places.set(item.json, place); });
    for (const id in job.nodes) for (const port in job.nodes[id].ports) job.nodes[id].ports[port].forEach(__origin);
    for (const [id, run, ports] of job.runs) {
      for (const port in ports) ports[port].forEach(__origin);
      runs[id + '/' + run] = ports;
    }
    const at = () => index ?? 0;
    const node = (id) => {
      const data = Object.hasOwn(job.nodes, id) ? job.nodes[id] : undefined;
      if (!data) throw new ReferenceError(`node '${id}' has not run, so $('${id}') has no data`);
      return __reference(data, () => __source(id, data, runs, origins[at()], at()));
    };
    const input = __reference({ports: {main: items}, default: 'main'}, () => items[at()]);
    // Each item's own, where the code may look at them (under whatever spelling of their name).
    const kept = job.mode === 'each_item' && /\$v|\\u/.test(job.sources[0]) ? stringify(job.vars) : null;
    const vars = kept === null ? () => job.vars : () => parse(kept);
    const names = ['$input', 'items', '$json', '$item', '$', '$itemIndex', '$runIndex', '$now', '$today', '$workflow', '$execution', '$vars'];
    const world = (place) => [input, items, items[place]?.json, items[place], node, place, job.run,
      __instant(job.now, job.offset, job.zone), __instant(job.today, job.today_offset, job.zone), job.workflow, job.execution, vars()];

    const made = (value, own) => {
      const one = (entry, number) => {
        if (!isObject(entry)) refuse(`the code must return items, objects like {json: {…}}; entry ${number} is ${kind(entry)}`);
        const wrapped = Object.hasOwn(entry, 'json');
        if (wrapped && !isObject(entry.json)) refuse(`the json of entry ${number} must be an object, not ${kind(entry.json)}`);
        const from = own !== null ? [own] : sources(entry.pairedItem) ?? [places.get(entry) ?? places.get(entry.json)].filter((place) => place !== undefined);
        const item = {json: wrapped ? entry.json : entry};
        if (wrapped && isObject(entry.binary)) item.binary = entry.binary;
        if (from.length) item.from = from;
        return item;
      };
      if (value === undefined || value === null) return [];
      return (Array.isArray(value) ? value : [value]).map(one);
    };

    const all = async () => {
      const code = new Asynchronous(...names, job.sources[0]);
      finish({items: made(await code(...world(0)), null), failures: []});
    };
    const each = async () => {
      const code = new Asynchronous(...names, job.sources[0]);
      const out = [], failures = [];
      for (index = 0; index < items.length; index++) {
        try {
          const value = await code(...world(index));
          for (const item of made(value, index)) {
            stringify(item);
            out.push(item);
          }
        } catch (error) {
          const {code: reason, message} = failure(error);
          failures.push([index, reason, message, out.length]);
        }
      }
      finish({items: out, failures});
    };
    (job.mode === 'each_item' ? each : all)().catch((error) => finish({error: failure(error)}));
  };
  globalThis.__answer = () => done ?? stringify({
    error: {code: 'code_failed', message: 'the code waits for something that never happens: there are no timers and no network'}, logs});
})();
