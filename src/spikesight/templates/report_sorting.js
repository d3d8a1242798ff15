"use strict";
// Tables that a reader sorts by a column; all tables of one kind keep to one order.
const sortTables = (() => {
  const chosen = new Map(); // kind of table: [key of the column, 1 or -1]
  const order = [];

  const value = (row, at) => {
    const cell = row.children[at];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text);
    return text === "" || text === "None" ? null : Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null); // what is not known comes last, either way
    return sign * (typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b), "en", { numeric: true }) : a - b);
  };

  function apply(table) {
    const heads = [...table.tHead.rows[0].cells];
    const [key, sign] = chosen.get(table.dataset.sortable) ?? [null, 1];
    const at = heads.findIndex((head) => head.dataset.key === key);
    heads.forEach((head, place) => {
      if (place === at) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    if (at < 0) return;
    const rows = [...table.tBodies[0].rows].sort((a, b) => compare(value(a, at), value(b, at), sign));
    table.tBodies[0].append(...rows);
  }

  function prepare(table) {
    const kind = table.dataset.sortable;
    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.title = `Sort by ${head.textContent}`;
      head.replaceChildren(button);
      button.onclick = () => {
        const [key, sign] = chosen.get(kind) ?? [null, 1];
        // Numbers begin with the largest, names with A.
        const first = head.classList.contains("n") ? -1 : 1;
        chosen.set(kind, [head.dataset.key, key === head.dataset.key ? -sign : first]);
        order.filter((other) => other.dataset.sortable === kind).forEach(apply);
      };
    }
    order.push(table);
    apply(table);
  }

  return (within) => within.querySelectorAll("table[data-sortable]").forEach(prepare);
})();
