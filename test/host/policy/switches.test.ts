import { expect, test } from 'vitest'
import { readSwitch, readSwitches } from '../../../src/host/policy/switches.ts'

test.each([
  [true, true],
  [1, true],
  [0n, false],
  ['Yes', true],
  [' off ', false],
  ['OK', true],
  ['t', true],
  [['no'], false],
  ['{"wait": 60}', { wait: 60 }],
  [{ wait: 60 }, { wait: 60 }],
])('%o as a switch', (value, expected) => {
  expect(readSwitch(value)).toEqual(expected)
})

test.each([['of'], [2], [null], [undefined], [['yes', 'no']], ['{'], ['[1]'], [Symbol.iterator], [() => true]])(
  '%o is no switch',
  value => {
    expect(() => readSwitch(value)).toThrow(RangeError)
  },
)

const off = { greylist: false, spf: true }

test.each([
  ['greylist=off spf=on'],
  ['-greylist, +spf'],
  ['!greylist spf'],
  ['{"greylist": false, "spf": "yes"}'],
  [{ greylist: 'off', spf: 1 }],
  [['greylist=off', 'spf']],
  [
    [
      { filter: 'greylist', enabled: 0, options: null },
      { filter: 'spf', enabled: true, options: '' },
    ],
  ],
])('%o as filters', value => {
  expect({ ...readSwitches(value) }).toEqual(off)
})

test('a row may bring options, which mean on', () => {
  const rows = [
    { filter: 'greylist', enabled: 1, options: '{"wait":60}' },
    { filter: 'spf', enabled: 0, options: '{"x":1}' },
  ]
  expect({ ...readSwitches(rows) }).toEqual({ greylist: { wait: 60 }, spf: false })
})

test('names that mean something to JavaScript are names', () => {
  const switches = readSwitches('constructor=off __proto__=on')
  expect(switches.constructor).toBe(false)
  expect(Object.keys(switches)).toEqual(['constructor', '__proto__'])
  expect(readSwitches('spf').constructor).toBeUndefined()
})

test.each([
  ['greylist=of'],
  ['-greylist=on'],
  ['=on'],
  [7],
  [null],
  [[{ filter: '' }]],
  ['spf=on spf=off'],
  [[{ filter: 'x', options: '[]' }]],
])('%o names no filters', value => {
  expect(() => readSwitches(value)).toThrow(RangeError)
})
