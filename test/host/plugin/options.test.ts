/** A plugin's options: what a schema of whatever kind makes of them, and what a mistake is told as. */
import { expect, test } from 'vitest'
import { z } from 'zod'
import { definePlugin, type Schema } from '../../../src/plugin.ts'
import { create, failureOf } from './harness.ts'

const seen = async (schema: Schema | undefined, given: unknown): Promise<unknown> => {
  let got: unknown = 'nothing'
  const plugin = definePlugin({
    name: 'probe',
    ...(schema === undefined ? {} : { options: schema }),
    setup(_host, options) {
      got = options
      return {}
    },
  })
  await create((plugin as unknown as (options: unknown) => Parameters<typeof create>[0])(given))
  return got
}

const problem = async (schema: Schema | undefined, given: unknown): Promise<string> => {
  const error = await failureOf(() => seen(schema, given))
  expect(error).toMatchObject({ code: 'PLUGIN_OPTIONS' })
  expect(error?.message).toContain('plugin probe cannot be used with these options: ')
  return error!.message.replace(/^.*?options: /, '')
}

const object = z.object({
  limit: z.number().default(10),
  store: z.object({ redis: z.string() }).optional(),
})

/** A schema written by hand, by the standard alone. */
const byHand = (validate: Schema['~standard']['validate']): Schema => ({
  '~standard': { version: 1, vendor: 'nobody', validate },
})

test('defaults are filled in, and left-out options are none', async () => {
  expect(await seen(object, undefined)).toEqual({ limit: 10 })
  expect(await seen(object, { limit: 3 })).toEqual({ limit: 3 })
})

test('a wrong value is told with its option', async () => {
  expect(await problem(object, { limit: 'many' })).toContain('option limit: ')
  expect(await problem(object, { store: { redis: 5 } })).toContain('option store.redis: ')
})

test('all mistakes are told at once', async () => {
  const told = await problem(object, { limit: 'many', stores: 1 })
  expect(told).toContain('there is no option stores; did you mean "store"?')
  expect(told).toContain('option limit: ')
})

test.each([
  ['an object that drops unknown keys in silence', object],
  ['a strict object', object.strict()],
  ['an object with a default', object.default({ limit: 1 })],
  ['an object with a transformation', object.transform(value => value)],
  ['a refined object', object.refine(() => true)],
])('an unknown option of %s is an error with a suggestion', async (_what, schema) => {
  const told = await problem(schema, { limt: 3 })
  expect(told).toBe('there is no option limt; did you mean "limit"?')
})

test('an unknown option inside an optional object is found', async () => {
  expect(await problem(object, { store: { redis: 'x', reddis: 'y' } })).toBe(
    'there is no option store.reddis; did you mean "redis"?',
  )
})

const deep = z.object({
  keys: z.array(z.object({ selector: z.string().optional() })).default([]),
  domains: z.record(z.string(), z.object({ policy: z.string().optional() })).optional(),
  adaptive: z
    .union([z.boolean(), z.strictObject({ least: z.number() }), z.strictObject({ most: z.number() })])
    .optional(),
  store: z.union([z.string(), z.looseObject({ path: z.string() })]).optional(),
})

test.each([
  [{ keys: [{}, { selecter: 'k1' }] }, 'there is no option keys[1].selecter; did you mean "selector"?'],
  [
    { domains: { 'a.example': { polcy: 'none' } } },
    'there is no option domains.a.example.polcy; did you mean "policy"?',
  ],
  [
    { adaptive: { leest: 3 } },
    'there is no option adaptive.leest; did you mean "least"?; option adaptive.least: Invalid input: expected number, received undefined',
  ],
  [{ adaptive: { least: 'soon' } }, 'option adaptive.least: Invalid input: expected number, received string'],
  [{ adaptive: 'maybe' }, 'option adaptive: Invalid input: expected boolean or object, received string'],
])('inside of a list, a map or a choice a mistake is told as well: %j', async (given, text) => {
  expect(await problem(deep, given)).toBe(text)
})

test('what one choice of several allows is allowed', async () => {
  const given = { keys: [], adaptive: { most: 3 }, store: { path: 'a', other: 'b' } }
  expect(await seen(deep, given)).toEqual(given)
})

test('an object that takes any key takes any key', async () => {
  expect(await seen(z.looseObject({ a: z.number() }), { a: 1, b: 2 })).toEqual({ a: 1, b: 2 })
  expect(await seen(z.object({ a: z.number() }).catchall(z.string()), { a: 1, b: 'x' })).toEqual({ a: 1, b: 'x' })
  expect(await seen(z.record(z.string(), z.number()), { a: 1, b: 2 })).toEqual({ a: 1, b: 2 })
})

test('a plugin without options takes none', async () => {
  expect(await seen(undefined, undefined)).toEqual({})
  expect(await problem(undefined, { limit: 3 })).toBe('it takes no options, but was given limit')
})

test('a schema written by hand may be asynchronous', async () => {
  expect(
    await seen(
      byHand(async value => ({ value: { given: value } })),
      { a: 1 },
    ),
  ).toEqual({ given: { a: 1 } })
  const refusing = byHand(async () => ({
    issues: [{ message: 'no', path: ['a', { key: 0 }, 'b'] }, { message: 'never' }],
  }))
  expect(await problem(refusing, {})).toBe('option a[0].b: no; never')
})

test('a schema that throws, or refuses without a word, is told as well', async () => {
  const throwing = byHand(() => {
    throw new Error('cannot read the list')
  })
  expect(await problem(throwing, {})).toContain('its schema failed: cannot read the list')
  expect(
    await problem(
      byHand(() => ({ issues: [] })),
      {},
    ),
  ).toBe('its schema refused them and did not say why')
})
