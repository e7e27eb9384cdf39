// milterhost on a machine with the milters of Debian: `detected()` is its whole chain, no milter is named and no address written. Its
// commands, and what its log tells of each message.

import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { askControl } from '../../../src/daemon/control/client.ts'
import { type Machine, until } from '../harness/index.ts'

const BIN = resolve(import.meta.dirname, '../../../bin/milterhost.mjs')

interface LogLine {
  readonly msg: string
  readonly level: string
  readonly filter?: string
  readonly milter?: string
  readonly state?: string
  readonly verdict?: string
  /** The filter that refused. */
  readonly by?: string
  /** Of a message: who took part, and the milliseconds each took. */
  readonly filters?: Readonly<Record<string, number>>
}

export interface InstalledHost {
  /** As Postfix spells it. */
  readonly address: string
  /** A command of milterhost, run on that machine. */
  command(...args: string[]): Promise<string>
  log(): LogLine[]
  /** Of each message so far, who took part in it. */
  chains(): string[][]
  /** Resolves when every session has the present configuration. */
  settled(): Promise<void>
}

/** Serves when it resolves, and all these milters are up. */
export async function startInstalledHost(machine: Machine, milters: readonly string[]): Promise<InstalledHost> {
  const config = join(machine.dir, 'milterhost.config.mjs')
  const socket = join(machine.dir, 'milterhost.sock')
  writeFileSync(
    config,
    `import { defineConfig, detected } from 'milterhost'
     export default defineConfig({
       listen: { address: 'unix:${socket}', mode: 0o666 },
       log: { format: 'json' },
       filters: [...detected()],
     })`,
  )
  const own = [`RUNTIME_DIRECTORY=${machine.dir}`, `STATE_DIRECTORY=${machine.dir}`, 'MILTERHOST_DETECT_ROOT=/']
  const milterhost = ['env', ...own, process.execPath, BIN]
  const running = machine.start(...milterhost, 'run', '--config', config)
  const log = (): LogLine[] =>
    running
      .err()
      .split('\n')
      .flatMap(line => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as LogLine] : []))
  const notUp = (): string[] => {
    const states = new Map(log().map(({ filter, state }) => [filter, state]))
    return milters.filter(name => states.get(name) !== 'up')
  }
  await until(
    () => `${notUp().join(', ')} up: ${running.out()}${running.err()}`,
    () => notUp().length === 0,
    90,
  )
  return {
    address: `unix:${socket}`,
    command: (...args) => machine.run(...milterhost, ...args),
    log,
    chains: () => log().flatMap(({ msg, filters }) => (msg === 'message' ? [Object.keys(filters ?? {})] : [])),
    settled: async () => {
      await until('sessions with an old configuration end', async () => {
        const { result, close } = await askControl(join(machine.dir, 'control.sock'), { do: 'status' })
        close()
        return result.generations === 1
      })
    },
  }
}
