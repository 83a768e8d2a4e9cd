// Sets the theme before the first paint. A file of its own, because the page's policy allows no inline script.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("streamswarm.theme");
  } catch (error) {
    console.info("The theme cannot be remembered here", error);
  }
  const light = chosen === "light" || (chosen !== "dark" && matchMedia("(prefers-color-scheme: light)").matches);
  document.documentElement.dataset.bsTheme = light ? "light" : "dark";
})();
