"use strict";
// The panel of one connectivity estimate: controls, matrix, graph, table. Called with its place, its data and the tools of the page.
const drawConnectivity = (place, data, tools) => {
  const { page, narrow, plain, short, axis, draw, title, cells } = tools;
  const SVG = "http://www.w3.org/2000/svg";
  const [INHIBITORY, EXCITATORY] = [page.theme.diverging[0][1], page.theme.diverging[4][1]];
  const SHARES = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
  const QS = [1e-10, 1e-6, 1e-4, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
  const Z_STEPS = 50;
  const n = data.units.length;
  const find = (name) => place.querySelector(`[data-choose="${name}"]`);
  const tell = (name, text) => { const told = place.querySelector(`[data-tell="${name}"]`); if (told && told.textContent !== text) told.textContent = text; };
  const [from, onto, by, threshold, layout, truth] = ["from", "onto", "by", "threshold", "layout", "truth"].map(find);
  const matrixPlace = place.querySelector('[data-plot="matrix"]');
  const networkPlace = place.querySelector('[data-plot="network"]');
  const reading = place.querySelector("[data-reading]");

  const unpack = (text, Kind) => (text === null ? null : new Kind(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer));
  const weight = unpack(data.weight, Float32Array);
  const z = unpack(data.z, Float32Array);
  const p = unpack(data.pValue, Float32Array);
  const q = unpack(data.qValue, Float32Array);
  const lag = unpack(data.lag, Int16Array);
  const strength = (pair) => { const value = Math.abs((z ?? weight)[pair]); return Number.isNaN(value) ? -1 : value; };
  const truePairs = new Map((data.truth ?? []).map(([i, j, value]) => [i * n + j, value]));
  const isTrue = (pair) => truePairs.has(pair) || (!data.directed && truePairs.has((pair % n) * n + Math.floor(pair / n)));
  // Every pair once, the most certain first, as edges.parquet has them.
  const pairs = [];
  for (let i = 0; i < n; i += 1) for (let j = data.directed ? 0 : i + 1; j < n; j += 1) if (i !== j) pairs.push(i * n + j);
  const certainty = (pair) => (p === null || Number.isNaN(p[pair]) ? 2 : p[pair]);
  pairs.sort((a, b) => certainty(a) - certainty(b) || strength(b) - strength(a) || Math.abs(weight[b]) - Math.abs(weight[a]));
  const strengths = Float32Array.from(pairs, strength).sort().reverse();
  const largest = strengths[0] ?? 0;

  const whole = (value) => value.toLocaleString("en");
  const digits = (value, count = 3) => (value === null || value === undefined || Number.isNaN(value) ? "-" : Number(value.toPrecision(count)).toString().replace("-", "\u2212"));
  // p and q are kept in single precision; beyond it only their smallness is known.
  const small = (value, count) => (value < 1.2e-38 && data.rule !== "7sd" ? "<1e\u221238" : digits(value, count));
  const milliseconds = (pair) => (lag[pair] === -32768 ? "-" : digits(lag[pair] / 10, 4));
  const distance = (i, j) => (data.position?.[i] && data.position[j] ? whole(Math.round(Math.hypot(...data.position[i].map((one, at) => one - data.position[j][at])))) : "-");

  // What a place of the slider means, for each way to call a pair an edge.
  const WAYS = {
    q: { steps: QS.length, first: QS.indexOf(data.q), passes: (step) => { const most = Math.fround(QS[step]); return (pair) => q[pair] <= most; }, said: (step) => `q at most ${QS[step]}` },
    z: { steps: Z_STEPS + 1, first: 20, passes: (step) => { const least = Math.fround((step / Z_STEPS) ** 2 * largest); return (pair) => strength(pair) >= least; },
      said: (step) => `|z| at least ${digits((step / Z_STEPS) ** 2 * largest)}` },
    share: { steps: SHARES.length, first: SHARES.indexOf(0.05), passes: (step) => { const least = strengths[Math.max(1, Math.round(SHARES[step] * pairs.length)) - 1]; return (pair) => strength(pair) >= least; },
      said: (step) => `the strongest ${100 * SHARES[step]} % by |${z ? "z" : "weight"}|` },
  };
  const reset = () => {
    threshold.max = String(WAYS[by.value].steps - 1);
    threshold.value = String(WAYS[by.value].first);
  };

  const describe = (pair) => {
    const [i, j] = [Math.floor(pair / n), pair % n];
    const lines = [`${data.units[i]} (${data.areas[i]}) ${data.directed ? "to" : "and"} ${data.units[j]} (${data.areas[j]})`, `weight ${digits(weight[pair])} (${data.measure})`];
    if (z) lines.push(`z ${digits(z[pair])}${p ? `, p ${small(p[pair], 2)}` : ""}${q ? `, q ${small(q[pair], 2)}` : ""}`);
    if (lag[pair] !== -32768) lines.push(`lag ${milliseconds(pair)} ms`);
    if (data.truth) lines.push(isTrue(pair) ? `a true coupling, ${digits(truePairs.get(pair) ?? truePairs.get(j * n + i))}` : "no true coupling");
    return lines;
  };
  const read = (lines, event) => {
    reading.replaceChildren(...lines.map((text) => { const line = document.createElement("p"); line.textContent = text; return line; }));
    reading.hidden = false;
    const { width, height } = reading.getBoundingClientRect();
    reading.style.left = `${Math.max(8, Math.min(event.clientX + 14, document.documentElement.clientWidth - width - 8))}px`;
    reading.style.top = `${event.clientY + 18 + height > window.innerHeight ? Math.max(8, event.clientY - height - 12) : event.clientY + 18}px`;
  };
  const stopReading = () => { reading.hidden = true; };

  const members = (area) => data.areas.flatMap((own, at) => (area === "" || own === area ? [at] : []));
  const ticks = (chosen) => {
    const [tickvals, ticktext] = [[], []];
    let begin = 0;
    for (let at = 1; at <= chosen.length; at += 1) {
      if (at === chosen.length || data.areas[chosen[at]] !== data.areas[chosen[begin]]) {
        const room = (at - begin) / chosen.length; // names of small areas would lie on top of each other
        tickvals.push((begin + at - 1) / 2);
        ticktext.push(room < (narrow() ? 0.06 : 0.03) ? "" : short(data.areas[chosen[begin]], 14));
        begin = at;
      }
    }
    return { tickvals, ticktext };
  };

  let shownRows = [];
  let shownColumns = [];
  function drawMatrix(passes) {
    const [rows, columns] = [members(from.value), members(onto.value)];
    [shownRows, shownColumns] = [rows, columns];
    const clip = (value) => (Number.isNaN(value) ? null : Math.max(-data.bound, Math.min(data.bound, value)));
    const once = (i, j) => (data.directed || i < j ? i * n + j : j * n + i);
    const all = rows.map((i) => columns.map((j) => (i === j ? null : clip(weight[i * n + j]))));
    const kept = rows.map((i, row) => columns.map((j, column) => (i !== j && passes(once(i, j)) ? all[row][column] : null)));
    const bar = narrow() ? { orientation: "h", y: -0.2, yanchor: "top" } : {};
    const map = { type: "heatmap", zmin: -data.bound, zmax: data.bound, hoverongaps: true, hoverinfo: "none", colorscale: page.theme.diverging };
    const traces = [
      { ...map, z: all, opacity: 0.25, showscale: false },
      { ...map, z: kept, colorbar: { title: { text: plain(data.measure), font: { size: 12 }, side: narrow() ? "bottom" : "right" }, thickness: 12, outlinewidth: 0, exponentformat: "power", nticks: 5, ...bar } },
    ];
    if (truth?.checked) {
      const [x, y] = [[], []];
      const [rowOf, columnOf] = [rows, columns].map((list) => new Map(list.map((unit, at) => [unit, at])));
      for (const pair of truePairs.keys()) {
        const [i, j] = [Math.floor(pair / n), pair % n];
        if (rowOf.has(i) && columnOf.has(j)) { x.push(columnOf.get(j)); y.push(rowOf.get(i)); }
      }
      const size = Math.max(4, Math.min(14, (0.8 * Math.min(560, matrixPlace.clientWidth)) / Math.max(rows.length, columns.length)));
      traces.push({ type: "scatter", mode: "markers", x, y, hoverinfo: "skip", marker: { symbol: "square-open", size, color: page.theme.ink, line: { width: 1.4 } } });
    }
    const side = (text, chosen) => axis({ title: title(text), showgrid: false, ticks: "", constrain: "domain", range: [-0.5, chosen.length - 0.5], ...ticks(chosen) });
    const flat = rows.length * 3 < columns.length; // a strip of few rows need not be as tall as the whole matrix
    const square = !flat && columns.length * 3 >= rows.length;
    const height = flat ? 380 : narrow() ? matrixPlace.clientWidth + 130 : 600;
    const names = data.directed ? ["target unit", "source unit"] : ["unit", "unit"];
    const y = side(names[1], rows);
    draw(matrixPlace, traces, {
      height, plot_bgcolor: "#f4f6f8", margin: { l: 70, r: 16, t: 16, b: 60 }, hovermode: "closest",
      xaxis: side(names[0], columns), yaxis: { ...y, range: [...y.range].reverse(), ...(square ? { scaleanchor: "x" } : { scaleanchor: false }) },
    });
  }

  const svg = (parent, name, attributes) => {
    const made = parent.appendChild(document.createElementNS(SVG, name));
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, String(value)));
    return made;
  };
  function drawNetwork(edges) {
    const circle = layout.value === "circle";
    const spot = data[layout.value];
    const drawable = edges.filter((pair) => spot[Math.floor(pair / n)] && spot[pair % n]);
    const arrows = drawable.slice(0, data.mostArrows);
    const joined = new Set(edges.flatMap((pair) => [Math.floor(pair / n), pair % n]));
    const reach = circle ? 1.32 : 1.08;
    const drawing = document.createElementNS(SVG, "svg");
    const tall = circle ? 1.16 : Math.max(0.4, ...spot.filter((one) => one !== null).map((one) => Math.abs(one[1]))) + 0.08;
    drawing.setAttribute("viewBox", `${-reach} ${-tall} ${2 * reach} ${2 * tall}`);
    const crowd = Math.min(1, Math.sqrt(80 / Math.max(1, arrows.length))); // of many edges each is thinner
    const radius = Math.max(0.009, Math.min(0.03, 1.1 / n));
    const most = Math.max(...arrows.map((pair) => Math.abs(weight[pair])), 0) || 1;
    const at = (unit) => [spot[unit][0], -spot[unit][1]];
    for (const pair of [...arrows].reverse()) { // the most certain on top
      const [i, j] = [Math.floor(pair / n), pair % n];
      const [[x0, y0], [x1, y1]] = [at(i), at(j)];
      const [cx, cy] = circle ? [0.25 * (x0 + x1) / 2, 0.25 * (y0 + y1) / 2] : [(x0 + x1) / 2 + 0.08 * (y1 - y0), (y0 + y1) / 2 - 0.08 * (x1 - x0)];
      const back = Math.hypot(x1 - cx, y1 - cy) || 1;
      const [ux, uy] = [(x1 - cx) / back, (y1 - cy) / back];
      const [tx, ty] = [x1 - ux * radius * 1.2, y1 - uy * radius * 1.2];
      const colour = weight[pair] < 0 ? INHIBITORY : EXCITATORY;
      const width = crowd * (0.004 + 0.009 * Math.abs(weight[pair]) / most);
      const group = svg(drawing, "g", { class: "edge", "data-pair": pair, stroke: colour, fill: "none" });
      svg(group, "path", { d: `M${x0.toFixed(3)} ${y0.toFixed(3)}Q${cx.toFixed(3)} ${cy.toFixed(3)} ${tx.toFixed(3)} ${ty.toFixed(3)}`, "stroke-width": width.toFixed(4), opacity: 0.35 + 0.4 * crowd });
      if (data.directed) { // an arrow drives, a bar holds back
        const wide = 0.014 * crowd + width;
        const head = weight[pair] < 0
          ? `M${(tx - uy * wide).toFixed(3)} ${(ty + ux * wide).toFixed(3)}L${(tx + uy * wide).toFixed(3)} ${(ty - ux * wide).toFixed(3)}`
          : `M${(tx - ux * 2 * wide - uy * wide).toFixed(3)} ${(ty - uy * 2 * wide + ux * wide).toFixed(3)}L${tx.toFixed(3)} ${ty.toFixed(3)}L${(tx - ux * 2 * wide + uy * wide).toFixed(3)} ${(ty - uy * 2 * wide - ux * wide).toFixed(3)}`;
        svg(group, "path", { d: head, "stroke-width": Math.max(0.006 * crowd, width).toFixed(4), ...(weight[pair] < 0 ? {} : { fill: colour }) });
      }
      svg(group, "path", { d: group.firstChild.getAttribute("d"), "stroke-width": 0.03, opacity: 0 }); // wide enough to be pointed at
    }
    data.units.forEach((unit, own) => {
      if (!spot[own] || (!circle && !joined.has(own))) return;
      const [cx, cy] = at(own);
      const node = svg(drawing, "circle", { cx, cy, r: radius, fill: data.colours[data.areas[own]], stroke: "#fff", "stroke-width": 0.003, class: joined.has(own) ? "unit joined" : "unit", opacity: joined.has(own) ? 1 : 0.35 });
      svg(node, "title", {}).textContent = `${unit} (${data.areas[own]})`;
    });
    if (circle) nameAreas(drawing, at);
    networkPlace.replaceChildren(drawing);
    const hidden = edges.length - arrows.length;
    tell("network", `${whole(arrows.length)} ${arrows.length === 1 ? "edge" : "edges"} drawn${hidden > 0 ? `; ${whole(hidden)} less certain ones, or of units without a place in this layout, are not` : ""}. ${data.directed ? "An arrow drives, a bar holds back. " : ""}Wider is stronger.`);
  }
  function nameAreas(drawing, at) {
    let begin = 0;
    const named = [];
    for (let end = 1; end <= n; end += 1) {
      if (end < n && data.areas[end] === data.areas[begin]) continue;
      const [[x0, y0], [x1, y1]] = [at(begin), at(end - 1)];
      const angle = Math.atan2(y0 + y1, x0 + x1) + ((end - begin) / n > 0.6 ? Math.PI : 0);
      const [x, y] = [1.06 * Math.cos(angle), 1.06 * Math.sin(angle)];
      if (named.every(([a, b]) => Math.hypot(a - x, b - y) > 0.09)) { // names would lie on top of each other
        named.push([x, y]);
        const text = svg(drawing, "text", { x, y, "font-size": narrow() ? 0.085 : 0.055, "text-anchor": Math.abs(x) < 0.2 ? "middle" : x > 0 ? "start" : "end", "dominant-baseline": Math.abs(x) < 0.2 ? (y < 0 ? "auto" : "hanging") : "middle", fill: page.theme.ink });
        text.textContent = data.areas[begin].length > 9 ? `${data.areas[begin].slice(0, 8)}…` : data.areas[begin];
      }
      begin = end;
    }
  }

  function fillTable(edges) {
    const body = place.querySelector('[data-table="edges"] tbody');
    const rows = edges.slice(0, data.nEdges).map((pair) => {
      const [i, j] = [Math.floor(pair / n), pair % n];
      const row = document.createElement("tr");
      cells(row, [data.units[i], data.units[j], `${data.areas[i]} to ${data.areas[j]}`, digits(weight[pair]), z ? digits(z[pair]) : "-", p ? small(p[pair]) : "-", q ? small(q[pair]) : "-", milliseconds(pair), distance(i, j)]);
      row.children[1].className = "";
      row.children[2].className = "ends";
      return row;
    });
    body.replaceChildren(...rows);
    const more = edges.length - rows.length;
    tell("table", edges.length === 0 ? "No pair passes the threshold." : more > 0 ? `The first ${rows.length}; ${whole(more)} more pass the threshold.` : "");
  }

  const legend = (name, entries) => place.querySelector(`[data-legend="${name}"]`)?.replaceChildren(...entries.map(([colour, text]) => {
    const entry = document.createElement("span");
    entry.appendChild(document.createElement("i")).style.background = colour;
    entry.append(text);
    return entry;
  }));

  const drawn = { passes: null, edges: [] };
  function choose() { // what is counted follows the slider at once, however large the matrix
    stopReading();
    const [way, step] = [WAYS[by.value], Number(threshold.value)];
    const passes = way.passes(step);
    const fits = (i, j) => (from.value === "" || data.areas[i] === from.value) && (onto.value === "" || data.areas[j] === onto.value);
    const filtered = from.value === "" && onto.value === "" ? pairs : pairs.filter((pair) => {
      const [i, j] = [Math.floor(pair / n), pair % n];
      return fits(i, j) || (!data.directed && fits(j, i));
    });
    const edges = filtered.filter(passes);
    threshold.setAttribute("aria-valuetext", way.said(step));
    tell("count", `${way.said(step)}: ${whole(edges.length)} of ${whole(filtered.length)} pairs`);
    if (data.truth) {
      const hit = edges.filter(isTrue).length;
      const there = filtered.filter(isTrue).length;
      tell("truth", `${whole(hit)} of the ${whole(there)} between these areas are among the ${whole(edges.length)} edges.`);
    }
    Object.assign(drawn, { passes, edges });
    place.dataset.edges = String(edges.length);
  }
  const show = () => {
    drawMatrix(drawn.passes);
    drawNetwork(drawn.edges);
    fillTable(drawn.edges);
  };

  let waiting = 0;
  const soon = () => { // a slider that is pulled asks faster than a large matrix is drawn
    choose();
    clearTimeout(waiting);
    if (pairs.length > 20000) waiting = setTimeout(show, 150);
    else show();
  };
  legend("areas", Object.entries(data.colours).slice(0, 12).map(([area, colour]) => [colour, area]));
  const signs = data.directed ? ["excitatory", "inhibitory"] : ["positive", "negative"];
  legend("signs", [[EXCITATORY, signs[0]], ...(weight.some((value) => value < 0) ? [[INHIBITORY, signs[1]]] : [])]);
  reset();
  choose();
  show();
  by.oninput = () => { reset(); soon(); };
  [from, onto, threshold, layout, truth].forEach((control) => { if (control) control.oninput = soon; });
  matrixPlace.on("plotly_hover", ({ points, event }) => {
    const [i, j] = [shownRows[points[0].y], shownColumns[points[0].x]];
    if (i === undefined || j === undefined || i === j) stopReading();
    else read(describe(data.directed || i < j ? i * n + j : j * n + i), event);
  });
  matrixPlace.on("plotly_unhover", stopReading);
  networkPlace.addEventListener("pointerover", (event) => {
    const edge = event.target.closest(".edge");
    networkPlace.querySelectorAll(".edge.read").forEach((one) => one.classList.remove("read"));
    if (!edge) { stopReading(); return; }
    edge.classList.add("read");
    read(describe(Number(edge.dataset.pair)), event);
  });
  networkPlace.addEventListener("pointerleave", stopReading);
  window.addEventListener("scroll", stopReading, { passive: true });
  window.matchMedia("(max-width: 739.9px)").addEventListener("change", soon);
};
