"use strict";
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const { ink, soft, rule, accent, reference } = page.theme;
  const place = document.querySelector('[data-plot="matrix"]');
  const narrow = () => window.innerWidth < 740;
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const digits = (value, n = 3) => (value === null ? "not known" : Number(value.toPrecision(n)).toString());
  if (place && page.weight) {
    const from = document.getElementById("from");
    const onto = document.getElementById("onto");
    const threshold = document.getElementById("threshold");
    const told = document.getElementById("told");
    const strength = page.z || page.weight;
    const name = page.z ? "|z|" : "|weight|";
    const largest = Math.max(...strength.flat().map((value) => Math.abs(value ?? 0)));
    const bound = page.bound;
    const members = (area) => page.areas.flatMap((own, at) => (area === "" || own === area ? [at] : []));
    const hover = (i, j) => {
      if (i === j) return "";
      const lines = [
        `<b>${plain(page.units[i])}</b> (${plain(page.areas[i])}) to <b>${plain(page.units[j])}</b> (${plain(page.areas[j])})`,
        `${plain(page.measure)}: ${digits(page.weight[i][j])}`,
      ];
      if (page.z) lines.push(`z ${digits(page.z[i][j])}, q ${digits(page.q[i][j], 2)}`);
      if (page.lag[i][j] !== null) lines.push(`lag ${digits(1000 * page.lag[i][j])} ms`);
      return lines.join("<br>");
    };
    const show = () => {
      const [rows, columns] = [members(from.value), members(onto.value)];
      const least = (threshold.value / 100) ** 2 * largest;
      let [kept, pairs] = [0, 0];
      const z = rows.map((i) => columns.map((j) => {
        if (i === j) return null;
        pairs += 1;
        if (Math.abs(strength[i][j] ?? 0) < least) return null;
        kept += 1;
        return Math.max(-bound, Math.min(bound, page.weight[i][j]));
      }));
      told.textContent = `${name} at least ${digits(least, 2)}: ${kept.toLocaleString("en")} of ${pairs.toLocaleString("en")} pairs`;
      const axis = (text, chosen) => ({
        title: { text, font: { size: 13 }, standoff: 8 }, color: ink, linecolor: soft, showgrid: false, zeroline: false,
        fixedrange: true, automargin: true, ticks: "", constrain: "domain", ...ticks(chosen),
      });
      const height = narrow() ? place.clientWidth + 130 : 600;
      const bar = narrow() ? { orientation: "h", y: -0.2, yanchor: "top" } : {};
      place.style.height = `${height}px`; // Plotly forgets its own height when the window changes
      Plotly.react(place, [{
        type: "heatmap", z, zmin: -bound, zmax: bound, hoverongaps: false, hoverinfo: "text",
        text: rows.map((i) => columns.map((j) => hover(i, j))),
        colorscale: page.theme.diverging, colorbar: { title: { text: plain(page.measure), side: narrow() ? "bottom" : "right" }, thickness: 12, outlinewidth: 0, exponentformat: "power", nticks: 5, ...bar },
      }], {
        font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink }, height,
        paper_bgcolor: "#fff", plot_bgcolor: rule, margin: { l: 70, r: 16, t: 16, b: 60 }, dragmode: false,
        hoverlabel: { bgcolor: "#fff", bordercolor: soft, align: "left", font: { color: ink } },
        xaxis: axis("target unit", columns), yaxis: { ...axis("source unit", rows), autorange: "reversed", scaleanchor: "x" },
      }, { responsive: true, displaylogo: false, displayModeBar: false });
    };
    const ticks = (chosen) => {
      const [tickvals, ticktext] = [[], []];
      let begin = 0;
      for (let at = 1; at <= chosen.length; at += 1) {
        if (at === chosen.length || page.areas[chosen[at]] !== page.areas[chosen[begin]]) {
          const room = (at - begin) / chosen.length; // names of small areas would lie on top of each other
          tickvals.push((begin + at - 1) / 2);
          ticktext.push(room < (narrow() ? 0.06 : 0.02) ? "" : plain(page.areas[chosen[begin]]));
          begin = at;
        }
      }
      return { tickvals, ticktext };
    };
    [from, onto, threshold].forEach((control) => control.addEventListener("input", show));
    show();
    window.addEventListener("beforeprint", () => Plotly.Plots.resize(place));
    window.addEventListener("afterprint", () => Plotly.Plots.resize(place));
  }
  document.documentElement.dataset.drawn = "yes";
})();
