"use strict";
// Spikes of single presentations, and the mean rate of each area.
const spikes = (() => {
  const { page, narrow, plain, short, areaColours, DASHES, axis, draw, title } = tools;
  const { rule, palette } = page.theme;
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

  return { drawRaster, drawLegend, drawRates };
})();
