// Starts a milter of the rig as a process of its own.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onCleanup } from './cleanup.ts'
import { freePort, tempDir } from './places.ts'
import { rig } from './rig.ts'
import { PATIENCE, until } from './wait.ts'

/** `milter-up --help` of the rig says what each does. */
export type MilterKind =
  | 'opendkim'
  | 'opendkim-sign'
  | 'opendkim-verify'
  | 'pymilter'
  | 'pymilter-noreply'
  | 'raw'
  | 'perl'

export interface Milter {
  kind: MilterKind
  address: string
  dir: string
  /** The process itself, for tests that kill or stop it. */
  pid: number
  /** What it says it was called with, for the kinds that tell. */
  events(): Promise<string>
  waitForEvent(pattern: RegExp, seconds?: number): Promise<RegExpExecArray>
  stop(): Promise<void>
}

/** Address: 'unix' and 'inet' choose a free place; or 'unix:/path', 'inet:HOST:PORT'. */
export async function startMilter(kind: MilterKind, address = 'unix', ...args: string[]): Promise<Milter> {
  const dir = tempDir(kind)
  if (address === 'unix') address = `unix:${dir}/milter.sock`
  if (address === 'inet') address = `inet:127.0.0.1:${await freePort()}`
  await rig('milter-up', kind, dir, address, ...args)
  const events = (): Promise<string> => readFile(join(dir, 'events.txt'), 'latin1')
  return {
    kind,
    address,
    dir,
    pid: Number(await readFile(join(dir, 'milter.pid'), 'latin1')),
    events,
    waitForEvent: (pattern, seconds = PATIENCE) =>
      until(`${kind} tells ${pattern}`, async () => pattern.exec(await events()) ?? undefined, seconds),
    stop: onCleanup(async () => {
      await rig('milter-down', dir)
    }),
  }
}
