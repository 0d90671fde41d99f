// The page's script: it asks for pictures of one session, once a second while it can be seen, and
// draws the view that is open. What comes from the program (names, paths, log lines) is put
// into the page as text only, never as markup.
import { drawGraph, drawMatrix, drawHistory, sparkline } from "./draw.js";

const $ = id => document.getElementById(id);

// el makes an element: el("td", {class: "n"}, "text", child...).
export function el(name, attrs = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attrs)) {
    if (v === undefined || v === false || v === null) continue;
    if (k === "on") for (const [type, f] of Object.entries(v)) e.addEventListener(type, f);
    else if (k.startsWith("--")) e.style.setProperty(k, v);
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.filter(c => c !== undefined && c !== null));
  return e;
}
const fill = (e, ...children) => e.replaceChildren(...children.filter(c => c));

// Numbers for people.
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const count = n => n < 100000 ? plain.format(n) : short.format(n);
export const rate = n => n > 0 && n < 10 ? n.toFixed(1) : n < 10000 ? plain.format(n) : short.format(n);
export const colour = process => `var(--p${process % 10})`;
const base = path => path.slice(path.lastIndexOf("/") + 1);
const chip = process => el("span", { class: "chip p", "--c": colour(process) }, `process ${process}`);
const clock = at => new Date(at).toLocaleTimeString("en-GB");
const since = at => {
  const s = Math.max(0, Math.round((Date.now() - new Date(at)) / 1000));
  return s < 90 ? `${s} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
};
const siteName = s => s ? s.func.replace(/^.*\//, "") : "?";
const siteLine = s => s && s.file ? `${base(s.file)}:${s.line}` : "";
const none = text => el("p", { class: "empty" }, text);

// State of the page.
let session = 0, actions = [], picture = null, before = null, source = null;
const trend = { points: [], most: 60 };  // of tiles and the history: one a second
let rates = null;                        // differences of the last two pictures, by second
const chosen = { site: "", process: "", state: "", number: "" };
let measure = "pages";
const outcomes = new Map(), working = "asking …"; // by process: what a button of it has led to

async function ask(path, options) {
  const r = await fetch(path, { credentials: "same-origin", ...options });
  const type = r.headers.get("Content-Type") || "";
  if (!type.includes("json")) throw new Error((await r.text()).trim() || r.statusText);
  const answer = await r.json();
  if (!r.ok) throw new Error(answer.error || r.statusText);
  return answer;
}
const view = (what, query = {}) => ask("api/view?" + new URLSearchParams({ session, what, ...query }));

// ---- The live connection.

function live(on, text) {
  $("live").dataset.on = on;
  $("live").textContent = text;
}

function connect() {
  if (source) source.close();
  if (!session || document.hidden) return;
  source = new EventSource(`api/live?session=${session}`);
  source.onmessage = e => { take(JSON.parse(e.data)); live("yes", "live"); };
  source.addEventListener("trouble", e => live("no", JSON.parse(e.data)));
  source.onerror = () => {
    live("no", "the program or its server is gone");
    source.close();
    setTimeout(start, 2000);
  };
}
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) { trend.points.length = 0; before = null; connect(); return; }
  if (source) source.close();
  live("", "paused");
});

async function start() {
  try {
    const s = await ask("api/sessions");
    actions = s.actions;
    const list = s.sessions;
    fill($("session"), ...list.map(x => el("option", { value: x.id }, `${base(x.path)} (${x.id})`)));
    $("session").hidden = list.length < 2;
    if (!list.some(x => x.id === session)) { session = list.length ? list[0].id : 0; before = picture = null; outcomes.clear(); }
    $("session").value = session;
    if (!session) { live("", "no program runs"); setTimeout(start, 2000); return; }
    connect();
  } catch (err) {
    live("no", err.message.replace(/^remotec: /, ""));
    setTimeout(start, 3000);
  }
}
$("session").addEventListener("change", e => {
  session = Number(e.target.value);
  before = picture = null;
  outcomes.clear();
  trend.points.length = 0;
  connect();
});

// take takes a picture.
function take(p) {
  before = picture && picture.id === p.id ? picture : null;
  picture = p;
  for (const list of ["processes", "sites", "states", "traffic", "byCall", "moves", "log"]) p[list] ||= [];
  p.site = new Map(p.sites.map(s => [s.pc, s]));
  const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);
  p.totals = {
    pages: sum(p.traffic, t => t.copies + t.moves), messages: sum(p.traffic, t => t.messages),
    calls: sum(p.byCall, c => c.count), running: sum(p.processes, m => m.running),
  };
  rates = null;
  if (before) {
    const s = Math.max((new Date(p.at) - new Date(before.at)) / 1000, 0.05);
    const old = new Map(before.traffic.map(t => [t.from + ">" + t.to, t]));
    const oldCalls = new Map(before.byCall.map(c => [c.name, c.count]));
    const per = (now, then) => Math.max(now - (then || 0), 0) / s;
    rates = {
      pages: per(p.totals.pages, before.totals.pages), messages: per(p.totals.messages, before.totals.messages),
      calls: per(p.totals.calls, before.totals.calls), created: per(p.created, before.created),
      traffic: p.traffic.map(t => {
        const o = old.get(t.from + ">" + t.to) || {};
        return { from: t.from, to: t.to, pages: per(t.copies + t.moves, (o.copies || 0) + (o.moves || 0)), messages: per(t.messages, o.messages) };
      }),
      byCall: p.byCall.map(c => ({ name: c.name, count: per(c.count, oldCalls.get(c.name)) })).filter(c => c.count > 0).sort((a, b) => b.count - a.count),
    };
    trend.points.push({ ...rates, goroutines: p.goroutines, running: p.totals.running });
    if (trend.points.length > trend.most) trend.points.shift();
  }
  header();
  draw();
}

function header() {
  const p = picture;
  $("program").textContent = [base(p.path), ...p.args.slice(1)].join(" ");
  $("program").title = p.path;
  $("facts").textContent = `pid ${p.pid}, ${p.goVersion}, ${since(p.started)}`;
  document.title = `${base(p.path)} – remotec`;
}

// ---- Views.

const views = { overview, goroutines, traffic, sharing, events };
const current = () => location.hash.slice(1).split("/")[0] in views ? location.hash.slice(1).split("/")[0] : "overview";

function draw() {
  const name = current();
  for (const v of Object.keys(views)) $("view-" + v).hidden = v !== name;
  for (const a of $("tabs").children) {
    if (a.hash === "#" + name) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (picture) views[name]();
}
addEventListener("hashchange", () => { draw(); scrollTo(0, 0); });

function overview() {
  const p = picture, r = rates || {};
  const tiles = [
    ["goroutines", count(p.goroutines), "goroutines"], ["running", count(p.totals.running), "running now"],
    ["created", rate(r.created || 0), "created a second"], ["calls", rate(r.calls || 0), "OS calls a second"],
    ["pages", rate(r.pages || 0), "pages moved a second"], ["messages", rate(r.messages || 0), "messages a second"],
  ];
  fill($("tiles"), ...tiles.map(([key, value, label]) => {
    const t = el("div", { class: "tile", "data-tile": key }, el("b", {}, value), el("span", {}, label));
    t.append(sparkline(trend.points.map(x => x[key] || 0), trend.most));
    return t;
  }));
  fill($("processes"), ...p.processes.map(m => {
    if (m.gone) {
      return el("div", { class: "process gone", "--c": colour(m.number), "data-process": m.number },
        el("div", { class: "head" }, `Process ${m.number}`, el("span", {}, "gone: it was drained, and has ended")));
    }
    const c = (n, label) => el("span", {}, el("b", {}, count(n)), label);
    const card = el("div", { class: "process", "--c": colour(m.number), "data-process": m.number },
      el("div", { class: "head" }, `Process ${m.number}`, el("span", {}, m.silent ? "does not answer" : `${m.host || "this host"}, pid ${m.pid}${m.drained ? ", drained" : ""}`)),
      el("div", { class: "counts" }, c(m.goroutines, "goroutines"), c(m.running, "running"), c(m.runnable, "ready"), c(m.created, "created")));
    const acts = el("div", { class: "acts" });
    const button = (name, label, title, how) => {
      if (actions.includes(name)) acts.append(el("button", { class: "act", title, disabled: outcomes.get(m.number) === working, on: { click: e => act(e.target, { name, process: m.number, ...how }) } }, label));
    };
    button("pause", "Pause");
    button("resume", "Resume");
    if (p.processes.length > 1) {
      // The first process never ends before the program does.
      if (m.number > 0) button("drain", "Drain", "move its goroutines and what it has to other processes; then it ends");
      if (m.drained) button("drain", "Undo drain", "it gets goroutines again", { undo: true });
      else button("drain", "Drain, keep", "move its goroutines to other processes; it stays, without any", { keep: true });
    }
    if (acts.children.length) card.append(acts);
    if (outcomes.has(m.number)) card.append(el("p", { class: "outcome", role: "status" }, outcomes.get(m.number)));
    return card;
  }));
  bars($("states"), p.states.slice(0, 8), "no goroutines");
  bars($("calls"), (r.byCall || []).slice(0, 8), "no calls in the last second", rate);
  $("siteCount").textContent = p.siteCount > 12 ? `12 of ${p.siteCount} places` : "";
  fill($("topSites"),
    el("thead", {}, el("tr", {}, el("th", {}, "go statement"), el("th", { class: "n" }, "live"), el("th", { class: "n hide" }, "created"), el("th", { class: "n hide", title: "since somebody asks" }, "CPU"), el("th", { class: "n hide", title: "since somebody asks" }, "allocated"), el("th", {}, "by process"), el("th", { class: "hide" }, "states"))),
    el("tbody", {}, ...p.sites.slice(0, 12).map(s => el("tr", {},
      el("td", { class: "code link" }, el("a", { href: "#goroutines", on: { click: () => choose({ site: s.pc }) } }, siteName(s)), el("span", { class: "where" }, siteLine(s))),
      el("td", { class: "n" }, count(s.live)), el("td", { class: "n hide" }, count(s.created)),
      el("td", { class: "n hide" }, `${short.format(s.cpu / 1e9)} s`), el("td", { class: "n hide" }, `${short.format(s.bytes)}B`),
      el("td", {}, splitBar(s.by)),
      el("td", { class: "hide" }, s.states.slice(0, 3).map(x => `${x.state} ${count(x.count)}`).join(", "))))));
}

function splitBar(by) {
  const all = by.reduce((a, b) => a + b, 0);
  return el("div", { class: "split-bar", title: by.map((n, k) => `process ${k}: ${n}`).join(", ") },
    ...by.map((n, k) => {
      const part = el("i", { "--c": colour(k) });
      part.style.width = `${100 * n / all}%`;
      return part;
    }));
}

function bars(where, list, empty, format = count) {
  if (!list.length) return fill(where, none(empty));
  const most = Math.max(...list.map(x => x.count));
  fill(where, ...list.map(x => {
    const f = el("div", { class: "fill" });
    f.style.width = `${100 * x.count / most}%`;
    const label = x.state || x.name;
    return el("div", { class: "bar" }, el("span", { class: "label", title: label }, label), el("div", { class: "track" }, f), el("span", { class: "n" }, format(x.count)));
  }));
}

// ---- The list of goroutines: the rows that can be seen, and some around.

const rowHeight = 34, tallest = 15e6;
let total = 0, shown = { offset: -1, rows: [] }, asking = false, again = false;

function choose(what) {
  Object.assign(chosen, { site: "", process: "", state: "", number: "" }, what);
  $("rows").scrollTop = 0;
}

function options(select, all, list, value) {
  const text = JSON.stringify([all, list]);
  if (select.dataset.options !== text) {
    select.dataset.options = text;
    fill(select, el("option", { value: "" }, all), ...list.map(x => el("option", { value: x[0] }, x[1])));
  }
  select.value = value;
}

function goroutines() {
  const p = picture;
  options($("byProcess"), "all processes", p.processes.filter(m => !m.gone).map(m => [m.number, `process ${m.number}`]), chosen.process);
  options($("byState"), "all states", p.states.map(s => [s.state, s.state]).sort(), chosen.state);
  if (document.activeElement !== $("byNumber")) $("byNumber").value = chosen.number;
  const top = $("sites").scrollTop;
  fill($("sites"), siteButton("", "all places", p.siteCount === 1 ? "1 place" : `${p.siteCount} places`, p.goroutines),
    ...p.sites.filter(s => s.live || s.pc === chosen.site).map(s => siteButton(s.pc, siteName(s), siteLine(s), s.live)));
  $("sites").scrollTop = top;
  rows();
}

function siteButton(pc, name, at, n) {
  return el("button", { class: "site", "aria-pressed": String(chosen.site === pc), on: { click: () => { chosen.site = pc; $("rows").scrollTop = 0; draw(); } } },
    el("span", { class: "fn", title: name }, name), el("span", { class: "n" }, count(n)), el("span", { class: "at" }, at));
}

for (const [id, key] of [["byProcess", "process"], ["byState", "state"], ["byNumber", "number"]]) {
  $(id).addEventListener("input", e => { chosen[key] = e.target.value.trim(); $("rows").scrollTop = 0; rows(); });
}
$("filter").addEventListener("submit", e => e.preventDefault());
$("rows").addEventListener("scroll", () => requestAnimationFrame(rows));

// A list of more than some hundred thousand rows would be taller than browsers
// can scroll: then a pixel of the scroll bar stands for more than one.
const runway = () => Math.min(total * rowHeight, tallest);
function firstRow() {
  const box = $("rows"), room = runway() - box.clientHeight;
  if (total * rowHeight <= tallest || room <= 0) return Math.floor(box.scrollTop / rowHeight);
  return Math.floor(box.scrollTop / room * (total - box.clientHeight / rowHeight));
}

async function rows() {
  if (current() !== "goroutines") return;
  if (asking) { again = true; return; }
  asking = true;
  try {
    do {
      again = false;
      const seen = Math.ceil($("rows").clientHeight / rowHeight);
      const offset = Math.max(0, firstRow() - 10);
      const query = { offset, limit: Math.min(seen + 20, 400) };
      for (const k of Object.keys(chosen)) if (chosen[k] !== "") query[k] = chosen[k];
      const l = await view("goroutines", query);
      total = l.total;
      shown = { offset, rows: l.rows };
      place();
    } while (again);
  } catch (err) {
    $("found").textContent = err.message;
  }
  asking = false;
}

function place() {
  const box = $("rows"), first = firstRow();
  $("found").textContent = `${plain.format(total)} goroutine${total === 1 ? "" : "s"}`;
  $("runway").style.height = `${runway()}px`;
  const at = total * rowHeight <= tallest ? shown.offset * rowHeight : box.scrollTop - (first - shown.offset) * rowHeight;
  $("window").style.top = `${at}px`;
  const focus = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.goroutine : undefined;
  fill($("window"), ...shown.rows.map(r => {
    const s = picture.site.get(r.pc);
    return el("button", { class: "row", role: "option", "data-goroutine": r.id, on: { click: () => detail(r) } },
      el("span", { class: "id" }, String(r.id)), el("span", {}, el("span", { class: "chip p", "--c": colour(r.process) }, String(r.process))),
      el("span", { class: "state", title: r.state }, r.state), el("span", { class: "at" }, s ? `${siteName(s)}  ${siteLine(s)}` : ""));
  }));
  if (focus) box.querySelector(`[data-goroutine="${focus}"]`)?.focus({ preventScroll: true });
}

// ---- One goroutine.

let inspected = null;

function detail(row) {
  inspected = row;
  $("detailName").textContent = `Goroutine ${row.id}`;
  $("outcome").textContent = "";
  $("stack").textContent = "asking …";
  facts(row);
  buttons(row);
  if (!$("detail").open) $("detail").showModal();
  stack();
}

function facts(row) {
  const s = picture.site.get(row.pc);
  fill($("detailFacts"), el("dt", {}, "process"), el("dd", { id: "detailProcess" }, chip(row.process)),
    el("dt", {}, "state"), el("dd", {}, row.state),
    el("dt", {}, "made at"), el("dd", { class: "code" }, s ? `${s.func} ${s.file ? `${s.file}:${s.line}` : ""}` : "?"));
}

function buttons(row) {
  const list = [];
  if (actions.includes("migrate") && picture.processes.length > 1) {
    const to = el("select", { id: "target", "aria-label": "process to move to" }, ...picture.processes.filter(m => m.number !== row.process && !m.gone)
      .map(m => el("option", { value: m.number }, `process ${m.number}`)));
    list.push(el("button", { class: "act main", id: "migrate", on: { click: e => act(e.target, { name: "migrate", goroutine: row.id, process: Number(to.value) }) } }, "Move to"), to);
  }
  for (const [name, label] of [["pause", "Pause"], ["resume", "Resume"]]) {
    if (actions.includes(name)) list.push(el("button", { class: "act", on: { click: e => act(e.target, { name, goroutine: row.id, process: row.process }) } }, label));
  }
  fill($("actions"), ...list);
}

async function stack() {
  const row = inspected;
  try {
    const s = await view("stack", { goroutine: row.id });
    if (inspected !== row) return;
    row.process = s.process;
    const status = /^goroutine \d+ \[([^\]]*)\]/.exec(s.text);
    if (status) row.state = status[1];
    facts(row);
    buttons(row);
    const text = s.text.slice(s.text.indexOf("\n") + 1).trimEnd();
    fill($("stack"), ...text.split("\n").map(line => el("span", { class: line.startsWith("\t") ? "at" : "fn" }, line.replace(/^\t/, "    ") + "\n")));
  } catch (err) {
    if (inspected === row) $("stack").textContent = err.message;
  }
}
$("again").addEventListener("click", stack);
$("detail").addEventListener("click", e => { if (e.target === $("detail")) $("detail").close(); });

// act has an action carried out.
async function act(button, action) {
  const say = action.goroutine
    ? (text, how) => { $("outcome").textContent = text; $("outcome").className = `outcome ${how}`; }
    : text => { outcomes.set(action.process, text); draw(); };
  button.disabled = true;
  say(working, "");
  try {
    await ask("api/action", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ session, process: 0, ...action }) });
    say(action.name === "migrate" ? `it is in process ${action.process}` : "done", "good");
  } catch (err) {
    say(err.message, "bad");
  }
  button.disabled = false;
  if ($("detail").open) stack();
  draw();
}

// ---- Traffic.

for (const b of $("measure").children) {
  b.addEventListener("click", () => {
    measure = b.dataset.of;
    for (const o of $("measure").children) o.setAttribute("aria-pressed", String(o === b));
    draw();
  });
}

function traffic() {
  const p = picture;
  $("unit").textContent = "a second";
  drawGraph($("graph"), p.processes.filter(m => !m.gone).map(m => m.number), rates ? rates.traffic.map(t => ({ ...t, value: t[measure] })) : [], measure);
  drawMatrix($("matrix"), p.processes.map(m => m.number), p.traffic, rates ? rates.traffic : [], measure);
  drawHistory($("history"), $("legend"), trend.points, trend.most, [
    ["pages", "pages moved", "--p0"], ["messages", "messages", "--p1"], ["calls", "OS calls", "--p2"],
  ]);
}

// ---- Sharing.

let sharingAt = 0;
async function sharing() {
  if (Date.now() - sharingAt < 1500) return;
  sharingAt = Date.now();
  let list;
  try { list = await view("sharing", { limit: 20 }); } catch (err) { return fill($("pages"), none(err.message)); }
  if (!list.length) return fill($("pages"), none(picture.processes.length < 2 ? "The program runs in one process: it shares its memory with none." : "No page goes back and forth between processes."));
  const kinds = { "false sharing": "bad", "true sharing": "warn", both: "warn" };
  fill($("pages"), ...list.map(p => {
    const name = o => o.name || o.type || (o.kind === "stack" ? "stack" : o.kind === "unknown" ? "unknown" : `object of ${o.size} bytes`);
    const card = el("article", { class: "card page" },
      el("h2", {}, el("span", { class: "code" }, p.objects.length ? p.objects.map(name).slice(0, 3).join(", ") : p.where), p.verdict ? el("span", { class: `chip ${kinds[p.verdict]}` }, p.verdict) : undefined),
      el("p", { class: "meta" }, `${p.where}, page 0x${BigInt(p.address).toString(16)}: ${count(p.moves)} moves, `,
        p.idle > 5 ? `the last one ${Math.round(p.idle)} s ago` : `about ${rate(p.rate)} a second`));
    card.append(strip(p));
    const body = el("tbody"), weight = w => w.reads + w.writes;
    // The words that matter, in the order in which they are in memory.
    const words = p.objects.flatMap(o => o.words).sort((a, b) => weight(b) - weight(a)), few = new Set(words.slice(0, 8));
    for (const o of p.objects) {
      for (const w of o.words) {
        if (!few.has(w)) continue;
        body.append(el("tr", {}, el("td", { class: "code" }, `${name(o)}${w.field || (o.size > 8 ? ` +${w.offset}` : "")}`), el("td", {}, chip(w.process)),
          el("td", { class: "n" }, count(w.reads)), el("td", { class: "n" }, count(w.writes))));
      }
    }
    if (words.length > few.size) body.append(el("tr", {}, el("td", { class: "where", colspan: "4" }, `and ${words.length - few.size} more`)));
    card.append(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "word that was waited for"), el("th", {}, ""), el("th", { class: "n" }, "reads"), el("th", { class: "n" }, "writes"))), body)));
    if (p.places.length) {
      const seen = new Map();
      for (const at of p.places) {
        const key = `${at.func} ${base(at.file)}:${at.line}`;
        (seen.get(key) || seen.set(key, new Set()).get(key)).add(at.process);
      }
      card.append(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "by"), el("th", {}, ""))),
        el("tbody", {}, ...[...seen].map(([key, by]) => el("tr", {}, el("td", { class: "code" }, key), el("td", { class: "chips" }, ...[...by].sort().map(chip))))))));
    }
    for (const o of p.objects) if (o.alloc) card.append(el("p", { class: "note" }, `allocated by ${o.alloc}`));
    if (p.hint) card.append(el("p", { class: "hint" }, p.hint));
    return card;
  }));
}

// strip draws the page from its first byte to its last, with the words in the colours of who wanted them.
function strip(p) {
  const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg");
  svg.setAttribute("class", "strip");
  svg.setAttribute("viewBox", "0 0 512 26");
  svg.setAttribute("preserveAspectRatio", "none");
  const start = BigInt(p.address), most = Math.max(1, ...p.objects.flatMap(o => o.words.map(w => w.reads + w.writes)));
  const rect = (x, y, w, h, style) => {
    const r = document.createElementNS(ns, "rect");
    for (const [k, v] of Object.entries({ x, y, width: w, height: h })) r.setAttribute(k, v);
    Object.assign(r.style, style);
    svg.append(r);
  };
  for (const o of p.objects) {
    const from = Math.max(0, Number(BigInt(o.address) - start)), to = Math.min(4096, Number(BigInt(o.address) - start) + o.size);
    rect(from / 8, 0, Math.max(1, (to - from) / 8), 26, { fill: "var(--dim)", opacity: .18 });
  }
  for (const o of p.objects) {
    for (const w of o.words) {
      const h = 6 + 20 * Math.sqrt((w.reads + w.writes) / most);
      rect((Number(BigInt(o.address) - start) + w.offset) / 8, 26 - h, 3, h, { fill: colour(w.process) });
    }
  }
  return svg;
}

// ---- Moves, calls and the log.

function events() {
  const p = picture;
  $("moveCount").textContent = p.moveCount > p.moves.length ? `the last ${p.moves.length} of ${count(p.moveCount)}` : "";
  if (!p.moves.length) fill($("moves"), el("tbody", {}, el("tr", {}, el("td", {}, none("No goroutine has moved while somebody looked.")))));
  else {
    fill($("moves"), el("thead", {}, el("tr", {}, el("th", {}, "at"), el("th", { class: "n" }, "goroutine"), el("th", {}, "from"), el("th", {}, "to"), el("th", {}, "reason"), el("th", { class: "n hide" }, "took"))),
      el("tbody", {}, ...p.moves.map(m => el("tr", {}, el("td", {}, clock(m.at)), el("td", { class: "n code" }, String(m.goroutine)),
        el("td", {}, m.from < 0 ? "?" : chip(m.from)), el("td", {}, chip(m.to)),
        el("td", {}, m.reason, m.error ? el("span", { class: "where" }, m.error) : undefined, m.error ? el("span", { class: "chip bad" }, "did not go") : undefined),
        el("td", { class: "n hide" }, m.took ? `${(m.took / 1e6).toFixed(1)} ms` : "")))));
  }
  bars($("allCalls"), p.byCall.slice(0, 60), "no calls yet");
  if (!p.log.length) fill($("log"), none("The server has had nothing to say."));
  else fill($("log"), ...p.log.map(l => el("div", { class: l.level }, el("time", {}, clock(l.at)), l.text)));
}

// The token is in the address of the first visit only: the cookie is enough from now on, and the
// address can be shown to others.
if (location.search) history.replaceState(null, "", location.pathname + location.hash);
addEventListener("resize", () => { if (picture) draw(); });
draw();
start();
