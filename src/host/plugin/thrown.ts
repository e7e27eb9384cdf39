/**
 * Words for whatever a plugin threw. Never throws itself: a plugin can throw `null`, a proxy, or an error whose `message` is a
 * getter that throws in turn.
 */
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readVerdict } from './verdicts.ts'

/** What was thrown, with the author's own line when there is one: `TypeError: x is null (greylist/index.js:12:7)`. */
export function describeThrown(thrown: unknown): string {
  try {
    if (thrown instanceof Error) {
      const { name, message, stack } = thrown
      const line = authorsLine(stack)
      const head = name === 'Error' || name === 'HostError' ? `${message}` : `${name}: ${message}`
      return line === null ? head : `${head} (${line})`
    }
    if (typeof thrown === 'object' && thrown !== null)
      return typeof readVerdict(thrown) === 'string'
        ? `threw ${Object.prototype.toString.call(thrown)}`
        : 'threw a verdict: write return in the place of throw'
    return `threw ${typeof thrown === 'string' ? JSON.stringify(thrown) : String(thrown)}`
  } catch {
    // A getter or a toString of the thrown value threw in turn; that the plugin failed is all there is to say.
    return 'threw a value that cannot be read'
  }
}

/** File and line of the innermost frame outside of Node and of this package. */
function authorsLine(stack: unknown): string | null {
  if (typeof stack !== 'string') return null
  for (const frame of stack.split('\n').slice(1)) {
    const place = /(?:\(|at |async )(?:file:\/\/)?(\/[^()\s]+:\d+:\d+)\)?$/.exec(frame)?.[1]
    if (place === undefined || place.startsWith(OWN)) continue
    return place.split('/').slice(-3).join('/')
  }
  return null
}

/** Where this code lies: `src/host` in a checkout, the bundle's folder in the package. */
const OWN: string = dirname(fileURLToPath(import.meta.url))
  .replace(/\/host\/plugin$/, '/host')
  .concat('/')
