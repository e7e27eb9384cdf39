// How an external milter can fail to be met: it is not there, it refuses, or what it says to the offer is no agreement.

import { renameSync, rmSync } from 'node:fs'
import net from 'node:net'
import { type Step, uint32 } from '../harness/index.ts'
import type { FaultyMilter } from './milter-fault.ts'

export interface Refusal {
  name: string
  code: string
  /** What it answers to the offer; without, there is nobody to answer. */
  steps?: Step[]
  nobody?: 'absent' | 'refusing'
}

export const answer = (...rest: Buffer[]): Step => ['packet', 'O', Buffer.concat(rest)]
const NEGOTIATION = 'MILTER_NEGOTIATION'

export const REFUSALS: readonly Refusal[] = [
  { name: 'is absent', nobody: 'absent', code: 'MILTER_CONNECT' },
  { name: 'refuses connections', nobody: 'refusing', code: 'MILTER_CONNECT' },
  { name: 'closes', steps: [['close']], code: NEGOTIATION },
  { name: 'resets', steps: [['rst']], code: NEGOTIATION },
  { name: 'hangs', steps: [['hang']], code: 'MILTER_CONNECT_TIMEOUT' },
  { name: 'answers garbage', steps: [['garbage', 4000]], code: NEGOTIATION },
  { name: 'closes within its answer', steps: [['raw', '\0\0\0\x0dO\0\0\0\x06'], ['close']], code: NEGOTIATION },
  { name: 'sends a length of 0xFFFFFFFF', steps: [['raw', '\xff\xff\xff\xffO']], code: NEGOTIATION },
  { name: 'says CONTINUE', steps: ['c'], code: NEGOTIATION },
  { name: 'answers in 3 bytes', steps: [answer(Buffer.from('\0\0\x06'))], code: NEGOTIATION },
  { name: 'answers with version 9', steps: [answer(uint32(9, 0x1ff, 0))], code: NEGOTIATION },
  { name: 'answers with version 1', steps: [answer(uint32(1, 0x0f, 0))], code: NEGOTIATION },
  { name: 'wants an action that nobody offered', steps: [answer(uint32(6, 0x3ff, 0))], code: NEGOTIATION },
  { name: 'cuts its list of macros', steps: [answer(uint32(6, 0x1ff, 0, 1), Buffer.from('i'))], code: NEGOTIATION },
  { name: 'answers twice', steps: [answer(uint32(6, 0x1ff, 0)), answer(uint32(6, 0, 0))], code: NEGOTIATION },
  { name: 'adds a verdict', steps: [answer(uint32(6, 0x1ff, 0)), 'a'], code: NEGOTIATION },
]

/** Takes the socket away, or leaves one that nobody listens on; returns what brings it back. */
export async function takeAway({ address }: FaultyMilter, how: 'absent' | 'refusing'): Promise<() => void> {
  const path = address.replace('unix:', '')
  renameSync(path, `${path}.away`)
  if (how === 'refusing') {
    const server = net.createServer()
    await new Promise<void>(resolve => server.listen(`${path}.stale`, resolve))
    renameSync(`${path}.stale`, path)
    await new Promise(resolve => server.close(resolve))
  }
  return () => {
    rmSync(path, { force: true })
    renameSync(`${path}.away`, path)
  }
}
