/**
 * The README of each plugin names every option of its schema, with its default, and package.json the hooks that it may have.
 * Those of the configuration itself: reference.test.ts.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
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
  const rows = rowsOf(read(name, 'README.md'))
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
