const place = document.getElementById("swagger");
document.documentElement.classList.toggle("dark-mode", document.documentElement.dataset.bsTheme === "dark");
SwaggerUIBundle({ url: place.dataset.openapi, domNode: place, deepLinking: true });
