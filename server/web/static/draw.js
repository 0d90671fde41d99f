// What the page draws: lines over time, and what goes from process to process.
import { el, rate, colour } from "./page.js";

const ns = "http://www.w3.org/2000/svg";
function svg(name, attrs, ...children) {
  const e = document.createElementNS(ns, name);
  for (const [k, v] of Object.entries(attrs)) {
    if (k === "style") Object.assign(e.style, v);
    else e.setAttribute(k, v);
  }
  e.append(...children);
  return e;
}

// sparkline is a small line of values, the last one at the right.
export function sparkline(values, most) {
  const s = svg("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (values.length < 2) return s;
  const top = Math.max(...values, 1e-9), x = i => 100 - (values.length - 1 - i) * 100 / (most - 1), y = v => 28 - 25 * v / top;
  const line = values.map((v, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join("");
  s.append(svg("path", { class: "area", d: `${line}L100 30L${x(0).toFixed(1)} 30Z` }), svg("path", { class: "line", d: line }));
  return s;
}

// drawGraph draws processes on a circle, with an arrow for each direction, as wide as what
// goes there.
export function drawGraph(where, processes, edges, what) {
  const n = processes.length, cx = 210, cy = 150, r = n < 2 ? 0 : n === 2 ? 135 : 118, size = n > 16 ? 13 : n > 8 ? 18 : 26;
  const at = new Map(processes.map((p, i) => {
    const angle = (n === 2 ? Math.PI : -Math.PI / 2) + 2 * Math.PI * i / n;
    return [p, { x: cx + r * Math.cos(angle), y: cy + r * Math.sin(angle) }];
  }));
  const most = Math.max(1, ...edges.map(e => e.value)), arrows = [], labels = [], nodes = [];
  for (const e of edges) {
    const a = at.get(e.from), b = at.get(e.to);
    if (!a || !b || e.from === e.to) continue;
    // A curve beside the line between the two, from rim to rim: u goes along, v aside.
    const dx = b.x - a.x, dy = b.y - a.y, d = Math.hypot(dx, dy), ux = dx / d, uy = dy / d, vx = uy, vy = -ux;
    const wide = e.value ? 1.2 + 5 * Math.sqrt(e.value / most) : 0.8, bend = n === 2 ? 70 : Math.min(40, d / 5), head = 7 + 1.6 * wide;
    const point = (along, aside) => ({ x: a.x + ux * along + vx * aside, y: a.y + uy * along + vy * aside });
    const from = point(size * .75, size * .75), to = point(d - size * .8, size * .9), mid = point(d / 2, size * .8 + bend);
    const back = Math.hypot(to.x - mid.x, to.y - mid.y), tx = (to.x - mid.x) / back, ty = (to.y - mid.y) / back;
    const neck = { x: to.x - tx * head, y: to.y - ty * head }, half = head * .55;
    const arrow = svg("g", { class: e.value ? "edge" : "edge quiet" },
      svg("path", { class: "shaft", d: `M${from.x} ${from.y}Q${mid.x} ${mid.y} ${neck.x} ${neck.y}`, "stroke-width": wide, style: { stroke: colour(e.from) } }),
      svg("path", { d: `M${to.x} ${to.y}L${neck.x - ty * half} ${neck.y + tx * half}L${neck.x + ty * half} ${neck.y - tx * half}Z`, style: { fill: colour(e.from) } }));
    arrow.append(svg("title", {}, `process ${e.from} to ${e.to}: ${rate(e.value)} ${what} a second`));
    arrows.push(arrow);
    if (n <= 4 && e.value) {
      const l = point(d / 2, size * .4 + bend / 2 + 18 + wide);
      labels.push(svg("text", { class: "dim", x: l.x, y: l.y + 4 }, `${rate(e.value)}/s`));
    }
  }
  for (const p of processes) {
    const { x, y } = at.get(p);
    nodes.push(svg("circle", { cx: x, cy: y, r: size, style: { stroke: colour(p) } }), svg("text", { x, y: y + 5 }, String(p)));
  }
  where.setAttribute("viewBox", n === 2 ? "0 40 420 220" : "0 0 420 300");
  where.replaceChildren(...arrows, ...nodes, ...labels);
}

// drawMatrix fills a table: a row for each process that something comes from.
export function drawMatrix(table, processes, totals, rates, what) {
  const key = (a, b) => a + ">" + b;
  const sum = t => what === "messages" ? t.messages : t.copies + t.moves;
  const all = new Map(totals.map(t => [key(t.from, t.to), t])), now = new Map(rates.map(t => [key(t.from, t.to), t]));
  const most = Math.max(1, ...totals.map(sum));
  table.replaceChildren(
    el("thead", {}, el("tr", {}, el("th", {}, ""), ...processes.map(p => el("th", {}, `to ${p}`)))),
    el("tbody", {}, ...processes.map(from => el("tr", {}, el("th", {}, `from ${from}`), ...processes.map(to => {
      const t = all.get(key(from, to));
      if (!t || from === to) return el("td", {}, from === to ? "" : "0");
      const r = now.get(key(from, to));
      return el("td", { "--heat": (sum(t) / most).toFixed(3), title: `${t.copies} pages to read, ${t.moves} to write, ${t.messages} messages` },
        new Intl.NumberFormat("en").format(sum(t)), el("small", {}, r ? `${rate(r[what])}/s` : ""));
    })))));
}

// drawHistory draws lines over the last seconds, each to its own scale.
export function drawHistory(canvas, legend, points, most, lines) {
  const ratio = devicePixelRatio || 1, w = canvas.clientWidth, h = 120;
  canvas.width = w * ratio;
  canvas.height = h * ratio;
  canvas.style.height = `${h}px`;
  const c = canvas.getContext("2d");
  // A colour that depends on light or dark has to be computed by an element.
  const probe = el("span");
  document.body.append(probe);
  const resolve = name => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
  c.scale(ratio, ratio);
  c.strokeStyle = resolve("--line");
  c.lineWidth = 1;
  for (const y of [1, h / 2, h - 1]) { c.beginPath(); c.moveTo(0, y); c.lineTo(w, y); c.stroke(); }
  for (const [key, , name] of lines) {
    const values = points.map(p => p[key] || 0), top = Math.max(...values, 1);
    c.strokeStyle = resolve(name);
    c.lineWidth = 1.6;
    c.lineJoin = "round";
    c.beginPath();
    values.forEach((v, i) => c[i ? "lineTo" : "moveTo"](w - (values.length - 1 - i) * w / (most - 1), h - 3 - (h - 8) * v / top));
    c.stroke();
  }
  probe.remove();
  legend.replaceChildren(...lines.map(([key, label, name]) => {
    const values = points.map(p => p[key] || 0);
    return el("span", { "--c": `var(${name})` }, el("i"), `${label}: ${rate(values.at(-1) || 0)}, at most ${rate(Math.max(...values, 0))}`);
  }));
}
