// a further row of a form within a form
document.addEventListener("click", (event) => {
  const name = event.target.dataset.add;
  if (!name) return;
  const rows = event.target.closest(".rows");
  const numbers = [...rows.querySelectorAll(":scope > .row")].map((row) => Number(row.id.split("-").pop()));
  const prefix = `${name}-${Math.max(-1, ...numbers) + 1}`;
  const row = rows.querySelector("template").content.cloneNode(true).firstElementChild;
  row.id = prefix;
  for (const field of row.querySelectorAll("[name]")) {
    field.name = `${prefix}-${field.name}`;
    field.id = `${prefix}-${field.id}`;
  }
  for (const label of row.querySelectorAll("label")) {
    label.htmlFor = `${prefix}-${label.htmlFor}`;
  }
  event.target.before(row);
});
