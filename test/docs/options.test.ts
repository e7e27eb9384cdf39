/**
 * The README of each plugin names every option of its schema, those inside of others too, with its default, and package.json the hooks that it may have.
 * Those of the configuration itself: reference.test.ts.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { z } from 'zod'
import dkim from '../../plugins/dkim/src/index.ts'
import greylist from '../../plugins/greylist/src/index.ts'
import spf from '../../plugins/spf/src/index.ts'
import tarpit from '../../plugins/tarpit/src/index.ts'
import template from '../../plugins/template/src/index.ts'
import type { FilterEntry } from '../../src/host/config/entry.ts'
import { HOOK_NAMES } from '../../src/host/plugin/events.ts'
import { optionsOf } from '../../src/host/plugin/option-list.ts'
import { testPlugin } from '../../src/testing.ts'

/** Each with entries that together have all the hooks it may have. */
const PLUGINS: Readonly<Record<string, readonly [factory: object, entries: () => readonly FilterEntry[]]>> = {
  spf: [spf, () => [spf(), spf({ deferToDmarc: true, receivedSpf: true })]],
  dkim: [dkim, () => [dkim()]],
  greylist: [greylist, () => [greylist(), greylist({ at: 'eom' })]],
  tarpit: [tarpit, () => [tarpit(), tarpit({ at: 'connect' }), tarpit({ at: 'mail', proof: 'eoh' })]],
  template: [template, () => [template()]],
}

/** A default of several options, which are told one by one. */
const isParts = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Where `definePlugin` keeps it (src/host/plugin/option-list.ts). */
const schemaOf = (factory: object): z.core.$ZodType =>
  (factory as Readonly<Record<symbol, z.core.$ZodType>>)[Symbol.for('milterhost.plugin.options')]!

interface Nested {
  /** From the top: `bypass.dnswl.zone`. */
  readonly path: readonly string[]
  readonly initial: unknown
}

/** Options inside of options: of objects, also where they are one choice of several, and of what lists and maps hold. */
function nestedIn(
  schema: z.core.$ZodType,
  path: readonly string[] = [],
  seen: Set<z.core.$ZodType> = new Set(),
): Nested[] {
  const { def } = schema._zod
  const inner = (...schemas: readonly z.core.$ZodType[]): Nested[] =>
    schemas.flatMap(each => nestedIn(each, path, seen))
  if (schema instanceof z.ZodObject) {
    // What is the same in two places stands in the table once.
    if (seen.has(schema)) return []
    seen.add(schema)
    return Object.entries(schema.shape as Record<string, z.core.$ZodType>).flatMap(([name, of]) => [
      ...(path.length === 0 ? [] : [{ path: [...path, name], initial: initialOf(of) }]),
      ...nestedIn(of, [...path, name], seen),
    ])
  }
  if (schema instanceof z.ZodUnion) return inner(...(schema.options as readonly z.core.$ZodType[]))
  if (schema instanceof z.ZodArray)
    return nestedIn(schema.element as z.core.$ZodType, [...path.slice(0, -1), `${path.at(-1)}[]`], seen)
  if (schema instanceof z.ZodRecord) return inner(schema.valueType as z.core.$ZodType)
  if (schema instanceof z.ZodPipe) return inner(schema.in as z.core.$ZodType)
  return 'innerType' in def ? inner(def.innerType as z.core.$ZodType) : []
}

function initialOf(schema: z.core.$ZodType): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return schema.def.defaultValue
  if (schema instanceof z.ZodPipe) return initialOf(schema.in as z.core.$ZodType)
  const { def } = schema._zod
  return 'innerType' in def ? initialOf(def.innerType as z.core.$ZodType) : undefined
}

const read = (plugin: string, file: string): string =>
  readFileSync(resolve(import.meta.dirname, '../../plugins', plugin, file), 'utf8')

/** Of the tables of options, first and second cell: an option, `a` or `a.b` for a part of it, and its default. */
const rowsOf = (readme: string): readonly (readonly [names: string, initial: string])[] =>
  [...readme.matchAll(/^\| option[^\n]*\n((?:\|[^\n]*\n)+)/gm)].flatMap(([, table]) =>
    [...table!.matchAll(/^\| (.*?`.*?) *\| (.*?) *\|/gm)].map(([, names, initial]) => [names!, initial!] as const),
  )

/** As a README writes it: `'a'`, `10_000` and `10000`. */
const written = (value: unknown): string =>
  typeof value === 'string' ? `'${value}'` : Array.isArray(value) ? `[${value.map(written).join(', ')}]` : String(value)

describe.each(Object.entries(PLUGINS))('milter-plugin-%s', (name, [factory, entries]) => {
  const options = optionsOf(factory)!
  const readme = read(name, 'README.md')
  const rows = rowsOf(readme)
  const rowFor = (option: string): readonly [string, string] | undefined =>
    rows.find(([names]) => names.includes(`\`${option}\``))

  it('names every option in its README', () => {
    expect(options.length).toBeGreaterThan(1)
    const missing = options.filter(
      option => !rowFor(option.name) && !rows.some(([names]) => names.includes(`\`${option.name}.`)),
    )
    expect(missing.map(option => option.name)).toEqual([])
  })

  it('says the default of each', () => {
    const plain = options.filter(
      ({ initial }) => initial !== undefined && (typeof initial !== 'object' || Array.isArray(initial)),
    )
    expect(plain.length).toBeGreaterThan(0)
    const wrong = plain.flatMap(option => {
      const said = rowFor(option.name)?.[1].replaceAll(/(?<=\d)_(?=\d)/g, '')
      return said?.includes(`\`${written(option.initial)}\``)
        ? []
        : [`${option.name}: ${said}, not ${written(option.initial)}`]
    })
    expect(wrong).toEqual([])
  })

  it('names every option inside of another one, with its default', () => {
    const wrong = nestedIn(schemaOf(factory)).flatMap(({ path, initial }) => {
      const [option, name] = [path.join('.'), path.at(-1)!]
      const own = rowFor(option)
      // Or the default of the whole says it: `{ after: 2, apart: '1h' }`.
      const said = (own ?? rowFor(path.slice(0, -1).join('.')))?.[1].replaceAll(/(?<=\d)_(?=\d)/g, '') ?? ''
      if (rows.some(([names]) => names.includes(`\`${option}.`))) return []
      if (own === undefined && !said.includes(`${name}: `)) return [`${option} is not there`]
      if (initial === undefined || isParts(initial)) return []
      // A long list stands below the table.
      if (Array.isArray(initial) && initial.length > 5)
        return readme.includes(`\`${option}\` is ${initial.join(', ')}`) ? [] : [`${option}: its list is not there`]
      const wanted = own === undefined ? `${name}: ${written(initial)}` : `\`${written(initial)}\``
      return said.includes(wanted) ? [] : [`${option}: ${said}, not ${wanted}`]
    })
    expect(wrong).toEqual([])
  })

  it('says in package.json which hooks it may have', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'milterhost-hooks-'))
    onTestFinished(() => {
      vi.unstubAllEnvs()
      rmSync(folder, { recursive: true, force: true })
    })
    vi.stubEnv('STATE_DIRECTORY', folder)
    const has = new Set<string>()
    for (const entry of entries()) {
      await using host = await testPlugin(entry)
      for (const { events } of (await host.check()).values()) for (const event of events) has.add(event)
    }
    const { milterhost } = JSON.parse(read(name, 'package.json')) as { milterhost: { hooks: readonly string[] } }
    expect(milterhost.hooks).toEqual(HOOK_NAMES.filter(hook => has.has(hook)))
  })
})
