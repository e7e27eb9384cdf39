/*
 * The greylist's embedded store at size: bytes of the file for so many entries, and the time of a decision in it.
 *
 *   node bench/greylist.ts [--entries 1000000] [--decisions 20000] [--json]
 *
 * One process, one decision at a time, the file in the temporary folder. Exits with 1 when a goal is missed: 100 MB for a million
 * entries, 1 ms for 99 of 100 decisions.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import '../scripts/own-names.mjs'
import type { Entry, Kind, Policy, Question } from '../plugins/greylist/src/store.ts'

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    decisions: { type: 'string', default: '20000' },
    json: { type: 'boolean', default: false },
  },
})
const entries = Number(values.entries)
const decisions = Number(values.decisions)

const HOUR = 3_600_000
const policy: Policy = {
  wait: 60_000,
  window: 24 * HOUR,
  life: 36 * 24 * HOUR,
  retries: 1,
  passes: 2,
  spacing: HOUR,
  pending: 50,
}

const folder = mkdtempSync(join(tmpdir(), 'bench-greylist-'))
const path = join(folder, 'greylist.sqlite')
let now = Date.now()
const { EmbeddedStore } = await import('../plugins/greylist/src/embedded.ts')
const store = new EmbeddedStore({
  path,
  capacity: entries * 2,
  now: () => now,
  problem: (fields, message) => console.error(message, fields),
})

/** As a store fills: most attempts are never made again, each with its origin's counter. */
const MIX: readonly Kind[] = [
  'tuple',
  'pending',
  'tuple',
  'pending',
  'tuple',
  'tuple',
  'tuple',
  'domain',
  'origin',
  'domain',
]

async function fill(): Promise<readonly Entry[]> {
  const known: Entry[] = []
  for (let made = 0; made < entries; made += 500) {
    const batch = Array.from({ length: Math.min(500, entries - made) }, (_, at): Entry => {
      const kind = MIX[at % MIX.length]!
      const first = now - Math.floor(Math.random() * 20) * HOUR
      return {
        kind,
        origin: randomBytes(12),
        item: kind === 'tuple' || kind === 'domain' ? randomBytes(8) : null,
        first,
        last: first + HOUR / 2,
        count: kind === 'tuple' ? 0 : 3,
        expires: first + (kind === 'tuple' || kind === 'pending' ? policy.window : policy.life),
      }
    })
    await store.merge(batch, now)
    known.push(...batch.filter(({ kind }) => kind === 'origin').slice(0, 20))
  }
  return known
}

interface Line {
  readonly what: string
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Of its own processor time: on a machine that does other work too, the clock also counts that. */
  readonly cpu99: number
}

async function measure(what: string, questions: readonly Question[]): Promise<Line> {
  const times = new Float64Array(questions.length)
  const cpu = new Float64Array(questions.length)
  const began = performance.now()
  for (const [at, question] of questions.entries()) {
    const worked = process.cpuUsage()
    const before = performance.now()
    await store.check(question)
    times[at] = performance.now() - before
    const { user, system } = process.cpuUsage(worked)
    cpu[at] = (user + system) / 1000
  }
  const took = performance.now() - began
  const share = (list: Float64Array, part: number): number => list.sort()[Math.floor((list.length - 1) * part)]!
  return {
    what,
    perSecond: Math.round((questions.length / took) * 1000),
    p50: share(times, 0.5),
    p99: share(times, 0.99),
    cpu99: share(cpu, 0.99),
  }
}

const asked = (origin: Uint8Array): Question => ({
  origin,
  domain: randomBytes(8),
  tuples: [randomBytes(8)],
  policy,
  now,
})

try {
  const began = performance.now()
  const known = await fill()
  const loaded = (performance.now() - began) / 1000
  const megabytes = statSync(path).size / 1e6
  const fresh = Array.from({ length: decisions }, () => asked(randomBytes(12)))
  const familiar = Array.from({ length: decisions }, (_, at) => asked(known[at % known.length]!.origin))
  const lines = [await measure('first seen, stored', fresh), await measure('known origin', familiar)]
  now += 61_000
  lines.push(
    await measure(
      'retry, learned',
      fresh.map(question => ({ ...question, now })),
    ),
  )
  const met = megabytes < (entries / 1e6) * 100 && lines.every(({ p99 }) => p99 < 1)
  if (values.json) console.log(JSON.stringify({ entries, megabytes, loaded, lines, met }))
  else {
    console.log(`${entries} entries: ${megabytes.toFixed(1)} MB, loaded in ${loaded.toFixed(1)} s`)
    for (const { what, perSecond, p50, p99, cpu99 } of lines)
      console.log(
        `${what.padEnd(20)} ${String(perSecond).padStart(7)}/s   p50 ${p50.toFixed(3)} ms   p99 ${p99.toFixed(3)} ms   p99 of processor time ${cpu99.toFixed(3)} ms`,
      )
    console.log(met ? 'every goal is met' : 'a goal is missed')
  }
  process.exitCode = met ? 0 : 1
} finally {
  await store.close()
  rmSync(folder, { recursive: true })
}
