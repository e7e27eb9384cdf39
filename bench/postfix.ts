/*
 * The whole-system figure: SMTP sessions of smtp-source through real Postfix with three milters, once chained by
 * Postfix itself and once with milterhost in front of the same three, in turn. Two private Postfix instances, started by
 * the scripts of test/interop/rig; delivery is Postfix's discard transport, so that nothing behind the milters limits it.
 */
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { median } from './measure.ts'
import { atEnd, type Running, removeFolder, scratchFolder, start, untilListening } from './process.ts'
import { startDaemon } from './subject.ts'
import { BenchError, benchFolder, type Tools } from './tools.ts'

export interface PostfixOptions {
  readonly quick: boolean
  readonly self: boolean
  readonly edit: boolean
  readonly pipelining: boolean
  readonly json: boolean
}

interface Load {
  readonly name: string
  readonly body: number
  readonly messages: number
  /** Least allowed messages per second over those of Postfix's own chaining. */
  readonly goal: number
}

const run = promisify(execFile)
const rig = resolve(benchFolder, '../test/interop/rig/bin')
const SMTP_SOURCE = '/usr/sbin/smtp-source'
const SESSIONS = 20
const CHAIN = { milters: 3, plugins: 0 }
const LOADS: readonly Load[] = [
  { name: '10KB', body: 10 * 1024, messages: 1000, goal: 1 },
  { name: '1MB', body: 1024 * 1024, messages: 200, goal: 1.2 },
]

/** True when every goal is met. */
export async function runPostfix(tools: Tools, options: PostfixOptions): Promise<boolean> {
  for (const needed of [SMTP_SOURCE, '/usr/sbin/postfix', join(rig, 'postfix-up')]) {
    if (!existsSync(needed)) throw new BenchError(`${needed} is missing; on Debian: apt-get install postfix`)
  }
  const folder = scratchFolder(join(tmpdir(), 'mh-bench-'))
  chmodSync(folder, 0o755)
  const ends: (() => Promise<void>)[] = []
  const started: Running[] = []
  try {
    const milters = [1, 2, 3].map(i => join(folder, `m${i}`))
    const sink = start('sink', tools.sink, [...(options.edit ? ['--edit'] : []), ...milters], join(folder, 'sink.log'))
    started.push(sink)
    await untilListening(sink, milters[2]!)
    const listen = join(folder, 'host')
    const chained = milters.map(path => `unix:${path}`)
    if (!options.self) {
      const daemon = startDaemon(
        listen,
        milters,
        { chain: CHAIN, pipelining: options.pipelining },
        join(folder, 'host.log'),
      )
      started.push(daemon)
      await untilListening(daemon, listen)
      chmodSync(listen, 0o777) // Postfix's smtpd runs as another user
    }
    const native = await postfixUp(join(folder, 'native'), chained, ends)
    const hosted = await postfixUp(join(folder, 'hosted'), options.self ? chained : [`unix:${listen}`], ends)
    const results: Comparison[] = []
    let total = 0
    for (const load of LOADS) {
      const result = await compare(load, native, hosted, options.quick)
      results.push(result)
      total += result.sent
      if (!options.json) console.log(line(result, options.self))
    }
    if (options.json) console.log(JSON.stringify(results, null, 2))
    await checkFiltered(sink, total)
    return options.self || results.every(result => result.met)
  } finally {
    for (const end of ends) await end()
    for (const one of started.toReversed()) await one.stop()
    removeFolder(folder)
  }
}

interface Instance {
  readonly port: number
  readonly queue: string
}

async function postfixUp(folder: string, milters: readonly string[], ends: (() => Promise<void>)[]): Promise<Instance> {
  const port = await freePort()
  const settings = [
    'virtual_transport=discard:',
    'default_transport=discard:',
    'milter_default_action=tempfail',
    'in_flow_delay=0', // or Postfix slows the sender down to the speed of the queue manager
  ].flatMap(setting => ['-o', setting])
  ends.push(atEnd(async () => void (await run(join(rig, 'postfix-down'), [folder]))))
  await run(join(rig, 'postfix-up'), [...settings, folder, String(port), ...milters])
  return { port, queue: join(folder, 'queue') }
}

/** Waits until an instance has delivered what it took, so that one side's work does not fall into the other's time. */
async function drained(instance: Instance): Promise<void> {
  const end = performance.now() + 60_000
  const left = (): number =>
    ['incoming', 'active'].reduce((n, name) => n + readdirSync(join(instance.queue, name)).length, 0)
  while (left() > 0) {
    if (performance.now() > end) throw new BenchError(`Postfix did not empty its queue in ${instance.queue}`)
    await sleep(50)
  }
}

interface Comparison {
  readonly name: string
  readonly native: number
  readonly hosted: number
  readonly ratio: number
  readonly goal: number
  readonly met: boolean
  /** Messages sent to both, the warm-up included. */
  readonly sent: number
}

async function compare(load: Load, native: Instance, hosted: Instance, quick: boolean): Promise<Comparison> {
  const messages = quick ? load.messages / 4 : load.messages
  const warmUp = Math.round(messages / 4)
  for (const instance of [native, hosted]) await send(instance, load.body, warmUp)
  const rounds: { native: number; hosted: number }[] = []
  const count = quick ? 3 : 7
  for (let i = 0; i < count; i++) {
    const first = i % 2 === 0 ? native : hosted
    const a = await send(first, load.body, messages)
    const b = await send(first === native ? hosted : native, load.body, messages)
    rounds.push(first === native ? { native: a, hosted: b } : { native: b, hosted: a })
  }
  const ratio = median(rounds.map(round => round.hosted / round.native))
  return {
    name: load.name,
    native: median(rounds.map(round => round.native)),
    hosted: median(rounds.map(round => round.hosted)),
    ratio,
    goal: load.goal,
    met: ratio >= load.goal,
    sent: 2 * (warmUp + count * messages),
  }
}

/** Messages per second; smtp-source ends with an error when one is refused. */
async function send(instance: Instance, body: number, count: number): Promise<number> {
  const began = performance.now()
  const args = [
    '-s',
    SESSIONS,
    '-m',
    count,
    '-l',
    body,
    '-f',
    'alice@a.example',
    '-t',
    'bob@example.com',
    `127.0.0.1:${instance.port}`,
  ]
  await run(SMTP_SOURCE, args.map(String), { timeout: 300_000 }).catch(error => {
    throw new BenchError(`smtp-source failed: ${error.stderr || error.message}`)
  })
  const seconds = (performance.now() - began) / 1000
  await drained(instance)
  return count / seconds
}

/** Guards against a comparison in which one side ran without its filters: each milter must have seen every message. */
async function checkFiltered(sink: Running, sent: number): Promise<void> {
  await sink.stop()
  const report: { perMilter: number[] } = JSON.parse(sink.output().trim().split('\n').at(-1)!)
  if (report.perMilter.some(seen => seen !== sent)) {
    throw new BenchError(`${sent} messages were sent, the three milters saw ${report.perMilter.join(', ')}`)
  }
}

function line(result: Comparison, self: boolean): string {
  const speed = (value: number): string => `${value.toFixed(0).padStart(5)} msg/s`
  const other = self ? 'a second Postfix alone' : 'through milterhost'
  const goal = self ? '' : ` (goal ≥ ${result.goal}: ${result.met ? 'met' : 'MISSED'})`
  const sides = `Postfix alone ${speed(result.native)}, ${other} ${speed(result.hosted)}`
  return `${result.name.padEnd(5)} ${SESSIONS} sessions, 3 milters: ${sides}, ratio ${result.ratio.toFixed(2)}${goal}`
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer().once('error', fail)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => done(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
