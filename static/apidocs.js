const place = document.getElementById("swagger");
SwaggerUIBundle({ url: place.dataset.openapi, domNode: place, deepLinking: true });
