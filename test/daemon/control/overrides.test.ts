import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { Overrides } from '../../../src/daemon/control/overrides.ts'
import { validateConfig } from '../../../src/host/config/validate.ts'
import { definePlugin } from '../../../src/plugin.ts'
import { LogLines } from '../../bridge/mta/support/mta.ts'
import { HandClock } from '../../host/support/clock.ts'

let folder: string
let log: LogLines
let overrides: Overrides

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'milterhost-overrides-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  log = new LogLines()
  overrides = new Overrides(join(folder, 'state', 'filters.json'), { clock: new HandClock(), log })
})

const plugin = (name: string, enabled = true): unknown =>
  definePlugin({ name, setup: () => ({ connect: () => undefined }) })({}, { enabled })

const configuration = validateConfig({ filters: [plugin('on'), plugin('off', false)] }, 'the test')

describe('switches of the postmaster', () => {
  it('are none where there is no file', () => {
    expect(overrides.read()).toEqual(new Map())
    expect(overrides.appliedTo(configuration).configuration).toBe(configuration)
  })

  it('are kept for another process, readable by the owner alone, with nothing left beside the file', () => {
    overrides.write(new Map([['on', false]]))
    const path = join(folder, 'state', 'filters.json')
    expect(new Overrides(path, { clock: new HandClock(), log }).read()).toEqual(new Map([['on', false]]))
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(folder, 'state'))).toEqual(['filters.json'])
  })

  it('win over the configuration, are marked where they contradict it, and are named where it has no such filter', () => {
    overrides.write(
      new Map([
        ['on', false],
        ['off', false],
        ['gone', true],
      ]),
    )
    const { configuration: applied, ignored } = overrides.appliedTo(configuration)
    expect(applied.entries.map(({ policy, overridden }) => [policy.name, policy.enabled, overridden ?? false])).toEqual(
      [
        ['on', false, true],
        ['off', false, false],
      ],
    )
    expect(ignored).toEqual(['gone'])
  })

  it.each(['', '{', '[]', '{"version":9,"filters":{}}', '{"version":1,"filters":{"on":"no"}}', '{"version":1}'])(
    'in a file that says %j are set aside and said, and the configuration serves as written',
    text => {
      overrides.write(new Map())
      const state = join(folder, 'state')
      writeFileSync(join(state, 'filters.json'), text)
      expect(overrides.appliedTo(configuration).configuration).toBe(configuration)
      expect(log.codes).toEqual(['CONTROL_STATE'])
      const [aside = ''] = readdirSync(state)
      expect(aside).toMatch(/^filters\.json\.damaged-/)
      expect(readFileSync(join(state, aside), 'utf8')).toBe(text)
    },
  )

  it('that cannot be written because of what is there are an error that names the file', () => {
    writeFileSync(join(folder, 'state'), '')
    expect(() => overrides.write(new Map())).toThrow(/filters\.json: it cannot be written/)
  })
})
