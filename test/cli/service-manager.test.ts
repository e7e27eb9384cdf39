import { describe, expect, it } from 'vitest'
import { ServiceManager, type ServiceManagerOptions } from '../../src/cli/service-manager.ts'
import { LogLines } from '../bridge/mta/support/mta.ts'
import { HandClock } from '../host/support/clock.ts'

function manager(
  environment: Record<string, string>,
  send?: ServiceManagerOptions['send'],
): { told: string[]; clock: HandClock; log: LogLines; manager: ServiceManager } {
  const told: string[] = []
  const [clock, log] = [new HandClock(), new LogLines()]
  const record = async (assignments: readonly string[]): Promise<void> => void told.push(assignments.join(' '))
  return { told, clock, log, manager: new ServiceManager({ environment, pid: 7, clock, log, send: send ?? record }) }
}

const WAITS = { NOTIFY_SOCKET: '/run/systemd/notify' }

describe('a service manager', () => {
  it('that does not wait is told nothing', async () => {
    const { told, clock, manager: nobody } = manager({ WATCHDOG_USEC: '1000000' })
    await nobody.ready('x')
    await nobody.ending()
    await clock.advance(10_000)
    expect(told).toEqual([])
  })

  it('is told one thing after the other, in the order they were said', async () => {
    const order: string[] = []
    const { manager: waits } = manager(WAITS, async ([first = '']) => {
      await new Promise(done => setTimeout(done, first === 'RELOADING=1' ? 20 : 0))
      order.push(first)
    })
    void waits.reloading()
    await waits.ready('1 filters')
    expect(order).toEqual(['RELOADING=1', 'READY=1'])
  })

  it('that has a watchdog hears twice in its time, if it is this process that it watches', async () => {
    const watched = manager({ ...WAITS, WATCHDOG_USEC: '60000000', WATCHDOG_PID: '7' })
    await watched.clock.advance(90_000)
    expect(watched.told).toEqual(['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1'])
    const other = manager({ ...WAITS, WATCHDOG_USEC: '60000000', WATCHDOG_PID: '8' })
    await other.clock.advance(90_000)
    expect(other.told).toEqual([])
  })

  it('that cannot be told is complained of once, and nothing fails', async () => {
    const { manager: gone, log } = manager(WAITS, async () => {
      throw new Error('no such program')
    })
    await gone.ready('x')
    await gone.reloading()
    expect(log.lines).toMatchObject([{ message: expect.stringContaining('systemd cannot be told') }])
  })
})
