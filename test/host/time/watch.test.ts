import { describe, expect, it, vi } from 'vitest'
import type { Logger } from '../../../src/host/observe/logger.ts'
import { silent } from '../../../src/host/observe/logger.ts'
import type { Liveness, LivenessQuestion, Sight } from '../../../src/host/time/liveness.ts'
import { Presence } from '../../../src/host/time/presence.ts'
import { Watch } from '../../../src/host/time/watch.ts'
import { HandClock } from '../support/clock.ts'

type State = Sight['state']

interface Rig {
  readonly clock: HandClock
  readonly watch: Watch
  /** Client ports of each look, and when it came. */
  readonly looks: { at: number; ports: number[]; seen: (string | null)[] }[]
  readonly log: { warn: ReturnType<typeof vi.fn>; info: ReturnType<typeof vi.fn> }
  client(port: number): Presence & { readonly gone: () => boolean }
}

function rig(
  look: (question: LivenessQuestion, count: number) => State | Sight | Promise<Sight> = () => 'present',
  cost = 0,
): Rig {
  const clock = new HandClock()
  const looks: Rig['looks'] = []
  const source: Liveness = {
    cost,
    async look(questions) {
      const ports = questions.map(({ connection }) => connection.client.port)
      looks.push({ at: clock.monotonic(), ports, seen: questions.map(({ seen }) => seen) })
      return Promise.all(
        questions.map(async question => {
          const sight = await look(question, looks.length)
          return typeof sight === 'string' ? { state: sight } : sight
        }),
      )
    },
  }
  const log = { warn: vi.fn(), info: vi.fn() }
  const logger = { ...silent, ...log } as unknown as Logger
  return {
    clock,
    looks,
    log,
    watch: new Watch({ source, name: 'fake', clock, log: logger }),
    client(port) {
      let gone = false
      const connection = { client: { address: '192.0.2.1', port }, servers: [{ address: '', port: 25 }] }
      const presence = new Presence(
        () => (port === 0 ? null : connection),
        () => {
          gone = true
        },
      )
      return Object.assign(presence, { gone: () => gone })
    },
  }
}

describe('when it looks', () => {
  it('not at all while answers come soon, and then no timer is left', async () => {
    const { watch, clock, looks, client } = rig()
    const one = client(1)
    for (let n = 0; n < 100; n++) {
      watch.begin(one)
      await clock.advance(40)
      watch.end(one)
    }
    await clock.advance(2_000)
    expect(looks).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('every second as long as somebody waits, at all who wait in one look', async () => {
    const { watch, clock, looks, client } = rig()
    const [one, two] = [client(1), client(2)]
    watch.begin(one)
    watch.begin(two)
    await clock.advance(3_000)
    watch.end(one)
    await clock.advance(1_000)
    watch.end(two)
    await clock.advance(5_000)
    expect(looks.map(({ at, ports }) => [at, ports])).toEqual([
      [1_000, [1, 2]],
      [2_000, [1, 2]],
      [3_000, [1, 2]],
      [4_000, [2]],
    ])
    expect(clock.pending).toBe(0)
  })

  it('who came a moment ago is left out of the look', async () => {
    const { watch, clock, looks, client } = rig()
    watch.begin(client(1))
    await clock.advance(700)
    watch.begin(client(2))
    await clock.advance(1_300)
    expect(looks.map(({ ports }) => ports)).toEqual([[1], [1, 2]])
  })

  it('at once at a client who is held, so that a reset right after is one of a client that was seen', async () => {
    const { watch, clock, looks, client } = rig()
    const one = client(1)
    watch.begin(one)
    watch.hurry(one)
    await clock.advance(150)
    expect(looks).toEqual([{ at: 100, ports: [1], seen: [null] }])
    await clock.advance(1_000)
    expect(looks.map(({ at }) => at)).toEqual([100, 1_100])
  })

  it('does not hurry for somebody who has his answer', async () => {
    const { watch, clock, looks, client } = rig()
    const one = client(1)
    watch.hurry(one)
    await clock.advance(5_000)
    expect(looks).toEqual([])
  })

  it('seldomer when a look costs much: a tenth of a processor at most', async () => {
    const { watch, clock, looks, client } = rig(() => 'present', 400)
    watch.begin(client(1))
    await clock.advance(10_000)
    expect(looks.map(({ at }) => at)).toEqual([1_000, 5_000, 9_000])
  })

  it('every second too where an answer only takes its time, and one look at a time', async () => {
    const times: number[][] = []
    for (const milliseconds of [400, 1_500]) {
      const { watch, clock, looks, client } = rig(
        () => new Promise(resolve => clock.after(milliseconds, () => resolve({ state: 'present' }))),
      )
      watch.begin(client(1))
      await clock.advance(8_000)
      times.push(looks.map(({ at }) => at))
    }
    expect(times).toEqual([
      [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000],
      [1_000, 4_000, 7_000],
    ])
  })

  it('not for clients that nobody can find', async () => {
    const { watch, clock, looks, client } = rig()
    watch.begin(client(0))
    await clock.advance(5_000)
    expect(looks).toEqual([])
  })

  it('never again once it is closed', async () => {
    const { watch, clock, looks, client } = rig()
    watch.begin(client(1))
    await watch.close()
    await clock.advance(5_000)
    expect(looks).toEqual([])
    expect(clock.pending).toBe(0)
  })
})

describe('what it makes of the answers', () => {
  it('gone is told once, and only of whom it was said', async () => {
    const { watch, clock, looks, client } = rig(({ connection }) => (connection.client.port === 2 ? 'gone' : 'present'))
    const [one, two] = [client(1), client(2)]
    watch.begin(one)
    watch.begin(two)
    await clock.advance(2_500)
    expect([one.gone(), two.gone()]).toEqual([false, true])
    expect(looks.map(({ ports }) => ports)).toEqual([[1, 2], [1]])
  })

  it('unknown is never gone', async () => {
    const { watch, clock, client } = rig(() => 'unknown')
    const one = client(1)
    watch.begin(one)
    await clock.advance(600_000)
    expect(one.gone()).toBe(false)
  })

  it('what was present is asked for by its name the next time, in a later wait too', async () => {
    const { watch, clock, looks, client } = rig(() => ({ state: 'present', socket: '77' }))
    const one = client(1)
    watch.begin(one)
    await clock.advance(2_000)
    watch.end(one)
    await clock.advance(10_000)
    watch.begin(one)
    await clock.advance(1_000)
    expect(looks.map(({ seen }) => seen)).toEqual([[null], ['77'], ['77']])
  })

  it('gone comes too late for somebody who has his answer', async () => {
    const { watch, clock, client } = rig(
      () => new Promise(resolve => clock.after(300, () => resolve({ state: 'gone' }))),
    )
    const one = client(1)
    watch.begin(one)
    await clock.advance(1_100)
    watch.end(one)
    await clock.advance(1_000)
    expect(one.gone()).toBe(false)
  })
})

describe('a source that does not work', () => {
  it.each([
    ['throws', () => Promise.reject(new Error('no such table')), 'no such table'],
    ['answers with nonsense', () => Promise.resolve({ state: 'perhaps' } as never), 'none of present, gone, unknown'],
  ])(
    'one that %s: nobody is gone, one line is logged, and it is asked again ever more seldom',
    async (_, answer, why) => {
      let works = false
      const { watch, clock, looks, log, client } = rig(() => (works ? 'gone' : answer()))
      const one = client(1)
      watch.begin(one)
      await clock.advance(30_000)
      expect(one.gone()).toBe(false)
      expect(looks.map(({ at }) => at)).toEqual([1_000, 3_000, 7_000, 15_000])
      expect(log.warn).toHaveBeenCalledTimes(1)
      expect(log.warn.mock.calls[0]![0]).toMatchObject({ code: 'LIVENESS_FAILED' })
      expect(log.warn.mock.calls[0]![1]).toContain(why)
      works = true
      await clock.advance(20_000)
      expect(one.gone()).toBe(true)
      expect(log.info).toHaveBeenCalledTimes(1)
    },
  )

  it('one that never answers is given 5 s', async () => {
    const { watch, clock, looks, log, client } = rig(() => new Promise(() => {}))
    const one = client(1)
    watch.begin(one)
    await clock.advance(60_000)
    expect(one.gone()).toBe(false)
    expect(log.warn.mock.calls[0]![1]).toContain('5 s')
    expect(looks.length).toBeGreaterThan(1)
    expect(looks.length).toBeLessThan(7)
  })

  it('one that answers for too few', async () => {
    const clock = new HandClock()
    const warn = vi.fn()
    const source: Liveness = { look: async () => [] }
    const watch = new Watch({ source, name: 'short', clock, log: { ...silent, warn } as unknown as Logger })
    const { client } = rig()
    watch.begin(client(1))
    await clock.advance(1_000)
    expect(warn.mock.calls[0]![1]).toContain('list of 1')
  })
})

describe('bytes that the MTA has not read', () => {
  it('once seen they are remembered, and who cannot tell changes nothing', async () => {
    const told: (boolean | undefined)[] = [undefined, false, true, false, undefined]
    const { watch, clock, client } = rig((_, count) => {
      const unread = told[count - 1]
      return { state: 'present', ...(unread === undefined ? {} : { unread }) }
    })
    const one = client(1)
    const found: (boolean | null)[] = []
    watch.begin(one)
    for (let n = 0; n < told.length; n++) {
      await clock.advance(1_000)
      found.push(one.unread)
    }
    watch.end(one)
    expect(found).toEqual([null, false, true, true, true])
  })
})
