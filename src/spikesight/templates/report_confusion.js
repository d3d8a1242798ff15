"use strict";
// Which class is taken for which, and how well each is decoded.
const confusions = (() => {
  const { page, percent, whole, plain, tick, axis, draw, title, options, cells } = tools;
  const { ink, soft, rule, accent } = page.theme;
  function matrix(confusion, row) {
    const size = confusion.labels.length;
    const counts = Array.from({ length: size }, () => new Array(size).fill(0));
    const cells = confusion.rows[row].cells;
    for (let at = 0; at < cells.length; at += 3) counts[cells[at]][cells[at + 1]] = cells[at + 2];
    return { labels: confusion.labels, counts, totals: counts.map((line) => line.reduce((sum, n) => sum + n, 0)) };
  }

  const reordered = ({ labels, counts, totals }, order) => ({
    labels: order.map((at) => labels[at]), totals: order.map((at) => totals[at]), counts: order.map((at) => order.map((other) => counts[at][other])),
  });

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

  const picture = (label, pictured) => {
    const address = pictured ? (page.pictures ?? {})[label] : undefined;
    if (!address) return null;
    const image = document.createElement("img");
    image.src = address;
    image.alt = `Picture of class ${label}`;
    return image;
  };

  // What a class is taken for, the most frequent first: the matrix for who does not point at it.
  const MOST_TAKEN = 12;
  function listTaken(article, { labels, counts, totals }, shown, pictured) {
    const image = picture(labels[shown], pictured);
    article.querySelector('[data-part="picture"]').replaceChildren(...(image ? [image] : []));
    const found = counts[shown].map((n, at) => ({ n, at })).filter(({ n }) => n).sort((a, b) => b.n - a.n);
    const rows = found.slice(0, MOST_TAKEN).map(({ n, at }) => [labels[at] + (at === shown ? " (right)" : ""), whole(n), (100 * n / totals[shown]).toFixed(1)]);
    const rest = found.slice(MOST_TAKEN);
    const n = rest.reduce((sum, one) => sum + one.n, 0);
    if (rest.length) rows.push([`${rest.length} more classes`, whole(n), (100 * n / totals[shown]).toFixed(1)]);
    if (!found.length) rows.push(["never shown", "0", "-"]);
    article.querySelector('[data-part="taken"]').replaceChildren(...rows.map((texts) => {
      const row = document.createElement("tr");
      cells(row, texts);
      return row;
    }));
  }

  const N_EXTREMES = 5;
  function listExtremes(article, { labels, counts, totals }, pictured) {
    const known = labels.map((label, at) => ({ label, right: counts[at][at], total: totals[at] })).filter((one) => one.total)
      .sort((a, b) => b.right / b.total - a.right / a.total);
    const few = Math.min(N_EXTREMES, Math.floor(known.length / 2));
    const entry = (one) => {
      const line = document.createElement("li");
      const image = picture(one.label, pictured);
      if (image) line.append(image);
      line.append(`${one.label}: ${percent(one.right / one.total, 0)} (${whole(one.right)} of ${whole(one.total)})`);
      return line;
    };
    article.querySelector('[data-part="easiest"]').replaceChildren(...known.slice(0, few).map(entry));
    article.querySelector('[data-part="hardest"]').replaceChildren(...known.slice(known.length - few).reverse().map(entry));
  }

  // Draws the panel and follows its controls.
  return (article, session) => {
    const { confusion, pictured } = session;
    const place = (name) => article.querySelector(`[data-plot="${name}"]`);
    const select = (name) => article.querySelector(`[data-choose="${name}"]`);
    const orders = { label: confusion.labels.map((_, at) => at), similar: confusion.similar };
    if (!select("shown").options.length) options(select("shown"), confusion.labels.map((label, at) => [String(at), label]), "0");
    const counted = () => matrix(confusion, Number(select("decoder").value));
    const taken = () => listTaken(article, counted(), Number(select("shown").value), pictured);
    const map = () => drawConfusion(place("confusion"), reordered(counted(), orders[select("order").value]));
    const all = () => {
      map();
      taken();
      drawClasses(place("classes"), counted(), session.leaderboard[0].chance);
      listExtremes(article, counted(), pictured);
    };
    all();
    select("decoder").onchange = all;
    select("order").onchange = map;
    select("shown").onchange = taken;
    place("confusion").removeAllListeners("plotly_click");
    place("confusion").on("plotly_click", ({ points }) => {
      select("shown").value = String(orders[select("order").value][Math.round(points[0].y)]);
      taken();
    });
  };
})();
