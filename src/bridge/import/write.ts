/**
 * Writes the imported model as a `milterhost.config.ts`.
 *
 * Pure. What could not be taken over stands as comments at the head, with file and line, so that it is not forgotten with the
 * terminal that showed it.
 */

import { parseSocketAddress } from '../wire/index.ts'
import { conditionOf, DIFFERS, foreignName } from './conditions.ts'
import { productOf, shippedFor } from './defaults.ts'
import type { Imported, ImportedMilter, Note } from './model.ts'
import { quotedText } from './values.ts'

export interface Written {
  readonly text: string
  readonly notes: readonly Note[]
}

const WIDTH = 110

export function writeConfiguration(model: Imported, source: string): Written {
  const notes = [...model.notes]
  const imports = new Set<string>()
  const names = new Set<string>()
  const context = { notes, imports, names }
  const milters = [...model.milters.values()]
  const overrides = milters.flatMap(milter => override(milter, model, context))
  const sockets = milters.flatMap(milter => entry(milter, model, context))
  const entries = [...found(model, overrides), ...sockets]
  for (const name of model.foreign.keys()) if (usedBy(model, name)) imports.add('condition')
  const body = [...settings(model), ...filters(entries)]
  const constants = [...model.foreign]
    .filter(([name]) => usedBy(model, name))
    .map(
      ([name, { file, line }]) =>
        `// ${file}:${line}: write it here; until then it holds for all mail.\nconst ${foreignName(name)} = condition(() => true, { describe: ${quotedText(name)} })\n`,
    )
  const text = [
    `// Made from ${source} by: milterhost import milter-manager`,
    ...(notes.length === 0 ? [] : ['//', '// Not taken over, or with a difference:']),
    ...notes.flatMap(({ file, line, text, why }) => [
      `//   ${file}:${line}  ${printable(text)}`,
      `//     ${printable(why)}`,
    ]),
    '',
    `import { defineConfig${model.loadsDefault ? ', detected' : ''}${sockets.length > 0 ? ', socket' : ''} } from 'milterhost'`,
    ...(imports.size === 0 ? [] : [`import { ${[...imports].sort().join(', ')} } from 'milterhost/conditions'`]),
    '',
    ...constants,
    'export default defineConfig({',
    ...body.map(line => (line === '' ? '' : `  ${line}`)),
    '})',
    '',
  ].join('\n')
  return { text, notes }
}

const usedBy = ({ milters }: Imported, name: string): boolean =>
  [...milters.values()].some(({ conditions }) => conditions.includes(name))

/** One line, and nothing that a terminal acts upon. */
const printable = (text: string): string => text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ')

function settings(model: Imported): string[] {
  const { listen, listenMode, listenGroup, sessions, onClientLeft, logLevel, controlSocket } = model
  const unix = listen !== null && isUnix(listen)
  const rights = [
    listenMode === null ? null : `mode: '${listenMode.toString(8).padStart(3, '0').slice(-3)}'`,
    listenGroup === null ? null : `group: ${quotedText(listenGroup)}`,
  ].filter(field => field !== null)
  return [
    ...(listen === null
      ? []
      : [
          `listen: ${unix && rights.length > 0 ? `{ address: ${quotedText(listen)}, ${rights.join(', ')} }` : quotedText(listen)},`,
        ]),
    ...(sessions === null ? [] : [`limits: { sessions: ${sessions} },`]),
    ...(onClientLeft === null ? [] : [`onClientLeft: ${quotedText(onClientLeft)},`]),
    ...(controlSocket === null ? [] : [`control: { socket: ${quotedText(controlSocket)} },`]),
    ...(logLevel === null ? [] : [`log: { level: ${quotedText(logLevel)} },`]),
  ]
}

const isUnix = (address: string): boolean => parseSocketAddress(address, 'listen').kind === 'unix'

const filters = (entries: readonly string[]): string[] =>
  entries.length === 0
    ? ['filters: [],']
    : ['filters: [', ...entries.flatMap(text => text.split('\n').map(line => `  ${line}`)), '],']

/** What `load_default` found comes first, as it did. */
const found = ({ loadsDefault }: Imported, overrides: readonly string[]): string[] =>
  !loadsDefault
    ? []
    : overrides.length === 0
      ? ['...detected(),']
      : [`...detected({\n${overrides.map(text => `  ${text}`).join('\n')}\n}),`]

interface Context {
  readonly notes: Note[]
  readonly imports: Set<string>
  readonly names: Set<string>
}

/** An override of `detected()`, for a milter that milter manager finds by itself. */
function override(milter: ImportedMilter, model: Imported, context: Context): string[] {
  const product = productOf(milter.name)
  if (milter.address !== null || !model.loadsDefault || product === null) return []
  const conditions = [...new Set([...shippedFor(milter.name), ...milter.conditions])]
  const fields = fieldsOf({ ...milter, conditions }, model, context)
  return [`${/^\w+$/.test(product) ? product : quotedText(product)}: { ${fields.join(', ')} },`]
}

function entry(milter: ImportedMilter, model: Imported, context: Context): string[] {
  const note = noteOn(milter, context)
  if (milter.address === null) {
    if (!model.loadsDefault) note('it has no connection_spec, and so no milter')
    else if (productOf(milter.name) === null)
      note('it has no connection_spec, and detected() finds no milter of that name: write it as socket(…)')
    return []
  }
  const name = unique(milter.name, context.names)
  if (name !== milter.name) note(`its name here is ${name}`)
  const fields = fieldsOf(milter, model, context)
  const head = `socket(${quotedText(name)}, ${quotedText(milter.address)}, `
  const line = `${head}{ ${fields.join(', ')} }),`
  const text = line.length <= WIDTH ? line : `${head}{\n${fields.map(field => `  ${field},`).join('\n')}\n}),`
  return [milter.description === null ? text : `// ${printable(milter.description)}\n${text}`]
}

const noteOn =
  (milter: ImportedMilter, { notes }: Context) =>
  (why: string): void => {
    notes.push({ file: milter.file, line: milter.line, text: `define_milter(${JSON.stringify(milter.name)})`, why })
  }

function fieldsOf(milter: ImportedMilter, model: Imported, context: Context): string[] {
  const conditions: string[] = []
  for (const condition of milter.conditions) {
    const written = conditionOf(condition, model)
    if (written === null) {
      noteOn(milter, context)(`nobody defines its condition ${JSON.stringify(condition)}`)
      continue
    }
    if (condition in DIFFERS && (written.code !== null || !shippedFor(milter.name).includes(condition)))
      noteOn(milter, context)(DIFFERS[condition]!)
    if (written.code === null) continue
    conditions.push(written.code)
    for (const each of written.imports) context.imports.add(each)
  }
  if (conditions.length > 1) context.imports.add('all')
  const command = milter.command.filter(word => word !== '')
  return [
    milter.enabled ? null : 'enabled: false',
    conditions.length === 0
      ? null
      : `when: ${conditions.length === 1 ? conditions[0] : `all(${conditions.join(', ')})`}`,
    milter.users.length === 0 ? null : `users: [${milter.users.join(', ')}]`,
    `onFailure: '${milter.onFailure}'`,
    milter.observe ? "mode: 'observe'" : null,
    timeouts(milter),
    launch(command, milter.user),
  ].filter(field => field !== null)
}

function timeouts({ connect, reading, writing, end }: ImportedMilter): string | null {
  const command = reading === null && writing === null ? null : Math.max(reading ?? 0, writing ?? 0)
  const given = Object.entries({ connect, command, end }).flatMap(([key, value]) =>
    value === null ? [] : [`${key}: ${value}`],
  )
  return given.length === 0 ? null : `timeouts: { ${given.join(', ')} }`
}

/** An init script by its name; anything else as a command. */
function launch(command: readonly string[], user: string | null): string | null {
  const [program, ...rest] = command
  if (program === undefined) return null
  const script = /^(?:\/usr\/local)?\/etc\/(?:init|rc)\.d\/([\w.@-]+)$/.exec(program)?.[1]
  if (script !== undefined) return `launch: { service: ${quotedText(script)} }`
  const words = [program, ...rest].map(quotedText).join(', ')
  return `launch: { command: [${words}]${user === null ? '' : `, user: ${quotedText(user)}`} }`
}

/** A name here is letters, digits and `._-/@`, at most 64 of them, and stands once. */
function unique(name: string, taken: Set<string>): string {
  const bare =
    name
      .replaceAll(/[^\w.@/-]+/g, '-')
      .replace(/^[^A-Za-z0-9@]+/, '')
      .slice(0, 60) || 'milter'
  let result = bare
  for (let number = 2; taken.has(result); number++) result = `${bare}-${number}`
  taken.add(result)
  return result
}
