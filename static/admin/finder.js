/** Leaves fields without a value out of the address of a search. */

document.querySelector(".finder").addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
});
