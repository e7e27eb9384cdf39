/**
 * Which pages of `docs/` get tables from the code, and what fills each place in them.
 *
 * A type of options belongs to one page, on which each of its options has exactly one place. Everything that is wrong stops it.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { slugOf } from '../slug.ts'
import { filled, headingOver, placesOf } from './blocks.ts'
import { Comments } from './comments.ts'
import { conditionTables } from './conditions.ts'
import { inOneLine, notes, table, withLinks } from './markdown.ts'
import { type Option, optionsOf } from './options.ts'
import { OPTION_TYPES } from './types.ts'

const CONDITIONS = { page: 'docs/conditions.md', file: 'src/conditions.ts' }

const root = resolve(import.meta.dirname, '../..')

/** Every page with tables as it has to be. */
export function pagesWithTables(): ReadonlyMap<string, string> {
  const types = Object.values(OPTION_TYPES)
  const comments = new Comments(root, [...new Set([...types.map(({ file }) => file), CONDITIONS.file])])
  const pages = new Set([...types.map(({ page }) => page), CONDITIONS.page])
  return new Map([...pages].map(page => [page, pageWithTables(page, comments)]))
}

function pageWithTables(page: string, comments: Comments): string {
  const text = readFileSync(join(root, page), 'utf8')
  const link = (written: string): string => withLinks(root, page, written)
  const fills = new Map<string, string>(
    page === CONDITIONS.page ? conditionTables(comments, CONDITIONS.file, link) : [],
  )
  for (const [type, { file, page: its, extends: base, ...source }] of Object.entries(OPTION_TYPES)) {
    if (its !== page) continue
    const taken = base === undefined ? [] : comments.membersOf(OPTION_TYPES[base]!.file, base).map(({ name }) => name)
    const members = comments.membersOf(file, type).filter(({ name }) => !taken.includes(name))
    const options = optionsOf(type, { ...source, members })
    const places = placesFor(type, options, placesOf(text), page)
    const headings = new Map([...places].flatMap(([place, keys]) => keys.map(key => [key, headingOver(text, place)])))
    fills.set(`overview of ${type}`, overview(options, headings))
    const shown = options.map(option => linked(option, link))
    for (const [place, keys] of places)
      fills.set(place, optionTable(shown.filter(option => keys.includes(keyOf(option)))))
  }
  return filled(text, what => {
    const fill = fills.get(what)
    if (fill === undefined) throw new Error(`${page}: nothing is known of "${what}"`)
    return fill
  })
}

const linked = (option: Option, link: (text: string) => string): Option => ({
  ...option,
  initial: link(option.initial),
  meaning: link(option.meaning),
  remarks: link(option.remarks),
})

const keyOf = ({ path }: Option): string => path.split('.')[0]!

/** Each place with options of the type, and the keys that it is for. */
function placesFor(
  type: string,
  options: readonly Option[],
  places: readonly string[],
  page: string,
): ReadonlyMap<string, readonly string[]> {
  const keys = [...new Set(options.map(keyOf))]
  const chosen = new Map(
    places
      .map(place => [place, /^options of (\w+)(?:: (.+))?$/.exec(place)] as const)
      .filter(([, match]) => match?.[1] === type)
      .map(([place, match]) => [place, match![2]?.split(', ') ?? keys] as const),
  )
  const named = [...chosen.values()].flat()
  for (const key of keys)
    if (named.filter(name => name === key).length !== 1)
      throw new Error(
        `${page} must have one place for ${type}.${key}: <!-- options of ${type}: ${key} (written by npm run docs:reference) -->`,
      )
  for (const name of named)
    if (!keys.includes(name)) throw new Error(`${page} has a place for ${type}.${name}, which is not there`)
  return chosen
}

/** What a group says stands over its own table, what does not fit into a cell below. */
function optionTable(options: readonly Option[]): string {
  const leads = new Set(options.map(keyOf)).size === 1 ? options.filter(({ group }) => group) : []
  const rows = options
    .filter(option => !leads.includes(option))
    .map(({ path, values, initial, meaning }) => [`\`${path}\``, values, initial, inOneLine(meaning)])
  return [
    ...leads.map(({ meaning }) => meaning),
    table(['option', 'values', 'default', 'meaning'], rows),
    ...notes(options.map(({ path, remarks }) => [path, remarks])),
  ]
    .filter(part => part !== '')
    .join('\n\n')
}

/** One row for each key: the first thing said of it, and the way to the place where all is. */
const overview = (options: readonly Option[], headings: ReadonlyMap<string, string>): string =>
  table(
    ['key', 'meaning'],
    options
      .filter(({ path }) => !path.includes('.'))
      .map(({ path, meaning }) => [`[\`${path}\`](#${slugOf(headings.get(path)!)})`, firstOf(meaning)]),
  )

const firstOf = (meaning: string): string =>
  `${/^.*?(?=[.;:]( |$))/.exec(meaning)![0].replace(/ \(docs\/[^)]*\)/, '')}.`
