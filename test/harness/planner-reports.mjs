/**
 * Sums up what planners of test files have done.
 * @param {string} lines the last report of each (`tsrun planner status`), a line of JSON
 * @returns {{ text: string, share: number }} lines for people; how many of the calls that are served by the table were, 0 to 1
 */
export function sumReports(lines) {
  const sum = { warm: 0, lost: 0 };
  const cold = /** @type {Map<string, number>} */ (new Map());
  for (const line of lines.split('\n').filter(Boolean)) {
    const parsed = /** @type {unknown} */ (JSON.parse(line));
    const report = /** @type {{ warm: number, lost: number, cold: Record<string, number> }} */ (parsed);
    sum.warm += report.warm;
    sum.lost += report.lost;
    for (const [reason, count] of Object.entries(report.cold)) cold.set(reason, (cold.get(reason) ?? 0) + count);
  }
  const left = [...cold].filter(([reason]) => reason !== 'bug').reduce((all, [, count]) => all + count, 0);
  const meant = sum.warm + sum.lost + (cold.get('bug') ?? 0);
  const share = meant === 0 ? 1 : sum.warm / meant;
  const percent = (/** @type {number} */ part, /** @type {number} */ whole) =>
    `${whole === 0 ? 0 : ((part / whole) * 100).toFixed(1)} %`;
  const reasons = [...cold].sort(([, one], [, other]) => other - one).map(([reason, count]) => `${reason} ${count}`);
  return {
    text: [
      `# planners: ${sum.warm} calls served, ${sum.lost} lost: ${percent(sum.warm, meant)} of what the table calls warm`,
      `# which is ${percent(meant, meant + left)} of all; left to the engine: ${reasons.join(', ') || 'none'}`,
    ].join('\n'),
    share,
  };
}
