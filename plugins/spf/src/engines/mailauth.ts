/**
 * The engine to use: mailauth, which passes the whole RFC 7208 suite in its strict mode.
 *
 * Only its SPF part is loaded.
 */
import { spf } from 'mailauth/lib/spf/index.js'
import type { Engine, Evaluation, Result } from '../engine.ts'
import { codeOf, lookUp } from '../names.ts'

export function mailauth(): Engine {
  return {
    name: 'mailauth',
    async evaluate({ ip, helo, sender, receiver }, { dns, time, signal }): Promise<Evaluation> {
      const ended = new AbortController()
      const both = AbortSignal.any([signal, ended.signal])
      const resolver = async (name: string, type: string): Promise<unknown> => {
        try {
          return await lookUp(dns, ip, name, type, both)
        } catch (error) {
          throw codeOf(error) === 'EMSGSIZE' ? tooLong(error) : error
        }
      }
      try {
        const { status, explanation } = await spf({
          ip,
          helo,
          sender,
          mta: receiver,
          resolver: resolver as NonNullable<Parameters<typeof spf>[0]['resolver']>,
          maxElapsedTime: time,
          strict: true,
        })
        signal.throwIfAborted()
        return {
          result: status.result as Result,
          reason: typeof status.comment === 'string' ? status.comment : '',
          explanation: explanation ?? null,
        }
      } finally {
        // What was still being looked up when the time was over.
        ended.abort()
      }
    },
  }
}

/** Its own resolver error would be temporary; a record beyond all sense does not get better. */
const tooLong = (error: unknown): unknown =>
  Object.assign(error as Error, { spfResult: { error: 'permerror', text: 'a record is too long' } })
