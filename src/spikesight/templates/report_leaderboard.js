"use strict";
// Accuracy of every decoder: of a session, of the mean over sessions, and session by session.
const leaderboards = (() => {
  const { page, narrow, percent, whole, plain, short, BELOW, axis, draw, title, vertical, above } = tools;
  const { ink, soft, accent, reference, palette } = page.theme;
  const KINDS = [
    ["searched", "searched on training trials", { color: accent, symbol: "square", size: 10 }],
    ["tuned", "tuned on training trials", { color: accent, symbol: "circle", size: 10 }],
    ["default", "default constants", { color: "#fff", symbol: "circle", size: 10, line: { color: accent, width: 2 } }],
    ["reference", "reference", { color: reference, symbol: "diamond", size: 10 }],
  ];

  function drawLeaderboard(place, rows) {
    const names = [...new Set(rows.map((row) => row.decoder))].reverse();
    const kinds = new Set(rows.map((row) => row.selection));
    const side = kinds.has("searched") ? 0.24 : kinds.has("tuned") && kinds.has("default") ? 0.13 : 0; // rows that share a line
    const shift = { searched: side, tuned: kinds.has("searched") ? 0 : side, default: -side, reference: 0 };
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
          `<b>${plain(row.decoder)}</b>, ${plain(kind)}<br>${percent(row.accuracy)}  [${percent(row.low)}, ${percent(row.high)}]` +
          `<br>${whole(row.n_trials)} test trials, ${whole(row.n_units)} units<br>chance ${percent(row.chance)}`),
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
        .concat(oracle ? [above(oracle.accuracy, "oracle", "#a84300", "center")] : []),
      showlegend: true, legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom" },
    });
  }

  function drawPaired(place, overSessions, sessions) {
    // Of each decoder the row of the most thorough way to set its constants.
    const rank = (row) => ["searched", "tuned", "default"].indexOf(row.selection);
    const best = new Map();
    for (const row of overSessions) if (rank(row) >= 0) best.set(row.decoder, Math.min(rank(row), best.get(row.decoder) ?? 9));
    const isKept = (row) => best.get(row.decoder) === rank(row);
    const kept = overSessions.filter(isKept).reverse();
    const names = kept.map((row) => row.decoder);
    const how = [...new Set(kept.slice().sort((a, b) => rank(a) - rank(b)).map((row) => row.selection))].join(" or else ");
    const many = sessions.length > palette.length; // no colour for each: whoever wants to know points at a line
    const lines = sessions.map((session, at) => {
      const value = new Map(session.leaderboard.filter(isKept).map((row) => [row.decoder, row.accuracy]));
      return {
        type: "scatter", mode: "lines+markers", name: short(session.id, 24), x: names.map((_, x) => x),
        y: names.map((name) => value.get(name) ?? null), line: { color: many ? accent : palette[at], width: 1.3 },
        marker: { size: many ? 5 : 6 }, opacity: many ? 0.45 : 0.8, hoverinfo: "text",
        hovertext: names.map((name) => value.has(name) ? `<b>${plain(session.id)}</b><br>${plain(name)}: ${percent(value.get(name))}` : ""),
      };
    });
    draw(place, lines, {
      height: 440, margin: { l: 60, r: 16, t: 16, b: many ? 50 : 90 }, hovermode: "closest",
      xaxis: axis({ tickvals: names.map((_, at) => at), ticktext: names.map((name) => short(name, 18)), showgrid: false,
        range: [-0.4, names.length - 0.6] }),
      yaxis: axis({ title: title(`accuracy (%), ${how}`), tickformat: ".0%", rangemode: "tozero" }),
      shapes: kept.map((row, x) => ({ type: "line", x0: x - 0.2, x1: x + 0.2, y0: row.accuracy, y1: row.accuracy, line: { color: ink, width: 3 } })),
      showlegend: !many, legend: BELOW,
    });
  }

  return { drawLeaderboard, drawPaired };
})();
