"use strict";
// Loss and accuracy of networks per epoch; accuracy against confidence; accuracy against the number of bins.
const training = (() => {
  const { page, narrow, percent, whole, plain, short, DASHES, BELOW, axis, draw, title } = tools;
  const { ink, accent, reference, palette } = page.theme;

  function drawCurves(place, row, kind, text) {
    const curve = (name, key, colour, dash) => ({
      type: "scatter", mode: "lines+markers", name, x: row.epoch, y: row[key], line: { color: colour, width: 2, dash }, marker: { size: row.epoch.length > 30 ? 1 : 5 },
      hovertext: row[key].map((value, at) => `epoch ${row.epoch[at]}, ${name}<br>${value === null ? "" : kind === "loss" ? value.toPrecision(3) : percent(value)}`),
      hoverinfo: "text", visible: row[key].some((value) => value !== null), showlegend: row[key].some((value) => value !== null),
    });
    draw(place, [curve("training", kind, accent, "solid"), curve("validation", `valid_${kind}`, reference, "dash")], {
      height: 320, margin: { l: 60, r: 12, t: 16, b: 90 }, hovermode: "closest", showlegend: true, legend: BELOW,
      xaxis: axis({ title: title("epoch"), showgrid: false, rangemode: "tozero", nticks: 6 }),
      yaxis: axis({ title: title(text), rangemode: "tozero", ...(kind === "loss" ? {} : { tickformat: ".0%" }) }),
    });
  }

  function drawCalibration(place, rows) {
    const traces = rows.map((row, at) => ({
      type: "scatter", mode: "lines+markers", name: `${short(row.decoder, 20)} (${plain(row.selection)})`, x: row.levels.map((level) => level[0]), y: row.levels.map((level) => level[1]),
      line: { color: palette[at % palette.length], width: 1.8, dash: DASHES[Math.floor(at / palette.length) % DASHES.length] },
      marker: { size: row.levels.map((level) => 5 + 9 * Math.sqrt(level[4] / row.n_trials)) }, hoverinfo: "text",
      hovertext: row.levels.map(([sure, right, low, high, n]) => `<b>${plain(row.decoder)}</b> (${plain(row.selection)})<br>confidence ${percent(sure)}<br>right ${percent(right)} of ${whole(n)} trials [${percent(low)}, ${percent(high)}]`),
    }));
    draw(place, traces, {
      height: narrow() ? 460 : 480, margin: { l: 60, r: 16, t: 16, b: 60 + 20 * Math.ceil((rows.length + 1) / (narrow() ? 1 : 3)) }, hovermode: "closest", showlegend: true, legend: BELOW,
      xaxis: axis({ title: title("mean confidence (%)"), tickformat: ".0%", range: [0, 1.02] }),
      yaxis: axis({ title: title("accuracy on test trials (%)"), tickformat: ".0%", range: [0, 1.02] }),
      shapes: [{ type: "line", x0: 0, y0: 0, x1: 1, y1: 1, layer: "below", line: { color: ink, width: 1.3, dash: "dash" } }],
    });
  }

  function drawBins(place, rows, bins) {
    const traces = rows.map((row, at) => ({
      type: "scatter", mode: "lines+markers", name: `${short(row.decoder, 22)} (${plain(row.selection)})`, x: bins, y: row.accuracy, connectgaps: true,
      error_y: { type: "data", symmetric: false, array: row.high.map((high, point) => high - row.accuracy[point]), arrayminus: row.low.map((low, point) => row.accuracy[point] - low), width: 0, thickness: 1.5 },
      line: { color: palette[at % palette.length], width: 2, dash: DASHES[Math.floor(at / palette.length) % DASHES.length] }, marker: { size: 7 }, hoverinfo: "text",
      hovertext: row.accuracy.map((value, point) => value === null ? "" : `<b>${plain(row.decoder)}</b> (${plain(row.selection)}), ${bins[point]} bins<br>${percent(value)} [${percent(row.low[point])}, ${percent(row.high[point])}]`),
    }));
    draw(place, traces, {
      height: 420, margin: { l: 60, r: 16, t: 16, b: 70 + 20 * Math.ceil(rows.length / (narrow() ? 1 : 3)) }, hovermode: "closest", showlegend: true, legend: BELOW,
      xaxis: axis({ title: title("bins of each presentation"), tickvals: bins, showgrid: false }),
      yaxis: axis({ title: title("accuracy (%)"), tickformat: ".0%", rangemode: "tozero" }),
    });
  }

  const show = (article, session) => {
    const place = (name) => article.querySelector(`[data-plot="${name}"]`);
    const select = (name) => article.querySelector(`[data-choose="${name}"]`);
    if (session.epochs.length) {
      const curves = () => {
        const row = session.epochs[Number(select("learnt").value)];
        drawCurves(place("loss"), row, "loss", "loss");
        drawCurves(place("learnt-accuracy"), row, "accuracy", "accuracy (%)");
      };
      curves();
      select("learnt").onchange = curves;
    }
    if (session.calibration.length) {
      const sure = () => drawCalibration(place("calibration"), session.calibration.filter((_, at) => ["-1", String(at)].includes(select("sure").value)));
      sure();
      select("sure").onchange = sure;
    }
  };
  return { show, drawBins };
})();
