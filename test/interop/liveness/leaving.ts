// Clients that are kept waiting at RCPT and leave, before a real MTA with a host behind it: how long its processes stay busy.
//
// One filter of the chain is a plugin, one a real milter on libmilter; the recipient says which of them keeps the client waiting. The
// milter sleeps in its callback and notices nothing by itself, as milters that tarpit do.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type LivenessSource, type SmtpConnection, socket } from 'milterhost'
import { type AbortReason, definePlugin } from 'milterhost/plugin'
import { procTable } from '../../../src/bridge/mta/liveness/proc.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import { type Milter, type Mta, PATIENCE, type SmtpClient, sleep, smtp, startMilter, until } from '../harness/index.ts'

/** Seconds that either filter makes a client wait. */
export const WAIT = 12

export type Waiter = 'plugin' | 'milter'

const RECIPIENTS: Readonly<Record<Waiter, string>> = {
  plugin: 'slow@example.com',
  milter: `sleep${WAIT}@example.com`,
}

export interface Scene {
  host: RunningHost
  milter: Milter
  /** Clients that liveness has seen waiting; of a host without it nobody. */
  seen: Set<SmtpConnection>
  /** Why each of the plugin's hooks was given up. */
  aborted: AbortReason[]
}

/** A host with both filters. */
export async function scene(liveness: 'proc' | 'off'): Promise<Scene> {
  const seen = new Set<SmtpConnection>()
  const milter = await startMilter('pymilter')
  const aborted: AbortReason[] = []
  const slow = definePlugin({
    name: 'slow',
    setup: () => ({
      async rcpt(event) {
        if (event.recipient.local !== 'slow') return
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, WAIT * 1000)
          event.signal.addEventListener('abort', () => {
            clearTimeout(timer)
            aborted.push(event.signal.reason as AbortReason)
            resolve()
          })
        })
      },
    }),
  })
  const host = await startHost({
    liveness: liveness === 'off' ? 'off' : witnessed(seen),
    budget: { command: '25s' },
    filters: [slow(), socket('sleeper', milter.address, { timeouts: { command: '25s' } })],
  })
  return { host, milter, seen, aborted }
}

/** The source that `liveness: 'proc'` is, and what it sees. */
const witnessed = (seen: Set<SmtpConnection>): LivenessSource => ({
  name: 'proc',
  open: around => {
    const source = procTable().open(around)
    return {
      async look(questions, signal) {
        const sights = await source.look(questions, signal)
        for (const [n, { state }] of sights.entries()) if (state === 'present') seen.add(questions[n]!.connection)
        return sights
      },
      close: () => source.close?.(),
    }
  },
})

export interface Left {
  /** Processes busy with a client before anybody left. */
  held: number
  /** Seconds from the moment of leaving until half and all of them were free. */
  half: number
  all: number
  /** Seconds until the host had answered for the last of them. */
  answered: number
  /** Seconds that this process, which is host and clients, had no processor for at worst: the load of the machine. */
  stalled: number
  /** Processes still busy so many seconds after everybody left. */
  busyAfter(seconds: number): number
}

/**
 * Clients that wait at RCPT and leave, every other by FIN, the rest by RST. Returns when nobody is busy with them. Who is watched leaves
 * when all have been seen once, others after a while.
 */
export async function holdAndLeave(
  mta: Mta,
  port: number,
  count: number,
  waiter: Waiter,
  { host, seen }: Scene,
): Promise<Left> {
  seen.clear()
  const before = busy(mta)
  const clients: SmtpClient[] = []
  // Sendmail's queue of connections holds ten.
  while (clients.length < count)
    clients.push(
      ...(await Promise.all(Array.from({ length: Math.min(5, count - clients.length) }, () => greeted(port)))),
    )
  for (const client of clients) client.send(`RCPT TO:<${RECIPIENTS[waiter]}>`)
  if (host.daemon.configuration.settings.liveness === 'off') await sleep(2)
  else
    await until(
      () => `${count} clients are seen (${seen.size} are)`,
      () => seen.size === count,
    )
  const held = busy(mta) - before
  const delays = monitorEventLoopDelay()
  delays.enable()
  for (const [n, client] of clients.entries()) n % 2 === 0 ? client.abortFin() : client.abortRst()
  const began = performance.now()
  const answers = host.eventsOf('client-left').length
  let answered = 0
  const samples: { at: number; busy: number }[] = []
  for (let now = held; now > 0; ) {
    await sleep(0.1)
    now = busy(mta) - before
    const at = (performance.now() - began) / 1000
    samples.push({ at, busy: now })
    if (host.eventsOf('client-left').length - answers < count) answered = at
    if (at > WAIT + PATIENCE) throw new Error(`${mta.kind} is still busy with ${now} of ${held} clients`)
  }
  delays.disable()
  return {
    held,
    half: samples.find(sample => sample.busy <= held / 2)!.at,
    all: samples.at(-1)!.at,
    answered,
    stalled: delays.max / 1e9,
    busyAfter: seconds => samples.findLast(({ at }) => at <= seconds)?.busy ?? held,
  }
}

async function greeted(port: number): Promise<SmtpClient> {
  const client = await smtp(port)
  await client.command('EHLO client.example')
  await client.command('MAIL FROM:<alice@example.com>')
  return client
}

/** Processes of an MTA that have a client. */
function busy(mta: Mta): number {
  if (mta.kind === 'postfix') {
    const log = readFileSync(join(mta.dir, 'maillog'), 'latin1')
    return count(log, /smtpd\[\d+\]: connect from/g) - count(log, /smtpd\[\d+\]: disconnect from/g)
  }
  // unshare, the daemon, and below it a process for each session.
  const daemon = readFileSync(join(mta.dir, 'daemon.pid'), 'latin1').trim()
  return children(daemon).flatMap(children).length
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0

const children = (pid: string): string[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    .split(' ')
    .filter(text => text !== '')
