// Runs before the first paint, so that no other theme flashes up first.
try {
  const theme = localStorage.getItem("darkroom.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off: the system's theme it is.
}
