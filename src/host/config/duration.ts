/**
 * Lengths of time as the postmaster writes them: `'30s'`, `'1.5m'`, `'1h30m'`, or a number of seconds.
 *
 * A bare number is seconds and never milliseconds, so that no time limit is by mistake a thousandth of what was meant.
 * The result is whole milliseconds.
 */

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/

/** The longest time that a timer can wait: more would fire at once. */
const LONGEST = 0x7fff_ffff

/**
 * Milliseconds. Throws a `RangeError` whose message completes "‹option› …".
 *
 * `longest`: milliseconds; what is only compared with a clock may be longer than a timer can wait. @default 24 days
 */
export function parseDuration(value: unknown, longest: number = LONGEST): number {
  const milliseconds = typeof value === 'number' ? value * 1_000 : typeof value === 'string' ? parseText(value) : null
  if (milliseconds === null || Number.isNaN(milliseconds)) {
    throw new RangeError(`must be a length of time such as "30s", "5m" or a number of seconds, not ${show(value)}`)
  }
  if (milliseconds < 1) throw new RangeError(`must be longer than zero, not ${show(value)}`)
  if (milliseconds > longest) throw new RangeError(`must be at most ${longestText(longest)}, not ${show(value)}`)
  return Math.round(milliseconds)
}

const longestText = (longest: number): string => {
  const days = Math.floor(longest / UNITS.d!)
  return days > 0 ? `${days} days` : formatDuration(longest)
}

function parseText(text: string): number | null {
  const trimmed = text.trim().toLowerCase()
  if (/^\d+(?:\.\d+)?$/.test(trimmed)) {
    throw new RangeError(`must say its unit: "${trimmed}s" is seconds, "${trimmed}m" minutes`)
  }
  if (!WHOLE.test(trimmed)) return null
  let sum = 0
  for (const [, count, unit] of trimmed.matchAll(PART)) sum += Number(count) * UNITS[unit!]!
  return sum
}

/** For people: 90000 is `1m30s`, 250 is `250ms`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds % 1_000 !== 0) return `${milliseconds}ms`
  const parts: string[] = []
  let left = milliseconds
  for (const unit of ['d', 'h', 'm', 's']) {
    const count = Math.floor(left / UNITS[unit]!)
    if (count > 0) parts.push(`${count}${unit}`)
    left -= count * UNITS[unit]!
  }
  return parts.join('') || '0s'
}

const show = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value))
