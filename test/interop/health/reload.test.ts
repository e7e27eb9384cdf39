// A milter that milterhost started, over reloads and to the end: the process goes on while the configuration says the same of it, and ends
// with milterhost.

import { socket } from 'milterhost'
import { expect, test } from 'vitest'
import { startHost } from '../harness/host.ts'
import { requirePrograms, until } from '../harness/index.ts'
import { pidOf, startable } from './load.ts'

requirePrograms('pymilter')('a milter that milterhost starts', () => {
  test('is the same process after reloads, and is ended with milterhost', async () => {
    const milter = startable()
    const host = await startHost({ filters: [socket('kept', milter.address, { launch: { command: milter.command } })] })
    const states = (): string[] => host.eventsOf('health-changed').map(({ state }) => state)
    await host.waitFor('it is up', () => states().at(-1) === 'up')
    const pid = pidOf(milter)
    expect(pid).toBeDefined()
    const before = states()
    for (let n = 0; n < 3; n++) await host.daemon.reload()
    expect(pidOf(milter)).toBe(pid)
    expect(states()).toEqual(before)
    await host.stop()
    await until('it is ended', () => pidOf(milter) === undefined)
  })
})
