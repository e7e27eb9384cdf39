import { describe, expect, it } from 'vitest'
import { withLines } from '../../../src/host/config/where.ts'

const TEXT = `import { defineConfig, socket } from 'milterhost'
import greylist from 'milter-plugin-greylist'
// limits: { body: 1 }
const limits = { body: '1MiB' } /* filters: [] */

export default defineConfig({
  listen: 'inet:10025@127.0.0.1', // http://example.org/
  limits: {
    headers: 5,
    body: -1,
  },
  filters: [
    greylist({}, { mode: 'obsrve' }),
    socket('clam-av', 'inet:7357@127.0.0.1', {
      timeouts: { end: 'never' },
    }),
    {},
  ],
  webinterface: true,
})
`

const line = (problem: string, text = TEXT): string | undefined =>
  /^line (\d+): /.exec(withLines([problem], text)[0]!)?.[1]

describe('the line of a mistake', () => {
  it.each([
    ['limits.body must be more than zero', '10'],
    ['listen: the port is missing', '7'],
    ['listen[1].mode must be permission bits', '7'],
    ['filters[0] (greylist): timeouts.end must be', '13'],
    ['webinterface is not an option', '19'],
    ['filters[0] (greylist): mode must be "enforce" or "observe"', '13'],
    ['filters[1] (clam-av): timeouts.end must be a length of time', '15'],
    ['filters[1] (clam-av): the options must be an object', '14'],
    ['filters[2] is a plain object', '12'],
    ['filters[7] (elsewhere): mode must be', '12'],
    ['must export an object', undefined],
    ['spool.memory must be a size', undefined],
  ])('of "%s" is %s', (problem, expected) => expect(line(problem)).toBe(expected))

  it('is found in an object that is exported afterwards', () => {
    expect(line('limits.body must be', 'const config = {\n  limits: {\n    body: 0 } }\nexport default config\n')).toBe(
      '3',
    )
  })

  it('leaves the problem as it is where it is not known', () => {
    expect(withLines(['spool.memory must be a size', 'limits.body is'], TEXT)).toEqual([
      'spool.memory must be a size',
      'line 10: limits.body is',
    ])
  })
})
