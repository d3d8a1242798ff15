"use strict";
(() => {
  drawConnectivity(document.querySelector('[data-panel="connectivity"]'), tools.page.panel, tools);
  const everyPlot = () => [...document.querySelectorAll(".js-plotly-plot")];
  window.addEventListener("beforeprint", () => everyPlot().forEach((plot) => Plotly.Plots.resize(plot)));
  window.addEventListener("afterprint", () => everyPlot().forEach((plot) => Plotly.Plots.resize(plot)));
  document.documentElement.dataset.drawn = "yes";
})();
