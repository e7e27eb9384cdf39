/**
 * The two processes of a round: the one that plays the scenarios, and the type checker of the author's own project.
 *
 * Both end with the signal, at once: a plugin that never comes to an end must not keep the next round waiting. What the first prints goes
 * straight to the terminal. Called by `dev.ts`.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { installation } from '../../host/config/installation.ts'
import { harmless } from '../../host/observe/safe.ts'
import type { RoundReport } from './round.ts'

/** How a process ended: its exit code; `stopped` by the signal; `stuck` when it took too long. */
export type Ending = number | 'stopped' | 'stuck'

/** Plays a round with these arguments of `milterhost dev`. `read` is told the files that were loaded, as soon as they are. */
export function roundProcess(
  args: readonly string[],
  limit: number,
  signal: AbortSignal,
  read: (files: readonly string[]) => void,
): Promise<Ending> {
  const child = fork(join(installation().root, 'bin/milterhost.mjs'), ['dev', ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  child.on('message', message => read((message as RoundReport).files))
  return ending(child, limit, signal)
}

/** The type checker's own lines; `null` when it was stopped. */
export async function typeErrors(
  compiler: string,
  folder: string,
  limit: number,
  signal: AbortSignal,
): Promise<readonly string[] | null> {
  const child = spawn(process.execPath, [compiler, '--noEmit', '--pretty', 'false', '-p', folder], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', text => {
      said += text
    })
  const ended = await ending(child, limit, signal)
  if (ended === 'stopped') return null
  if (ended === 0) return []
  const lines = said.split('\n').filter(line => line.trim() !== '')
  return lines.length > 0 ? lines.map(line => harmless(line)) : [`the type checker ended with ${ended}`]
}

/** That of the project, which has settings for it; `null` when it has none. */
export function typeChecker(folder: string): string | null {
  if (!existsSync(join(folder, 'tsconfig.json'))) return null
  for (let at = folder; ; at = dirname(at)) {
    const compiler = join(at, 'node_modules/typescript/bin/tsc')
    if (existsSync(compiler)) return compiler
    if (dirname(at) === at) return null
  }
}

function ending(child: ChildProcess, limit: number, signal: AbortSignal): Promise<Ending> {
  let why: 'stopped' | 'stuck' | null = null
  const kill = (reason: 'stopped' | 'stuck'): void => {
    why ??= reason
    child.kill('SIGKILL')
  }
  const stop = (): void => kill('stopped')
  const late = setTimeout(() => kill('stuck'), limit)
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, by) => {
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
      resolve(why ?? code ?? (by === 'SIGINT' || by === 'SIGTERM' ? 'stopped' : 1))
    })
  })
}
