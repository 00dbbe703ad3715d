(pages) => {
  const withoutWords = (element) =>
    element.outerHTML.replace(/>[^<]+</g, ">…<").replace(/ (?!class|type|role)([a-z-]+)="[^"]+"/g, " $1");
  const numbers = (window.numbersOfPaths ??= new Map());
  const numberOf = (element) => {
    const path = (element.parentElement ? numberOf(element.parentElement) : "") + withoutWords(element.cloneNode());
    if (!numbers.has(path)) numbers.set(path, numbers.size);
    return numbers.get(path);
  };
  const removeKnown = (element, before) => {
    for (const child of [...element.children]) removeKnown(child, before);
    if (!element.children.length && numberOf(element) < before) element.remove();
  };
  const documents = pages.map((html) => new DOMParser().parseFromString(html, "text/html"));
  for (const { body } of documents.length ? documents : [document]) {
    for (const parent of body.querySelectorAll(":scope, *")) {
      const shapeCounts = new Map();
      for (const element of [...parent.children]) {
        const shape = withoutWords(element);
        shapeCounts.set(shape, (shapeCounts.get(shape) ?? 0) + 1);
        if (shapeCounts.get(shape) > 2) element.remove();
      }
    }
    const before = numbers.size;
    [...body.querySelectorAll("*")].forEach(numberOf);
    const frames = [...body.querySelectorAll("header, aside, footer")].filter((frame) => !frame.closest("main"));
    const repeated = documents.length > 1 ? [...body.children] : frames;
    if (documents.length) repeated.forEach((part) => removeKnown(part, before));
  }
  if (!documents.length) return;
  document.title = documents[0].title;
  document.body.replaceWith(document.adoptNode(documents[0].body));
  for (const { body } of documents.slice(1)) document.body.append(...body.children);
}
