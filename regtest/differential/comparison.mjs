// Counts what was compared, and keeps every difference. Two values are equal when their JSON is.

export class Comparison {
  #counts = new Map();
  differences = [];

  constructor(against) {
    this.against = against;
  }

  /** One value of a case, ours and theirs. */
  same(what, id, ours, theirs) {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    const [one, other] = [JSON.stringify(ours), JSON.stringify(theirs)];
    if (one === undefined || one !== other) this.differences.push({ what, id, ours: one, theirs: other });
  }

  lines() {
    return [...this.#counts].map(([what, cases]) => ({ what, against: this.against, cases }));
  }
}

/** Prints what was compared, a line of JSON each, or the first differences on standard error. `noticedChanges` makes differences on
 * purpose, sees that they are found, and says how many. */
export async function finish(comparisons, noticedChanges) {
  const differences = comparisons.flatMap((comparison) => comparison.differences);
  if (differences.length > 0) {
    for (const { what, id, ours, theirs } of differences.slice(0, 8)) console.error(`${what}, ${id}:\n  ours   ${ours}\n  theirs ${theirs}`);
    console.error(`${differences.length} differences`);
    process.exitCode = 1;
    return;
  }
  const noticed = await noticedChanges();
  for (const line of comparisons.flatMap((comparison) => comparison.lines())) console.log(JSON.stringify(line));
  console.log(JSON.stringify({ what: 'changes made on purpose, and noticed', against: comparisons.at(-1).against, cases: noticed }));
}

/** The same hexadecimal with one bit of one byte changed. */
export function flipped(hex, at = 0) {
  const bytes = Buffer.from(hex, 'hex');
  bytes[at] ^= 1;
  return bytes.toString('hex');
}

/** Which values differ when `compare(comparison)` is made: for showing that a change is noticed, and where. */
export function differing(compare) {
  const comparison = new Comparison('');
  compare(comparison);
  return [...new Set(comparison.differences.map(({ what }) => what))];
}
