// Replaces the live part of the page with what the server sends. The server escapes everything; without this script the page is the same, and
// reloads itself. A stream that goes quiet is said aloud: an old page must not look like a calm ward.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const link = document.getElementById("link");
  const quietAfter = 30000; // the server sends a sign of life every ten seconds
  let heard = Date.now();
  const state = (ok, text) => {
    link.className = ok ? "ok" : "lost";
    if (link.textContent !== text) link.textContent = text;
  };
  const source = new EventSource("/events");
  source.addEventListener("open", () => { heard = Date.now(); state(true, "Live"); });
  source.addEventListener("error", () => state(false, "Connection lost: what you see is old. Trying again."));
  source.addEventListener("live", (e) => {
    heard = Date.now();
    state(true, "Live");
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && live.contains(selection.anchorNode)) return; // somebody is copying
    const scrolls = [...live.querySelectorAll(".scroll")].map((s) => s.scrollLeft);
    live.innerHTML = e.data;
    live.querySelectorAll(".scroll").forEach((s, i) => { s.scrollLeft = scrolls[i] || 0; });
  });
  source.addEventListener("alive", () => { heard = Date.now(); });
  setInterval(() => {
    if (Date.now() - heard > quietAfter) state(false, "Nothing heard for " + Math.round((Date.now() - heard) / 1000) + " s: what you see may be old.");
  }, 5000);
})();
