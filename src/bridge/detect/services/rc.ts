/**
 * Services of the BSDs: rc.d scripts of FreeBSD's ports and of pkgsrc, switched on and configured in rc.conf.
 *
 * A script is not run: its variables, the defaults it gives them (`: ${x:="y"}`), its `command_args`, and what rc.conf says instead are read. With
 * FreeBSD's `‹name›_profiles` one script starts several services, each with variables of its own.
 */
import type { Fact, Setting } from '../fact.ts'
import { readAssignments } from '../text/assignments.ts'
import type { Argument } from '../text/options.ts'
import { words } from '../text/words.ts'
import type { Tree } from '../tree.ts'
import type { Service } from './service.ts'

interface Layout {
  readonly kind: 'freebsd' | 'pkgsrc'
  readonly scripts: readonly string[]
  readonly settings: readonly string[]
}

const FREEBSD: Layout = {
  kind: 'freebsd',
  scripts: ['/usr/local/etc/rc.d'],
  settings: ['/etc/defaults/rc.conf', '/etc/rc.conf', '/etc/rc.conf.local'],
}
const PKGSRC: Layout = {
  kind: 'pkgsrc',
  scripts: ['/etc/rc.d', '/usr/pkg/etc/rc.d', '/usr/pkg/share/examples/rc.d'],
  settings: ['/etc/defaults/rc.conf', '/etc/rc.conf', '/usr/pkg/etc/rc.conf'],
}

/** `script` is the file's name: `milter-opendkim`. */
export const rcServices = (tree: Tree, script: string): Service[] =>
  [FREEBSD, PKGSRC].flatMap(layout => services(tree, script, layout))

function services(tree: Tree, script: string, layout: Layout): Service[] {
  const text = layout.scripts.map(folder => tree.read(`${folder}/${script}`)).find(found => found !== null)
  if (!text) return []
  const own = new Map<string, Setting>()
  // For the name only, which the settings files go by.
  readAssignments(text, own)
  const name = own.get('name')?.value ?? script.replace(/-/g, '')
  const all = new Map<string, Setting>()
  const extra = layout.kind === 'freebsd' ? ['/etc/rc.conf.d', '/usr/local/etc/rc.conf.d'] : ['/etc/rc.conf.d']
  for (const file of [...layout.settings, ...extra.map(folder => `${folder}/${name}`)]) {
    const settings = tree.read(file)
    if (settings !== null) readAssignments(settings, all, { indented: true })
  }
  const conf = new Map(all)
  readAssignments(text, all)
  // A script may assign outright what rc.conf sets; rc.subr reads rc.conf after that.
  for (const [key, setting] of conf) all.set(key, setting)
  const profiles =
    all
      .get(`${name}_profiles`)
      ?.value.split(/\s+/)
      .filter(profile => /^\w+$/.test(profile)) ?? []
  const rest = { script, file: text.file, name, all, kind: layout.kind }
  return profiles.length === 0
    ? [service({ ...rest, profile: null })]
    : profiles.map(profile => service({ ...rest, profile }))
}

interface Script {
  readonly script: string
  readonly file: string
  readonly name: string
  readonly all: ReadonlyMap<string, Setting>
  readonly kind: 'freebsd' | 'pkgsrc'
  readonly profile: string | null
}

function service({ script, file, name, all, kind, profile }: Script): Service {
  const variables = new Map<string, Setting>()
  for (const [key, setting] of all) if (key.startsWith(`${name}_`)) variables.set(key.slice(name.length + 1), setting)
  if (profile !== null) {
    for (const [key, setting] of all) {
      const prefix = `${name}_${profile}_`
      if (key.startsWith(prefix)) variables.set(key.slice(prefix.length), setting)
    }
  }
  const lookUp = (key: string): Setting | undefined =>
    (key.startsWith(`${name}_`) ? variables.get(key.slice(name.length + 1)) : undefined) ?? all.get(key)
  const named = (key: string): Fact<string> | null => variables.get(key) ?? null
  const on = kind === 'freebsd' ? variables.get('enable') : (all.get(name) ?? variables.get('enable'))
  // For a profile the script makes up another one while it runs.
  const pid = profile === null ? all.get('pidfile') : undefined
  return {
    name: profile === null ? script : `${script}@${profile}`,
    kind,
    file,
    argv: argumentsIn(['command', `${name}_flags`, 'command_args'], lookUp),
    variables,
    user: named('user') ?? named('runas') ?? named('uid'),
    group: named('group') ?? named('gid'),
    pidFile: named('pidfile') ?? (pid === undefined ? null : { value: pid.value, source: pid.source }),
    root: named('chroot'),
    listens: [],
    enabled:
      on === undefined ? { value: false, source: { file, line: 0 } } : { value: isYes(on.value), source: on.source },
    launch: { service: script },
  }
}

const isYes = (text: string): boolean => /^(?:yes|true|on|1)$/i.test(text)

function argumentsIn(keys: readonly string[], lookUp: (key: string) => Setting | undefined): Argument[] {
  return keys.flatMap(key => {
    const setting = lookUp(key)
    if (setting === undefined) return []
    return words(setting.value, name => lookUp(name)?.value).map(({ value }) => ({ value, source: setting.source }))
  })
}
