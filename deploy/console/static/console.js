// Keys and small comforts. Every page works without them.
(function () {
  "use strict";
  var goes = false;

  function rows() {
    return Array.prototype.slice.call(document.querySelectorAll("main tbody tr")).filter(function (row) {
      return row.querySelector("a");
    });
  }

  function step(by) {
    var all = rows();
    var at = all.findIndex(function (row) { return row.contains(document.activeElement); });
    var next = all[Math.min(all.length - 1, Math.max(0, at + by))];
    if (next) { next.querySelector("a").focus(); }
  }

  function isWriting(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (isWriting(event.target)) {
      if (event.key === "Escape") { event.target.blur(); }
      return;
    }
    if (goes) {
      goes = false;
      var link = document.querySelector('.nav-link[data-key="' + CSS.escape(event.key) + '"]');
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (event.key === "g") { goes = true; setTimeout(function () { goes = false; }, 1200); return; }
    if (event.key === "j") { event.preventDefault(); step(1); return; }
    if (event.key === "k") { event.preventDefault(); step(-1); return; }
    if (event.key === "?") { document.getElementById("keys").showModal(); return; }
    if (event.key === "/") {
      event.preventDefault();
      var box = document.querySelector("[data-find]");
      if (box) { box.focus(); box.select(); } else { location.href = "/orders"; }
    }
  });

  // What only a script can use is shown by one.
  document.querySelectorAll("[data-script]").forEach(function (part) { part.hidden = false; });

  function choices(name) { return document.querySelectorAll('button[data-fill="' + CSS.escape(name) + '"]'); }

  function press(name, value) {
    choices(name).forEach(function (choice) {
      choice.setAttribute("aria-pressed", String(value !== "" && choice.value === value));
    });
  }

  document.addEventListener("click", function (event) {
    var choice = event.target.closest("button[data-fill]");
    if (!choice) { return; }
    var box = document.getElementsByName(choice.dataset.fill)[0];
    box.value = choice.getAttribute("aria-pressed") === "true" ? "" : choice.value;
    press(choice.dataset.fill, box.value);
  });

  document.addEventListener("input", function (event) { press(event.target.name || "", event.target.value); });

  document.addEventListener("change", function (event) {
    var name = event.target.dataset ? event.target.dataset.all : undefined;
    if (!name) { return; }
    document.querySelectorAll('input[name="' + CSS.escape(name) + '"]').forEach(function (box) {
      box.checked = event.target.checked;
    });
  });
})();
