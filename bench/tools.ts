/*
 * The two C programs of the bench, compiled on demand into bench/.build (ignored by git) and again when a source is
 * newer. Needs a C compiler and nothing else; where there is none the message says what to install.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'

export const benchFolder: string = import.meta.dirname
export const buildFolder: string = join(benchFolder, '.build')

const SOURCES = {
  load: ['load.c', 'net.h', 'conversation.h'],
  sink: ['sink.c', 'net.h'],
} as const

/** A failure the person at the terminal can mend: printed as one line, without a stack. */
export class BenchError extends Error {}

function upToDate(binary: string, sources: readonly string[]): boolean {
  if (!existsSync(binary)) return false
  const built = statSync(binary).mtimeMs
  return sources.every(name => statSync(join(benchFolder, name)).mtimeMs < built)
}

function compile(name: keyof typeof SOURCES): string {
  const binary = join(buildFolder, name)
  const sources = SOURCES[name]
  if (upToDate(binary, sources)) return binary
  mkdirSync(buildFolder, { recursive: true })
  const fresh = `${binary}.${process.pid}`
  const cc = process.env.CC ?? 'cc'
  const run = spawnSync(cc, ['-O2', '-o', fresh, join(benchFolder, sources[0])], { encoding: 'utf8' })
  if (run.error) {
    throw new BenchError(
      `the bench needs a C compiler and could not start '${cc}' (${run.error.message}); on Debian: apt-get install gcc libc6-dev, or set CC`,
    )
  }
  if (run.status !== 0) throw new BenchError(`${cc} could not build bench/${sources[0]}:\n${run.stderr}`)
  renameSync(fresh, binary)
  return binary
}

export interface Tools {
  readonly load: string
  readonly sink: string
}

export function buildTools(): Tools {
  return { load: compile('load'), sink: compile('sink') }
}
