"use strict";
// Draws what an element with data-picture asks for, when the page already stands.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const draw = async (place) => {
    place.dataset.state = "drawing";
    try {
      const address = new URL(place.dataset.picture, location.href);
      if (dark.matches) address.searchParams.set("scheme", "dark");
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
      const item = await answer.json();
      place.replaceChildren();
      await Bokeh.embed.embed_item(item, place);
      place.dataset.state = "drawn";
      performance.mark("drawn");
    } catch (problem) {
      const words = document.createElement("p");
      words.className = "problem";
      words.textContent = `The picture cannot be drawn (${problem.message}). Reload the page to try again.`;
      place.replaceChildren(words);
      place.dataset.state = "failed";
    }
  };

  const all = () => { for (const place of document.querySelectorAll("[data-picture]")) draw(place); };
  all();
  dark.addEventListener("change", all);
  // A choice shows at once; without JavaScript there is the button.
  for (const chosen of document.querySelectorAll("form.choose select")) {
    chosen.addEventListener("change", () => chosen.form.requestSubmit());
  }
})();
