// Builds the page's elements. Texts only ever become text nodes, so that nothing in a message is taken for markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id, which the page has. */
export function byId(id) {
  return document.getElementById(id);
}

/** Make an element: functions among its attributes listen (onclick), null and false leave an attribute out. */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Make an element of a picture. */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** Show a sentence in an element that is hidden without one. */
export function tell(element, sentence) {
  element.textContent = sentence ?? "";
  element.hidden = !sentence;
}

/** Set a text only where it differs: what is written anew is laid out anew. */
export function write(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name.replace(/^on/, ""), value);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}
