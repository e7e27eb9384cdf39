// A folder that only root can write, on the whole way to it, and programs in it. /tmp is none: everybody may write there.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, test } from 'vitest'

const isRoot = process.getuid?.() === 0

/** `describe` for what only root can do: elsewhere one test that says so, and fails with CI=true. */
export const asRoot = (name: string, suite: () => void): void => where(isRoot, 'needs root', name, suite)

/** The same for what users without rights run out of this checkout. */
export const asRootForOthers = (name: string, suite: () => void): void =>
  where(isRoot && othersCanRun(), 'needs root and a checkout that others may read', name, suite)

function where(possible: boolean, needed: string, name: string, suite: () => void): void {
  describe(name, () => {
    if (possible) return suite()
    test(needed, context => {
      if (process.env.CI === 'true') throw new Error(needed)
      context.skip(needed)
    })
  })
}

function othersCanRun(): boolean {
  const bin = resolve(import.meta.dirname, '../../../bin/milterhost.mjs')
  const nobody = ['--reuid=nobody', '--regid=nogroup', '--clear-groups']
  return spawnSync('/usr/bin/setpriv', [...nobody, process.execPath, bin, '--version'], { cwd: '/' }).status === 0
}

export function folder(): string {
  const path = mkdtempSync(join(isRoot ? '/var/lib' : tmpdir(), 'milterhost-launch-'))
  chmodSync(path, 0o755)
  afterAll(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export function script(path: string, ...lines: readonly string[]): string {
  writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 })
  return path
}

export function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Whether there is such a process, and not only what is left of it. */
export const isRunning = (pid: number): boolean => /^State:\s+[^ZX]/m.test(readIfThere(`/proc/${pid}/status`))

/** What /proc says of a process: the rows of `status`, its limits, its environment, its open files. */
export function inspect(pid: number): {
  readonly status: ReadonlyMap<string, string>
  readonly limits: ReadonlyMap<string, string>
  readonly env: readonly string[]
  readonly files: readonly string[]
  readonly directory: string
  readonly session: number
} {
  const rows = (file: string, pattern: RegExp): ReadonlyMap<string, string> =>
    new Map(
      [...readFileSync(`/proc/${pid}/${file}`, 'utf8').matchAll(pattern)].map(([, name, value]) => [name!, value!]),
    )
  return {
    status: rows('status', /^(\w+):[ \t]*(.*?)[ \t]*$/gm),
    limits: rows('limits', /^(Max .*?) {2,}(\S+ +\S+)/gm),
    env: readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').filter(Boolean).sort(),
    files: readdirSync(`/proc/${pid}/fd`).sort(),
    directory: readlinkSync(`/proc/${pid}/cwd`),
    session: Number(
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ')[3],
    ),
  }
}
