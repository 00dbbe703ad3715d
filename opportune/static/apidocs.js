const place = document.getElementById("swagger");
const root = document.documentElement;
const follow = () => root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark");
new MutationObserver(follow).observe(root, { attributeFilter: ["data-bs-theme"] });
follow();
SwaggerUIBundle({ url: place.dataset.openapi, domNode: place, deepLinking: true });
