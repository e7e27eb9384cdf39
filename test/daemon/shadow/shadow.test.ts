/** A shadow that falls behind, ends, or differs all the time: what is kept for it, what is left out and counted, and what is logged. */
import { expect, it } from 'vitest'
import type { SessionTap } from '../../../src/daemon/generation.ts'
import { Shadow, type ShadowAnswer } from '../../../src/daemon/shadow/shadow.ts'
import { MacroStore } from '../../../src/host/macros.ts'
import { createLog } from '../../../src/host/observe/output.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import type { RecordedSession } from '../../../src/testing/recording/recorded.ts'
import type { MessageChange } from '../../../src/testing/replay/compare.ts'

interface Stand {
  readonly shadow: Shadow
  readonly clock: ReturnType<typeof fakeClock>
  readonly logs: readonly Record<string, unknown>[]
  /** Sessions that the thread was given. */
  readonly played: RecordedSession[]
  readonly ended: string[]
  answer(answer: ShadowAnswer): void
  /** The thread is through with so many. */
  through(sessions: number, ...changes: readonly MessageChange[]): void
}

function stand(): Stand {
  const clock = fakeClock()
  const logs: Record<string, unknown>[] = []
  const write = (line: string): void => void logs.push(JSON.parse(line) as Record<string, unknown>)
  const log = createLog({ clock, level: 'info', format: 'json', write })
  const played: RecordedSession[] = []
  const ended: string[] = []
  let heard: (answer: ShadowAnswer) => void = () => {}
  const shadow = new Shadow(
    (file, told) => {
      heard = told
      return { play: session => void played.push(session), end: () => void ended.push(file) }
    },
    { clock, log },
  )
  shadow.configure('/etc/milterhost/new.config.ts')
  const answer = (said: ShadowAnswer): void => heard(said)
  answer({ kind: 'ready' })
  return {
    shadow,
    clock,
    logs,
    played,
    ended,
    answer,
    through(sessions, ...changes) {
      for (let n = 0; n < sessions; n++) answer({ kind: 'played', messages: 1, changes })
    },
  }
}

const opened = (tap: SessionTap | null, bytes = 0): SessionTap | null => {
  tap?.notes.begin({ kind: 'helo', name: 'x' }, new MacroStore())
  if (bytes > 0) tap?.notes.field('X-Large', 'a'.repeat(bytes))
  return tap
}

const over = (tap: SessionTap | null): void =>
  tap?.observe({ type: 'session-closed', session: '', message: null, messages: 0, milliseconds: 0 })

const session = (shadow: Shadow, bytes = 0): void => over(opened(shadow.begin('s'), bytes))

const change = (to: string, sender = '<a@example.org>'): MessageChange => ({
  sender,
  recipients: ['<b@example.com>'],
  outcome: {
    from: { verdict: 'accept', reply: null, by: null },
    to: { verdict: 'reject', reply: '550', by: 'strict' },
  },
  answers: [],
  filters: [{ filter: 'strict', from: '-', to, edits: [] }],
})

it('a shadow that falls behind is given no more than 1,000; the others are left out and counted', () => {
  const { shadow, played, through } = stand()
  for (let n = 0; n < 1_005; n++) session(shadow)
  expect(played.length).toBe(1_000)
  expect(shadow.status).toMatchObject({ state: 'running', sessions: 0, dropped: 5 })
  through(10)
  for (let n = 0; n < 15; n++) session(shadow)
  expect(played.length).toBe(1_010)
  expect(shadow.status).toMatchObject({ sessions: 10, dropped: 10 })
})

it('sessions that were open when it fell behind are left out when they end', () => {
  const { shadow, played } = stand()
  const early = opened(shadow.begin('early'))
  for (let n = 0; n < 1_000; n++) session(shadow)
  over(early)
  expect(played.length).toBe(1_000)
  expect(shadow.status).toMatchObject({ dropped: 1 })
})

it('large sessions stop at 64 MiB, and one at 16 MiB; what was played makes room again', () => {
  const { shadow, played, through } = stand()
  const MiB = 1024 * 1024
  session(shadow, 17 * MiB)
  expect(played.length).toBe(0)
  expect(shadow.status).toMatchObject({ dropped: 1 })
  for (let n = 0; n < 6; n++) session(shadow, 15 * MiB)
  expect(played.length).toBe(4)
  expect(shadow.status).toMatchObject({ dropped: 3 })
  through(4)
  for (let n = 0; n < 4; n++) session(shadow, 15 * MiB)
  expect(played.length).toBe(8)
  expect(shadow.status).toMatchObject({ sessions: 4, dropped: 3 })
})

it('what waits when it ends is counted as left out, and nothing is kept for it after that', () => {
  const { shadow, logs, answer } = stand()
  const open = opened(shadow.begin('open'))
  for (let n = 0; n < 7; n++) session(shadow)
  answer({ kind: 'failed', why: 'it has had enough' })
  over(open)
  expect(shadow.begin('later')).toBe(null)
  expect(shadow.status).toMatchObject({ state: 'stopped', reason: 'it has had enough', dropped: 8 })
  expect(logs.map(({ level, code }) => [level, code])).toEqual([['warn', 'SHADOW_STOPPED']])
})

it('a reload begins anew: what is open for the one before is not given to the next', () => {
  const { shadow, played, ended } = stand()
  const open = opened(shadow.begin('open'))
  for (let n = 0; n < 1_000; n++) session(shadow)
  shadow.configure('/etc/milterhost/newer.config.ts')
  expect(ended).toEqual(['/etc/milterhost/new.config.ts'])
  over(open)
  for (let n = 0; n < 3; n++) session(shadow)
  expect(played.length).toBe(1_003)
  expect(shadow.status).toMatchObject({ file: '/etc/milterhost/newer.config.ts', state: 'starting', sessions: 0 })
})

it('logs ten messages a minute of each kind of difference, and how many it left out', async () => {
  const { shadow, clock, logs, through } = stand()
  const differ = (times: number, to: string): void => {
    for (let n = 0; n < times; n++) {
      session(shadow)
      through(1, change(to, `<${n}@example.org>`))
    }
  }
  differ(50, 'reject 550 5.7.0')
  differ(1, 'failed')
  expect(logs.length).toBe(11)
  expect(logs[9]).toMatchObject({
    level: 'info',
    msg: 'the shadow differs',
    session: 's',
    from: '<9@example.org>',
    filters: ['strict: - → reject 550 5.7.0'],
  })
  expect(logs[10]).toMatchObject({ from: '<0@example.org>', filters: ['strict: - → failed'] })
  expect(shadow.status).toMatchObject({ different: 51 })
  await clock.advance('1m')
  differ(2, 'reject 550 5.7.0')
  expect(logs.slice(11).map(({ unsaid }) => unsaid)).toEqual([40, undefined])
})
