// One daemon for the tests of a file, and what must hold of each of them: the daemon is the same process afterwards and nothing
// escaped from it, it never took more memory than the test allows, a session beside went on with its mail, and no socket and no
// spooled body is left. ABUSE_REPORT=1 prints the memory that each took: docs/concepts.md states it.

import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { until } from '../harness/index.ts'
import { type DaemonProcess, type Holdings, startDaemonProcess } from './daemon.ts'
import { greeted, passes, probing } from './load.ts'

/** MiB above what the daemon took before. V8 collects its garbage when there is some: read buffers are the most of it. */
const ROOM = 160

export interface Watched {
  readonly daemon: DaemonProcess
  /** The test that runs may take so many MiB more than before it. */
  allow(mebibytes: number): void
}

export function watched(): Watched {
  let daemon: DaemonProcess
  let idle: Holdings
  let before = 0
  let room = ROOM
  let probe: { stop(): Promise<number> }
  const report: string[] = []

  beforeAll(async () => {
    daemon = await startDaemonProcess()
    idle = daemon.holds()
    const warm = await greeted(daemon.address)
    for (let n = 0; n < 200; n++) await passes(warm)
    await warm.quit()
  })

  beforeEach(async () => {
    room = ROOM
    before = daemon.resident()
    daemon.forgetPeak()
    probe = await probing(daemon.address)
  })

  afterEach(async context => {
    expect(await probe.stop(), 'messages of the session beside').toBeGreaterThan(0)
    daemon.expectSound()
    const more = daemon.peak() - before
    report.push(`${more.toFixed(1)} MiB of ${room}: ${context.task.name}`)
    expect(more, 'MiB more than before').toBeLessThan(room)
    await until(
      () => `nothing is left: ${JSON.stringify(daemon.holds())}, at first ${JSON.stringify(idle)}`,
      () => daemon.holds().sockets <= idle.sockets && daemon.holds().spooled === 0,
    )
  })

  afterAll(() => {
    if (process.env.ABUSE_REPORT) console.log(report.join('\n'))
  })

  return {
    get daemon() {
      return daemon
    },
    allow(mebibytes) {
      room = mebibytes
    },
  }
}
