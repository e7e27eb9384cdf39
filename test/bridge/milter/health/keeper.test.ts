/**
 * What the keeper does and when, with time moved by hand and a milter that is as the test says.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import type { ProcessControl, ProcessStatus } from '../../../../src/bridge/launch/control.ts'
import { type HealthChange, Keeper, type Launch, type Prober } from '../../../../src/bridge/milter/health/keeper.ts'
import { type HostError, hostError } from '../../../../src/host/errors.ts'
import { Entry } from '../../../../src/host/roster.ts'
import { type FakeClock, fakeClock } from '../../../../src/testing/clock.ts'

type Condition = 'well' | 'absent' | 'forbidden' | 'silent' | 'disagreeing'

function refusal(code: string): HostError {
  const error = hostError('MILTER_CONNECT', 'ext', 'unix:/x', 'gone')
  error.cause = Object.assign(new Error(code), { code })
  return error
}

class Milter implements Prober {
  readonly name = 'ext'
  launch: Launch | null = null
  interval: number | null = null
  condition: Condition = 'well'
  /** When it was asked, in seconds of the clock. */
  readonly asked: number[] = []
  readonly changes: string[] = []
  readonly complaints: string[] = []
  readonly #clock: FakeClock

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  async ask(signal: AbortSignal): Promise<void> {
    this.asked.push(this.#clock.monotonic() / 1_000)
    if (this.condition === 'absent') throw refusal('ENOENT')
    if (this.condition === 'forbidden') throw refusal('EACCES')
    if (this.condition === 'disagreeing') throw hostError('MILTER_NEGOTIATION', 'ext', 'no')
    if (this.condition === 'well') return
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#clock.after(4_000, () => {
        if (this.condition === 'well') resolve()
        else reject(hostError('MILTER_CONNECT_TIMEOUT', 'ext', 'unix:/x', 4))
      })
      signal.addEventListener('abort', () => {
        cancel()
        reject(hostError('INTERRUPTED', 'ext', 'connecting', 'closed'))
      })
    })
  }

  changed({ was, state }: HealthChange): void {
    this.changes.push(`${was} > ${state}`)
  }

  complain({ message }: Error): void {
    this.complaints.push(message)
  }
}

/** The process of the milter: what is ordered happens half a second later. */
class Process implements ProcessControl {
  readonly description = 'test'
  readonly orders: string[] = []
  after: Condition = 'well'
  failure: Error | null = null
  state: ProcessStatus['state'] = 'running'
  closed = 0
  readonly #milter: Milter
  readonly #clock: FakeClock

  constructor(milter: Milter, clock: FakeClock) {
    this.#milter = milter
    this.#clock = clock
  }

  async start(): Promise<void> {
    this.#order('start')
  }

  async stop(): Promise<void> {
    this.#order('stop')
  }

  async restart(): Promise<void> {
    this.#order('restart')
  }

  async status(): Promise<ProcessStatus> {
    return { state: this.state, pid: null, detail: `it is ${this.state}` }
  }

  async close(): Promise<void> {
    this.closed += 1
  }

  #order(what: string): void {
    this.orders.push(`${what} at ${this.#clock.monotonic() / 1_000}`)
    if (this.failure !== null) throw this.failure
    this.#milter.condition = 'absent'
    this.#clock.after(500, () => {
      this.#milter.condition = this.after
    })
  }
}

let clock: FakeClock
let milter: Milter
let keeper: Keeper
let control: Process

beforeEach(() => {
  clock = fakeClock()
  milter = new Milter(clock)
  control = new Process(milter, clock)
  // In the middle: no pause is longer or shorter than it is said to be.
  keeper = new Keeper(clock, () => 0.5)
  keeper.join(milter)
})

const closed = hostError('MILTER_CLOSED', 'ext', 'eom')
const refused = refusal('ENOENT')
const launched = (key = 'one'): Launch => ({ key, control: () => control })
const lose = (): void => keeper.failed(closed, null)

/** What was set going has run; time stands still. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

/** As the daemon does it at the start. */
async function learn(): Promise<void> {
  keeper.serve(milter)
  await milter.ask(new AbortController().signal).then(
    () => keeper.found(null),
    error => keeper.found(error),
  )
  await settled()
}

describe('probes', () => {
  test('there is none, and no timer, while all is well', async () => {
    await learn()
    for (let n = 0; n < 50; n++) {
      keeper.begin()
      keeper.heard += 1
      keeper.end()
      keeper.worked()
      await clock.advance(1)
    }
    expect(milter.asked).toEqual([0])
    await clock.advance(10)
    expect(clock.pending).toBe(0)
  })

  test('one is made at once when a session fails, and the milter that answers stays up', async () => {
    await learn()
    await clock.advance(5)
    lose()
    await clock.advance(60)
    expect(milter.asked).toEqual([0, 5])
    expect(milter.changes).toEqual(['unknown > up'])
    expect(keeper.refusal('ext')).toBeNull()
  })

  test('a milter that is gone is probed again and again, with pauses that grow to 2.5 s, until it is back', async () => {
    milter.condition = 'absent'
    await learn()
    await clock.advance(12)
    expect(milter.asked).toEqual([0, 0.25, 0.75, 1.75, 3.75, 6.25, 8.75, 11.25])
    milter.condition = 'well'
    await clock.advance(60)
    expect(milter.asked).toHaveLength(9)
    expect(milter.changes).toEqual(['unknown > down', 'down > up'])
    expect(clock.pending).toBe(0)
  })

  test('one that stops answering while sessions wait is found wedged within ten seconds', async () => {
    await learn()
    keeper.begin()
    await clock.advance(1)
    keeper.heard += 1
    milter.condition = 'silent'
    await clock.advance(9)
    expect(keeper.health.state).toBe('wedged')
  })

  test('one that is slow with what it has and answers probes stays up', async () => {
    await learn()
    keeper.begin()
    await clock.advance(60)
    expect(keeper.health.state).toBe('up')
    keeper.end()
    const { length } = milter.asked
    await clock.advance(60)
    expect(milter.asked).toHaveLength(length)
  })

  test('nobody is probed because the client left, or because milterhost ends', async () => {
    await learn()
    const error = hostError('INTERRUPTED', 'ext', 'mail', 'gone')
    keeper.failed(error, AbortSignal.abort({ kind: 'client-left', detail: '' }))
    await clock.advance(60)
    expect(milter.asked).toEqual([0])
  })

  test('at times, when asked for, a milter that nobody speaks to', async () => {
    milter.interval = 60_000
    await learn()
    await clock.advance(90)
    keeper.heard += 1
    await clock.advance(90)
    expect(milter.asked).toEqual([0, 60, 180])
  })

  test('end with the keeper', async () => {
    milter.condition = 'silent'
    milter.interval = 1_000
    keeper.serve(milter)
    keeper.begin()
    keeper.look()
    await keeper.close()
    await clock.advance(60)
    expect(milter.asked).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })
})

describe('mail', () => {
  test('goes to a milter that failed once, and to none that failed four times in a row', async () => {
    await learn()
    milter.condition = 'absent'
    keeper.failed(refused, null)
    await settled()
    expect(keeper.refusal('ext')).toBeNull()
    await clock.advance(1)
    const refusal = keeper.refusal('ext') as HostError
    expect(refusal.code).toBe('MILTER_DOWN')
    expect(refusal.message).toMatch(/down for 1 s: filter ext cannot be reached/)
    milter.condition = 'well'
    await clock.advance(3)
    expect(keeper.refusal('ext')).toBeNull()
  })

  test('brings the next probe of an absent milter forward', async () => {
    milter.condition = 'absent'
    await learn()
    await clock.advance(4)
    expect(milter.asked.at(-1)).toBe(3.75)
    milter.condition = 'well'
    expect(keeper.refusal('ext')).not.toBeNull()
    await settled()
    expect(milter.asked.at(-1)).toBe(4)
    expect(keeper.refusal('ext')).toBeNull()
  })

  test('on connections that are open asks nothing more of a wedged milter until it says something', async () => {
    await learn()
    expect(keeper.shut('ext')).toBeNull()
    milter.condition = 'silent'
    keeper.look()
    await clock.advance(5)
    expect((keeper.shut('ext') as HostError).code).toBe('MILTER_DOWN')
    keeper.heard += 1
    expect(keeper.shut('ext')).toBeNull()
    expect(keeper.refusal('ext')).toBeNull()
    expect(keeper.health.state).toBe('wedged')
    await clock.advance(5)
    expect((keeper.shut('ext') as HostError).code).toBe('MILTER_DOWN')
  })

  test('that waits for a connection waits no longer when the milter is found wedged', async () => {
    await learn()
    const told: string[] = []
    keeper.opening.enter(new Entry((error: HostError) => told.push(error.code)))
    const places = keeper.places(1)
    places.take(new AbortController().signal, () => new Error('late'))
    const wait = Promise.resolve(places.take(new AbortController().signal, () => new Error('late')))
    const queued = wait.catch((error: HostError) => told.push(error.code))
    milter.condition = 'silent'
    keeper.look()
    await clock.advance(5)
    await queued
    expect(told).toEqual(['MILTER_DOWN', 'MILTER_DOWN'])
  })

  test('that is lost again and again while probes are answered opens the breaker, and work closes it', async () => {
    await learn()
    for (let n = 0; n < 20; n++) lose()
    expect(keeper.refusal('ext')).toBeNull()
    for (let n = 0; n < 3; n++) {
      await clock.advance(1)
      lose()
    }
    expect(keeper.health.state).toBe('failing')
    expect((keeper.refusal('ext') as HostError).message).toMatch(/failing/)
    await clock.advance(1)
    expect(keeper.refusal('ext')).toBeNull()
    keeper.worked()
    expect(keeper.health.state).toBe('up')
  })
})

describe('the process', () => {
  beforeEach(() => {
    milter.launch = launched()
  })

  test('of a milter that is not there at the start is started at once', async () => {
    milter.condition = 'absent'
    await learn()
    expect(control.orders).toEqual(['start at 0'])
    expect(keeper.health.state).toBe('starting')
    expect(keeper.health.reason).toMatch(/^start by test; .*cannot be reached/)
    await clock.advance(1)
    expect(keeper.health.state).toBe('up')
  })

  test('of a milter that was killed is started again, the sooner the longer it was well', async () => {
    await learn()
    for (let n = 0; n < 4; n++) {
      milter.condition = 'absent'
      lose()
      await clock.advance(10)
      expect(keeper.health.state).toBe('up')
    }
    // Pauses of 1, 2, 4 and 8 s after each start.
    expect(control.orders).toEqual(['start at 0', 'start at 10', 'start at 20', 'start at 30'])
    milter.condition = 'absent'
    lose()
    await settled()
    expect(control.orders).toHaveLength(5)
    await clock.advance(1)
    milter.condition = 'absent'
    lose()
    await clock.advance(14)
    expect(control.orders).toHaveLength(5)
    await clock.advance(4)
    expect(control.orders).toHaveLength(6)
    await clock.advance(120)
    milter.condition = 'absent'
    lose()
    await settled()
    expect(control.orders).toHaveLength(7)
  })

  test('of a wedged milter is started anew when a second probe has confirmed it', async () => {
    await learn()
    milter.condition = 'silent'
    keeper.look()
    await clock.advance(4)
    expect(keeper.health.state).toBe('wedged')
    expect(control.orders).toEqual([])
    await clock.advance(4.3)
    expect(control.orders).toEqual(['restart at 8.25'])
    await clock.advance(1)
    expect(keeper.health.state).toBe('up')
  })

  test('is left alone while the milter answers, whatever it does with mail', async () => {
    await learn()
    for (let n = 0; n < 10; n++) lose()
    milter.condition = 'disagreeing'
    await clock.advance(60)
    lose()
    await clock.advance(60)
    expect(keeper.health.state).toBe('failing')
    expect(control.orders).toEqual([])
  })

  test('that ends at once is not waited for, and started again after pauses that grow to a minute', async () => {
    milter.condition = 'absent'
    control.after = 'absent'
    control.state = 'failed'
    await learn()
    expect(keeper.health.state).toBe('down')
    expect(keeper.health.reason).toMatch(/was started and does not work: test: it is failed/)
    await clock.advance('10m')
    expect(control.orders.every(order => order.startsWith('start at '))).toBe(true)
    const at = control.orders.map(order => Number(order.split(' ')[2]))
    const pauses = at.slice(1).map((time, n) => time - (at[n] as number))
    expect(pauses.slice(0, 6).every((pause, n) => pause >= 2 ** n && pause < 2 ** n + 2.6)).toBe(true)
    expect(pauses.slice(6).every(pause => pause >= 60 && pause < 63)).toBe(true)
    expect(pauses.length).toBeGreaterThan(10)
  })

  test('that runs has five minutes to its first answer, and is then started anew', async () => {
    milter.condition = 'absent'
    control.after = 'absent'
    await learn()
    await clock.advance(295)
    expect(keeper.health.state).toBe('starting')
    await clock.advance(10)
    expect(milter.changes.slice(0, 3)).toEqual(['unknown > down', 'down > starting', 'starting > down'])
    expect(control.orders).toHaveLength(2)
    expect(control.orders[1]).toMatch(/^restart at 30\d/)
  })

  test('of which nobody can say whether it runs has 30 s, and is only started again', async () => {
    milter.condition = 'absent'
    control.after = 'absent'
    control.state = 'unknown'
    await learn()
    await clock.advance(29)
    expect(keeper.health.state).toBe('starting')
    await clock.advance(5)
    expect(control.orders).toHaveLength(2)
    expect(control.orders[1]).toMatch(/^start at 3\d/)
  })

  test('is left alone when it cannot be known whether the milter is there', async () => {
    milter.condition = 'forbidden'
    await learn()
    await clock.advance(60)
    expect(keeper.health.state).toBe('down')
    expect(control.orders).toEqual([])
  })

  test('that cannot be started says so, and the milter is looked for all the same', async () => {
    milter.condition = 'absent'
    control.failure = new Error('not allowed')
    await learn()
    expect(keeper.health).toMatchObject({ state: 'down', reason: 'not allowed' })
    await clock.advance(0.2)
    milter.condition = 'well'
    await clock.advance(2)
    expect(keeper.health.state).toBe('up')
  })

  test('is started anew when asked for, and the answer comes when it works', async () => {
    await learn()
    let over = false
    const restarted = keeper.restart('ext').then(() => {
      over = true
    })
    await clock.advance(0.4)
    expect(over).toBe(false)
    await clock.advance(1)
    await restarted
    expect(control.orders).toEqual(['restart at 0'])
    expect(milter.changes).toEqual(['unknown > up', 'up > starting', 'starting > up'])
  })

  test('is not asked before the process that was there has ended, and then started', async () => {
    milter.launch = launched()
    const { promise: former, resolve: ended } = Promise.withResolvers<void>()
    const next = new Keeper(clock, () => 0.5, former)
    next.join(milter)
    next.serve(milter)
    const met = next.met()
    next.look()
    await clock.advance(1)
    expect(milter.asked).toEqual([])
    milter.condition = 'absent'
    ended()
    await clock.advance(2)
    await met
    expect(control.orders).toEqual(['start at 1'])
    expect(next.health.state).toBe('up')
  })

  test('that does not come back when it was asked for is told', async () => {
    await learn()
    control.state = 'failed'
    control.after = 'absent'
    await expect(keeper.restart('ext')).rejects.toMatchObject({ code: 'MILTER_NOT_STARTED' })
  })

  test('is of nobody when the entry does not say how, and that is told', async () => {
    const other = new Milter(clock)
    const plain = new Keeper(clock, () => 0.5)
    plain.join(other)
    plain.serve(other)
    await expect(plain.restart('ext')).rejects.toMatchObject({ code: 'MILTER_NO_LAUNCH' })
  })

  test('goes on over a reload, is reached anew when the entry says otherwise, and ends with the keeper', async () => {
    await learn()
    const next = new Milter(clock)
    next.launch = launched()
    keeper.join(next)
    keeper.serve(next)
    keeper.part(milter)
    expect(control.closed).toBe(0)
    const former = control
    control = new Process(next, clock)
    const third = new Milter(clock)
    third.launch = launched('two')
    keeper.join(third)
    expect(former.closed).toBe(0)
    keeper.serve(third)
    expect(former.closed).toBe(1)
    keeper.part(next)
    await keeper.close()
    expect([former.closed, control.closed]).toEqual([1, 1])
  })

  test('is not touched by a configuration that never served', async () => {
    await learn()
    const broken = new Milter(clock)
    broken.launch = launched('two')
    keeper.join(broken)
    keeper.part(broken)
    expect(control.closed).toBe(0)
    milter.condition = 'absent'
    lose()
    await clock.advance(1)
    expect(broken.asked).toEqual([])
    expect(control.orders).toEqual(['start at 0'])
  })
})
