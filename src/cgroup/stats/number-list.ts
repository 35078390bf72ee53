/** No machine has more CPUs or memory nodes. */
const LARGEST = 65_535;

/** The numbers of a list such as `0-2,7`, as the kernel writes it. */
export function parseNumberList(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    if (first === undefined || Number(last) > LARGEST) return [];
    const length = Math.max(0, Number(last) - Number(first) + 1);
    return Array.from({ length }, (_, index) => Number(first) + index);
  });
}
