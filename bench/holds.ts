/*
 * What a held client costs: N SMTP sessions over the milter protocol, all held at RCPT at the same time, behind the daemon as it
 * runs. Memory for each (what the process grew by), the processor's time while they wait, and how a message beside them fares.
 * The MTA is played here; each session has a client address of its own, so that no limit but the one for all is met.
 * A session counts as held when it was sent PROGRESS.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, commandByte, encodeCommand, FrameDecoder } from '../src/bridge/wire/index.ts'
import { fileLimit } from '../src/daemon/files.ts'
import { cpuSeconds, type Running, removeFolder, scratchFolder, start, untilListening } from './process.ts'
import { command } from './subject.ts'
import { BenchError, buildFolder, buildTools } from './tools.ts'

export interface HoldsResult {
  readonly sessions: number
  readonly milters: 0 | 1
  /** KiB that the daemon grew by for each held session. */
  readonly kibibytes: number
  readonly goal: number
  /** Share of one processor while all wait. */
  readonly cpu: number
  /** Milliseconds of a message beside them, before and while they wait. */
  readonly idle: Latency
  readonly busy: Latency
}

interface Latency {
  readonly p50: number
  readonly p99: number
}

const BATCH = 100
const PATIENCE = 60
const OFFER = encodeCommand({ kind: 'negotiate', version: 6, actions: 0x1ff, protocol: 0x1fffff, symbols: [] })

/** `seconds`: how long they are watched while they wait. */
export async function measureHolds(sessions: number, milters: 0 | 1, seconds: number): Promise<HoldsResult> {
  const folder = scratchFolder(join(tmpdir(), 'mh-bench-'))
  const path = (name: string): string => join(folder, name)
  const started: Running[] = []
  const begin = async (one: Running, socket: string): Promise<Running> => {
    started.push(one)
    await untilListening(one, socket)
    return one
  }
  const open: Socket[] = []
  try {
    if (milters > 0) await begin(start('sink', buildTools().sink, [path('m1')], path('sink.log')), path('m1'))
    const config = configuration(path('daemon'), milters > 0 ? path('m1') : null, sessions)
    const args = [command, 'run', '--config', config]
    const daemon = await begin(start('the daemon', process.execPath, args, path('daemon.log')), path('daemon'))
    const idle = await probe(path('daemon'), seconds)
    const before = residentKibibytes(daemon.pid)
    const held = new Set<Socket>()
    for (let n = 0; n < sessions; n += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, sessions - n) }, (_, i) => hold(path('daemon'), n + i, held))
      open.push(...(await Promise.all(batch)))
    }
    await until(
      () => held.size === sessions,
      () => `${held.size} of ${sessions} sessions were held\n${daemon.output()}`,
    )
    const spent = cpuSeconds(daemon.pid)
    const began = performance.now()
    await sleep(seconds * 1000)
    const cpu = (cpuSeconds(daemon.pid) - spent) / ((performance.now() - began) / 1000)
    const grown = residentKibibytes(daemon.pid) - before
    const busy = await probe(path('daemon'), seconds)
    if (open.some(socket => socket.destroyed)) throw new BenchError(`a held session was given up\n${daemon.output()}`)
    return { sessions, milters, kibibytes: grown / sessions, goal: milters === 0 ? 16 : 20, cpu, idle, busy }
  } finally {
    for (const socket of open) socket.destroy()
    for (const one of started.toReversed()) await one.stop()
    removeFolder(folder)
  }
}

/** True when every goal is met. */
export async function runHolds(sessions: number, json: boolean): Promise<boolean> {
  const results: HoldsResult[] = []
  for (const milters of [0, 1] as const) {
    const possible = Math.min(sessions, possibleSessions(milters))
    if (possible < sessions && !json)
      console.log(`${possible} instead of ${sessions}: more files the daemon may not have open here (ulimit -Hn)`)
    const result = await measureHolds(possible, milters, 10)
    results.push(result)
    if (!json) console.log(line(result))
  }
  if (json) console.log(JSON.stringify(results, null, 2))
  return results.every(({ kibibytes, goal }) => kibibytes <= goal)
}

function line({ sessions, milters, kibibytes, goal, cpu, idle, busy }: HoldsResult): string {
  const latency = ({ p50, p99 }: Latency): string => `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`
  return [
    `${sessions} held, ${milters} external milters open:`,
    `${kibibytes.toFixed(1)} KiB each (≤ ${goal}: ${kibibytes <= goal ? 'met' : 'MISSED'}),`,
    `${(cpu * 100).toFixed(1)} % of a processor;`,
    `a message beside, p50 / p99: ${latency(idle)} before, ${latency(busy)} while they wait`,
  ].join(' ')
}

/** The daemon takes no more than it has file descriptors for, some of them for the message beside. */
function possibleSessions(milters: 0 | 1): number {
  const files = fileLimit()
  return files === null ? Number.POSITIVE_INFINITY : Math.floor((files - 300) / (1 + milters))
}

/** Held are the clients in 10.0.0.0/8. */
function configuration(listen: string, milter: string | null, sessions: number): string {
  mkdirSync(buildFolder, { recursive: true })
  const file = join(scratchFolder(join(buildFolder, 'config-')), 'milterhost.config.ts')
  const lines = [
    `import { defineConfig, socket } from 'milterhost'`,
    `import { hold } from '../../plugins.ts'`,
    `void socket`,
    'export default defineConfig({',
    `  listen: 'unix:${listen}',`,
    `  limits: { sessions: ${sessions * 2 + 100} },`,
    `  holds: { max: ${sessions}, stress: ${sessions * 2} },`,
    `  filters: [${milter === null ? '' : `socket('m1', 'unix:${milter}'), `}hold()],`,
    `  log: { level: 'warn' },`,
    '})',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}

const macros = (kind: 'CONNECT' | 'MAIL' | 'RCPT', values: Record<string, string>): Command => ({
  kind: 'macros',
  for: commandByte[kind],
  macros: Object.entries(values),
})

function envelope(address: string): Buffer {
  const host = 'client.example.net'
  const commands: Command[] = [
    macros('CONNECT', { j: 'mx.example.com', daemon_name: 'mx.example.com', v: 'Postfix 3.7.11' }),
    { kind: 'connect', host, family: 'inet', port: 40_000, address },
    { kind: 'helo', name: host },
    macros('MAIL', { mail_addr: 'alice@example.net' }),
    { kind: 'mail', path: '<alice@example.net>', parameters: [] },
    macros('RCPT', { rcpt_addr: 'bob@example.com' }),
    { kind: 'rcpt', path: '<bob@example.com>', parameters: [] },
  ]
  return Buffer.concat(commands.map(encodeCommand))
}

const CONTENT = Buffer.concat(
  (
    [
      { kind: 'data' },
      { kind: 'header', name: 'Subject', value: ' beside' },
      { kind: 'eoh' },
      { kind: 'body', chunk: Buffer.from('Hello\r\n') },
      { kind: 'eom', chunk: Buffer.alloc(0) },
    ] satisfies Command[]
  ).map(encodeCommand),
)

/** Resolves once the session is negotiated and the rest is sent. */
async function hold(to: string, n: number, held: Set<Socket>): Promise<Socket> {
  const socket = connect(to)
  const decoder = new FrameDecoder()
  const letters = (chunk: Buffer, each: (letter: string) => void): void =>
    decoder.push(chunk, letter => {
      each(String.fromCharCode(letter))
      return true
    })
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', chunk =>
      letters(chunk, letter => {
        if (letter === 'p') held.add(socket)
        if (letter !== 'O') return
        socket.write(envelope(`10.${n >> 8}.${n & 255}.1`))
        resolve()
      }),
    )
    socket.write(OFFER)
  })
  return socket
}

/** One message after the other, each on a connection of its own. */
async function probe(to: string, seconds: number): Promise<Latency> {
  const end = performance.now() + seconds * 1000
  const took: number[] = []
  while (performance.now() < end) {
    const began = performance.now()
    await message(to)
    took.push(performance.now() - began)
    await sleep(10)
  }
  const sorted = took.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
  return { p50: at(0.5), p99: at(0.99) }
}

/** Every reply counts as one command done; the last one is to the end of the message. */
function message(to: string): Promise<void> {
  const socket = connect(to)
  const decoder = new FrameDecoder()
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => reject(new BenchError('the daemon closed the connection of a message')))
    socket.on('data', chunk =>
      decoder.push(chunk, (letter, payload) => {
        if (String.fromCharCode(letter) === 'O') {
          const protocol = payload.readUInt32BE(8)
          socket.write(Buffer.concat([envelope('192.0.2.1'), CONTENT]))
          owed = ANSWERS.filter(([omit, silent]) => (protocol & (omit | silent)) === 0).length
        } else if (String.fromCharCode(letter) !== 'p' && --owed === 0) {
          socket.removeAllListeners('close')
          socket.end(encodeCommand({ kind: 'quit' }))
          resolve()
        }
        return true
      }),
    )
    let owed = Number.POSITIVE_INFINITY
    socket.write(OFFER)
  })
}

/** Not sent, not answered: connect, helo, mail, rcpt, data, header, eoh, body, and the end, which always is. */
const ANSWERS: readonly (readonly [omit: number, silent: number])[] = [
  [0x1, 0x1000],
  [0x2, 0x2000],
  [0x4, 0x4000],
  [0x8, 0x8000],
  [0x200, 0x10000],
  [0x20, 0x80],
  [0x40, 0x40000],
  [0x10, 0x80000],
  [0, 0],
]

const residentKibibytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])

async function until(met: () => boolean, what: () => string): Promise<void> {
  const end = performance.now() + PATIENCE * 1000
  while (!met()) {
    if (performance.now() > end) throw new BenchError(`not within ${PATIENCE} s: ${what()}`)
    await sleep(20)
  }
}
