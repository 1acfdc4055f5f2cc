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

  document.addEventListener("change", function (event) {
    var name = event.target.dataset ? event.target.dataset.all : undefined;
    if (!name) { return; }
    document.querySelectorAll('input[name="' + CSS.escape(name) + '"]').forEach(function (box) {
      box.checked = event.target.checked;
    });
  });
})();
