// The product as it runs in earnest: `milterhost run` as a process of its own, so that its memory, its files and its log may be looked
// at from outside. One chain for all tests here, `filters.ts`.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { onCleanup, tempDir, until } from '../harness/index.ts'

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
const filters = fileURLToPath(new URL('./filters.ts', import.meta.url))

export interface LogLine {
  level: string
  msg: string
  code?: string
  [field: string]: unknown
}

export interface Holdings {
  sockets: number
  spooled: number
}

export interface DaemonProcess {
  /** A TCP address, as the harness spells it. */
  address: string
  /** MiB resident now. */
  resident(): number
  /** MiB resident at most since `forgetPeak`. */
  peak(): number
  forgetPeak(): void
  /** Connections and listeners, and bodies in the spool, that it has open. */
  holds(): Holdings
  log(): LogLine[]
  /** Log lines with this code. */
  told(code: string): LogLine[]
  /** Waits for one that says this. */
  tells(code: string, what: RegExp): Promise<void>
  /** It is still the same process, and nothing has escaped from it. */
  expectSound(): void
}

/** Serves when it resolves; ended at the end of the test file. */
export async function startDaemonProcess(): Promise<DaemonProcess> {
  const dir = tempDir('abuse')
  const config = join(dir, 'milterhost.config.ts')
  writeFileSync(
    config,
    `import { defineConfig } from 'milterhost'
     import { filters } from ${JSON.stringify(filters)}
     export default defineConfig({
       listen: 'inet:0@127.0.0.1',
       spool: { directory: ${JSON.stringify(join(dir, 'spool'))} },
       log: { format: 'json' },
       control: false,
       filters,
     })`,
  )
  const child = spawn(process.execPath, [main, 'run', '--json', '--config', config], { stdio: 'pipe' })
  let printed = ''
  let logged = ''
  child.stdout.setEncoding('latin1').on('data', text => (printed += text))
  child.stderr.setEncoding('latin1').on('data', text => (logged += text))
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  onCleanup(async () => {
    child.kill('SIGKILL')
    await gone
  })
  const running = (): boolean => child.exitCode === null && child.signalCode === null
  const port = await until(
    () => `the daemon says where it listens (${printed}${logged})`,
    () => {
      if (!running()) throw new Error(`the daemon has ended: ${logged}`)
      return /inet:(\d+)@127\.0\.0\.1/.exec(printed)?.[1]
    },
  )
  const proc = `/proc/${child.pid}`
  const mebibytes = (field: string): number => {
    const status = readFileSync(`${proc}/status`, 'latin1')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  }
  const log = (): LogLine[] =>
    logged
      .split('\n')
      .flatMap(line => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as LogLine] : []))
  const told = (code: string): LogLine[] => log().filter(line => line.code === code)
  return {
    address: `inet:127.0.0.1:${port}`,
    resident: () => mebibytes('VmRSS'),
    peak: () => mebibytes('VmHWM'),
    forgetPeak: () => writeFileSync(`${proc}/clear_refs`, '5'),
    holds() {
      const files = readdirSync(`${proc}/fd`).map(fd => targetOf(`${proc}/fd/${fd}`))
      return {
        sockets: files.filter(file => file.startsWith('socket:')).length,
        spooled: files.filter(file => file.includes('/spool/body-')).length,
      }
    },
    log,
    told,
    tells: async (code, what) => {
      await until(
        () => `the log has ${code} ${what}, which is ${JSON.stringify(told(code))}`,
        () => told(code).some(({ msg }) => what.test(msg)),
      )
    },
    expectSound() {
      expect(running()).toBe(true)
      expect(logged.split('\n').filter(line => line !== '' && !line.startsWith('{'))).toEqual([])
      expect(told('UNCAUGHT')).toEqual([])
      expect(told('MTA_INTERNAL')).toEqual([])
    },
  }
}

/** The descriptor may be closed between the listing and the look. */
function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
