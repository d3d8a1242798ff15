"use strict";
// Spikes of single presentations, and the mean rate of each area.
const spikes = (() => {
  const { page, narrow, whole, plain, short, areaColours, DASHES, BELOW, axis, draw, title } = tools;
  const { rule, palette } = page.theme;
  const SIDE_BY_SIDE = 4;
  const BIN = 20; // ms

  // Times (ms) of each unit's spikes in a presentation: they are stored unit after unit.
  const byUnit = (trial) => {
    let at = 0;
    return trial.n.map((n) => trial.time.slice(at, (at += n)).map((tenths) => tenths / 10));
  };
  const median = (values) => (values.length ? values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)] : Infinity);
  const opened = new Map(); // what was worked out of a raster, once
  function unpacked(raster) {
    if (opened.has(raster)) return opened.get(raster);
    const classes = raster.classes.map((shown) => ({
      label: shown.label, trials: shown.trials.map((trial) => ({ repeat: trial.repeat, units: byUnit(trial) })),
    }));
    const trials = classes.flatMap((shown) => shown.trials);
    const on = (times) => times.filter((time) => time >= 0 && time < 1000 * raster.stop);
    const units = raster.units.map(([id, area, depth], at) => {
      const own = trials.map((trial) => on(trial.units[at]));
      return {
        at, id, area, depth, rate: own.reduce((sum, times) => sum + times.length, 0) / (trials.length * raster.stop),
        latency: median(own.filter((times) => times.length).map((times) => Math.min(...times))),
      };
    });
    opened.set(raster, { classes, units });
    return opened.get(raster);
  }
  const ORDERS = {
    area: (a, b) => a.at - b.at, rate: (a, b) => b.rate - a.rate, latency: (a, b) => a.latency - b.latency,
    depth: (a, b) => (b.depth ?? -Infinity) - (a.depth ?? -Infinity),
  };

  function drawRaster(article, raster, asked) {
    const { classes, units } = unpacked(raster);
    const colours = areaColours(raster.units.map(([, area]) => area));
    const alone = asked.shown >= 0;
    const spread = (number) => Math.round((number * (classes.length - 1)) / Math.max(1, Math.min(SIDE_BY_SIDE, classes.length) - 1));
    const shown = alone ? [classes[asked.shown]] : [...Array(Math.min(SIDE_BY_SIDE, classes.length)).keys()].map((number) => classes[spread(number)]);
    const kept = units.filter((unit) => asked.area === "" || unit.area === asked.area).sort(ORDERS[asked.sort]);
    const one = asked.unit === null ? null : units[asked.unit];
    const place = article.querySelector('[data-plot="raster"]');
    if (place.classList.contains("alone") !== alone || place.children.length !== shown.length) {
      [...place.children].forEach((child) => Plotly.purge(child)); // a picture does not grow with its column by itself
      place.replaceChildren();
      place.classList.toggle("alone", alone);
    }
    while (place.children.length < shown.length) place.append(document.createElement("div"));
    const columns = alone ? 1 : narrow() ? 2 : SIDE_BY_SIDE;
    const [start, stop] = raster.window.map((edge) => 1000 * edge);
    shown.forEach((own, at) => {
      const trial = own.trials[asked.repeat];
      // A row is a unit of one presentation, or a presentation of one unit.
      const rows = one ? own.trials.map((each) => ({ times: each.units[one.at], area: one.area, name: `unit ${plain(one.id)}, ${plain(one.area)}<br>repeat ${each.repeat + 1}` }))
        : kept.map((unit) => ({ times: trial ? trial.units[unit.at] : [], area: unit.area, name: `unit ${plain(unit.id)}, ${plain(unit.area)}` }));
      const traces = [...colours].map(([area, colour]) => {
        const [x, y, hovertext] = [[], [], []];
        rows.forEach((row, line) => {
          if (row.area !== area) return;
          for (const time of row.times) {
            const text = `${row.name}<br>${time.toFixed(1)} ms`;
            x.push(time, time, null); y.push(line - 0.45, line + 0.45, null); hovertext.push(text, text, "");
          }
        });
        return { type: "scatter", mode: "lines", x, y, hovertext, hoverinfo: "text", line: { color: colour, width: alone ? 1.8 : 1.4 } };
      });
      const first = at % columns === 0;
      draw(place.children[at], traces, {
        height: alone ? Math.min(620, 260 + 5 * rows.length) : 340, margin: { l: first ? 44 : 12, r: 6, t: 28, b: 44 }, hovermode: "closest",
        xaxis: axis({ title: title("time (ms)"), range: [start, stop], showgrid: false, nticks: alone ? 8 : 4, automargin: false }),
        yaxis: axis({ title: first ? title(one ? "repeats" : "units") : undefined, range: [Math.max(1, rows.length) - 0.5, -0.5],
          showgrid: false, showticklabels: false, ticks: "", automargin: false }),
        shapes: [{ type: "rect", x0: 0, x1: 1000 * raster.stop, yref: "paper", y0: 0, y1: 1, fillcolor: rule, opacity: 0.4,
          line: { width: 0 }, layer: "below" }],
        annotations: [{ x: 0, y: 1, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", showarrow: false,
          text: `<b>${short(own.label, 26)}</b>` + (one || trial ? "" : " (no such repeat)") }],
      });
    });
    article.querySelector('[data-told="raster"]').textContent = one
      ? `Shown: ${shown.map((own) => own.trials.length).reduce((a, b) => Math.max(a, b), 0)} presentations of unit ${one.id}, the first on top.`
      : `Shown: ${whole(kept.length)} of ${whole(units.length)} units, ${{ area: "area by area", rate: "the most active on top", latency: "the earliest on top", depth: "the shallowest on top" }[asked.sort]}.`;
    const part = article.querySelector('[data-part="class-rates"]');
    part.hidden = !alone;
    if (alone) drawClassRates(part.querySelector("[data-plot]"), raster, shown[0], one ? [one] : kept, colours);
    return colours;
  }

  function drawClassRates(place, raster, shown, units, colours) {
    const [start, stop] = raster.window.map((edge) => 1000 * edge);
    const size = Math.max(1, Math.floor((stop - start) / BIN));
    const time = [...Array(size).keys()].map((bin) => start + BIN * (bin + 0.5));
    const traces = [...colours].flatMap(([area, colour], number) => {
      const own = units.filter((unit) => unit.area === area);
      if (!own.length) return [];
      const counts = new Array(size).fill(0);
      for (const trial of shown.trials) for (const unit of own) for (const at of trial.units[unit.at]) {
        const bin = Math.floor((at - start) / BIN);
        if (bin >= 0 && bin < size) counts[bin] += 1;
      }
      const rate = counts.map((n) => n / (own.length * shown.trials.length * BIN / 1000));
      return [{ type: "scatter", mode: "lines", name: `${short(area, 24)} (${whole(own.length)})`, x: time, y: rate,
        line: { color: colour, width: 2, dash: DASHES[Math.floor(number / palette.length) % DASHES.length] },
        hovertext: rate.map((value, bin) => `<b>${plain(area)}</b>, ${time[bin].toFixed(0)} ms<br>${value.toFixed(1)} spikes/s`), hoverinfo: "text" }];
    });
    draw(place, traces, {
      height: 300, margin: { l: 60, r: 16, t: 16, b: 90 }, hovermode: "closest",
      xaxis: axis({ title: title("time from the start of the presentation (ms)"), showgrid: false, range: [start, stop] }),
      yaxis: axis({ title: title("mean rate (spikes/s)"), rangemode: "tozero" }),
      shapes: [{ type: "rect", x0: 0, x1: 1000 * raster.stop, yref: "paper", y0: 0, y1: 1, fillcolor: rule, opacity: 0.4, line: { width: 0 }, layer: "below" }],
      showlegend: true, legend: BELOW,
    });
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
      const name = `${short(own.area, 24)} (${whole(own.n_units)})`;
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
      showlegend: true, legend: BELOW,
    });
  }

  // Draws the panel and follows its controls.
  return (article, session) => {
    if (session.raster) {
      const select = (name) => article.querySelector(`[data-choose="${name}"]`);
      const show = () => {
        const asked = { shown: Number(select("class").value), area: select("area").value, repeat: Number(select("repeat").value),
          sort: select("sort").value, unit: select("rows").value === "" ? null : Number(select("rows").value) };
        for (const name of ["area", "repeat", "sort"]) select(name).disabled = asked.unit !== null;
        return drawRaster(article, session.raster, asked);
      };
      drawLegend(article.querySelector('[data-legend="raster"]'), show());
      for (const name of ["class", "area", "repeat", "sort", "rows"]) select(name).onchange = show;
    }
    if (session.rates) drawRates(article.querySelector('[data-plot="rates"]'), session.rates);
  };
})();
