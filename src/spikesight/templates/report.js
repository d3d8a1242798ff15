"use strict";
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const { ink, soft, rule, accent, reference, palette } = page.theme;
  const narrow = () => window.innerWidth < 740;
  const percent = (value, digits = 1) => (100 * value).toFixed(digits) + "\u00a0%";
  // Plotly reads a few HTML tags in text; what comes from a file is shown as it is.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (text, length) => plain(text.length > length ? text.slice(0, length - 1) + "…" : text);
  // Ticks of classes such as "x_position=10, y_position=-20" keep the numbers; the hover text says it all.
  const tick = (label, length) => short(/^[^,=]+=/.test(label) ? label.replace(/(^|, )[^,=]+=/g, "$1") : label, length);
  const areaColours = (names) => new Map([...new Set(names)].map((name, at) => [name, palette[at % palette.length]]));
  const DASHES = ["solid", "dash", "dot"];

  const axis = (more) => ({
    color: ink, linecolor: soft, tickcolor: soft, gridcolor: rule, zeroline: false, automargin: true, ticks: "outside",
    ticklen: 4, fixedrange: true, ...more,
  });
  const layout = (more) => ({
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", margin: { l: 60, r: 16, t: 24, b: 50 }, dragmode: false,
    hoverlabel: { bgcolor: "#fff", bordercolor: soft, align: "left", font: { color: ink } }, showlegend: false, ...more,
  });
  const draw = (place, traces, more) => {
    place.style.height = `${more.height}px`; // Plotly forgets its own height when the window changes
    return Plotly.react(place, traces, layout(more), {
      responsive: true, displaylogo: false,
      modeBarButtons: narrow() ? [[]] : [["toImage"]], displayModeBar: narrow() ? false : "hover",
    });
  };
  const title = (text) => ({ text, font: { size: 13 }, standoff: 8 });
  const vertical = (x, dash, colour) => ({
    type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: colour, width: 1.3, dash },
  });
  const above = (x, text, colour, at) => ({
    x, y: 1, yref: "paper", yanchor: "bottom", xanchor: at, text, showarrow: false, font: { size: 12, color: colour },
  });

  const KINDS = [
    ["searched", "searched on training trials", { color: accent, symbol: "square", size: 10 }],
    ["tuned", "tuned on training trials", { color: accent, symbol: "circle", size: 10 }],
    ["default", "default constants", { color: "#fff", symbol: "circle", size: 10, line: { color: accent, width: 2 } }],
    ["reference", "reference", { color: reference, symbol: "diamond", size: 10 }],
  ];

  function drawLeaderboard(place, rows) {
    const names = [...new Set(rows.map((row) => row.decoder))].reverse();
    const kinds = new Set(rows.map((row) => row.selection));
    const shift = kinds.has("searched") ? { searched: 0.24, tuned: 0, default: -0.24, reference: 0 }
      : kinds.size > 1 ? { tuned: 0.13, default: -0.13, reference: 0 } : { tuned: 0, default: 0, reference: 0 };
    const traces = KINDS.map(([kind, name, marker]) => {
      const own = rows.filter((row) => row.selection === kind);
      return {
        type: "scatter", mode: "markers", name, marker, visible: own.length > 0, showlegend: own.length > 0,
        x: own.map((row) => row.accuracy), y: own.map((row) => names.indexOf(row.decoder) + shift[kind]),
        error_x: {
          type: "data", symmetric: false, array: own.map((row) => row.high - row.accuracy),
          arrayminus: own.map((row) => row.accuracy - row.low), width: 0, thickness: 2,
          color: kind === "reference" ? reference : accent,
        },
        hovertext: own.map((row) =>
          `<b>${plain(row.decoder)}</b>, ${kind}<br>${percent(row.accuracy)}  [${percent(row.low)}, ${percent(row.high)}]` +
          `<br>${row.n_trials} test trials, ${row.n_units} units<br>chance ${percent(row.chance)}`),
        hoverinfo: "text",
      };
    });
    const chance = rows.reduce((sum, row) => sum + row.chance, 0) / rows.length;
    const oracle = rows.find((row) => row.decoder === "oracle");
    const highest = Math.max(...rows.map((row) => row.high));
    draw(place, traces, {
      height: 130 + 34 * names.length, margin: { l: 60, r: 16, t: 30, b: 90 }, hovermode: "closest",
      xaxis: axis({ title: title(narrow() ? "accuracy (%), bar: 95 % interval" : "accuracy on test trials (%), bar: 95 % interval"), tickformat: ".0%", nticks: 8,
        range: [-0.012 * highest, Math.min(1.02, highest * 1.06)] }),
      yaxis: axis({ tickvals: names.map((_, at) => at), ticktext: names.map((name) => short(name, 22)), ticks: "",
        range: [-0.6, names.length - 0.4], showgrid: false }),
      shapes: [vertical(chance, "dash", ink)].concat(oracle ? [vertical(oracle.accuracy, "dot", reference)] : []),
      annotations: [above(chance, `chance ${percent(chance)}`, soft, "left")]
        .concat(oracle ? [above(oracle.accuracy, "oracle", reference, "center")] : []),
      showlegend: true, legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom" },
    });
  }

  function drawPaired(place, sessions) {
    // Of each decoder the row of the most thorough way to set its constants.
    const rank = (row) => ["searched", "tuned", "default"].indexOf(row.selection);
    const best = new Map();
    for (const row of page.overSessions) if (rank(row) >= 0) best.set(row.decoder, Math.min(rank(row), best.get(row.decoder) ?? 9));
    const isKept = (row) => best.get(row.decoder) === rank(row);
    const kept = page.overSessions.filter(isKept).reverse();
    const names = kept.map((row) => row.decoder);
    const how = [...new Set(kept.slice().sort((a, b) => rank(a) - rank(b)).map((row) => row.selection))].join(" or else ");
    const lines = sessions.map((session, at) => {
      const value = new Map(session.leaderboard.filter(isKept).map((row) => [row.decoder, row.accuracy]));
      return {
        type: "scatter", mode: "lines+markers", name: short(session.id, 24), x: names.map((_, x) => x),
        y: names.map((name) => value.get(name) ?? null), line: { color: palette[at % palette.length], width: 1.3 },
        marker: { size: 6 }, opacity: 0.8, hoverinfo: "text",
        hovertext: names.map((name) => value.has(name) ? `<b>${plain(session.id)}</b><br>${plain(name)}: ${percent(value.get(name))}` : ""),
      };
    });
    draw(place, lines, {
      height: 440, margin: { l: 60, r: 16, t: 16, b: 90 }, hovermode: "closest",
      xaxis: axis({ tickvals: names.map((_, at) => at), ticktext: names.map((name) => short(name, 18)), showgrid: false,
        range: [-0.4, names.length - 0.6] }),
      yaxis: axis({ title: title(`accuracy (%), ${how}`), tickformat: ".0%", rangemode: "tozero" }),
      shapes: kept.map((row, x) => ({ type: "line", x0: x - 0.2, x1: x + 0.2, y0: row.accuracy, y1: row.accuracy, line: { color: ink, width: 3 } })),
      showlegend: true, legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", font: { size: 12 } },
    });
  }

  function drawRaster(place, raster, repeat) {
    const colours = areaColours(raster.units.map(([, area]) => area));
    while (place.children.length < raster.classes.length) place.append(document.createElement("div"));
    const [start, stop] = raster.window.map((edge) => 1000 * edge);
    raster.classes.forEach((shown, at) => {
      const trial = shown.trials[repeat];
      const traces = [...colours].map(([area, colour]) => {
        const [x, y, hovertext] = [[], [], []];
        (trial ? trial.row : []).forEach((row, spike) => {
          if (raster.units[row][1] !== area) return;
          const time = trial.time[spike];
          const text = `unit ${raster.units[row][0]}, ${plain(area)}<br>${time.toFixed(1)} ms`;
          x.push(time, time, null); y.push(row - 0.45, row + 0.45, null); hovertext.push(text, text, "");
        });
        return { type: "scatter", mode: "lines", x, y, hovertext, hoverinfo: "text", line: { color: colour, width: 1.4 } };
      });
      draw(place.children[at], traces, {
        height: 340, margin: { l: at % (narrow() ? 2 : 4) ? 12 : 44, r: 6, t: 28, b: 44 }, hovermode: "closest",
        xaxis: axis({ title: title("time (ms)"), range: [start, stop], showgrid: false, nticks: 4, automargin: false }),
        yaxis: axis({ title: at % (narrow() ? 2 : 4) ? undefined : title("units"), range: [raster.units.length - 0.5, -0.5],
          showgrid: false, showticklabels: false, ticks: "", automargin: false }),
        shapes: [{ type: "rect", x0: 0, x1: 1000 * raster.stop, yref: "paper", y0: 0, y1: 1, fillcolor: rule, opacity: 0.4,
          line: { width: 0 }, layer: "below" }],
        annotations: [{ x: 0, y: 1, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", showarrow: false,
          text: `<b>${short(shown.label, 26)}</b>` + (trial ? "" : " (no such repeat)") }],
      });
    });
    return colours;
  }

  function drawLegend(place, colours) {
    place.replaceChildren(...[...colours].map(([area, colour]) => {
      const entry = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.style.background = colour;
      entry.append(swatch, area);
      return entry;
    }));
  }

  function drawRates(place, rates) {
    const traces = rates.areas.flatMap((own, at) => {
      const colour = palette[at % palette.length];
      const dash = DASHES[Math.floor(at / palette.length) % DASHES.length];
      const name = `${short(own.area, 24)} (${own.n_units})`;
      return [
        { type: "scatter", mode: "lines", x: [...rates.time, ...rates.time.slice().reverse()], y: [...own.high, ...own.low.slice().reverse()],
          fill: "toself", fillcolor: colour + "22", line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: String(at) },
        { type: "scatter", mode: "lines", name, legendgroup: String(at), x: rates.time, y: own.mean, line: { color: colour, width: 2, dash },
          hovertext: own.mean.map((mean, bin) => `<b>${plain(own.area)}</b>, ${rates.time[bin].toFixed(0)} ms<br>${mean.toFixed(1)} spikes/s [${own.low[bin].toFixed(1)}, ${own.high[bin].toFixed(1)}]`),
          hoverinfo: "text" },
      ];
    });
    draw(place, traces, {
      height: narrow() ? 420 : 400, margin: { l: 60, r: 16, t: 16, b: narrow() ? 110 : 90 }, hovermode: "closest",
      xaxis: axis({ title: title("time from the start of the presentation (ms)"), showgrid: false }),
      yaxis: axis({ title: title("mean rate (spikes/s)"), rangemode: "tozero" }),
      shapes: [{ type: "rect", x0: 0, x1: 1000 * rates.stop, yref: "paper", y0: 0, y1: 1, fillcolor: rule, opacity: 0.4, line: { width: 0 }, layer: "below" }],
      showlegend: true, legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", font: { size: 12 } },
    });
  }

  function matrix(confusion, row) {
    const size = confusion.labels.length;
    const counts = Array.from({ length: size }, () => new Array(size).fill(0));
    const cells = confusion.rows[row].cells;
    for (let at = 0; at < cells.length; at += 3) counts[cells[at]][cells[at + 1]] = cells[at + 2];
    return { labels: confusion.labels, counts, totals: counts.map((line) => line.reduce((sum, n) => sum + n, 0)) };
  }

  function drawConfusion(place, { labels, counts, totals }) {
    const size = labels.length;
    const width = place.clientWidth || 600;
    const step = Math.ceil(size / Math.max(6, Math.floor(width / 26)));
    const ticks = labels.map((_, at) => at).filter((at) => at % step === 0);
    const ticktext = ticks.map((at) => tick(labels[at], 16));
    const text = counts.map((line, shown) => line.map((n, decoded) => n
      ? `shown <b>${plain(labels[shown])}</b><br>decoded as <b>${plain(labels[decoded])}</b><br>${n} of ${totals[shown]} trials (${percent(n / totals[shown], 0)})` : ""));
    const scale = page.theme.sequential;
    draw(place, [{
      type: "heatmap", z: counts.map((line, shown) => line.map((n) => totals[shown] ? (100 * n) / totals[shown] : 0)),
      zmin: 0, zmax: 100, colorscale: scale, hoverinfo: "text", text,
      colorbar: { title: { text: "% of shown", side: "right", font: { size: 12 } }, thickness: 10, outlinewidth: 0, len: 0.6, x: 1.01 },
    }], {
      height: Math.min(640, 0.86 * width + 30), margin: { l: 60, r: 10, t: 10, b: 60 },
      xaxis: axis({ title: title("decoded class"), tickvals: ticks, ticktext, tickangle: -90, showgrid: false, constrain: "domain",
        tickfont: { size: 10 }, mirror: true, showline: true, range: [-0.5, size - 0.5] }),
      yaxis: axis({ title: title("shown class"), tickvals: ticks, ticktext, range: [size - 0.5, -0.5], showgrid: false, scaleanchor: "x",
        constrain: "domain", tickfont: { size: 10 }, mirror: true, showline: true }),
    });
  }

  function drawClasses(place, { labels, counts, totals }, chance) {
    const shown = labels.map((label, at) => ({ label, right: counts[at][at], total: totals[at] })).filter((one) => one.total)
      .sort((a, b) => b.right / b.total - a.right / a.total);
    const value = shown.map((one) => one.right / one.total);
    const x = shown.map((_, at) => at);
    const step = Math.ceil(shown.length / Math.max(8, Math.floor((place.clientWidth || 600) / 22)));
    const ticks = x.filter((at) => at % step === 0);
    draw(place, [
      { type: "bar", x, y: value, width: 0.25, marker: { color: rule }, hoverinfo: "skip" },
      { type: "scatter", mode: "markers", x, y: value, marker: { color: accent, size: shown.length > 60 ? 6 : 8 }, hoverinfo: "text",
        hovertext: shown.map((one) => `class <b>${plain(one.label)}</b><br>${one.right} of ${one.total} test trials (${percent(one.right / one.total, 0)})`) },
    ], {
      height: 320, margin: { l: 60, r: 16, t: 24, b: 60 }, hovermode: "closest",
      xaxis: axis({ title: title("class, best first" + (step > 1 ? `, one in ${step} named` : "")), tickvals: ticks,
        ticktext: ticks.map((at) => tick(shown[at].label, 14)), tickangle: -90, tickfont: { size: 10 }, showgrid: false,
        range: [-0.8, shown.length - 0.2] }),
      yaxis: axis({ title: title("test trials decoded (%)"), tickformat: ".0%", range: [0, 1.04] }),
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: chance, y1: chance, line: { color: ink, width: 1.3, dash: "dash" } }],
      annotations: [{ xref: "paper", x: 1, xanchor: "right", y: chance, yanchor: "bottom", text: `chance ${percent(chance)}`, showarrow: false, font: { size: 12, color: soft } }],
    });
  }

  function drawSession(article) {
    const session = page.sessions[Number(article.dataset.session)];
    const place = (name) => article.querySelector(`[data-plot="${name}"]`);
    const chosen = (name) => Number(article.querySelector(`[data-choose="${name}"]`).value);
    const confusions = () => {
      const counted = matrix(session.confusion, chosen("decoder"));
      drawConfusion(place("confusion"), counted);
      drawClasses(place("classes"), counted, session.leaderboard[0].chance);
    };
    drawLeaderboard(place("leaderboard"), session.leaderboard);
    confusions();
    article.querySelector('[data-choose="decoder"]').onchange = confusions;
    if (session.raster) {
      const raster = () => drawRaster(place("raster"), session.raster, chosen("repeat"));
      drawLegend(article.querySelector('[data-legend="raster"]'), raster());
      article.querySelector('[data-choose="repeat"]').onchange = raster;
    }
    if (session.rates) drawRates(place("rates"), session.rates);
    if (session.tuning) drawTuning(article, session.tuning, page.importance, { page, narrow, percent, plain, short, axis, draw, title });
  }

  const articles = [...document.querySelectorAll("article")];
  const show = (number) => articles.forEach((article, at) => {
    article.hidden = at !== number;
    if (at === number) drawSession(article);
  });
  if (page.overSessions) {
    drawLeaderboard(document.querySelector('[data-plot="over-sessions"]'), page.overSessions);
    drawPaired(document.querySelector('[data-plot="paired"]'), page.sessions);
    const select = document.getElementById("session");
    select.onchange = () => show(Number(select.value));
    show(Number(select.value));
  } else {
    show(0);
  }

  const everyPlot = () => [...document.querySelectorAll(".js-plotly-plot")].filter((plot) => plot.offsetParent);
  window.addEventListener("beforeprint", () => everyPlot().forEach((plot) => Plotly.Plots.resize(plot)));
  window.addEventListener("afterprint", () => everyPlot().forEach((plot) => Plotly.Plots.resize(plot)));
  document.documentElement.dataset.drawn = "yes";
})();
