// What the tests ask of a page's layout; the answers are sentences, and none is a good one.

(() => {
  const root = () => document.querySelector("dialog[open]") ?? document;
  const shown = (element) => element.checkVisibility({ checkVisibilityCSS: true })
    && !element.closest(".visually-hidden, .skip")
    && getComputedStyle(element.closest("thead") ?? element).clipPath === "none";
  const words = (element) => element.textContent.trim().replace(/\s+/g, " ").slice(0, 60);

  // By how much something scrolls sideways.
  const wide = (box) => box.scrollWidth - box.clientWidth;

  // By how much words leave their cell.
  function spilt(cell) {
    const edges = cell.getBoundingClientRect();
    const range = document.createRange();
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    let out = 0;
    while (texts.nextNode()) {
      if (!texts.currentNode.data.trim() || !shown(texts.currentNode.parentElement)) continue;
      range.selectNodeContents(texts.currentNode);
      const { left, right } = range.getBoundingClientRect();
      out = Math.max(out, right - edges.right, edges.left - left);
    }
    return out;
  }

  globalThis.sticksOut = () => {
    const within = (selector) => [...root().querySelectorAll(selector)].filter(shown);
    const boxes = [document.scrollingElement, root(), ...within(".tablewrap")].map((box) => [box, wide(box)]);
    const cells = within("th, td, .button").map((cell) => [cell, spilt(cell)]);
    return [...boxes.filter(([, out]) => out > 0), ...cells.filter(([, out]) => out > 1)].map(
      ([element, out]) => `${element.tagName}.${element.className} “${words(element)}” by ${Math.round(out)} px`);
  };

  // A link in a sentence may be as small as its words; a field counts with its label.
  globalThis.tooSmall = (least) => {
    const inSentence = (element) => element.matches("a") && getComputedStyle(element).display === "inline";
    const areas = (element) => [element, ...(element.labels ?? [])].map((each) => each.getBoundingClientRect());
    const large = ({ width, height }) => Math.min(width, height) >= least - 0.5;
    const pressed = root().querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, textarea");
    return [...pressed].filter((element) => shown(element) && !inSentence(element) && !areas(element).some(large)).map(
      (element) => `${element.outerHTML.slice(0, 90)}: ${areas(element).map(({ width, height }) => `${width} × ${height}`)}`);
  };
})();
