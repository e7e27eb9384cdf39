// Clients that speak before the greeting while they wait at connect.

import { definePlugin } from 'milterhost/plugin'
import { describe, expect, it } from 'vitest'
import { EARLY_TALKER, type TarpitOptions } from '../src/index.ts'
import { Stand, SUSPECT } from './stand.ts'

const EARLY = { ...SUSPECT, spokeEarly: true }
const PATIENT = { ...SUSPECT, spokeEarly: false }
const TEST: TarpitOptions = { at: 'connect', hold: 5, earlyTalkers: true }

async function stand(
  options: TarpitOptions,
  more: { mode?: 'observe'; holds?: { max: number } } = {},
): Promise<{ tarpit: Stand; published: unknown[] }> {
  const published: unknown[] = []
  const reader = definePlugin({
    name: 'later',
    setup: () => ({
      rcpt: event => {
        published.push(event.result(EARLY_TALKER))
      },
    }),
  })
  // At RCPT a filter after the tarpit is not asked about who is put off.
  const before = definePlugin({
    name: 'helo',
    setup: () => ({
      helo: event => {
        published.push(event.result(EARLY_TALKER))
      },
    }),
  })
  return { tarpit: await Stand.start(options, { after: [before(), reader()], ...more }), published }
}

describe('who speaks before the greeting', () => {
  it('is told to later filters, is greylisted though it stayed, and passes when it comes again', async () => {
    const { tarpit, published } = await stand(TEST)
    expect(await tarpit.send(EARLY)).toMatchObject({ kind: 'tempfail', held: 5 })
    expect(tarpit.decisions).toEqual(['early-talker', 'put-off'])
    expect(published).toEqual([true])
    await tarpit.clock.advance('6m')
    expect(await tarpit.send(EARLY)).toMatchObject({ kind: 'continue', held: 5 })
    expect(tarpit.decisions.slice(2)).toEqual(['early-talker', 'came-again'])
    expect(tarpit.counter('credits_total')).toEqual({})
  })

  it('goes on with starpit, and earns nothing', async () => {
    const { tarpit, published } = await stand({ ...TEST, mode: 'starpit' })
    for (let n = 0; n < 2; n++) expect(await tarpit.send(EARLY)).toMatchObject({ kind: 'continue', held: 5 })
    expect(tarpit.decisions).toEqual(['early-talker', 'early-talker'])
    expect(published).toEqual([true, true, true, true])
  })

  it.each([
    ['waits its turn', PATIENT, TEST],
    ['cannot be looked at', SUSPECT, TEST],
    ['speaks early where nobody asked for the test', EARLY, { ...TEST, earlyTalkers: false }],
  ])('one who %s has waited', async (_, client, options) => {
    const { tarpit, published } = await stand(options)
    expect(await tarpit.send(client)).toMatchObject({ kind: 'continue', held: 5 })
    expect(tarpit.decisions).toEqual(['waited', 'credited'])
    expect(published).toEqual([undefined, undefined])
  })

  it('is not looked for in observe mode, where nobody waits', async () => {
    const { tarpit, published } = await stand(TEST, { mode: 'observe' })
    expect(await tarpit.send(EARLY)).toMatchObject({ kind: 'continue', held: 0 })
    expect(published).toEqual([undefined, undefined])
  })
})

it('what an event tells of it is there at connect only, and not when the hook has answered', async () => {
  const told: unknown[] = []
  let late: (() => unknown) | null = null
  const asking = definePlugin({
    name: 'asking',
    setup: () => ({
      async connect(event) {
        told.push(event.spokeEarly)
        await event.hold(2)
        told.push(event.spokeEarly)
        late = () => event.spokeEarly
      },
      helo(event) {
        told.push(late?.())
        return void (event as unknown as { spokeEarly: unknown }).spokeEarly
      },
    }),
  })
  const tarpit = await Stand.start({ mode: 'rgrey' }, { after: [asking()] })
  const verdict = await tarpit.patiently(tarpit.host.deliver({ client: EARLY }))
  expect(told).toEqual([null, true, null])
  expect(verdict.verdict.kind).toBe('tempfail')
  expect(JSON.stringify(tarpit.host.events)).toContain(
    'event.spokeEarly is not there in the hook helo, only in connect',
  )
})
