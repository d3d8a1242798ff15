"use strict";
// Puts the panels into their places, and follows the controls that concern all of them.
(() => {
  const { page } = tools;

  function drawSession(article) {
    const session = page.sessions[Number(article.dataset.session)];
    leaderboards.drawLeaderboard(article.querySelector('[data-plot="leaderboard"]'), session.leaderboard);
    spikes(article, session);
    confusions(article, session);
    training.show(article, session);
    if (session.tuning) drawTuning(article, session.tuning, page.groups[session.group].importance, tools);
  }

  sortTables(document);
  const articles = [...document.querySelectorAll("article[data-session]")];
  const show = (number) => articles.forEach((article, at) => {
    article.hidden = at !== number;
    if (at === number) drawSession(article);
  });
  page.groups.forEach((group, at) => {
    if (!group.overSessions) return;
    const place = (name) => document.querySelector(`[data-group="${at}"] [data-plot="${name}"]`);
    leaderboards.drawLeaderboard(place("over-sessions"), group.overSessions);
    leaderboards.drawPaired(place("paired"), group.overSessions, page.sessions.filter((session) => session.group === at));
  });
  if (page.againstBins) training.drawBins(document.querySelector('[data-plot="bins"]'), page.againstBins.rows, page.againstBins.bins);
  document.querySelectorAll("[data-connectivity]").forEach((article) =>
    drawConnectivity(article, page.connectivity[Number(article.dataset.connectivity)], tools));

  const select = document.getElementById("session");
  const linked = () => {
    const asked = new URLSearchParams(window.location.hash.slice(1)).get("session");
    return asked === null ? -1 : page.sessions.findIndex((session) => session.name === asked);
  };
  if (select) {
    select.onchange = () => {
      show(Number(select.value));
      window.history.replaceState(null, "", "#" + new URLSearchParams({ session: page.sessions[Number(select.value)].name }));
    };
    window.addEventListener("hashchange", () => {
      if (linked() < 0) return;
      select.value = String(linked());
      show(linked());
    });
    if (linked() >= 0) select.value = String(linked());
    show(Number(select.value));
  } else if (articles.length) {
    show(0);
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.onclick = async () => {
      const text = document.getElementById(button.dataset.copy);
      window.getSelection().selectAllChildren(text); // so that it can be copied by hand where the page may not
      let done = false;
      try {
        await navigator.clipboard.writeText(text.textContent.trim());
        done = true;
      } catch {
        done = document.execCommand("copy");
      }
      button.nextElementSibling.textContent = done ? "Copied." : "Selected: press Ctrl+C.";
    };
  }

  const everyPlot = () => [...document.querySelectorAll(".js-plotly-plot")].filter((plot) => plot.offsetParent);
  window.addEventListener("beforeprint", () => everyPlot().forEach((plot) => Plotly.Plots.resize(plot)));
  window.addEventListener("afterprint", () => everyPlot().forEach((plot) => Plotly.Plots.resize(plot)));
  document.documentElement.dataset.drawn = "yes";
})();
