// Asking the server that the page comes from.

import { Refusal } from "./messages.js";

const PATIENCE = 70_000; // milliseconds; the endpoint itself gives up after 60 s

/** Returns the JSON at a path; what goes wrong is a Refusal. */
export async function ask(path, options = {}) {
  const signal = AbortSignal.timeout(PATIENCE);
  let response;
  try {
    response = await fetch(path, { ...options, signal });
  } catch (error) {
    throw new Refusal(
      error.name === "TimeoutError"
        ? "No answer came in time. Try again in a moment."
        : "The server cannot be reached. Is it still running? Try again when it is.",
    );
  }
  const document = await response.json().catch(() => null);
  if (!response.ok) {
    throw new Refusal(document?.message ?? `The server answered with status ${response.status}.`);
  }
  if (document === null) throw new Refusal("The server’s answer is not JSON.");
  return document;
}
