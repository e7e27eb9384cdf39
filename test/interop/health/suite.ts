// What holds behind both MTAs when a milter is killed, stopped, or absent at the start, under a steady load. The MTA is set to let
// through what a broken milter cannot judge: what arrives without the milter's mark was wrongly accepted.

import { type ChildProcess, spawn } from 'node:child_process'
import { socket } from 'milterhost'
import { beforeAll, describe, expect, test } from 'vitest'
import { arrived } from '../chain/letter.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import { type Mta, onCleanup, sleep, until } from '../harness/index.ts'
import { newPidOf, pidOf, type Startable, startable, startLoad, type Told } from './load.ts'

interface Site {
  milter: Startable
  host: RunningHost
  mta: Mta
  /** All that was told so far. */
  told: Told[]
}

export interface Surroundings {
  start(host: RunningHost): Promise<Mta>
  /** Messages a second. */
  rate: number
}

/** With `launch`, milterhost starts the milter; else the test does. */
async function start(launch: boolean, around: Surroundings): Promise<Site> {
  const milter = startable()
  const options = launch ? { launch: { command: milter.command } } : {}
  const host = await startHost({ filters: [socket('doomed', milter.address, options)] })
  return { milter, host, mta: await around.start(host), told: [] }
}

const isUp = ({ host }: Site): Promise<void> => host.waitFor('the milter is up', () => stateOf(host) === 'up')
const stateOf = (host: RunningHost): string | undefined => host.eventsOf('health-changed').at(-1)?.state

/** Every message was taken, or put off in words; what was taken has the mark, and nothing else arrived. */
async function nothingSlippedThrough({ mta, told: all }: Site, told: readonly Told[]): Promise<Told[]> {
  all.push(...told)
  const taken = all.filter(({ code }) => code === 250)
  const putOff = told.filter(({ code }) => code !== 250)
  for (const { text } of putOff) expect(text).toMatch(/^451 4\.7\.1 .*Service unavailable - try again later\r\n$/)
  const deliveries = (await mta.waitForDeliveries(taken.length)).map(arrived)
  const subjects = deliveries.map(message => message.all('Subject').join())
  expect(subjects.toSorted()).toEqual(taken.map(({ subject }) => subject).toSorted())
  const unmarked = deliveries.filter(message => message.all('X-Rig-Milter').join() !== 'pymilter')
  expect(unmarked).toEqual([])
  return putOff
}

export function milterInTrouble(around: Surroundings): void {
  const loadOn = (site: Site): ReturnType<typeof startLoad> => startLoad(site.mta.port, { rate: around.rate })

  describe('a milter that milterhost starts', () => {
    let site: Site
    beforeAll(async () => {
      site = await start(true, around)
      await isUp(site)
    })

    test('and that is killed three times is there again, and each message it cost was told 451', async () => {
      const load = await loadOn(site)
      let killed = pidOf(site.milter)!
      for (let n = 0; n < 3; n++) {
        await sleep(2)
        // So many that some are in its hands, whatever the machine does.
        await until(
          'mail goes through',
          () => load.told.filter(({ code, at }) => code === 250 && at > load.now() - 2).length > 5,
        )
        const at = load.now()
        process.kill(killed, 'SIGKILL')
        killed = await newPidOf(site.milter, killed)
        await until('mail goes through again', () => load.told.some(told => told.code === 250 && told.at > at))
      }
      const told = await load.stop()
      const putOff = await nothingSlippedThrough(site, told)
      const rate = (told.length / load.now()).toFixed(1)
      console.info(`${site.mta.kind}: ${told.length} messages, ${rate} a second, ${putOff.length} of them told 451`)
      expect(putOff.length).toBeGreaterThanOrEqual(3)
      expect(told.length).toBeGreaterThan(100)
      const failed = site.host.eventsOf('filter-failed')
      expect(failed).toHaveLength(putOff.length)
      const changes = site.host.eventsOf('health-changed').map(({ state }) => state)
      // The first start and one for each death; another where a busy machine lets a start take too long.
      expect(changes.filter(state => state === 'starting').length).toBeGreaterThanOrEqual(4)
      expect(changes.at(-1)).toBe('up')
    })

    test('and that is stopped is found wedged in time and started anew, and mail it cost was told 451', async () => {
      const load = await loadOn(site)
      await until('mail goes through', () => load.told.some(({ code }) => code === 250))
      const before = site.host.events.length
      const stopped = pidOf(site.milter)!
      const at = load.now()
      process.kill(stopped, 'SIGSTOP')
      const wedged = (): boolean =>
        site.host.events.slice(before).some(event => event.type === 'health-changed' && event.state === 'wedged')
      await site.host.waitFor('it is wedged', wedged)
      // It takes 8 seconds at most, which the keeper's own tests hold it to; here for a busy machine.
      const found = load.now()
      expect(found - at).toBeLessThan(15)
      // From then on nobody waits.
      const told = await until('somebody is told', () => load.told.find(one => one.code === 451 && one.at > found))
      expect(told.took).toBeLessThan(10)
      await newPidOf(site.milter, stopped)
      await isUp(site)
      const putOff = await nothingSlippedThrough(site, await load.stop())
      expect(putOff.length).toBeGreaterThanOrEqual(1)
    })
  })

  describe('a milter that nobody but the postmaster starts', () => {
    let site: Site
    let process_: ChildProcess
    const begin = (): void => {
      const [program = '', ...args] = site.milter.command
      process_ = spawn(program, args, { stdio: 'ignore' })
      onCleanup(() => void process_.kill('SIGKILL'))
    }
    beforeAll(async () => {
      site = await start(false, around)
    })

    test('and that comes after milterhost is used when it is there', async () => {
      const load = await loadOn(site)
      await until('mail is put off', () => load.told.some(({ code }) => code === 451))
      await until('nobody tries any more', () =>
        site.host.eventsOf('filter-failed').some(({ code }) => code === 'MILTER_DOWN'),
      )
      begin()
      await isUp(site)
      const putOff = await nothingSlippedThrough(site, await load.stop())
      expect(putOff.length).toBeGreaterThan(1)
    })

    test('and that is stopped and goes on is used again, and mail that it had is not lost', async () => {
      const load = await loadOn(site)
      await until('mail goes through', () => load.told.some(({ code }) => code === 250))
      process_.kill('SIGSTOP')
      await site.host.waitFor('it is wedged', () => stateOf(site.host) === 'wedged')
      process_.kill('SIGCONT')
      await isUp(site)
      await nothingSlippedThrough(site, await load.stop())
    })
  })
}
