// Sets the theme before anything is drawn. A plain script, as modules run too late for that.
(() => {
  const asked = new URLSearchParams(location.search).get('theme');
  let kept = null;
  try { kept = localStorage.getItem('netscope.theme'); } catch { /* storage is off: the system's theme */ }
  const theme = ['light', 'dark', 'auto'].includes(asked) ? asked : kept;
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  if (new URLSearchParams(location.search).get('tv') === '1') document.documentElement.dataset.tv = '1';
})();
