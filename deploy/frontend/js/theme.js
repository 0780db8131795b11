// Runs before the first paint, so that the wrong theme does not flash.
try {
  const theme = localStorage.getItem("darkroom.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is disabled: the system's theme applies.
}
