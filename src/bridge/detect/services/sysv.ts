/**
 * Services that an init script starts: /etc/init.d with /etc/default (Debian) or /etc/sysconfig (Red Hat), enabled by links in rc?.d.
 *
 * A script is not run. Its variables are those it sets at its left margin, and those that its settings file sets after them; the
 * options that it passes to the program are looked for in the variables that scripts use for that. A unit of systemd
 * of the same name takes its place, which the caller sees to.
 */
import type { Setting, Source } from '../fact.ts'
import { readAssignments } from '../text/assignments.ts'
import type { Argument } from '../text/options.ts'
import { words } from '../text/words.ts'
import type { Tree } from '../tree.ts'
import type { Service } from './service.ts'

const SCRIPTS = ['/etc/init.d', '/etc/rc.d/init.d']
const LEVELS = ['2', '3', '4', '5'].flatMap(level => [`/etc/rc${level}.d`, `/etc/rc.d/rc${level}.d`])
/** Where scripts keep the program's options. */
const OPTIONS = ['DAEMON_OPTS', 'DAEMON_ARGS', 'OPTARGS', 'OPTIONS', 'PARAMS', 'EXTRAPARAMS', 'EXTRA_FLAGS', 'ARGS']
const PROGRAM = ['DAEMON', 'PROG', 'prog', 'exec']

export function sysvService(tree: Tree, name: string): Service | null {
  const script = SCRIPTS.map(folder => tree.read(`${folder}/${name}`)).find(text => text !== null)
  if (!script) return null
  const variables = new Map<string, Setting>([['NAME', { value: name, source: { file: script.file, line: 0 } }]])
  readAssignments(script, variables)
  for (const folder of ['/etc/default', '/etc/sysconfig']) {
    const text = tree.read(`${folder}/${name}`)
    if (text !== null) readAssignments(text, variables, { indented: true })
  }
  const enabled = enabledBy(tree, name)
  const off = variables.get('ENABLED')
  return {
    name,
    kind: 'sysv',
    file: script.file,
    argv: argumentsIn(variables),
    variables,
    user: null,
    group: null,
    pidFile: null,
    root: null,
    listens: [],
    enabled:
      off !== undefined && /^(?:0|no|false)$/i.test(off.value)
        ? { value: false, source: off.source }
        : { value: enabled !== null, source: enabled ?? { file: script.file, line: 0 } },
    launch: { service: name },
  }
}

function enabledBy(tree: Tree, name: string): Source | null {
  for (const folder of LEVELS) {
    const link = tree.list(folder).find(entry => /^S\d\d/.test(entry) && entry.slice(3) === name)
    if (link !== undefined) return { file: `${folder}/${link}`, line: 0 }
  }
  return null
}

function argumentsIn(variables: ReadonlyMap<string, Setting>): Argument[] {
  const [program] = PROGRAM.flatMap(name => variables.get(name) ?? [])
  const options = OPTIONS.flatMap(name => variables.get(name) ?? [])
  return [program, ...options].flatMap(setting =>
    setting === undefined ? [] : words(setting.value, null).map(({ value }) => ({ value, source: setting.source })),
  )
}
