import { describe, expect, it } from 'vitest'
import { Alarm } from '../../../src/host/time/alarm.ts'
import { HandClock } from '../support/clock.ts'

function alarmed(): {
  clock: HandClock
  alarm: Alarm
  rung: [string, number][]
  set: (ms: number, name: string) => void
} {
  const clock = new HandClock()
  const alarm = new Alarm(clock)
  const rung: [string, number][] = []
  return { clock, alarm, rung, set: (ms, name) => alarm.set(ms, () => void rung.push([name, clock.monotonic()])) }
}

describe('an alarm', () => {
  it('goes off once, at its time', async () => {
    const { clock, rung, set } = alarmed()
    set(100, 'a')
    await clock.advance(99)
    expect(rung).toEqual([])
    await clock.advance(500)
    expect(rung).toEqual([['a', 100]])
  })

  it('set again goes off at the later or the earlier time only, with what was set last', async () => {
    const { clock, rung, set } = alarmed()
    set(100, 'a')
    await clock.advance(50)
    set(100, 'b')
    await clock.advance(1_000)
    set(100, 'c')
    set(10, 'd')
    await clock.advance(1_000)
    expect(rung).toEqual([
      ['b', 150],
      ['d', 1_060],
    ])
  })

  it('that is cleared stays silent, and one set after it keeps its own time', async () => {
    const { clock, alarm, rung, set } = alarmed()
    set(100, 'a')
    alarm.clear()
    await clock.advance(60)
    set(100, 'b')
    await clock.advance(1_000)
    expect(rung).toEqual([['b', 160]])
  })

  it('takes one timer for any number of settings, and none once it is closed', async () => {
    const { clock, alarm, rung, set } = alarmed()
    for (let i = 0; i < 1_000; i++) {
      set(100, 'a')
      alarm.clear()
      await clock.advance(0)
    }
    expect(clock.pending).toBe(1)
    set(100, 'b')
    alarm.close()
    expect(clock.pending).toBe(0)
    await clock.advance(1_000)
    expect(rung).toEqual([])
  })

  it('may be set again from its own call', async () => {
    const { clock, alarm, rung } = alarmed()
    const tick = (): void => {
      rung.push(['tick', clock.monotonic()])
      alarm.set(10, tick)
    }
    alarm.set(10, tick)
    await clock.advance(35)
    expect(rung.map(([, at]) => at)).toEqual([10, 20, 30])
  })
})
