// Before the first paint, so that nobody who works in the dark is blinded by a white page. The same as src/composables/useTheme.ts.
{
  const saved = localStorage.getItem("bbt-theme");
  document.documentElement.classList.toggle("dark", saved ? saved === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
}
