// Everything of a page that a screen reader would stumble over.
() => {
  const wrong = [];
  const say = (what, one) => wrong.push(`${what}: ${one.outerHTML.slice(0, 120)}`);
  const seen = (one) => one.checkVisibility();
  const named = (one) => (one.getAttribute("aria-label") || one.textContent || "").trim() !== "";
  for (const one of document.querySelectorAll("select, input, textarea, progress")) {
    const labelled = [...(one.labels ?? [])].some(named) || (one.getAttribute("aria-label") ?? "").trim();
    if (!labelled) say("no label", one);
  }
  for (const one of document.querySelectorAll("button, a, summary")) if (seen(one) && !named(one)) say("no name", one);
  for (const one of document.querySelectorAll("img")) if (!one.hasAttribute("alt")) say("no alt", one);
  for (const one of document.querySelectorAll("[role=img], [role=region]")) if (!(one.getAttribute("aria-label") ?? "").trim()) say("no aria-label", one);
  for (const one of document.querySelectorAll("iframe")) if (!one.title) say("no title", one);
  for (const one of document.querySelectorAll("th")) if (!one.scope) say("no scope", one);
  for (const one of document.querySelectorAll(".scroll")) if (one.tabIndex !== 0) say("cannot be scrolled with keys", one);
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(seen);
  levels.forEach((one, at) => {
    if (at && Number(one.tagName[1]) > Number(levels[at - 1].tagName[1]) + 1) say("a level is skipped before", one);
    if (!one.textContent.trim()) say("empty heading", one);
  });
  if (levels.filter((one) => one.tagName === "H1").length !== 1) wrong.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
  if (!document.documentElement.lang) wrong.push("no lang");
  if (!document.title.trim()) wrong.push("no title");
  const ids = [...document.querySelectorAll("[id]")].filter((one) => !one.closest("svg")).map((one) => one.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`id twice: ${id}`);
  for (const one of document.querySelectorAll("label[for], output[for]")) {
    for (const id of one.htmlFor.toString().split(" ")) if (!document.getElementById(id)) say("for nothing", one);
  }
  return [...new Set(wrong)];
}
