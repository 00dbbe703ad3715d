// Tells the site where the visitor's clock is, if that is not where the site's own is. The cookie holds a name such as
// Europe/Vienna and nothing else.
(() => {
  const there = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  const known = document.cookie.match(/(?:^|; )time_zone=([^;]*)/)?.[1] ?? "";
  const wanted = there === document.documentElement.dataset.timeZone ? "" : there;
  if (known === wanted) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `time_zone=${wanted}; Path=/; SameSite=Lax; Max-Age=${wanted ? 31536000 : 0}${secure}`;
})();
