// Small repairs of the theme's markup, for readers who use a screen reader or a keyboard.
document.addEventListener("DOMContentLoaded", () => {
  // The visible text of the search button is its name; a second, different one confuses speech input.
  document.querySelectorAll("button.search-button-field").forEach((b) => b.removeAttribute("aria-label"));

  // The arrows that unfold the table of contents have no name.
  document.querySelectorAll(".bd-links details > summary").forEach((s) => {
    const link = s.closest("li")?.querySelector("a");
    if (link) s.setAttribute("aria-label", `Pages under ${link.textContent.trim()}`);
  });

  // The brand link stands outside every landmark.
  const brand = document.querySelector(".sidebar-primary-items__start a.navbar-brand");
  if (brand && !brand.closest("nav")) {
    brand.parentElement.setAttribute("role", "navigation");
    brand.parentElement.setAttribute("aria-label", "Book");
  }

  // Roles that the bibliography carries from an older version of ARIA.
  document.querySelectorAll(".citation-list, [role='doc-biblioentry']").forEach((e) => e.removeAttribute("role"));

  // What scrolls sideways must be reachable with the keyboard.
  const reachable = () => {
    document.querySelectorAll(".bd-article div.math, .bd-article pre, .pst-scrollable-table-container").forEach((box) => {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    });
  };
  reachable();
  window.addEventListener("load", reachable);
  window.addEventListener("resize", reachable);
  if (window.MathJax) window.MathJax.startup?.promise?.then(reachable);
});
