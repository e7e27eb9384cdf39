/** `milterhost test` as a user starts it. */
import { expect, test } from 'vitest'
import { milterhost, place } from './support.ts'

const CONFIG = `import { defineConfig } from 'milterhost'
import { definePlugin, reject } from 'milterhost/plugin'
const picky = definePlugin({
  name: 'picky',
  setup: () => ({ rcpt: event => (event.recipient.address.startsWith('no') ? reject('No one here') : undefined) }),
})
export default defineConfig({ filters: [picky()] })
`
const GOOD =
  'SCENARIO nobody\nRCPT <no@example.com>\nEXPECT reject "No one"\nSCENARIO somebody\nRCPT <b@example.com>\nEND\nEXPECT accept\n'

test('says what passed, and ends with 0', () => {
  const folder = place()
  folder.file('milterhost.config.mjs', CONFIG)
  const file = folder.file('a.scenario', GOOD)
  const { code, out, err } = milterhost(['test', file, '--config', folder.path])
  expect({ code, out, err }).toEqual({ code: 0, out: '✓  nobody\n✓  somebody\n2 passed, 0 failed\n', err: '' })
})

test('says what failed, with file and line, and ends with 1', () => {
  const folder = place()
  folder.file('milterhost.config.mjs', CONFIG)
  const file = folder.file('a.scenario', `${GOOD}SCENARIO wrong\nRCPT <no@example.com>\nEXPECT accept\n`)
  const { code, out } = milterhost(['test', file, '--config', folder.path, '--only', 'wrong'])
  expect(code).toBe(1)
  expect(out).toMatch(
    /^✗ {2}wrong\n {5}\S+a\.scenario:10: answered reject 550 5\.7\.1 No one here, not accept\n0 passed, 1 failed\n$/,
  )
})

test('a scenario that an MTA cannot play is named, JSON says the same', () => {
  const folder = place()
  const file = folder.file(
    'a.scenario',
    'SCENARIO of a client\nCONNECT 192.0.2.7\nRCPT <b@example.com>\nEXPECT accept\n',
  )
  const said = milterhost(['test', file, '--smtp', '127.0.0.1:9'])
  expect(said.out).toBe(
    '-  of a client: not played, who the client is cannot be chosen\n0 passed, 0 failed, 1 not played\n',
  )
  const json = JSON.parse(milterhost(['test', file, '--smtp', '127.0.0.1:9', '--json']).out) as object[]
  expect(json).toMatchObject([{ title: 'of a client', outcome: 'not played', line: 1 }])
})

test('a bad file or a bad command line ends with 2', () => {
  const folder = place()
  const file = folder.file('a.scenario', 'RCTP <b@example.com>\n')
  expect(milterhost(['test', file])).toMatchObject({
    code: 2,
    err: expect.stringContaining('a.scenario:1: RCTP is no command; did you mean "RCPT"?'),
  })
  expect(milterhost(['test', `${file}.none`])).toMatchObject({ code: 2 })
  expect(milterhost(['test', file, '--smtp', 'nowhere'])).toMatchObject({ code: 2 })
  expect(milterhost(['test'])).toMatchObject({ code: 2 })
})
