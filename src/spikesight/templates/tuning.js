"use strict";
// Pictures of searches for constants; report.js, which comes after, calls it with its own tools.
const drawTuning = (article, searched, importance, { page, narrow, percent, plain, short, axis, draw, title }) => {
  const { ink, soft, rule, accent, reference, palette, sequential } = page.theme;
  const FINISHED = 0, PRUNED = 1, FAILED = 2;
  const STATES = ["finished", "pruned", "failed"];
  const NONE = -0.14; // where a line passes an axis of a parameter that its candidate lacks
  const SHADES = 6;
  const place = (name) => article.querySelector(`[data-plot="${name}"]`);
  const chosen = (name) => Number(article.querySelector(`[data-choose="${name}"]`).value);
  const numbers = (size) => Array.from({ length: size }, (_, at) => at);
  const legend = { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", font: { size: 12 } };

  const mixed = (share) => {
    const above = sequential.findIndex(([stop]) => stop >= share);
    const [[low, from], [high, to]] = [sequential[Math.max(0, above - 1)], sequential[above]];
    const part = high > low ? (share - low) / (high - low) : 1;
    const channel = (colour, at) => parseInt(colour.slice(1 + 2 * at, 3 + 2 * at), 16);
    return "rgb(" + [0, 1, 2].map((at) => Math.round(channel(from, at) + part * (channel(to, at) - channel(from, at)))) + ")";
  };
  const about = (own, at) =>
    `<b>${plain(own.decoder)}</b>, ${plain(own.searches[own.search[at]])}, candidate ${own.candidate[at] + 1}: ${own.chosen[at] ? "winner" : STATES[own.state[at]]}` +
    (own.accuracy[at] === null ? "" : `<br>inner accuracy ${percent(own.accuracy[at])}`) +
    (own.error[at] ? `<br>${short(own.error[at], 70)}` : "") +
    own.axes.slice(0, -1).map((one) => (one.value[at] === "" ? "" : `<br>${short(one.name, 30)}: ${short(one.value[at], 40)}`)).join("");

  function drawHistory(own, inMinutes) {
    const x = inMinutes ? own.minutes : own.candidate.map((number) => number + 1);
    const best = inMinutes ? own.bestWhenEnded : own.best;
    const reached = own.accuracy.filter((value) => value !== null);
    const [low, high] = reached.length ? [Math.min(...reached), Math.max(...reached)] : [0, 1];
    const range = high - low || 0.1;
    const traces = own.searches.flatMap((name, search) => {
      const color = palette[search % palette.length];
      const rows = numbers(x.length).filter((at) => own.search[at] === search && x[at] !== null).sort((a, b) => x[a] - x[b]);
      const points = (state, marker, y) => {
        const kept = rows.filter((at) => own.state[at] === state);
        return { type: "scatter", mode: "markers", x: kept.map((at) => x[at]), y: kept.map(y), marker: { color, ...marker },
          hovertext: kept.map((at) => about(own, at)), hoverinfo: "text", showlegend: false };
      };
      const dash = ["solid", "dash", "dot"][Math.floor(search / palette.length) % 3];
      return [
        { type: "scatter", mode: "lines", name: plain(name), x: rows.map((at) => x[at]), y: rows.map((at) => best[at]), hoverinfo: "skip",
          line: { color, width: 2, shape: "hv", dash }, showlegend: true },
        points(PRUNED, { color: "#fff", size: 6, line: { color, width: 1.2 } }, (at) => own.accuracy[at]),
        points(FINISHED, { size: 8 }, (at) => own.accuracy[at]),
        { ...points(FAILED, { symbol: "x-thin", size: 8, line: { color, width: 2 } }, () => -search), yaxis: "y2" },
      ];
    });
    // Candidates that failed have no accuracy: a strip of their own below, a line a search.
    const strip = own.state.includes(FAILED) ? Math.min(0.3, 0.05 + 0.03 * own.searches.length) : 0;
    draw(place("history"), traces, {
      height: narrow() ? 420 : 400, margin: { l: 60, r: 16, t: 16, b: 100 }, hovermode: "closest",
      xaxis: axis({ title: title(inMinutes ? "time since the search began (min)" : "candidate, in order of proposal"), showgrid: false,
        rangemode: inMinutes ? "tozero" : "normal", anchor: strip ? "y2" : "y" }),
      yaxis: axis({ title: title("inner accuracy (%), training trials"), tickformat: high - low < 0.05 ? ".1%" : ".0%", domain: [strip, 1],
        range: [low - 0.08 * range, high + 0.08 * range] }),
      yaxis2: axis({ domain: [0, Math.max(0.01, strip - 0.03)], range: [0.6 - own.searches.length, 0.6], showgrid: false, ticks: "",
        tickvals: [(1 - own.searches.length) / 2], ticktext: ["failed"], visible: strip > 0 }),
      legend, showlegend: true,
    });
  }

  function drawParallel(own) {
    const upright = !narrow();
    const size = own.axes.length;
    const at = (number, position) => (upright ? [number, position ?? NONE] : [position ?? NONE, -number]);
    const reached = own.accuracy.filter((value) => value !== null);
    const [low, high] = reached.length ? [Math.min(...reached), Math.max(...reached)] : [0, 0];
    const shade = (value) => (high > low ? Math.min(SHADES - 1, Math.floor((SHADES * (value - low)) / (high - low))) : SHADES - 1);
    // One trace for all lines that look alike: [key, line, candidates].
    const kinds = [["failed", { color: soft, width: 1, dash: "dot" }, []]];
    for (const [state, width] of [[PRUNED, 0.9], [FINISHED, 1.8]]) {
      for (const step of numbers(SHADES)) kinds.push([`${state} ${step}`, { color: mixed(0.15 + (0.85 * (step + 0.5)) / SHADES), width }, []]);
    }
    kinds.push(["chosen", { color: reference, width: 3 }, []]);
    const byKey = new Map(kinds.map(([key, , candidates]) => [key, candidates]));
    own.state.forEach((state, candidate) => {
      const key = own.chosen[candidate] ? "chosen" : state === FAILED ? "failed" : `${state} ${own.accuracy[candidate] === null ? 0 : shade(own.accuracy[candidate])}`;
      byKey.get(key).push(candidate);
    });
    const traces = kinds.map(([key, line, candidates]) => {
      const [x, y, hovertext] = [[], [], []];
      for (const candidate of candidates) {
        own.axes.forEach((one, number) => {
          const [across, up] = at(number, one.position[candidate]);
          x.push(across); y.push(up); hovertext.push(about(own, candidate));
        });
        x.push(null); y.push(null); hovertext.push("");
      }
      return { type: "scatter", mode: "lines+markers", x, y, hovertext, hoverinfo: "text", line, marker: { size: key === "chosen" ? 6 : 3, color: line.color },
        opacity: key.startsWith(String(PRUNED)) ? 0.6 : 1, showlegend: false };
    });
    const darkest = mixed(0.9);
    const meaning = [[own.chosen.includes(1), "winner of a search", { color: reference, width: 3 }],
      [own.state.includes(FINISHED), "finished (dark: accurate)", { color: darkest, width: 1.8 }],
      [own.state.includes(PRUNED), "pruned", { color: darkest, width: 0.9 }],
      [own.state.includes(FAILED), "failed", { color: soft, width: 1, dash: "dot" }]];
    for (const [there, name, line] of meaning) if (there) traces.push({ type: "scatter", mode: "lines", x: [null], y: [null], name, line, showlegend: true });
    const annotations = [];
    const shapes = [];
    const write = (number, position, text, more) => {
      const [x, y] = at(number, position);
      annotations.push({ x, y, text, showarrow: false, bgcolor: "rgba(255,255,255,0.75)", borderpad: 1, font: { size: upright ? 11 : 10, color: ink }, ...more });
    };
    own.axes.forEach((one, number) => {
      const [[x0, y0], [x1, y1]] = [at(number, 0), at(number, 1)];
      shapes.push({ type: "line", x0, y0, x1, y1, line: { color: soft, width: 1.2 } });
      const right = number === size - 1;
      const beside = upright ? { xanchor: right ? "left" : "right", xshift: right ? 5 : -5 } : { yanchor: "top", yshift: -4 };
      const step = Math.ceil(one.at.length / (upright ? 12 : 5));
      one.at.forEach((position, tick) => { if (tick % step === 0) write(number, position, short(one.labels[tick], upright ? 14 : 10), beside); });
      if (one.position.includes(null)) write(number, NONE, "none", beside);
      const name = short(one.name, 26) + (one.log ? " (log)" : "");
      if (upright) write(number, 1, `<b>${name}</b>`, { yanchor: "bottom", yshift: 10, textangle: size > 7 ? -20 : 0, xanchor: size > 7 ? "left" : "center" });
      else write(number, 0, `<b>${name}</b>`, { yanchor: "bottom", yshift: 3, xanchor: "left", font: { size: 11, color: ink } });
    });
    const lacking = own.axes.some((one) => one.position.includes(null));
    const along = [lacking ? NONE - 0.06 : -0.05, upright ? 1.05 : 1.08];
    draw(place("parallel"), traces, {
      height: upright ? 440 : 110 + 74 * size, margin: upright ? { l: 60, r: 50, t: size > 7 ? 90 : 44, b: 60 } : { l: 22, r: 22, t: 24, b: 84 }, hovermode: "closest",
      xaxis: axis({ range: upright ? [-0.35, size - 0.65] : along, visible: false }),
      yaxis: axis({ range: upright ? along : [-(size - 1) - 0.5, 0.5], visible: false }),
      shapes, annotations, legend, showlegend: true,
    });
  }

  function drawImportance(own) {
    const rows = importance[own.decoder] ?? [];
    const names = rows.map((row) => row.parameter);
    const y = rows.map((_, at) => rows.length - 1 - at);
    const known = numbers(rows.length).filter((at) => rows[at].importance !== null);
    const value = known.map((at) => rows[at].importance);
    const high = Math.max(0.1, ...known.map((at) => rows[at].high ?? 0));
    const low = Math.min(0, ...known.map((at) => rows[at].low ?? 0));
    draw(place("importance"), [{
      type: "bar", orientation: "h", x: value, y: known.map((at) => y[at]), marker: { color: accent }, width: 0.55, hoverinfo: "text",
      error_x: { type: "data", symmetric: false, array: known.map((at) => rows[at].high - rows[at].importance),
        arrayminus: known.map((at) => rows[at].importance - rows[at].low), color: ink, thickness: 1.6, width: 0 },
      hovertext: known.map((at) => `<b>${plain(names[at])}</b><br>${percent(rows[at].importance)}  [${percent(rows[at].low)}, ${percent(rows[at].high)}]` +
        `<br>${rows[at].n_candidates} candidates of ${rows[at].n_searches} searches`),
    }], {
      height: 100 + 32 * Math.max(2, rows.length), margin: { l: 60, r: 16, t: 10, b: 60 }, hovermode: "closest",
      xaxis: axis({ title: title(narrow() ? "share of the variance (%)" : "share of the variance of inner accuracy among candidates (%), bar: 95 % interval"), tickformat: ".0%",
        nticks: 6, range: [low * 1.05, high * 1.05] }),
      yaxis: axis({ tickvals: y, ticktext: names.map((name) => short(name, 22)), ticks: "", range: [-0.6, Math.max(rows.length, 1) - 0.4], showgrid: false }),
      shapes: [{ type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: { color: ink, width: 1 } }],
      annotations: numbers(rows.length).filter((at) => rows[at].importance === null).map((at) => ({
        x: 0, y: y[at], xanchor: "left", xshift: 6, showarrow: false, text: short(rows[at].reason, narrow() ? 34 : 90), font: { size: 12, color: soft },
      })),
    });
  }

  const history = () => drawHistory(searched[chosen("searched")], chosen("against") === 1);
  const all = () => {
    const own = searched[chosen("searched")];
    history();
    drawParallel(own);
    drawImportance(own);
  };
  all();
  article.querySelector('[data-choose="searched"]').onchange = all;
  if (!article.dataset.watched) {
    article.dataset.watched = "yes";
    // Lying axes on a narrow screen, standing ones on a wide one.
    window.matchMedia("(max-width: 739.9px)").addEventListener("change", () => { if (!article.hidden) drawParallel(searched[chosen("searched")]); });
  }
  article.querySelector('[data-choose="against"]').onchange = history;
};
