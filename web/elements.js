// Elements of the page: found by their ids, made with what they hold.

export const $ = (id) => document.getElementById(id);

/** Makes an element; names with a hyphen are attributes, the others properties. */
export function make(tag, values = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}
