/** The command as a user starts it: `bin/milterhost.mjs` in a process of its own, in a folder of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { onTestFinished } from 'vitest'

export const BIN: string = resolve(import.meta.dirname, '../../bin/milterhost.mjs')

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export function milterhost(
  args: readonly string[],
  options: { cwd?: string; input?: string; env?: NodeJS.ProcessEnv } = {},
): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    encoding: 'utf8',
    input: options.input ?? '',
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...process.env, JOURNAL_STREAM: '', ...ofItsOwn(options.cwd), ...options.env },
    timeout: 30_000,
  })
  return { code: status, out: stdout, err: stderr }
}

/** The same at a terminal: what was written there, of both outputs. Needs the program `script`. `to`: standard output goes to this file. */
export function atTerminal(args: readonly string[], cwd: string, to?: string): string {
  const command = [process.execPath, BIN, ...args].join(' ')
  const { stdout, error } = spawnSync(
    'script',
    ['-qec', to === undefined ? command : `${command} > ${to}`, '/dev/null'],
    {
      cwd,
      encoding: 'utf8',
      timeout: 60_000,
    },
  )
  if (error !== undefined) throw error
  return stdout
}

/** Where it keeps what it does not forget, and its control socket: not where another test's daemon has them. */
const ofItsOwn = (folder: string | undefined): NodeJS.ProcessEnv =>
  folder === undefined ? {} : { RUNTIME_DIRECTORY: folder, STATE_DIRECTORY: folder }

export interface Place {
  readonly path: string
  file(name: string, text: string): string
}

export function place(): Place {
  const path = mkdtempSync(join(tmpdir(), 'milterhost-cli-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return {
    path,
    file(name, text) {
      writeFileSync(join(path, name), text)
      return join(path, name)
    },
  }
}

export interface Running {
  readonly process: ChildProcess
  /** All that came on both outputs so far. */
  said(): string
  until(what: string | RegExp): Promise<void>
  readonly ended: Promise<number | null>
}

/** Starts the daemon; it is ended with the test. */
export function start(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd,
    env: { ...process.env, JOURNAL_STREAM: '', ...ofItsOwn(cwd), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const watchers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', chunk => {
      text += chunk
      for (const watcher of watchers) watcher()
    })
  }
  const ended = new Promise<number | null>(done => child.on('close', code => done(code)))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const has = (what: string | RegExp): boolean => (typeof what === 'string' ? text.includes(what) : what.test(text))
  return {
    process: child,
    said: () => text,
    ended,
    until: what =>
      new Promise((done, failed) => {
        const late = setTimeout(() => failed(new Error(`waited for ${what}, got:\n${text}`)), 20_000)
        const look = (): void => {
          if (!has(what)) return
          clearTimeout(late)
          watchers.delete(look)
          done()
        }
        watchers.add(look)
        look()
      }),
  }
}
