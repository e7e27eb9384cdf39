// One MTA, several ways in: each port has its own milters, all else is the same, so that what comes out may be compared byte by byte.
// Postfix gets an smtpd service for each, Sendmail a daemon with InputMailFilters. What left the MTA is read here too, with the
// few things masked that differ between any two messages: queue ids, dates, and what the MTA makes of both.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Delivery, freePort, type Mta, startPostfix, startSendmail, until } from '../harness/index.ts'

export type Kind = Mta['kind']

export interface Attachments<Way extends string> {
  kind: Kind
  port: Record<Way, number>
  mta: Mta
  /** When nothing is on its way any more: what was delivered and what is held, by queue id. */
  settled(): Promise<Settled>
}

export interface Settled {
  deliveries: ReadonlyMap<string, Delivery[]>
  held: ReadonlySet<string>
}

/** Milters of each way in, as 'unix:/path' (Sendmail's several writes a step are slow over TCP). */
export async function attach<Way extends string>(kind: Kind, ways: Record<Way, string[]>): Promise<Attachments<Way>> {
  const entries = Object.entries(ways) as [Way, string[]][]
  const places = await Promise.all(entries.map(async ([way, milters]) => ({ way, milters, port: await freePort() })))
  const mta = kind === 'postfix' ? await postfix(places) : await sendmail(places)
  return {
    kind,
    mta,
    port: Object.fromEntries(places.map(({ way, port }) => [way, port])) as Record<Way, number>,
    async settled() {
      await until(
        () => `${kind} has delivered all: ${queued(mta).join(' ')}`,
        () => queued(mta).length === 0,
        120,
      )
      const deliveries = new Map<string, Delivery[]>()
      for (const delivery of await mta.deliveries()) {
        const id = queueIdOf(delivery)
        deliveries.set(id, [...(deliveries.get(id) ?? []), delivery])
      }
      return { deliveries, held: new Set(held(mta)) }
    },
  }
}

interface Place {
  milters: string[]
  port: number
}

const postfix = (also: Place[]): Promise<Mta> =>
  startPostfix({
    also,
    settings: {
      // Missing headers are added and addresses completed, as for a site's own clients: the more of Postfix's own work is seen.
      local_header_rewrite_clients: 'permit_mynetworks',
      smtpd_junk_command_limit: '1000',
      // A new process for each session costs more than the session.
      max_use: '1000',
    },
  })

function sendmail(places: Place[]): Promise<Mta> {
  // Delivers before it answers, by the session's own process: half the time, and the outcome is the same.
  const mc = ["define(`confDELIVERY_MODE', `interactive')dnl", "define(`confSAFE_QUEUE', `interactive')dnl"]
  for (const { milters, port } of places) {
    const names = milters.map((milter, index) => {
      const name = `f${port}x${index}`
      mc.push(`MAIL_FILTER(\`${name}', \`S=${milter}, F=T, T=C:1m;S:1m;R:1m;E:5m')dnl`)
      return name
    })
    const filters = names.length === 0 ? '' : `, InputMailFilters=${names.join(';')}`
    mc.push(`DAEMON_OPTIONS(\`Family=inet, Name=d${port}, Port=${port}, Addr=127.0.0.1${filters}')dnl`)
  }
  return startSendmail({ mc })
}

/** Files of messages that are still on their way. */
function queued({ kind, dir }: Mta): string[] {
  if (kind === 'sendmail') return files(join(dir, 'queue')).filter(name => /^[dq]f/.test(name) && !isHeld(dir, name))
  return ['incoming', 'active', 'deferred', 'maildrop'].flatMap(queue => files(join(dir, 'queue', queue)))
}

function held({ kind, dir }: Mta): string[] {
  if (kind === 'postfix') return files(join(dir, 'queue', 'hold'))
  return files(join(dir, 'queue')).flatMap(name => (name.startsWith('hf') ? [name.slice(2)] : []))
}

/** Sendmail keeps a quarantined message as hf and df instead of qf and df. */
const isHeld = (dir: string, name: string): boolean => files(join(dir, 'queue')).includes(`hf${name.slice(2)}`)

function files(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => entry.name)
}

/** Of the MTA's own Received line, which no milter can change. */
function queueIdOf({ raw }: Delivery): string {
  return /^\tby mx\.rig\.example .*? id (\w+)[\s;]/m.exec(raw.toString('latin1'))?.[1] ?? 'none'
}

/** Queue id in the reply to the final dot. */
export const queueIdIn = (reply: string): string | undefined =>
  /queued as (\w+)|^250 2\.0\.0 (\w+) Message accepted/
    .exec(reply)
    ?.slice(1)
    .find(id => id !== undefined)

// biome-ignore format: a table
const MASKS: readonly (readonly [RegExp, string])[] = [
  [/queued as \w+/g, 'queued as ID'],
  [/^250 2\.0\.0 \w+ Message accepted/gm, '250 2.0.0 ID Message accepted'],
  [/^(\tby mx\.rig\.example .*? id )\w+/gm, '$1ID'],
  // The test's own messages have years of the last century.
  [/\w{3}, +\d{1,2} \w{3} 20\d\d \d\d:\d\d:\d\d (?:[+-]\d{4}(?: \(\w+\))?|GMT)/g, 'DATE'],
  [/\b127\.\d+\.\d+\.\d+\b/g, 'CLIENT'],
  [/<20\d{10,12}\.\w+@mx\.rig\.example>/g, '<STAMP.ID@mx.rig.example>'],
]

export const masked = (text: string): string => MASKS.reduce((out, [what, mask]) => out.replaceAll(what, mask), text)
