// The status page: components, executions and one execution's graph, live over /ws. Text is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";
const KEPT = 100;
const ENDS = {
  "execution.completed": "completed", "execution.failed": "failed",
  "execution.cancelled": "cancelled", "execution.timed_out": "timeout",
};
const EXECUTION_STATES = {
  ...ENDS, "execution.queued": "queued", "execution.started": "running",
  "execution.parked": "waiting", "execution.resumed": "running",
};
const NODE_STATES = {
  "execution.node_attempted": "running", "execution.retry_scheduled": "waiting", "execution.node_waiting": "waiting",
  "execution.node_completed": "completed", "execution.node_failed": "failed",
  "execution.node_cancelled": "cancelled", "execution.node_outcome_unknown": "outcome_unknown",
};

const byId = (id) => document.getElementById(id);
const executions = new Map();
const names = new Map();
const documents = new Map();
const moments = { started: [], completed: [], failed: [] };
let chosen = null;
let detail = null;
let node = null;
let run = null;
let live = new Map();
let cursor = null;
let pause = 500;

class Stranger extends Error {}

async function ask(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (answer.status === 401) throw new Stranger();
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function shape(tag, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  return made;
}

function state(value) {
  const made = element("span", { class: "state", "data-state": value });
  made.textContent = value.replace("_", " ");
  return made;
}

const clock = (text) => (text ? new Date(text).toLocaleTimeString([], { hour12: false }) : "");

function duration(from, to) {
  if (!from || !to) return "";
  const milliseconds = new Date(to) - new Date(from);
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(milliseconds < 10000 ? 2 : 0)} s`;
}

// --- what runs -------------------------------------------------------------------------------------------------------

async function showComponents() {
  let components;
  try {
    components = (await ask("/health")).components;
  } catch {
    components = { api: { ok: false, detail: "does not answer" } };
  }
  byId("components").replaceChildren(...Object.entries(components).map(([name, component]) => {
    const facts = element("span", { class: "state", "data-state": component.ok ? "ok" : "bad" });
    facts.textContent = component.detail ?? factsOf(component);
    const title = element("strong");
    title.textContent = name;
    return element("div", { class: "card" }, title, facts);
  }));
}

function factsOf(component) {
  if ("inputs_waiting" in component) return `${component.inputs_waiting} waiting`;
  if ("records_waiting" in component) return `${component.records_waiting} behind`;
  if ("milliseconds" in component) return `${component.milliseconds} ms`;
  if ("seconds_since_tick" in component) return `tick ${component.seconds_since_tick} s ago`;
  if ("partitions" in component) return `${component.partitions} partitions`;
  return component.ok ? "ok" : "failing";
}

function showRates() {
  const since = Date.now() - 60000;
  for (const [name, times] of Object.entries(moments)) {
    while (times.length && times[0] < since) times.shift();
    byId(`rate-${name}`).textContent = times.length.toLocaleString();
  }
}

// --- executions ------------------------------------------------------------------------------------------------------

let listing = false;

function showListSoon() {
  if (listing) return;
  listing = true;
  requestAnimationFrame(() => { listing = false; showList(); });
}

function showList() {
  const rows = [...executions.values()].sort((a, b) => (a.queued_at < b.queued_at ? 1 : a.queued_at > b.queued_at ? -1 : a.id < b.id ? 1 : -1));
  for (const old of rows.splice(KEPT)) executions.delete(old.id);
  const list = byId("list");
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  let place = list.firstElementChild;
  for (const row of rows) {
    const item = known.get(row.id) ?? newItem(row.id);
    known.delete(row.id);
    fillItem(item.firstElementChild, row);
    if (item === place) place = place.nextElementSibling;
    else list.insertBefore(item, place);
  }
  for (const gone of known.values()) gone.remove();
  byId("none").hidden = rows.length > 0;
}

function newItem(id) {
  const button = element("button", { type: "button" },
    state("queued"), element("span", { class: "name" }), element("span", { class: "when" }));
  button.addEventListener("click", () => choose(id));
  const item = element("li", {}, button);
  item.dataset.id = id;
  return item;
}

function fillItem(button, row) {
  const [status, name, when] = button.children;
  if (status.dataset.state !== row.status) {
    status.dataset.state = row.status;
    status.textContent = row.status;
  }
  name.textContent = names.get(row.workflow_id) ?? row.workflow_id ?? row.id;
  when.textContent = clock(row.queued_at);
  button.title = row.id;
  button.setAttribute("aria-current", String(row.id === chosen));
}

async function loadNames() {
  let next = "";
  do {
    const page = await ask(`/api/v1/workflows?limit=200${next}`);
    for (const workflow of page.items) names.set(workflow.id, workflow.name);
    next = page.next_cursor ? `&cursor=${encodeURIComponent(page.next_cursor)}` : "";
  } while (next && names.size < 2000);
  showListSoon();
}

async function loadExecutions() {
  for (const row of (await ask(`/api/v1/executions?limit=${KEPT}`)).items) executions.set(row.id, row);
  showListSoon();
}

// --- one execution ---------------------------------------------------------------------------------------------------

async function choose(id) {
  chosen = id;
  detail = null;
  node = run = null;
  live = new Map();
  history.replaceState(null, "", `#${id}`);
  showListSoon();
  await loadDetail();
}

let loading = false;
let again = false;

async function loadDetail() {
  if (loading) { again = true; return; }
  loading = true;
  try {
    do {
      again = false;
      const id = chosen;
      const found = await ask(`/api/v1/executions/${encodeURIComponent(id)}`);
      const key = `${found.workflow_id}/${found.workflow_version}`;
      if (!documents.has(key)) {
        documents.set(key, (await ask(`/api/v1/workflows/${found.workflow_id}/versions/${found.workflow_version}`)).document);
      }
      if (id === chosen) {
        detail = found;
        live = new Map();
        showDetail(documents.get(key));
      }
      await new Promise((done) => setTimeout(done, 150));
    } while (again);
  } catch (error) {
    report(error);
  } finally {
    loading = false;
  }
}

function showDetail(workflow) {
  byId("execution-title").textContent = workflow.name;
  const facts = [detail.status, `version ${detail.workflow_version}`, detail.trigger_type, `queued ${clock(detail.queued_at)}`];
  const took = duration(detail.started_at, detail.completed_at);
  if (took) facts.push(`took ${took}`);
  byId("facts").textContent = `${facts.join(" · ")} · ${detail.id}`;
  showFailure("failure", detail.error);
  byId("graph-box").hidden = false;
  drawGraph(workflow);
  showNode();
}

function showFailure(id, error) {
  byId(id).hidden = !error;
  byId(id).textContent = error ? `${error.node_id ? `${error.node_id}: ` : ""}${error.message} (${error.code})` : "";
}

const runsOf = (id) => detail.node_executions.filter((each) => each.node_id === id);

function stateOf(id) {
  const runs = runsOf(id);
  return live.get(id) ?? (runs.length ? runs[runs.length - 1].status : "none");
}

// --- the graph -------------------------------------------------------------------------------------------------------

const WIDTH = 168;
const HEIGHT = 50;
const ACROSS = 64;
const DOWN = 26;
const EDGE = 22;

// Layers by the longest way from a start; connections that lead back do not count.
function layersOf(nodes, connections) {
  const ahead = new Map(nodes.map((each) => [each.id, []]));
  connections.forEach((each) => ahead.get(each.from)?.push(each));
  const back = new Set();
  const mark = new Map();
  for (const first of nodes) {
    const stack = [[first.id, 0]];
    while (stack.length) {
      const top = stack[stack.length - 1];
      const ways = ahead.get(top[0]) ?? [];
      if (top[1] === 0) {
        if (mark.has(top[0])) { stack.pop(); continue; }
        mark.set(top[0], "open");
      }
      if (top[1] >= ways.length) { mark.set(top[0], "done"); stack.pop(); continue; }
      const way = ways[top[1]++];
      if (mark.get(way.to) === "open") back.add(way);
      else if (!mark.has(way.to)) stack.push([way.to, 0]);
    }
  }
  const layer = new Map(nodes.map((each) => [each.id, 0]));
  for (let round = 0, moved = true; moved && round <= nodes.length; round++) {
    moved = false;
    for (const each of connections) {
      if (back.has(each) || !layer.has(each.from) || !layer.has(each.to)) continue;
      if (layer.get(each.to) <= layer.get(each.from)) { layer.set(each.to, layer.get(each.from) + 1); moved = true; }
    }
  }
  return { layer, back };
}

function placesOf(nodes, connections) {
  const { layer, back } = layersOf(nodes, connections);
  const columns = [];
  for (const each of nodes) (columns[layer.get(each.id)] ??= []).push(each.id);
  const rank = new Map();
  columns.forEach((column, number) => {
    if (number > 0) {
      const pull = (id) => {
        const before = connections.filter((each) => each.to === id && rank.has(each.from) && !back.has(each)).map((each) => rank.get(each.from));
        return before.length ? before.reduce((sum, value) => sum + value, 0) / before.length : 0;
      };
      const pulls = new Map(column.map((id) => [id, pull(id)]));
      column.sort((a, b) => pulls.get(a) - pulls.get(b));
    }
    column.forEach((id, place) => rank.set(id, place - (column.length - 1) / 2));
  });
  const tallest = Math.max(...columns.map((column) => column.length));
  const middle = EDGE + ((tallest - 1) * (HEIGHT + DOWN)) / 2;
  const places = new Map();
  columns.forEach((column, number) => column.forEach((id) => places.set(id, {
    x: EDGE + number * (WIDTH + ACROSS), y: middle + rank.get(id) * (HEIGHT + DOWN),
  })));
  const width = 2 * EDGE + columns.length * (WIDTH + ACROSS) - ACROSS + (back.size ? 16 : 0);
  const height = 2 * EDGE + tallest * (HEIGHT + DOWN) - DOWN + (back.size ? 34 : 0);
  return { places, back, width, height };
}

let drawn = null;

function drawGraph(workflow) {
  const graph = byId("graph");
  if (drawn !== workflow) {
    drawn = workflow;
    const connections = workflow.connections ?? [];
    const { places, back, width, height } = placesOf(workflow.nodes, connections);
    graph.setAttribute("width", width);
    graph.setAttribute("height", height);
    graph.style.minWidth = `${Math.round(width * 0.65)}px`;
    graph.setAttribute("viewBox", `0 0 ${width} ${height}`);
    graph.replaceChildren(
      ...connections.flatMap((each) => drawEdge(each, places, back.has(each), height)),
      ...workflow.nodes.map((each) => drawNode(each, places.get(each.id))),
    );
  }
  colourGraph();
}

function drawEdge(connection, places, leadsBack, height) {
  const from = places.get(connection.from);
  const to = places.get(connection.to);
  if (!from || !to) return [];
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  const bend = Math.max(28, (x2 - x1) / 2);
  const low = height - 12;
  const path = leadsBack
    ? `M${x1} ${y1} C${x1 + 40} ${y1} ${x1 + 40} ${low} ${x1 - 10} ${low} L${x2 + 10} ${low} C${x2 - 40} ${low} ${x2 - 40} ${y2} ${x2} ${y2}`
    : `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  const line = shape("path", { class: "edge", d: path });
  line.dataset.from = connection.from;
  line.dataset.output = connection.output ?? "main";
  const made = [line];
  if (connection.output && connection.output !== "main") {
    made.push(shape("text", { class: "port", x: x1 + 8, y: y1 + (y2 < y1 ? -8 : y2 > y1 ? 16 : -6) }, connection.output));
  }
  return made;
}

const short = (text, limit) => (text.length > limit ? `${text.slice(0, limit - 1)}…` : text);

function drawNode(given, place) {
  const group = shape("g", { class: "node", tabindex: "0", role: "button", transform: `translate(${place.x} ${place.y})` });
  group.dataset.node = given.id;
  group.append(
    shape("title", {}, `${given.name ?? given.id} (${given.type})`),
    shape("rect", { width: WIDTH, height: HEIGHT, rx: 9 }),
    shape("circle", { class: "dot", cx: 17, cy: HEIGHT / 2, r: 5 }),
    shape("text", { class: "title", x: 32, y: 21 }, short(given.name ?? given.id, 17)),
    shape("text", { class: "kind", x: 32, y: 37 }, given.type),
  );
  const pick = () => { node = given.id; run = null; colourGraph(); showNode(); };
  group.addEventListener("click", pick);
  group.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); }
  });
  return group;
}

function colourGraph() {
  for (const group of byId("graph").querySelectorAll(".node")) {
    const id = group.dataset.node;
    const status = stateOf(id);
    const runs = runsOf(id).filter((each) => each.status !== "skipped");
    group.dataset.state = status;
    group.setAttribute("aria-pressed", String(id === node));
    group.setAttribute("aria-label", `${id}: ${status === "none" ? "has not run" : status.replace("_", " ")}`);
    const kind = group.querySelector(".kind");
    kind.dataset.type ??= kind.textContent;
    const last = runs[runs.length - 1];
    const took = last ? duration(last.started_at, last.completed_at) : "";
    kind.textContent = [kind.dataset.type, runs.length > 1 ? `×${runs.length}` : took].filter(Boolean).join(" · ");
  }
  for (const line of byId("graph").querySelectorAll(".edge")) {
    const used = runsOf(line.dataset.from).some((each) => each.output?.[line.dataset.output]?.length);
    line.classList.toggle("used", used);
  }
}

// --- one node --------------------------------------------------------------------------------------------------------

function showNode() {
  const runs = node === null ? [] : runsOf(node);
  byId("node").hidden = node === null;
  if (node === null) return;
  const shown = runs.find((each) => each.run === run) ?? runs[runs.length - 1];
  byId("node-title").textContent = node;
  byId("runs").replaceChildren(...(runs.length < 2 ? [] : runs.slice(-50).map((each) => {
    const button = element("button", { type: "button", "data-state": each.status, "aria-pressed": String(each === shown) });
    button.textContent = `run ${each.run}`;
    button.addEventListener("click", () => { run = each.run; showNode(); });
    return button;
  })));
  showFailure("node-failure", shown?.error);
  if (!shown) {
    byId("node-facts").textContent = "This node has not run.";
    byId("node-input").textContent = byId("node-output").textContent = "";
    return;
  }
  const facts = [shown.status.replace("_", " ")];
  if (shown.attempts) facts.push(`${shown.attempts} ${shown.attempts === 1 ? "attempt" : "attempts"}`);
  if (shown.started_at) facts.push(`started ${clock(shown.started_at)}`);
  const took = duration(shown.started_at, shown.completed_at);
  if (took) facts.push(`took ${took}`);
  byId("node-facts").textContent = facts.join(" · ");
  byId("node-input").textContent = pretty(shown.input);
  byId("node-output").textContent = pretty(shown.output);
}

function pretty(value) {
  if (value === null || value === undefined) return "–";
  const text = JSON.stringify(value, null, 2);
  return text.length > 100000 ? `${text.slice(0, 100000)}\n… ${text.length} characters in all` : text;
}

// --- the feed --------------------------------------------------------------------------------------------------------

function follow() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws${cursor ? `?cursor=${cursor}` : ""}`);
  socket.addEventListener("open", () => {
    pause = 500;
    showFeed("live", "live");
    loadExecutions().catch(report);
    if (chosen) loadDetail();
  });
  socket.addEventListener("message", (event) => take(JSON.parse(event.data)));
  socket.addEventListener("close", (event) => {
    if (event.code === 4410) cursor = null;
    showFeed("waiting", "connecting again");
    setTimeout(follow, pause);
    pause = Math.min(pause * 2, 8000);
  });
}

function showFeed(value, text) {
  byId("feed").dataset.state = value;
  byId("feed").textContent = text;
}

function take(frame) {
  cursor = frame.cursor;
  if (!frame.execution_id) {
    if (frame.type.startsWith("workflow.")) loadNames().catch(report);
    return;
  }
  const row = executions.get(frame.execution_id) ?? { id: frame.execution_id, workflow_id: frame.workflow_id, queued_at: frame.at, status: "queued" };
  if (frame.type === "execution.queued") {
    row.queued_at = new Date(frame.data.queued_at).toISOString();
    moments.started.push(Date.now());
  }
  if (frame.type in EXECUTION_STATES && !Object.values(ENDS).includes(row.status)) row.status = EXECUTION_STATES[frame.type];
  const ended = ENDS[frame.type];
  if (ended && ended !== "cancelled") moments[ended === "completed" ? "completed" : "failed"].push(Date.now());
  executions.set(row.id, row);
  showListSoon();
  if (frame.execution_id !== chosen) return;
  if (frame.type in NODE_STATES && detail) {
    live.set(frame.data.node, NODE_STATES[frame.type]);
    colourGraph();
  }
  loadDetail();
}

// --- begin -----------------------------------------------------------------------------------------------------------

function report(error) {
  if (!(error instanceof Stranger)) { console.warn(error); return; }
  byId("stranger").hidden = false;
  byId("panes").hidden = true;
  showFeed("none", "not logged in");
}

async function begin() {
  showComponents();
  setInterval(showComponents, 5000);
  setInterval(showRates, 1000);
  try {
    await Promise.all([loadNames(), loadExecutions()]);
  } catch (error) {
    report(error);
    if (error instanceof Stranger) return;
  }
  byId("panes").hidden = false;
  follow();
  const named = location.hash.slice(1);
  const first = executions.keys().next();
  if (named) choose(named);
  else if (!first.done) choose(first.value);
}

begin();
