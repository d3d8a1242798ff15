// Every text of a page that is too pale for what is behind it: 4.5 to 1, large text 3 to 1.
() => {
  const channels = (text) => (text.match(/[0-9.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, w] = [r, g, b].map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * w;
  };
  const ratio = (a, b) => { const [low, high] = [light(a), light(b)].sort((x, y) => x - y); return (high + 0.05) / (low + 0.05); };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(at).backgroundColor);
      if (a > 0.99 && r !== undefined) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const wrong = new Set();
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !one.checkVisibility() || one.closest("script, style, noscript, title")) continue;
    const style = getComputedStyle(one);
    if (style.visibility === "hidden" || Number(style.opacity) === 0) continue;
    const drawn = one.closest("svg") !== null;
    const [r, g, b, a = 1] = channels(drawn ? style.fill : style.color);
    if (r === undefined || a < 0.01) continue;
    const ground = behind(drawn ? one.closest("svg").parentElement : one);
    const mixed = [r, g, b].map((value, at) => a * value + (1 - a) * ground[at]);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const found = ratio(mixed, ground);
    if (found < least) wrong.add(`${found.toFixed(2)} of ${least}: "${walker.currentNode.textContent.trim().slice(0, 40)}" ${drawn ? style.fill : style.color} on ${ground}`);
  }
  return [...wrong];
}
