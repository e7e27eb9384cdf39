// What holds for both MTAs when clients leave that a filter keeps waiting.

import { beforeAll, describe, expect, test } from 'vitest'
import type { Mta } from '../harness/index.ts'
import { holdAndLeave, type Left, type Scene, scene } from './leaving.ts'

const COUNT = 50

/** An MTA with one way in to each address, in their order. */
type Start = (addresses: readonly string[]) => Promise<{ mta: Mta; ports: readonly number[] }>

export function clientsThatLeave(start: Start): void {
  let mta: Mta
  let ports: readonly number[]
  let watched: Scene
  let blind: Scene

  beforeAll(async () => {
    watched = await scene('proc')
    blind = await scene('off')
    const started = await start([watched.host.address, blind.host.address])
    mta = started.mta
    ports = started.ports
  })

  const tell = (what: string, { held, half, all }: Left): void =>
    console.info(
      `${mta.kind}, ${what}: ${held} processes busy, half free after ${half.toFixed(1)} s, all after ${all.toFixed(1)} s`,
    )

  describe.each(['plugin', 'milter'] as const)('held by a %s', waiter => {
    test(`${COUNT} of them, half by FIN and half by RST: every process is free within 2 s`, async () => {
      const settled = watched.host.eventsOf('message-settled').length
      const left = await holdAndLeave(mta, ports[0]!, COUNT, waiter, watched)
      tell(`${waiter}, liveness on`, left)
      expect(left.held).toBe(COUNT)
      expect(left.answered).toBeLessThan(2 + 2 * left.stalled)
      // Fifty processes that end at once take their time on a machine with a load.
      expect(left.all).toBeLessThan(5)
      const outcomes = watched.host.eventsOf('message-settled').slice(settled)
      expect(outcomes.map(({ outcome }) => outcome)).toEqual(new Array(COUNT).fill('client-left'))
      const awaited = watched.host.eventsOf('client-left').slice(-COUNT)
      expect(new Set(awaited.map(event => event.awaited))).toEqual(new Set([waiter === 'plugin' ? 'slow' : 'sleeper']))
      if (waiter === 'plugin') {
        expect(watched.aborted.map(({ kind, detail }) => `${kind}: ${detail}`)).toEqual(
          new Array(COUNT).fill('client-left: the client has left'),
        )
      }
      expect(watched.host.eventsOf('filter-failed')).toEqual([])
      expect(watched.host.complaints).toEqual([])
    })

    test('without liveness they stay for the whole wait', async () => {
      const left = await holdAndLeave(mta, ports[1]!, COUNT, waiter, blind)
      tell(`${waiter}, liveness off`, left)
      expect(left.held).toBe(COUNT)
      expect(left.busyAfter(5)).toBe(COUNT)
      expect(blind.host.eventsOf('client-left')).toEqual([])
    })
  })
}
