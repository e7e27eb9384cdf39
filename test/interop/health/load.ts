// Mail at a steady rate over SMTP sessions that stay open, and what each message was told; and the milter behind it all.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { letter } from '../chain/letter.ts'
import { onCleanup, type SmtpClient, sleep, smtp, tempDir, until } from '../harness/index.ts'

const SAMPLE = fileURLToPath(new URL('../rig/lib/pymilter_sample.py', import.meta.url))

/** A milter on the real libmilter that others start: where it listens, and how it is started. */
export interface Startable {
  address: string
  command: string[]
}

export function startable(): Startable {
  const dir = tempDir('startable')
  const path = join(dir, 'milter')
  return {
    address: `unix:${path}`,
    command: ['/usr/bin/python3', '-B', SAMPLE, '--log', join(dir, 'events.txt'), `local:${path}`],
  }
}

/** The process that listens at that address now; `undefined` when there is none. */
export function pidOf({ command }: Startable): number | undefined {
  const wanted = command.join('\0')
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'latin1') === `${wanted}\0`) return Number(pid)
    } catch {
      // It ended while it was looked at.
    }
  }
  return undefined
}

/** Another process than the one before. */
export const newPidOf = (milter: Startable, before: number): Promise<number> =>
  until('it is started anew', () => {
    const pid = pidOf(milter)
    return pid !== before && pid
  })

/** What one message was told. */
export interface Told {
  subject: string
  session: number
  code: number
  text: string
  /** Seconds since the load began: when it was sent. */
  at: number
  /** Seconds until the last reply. */
  took: number
}

export interface Load {
  /** All that are answered, in the order of their answers. */
  readonly told: readonly Told[]
  /** Seconds since the load began. */
  now(): number
  /** Ends when each session has had its last answer, and has sent one more message that came through. */
  stop(): Promise<readonly Told[]>
}

let count = 0

/** So many messages a second over so many sessions. The milter takes 0.2 s for each, so that some are always in its hands. */
export async function startLoad(
  port: number,
  { rate = 20, sessions = 10 }: { rate?: number; sessions?: number } = {},
): Promise<Load> {
  const told: Told[] = []
  const began = performance.now()
  const now = (): number => (performance.now() - began) / 1000
  let going = true
  const send = async (client: SmtpClient, session: number): Promise<Told> => {
    const subject = `load ${++count}`
    const at = now()
    const data = letter(subject, 'Hello\r\n', ['X-Milter-Do: sleep 0.2'])
    const { last, end } = await client.mail({ from: 'alice@example.com', to: 'bob@example.net', data })
    if (end === undefined) await client.command('RSET')
    const one = { subject, session, code: last.code, text: last.text, at, took: now() - at }
    told.push(one)
    return one
  }
  const clients = await Promise.all(Array.from({ length: sessions }, () => smtp(port)))
  const runs = clients.map(async (client, session) => {
    const pause = sessions / rate
    await sleep((session / sessions) * pause)
    while (going) {
      const { took } = await send(client, session)
      await sleep(Math.max(0, pause - took))
    }
    await until(`session ${session} comes through`, async () => (await send(client, session)).code === 250)
    await client.quit()
  })
  const all = Promise.all(runs)
  // Told to who calls stop.
  all.catch(() => {})
  onCleanup(() => {
    going = false
  })
  return {
    told,
    now,
    stop: async () => {
      going = false
      await all
      return told
    },
  }
}
