/**
 * Services as systemd would start them: unit files with their drop-ins, environment, links that enable them, socket units.
 *
 * What holds: files are found and take precedence as systemd.unit(5) has it (/etc over /run over /usr); `Environment=` and `EnvironmentFile=`
 * are put into `ExecStart=`; a unit linked to /dev/null is masked and not there. systemd itself is not asked, so that a tree
 * of another machine reads the same.
 */
import { posix } from 'node:path'
import type { Fact, Setting, Source } from '../fact.ts'
import { readAssignments } from '../text/assignments.ts'
import type { Argument } from '../text/options.ts'
import { last, readUnit, specify, type Unit } from '../text/unit.ts'
import { words } from '../text/words.ts'
import type { Tree } from '../tree.ts'
import type { Service } from './service.ts'

const FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/run/systemd/generator',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
]

const INSTALLED = ['/usr/lib/systemd/systemd', '/lib/systemd/systemd']

export class Systemd {
  readonly #tree: Tree
  /** Unit name to the link that pulls it in. */
  readonly #pulled = new Map<string, Source>()

  constructor(tree: Tree) {
    this.#tree = tree
    for (const folder of FOLDERS) {
      for (const name of tree.list(folder)) {
        if (!/\.(wants|requires)$/.test(name)) continue
        for (const unit of tree.list(`${folder}/${name}`)) {
          if (!this.#pulled.has(unit)) this.#pulled.set(unit, { file: `${folder}/${name}/${unit}`, line: 0 })
        }
      }
    }
  }

  /** Whether this machine has systemd at all. */
  get installed(): boolean {
    return INSTALLED.some(path => this.#tree.exists(path))
  }

  /** The service of that name, and every enabled instance of its template. */
  services(name: string): Service[] {
    const instances = [...this.#pulled.keys()].filter(unit => unit.startsWith(`${name}@`) && unit.endsWith('.service'))
    return [`${name}.service`, ...instances].flatMap(unit => this.#service(unit) ?? [])
  }

  #service(unit: string): Service | null {
    const found = this.#load(unit)
    if (found === null) return null
    const { file, values } = found
    const name = unit.replace(/\.service$/, '')
    const own = last(values, 'Service.User')
    const specifiers = { unit, user: own?.value ?? 'root' }
    const fact = (key: string): Fact<string> | null => {
      const setting = last(values, key)
      return setting && { value: specify(setting.value, specifiers), source: setting.source }
    }
    const variables = this.#environment(values, specifiers)
    const socket = this.#load(`${name}.socket`)
    const listens = (socket?.values.get('Socket.ListenStream') ?? []).map(({ value, source }) => ({
      value: specify(value, { ...specifiers, unit: `${name}.socket` }),
      source,
    }))
    return {
      name,
      kind: 'systemd',
      file,
      argv: commandLine(values, variables, specifiers),
      variables,
      user: fact('Service.User'),
      group: fact('Service.Group'),
      pidFile: fact('Service.PIDFile'),
      root: fact('Service.RootDirectory'),
      listens,
      enabled: this.#enabled(unit, values, file) ??
        this.#enabledSocket(name, socket?.values) ?? { value: false, source: { file, line: 0 } },
      launch: { systemd: unit },
    }
  }

  #enabled(unit: string, values: Unit, file: string): Fact<boolean> | null {
    const aliases = (values.get('Install.Alias') ?? []).flatMap(({ value }) => value.split(/\s+/))
    for (const name of [unit, ...aliases]) {
      const source = this.#pulled.get(name)
      if (source !== undefined) return { value: true, source }
    }
    // Made by a generator: it is there because something else enabled it.
    return file.startsWith('/run/systemd/generator/') ? { value: true, source: { file, line: 0 } } : null
  }

  #enabledSocket(name: string, values: Unit | undefined): Fact<boolean> | null {
    return values === undefined ? null : this.#enabled(`${name}.socket`, values, '')
  }

  /** `null` when there is none or it is masked. */
  #load(unit: string): { file: string; values: Unit } | null {
    const template = unit.replace(/@.*(?=\.\w+$)/, '@')
    for (const candidate of new Set([unit, template])) {
      for (const folder of FOLDERS) {
        const path = `${folder}/${candidate}`
        if (this.#tree.link(path) === '/dev/null') return null
        const text = this.#tree.read(path)
        // An empty unit file masks as well.
        if (text === null) continue
        if (text.text.trim() === '') return null
        const values: Unit = new Map()
        readUnit(text, values)
        for (const file of this.#dropIns(unit, template)) {
          const more = this.#tree.read(file)
          if (more !== null) readUnit(more, values)
        }
        return { file: path, values }
      }
    }
    return null
  }

  /** In the order in which they are applied: by name, whatever folder they lie in. */
  #dropIns(unit: string, template: string): string[] {
    const found = new Map<string, string>()
    const type = posix.extname(unit).slice(1)
    const dashes = unit
      .split('-')
      .slice(0, -1)
      .map((_, index, parts) => `${parts.slice(0, index + 1).join('-')}-.${type}`)
    for (const owner of new Set([unit, template, ...dashes.reverse(), type])) {
      for (const folder of FOLDERS) {
        for (const name of this.#tree.list(`${folder}/${owner}.d`)) {
          if (name.endsWith('.conf') && !found.has(name)) found.set(name, `${folder}/${owner}.d/${name}`)
        }
      }
    }
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)
  }

  /** A file wins over `Environment=`, whatever their order. */
  #environment(values: Unit, specifiers: { unit: string; user: string }): Map<string, Setting> {
    const found = new Map<string, Setting>()
    for (const { value, source } of values.get('Service.Environment') ?? []) {
      for (const word of words(specify(value, specifiers), null)) {
        const at = word.value.indexOf('=')
        if (at > 0) found.set(word.value.slice(0, at), { value: word.value.slice(at + 1), source })
      }
    }
    for (const { value } of values.get('Service.EnvironmentFile') ?? []) {
      const text = this.#tree.read(specify(value.replace(/^-/, ''), specifiers))
      if (text !== null) readAssignments(text, found, { expands: false })
    }
    return found
  }
}

/** Of `ExecStart=`; the command of a `/bin/sh -c` stays one argument. */
function commandLine(
  values: Unit,
  variables: ReadonlyMap<string, Setting>,
  specifiers: { unit: string; user: string },
): Argument[] {
  const start = last(values, 'Service.ExecStart')
  if (start === null) return []
  const text = specify(start.value.replace(/^[@\-:+!|]+/, ''), specifiers)
  const used: Source[] = []
  const variable = (name: string): string | undefined => {
    const setting = variables.get(name)
    if (setting !== undefined) used.push(setting.source)
    return setting?.value
  }
  if (/^\S*\/(?:ba|da)?sh\s+-c\s/.test(text)) {
    return words(text, null).map(({ value }) => ({ value, source: start.source }))
  }
  // Word for word, so that what a variable gave is known to come from where that was set.
  const raw = text.match(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\]|["'\\])+/g) ?? []
  return raw.flatMap(word => {
    used.length = 0
    // In braces it is one argument, whatever it holds: without them, nothing is none and several words are several.
    const braced = /^\$\{(\w+)\}$/.exec(word)?.[1]
    const expanded = braced === undefined ? words(word, variable) : [{ value: variable(braced) ?? '' }]
    return expanded.map(({ value }) => ({ value, source: used.at(-1) ?? start.source }))
  })
}

export const isShell = ({ argv }: Service): boolean => /^(?:.*\/)?(?:ba|da)?sh$/.test(argv[0]?.value ?? '')
