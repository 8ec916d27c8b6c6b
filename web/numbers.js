// Numbers as they are read.

export const number = new Intl.NumberFormat("en");

/** A share in two digits, for a sentence. */
export function percent(share) {
  if (share >= 0.995) return ">99%";
  return share >= 0.0995 ? `${Math.round(100 * share)}%` : exactPercent(share);
}

/** A share to a tenth of a per cent, for a table. */
export function exactPercent(share) {
  return share < 0.0005 ? "<0.1%" : `${(100 * share).toFixed(1)}%`;
}

export function plural(n, one, many = `${one}s`) {
  return `${number.format(n)} ${n === 1 ? one : many}`;
}
