// What the user is told beside the answer.

import { $ } from "./elements.js";

/** An error whose message is for the user. */
export class Refusal extends Error {}

/** Says what is wrong with the listener. */
export function complain(reason) {
  $("problem").className = "problem";
  $("problem").textContent = reason;
}

/** Says something that is not wrong where problems are said. */
export function say(text) {
  $("problem").className = "problem fine";
  $("problem").textContent = text;
}

/** Tells those who hear the page what others see. */
export function announce(text) {
  $("status").textContent = text;
}
