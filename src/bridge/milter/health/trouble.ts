/**
 * What a failure says about an external milter, told from the code of its error.
 *
 * Nobody is blamed for what was done to it: an answer that was no longer awaited because the client left or milterhost ends says
 * nothing, and neither does a message that was not fed to it. Asked by the keeper for each failure of a session and of a probe.
 */

/**
 * `absent`: nobody listens. `unreachable`: it cannot be known whether somebody does. `silent`: it takes connections and does not answer them. `disagreeing`: what it answers to the offer is no
 * agreement. `broken`: it lost a connection or broke the protocol at work. `late`: it answered too late at work.
 */
export type TroubleKind = 'absent' | 'unreachable' | 'silent' | 'disagreeing' | 'broken' | 'late'

export interface Trouble {
  readonly kind: TroubleKind
  readonly code: string
  readonly reason: string
}

const KINDS: Readonly<Record<string, TroubleKind>> = {
  MILTER_CONNECT: 'absent',
  MILTER_CONNECT_TIMEOUT: 'silent',
  MILTER_NEGOTIATION: 'disagreeing',
  MILTER_CLOSED: 'broken',
  MILTER_PROTOCOL: 'broken',
}

/** `null` when the milter is not to blame. `signal`: whose abortion may have ended the call. */
export function troubleOf(error: unknown, signal: AbortSignal | null): Trouble | null {
  const { code = '', message: reason = '', cause } = error as Partial<Error & { readonly code: string }>
  if (code === 'INTERRUPTED') {
    const timeout = (signal?.reason as { readonly kind?: unknown } | undefined)?.kind === 'timeout'
    return timeout ? { kind: 'late', code, reason } : null
  }
  const kind = Object.hasOwn(KINDS, code) ? KINDS[code] : undefined
  if (kind === undefined) return null
  return { kind: kind === 'absent' ? kindOfRefusal(cause) : kind, code, reason }
}

function kindOfRefusal(cause: unknown): TroubleKind {
  switch ((cause as { readonly code?: unknown } | undefined)?.code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return 'absent'
    // A queue of waiting connections that is full belongs to a process that does not take them.
    case 'EAGAIN':
      return 'silent'
    default:
      return 'unreachable'
  }
}
