"""What every page owes to readers who do not see it, or not well, or have no mouse: checked in the page itself."""

from pathlib import Path
from typing import Any

ACCESSIBLE = (Path(__file__).parent / "accessible.js").read_text(encoding="utf-8")
LOW_CONTRAST = (Path(__file__).parent / "low_contrast.js").read_text(encoding="utf-8")

CONTROLS = """() => {
  const usable = "a[href], button, select, input, textarea, summary, [tabindex='0']";
  const all = [...document.querySelectorAll(usable)];
  const own = all.filter((one) => one.checkVisibility() && !one.disabled && !one.closest("svg"));
  own.forEach((one, at) => { one.dataset.place = String(at); });
  return own.map((one) => one.outerHTML.slice(0, 90));
}"""

FOCUSED = """() => {
  const one = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  const place = one.dataset.place === undefined ? -1 : Number(one.dataset.place);
  return [place, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
}"""

TO_THE_TOP = """() => {
  document.activeElement?.blur();
  window.getSelection()?.removeAllRanges();
  window.scrollTo(0, 0);
}"""


def walk(page: Any) -> tuple[list[str], list[int], list[int]]:
    """Press Tab from the top of a page to its end.

    Returns the controls of the page, the places of those that were reached in their order, and of those whose focus is
    not seen.
    """
    controls = page.evaluate(CONTROLS)
    page.evaluate(TO_THE_TOP)
    reached: list[int] = []
    unseen: list[int] = []
    for _ in range(len(controls) + 3):
        page.keyboard.press("Tab")
        place, visible = page.evaluate(FOCUSED)
        if place < 0 or (reached and place == reached[0]):
            break
        reached.append(place)
        if not visible:
            unseen.append(place)
    return controls, reached, unseen
