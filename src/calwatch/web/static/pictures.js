"use strict";
// Draws what an element with data-picture asks for, when the page already stands: BokehJS takes
// longer to read than the page itself, so it is asked for only after the first paint.
(() => {
  const library = document.currentScript.dataset.bokeh;
  const painted = new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const bokeh = painted.then(() => new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = library;
    script.onload = done;
    script.onerror = () => failed(new Error("BokehJS was not given"));
    document.head.append(script);
  }));
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const draw = async (place) => {
    place.dataset.state = "drawing";
    try {
      const address = new URL(place.dataset.picture, location.href);
      if (dark.matches) address.searchParams.set("scheme", "dark");
      const [answer] = await Promise.all([fetch(address), bokeh]);
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
