/**
 * What becomes of a message when a filter cannot do its work.
 *
 * The answer is spoken in the protocol, in words of our own, because those override the MTA's
 * `milter_default_action` and leave the SMTP session usable (measured on Postfix 3.7 and Sendmail 8.17), which a
 * closed socket does not.
 */
import { HostError } from '../errors.ts'
import type { OnFailure } from '../observe/event.ts'
import { CONTINUE, rejectWith, tempfailWith, type Verdict } from '../verdict.ts'

/** The filter failed, or was interrupted from outside and is not to blame. */
export class Failure {
  readonly code: string
  readonly detail: string
  readonly interrupted: boolean

  constructor(code: string, detail: string, interrupted = false) {
    this.code = code
    this.detail = detail
    this.interrupted = interrupted
  }
}

export const failureVerdict = (policy: OnFailure, filter: string): Verdict => {
  switch (policy) {
    case 'tempfail':
      return tempfailWith(451, '4.7.1', 'Service unavailable - try again later')
    case 'reject':
      return rejectWith(550, '5.7.1', 'Service unavailable')
    case 'quarantine':
      return { kind: 'quarantine', reason: `filter ${filter} failed` }
    case 'accept':
      return CONTINUE
  }
}

/** Code and text of whatever was thrown; never throws itself, even at a hostile value. */
export function describeThrown(thrown: unknown): { readonly code: string | null; readonly detail: string } {
  try {
    if (thrown instanceof HostError) return { code: thrown.code, detail: thrown.message }
    if (thrown instanceof Error) {
      const code = (thrown as { code?: unknown }).code
      return { code: typeof code === 'string' ? code : null, detail: `${thrown.message}` }
    }
    return {
      code: null,
      detail: `threw ${typeof thrown === 'object' ? Object.prototype.toString.call(thrown) : String(thrown)}`,
    }
  } catch {
    // A getter or toString of the thrown value threw in turn; that it failed is all there is to say.
    return { code: null, detail: 'threw a value that cannot be read' }
  }
}
