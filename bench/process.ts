/*
 * Processes the bench starts, and what Linux tells of them: CPU time from /proc/PID/stat, peak memory (VmHWM) from
 * /proc/PID/status, each with all descendants. Every process is ended by its own pid, also when the bench is
 * interrupted. Linux only, like the bench.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchError } from './tools.ts'

const TICKS_PER_SECOND = 100
const STOP_SECONDS = 10
const running = new Set<Running>()
const folders = new Set<string>()
const tasks = new Set<() => Promise<void>>()

export interface Running {
  readonly name: string
  readonly pid: number
  /** The end of what it has written to standard output and standard error so far. */
  output(): string
  exited(): boolean
  stop(): Promise<void>
}

/** Output goes to a file: read from a pipe, it would cost the bench processor time while it measures. */
export function start(name: string, command: string, args: readonly string[], logFile: string): Running {
  const log = openSync(logFile, 'w')
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', log, log] })
  closeSync(log)
  let failure: Error | undefined
  child.on('error', error => {
    failure = error
  })
  const exited = (): boolean => failure !== undefined || child.exitCode !== null || child.signalCode !== null
  const self: Running = {
    name,
    pid: child.pid ?? 0,
    output: () => failure?.message ?? read(logFile).slice(-4000),
    exited,
    async stop() {
      running.delete(self)
      if (exited()) return
      const gone = once(child, 'exit')
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_SECONDS * 1000)
      child.kill('SIGTERM')
      await gone
      clearTimeout(late)
    },
  }
  running.add(self)
  return self
}

/** A fresh folder, gone again at the end however the bench ends. */
export function scratchFolder(prefix: string): string {
  const folder = mkdtempSync(prefix)
  folders.add(folder)
  return folder
}

export function removeFolder(folder: string): void {
  folders.delete(folder)
  rmSync(folder, { recursive: true, force: true })
}

/** For what is not a child process, such as a Postfix instance: `task` runs once, at the latest when the bench ends. */
export function atEnd(task: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  const once = (): Promise<void> => {
    done ??= task().finally(() => tasks.delete(once))
    return done
  }
  tasks.add(once)
  return once
}

/** Whatever interrupts the bench, this leaves nothing behind. */
export async function stopAll(): Promise<void> {
  await Promise.all([...tasks].map(task => task()))
  await Promise.all([...running].map(one => one.stop()))
  for (const folder of folders) removeFolder(folder)
}

/** Waits until a UNIX socket accepts; a process that ends first is an error with its output. */
export async function untilListening(one: Running, path: string, seconds = 20): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    if (one.exited()) throw new BenchError(`${one.name} ended before it listened:\n${one.output()}`)
    if (await accepts(path)) return
    await sleep(50)
  }
  throw new BenchError(`${one.name} did not listen on ${path} within ${seconds} s:\n${one.output()}`)
}

function accepts(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}

function family(pid: number): number[] {
  const pids = [pid]
  for (const one of pids) {
    for (const task of entries(`/proc/${one}/task`)) {
      const children = read(`/proc/${one}/task/${task}/children`)
      pids.push(...children.split(' ').filter(Boolean).map(Number))
    }
  }
  return pids
}

/** User and system seconds of the process and its descendants; those of children already reaped included. */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const one of family(pid)) {
    const stat = read(`/proc/${one}/stat`)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    for (const at of [11, 12, 13, 14]) ticks += Number(fields[at] ?? 0)
  }
  return ticks / TICKS_PER_SECOND
}

/** Peak resident megabytes, summed over the process and its living descendants. */
export function peakMegabytes(pid: number): number {
  let kilobytes = 0
  for (const one of family(pid)) {
    kilobytes += Number(/VmHWM:\s+(\d+)/.exec(read(`/proc/${one}/status`))?.[1] ?? 0)
  }
  return kilobytes / 1024
}

/** A process may end between being listed and being read: then there is nothing to count. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
