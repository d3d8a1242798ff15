"use strict";
// Which class is taken for which, and how well each is decoded.
const confusions = (() => {
  const { page, percent, whole, plain, tick, axis, draw, title } = tools;
  const { ink, soft, rule, accent } = page.theme;
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
      ? `shown <b>${plain(labels[shown])}</b><br>decoded as <b>${plain(labels[decoded])}</b><br>${whole(n)} of ${whole(totals[shown])} trials (${percent(n / totals[shown], 0)})` : ""));
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
        hovertext: shown.map((one) => `class <b>${plain(one.label)}</b><br>${whole(one.right)} of ${whole(one.total)} test trials (${percent(one.right / one.total, 0)})`) },
    ], {
      height: 320, margin: { l: 60, r: 16, t: 24, b: 60 }, hovermode: "closest",
      xaxis: axis({ title: title("class, best first" + (step > 1 ? `, one in ${step} named` : "")), tickvals: ticks,
        ticktext: ticks.map((at) => tick(shown[at].label, 14)), tickangle: -90, tickfont: { size: 10 }, showgrid: false,
        range: [-0.8, shown.length - 0.2] }),
      yaxis: axis({ title: title("test trials decoded (%)"), tickformat: ".0%", range: [0, 1.04] }),
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: chance, y1: chance, line: { color: ink, width: 1.3, dash: "dash" } }],
      annotations: [{ xref: "paper", yref: "paper", x: 1, xanchor: "right", y: 1, yanchor: "bottom", text: `dashed: chance, ${percent(chance)}`, showarrow: false, font: { size: 12, color: soft } }],
    });
  }

  return { matrix, drawConfusion, drawClasses };
})();
