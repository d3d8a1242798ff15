"use strict";
// What every panel of the page draws with; the scripts of panels come after this one, report.js is the last.
const tools = (() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const { ink, soft, rule, palette } = page.theme;
  const narrow = () => window.innerWidth < 740;
  const whole = (value) => value.toLocaleString("en");
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
  const BELOW = { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", font: { size: 12 } };
  const options = (select, names, chosen) => select.replaceChildren(...names.map(([value, name]) => {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = name;
    option.selected = value === chosen;
    return option;
  }));
  const cells = (row, texts) => row.append(...texts.map((text, at) => {
    const cell = document.createElement(at ? "td" : "th");
    if (at) cell.className = "n";
    else cell.scope = "row";
    cell.append(text);
    return cell;
  }));
  return { page, narrow, percent, whole, plain, short, tick, areaColours, DASHES, BELOW, axis, draw, title, vertical, above, options, cells };
})();
