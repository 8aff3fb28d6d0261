"use strict";
// The age of the daemon's last word grows here, in the browser: a daemon that is dead, a network
// that is gone and a page that nobody reloads all end in red, with nobody's help.
(() => {
  const POLL_MS = 10000;
  const ANSWER_MS = 5000;
  const pulse = document.getElementById("pulse");
  const changed = document.getElementById("changed");

  // The name is remembered in this browser; the token is left to its password manager.
  const NAME = "calwatch.who";
  const kept = (() => { try { return localStorage.getItem(NAME) || ""; } catch { return ""; } })();
  for (const field of document.querySelectorAll('input[name="who"]')) {
    if (!field.value) field.value = kept;
    field.addEventListener("change", () => {
      try { localStorage.setItem(NAME, field.value); } catch { /* it is only a convenience */ }
    });
  }
  if (!pulse) return;

  const text = document.getElementById("pulse-text");
  const state = document.getElementById("pulse-state");
  const late = Number(pulse.dataset.late);
  const seen = pulse.dataset.last;
  const judged = pulse.dataset.judgement; // Only of pages that show exposures as they come.
  let age = pulse.dataset.age === "" ? null : Number(pulse.dataset.age);
  let since = Date.now();
  let unanswered = 0; // When it was first asked in vain; 0: it answers.

  const words = (seconds) => {
    if (seconds < 120) return `${Math.round(seconds)} s`;
    if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
    return `${Math.round(seconds / 86400)} days`;
  };

  const show = () => {
    // The clock of the machine may be set back: no age is below the one that was told.
    const passed = Math.max(0, (Date.now() - since) / 1000);
    const now = age === null ? null : age + passed;
    const silent = unanswered > 0 || now === null || now > late;
    pulse.classList.toggle("silent", silent);
    pulse.classList.toggle("alive", !silent);
    if (now === null) text.textContent = "daemon: never heard of";
    else text.textContent = `daemon: ${words(now)} ago`;
    if (unanswered) text.textContent += ", and nobody answers";
    const said = silent ? "The daemon is silent: this page may be old." : "The daemon lives.";
    if (state.textContent !== said) state.textContent = said;
  };

  const busy = () => {
    const active = document.activeElement;
    return document.querySelector("details[open]") !== null
      || (active !== null && active.closest("form") !== null);
  };

  const ask = async () => {
    try {
      const answer = await fetch(pulse.dataset.url, {
        cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const told = await answer.json();
      age = told.age_seconds;
      since = Date.now();
      unanswered = 0;
      const newer = judged !== undefined && String(told.last_judgement) !== judged;
      if (newer || String(told.last_transition) !== seen) {
        if (busy()) changed.hidden = false;
        else location.replace(changed.querySelector("a").href);
      }
    } catch {
      unanswered = unanswered || Date.now();
    }
    show();
    setTimeout(ask, POLL_MS);
  };

  show();
  setInterval(show, 1000);
  setTimeout(ask, 1000);
  document.addEventListener("visibilitychange", show);
})();
