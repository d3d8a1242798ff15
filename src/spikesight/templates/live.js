"use strict";
(() => {
  const { seconds } = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const main = document.querySelector("main");
  const SVG = "http://www.w3.org/2000/svg";
  let tag = ""; // of the last state
  let shown = ""; // the report that is in the frame
  let loading = false;
  let misses = 0;

  const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
  const digits = (value) => (value === null || value === undefined ? "not known" : Number(value.toPrecision(3)).toString());
  const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  function sentence(state) {
    const done = state.kind === "connectivity" ? count(state.finished, "part", "parts") : state.total
      ? `${Math.min(state.finished, state.total).toLocaleString("en")} of ${count(state.total, "fit", "fits")}`
      : count(state.finished, "fit", "fits");
    const failed = state.failed ? `, ${state.failed.toLocaleString("en")} failed` : "";
    const waiting = state.total === null ? 0 : Math.max(0, state.total - state.finished - state.failed);
    if (state.phase === "waiting") return "Waiting for a run to begin in this directory.";
    if (state.phase === "finished") return state.kind === "connectivity" ? "The estimate is over." : `The run is over${state.finished ? `: ${done}${failed}` : ""}.`;
    if (state.phase === "stopped") return `The run has stopped before its end: ${done} so far${failed}. Start the same command again to go on.`;
    if (state.total && state.finished + state.failed >= state.total) return `Running: ${done}${failed}. The report is being written.`;
    return `Running: ${done} so far${failed}${waiting ? `, ${waiting.toLocaleString("en")} under way or waiting` : ""}.`;
  }

  function curve(network) {
    const name = ["valid_accuracy", "accuracy", "loss"].find((one) => network.curves[one]);
    const figure = document.createElement("figure");
    const caption = figure.appendChild(document.createElement("figcaption"));
    write(caption, network.name);
    if (!name) return figure;
    const values = network.curves[name];
    const known = values.filter((value) => value !== null);
    const [low, high] = name === "loss" ? [Math.min(...known), Math.max(...known)] : [0, 1];
    const [first, last] = [network.epoch[0], network.epoch[network.epoch.length - 1]];
    const word = { valid_accuracy: "accuracy on validation trials", accuracy: "accuracy on training trials", loss: "loss" }[name];
    const now = name === "loss" ? digits(known[known.length - 1]) : `${(100 * known[known.length - 1]).toFixed(1)} %`;
    const detail = caption.appendChild(document.createElement("span"));
    detail.className = "soft";
    detail.textContent = `: epoch ${network.n_epochs}, ${word} ${now}`;
    const drawing = document.createElementNS(SVG, "svg");
    drawing.setAttribute("viewBox", "0 0 200 60");
    drawing.setAttribute("preserveAspectRatio", "none");
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", `${word} by epoch`);
    const line = drawing.appendChild(document.createElementNS(SVG, "polyline"));
    const across = (epoch) => 4 + (192 * (epoch - first)) / Math.max(1, last - first);
    const up = (value) => 56 - (52 * (value - low)) / (high - low || 1);
    line.setAttribute("points", values.flatMap((value, one) => (value === null ? [] : [`${across(network.epoch[one]).toFixed(1)},${up(value).toFixed(1)}`])).join(" "));
    if (known.length === 1) line.setAttribute("points", `${line.getAttribute("points")} ${line.getAttribute("points")}`); // a dot
    line.setAttribute("stroke-linecap", "round");
    line.setAttribute("fill", "none");
    line.setAttribute("stroke", "#0072b2");
    line.setAttribute("stroke-width", "2");
    line.setAttribute("vector-effect", "non-scaling-stroke");
    figure.appendChild(drawing);
    return figure;
  }

  function tell(state) {
    write(at("told"), sentence(state));
    const bar = at("progress");
    bar.hidden = state.total === null || state.phase === "finished";
    if (state.total) bar.value = Math.min(1, state.finished / state.total);
    at("problem").hidden = !state.problem;
    write(at("problem"), state.problem ? `The results cannot be read just now: ${state.problem}` : "");
    const networks = at("networks");
    networks.hidden = state.networks.length === 0;
    write(networks.querySelector("summary"), `${count(state.n_networks, "network", "networks")} learning`);
    networks.querySelector("div").replaceChildren(...state.networks.map(curve));
    const searches = at("searches");
    searches.hidden = state.searches.length === 0;
    write(searches.querySelector("summary"), `${count(state.searches.length, "search", "searches")} for constants`);
    searches.querySelector("ul").replaceChildren(...state.searches.map(({ name, n_candidates: tried, best }) => {
      const item = document.createElement("li");
      item.textContent = `${name}: ${count(tried, "candidate", "candidates")}${best === null ? "" : `, best inner accuracy ${(100 * best).toFixed(1)} % (of training trials)`}`;
      return item;
    }));
    const failures = at("failures");
    failures.hidden = state.failures.length === 0;
    write(failures.querySelector("summary"), `${count(state.failed, "fit", "fits")} failed`);
    failures.querySelector("ul").replaceChildren(...state.failures.map(({ cell, error }) => {
      const item = document.createElement("li");
      item.textContent = `${cell}: ${error}`;
      return item;
    }));
    write(at("nothing"), state.phase === "stopped" && !state.page ? "The run has no result." : "The report appears here with the first results.");
    at("alone").hidden = !state.page;
  }

  // What a reader has done in a report: controls, what is folded open, how tables are sorted, and where the page is.
  const controls = (page) => [...page.querySelectorAll("select, input")];
  const heading = (page) => [...page.querySelectorAll("h1, h2, h3")].filter((one) => one.getClientRects().length);
  const named = (headings, one) => `${one.textContent}|${headings.filter((other) => other.textContent === one.textContent).indexOf(one)}`;

  function remember(frame) {
    const page = frame.contentDocument;
    const headings = heading(page);
    const above = headings.filter((one) => one.getBoundingClientRect().top <= 1).pop();
    return {
      controls: new Map(controls(page).filter((one) => one.id).map((one) => [one.id, one.type === "checkbox" ? one.checked : one.tagName === "SELECT" ? one.selectedOptions[0]?.textContent : one.value])),
      open: new Map([...page.querySelectorAll("details")].map((one, place) => [`${one.querySelector("summary")?.textContent}|${place}`, one.open])),
      sorted: [...page.querySelectorAll("table[data-sortable] th[aria-sort]")].map((one) => [one.closest("table").dataset.sortable, one.dataset.key, one.getAttribute("aria-sort")]),
      focus: page.activeElement?.id ?? "",
      scroll: frame.contentWindow.scrollY,
      above: above && [named(headings, above), above.getBoundingClientRect().top],
    };
  }

  function restore(frame, kept) {
    const page = frame.contentDocument;
    for (const one of controls(page)) {
      if (!kept.controls.has(one.id)) continue;
      const value = kept.controls.get(one.id);
      if (one.type === "checkbox") {
        if (one.checked === value) continue;
        one.checked = value;
      } else if (one.tagName === "SELECT") {
        const option = [...one.options].find((other) => other.textContent === value);
        if (!option || option.selected) continue;
        option.selected = true;
      } else {
        if (one.value === value) continue;
        one.value = value;
      }
      one.dispatchEvent(new Event("input", { bubbles: true }));
      one.dispatchEvent(new Event("change", { bubbles: true }));
    }
    [...page.querySelectorAll("details")].forEach((one, place) => {
      const open = kept.open.get(`${one.querySelector("summary")?.textContent}|${place}`);
      if (open !== undefined) one.open = open;
    });
    for (const [kind, key, wanted] of kept.sorted) {
      const head = [...page.querySelectorAll("table[data-sortable] th")].find((one) => one.closest("table").dataset.sortable === kind && one.dataset.key === key);
      for (let press = 0; head && press < 2 && head.getAttribute("aria-sort") !== wanted; press += 1) head.querySelector("button")?.click();
    }
    const headings = heading(page);
    const above = kept.above && headings.find((one) => named(headings, one) === kept.above[0]);
    const place = above ? above.getBoundingClientRect().top + frame.contentWindow.scrollY - kept.above[1] : kept.scroll;
    frame.contentWindow.scrollTo({ top: place, behavior: "instant" });
    if (kept.focus) page.getElementById(kept.focus)?.focus({ preventScroll: true });
  }

  // The new report is drawn behind the old one, brought to where the reader was, and only then shown.
  function show(version) {
    loading = true;
    const old = main.querySelector("iframe");
    const coming = document.createElement("iframe");
    coming.title = "Report of the results so far";
    coming.className = "coming";
    coming.src = `/report?${encodeURIComponent(version)}`;
    const until = Date.now() + 30000;
    const ready = () => {
      const drawn = coming.contentDocument?.documentElement.dataset.drawn;
      if (!drawn && Date.now() < until) { setTimeout(ready, 50); return; }
      loading = false;
      if (!drawn) { coming.remove(); return; } // tried again with the next state
      if (old) restore(coming, remember(old));
      coming.className = "";
      old?.remove();
      at("nothing").hidden = true;
      shown = version;
      document.documentElement.dataset.page = version;
    };
    coming.addEventListener("load", ready, { once: true });
    main.appendChild(coming);
  }

  async function look() {
    try {
      const answer = await fetch("/state", { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
      if (answer.status === 200) {
        const state = await answer.json();
        tag = answer.headers.get("ETag") ?? "";
        tell(state);
        if (state.page && state.page !== shown && !loading) show(state.page);
        if (loading) tag = ""; // look again, in case this report fails to load or another one has come
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      misses = 0;
    } catch {
      misses += 1;
      tag = "";
      if (misses > 1) write(at("told"), "spikesight serve has ended; this is the last it showed. Start it again and this page goes on.");
    }
    document.documentElement.dataset.drawn = "yes";
    setTimeout(look, 1000 * seconds * Math.min(5, 1 + misses));
  }
  look();
})();
