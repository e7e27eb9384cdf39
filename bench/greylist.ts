/*
 * The greylist's stores at size: what so many entries take, and the time of a decision.
 *
 *   node bench/greylist.ts [--store embedded|redis] [--entries 1000000] [--decisions 20000] [--json]
 *
 * Embedded: one process, one decision at a time, the file in the temporary folder. Redis: a server of its own on a UNIX socket, decisions
 * one at a time and 50 under way at once. Exits with 1 when a goal is missed: 100 MB for a million entries and 1 ms for 99 of 100
 * decisions embedded, 220 bytes an entry in Redis.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import '../scripts/own-names.mjs'
import type { Entry, Kind, Policy, Question, Store } from '../plugins/greylist/src/store.ts'

const { values } = parseArgs({
  options: {
    store: { type: 'string', default: 'embedded' },
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
const problem = (fields: object, message: string): void => console.error(message, fields)

interface Opened {
  readonly store: Store
  /** All that the entries take. */
  bytes(): Promise<number>
  /** Decisions under way at once, beside one after the other. */
  readonly together: number | null
  close(): Promise<void>
}

async function embedded(): Promise<Opened> {
  const { EmbeddedStore } = await import('../plugins/greylist/src/embedded.ts')
  const store = new EmbeddedStore({ path, capacity: entries * 2, now: () => now, problem })
  return { store, bytes: async () => statSync(path).size, together: null, close: () => store.close() }
}

async function redis(): Promise<Opened> {
  const { RedisStore } = await import('../plugins/greylist/src/redis.ts')
  const { readRedis } = await import('../plugins/greylist/src/redis-options.ts')
  const socket = join(folder, 'redis.sock')
  const options = ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder, '--daemonize', 'no']
  const server = spawn('redis-server', options, { stdio: 'ignore' })
  await answering(server, socket)
  const empty = await usedMemory(socket)
  const store = new RedisStore({ target: readRedis({ socket, timeout: '10s' }), problem, clock: () => now })
  return {
    store,
    bytes: async () => (await usedMemory(socket)) - empty,
    together: 50,
    close: async () => {
      await store.close()
      server.kill('SIGTERM')
      await new Promise(resolve => server.once('exit', resolve))
    },
  }
}

async function answering(server: ChildProcess, socket: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`)
    try {
      await usedMemory(socket)
      return
    } catch {
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
  throw new Error('redis-server does not answer')
}

const usedMemory = (socket: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const connection = connect(socket, () => connection.write('INFO memory\r\n'))
    let text = ''
    connection.on('error', reject)
    connection.on('data', chunk => {
      text += chunk.toString('latin1')
      const used = /used_memory:(\d+)\r/.exec(text)?.[1]
      if (used === undefined) return
      connection.destroy()
      resolve(Number(used))
    })
  })

const opened = values.store === 'redis' ? await redis() : await embedded()
const { store } = opened

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

/** As many under way as a connection of many sessions has; throughput alone. */
async function together(what: string, questions: readonly Question[], many: number): Promise<string> {
  const began = performance.now()
  let next = 0
  const work = async (): Promise<void> => {
    while (next < questions.length) await store.check(questions[next++]!)
  }
  await Promise.all(Array.from({ length: many }, work))
  return `${what.padEnd(20)} ${String(Math.round((questions.length / (performance.now() - began)) * 1000)).padStart(7)}/s`
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
  const bytes = await opened.bytes()
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
  const pipelined =
    opened.together === null
      ? null
      : await together(
          `${opened.together} at once`,
          Array.from({ length: decisions }, () => asked(randomBytes(12))),
          opened.together,
        )
  const each = bytes / entries
  const met = values.store === 'redis' ? each < 220 : each < 100 && lines.every(({ p99 }) => p99 < 1)
  if (values.json)
    console.log(JSON.stringify({ store: values.store, entries, bytes, each, loaded, lines, pipelined, met }))
  else {
    console.log(
      `${entries} entries: ${(bytes / 1e6).toFixed(1)} MB, ${each.toFixed(1)} bytes each, loaded in ${loaded.toFixed(1)} s`,
    )
    for (const { what, perSecond, p50, p99, cpu99 } of lines)
      console.log(
        `${what.padEnd(20)} ${String(perSecond).padStart(7)}/s   p50 ${p50.toFixed(3)} ms   p99 ${p99.toFixed(3)} ms   p99 of processor time ${cpu99.toFixed(3)} ms`,
      )
    if (pipelined !== null) console.log(pipelined)
    console.log(met ? 'every goal is met' : 'a goal is missed')
  }
  process.exitCode = met ? 0 : 1
} finally {
  await opened.close()
  rmSync(folder, { recursive: true })
}
